import json
import os
import threading
import unittest

import harness


class Where(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def feed(self, data, *tags):
        self.ok("feed", "demo", json.dumps(data), *[word for tag in tags for word in ("--tag", tag)])

    def data(self, *args):
        return [m["data"] for m in self.ok("follow", "demo", "--no-follow", *args).json_lines()]

    def where(self, *expressions):
        return self.data(*[word for e in expressions for word in ("--where", e)])

    def test_tags_are_seen(self):  # 11.2, 10 and 12
        self.feed({"x": 1}, "drop")
        self.feed({"x": 2}, "keep", "other")
        keep = ("--where", '.meta.tags[]? == "keep"')
        result = self.ok("follow", "demo", "--tail", "1", "--jsonl", "--data-only", "--one", *keep)
        self.assertEqual(result.out, '{"x":2}\n')
        follow = self.start("follow", "demo", "--tail", "10", "--jsonl", *keep)
        self.assertEqual(follow.json_line()["data"], {"x": 2})

    def test_all_must_hold__with_tags_too(self):  # 11.2, 14, 15 and 21
        self.feed({"level": "error", "service": "web"}, "keep")
        self.feed({"level": "info", "service": "billing"}, "keep")
        self.feed({"level": "error", "service": "billing"})
        self.feed({"level": "error", "service": "billing", "n": 1}, "keep")
        both = ("--where", '.data.level == "error"', "--where", '.data.service == "billing"')
        self.assertEqual(self.data("--tag", "keep", *both), [{"level": "error", "service": "billing", "n": 1}])
        self.assertEqual(len(self.data("--since", "1h", *both)), 2)
        self.feed({"level": 1}, "alpha")
        self.feed({"level": 2}, "alpha")
        self.assertEqual(self.where('.meta.tags[]? == "alpha"', ".data.level >= 2"), [{"level": 2}])

    def test_since_and_live(self):  # 11.2, 18 and 20
        self.feed({"x": 1})
        self.feed({"x": 5})
        follow = self.start_asleep("follow", "demo", "--since", "1h", "--jsonl", "--where", ".data.x == 5", "--quiet-drops")
        self.assertEqual(follow.json_line()["seq"], 2)
        self.feed({"x": 6})
        self.feed({"x": 5, "new": True})
        self.assertEqual(follow.json_line()["seq"], 4)
        follow.signal(harness.signal.SIGKILL)
        self.assertEqual(follow.err.rest(), "")

    def test_tail__counts_matches(self):
        for x in range(10):
            self.feed({"x": x})
        self.assertEqual(self.data("--tail", "2", "--where", ".data.x % 3 == 0"), [{"x": 6}, {"x": 9}])
        self.assertEqual(self.data("--tail", "2", "--where", ".data.x < 0"), [])
        self.assertEqual(self.ok("follow", "demo", "--tail", "3", "--one", "--data-only", "--where", ".data.x < 5").out,
                         '{"x":4}\n')

    def test_a_key_that_is_missing_and_errors__are_no_match(self):
        self.feed({"ok": True})
        self.feed({"other": 1})
        self.feed({"ok": False})
        self.assertEqual(self.where(".data.ok"), [{"ok": True}])
        self.assertEqual(self.where('.data.ok | error("no")'), [])
        self.assertEqual(self.where(".data.other + {} == 1"), [])
        self.assertEqual(self.where(".data.ok == null"), [{"other": 1}])
        self.assertEqual(self.where("empty"), [])
        self.assertEqual(self.where("true, error"), [])
        self.assertEqual(len(self.where("false, true, null")), 3)

    def test_invalid__is_told_before_the_pool_is_touched(self):  # 11.2, 16
        error = self.refused("Usage", "follow", "missing", "--create", "--where", "true", "--where", "not valid jq")
        self.assertEqual(error["message"], "invalid filter expression")
        self.assertIn("not valid jq", error["hint"])
        self.assertIn('.data.level == "error"', error["hint"])
        self.assertFalse(os.path.exists(os.path.join(self.pools, "missing.plasmite")))
        for expression in ("", ".data.(", "nosuch(1)", "$ENV.HOME == null", "input"):
            self.assertEqual(self.refused("Usage", "follow", "demo", "--where", expression)["message"],
                             "invalid filter expression")

    def test_no_boolean__ends_it_behind_what_matched(self):  # 11.2, 17
        for x in range(1, 5):
            self.feed({"x": x})
        error = self.refused("Usage", "follow", "demo", "--tail", "1", "--where", ".data")
        self.assertEqual(error["message"], "filter expression must yield booleans")
        odd = "if .data.x < 3 then true else .data.x end"
        result = self.run_pls("follow", "demo", "--no-follow", "--data-only", "--where", odd)
        self.assertEqual((result.rc, result.out), (2, '{"x":1}\n{"x":2}\n'))
        error = result.error()
        self.assertEqual((error["kind"], error["seq"]), ("Usage", 3))
        self.assertIn(odd, error["hint"])
        self.assertIn("gave 3", error["hint"])
        lines = self.run_pls("follow", "demo", "--no-follow", "--where", odd)
        self.assertEqual((lines.rc, len(lines.lines()), lines.error()["seq"]), (2, 2, 3))

    def test_pretty__while_it_still_runs(self):  # 11.2, 19
        self.feed({"x": 1})
        follow = self.start("follow", "demo", "--tail", "1", "--format", "pretty", "--where", ".data.x == 1")
        lines = [follow.line()]
        while lines[-1] != "}":
            lines.append(follow.line())
        self.assertEqual(json.loads("\n".join(lines))["data"], {"x": 1})
        self.assertIsNone(follow.popen.poll())

    def test_timeout__is_not_put_off_by_other_messages(self):
        follow = self.start_asleep("follow", "demo", "--where", ".data.x == 1", "--timeout", "300ms")
        feed = self.start("feed", "demo")
        ended = threading.Event()

        def feed_on():
            while not ended.wait(0.01):
                feed.write('{"x":2}\n')

        thread = threading.Thread(target=feed_on)
        thread.start()
        try:
            self.assertEqual(follow.wait(), 124)
        finally:
            ended.set()
            thread.join()
        self.assertEqual((follow.out.rest(), follow.err.rest()), ("", ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
