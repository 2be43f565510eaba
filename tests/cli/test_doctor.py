import json
import os
import struct
import subprocess
import unittest

import harness

GOOD = " — 0 issues\n"


class Doctor(harness.Case):
    def feed(self, name, n):
        self.ok("feed", name, "--create", stdin='{"x":1}\n' * n)

    def break_message(self, name, data):
        """Changes one byte of the stored text."""
        with open(self.file(name), "r+b") as file:
            content = file.read()
            at = content.index(data)
            file.seek(at + 2)
            file.write(b"\x00")

    def test_healthy(self):
        self.ok("pool", "create", "empty")
        self.feed("chat", 4)
        self.assertEqual(self.ok("doctor", "chat").json(), {"reports": [
            {"issue_count": 0, "issues": [], "last_good_seq": 4, "path": self.file("chat"), "pool_ref": "chat",
             "remediation_hints": [], "snapshot_path": None, "status": "ok"}]})
        self.assertEqual(self.ok("doctor", "chat", "--json").out, self.ok("doctor", "chat").out)
        self.assertIsNone(self.ok("doctor", "empty").json()["reports"][0]["last_good_seq"])
        self.assertEqual(self.ok("doctor", "chat", "--format", "pretty").out, "OK: chat\n")
        self.assertEqual(self.terminal("doctor", "chat"),
                         (0, "chat: healthy\n  messages:  4 (seq 1..4)\n  checked:   header, index, ring" + GOOD))
        self.assertEqual(self.terminal("doctor", self.file("empty")),
                         (0, "empty: healthy\n  messages:  empty\n  checked:   header, index, ring" + GOOD))

    def test_corrupt(self):
        self.feed("chat", 3)
        self.ok("feed", "chat", '{"last":"broken"}')
        self.break_message("chat", b'{"last":"broken"}')
        result = self.run_pls("doctor", "chat")
        self.assertEqual((result.rc, result.err), (7, ""))
        report = result.json()["reports"][0]
        self.assertEqual((report["status"], report["last_good_seq"], report["issue_count"]), ("corrupt", 3, 1))
        issue = report["issues"][0]
        self.assertEqual((issue["code"], issue["seq"]), ("corrupt", 3))
        self.assertIn("recreate", report["remediation_hints"][0])
        result = self.run_pls("doctor", "chat", "--format", "pretty")
        self.assertEqual((result.rc, result.out), (7, "CORRUPT: chat last_good_seq=3 issue=%s\n" % issue["message"]))
        rc, shown = self.terminal("doctor", "chat")
        self.assertEqual((rc, shown), (7, "chat: corrupt\n  messages:  3 can be read (seq 1..3)\n  checked:   header, index, ring — 1 issue\n"
                                          "  detail:    %s\n  hint:      %s\n" % (issue["message"], report["remediation_hints"][0])))

    def test_not_a_pool(self):
        os.makedirs(self.pools)
        self.write_file("pools/bad.plasmite", "NOPE")
        self.write_file("pools/zero.plasmite", bytes(65536))
        for name in ("bad", "zero"):
            result = self.run_pls("doctor", name, "--json")
            report = result.json()["reports"][0]
            self.assertEqual((result.rc, report["status"]), (7, "corrupt"))
            self.assertEqual(report["remediation_hints"], [
                "This is no pool, or the beginning of its file is damaged: nothing in it can be read. If it was a pool, remove "
                "the file and recreate it."])
        rc, shown = self.terminal("doctor", "bad")
        self.assertEqual(rc, 7)
        self.assertIn("bad: corrupt\n  messages:  none can be read\n", shown)

    def advice(self, name):
        report = self.run_pls("doctor", name).json()["reports"][0]
        return report["remediation_hints"][0]

    def follow_advice(self, hint):
        """The numbers that each of its commands prints, pasted into a shell."""
        printed = []
        for command in hint.split("`")[1::2]:
            command = command.replace("plasmite", harness.bin_path("plasmite"), 1)
            done = subprocess.run(["sh", "-c", command], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            printed.append([json.loads(line)["seq"] for line in done.stdout.splitlines()])
        return printed

    def test_hint__saves_all_that_can_be_read(self):
        content, header = 2, -30
        rows = [((1,), content, [[2, 3, 4, 5, 6]]), ((6,), content, [[1, 2, 3, 4, 5]]), ((3,), content, [[1, 2], [4, 5, 6]]),
                ((3,), header, [[1, 2], [4, 5, 6]]), ((1, 2, 5), content, [[3, 4], [6]]), ((2, 4), header, [[1], [3], [5, 6]]),
                ((6,), header, [[1, 2, 3, 4, 5]])]
        for options in ((), ("--index-capacity", "0")):
            for numbers, at, expected in rows:
                hint = self.advice(self.damaged(*numbers, at=at, options=options))
                self.assertTrue(hint.startswith("Save what can be read with `plasmite follow --no-follow --from %d " % expected[0][0]), hint)
                self.assertIn("recreate", hint)
                self.assertEqual(self.follow_advice(hint), expected, (numbers, at, hint))

    def test_hint__where_opening_mends(self):
        """The oldest message is not there any more: whoever opens the pool for writing begins behind it."""
        name = self.damaged(1, at=-30)
        hint = self.advice(name)
        rc, shown = self.terminal("doctor", name)
        self.assertIn("messages:  5 are left when it is opened (seq 2..6)\n", shown)
        self.assertEqual(self.follow_advice(hint), [[2, 3, 4, 5, 6]])
        self.ok("doctor", name)

    def another_boot(self, name):
        """The system was started again since the pool was last opened."""
        with open(self.file(name), "r+b") as file:
            file.seek(552)  # boot: pool/layout.h
            file.write(b"\1" * 16)

    def test_hint__tells_before_what_opening_would_cost(self):
        name = self.damaged(4)  # behind the last flush: pages may not have reached the disk
        self.another_boot(name)
        with open(self.file(name), "rb") as file:
            before = file.read()
        hint = self.advice(name)
        rc, shown = self.terminal("doctor", name)
        self.assertIn("messages:  3 are left when it is opened (seq 1..3), 2 are given up\n", shown)
        self.assertTrue(hint.startswith("Opening the pool gives up 2 messages that can still be read behind the damage. "), hint)
        with open(self.file(name), "rb") as file:
            self.assertEqual(file.read(), before)
        os.chmod(self.file(name), 0o444)
        os.chmod(self.pools, 0o755)
        words = hint.split("`")[1].split()
        self.assertEqual(words[1:5], ["follow", "--no-follow", "--from", "5"])
        saved = self.run_as_nobody(*words[1:5], name)
        self.assertEqual([m["seq"] for m in saved.json_lines()], [5, 6])
        os.chmod(self.file(name), 0o600)
        self.assertEqual(self.follow_advice("`" + hint.split("`")[3] + "`"), [[1, 2, 3]])
        self.ok("doctor", name)

    def test_more_damage_in_the_boot_in_which_it_was_written__costs_nothing(self):
        name = self.damaged(1, 4, at=-30)
        rc, shown = self.terminal("doctor", name)
        self.assertIn("messages:  4 are left when it is opened (seq 2..6)\n", shown)
        self.assertTrue(self.advice(name).startswith("Opening the pool mends"))
        self.assertEqual(self.follow_advice(self.advice(name)), [[2, 3]])
        self.assertEqual(self.follow_advice(self.advice(name)), [[2, 3], [5, 6]])

    def test_damage_that_had_been_flushed__stays_where_it_is(self):
        name = self.damaged()
        self.ok("feed", name, '{"message":"number 7"}', "--durability", "flush")
        self.damage(name, 4)
        self.another_boot(name)
        hint = self.advice(name)
        self.assertTrue(hint.startswith("Save what can be read with "), hint)
        self.assertEqual(self.follow_advice(hint), [[1, 2, 3], [5, 6, 7]])

    def test_hint__where_nothing_can_be_read(self):
        name = self.damaged(1, 2, 3, 4, 5, 6)
        self.assertEqual(self.advice(name), "No message can be read any more: delete the pool and recreate it.")
        rc, shown = self.terminal("doctor", name)
        self.assertIn("  messages:  none can be read\n", shown)

    def test_hint__of_much_damage_is_short(self):
        name = self.damaged(*range(11, 40, 2), n=40)
        hint = self.advice(name)
        self.assertEqual(self.follow_advice(hint), [list(range(1, 11))] + [[i] for i in range(12, 26, 2)])
        self.assertIn(" (and 8 more stretches between damage);", hint)
        rc, shown = self.terminal("doctor", name)
        self.assertIn("  messages:  25 can be read (seq 1..10, 12..12, ", shown)

    def test_other_format(self):
        self.feed("chat", 1)
        with open(self.file("chat"), "r+b") as file:
            file.seek(8)
            file.write(struct.pack("<I", 3))  # the version of the format
        result = self.run_pls("doctor", "chat")
        report = result.json()["reports"][0]
        self.assertEqual((result.rc, report["issues"][0]["code"]), (7, "format"))
        self.assertIn("export", report["remediation_hints"][0])

    def test_all__is_sorted(self):
        self.ok("pool", "create", "tour-main", "tour-aux", ".hid")
        self.feed("tour-main", 4)
        self.write_file("pools/notes.txt", "")
        reports = self.ok("doctor", "--all").json()["reports"]
        self.assertEqual([r["pool_ref"] for r in reports], [self.file(n) for n in (".hid", "tour-aux", "tour-main")])
        self.assertEqual(self.ok("doctor", "--all", "--format", "pretty").out,
                         "".join("OK: %s\n" % self.file(n) for n in (".hid", "tour-aux", "tour-main")))
        self.assertEqual(self.terminal("doctor", "--all"), (0,
                         "All 3 pools healthy.\n\n"
                         "  ✓ .hid        0 messages   0 issues\n"
                         "  ✓ tour-aux    0 messages   0 issues\n"
                         "  ✓ tour-main   4 messages   0 issues\n"))

    def test_all__with_bad_ones(self):
        self.feed("good", 1)
        self.write_file("pools/bad one.plasmite", "NOPE")
        result = self.run_pls("doctor", "--all")
        self.assertEqual((result.rc, result.err), (7, ""))
        self.assertEqual([r["status"] for r in result.json()["reports"]], ["corrupt", "ok"])
        rc, shown = self.terminal("doctor", "--all")
        self.assertEqual((rc, shown), (7, "1 of 2 pools unhealthy.\n\n"
                                          "  ✗ bad one   0 messages   1 issue    plasmite doctor 'bad one' --dir %s\n"
                                          "  ✓ good      1 message    0 issues\n" % self.pools))

    def test_all__goes_on_behind_what_cannot_be_looked_at(self):
        self.feed("b", 1)
        self.feed("c", 1)
        os.mkdir(self.file("a"))
        result = self.run_pls("doctor", "--all")
        self.assertEqual(result.rc, 8)
        self.assertEqual([r["pool_ref"] for r in result.json()["reports"]], [self.file("b"), self.file("c")])
        self.assertEqual((result.error()["kind"], result.error()["path"]), ("Io", self.file("a")))
        rc, shown = self.terminal("--color", "never", "doctor", "--all")
        self.assertEqual(rc, 8)
        self.assertTrue(shown.startswith("The other 2 pools healthy.\n\n  ✓ b   1 message   0 issues\n"), shown)

    def test_all__of_nothing(self):
        error = self.refused("NotFound", "doctor", "--all")
        self.assertEqual((error["message"], error["path"]), ("failed to read pool directory", self.pools))
        os.makedirs(self.pools)
        self.assertEqual(self.ok("doctor", "--all").json(), {"reports": []})
        none = "There are no pools in this directory.\n"
        self.assertEqual(self.ok("doctor", "--all", "--format", "pretty").out, none)
        self.assertEqual(self.terminal("doctor", "--all"), (0, none))

    def test_what_cannot_be_asked(self):
        error = self.refused("Usage", "doctor", "foo", "--all")
        self.assertEqual(error["message"], "--all cannot be combined with a pool name")
        self.assertIn("Use --all by itself", error["hint"])
        self.assertEqual(self.refused("Usage", "doctor", "--json")["message"], "doctor requires a pool name or --all")
        error = self.refused("NotFound", "doctor", "missing")
        self.assertEqual((error["message"], error["path"]), ("not found", self.file("missing")))
        self.refused("Usage", "doctor", "http://127.0.0.1:1/demo")

    def test_names__cannot_steer_a_terminal(self):
        name = "a\x1b[31mb\nc"
        self.ok("pool", "create", name)
        for words in (["doctor", "--all"], ["doctor", name], ["pool", "list"], ["pool", "info", name], ["pool", "create", name + "d"],
                      ["pool", "create", name + "e", name + "f"]):
            rc, shown = self.terminal(*words)
            self.assertEqual(rc, 0)
            self.assertRegex(shown, r"a\\x1b\[31mb(\\x0a|\\n)c")
            self.assertNotIn("\x1b", shown)
        for words in (["doctor", name], ["pool", "info", name]):
            shown = self.ok(*words, "--format", "pretty").out
            self.assertRegex(shown, r"a\\x1b\[31mb(\\x0a|\\n)c")
        rc, shown = self.terminal("--color", "never", "tap", name, "--", "printf", "\x1b[1m")
        self.assertIn(r"tapping $'a\033[31mb\012c' <- printf $'\033[1m'", shown)
        self.assertIn(r" -> $'a\033[31mb\012c' exit 0", shown)
        rc, shown = self.terminal("--color", "never", "--dir", self.path("a\x1bb"), "pool", "list", use_dir=False)
        self.assertEqual(shown, "No pools in ~/a\\x1bb/\n\nMake one with `plasmite pool create chat --dir $'%s/a\\033b'`.\n" % self.dir)

    def test_reads_only(self):
        self.feed("chat", 3)
        os.chmod(self.file("chat"), 0o400)
        before = os.stat(self.file("chat"))
        self.ok("doctor", "chat")
        after = os.stat(self.file("chat"))
        self.assertEqual((before.st_mtime_ns, before.st_size), (after.st_mtime_ns, after.st_size))

    def test_beside_a_writer(self):
        self.ok("pool", "create", "busy", "--size", "64K")
        feed = self.start("feed", "busy")
        for i in range(20):
            feed.write('{"pad":"%s"}\n' % ("x" * 3000))
            feed.line()
            self.ok("doctor", "busy")
        feed.close_stdin()
        self.assertEqual(feed.wait(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
