import json
import os
import subprocess
import unittest

import harness


class Pool(harness.Case):
    def test_create__reports_the_pool(self):
        created = self.ok("pool", "create", "--json", "chat").json()["created"]
        self.assertEqual(created, [{
            "bounds": {}, "file_size": 1048576, "index_capacity": 4096, "index_offset": 4096, "index_size_bytes": 65536,
            "metrics": {"age": {"newest_age_ms": None, "newest_time": None, "oldest_age_ms": None, "oldest_time": None},
                        "message_count": 0, "seq_span": 0,
                        "utilization": {"free_bytes": 978944, "used_bytes": 0, "used_percent": 0.0}},
            "name": "chat", "path": self.file("chat"), "ring_offset": 69632, "ring_size": 978944}])
        self.assertEqual(self.ok("pool", "create", "foo.plasmite").json()["created"][0]["name"], "foo.plasmite")
        self.assertEqual(os.stat(self.file("chat")).st_mode & 0o7777, 0o600)
        self.assertEqual(os.stat(self.pools).st_mode & 0o7777, 0o700)

    def test_create__as_a_table(self):
        self.assertEqual(self.ok("pool", "create", "chat", "--format", "pretty").out,
                         "NAME  SIZE     INDEX  PATH         \nchat  1048576  4096   chat.plasmite\n")

    def test_create__sizes_and_index(self):
        def layout(*args):
            info = self.ok("pool", "create", *args).json()["created"][0]
            return [info[k] for k in ("file_size", "index_capacity", "index_size_bytes", "ring_offset", "ring_size")]
        self.assertEqual(layout("a", "--size", "1M", "--index-capacity", "1024"), [1048576, 1024, 16384, 20480, 1028096])
        self.assertEqual(layout("b", "--index-capacity", "0"), [1048576, 0, 0, 4096, 1044480])
        self.assertEqual(layout("c", "--size", "8K"), [8192, 32, 512, 4608, 3584])
        self.assertEqual(layout("d", "--size", "64k"), [65536, 256, 4096, 8192, 57344])
        error = self.refused("Usage", "pool", "create", "--size", "64K", "--index-capacity", "5000", "e")
        self.assertIn("index capacity", error["message"])
        for size, message in [("8191", "file_size must exceed header and index size"),
                              ("0", "file_size must exceed header and index size"), ("x", "invalid size"),
                              ("1MiB", "invalid size suffix"), ("17179869184G", "size overflow")]:
            self.assertEqual(self.refused("Usage", "pool", "create", "e", "--size", size)["message"], message)
        self.assertFalse(os.path.exists(self.file("e")))

    def test_create__then_feed_fetch_and_follow(self):
        self.ok("pool", "create", "demo", "--size", "128K")
        seq = self.ok("feed", "demo", '{"x":1}', "--tag", "ping").json()["seq"]
        self.assertEqual(self.ok("fetch", "demo", str(seq)).json()["seq"], seq)
        follow = self.start("follow", "demo", "--tail", "1", "--jsonl")
        self.assertEqual(follow.json_line()["seq"], seq)

    def test_create__that_fails_leaves_nothing(self):
        error = self.refused("Io", "pool", "create", "huge", "--size", "1000000G")
        self.assertEqual((error["message"], error["path"]), ("failed to size pool file", self.file("huge")))
        self.refused("Io", "tap", "huge", "--create-size", "1000000G", "--", "true")
        self.assertEqual(os.listdir(self.pools), [])

    def test_create__never_touches_an_existing_one(self):
        self.ok("pool", "create", "chat")
        self.ok("feed", "chat", '{"x":1}')
        error = self.refused("AlreadyExists", "pool", "create", "new", "chat", "other")
        self.assertEqual((error["message"], error["path"]), ("pool already exists", self.file("chat")))
        self.assertIn("different name", error["hint"])
        self.assertTrue(os.path.exists(self.file("new")))
        self.assertFalse(os.path.exists(self.file("other")))
        self.assertEqual(self.ok("pool", "info", "chat").json()["metrics"]["message_count"], 1)

    def test_create__mode(self):
        self.ok("pool", "create", "chat", "--mode", "0664")
        self.assertEqual(os.stat(self.file("chat")).st_mode & 0o7777, 0o664)
        for mode in ["64", "00640", "abc", "888"]:
            self.assertEqual(self.refused("Usage", "pool", "create", "x", "--mode", mode)["message"], "invalid mode")

    def test_info__counts(self):
        self.ok("pool", "create", "chat")
        self.ok("feed", "chat", stdin='{"x":1}{"x":2}')
        info = self.ok("pool", "info", "chat").json()
        self.assertEqual(info["bounds"], {"newest": 2, "oldest": 1})
        metrics = info["metrics"]
        self.assertEqual((metrics["message_count"], metrics["seq_span"]), (2, 2))
        use = metrics["utilization"]
        self.assertEqual(use["used_bytes"] + use["free_bytes"], info["ring_size"])
        self.assertGreater(use["used_bytes"], 0)
        times = [m["time"] for m in self.ok("follow", "chat", "--no-follow").json_lines()]
        self.assertEqual([metrics["age"]["oldest_time"], metrics["age"]["newest_time"]], times)
        self.assertIsInstance(metrics["age"]["oldest_age_ms"], int)

    def test_info__as_text(self):
        self.ok("pool", "create", "chat")
        out = self.ok("pool", "info", "chat", "--format", "pretty").out
        self.assertEqual(out, "Pool: chat\nPath: %s\n"
                              "Size: 1048576 bytes (index: offset=4096 slots=4096 bytes=65536, ring: offset=69632 size=978944)\n"
                              "Bounds: oldest=- newest=- count=0\nUtilization: used=0B free=978944B (0.00%%)\n"
                              "Oldest: - (-)\nNewest: - (-)\n" % self.file("chat"))
        rc, shown = self.terminal("--color", "never", "pool", "info", "chat")
        self.assertEqual((rc, shown), (0, "chat\n  path:      chat.plasmite\n  size:      1M (0 used, 0.00%)\n"
                                          "  messages:  empty\n  oldest:    —\n  newest:    —\n"
                                          "  index:     4096 slots (64K)\n  ring:      956K\n"))

    def test_info__of_a_missing_pool_has_neither_path_nor_causes(self):
        error = self.refused("NotFound", "pool", "info", "channel")
        self.assertEqual(sorted(error), ["hint", "kind", "message"])
        self.assertEqual(error["message"], "not found")
        self.assertIn("plasmite pool create channel", error["hint"])

    def test_damaged_files__are_corrupt(self):
        self.ok("pool", "create", "probe")
        with open(self.file("probe"), "rb") as file:
            whole = file.read()
        for content in [b"", whole[:1], whole[:len(whole) // 2], whole[:-128], bytes(4096), b"NOPE"]:
            with open(self.file("probe"), "wb") as file:
                file.write(content)
            error = self.refused("Corrupt", "pool", "info", "probe")
            self.assertEqual(error["path"], self.file("probe"))
            self.assertIn("ecreate", error["hint"])

    def test_list__is_sorted_and_shows_bad_ones(self):
        self.assertEqual(self.ok("pool", "list").json(), {"pools": []})
        self.ok("pool", "create", "beta", "alpha")
        self.ok("feed", "beta", '{"x":1}')
        pools = self.ok("pool", "list").json()["pools"]
        self.assertEqual([p["name"] for p in pools], ["alpha", "beta"])
        self.assertEqual(sorted(pools[0]), ["bounds", "file_size", "mtime", "name", "path"])
        self.assertEqual(pools[1]["bounds"], {"newest": 1, "oldest": 1})
        with open(self.file("bad"), "w") as file:
            file.write("NOPE")
        bad = self.ok("pool", "list").json()["pools"][1]
        self.assertEqual((bad["name"], bad["error"]["error"]["kind"]), ("bad", "Corrupt"))
        lines = self.ok("pool", "list", "--format", "pretty").lines()
        self.assertEqual(lines[0].split(), ["NAME", "STATUS", "SIZE", "OLDEST", "NEWEST", "MTIME", "PATH", "DETAIL"])
        self.assertEqual(lines[2].split()[:2], ["bad", "ERR"])
        self.assertEqual(lines[3].split()[:5], ["beta", "OK", "1048576", "1", "1"])

    def test_delete__tries_every_name(self):
        self.ok("pool", "create", "a", "b")
        result = self.run_pls("pool", "delete", "a", "missing", "http://127.0.0.1:9700/demo", "b")
        self.assertEqual((result.rc, result.err), (3, ""))
        report = result.json()
        self.assertEqual(report["deleted"], [{"path": self.file("a"), "pool": "a"}, {"path": self.file("b"), "pool": "b"}])
        self.assertEqual([(f["pool"], f["error"]["kind"]) for f in report["failed"]],
                         [("missing", "NotFound"), ("http://127.0.0.1:9700/demo", "Usage")])
        self.assertEqual(os.listdir(self.pools), [])

    def test_delete__as_a_table(self):
        self.ok("pool", "create", "ok")
        result = self.run_pls("pool", "delete", "ok", "missing", "--format", "pretty")
        self.assertEqual(result.rc, 3)
        self.assertEqual([line.split()[:2] for line in result.lines()], [["NAME", "STATUS"], ["ok", "OK"], ["missing", "ERR"]])

    def test_delete__leaves_files_alone_that_are_no_pools(self):
        notes = self.write_file("notes.txt", "precious\n" * 1000)
        named = self.write_file("damaged.plasmite", "NOPE")
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        result = self.run_pls("pool", "delete", notes, named, fifo, self.dir)
        report = result.json()
        self.assertEqual(result.rc, 2)
        self.assertEqual([entry["pool"] for entry in report["deleted"]], [named])
        self.assertEqual([(entry["error"]["kind"], entry["error"]["message"]) for entry in report["failed"]],
                         [("Usage", "not a pool file")] * 3)
        self.assertTrue(os.path.exists(notes) and os.path.exists(fifo))

    def test_references(self):
        path = self.path("else", "where.db")
        self.ok("pool", "create", path)
        self.assertTrue(os.path.exists(path))
        self.ok("feed", path, '{"x":1}')
        self.assertEqual(self.ok("fetch", path, "1").json()["data"], {"x": 1})
        error = self.refused("Usage", "pool", "create", "n" * 201)
        self.assertIn("200", error["message"])
        self.assertEqual(self.ok("pool", "create", "mine", use_dir=False).json()["created"][0]["path"],
                         self.path(".plasmite", "pools", "mine.plasmite"))

    # On a terminal.

    def test_create__on_a_terminal(self):
        self.assertEqual(self.terminal("pool", "create", "chat"),
                         (0, "Created chat (1M, 4096 index slots)\n  path: chat.plasmite\n"))
        self.assertEqual(self.terminal("pool", "create", "a", "b", "--size", "64K", "--index-capacity", "0"),
                         (0, "Created 2 pools:\n  - a (a.plasmite, 64K, 0 index slots)\n  - b (b.plasmite, 64K, 0 index slots)\n"))

    def test_info__on_a_terminal(self):
        self.ok("pool", "create", "chat", "--size", "64K")
        self.ok("feed", "chat", stdin='{"x":1}{"x":2}')
        info = self.ok("pool", "info", "chat").json()
        time = info["metrics"]["age"]["oldest_time"][:19] + "Z"
        use = info["metrics"]["utilization"]
        rc, shown = self.terminal("pool", "info", "chat")
        self.assertEqual(rc, 0)
        self.assertRegex(shown, r"\Achat\n  path:      chat.plasmite\n  size:      64K \(%d used, %.2f%%\)\n  messages:  2 \(seq 1..2\)\n"
                                r"  oldest:    \ds ago \(%s\)\n  newest:    \ds ago \(%s\)\n  index:     256 slots \(4K\)\n  ring:      56K\n\Z"
                                % (use["used_bytes"], use["used_percent"], time, time))

    def test_list__on_a_terminal(self):
        for name, shown in (("pools", "./pools/"), ("./pools", "./pools/"), (".", "./"), ("pools/", "./pools/"), ("../%s" % os.path.basename(self.dir), "../%s/" % os.path.basename(self.dir))):
            rc, out = self.terminal("--dir", name, "pool", "list", use_dir=False, cwd=self.dir)
            self.assertEqual(out.splitlines()[0], "No pools in " + shown)
        none = "No pools in ~/pools/\n\nMake one with `plasmite pool create chat --dir %s`.\n" % self.pools
        self.assertEqual(self.terminal("pool", "list", cwd="/"), (0, none))
        self.ok("pool", "create", "chat")
        self.ok("feed", "chat", "{}")
        past = 5000
        for name, ago in (("chat", past), ("a b", -past)):
            if name != "chat":
                self.ok("pool", "create", name)
            now = os.stat(self.file(name)).st_mtime
            os.utime(self.file(name), (now, now - ago))
        self.assertEqual(self.terminal("pool", "list"), (0,
                         "NAME  SIZE  MSGS  MODIFIED  PATH         \n"
                         "a b   1M    0     1s ago    a b.plasmite \n"
                         "chat  1M    1     1h ago    chat.plasmite\n"))
        self.write_file("pools/bad.plasmite", "NOPE")
        rc, shown = self.terminal("pool", "list")
        lines = [line.split() for line in shown.splitlines()]
        self.assertEqual(lines[0], ["NAME", "STATUS", "SIZE", "OLDEST", "NEWEST", "MTIME", "PATH", "DETAIL"])
        self.assertEqual(lines[2][:7], ["bad", "ERR", "-", "-", "-", "-", "bad.plasmite"])
        self.assertEqual(lines[3], ["chat", "OK", "1M", "1", "1", "1h", "ago", "chat.plasmite"])

    def test_delete__on_a_terminal(self):
        self.ok("pool", "create", "a", "b", "c", "d", "archive", "\033odd")
        os.mkdir(self.file("dir"))
        tail = "\nPool directory: ~/pools/\n`plasmite pool list --dir %s` shows what is there.\n" % self.pools
        for names, rc, shown in (
                (["a"], 0, "Deleted:\n  ✓ a\n"),
                (["a"], 3, "Not deleted:\n  ✗ a — pool not found\n" + tail),
                (["dir"], 8, "Not deleted:\n  ✗ dir — failed to delete pool: Is a directory (os error 21)\n" + tail),
                (["b", "c"], 0, "Deleted 2 pools:\n\n  ✓ b\n  ✓ c\n\nPool directory: ~/pools/\n"),
                (["b", "d"], 3, "Deleted 1 of 2 pools:\n\n  ✗ b — pool not found\n  ✓ d\n" + tail),
                (["\033od"], 3, "Not deleted:\n  ✗ \\x1bod — pool not found. Did you mean `$'\\033odd'`?\n" + tail),
                (["archve", "b"], 3, "Deleted 0 of 2 pools:\n\n  ✗ archve — pool not found. Did you mean `archive`?\n"
                                     "  ✗ b — pool not found\n" + tail)):
            self.assertEqual(self.terminal("pool", "delete", *names, cwd="/"), (rc, shown))

    # Names and directories.

    def test_names__may_be_odd(self):
        odd = ["a b", "it's", ".hid", "..", "UPPER", "ünï", "a.b", "x.plasmite", "tab\tnew\nline"]
        self.ok("pool", "create", *odd)
        self.ok("pool", "create", "--", "-dash")
        self.ok("feed", "it's", "{}", "--tag", "")
        self.assertEqual(self.ok("fetch", "it's", "1").json()["meta"], {"tags": [""]})
        names = [p["name"] for p in self.ok("pool", "list").json()["pools"]]
        expected = [n[:-9] if n.endswith(".plasmite") else n for n in odd] + ["-dash"]
        self.assertEqual(names, sorted(expected, key=str.encode))
        self.assertIn(r"tab\tnew\nline  OK", self.ok("pool", "list", "--format", "pretty").out)
        # The empty name is a file that no list shows.
        self.ok("pool", "create", "")
        self.assertEqual(self.ok("pool", "info", "").json()["path"], os.path.join(self.pools, ".plasmite"))
        self.assertEqual(len(self.ok("pool", "list").json()["pools"]), len(names))
        self.ok("pool", "delete", "", ".hid", "--", "-dash")

    def test_urls__are_usage(self):
        for words in (["pool", "create"], ["pool", "info"], ["doctor"], ["fetch"]):
            for url in "http://h/p", "https://h/p", "ftp://h/p":
                error = self.refused("Usage", *words, url, *(["1"] if words == ["fetch"] else []), cwd=self.dir)
                self.assertTrue(error["message"])
        self.assertEqual(os.listdir(self.dir), [])
        failed = self.run_pls("pool", "delete", "http://h/p").json()["failed"][0]
        self.assertEqual(failed["error"]["message"], "pool delete accepts local pool names or paths only")

    def test_hints__work_in_a_shell(self):
        error = self.refused("NotFound", "pool", "info", "it's here")
        done = subprocess.run(["sh", "-c", self.command_in(error["hint"])], env=self.env, stdout=subprocess.PIPE)
        self.assertEqual((done.returncode, os.listdir(self.pools)), (0, ["it's here.plasmite"]))
        error = self.run_pls("pool", "delete", "nope").json()["failed"][0]["error"]
        done = subprocess.run(["sh", "-c", self.command_in(error["hint"])], env=self.env, stdout=subprocess.PIPE)
        self.assertIn(b"it's here", done.stdout)
        with open(self.file("it's here"), "w") as file:
            file.write("NOPE")
        error = self.refused("Corrupt", "pool", "info", "it's here")
        done = subprocess.run(["sh", "-c", self.command_in(error["hint"])], env=self.env, stdout=subprocess.PIPE)
        self.assertEqual((done.returncode, b'"corrupt"' in done.stdout), (7, True))

    def test_hints__have_no_half_commands(self):
        deep = self.path("d" * 200, "d" * 200)
        os.makedirs(deep)
        name = "x'" * 60
        error = self.refused("NotFound", "--dir", deep, "pool", "info", name, use_dir=False)
        self.assertEqual(error["hint"], "Create it first with `plasmite pool create`, or point --dir at the directory that holds it.")
        deep = os.path.join(deep, "d" * 200)
        error = self.run_pls("--dir", deep, "pool", "delete", "nope", use_dir=False).json()["failed"][0]["error"]
        self.assertEqual(error["hint"], "`plasmite pool list` with your --dir shows what is there.")
        os.makedirs(deep)
        with open(os.path.join(deep, name + ".plasmite"), "w") as file:
            file.write("NOPE")
        error = self.refused("Corrupt", "--dir", deep, "pool", "info", name, use_dir=False)
        self.assertIn("`plasmite doctor POOL`, or delete", error["hint"])

    @staticmethod
    def command_in(hint):
        return hint.split("`")[1].replace("plasmite", harness.bin_path("plasmite"), 1)

    def test_list__of_what_is_no_directory(self):
        self.write_file("pools", "a file")
        entries = self.ok("pool", "list").json()["pools"]
        self.assertEqual([(e["name"], e["path"], e["error"]["error"]["kind"]) for e in entries], [("pools", self.pools, "Io")])
        self.assertIn("Not a directory", self.ok("pool", "list", "--format", "pretty").out)
        self.refused("Io", "doctor", "--all")
        self.refused("Io", "pool", "create", "x")

    def test_list__of_old_files(self):
        self.ok("pool", "create", "chat")
        os.utime(self.file("chat"), (0, 0))
        self.assertIsNone(self.ok("pool", "list").json()["pools"][0]["mtime"])
        os.utime(self.file("chat"), (5, 5))
        self.assertEqual(self.ok("pool", "list").json()["pools"][0]["mtime"], "1970-01-01T00:00:05.000000000Z")

    # Names that are nearly right.

    def test_missing_pool__names_the_one_that_may_be_meant(self):
        self.ok("pool", "create", "deploys", "it's here", "x")
        commands = [("feed", "NAME", "{}"), ("follow", "NAME"), ("fetch", "NAME", "1"), ("duplex", "NAME", "--me", "a"),
                    ("tap", "NAME", "--", "true"), ("doctor", "NAME"), ("pool", "info", "NAME")]
        path = os.path.join(self.pools, "deploys")
        rows = [("deploy", "deploys"), ("dpeloys", "deploys"), ("its here", "'it'\\''s here'"), ("deplois.plasmite", "deploys.plasmite"),
                (path, path + ".plasmite"), (path[:-1] + ".plasmite", path + ".plasmite")]
        for typed, meant in rows:
            for command in commands:
                error = self.refused("NotFound", *[typed if word == "NAME" else word for word in command])
                self.assertTrue(error["hint"].startswith("Did you mean `%s`? " % meant), (command, typed, error["hint"]))
            result = self.run_pls("pool", "delete", typed, "x" * 9)
            hint = result.json()["failed"][0]["error"]["hint"]
            self.assertEqual(hint.split(" `plasmite pool list")[0], "Did you mean `%s`?" % meant)
        self.assertIn("exact command: plasmite feed deploy --create", self.refused("NotFound", "feed", "deploy", "{}")["hint"])
        rc, shown = self.terminal("--color", "never", "follow", "deploy")
        self.assertIn("hint: Did you mean `deploys`? The pool is missing.", shown)

    def test_missing_pool__is_not_guessed_at(self):
        self.ok("pool", "create", "deploys", "x", "n" * 200)
        for typed in "y", "chat", "", "deplyos-of-today", "n" * 199, "./missing", "/nowhere/deploy":
            self.assertNotIn("Did you mean", self.refused("NotFound", "follow", typed)["hint"], typed)

    # Somebody who may not.

    def give_away(self, mode):
        if self.is_root():
            for path in [self.pools] + [os.path.join(self.pools, name) for name in os.listdir(self.pools)]:
                os.chown(path, 65534, 65534)
        os.chmod(self.pools, mode)
        self.addCleanup(os.chmod, self.pools, 0o700)

    def test_directory_not_writable(self):
        self.ok("pool", "create", "base")
        self.give_away(0o555)
        result = self.run_as_nobody("pool", "create", "other")
        error = result.error()
        self.assertEqual((result.rc, error["kind"], error["message"]), (6, "Permission", "failed to create pool file (permission denied)"))
        self.assertIn("--dir", error["hint"])
        self.assertEqual(error["causes"], ["Permission denied (os error 13)"])
        result = self.run_as_nobody("pool", "delete", "base")
        failed = result.json()["failed"][0]["error"]
        self.assertEqual((result.rc, failed["kind"], failed["message"]), (8, "Io", "failed to delete pool"))
        self.assertNotIn("hint", failed)
        result = self.run_as_nobody("pool", "delete", "base", "--format", "pretty")
        self.assertEqual((result.rc, result.lines()[1].split()[:3]), (8, ["base", "ERR", "base.plasmite"]))

    def test_directory_not_readable(self):
        self.ok("pool", "create", "base")
        self.give_away(0o311)
        entry = self.run_as_nobody("pool", "list").json()["pools"][0]
        self.assertEqual((entry["name"], entry["error"]["error"]["kind"]), ("pools", "Io"))
        self.assertEqual(self.run_as_nobody("pool", "info", "base").rc, 0)
        self.assertEqual(self.run_as_nobody("doctor", "--all").error()["kind"], "Permission")

    def test_pool_not_readable(self):
        self.ok("pool", "create", "mine", "theirs")
        self.give_away(0o755)
        os.chmod(self.file("theirs"), 0)
        entries = self.run_as_nobody("pool", "list").json()["pools"]
        self.assertEqual([e.get("error", {}).get("error", {}).get("kind") for e in entries], [None, "Permission"])
        result = self.run_as_nobody("pool", "info", "theirs")
        self.assertEqual((result.rc, result.error()["kind"]), (6, "Permission"))

    # Output that fails.

    def test_full_output__is_an_error(self):
        self.ok("pool", "create", "chat", "x", "y")
        reports = [["pool", "list"], ["pool", "info", "chat"], ["doctor", "chat"], ["doctor", "--all"], ["version"]]
        for words in reports + [w + ["--format", "pretty"] for w in reports] + [
                ["pool", "create", "new"], ["pool", "create", "newer", "--format", "pretty"],
                ["pool", "delete", "x"], ["pool", "delete", "y", "--format", "pretty"],
                ["--version"], ["--help"], ["pool", "--help"], ["help", "feed"]]:
            with open("/dev/full", "wb") as full:
                done = subprocess.run(self.argv(*words), stdout=full, stderr=subprocess.PIPE, env=self.env)
            error = json.loads(done.stderr)["error"]
            self.assertEqual((done.returncode, error["kind"], error["message"]), (8, "Io", "failed to write output"), words)

    def test_reader_that_goes__is_no_error(self):
        self.ok("pool", "create", *["p%03d" % i for i in range(200)], "--size", "8K")
        script = '"$0" --dir "$1" pool list --format pretty | head -n1'
        done = subprocess.run(["bash", "-o", "pipefail", "-c", script, harness.bin_path("plasmite"), self.pools],
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
