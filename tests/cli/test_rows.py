"""What scripts rely on in follow, fetch and pool, where no other test has it: contract of the command line, 11.2, 11.3, 11.5."""

import json
import os
import re
import unittest

import harness

AGE = r"\(\d+s ago\)"


class Rows(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def feed(self, *values):
        for value in values:
            self.ok("feed", "demo", '{"x":%d}' % value)

    # 11.2, follow.

    def test_row_8__one_line_before_the_time_is_out(self):
        self.feed(1)
        follow = self.start_asleep("follow", "demo", "--jsonl", "--one", "--timeout", "30s")
        self.feed(2)
        self.assertEqual(follow.wait(), 0)
        self.assertEqual([json.loads(line)["data"] for line in follow.out.rest().splitlines()], [{"x": 2}])
        self.assertEqual(follow.err.rest(), "")

    def test_row_11__pretty_data_is_one_document(self):
        self.feed(1, 3)
        result = self.ok("follow", "demo", "--tail", "1", "--format", "pretty", "--data-only", "--one")
        self.assertEqual(result.out, '{\n  "x": 3\n}\n')

    def test_row_24__each_word_for_lines_gives_the_same_line(self):
        self.feed(1, 2)
        line = self.ok("fetch", "demo", "2").out
        for form in (["--format", "jsonl"], ["--jsonl"], ["--format", "json"], ["--json"], []):
            follow = self.start("follow", "demo", "--tail", "1", *form)
            self.assertEqual(follow.line() + "\n", line, form)
            follow.signal(harness.signal.SIGKILL)
            self.assertEqual((follow.out.rest(), follow.err.rest()), ("", ""), form)

    def test_row_34__an_address_of_the_api_is_no_pool(self):
        for command in ("follow", "duplex"):
            self.refused("Usage", command, "http://localhost:9170/v0/pools/demo/tail", "--jsonl", stdin='{"x":1}')

    # 11.3, pool.

    def test_row_3__info_has_these_numbers(self):
        self.feed(1, 2)
        info = self.ok("pool", "info", "demo", "--json").json()
        metrics = info["metrics"]
        self.assertEqual((info["index_capacity"], info["index_size_bytes"]), (4096, 65536))
        self.assertEqual((metrics["message_count"], metrics["seq_span"]), (2, 2))
        use, age = metrics["utilization"], metrics["age"]
        self.assertGreater(use["used_bytes"], 0)
        self.assertGreater(use["free_bytes"], 0)
        self.assertEqual(use["used_percent"], use["used_bytes"] * 10000 // info["ring_size"] / 100)
        self.assertIsInstance(use["used_percent"], float)
        for which in "oldest", "newest":
            self.assertIsInstance(age[which + "_time"], str)
            self.assertIsInstance(age[which + "_age_ms"], int)
        self.assertLessEqual(age["newest_age_ms"], age["oldest_age_ms"])

    def test_row_6__info_as_text(self):
        self.feed(1, 2)
        info = self.ok("pool", "info", "demo", "--json").json()
        use = info["metrics"]["utilization"]
        times = [re.escape(m["time"]) for m in self.ok("follow", "demo", "--no-follow").json_lines()]
        lines = self.ok("pool", "info", "demo", "--format", "pretty").lines()
        self.assertEqual(lines[:2], ["Pool: demo", "Path: " + os.path.join(self.pools, "demo.plasmite")])
        self.assertTrue(lines[2].startswith("Size: 1048576 bytes ("), lines)
        self.assertEqual(lines[3:5], ["Bounds: oldest=1 newest=2 count=2", "Utilization: used=%dB free=%dB (%.2f%%)" % (
            use["used_bytes"], use["free_bytes"], use["used_percent"])])
        for line, pattern in zip(lines[5:], ["Oldest: %s %s" % (times[0], AGE), "Newest: %s %s" % (times[1], AGE)]):
            self.assertRegex(line, "^%s$" % pattern)
        self.assertEqual(len(lines), 7)

    def test_row_12__delete_of_one(self):
        path = os.path.join(self.pools, "demo.plasmite")
        self.assertEqual(self.ok("pool", "delete", "--json", "demo").json(),
                         {"deleted": [{"path": path, "pool": "demo"}], "failed": []})
        self.assertFalse(os.path.exists(path))

    def test_row_14__delete_of_a_url_is_usage_and_the_rest_goes(self):
        path = os.path.join(self.pools, "demo.plasmite")
        url = "http://127.0.0.1:9700/demo"
        for names in (["demo", url], [url, "missing", "demo"]):
            self.run_pls("pool", "create", "demo")
            result = self.run_pls("pool", "delete", "--json", *names)
            self.assertEqual((result.rc, result.err), (2, ""))
            report = result.json()
            self.assertEqual(report["deleted"], [{"path": path, "pool": "demo"}])
            self.assertEqual((report["failed"][0]["pool"], report["failed"][0]["error"]["kind"]), (url, "Usage"))
            self.assertFalse(os.path.exists(path))

    # 11.5, errors.

    def test_row_8__fetch_from_an_empty_pool(self):
        error = self.refused("NotFound", "fetch", "demo", "999")
        self.assertEqual((error["message"], error["seq"]), ("message not found", 999))
        self.assertNotIn("path", error)
        self.assertRegex(error["hint"], "pool info|follow")

    def test_row_15__misuses_say_what_to_do(self):
        for words, message, hint in (
                (["feed", "demo", '{"x":1}', "--retry-delay", "1s"], "--retry-delay requires --retry", "Add --retry"),
                (["doctor", "demo", "--all"], "--all cannot be combined", "Use --all by itself"),
                (["completion", "nope"], "invalid value", "plasmite --help"),
                (["version", "extra"], "unexpected argument", "version --help")):
            error = self.refused("Usage", *words, use_dir=False)
            self.assertIn(message, error["message"])
            self.assertNotIn("\n", error["message"])
            self.assertIn(hint, error["hint"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
