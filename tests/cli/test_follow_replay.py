import json
import os
import subprocess
import time
import unittest

import harness


class Replay(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def feed(self, *data):
        for one in data:
            self.ok("feed", "demo", json.dumps(one))

    def feed_apart(self, first, second, seconds=0.2):
        self.feed(first)
        time.sleep(seconds)  # the distance of their times is what is tested
        self.feed(second)

    def replay(self, *args):
        return self.ok("follow", "demo", "--replay", *args, "--jsonl")

    def data(self, *args):
        return [m["data"] for m in self.replay(*args).json_lines()]

    def took(self, *args):
        begin = time.monotonic()
        n = len(self.replay(*args).lines())
        return n, time.monotonic() - begin

    def test_no_pauses(self):  # 11.2, 43, 44, 49 to 53
        self.assertEqual(self.replay("0", "--tail", "100").out, "")
        self.assertEqual(self.replay("1", "--since", "1h").out, "")
        self.feed_apart({"i": 1, "level": "info"}, {"i": 2, "level": "error"})
        self.feed({"i": 3, "level": "info"})
        everything = self.ok("follow", "demo", "--no-follow").out
        self.assertEqual(self.replay("0", "--tail", "100").out, everything)
        self.assertEqual(self.replay("0", "--since", "1h").out, everything)
        self.assertEqual([d["i"] for d in self.data("0", "--tail", "2")], [2, 3])
        self.assertEqual([d["i"] for d in self.data("0", "--tail", "9", "--where", '.data.level == "error"')], [2])
        self.assertEqual(self.replay("0", "--tail", "1", "--data-only").out, '{"i":3,"level":"info"}\n')
        for speed in ("0", "1"):
            self.assertEqual([d["i"] for d in self.data(speed, "--tail", "100", "--one")], [1])
        self.assertEqual(self.took("1000000000", "--tail", "9")[0], 3)
        self.assertLess(min(self.took("0", "--tail", "9")[1] for _ in range(5)), 0.2)

    def test_pauses(self):  # 11.2, 45 and 46
        self.feed_apart({"i": 1}, {"i": 2}, 0.2)
        n, seconds = self.took("1", "--tail", "100")
        self.assertEqual(n, 2)
        self.assertGreaterEqual(seconds, 0.2)
        n, seconds = self.took("2", "--from", "1")
        self.assertEqual(n, 2)
        self.assertGreaterEqual(seconds, 0.1)
        n, seconds = self.took(".5", "--since", "1h", "--timeout", "1ms")
        self.assertEqual(n, 2)
        self.assertGreaterEqual(seconds, 0.4)

    def test_pauses__are_those_between_selected_messages(self):
        self.feed_apart({"i": 1}, {"i": 2}, 0.3)
        n, seconds = self.took("0.001", "--tail", "9", "--where", ".data.i == 2")
        self.assertEqual(n, 1)
        self.assertLess(seconds, 60)

    def test_first_message__comes_at_once(self):
        self.feed_apart({"i": 1}, {"i": 2}, 0.01)
        follow = self.start("follow", "demo", "--tail", "2", "--replay", "1e-12", "--data-only")
        self.assertEqual(follow.line(), '{"i":1}')
        self.assertIsNone(follow.popen.poll())
        follow.signal(harness.signal.SIGINT)
        self.assertEqual(follow.wait(), -harness.signal.SIGINT)

    def test_pretty(self):
        self.feed_apart({"i": 1}, {"i": 2}, 0.01)
        args = ("follow", "demo", "--tail", "2", "--format", "pretty")
        self.assertEqual(self.ok(*args, "--replay", "1").out, self.ok(*args, "--no-follow").out)
        rc, shown = self.terminal("follow", "demo", "--tail", "1", "--data-only", "--replay", "1")
        self.assertEqual((rc, shown), (0, '\033[39m{\033[0m\n  \033[36m"i"\033[0m\033[39m:\033[0m \033[33m2\033[0m\n\033[39m}\033[0m\n'))

    def test_selection__is_fixed_and_survives_overwriting(self):
        self.feed_apart({"i": 1}, {"i": 2}, 0.05)
        follow = self.start("follow", "demo", "--from", "1", "--replay", "0.025", "--data-only")
        self.assertEqual(follow.line(), '{"i":1}')  # two seconds of pause begin
        self.ok("feed", "demo", stdin='{"pad":"%s"}\n' % ("p" * 8192) * 300)
        self.refused("NotFound", "fetch", "demo", "2")
        self.assertEqual(follow.wait(), 0)
        self.assertEqual((follow.out.rest(), follow.err.rest()), ('{"i":2}\n', ""))

    def test_deleted_meanwhile__prints_what_was_selected(self):
        self.feed_apart({"i": 1}, {"i": 2}, 0.02)
        follow = self.start("follow", "demo", "--from", "1", "--replay", "0.02", "--data-only")
        self.assertEqual(follow.line(), '{"i":1}')
        self.ok("pool", "delete", "demo")
        self.assertEqual(follow.wait(), 3)
        self.assertEqual(follow.out.rest(), '{"i":2}\n')
        self.assertEqual(json.loads(follow.err.rest())["error"]["kind"], "NotFound")

    def test_reader_that_leaves_in_a_pause__ends_it(self):
        self.feed_apart({"i": 1}, {"i": 2}, 0.01)
        script = '"$0" --dir "$1" follow demo --tail 2 --replay 1e-12 | head -n1'
        done = subprocess.run(["bash", "-o", "pipefail", "-c", script, harness.bin_path("plasmite"), self.pools],
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.LIMIT)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_full_output__is_an_error(self):
        self.feed({"i": 1})
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.argv("follow", "demo", "--tail", "1", "--replay", "1"), stdout=full,
                                  stderr=subprocess.PIPE, env=self.env)
        self.assertEqual((done.returncode, json.loads(done.stderr)["error"]["kind"]), (8, "Io"))

    def test_from_below_the_oldest__tells_what_is_missing(self):
        self.ok("feed", "demo", stdin='{"pad":"%s"}\n' % ("p" * 8192) * 300)
        for speed in ("0", "1"):
            result = self.run_pls("follow", "demo", "--from", "1", "--replay", speed)
            seqs = [m["seq"] for m in result.json_lines()]
            self.assertEqual((result.rc, seqs), (9, list(range(seqs[0], 301))))
            notice, error = [json.loads(line) for line in result.err.splitlines()]
            self.assertEqual(notice["notice"]["details"]["next_seen_seq"], seqs[0])
            self.assertEqual((error["error"]["kind"], error["error"]["seq"]), ("RetentionGap", 1))
            quiet = self.run_pls("follow", "demo", "--from", "1", "--replay", speed, "--quiet-drops")
            self.assertEqual((quiet.rc, quiet.error()["kind"]), (9, "RetentionGap"))

    def test_refused(self):  # 11.2, 47 and 48
        for start in ([], ["--tail", "0"], ["--no-follow"]):
            error = self.refused("Usage", "follow", "demo", "--replay", "1", *start)
            self.assertEqual(error["message"], "--replay requires --tail or --since")
            self.assertIn("--tail N", error["hint"])
        self.assertEqual(self.refused("Usage", "follow", "demo", "--tail", "5", "--replay", "-1")["message"],
                         "unexpected argument '-1' found")
        for speed, message in [("-1", "--replay speed must be non-negative"), ("-inf", "--replay speed must be non-negative"),
                               ("nan", "--replay speed must be a finite number"), ("inf", "--replay speed must be a finite number"),
                               ("1e999", "--replay speed must be a finite number")]:
            error = self.refused("Usage", "follow", "missing", "--tail", "5", "--replay=" + speed)
            self.assertEqual(error["message"], message)
            self.assertIn("--replay 1", error["hint"])
        for speed in ("", "fast", "1x", "0x10", " 1", "1 ", "nan(1)", "1,5"):
            error = self.refused("Usage", "follow", "demo", "--tail", "5", "--replay=" + speed)
            self.assertEqual(error["message"], "invalid value '%s' for '--replay <REPLAY>': invalid float literal" % speed)
            self.assertIn("--replay 1 for the pace", error["hint"])
            self.assertIn("`plasmite follow --help`", error["hint"])

    def test_future_and_missing(self):
        self.assertEqual(self.replay("1", "--since", "2999-01-01T00:00:00Z").out, "")
        self.refused("NotFound", "follow", "missing", "--tail", "1", "--replay", "1")


if __name__ == "__main__":
    unittest.main(verbosity=2)
