"""What `pool create` and --create refuse, in which order, and in which words; modes of the file."""

import os
import stat
import unittest

import harness


class PoolCreate(harness.Case):
    def mode(self, path):
        return stat.S_IMODE(os.stat(path).st_mode)

    def test_path_of_a_directory__is_refused_and_makes_nothing(self):
        os.mkdir(self.path("here"))
        for path in ("new/", "new/.", "new/..", "new/sub/", "here/"):
            for words in (["pool", "create", path], ["feed", path, "{}", "--create"], ["follow", path, "--create", "--no-follow"]):
                if path == "here/" and words[0] != "pool":
                    continue  # it is there, and opening it fails
                error = self.refused("Usage", *words, cwd=self.dir)
                self.assertEqual((error["message"], error["path"]), ("the path names a directory, not a pool file", path), words)
                self.assertIn("chat.plasmite", error["hint"])
        self.assertEqual(os.listdir(self.dir), ["here"])
        self.assertEqual(os.listdir(self.path("here")), [])

    def test_existing__comes_before_what_is_wrong_with_the_rest(self):  # 2.1
        self.ok("pool", "create", "demo")
        for words in (["--index-capacity", "99999999"], ["--size", "1"], ["--size", "17179869183G"]):
            error = self.refused("AlreadyExists", "pool", "create", "demo", *words)
            self.assertEqual(error["message"], "pool already exists")
        error = self.refused("Usage", "pool", "create", "new", "--index-capacity", "99999999")
        self.assertEqual(error["message"], "index capacity is too large for pool size")

    def test_sizes__say_what_is_wrong(self):
        rows = [("17179869183G", "file_size is too large", None, "A pool can have at most 1073741824G (2^60 bytes)."),
                ("17179869184G", "size overflow", None, "Use a smaller size."),
                ("", "invalid size", "cannot parse integer from empty string", None),
                (" ", "invalid size", "cannot parse integer from empty string", None),
                ("K", "invalid size", "invalid digit found in string", None),
                ("x", "invalid size", "invalid digit found in string", None),
                (" 18446744073709551616", "invalid size", "number too large to fit in target type", None),
                ("1MiB", "invalid size suffix", None, None)]
        for size, message, cause, hint in rows:
            for words in (["pool", "create", "x", "--size=" + size], ["feed", "x", "{}", "--create-size=" + size]):
                error = self.refused("Usage", *words)
                self.assertEqual((error["message"], error.get("causes")), (message, [cause] if cause else None), words)
                self.assertEqual(error["hint"], hint or "Not `%s`: use a number of bytes, or one with K, M or G, like 64M; "
                                 "at least 8K." % size)

    def test_directory_that_is_a_file__is_named(self):
        self.write_file("afile", "")
        for place in ("./afile", "./afile/sub"):
            for words in (["pool", "create", "x"], ["feed", "x", "{}", "--create"]):
                error = self.refused("Io", "--dir", place, *words, use_dir=False, cwd=self.dir)
                self.assertEqual((error["message"], error["path"]), ("failed to create pool directory", place))
                self.assertEqual(error["causes"], ["Not a directory (os error 20)"])

    def test_mode__is_taken_as_given(self):
        for i, mode in enumerate(("000", "0000", "0400", "640", "0666", "1777", "4755", "7777")):
            created = self.ok("pool", "create", "p%d" % i, "--mode", mode).json()["created"][0]
            self.assertEqual(created["metrics"]["message_count"], 0)
            self.assertEqual(self.mode(self.file("p%d" % i)), int(mode, 8), mode)
            self.ok("follow", "f%d" % i, "--create", "--no-follow", "--mode", mode)
            self.assertEqual(self.mode(self.file("f%d" % i)), int(mode, 8), mode)
        self.ok("pool", "create", "plain")
        self.assertEqual(self.mode(self.file("plain")), 0o600)
        for mode in ("", "64", "00640", "abc", "888", "+600", " 600"):
            self.assertEqual(self.refused("Usage", "pool", "create", "x", "--mode=" + mode)["message"], "invalid mode")

    def test_mode__that_forbids_its_owner_to_open_it(self):
        """Who makes a pool has it open for reading; writers, and whoever comes later, need the permission."""
        os.mkdir(self.pools, 0o700)
        user = {"user": 65534, "group": 65534, "extra_groups": []} if self.is_root() else {}
        if user:
            os.chmod(self.dir, 0o711)
            os.chown(self.pools, 65534, 65534)
        self.ok("pool", "create", "none", "--mode", "000", **user)
        self.ok("follow", "readable", "--create", "--no-follow", "--mode", "0400", **user)
        self.assertEqual(self.ok("pool", "info", "readable", **user).json()["metrics"]["message_count"], 0)
        for words in (["pool", "info", "none"], ["feed", "readable", "{}"], ["feed", "new", "{}", "--create", "--mode", "400"]):
            self.refused("Permission", *words, **user)

    def test_home__that_is_empty_is_as_none(self):
        for home in ({"HOME": ""}, {}):
            env = {k: v for k, v in self.env.items() if k != "HOME"}
            env.update(home)
            name = "x%d" % len(home)
            created = self.ok("pool", "create", name, use_dir=False, cwd=self.dir, env=env).json()["created"][0]
            self.assertEqual(created["path"], ".plasmite/pools/%s.plasmite" % name)
            self.assertTrue(os.path.exists(self.path(created["path"])))


if __name__ == "__main__":
    unittest.main(verbosity=2)
