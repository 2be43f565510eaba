"""What an errno leaves out stands in `errors`: what was refused, why, and the place."""

import errno
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import until


class Errors(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def errors(self, name="ci/errors"):
        """The failures without their times, which must be there."""
        found = []
        for line in self.read(name).splitlines():
            failure = json.loads(line)
            mount.time_ns(failure.pop("time"))
            found.append(failure)
        return found

    def last(self, name="ci/errors"):
        return self.errors(name)[-1]

    def write(self, text, name="ci/append", number=errno.EBADMSG):
        fd = os.open(self.path(name), os.O_WRONLY)
        try:
            self.assert_errno(number, os.write, fd, text if isinstance(text, bytes) else text.encode())
        finally:
            os.close(fd)

    def test_at_first_there_are_none(self):
        self.assertEqual(self.read("ci/errors"), "")
        self.assertEqual(self.read(".plasmite/errors"), "")
        self.run_ok("echo '{}' > ci/append; cat ci/all > /dev/null; ls -lR . > /dev/null; test ! -e ci/nothing; test ! -e ci/seq/99")
        self.assertEqual(self.read("ci/errors"), "")

    def test_bad_json_and_its_place(self):
        self.write('{"a":}')
        self.assertEqual(self.errors(), [{
            "path": "ci/append", "errno": "EBADMSG", "message": "invalid json: expected a value", "place": '{"a":}\n     ^',
        }])
        self.assertEqual(self.errors(".plasmite/errors"), self.errors())

    def test_what_is_no_object_is_told_where_it_may_go(self):
        self.run_fails("echo hello > ci/append", 1, "Bad message")
        self.assertEqual(self.errors(), [{
            "path": "ci/append", "errno": "EBADMSG", "message": "data must be object", "place": "hello\n^",
            "hint": 'A message is a JSON object, like {"text":"hello"}; plain text goes into `lines`.',
        }])

    def test_the_place_is_shown_with_what_is_around_it(self):
        for text, place in (
            ('{"ok":1}\n{"\u00e4\u20ac":tru}', None),  # a short count first
            ('[1]', '[1]\n^'), ('hello', 'hello\n^'), ('{"\u00e4\u20ac":?}', '{"\u00e4\u20ac":?}\n      ^'),
            ('{"a":\n\t"b"\n\t"c"}', ' "c"}\n ^'),
            ('{"' + "x" * 100 + '"?' + "y" * 100 + '}', "x" * 47 + '"?' + "y" * 31 + "\n" + " " * 48 + "^"),
            ('{"a":"\x01"}', '{"a":" "}\n      ^'),
        ):
            with self.subTest(text=text):
                if place is None:
                    fd = self.open("ci/append", os.O_WRONLY)
                    self.assertEqual(os.write(fd, text.encode()), 8)
                    self.assertEqual(self.errors(), [])
                    self.assert_errno(errno.EBADMSG, os.write, fd, text.encode()[8:])
                    self.assertEqual(self.last()["place"], '{"\u00e4\u20ac":tru}\n         ^')
                else:
                    self.write(text)
                    self.assertEqual(self.last()["place"], place)

    def test_bytes_that_are_not_utf8(self):
        self.write(b'{"a":"\xff\xfe"}')
        self.assertEqual(self.last()["place"], '{"a":"\ufffd\ufffd"}\n      ^')

    def test_the_path_is_told(self):
        self.write("[1]", "ci/tag/a b/data/append")
        self.assertEqual(self.last()["path"], "ci/tag/a b/data/append")

    def test_what_close_refuses(self):
        self.run_ok("""echo '{"a":1' > ci/append""")  # which the shell does not see
        self.assertEqual(self.errors(), [
            {"path": "ci/append", "errno": "EBADMSG", "message": "the file was closed in the middle of a JSON value"},
        ])

    def test_too_large(self):
        self.mkpool("small", size=8192)
        self.write('{"a":"' + "x" * 9000 + '"}', "small/append", errno.EMSGSIZE)
        self.assertEqual(self.last("small/errors")["errno"], "EMSGSIZE")
        self.assertRegex(self.last("small/errors")["message"], "^message too large: tags and data together may take [0-9]+ bytes$")
        self.write("x" * 9000, "small/lines", errno.EMSGSIZE)
        self.assertRegex(self.last("small/errors")["message"], "^line too long: a message of this pool takes at most [0-9]+ bytes$")
        self.assertEqual(self.errors(), [])

    def test_what_goes_on_with_it_is_not_told_again(self):
        fd = self.open("ci/append", os.O_WRONLY)
        for text in (b'{"a":\n?', b"1\n", b"2\n"):
            self.assert_errno(errno.EBADMSG, os.write, fd, text)
        os.write(fd, b"{}\n")
        self.assertEqual(len(self.errors()), 1)

    def test_what_may_not_be_opened(self):
        for name, flags, number, code, message in (
            ("ci/tail", os.O_WRONLY, errno.EACCES, "EACCES", "this file is only for reading"),
            ("ci/live/next", os.O_RDWR, errno.EACCES, "EACCES", "this file is only for reading"),
            ("ci/log", os.O_WRONLY, errno.EPERM, "EPERM", "a log only grows at its end"),
            ("ci/log", os.O_WRONLY | os.O_APPEND | os.O_TRUNC, errno.EPERM, "EPERM", "a log only grows at its end"),
        ):
            if number == errno.EACCES and os.geteuid() != 0:
                continue  # the kernel refuses by the mode
            with self.subTest(name=name):
                self.assert_errno(number, os.open, self.path(name), flags)
                failure = self.last()
                self.assertEqual((failure["path"], failure["errno"], failure["message"]), (name, code, message))
                self.assertIn("append", failure["hint"])

    def test_arguments_of_paths(self):
        for name, message, place in (
            ("last/1x", "a whole number like 10 belongs here", "1x\n ^"),
            ("last/99999999999999999999", "number too large to fit in target type", "99999999999999999999\n^"),
            ("last/-1", "a whole number like 10 belongs here", "-1\n^"),
            ("seq/99999999999999999999", "number too large to fit in target type", "99999999999999999999\n^"),
            ("last/9223372036854775809", "more messages than there can ever be", "9223372036854775809\n^"),
            ("tag/a%0Ab/all", None, "a%0Ab\n ^"),
            ("tag/%ff/all", None, "%ff\n^"),
            ("live/since/1h..0s", "below live/ there is no end: write since/WHEN alone", "1h..0s\n^"),
        ):
            with self.subTest(name=name):
                self.assert_errno(errno.EINVAL, os.stat, self.path("ci/" + name))
                failure = self.last()
                self.assertEqual(failure["errno"], "EINVAL")
                self.assertIn(failure["path"], ("ci/" + name, "ci/" + name[:-4]))
                self.assertEqual(failure["place"], place)
                if message is not None:
                    self.assertEqual(failure["message"], message)
        self.assert_errno(errno.EINVAL, os.stat, self.path("ci/since/yesterday"))
        self.assertEqual(self.last()["place"], "yesterday\n^")

    def test_a_file_that_is_not_there(self):
        for name, place in (("ci/apend", "ci/errors"), ("ci/where/.data.x/append", "ci/errors"), ("notes.txt", ".plasmite/errors")):
            with self.subTest(name=name):
                self.run_fails("echo '{}' > %s" % name, 1, "Operation not permitted")
                failure = self.last(place)
                self.assertEqual((failure["path"], failure["errno"], failure["message"]), (name, "EPERM", "no file can be made here"))
                self.assertIn("append", failure["hint"])

    def test_a_directory_in_a_pool(self):
        self.run_fails("mkdir ci/topic", 1, "Operation not permitted")
        self.assertEqual(self.last(), {
            "path": "ci/topic", "errno": "EPERM", "message": "no directory can be made here",
            "hint": "Pools are made at the top of the mount.",
        })

    def test_a_person_reads_it_with_jq(self):
        self.run_fails("cat ci/since/1hour", 1, "Invalid argument")
        self.assertEqual(self.run_ok("jq -r .place ci/errors"), "1hour\n^\n")

    def test_a_name_that_no_pool_can_have(self):
        self.assert_errno(errno.EINVAL, os.mkdir, self.path("a\nb"))
        self.assertEqual((self.last(".plasmite/errors")["path"], self.last(".plasmite/errors")["errno"]), ("a\nb", "EINVAL"))
        self.assertEqual(self.errors(), [])

    def test_only_the_last_are_kept(self):
        self.mkpool("b")
        for n in range(40):
            self.write("x%d" % n)
            self.write("y%d" % n, "b/append")
        self.assertEqual([f["place"] for f in self.errors()], ["x%d\n^" % n for n in range(8, 40)])
        self.assertEqual([f["place"] for f in self.errors("b/errors")], ["y%d\n^" % n for n in range(8, 40)])
        self.assertEqual(
            [f["place"] for f in self.errors(".plasmite/errors")], ["%s%d\n^" % (c, n) for n in range(8, 40) for c in "xy"]
        )

    def test_they_outlive_what_the_kernel_remembers(self):
        self.write("x")
        if os.geteuid() == 0:
            with open("/proc/sys/vm/drop_caches", "w") as file:
                file.write("2")
        self.assertEqual(len(self.errors()), 1)

    def test_a_new_pool_has_none(self):
        self.write("x")
        os.rmdir(self.path("ci"))
        self.mkpool("ci")
        self.assertEqual(self.read("ci/errors"), "")
        self.assertEqual(len(self.errors(".plasmite/errors")), 1)

    def test_the_file_is_an_ordinary_one(self):
        before = os.stat(self.path("ci/errors"))
        self.assertEqual(os.stat(self.path("ci/errors")).st_mtime_ns, before.st_mtime_ns)
        with open(self.path("ci/errors")) as old:
            self.write("x")
            self.assertEqual(old.read(), "")  # what was opened stays as it was
        self.assertEqual(os.stat(self.path("ci/errors")).st_ino, before.st_ino)
        self.assertGreater(os.stat(self.path("ci/errors")).st_size, 0)
        self.assert_errno(errno.EACCES, os.open, self.path("ci/errors"), os.O_WRONLY)


class Stats(mount.Case):
    def test_stats(self):
        self.mkpool("ci")
        before = json.loads(self.read(".plasmite/stats"))
        self.assertEqual(
            list(before), ["requests", "waiters", "handles", "names", "notifications", "held_bytes", "uptime_s"]
        )
        fd = self.open("ci/append", os.O_WRONLY)
        os.write(fd, b'{"unfinished":"1234567890')
        reader = self.start("cat ci/follow")
        self.wait_blocked(reader)
        after = json.loads(self.read(".plasmite/stats"))
        self.assertEqual((before["waiters"], after["waiters"]), (0, 1))
        self.assertGreater(after["requests"], before["requests"])
        self.assertEqual(after["handles"], 2)
        self.assertEqual((before["held_bytes"], after["held_bytes"]), (0, 25))
        self.kill(reader)
        until("the reader is gone", lambda: json.loads(self.read(".plasmite/stats"))["waiters"] == 0)


if __name__ == "__main__":
    mount.main()
