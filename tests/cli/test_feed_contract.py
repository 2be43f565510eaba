"""What scripts rely on in feed and fetch, one test for each promise: contract of the command line, 11.1."""

import os
import re
import time
import unittest

import harness
import poollock

BIG = '{"big":"%s"}' % ("x" * 1048577)
PRETTY = '{\n  "x": 1,\n  "y": 2\n}\n'
RS_RECORDS = '\x1e{"x":1}\x1e{"x":2}'


class Contract(harness.Case):
    def create(self, name="demo"):
        return self.ok("pool", "create", "--json", name).json()

    def receipts(self, result):
        """The receipts, all without data."""
        found = result.json_lines()
        for receipt in found:
            self.assertIn("seq", receipt)
            self.assertIn("time", receipt)
            self.assertNotIn("data", receipt)
        return found

    def fed(self, stdin, *options, n):
        result = self.run_pls("feed", "demo", *options, stdin=stdin)
        self.assertEqual((result.rc, len(self.receipts(result))), (0, n), result)
        return result

    def skipped(self, stdin, *options, n):
        """Exit status 1 and n receipts; the notices, which are JSON lines."""
        result = self.run_pls("feed", "demo", *options, stdin=stdin)
        self.assertEqual((result.rc, len(self.receipts(result))), (1, n), result)
        notices = result.notices()
        self.assertEqual(len(notices), len(result.err.splitlines()))
        return notices

    def fetched(self, seq, pool="demo"):
        return self.ok("fetch", pool, str(seq)).json()["data"]

    def test_rows_1_and_2__without_arguments_the_usage(self):
        for command in ["feed", "fetch"]:
            result = self.run_pls(command)
            self.assertEqual(result.rc, 2)
            self.assertIn("Usage: plasmite " + command, result.err)

    def test_row_3__create_feed_fetch_follow(self):
        created = self.create("testpool")["created"][0]
        self.assertEqual(created["name"], "testpool")
        self.assertTrue(created["path"].endswith("testpool.plasmite"))
        self.assertNotIn("oldest", created["bounds"])
        receipt = self.ok("feed", "testpool", '{"x":1}', "--tag", "ping").json()
        self.assertEqual(receipt["meta"]["tags"][0], "ping")
        self.assertNotIn("data", receipt)
        message = self.ok("fetch", "testpool", str(receipt["seq"])).json()
        self.assertEqual((message["seq"], message["data"]["x"]), (receipt["seq"], 1))
        follow = self.start("follow", "testpool", "--tail", "1", "--jsonl")
        self.assertEqual(follow.json_line()["seq"], receipt["seq"])

    def test_row_4__a_receipt(self):
        self.create("testpool")
        self.receipts(self.ok("feed", "testpool", '{"x":1}'))

    def test_rows_5_to_7__files(self):
        self.create()
        self.assertEqual(len(self.ok("feed", "demo", "-f", self.write_file("one", '{"x":1}\n')).lines()), 1)
        self.assertEqual(self.fetched(1)["x"], 1)
        self.create("two")
        found = self.receipts(self.ok("feed", "two", "--file", self.write_file("two", '{"x":1}\n{"x":2}\n')))
        self.assertEqual([r["seq"] for r in found], [1, 2])
        self.assertEqual((self.fetched(1, "two"), self.fetched(2, "two")), ({"x": 1}, {"x": 2}))
        self.create("three")
        found = self.receipts(self.ok("feed", "three", "--file", self.write_file("three", PRETTY)))
        self.assertEqual([r["seq"] for r in found], [1])
        self.assertEqual(self.fetched(1, "three"), {"x": 1, "y": 2})

    def test_row_8__waits_for_a_held_lock(self):
        self.create("busy")
        with poollock.held(os.path.join(self.pools, "busy.plasmite")):
            feed = self.start_asleep("feed", "busy", '{"x":1}', "--retry", "5", "--retry-delay", "50ms")
        released = time.monotonic()
        self.assertIn("seq", feed.json_line())
        self.assertLess(time.monotonic() - released, 2)
        self.assertEqual(feed.wait(), 0)

    def test_row_9__pretty_printed_through_a_pipe(self):
        self.create()
        self.fed(PRETTY, n=1)

    def test_rows_10_and_19__events(self):
        self.create()
        self.fed('data: {"x":1}\n\ndata: {"x":2}\n\n', n=2)
        self.fed('data: {"x":1}\n', "-i", "auto", n=1)

    def test_rows_11_and_14__rs(self):
        self.create()
        self.fed(RS_RECORDS, n=2)
        self.fed(RS_RECORDS, "-i", "seq", n=2)

    def test_rows_12_and_16__oversize(self):
        self.create()
        for options in [["-e", "skip"], ["-i", "jsonl", "-e", "skip"]]:
            notices = self.skipped(BIG + '\n{"ok":1}\n', *options, n=1)
            self.assertIn("Oversize", [n["details"].get("error_kind") for n in notices])

    def test_row_13__text_on_a_terminal(self):
        self.create()
        path = self.write_file("in", '{"x":1}\n{"x":2}\n')
        rc, shown = self.terminal("--color", "never", "feed", "demo", "--file", path, "--in", "jsonl")
        self.assertEqual((rc, shown.count("fed seq="), shown.count('"seq":')), (0, 2, 0))

    def test_row_15__notices(self):
        self.create()
        notices = self.skipped('{"x":1}\nnot-json\n{"x":2}\n', "-i", "jsonl", "-e", "skip", n=2)
        self.assertEqual([n["kind"] for n in notices], ["ingest_skip", "ingest_summary"])

    def test_rows_17_and_18__json(self):
        self.create()
        self.fed(PRETTY, "-i", "json", n=1)
        notices = self.skipped('{"x":1', "-i", "json", "-e", "skip", n=0)
        self.assertEqual(notices[0]["kind"], "ingest_skip")

    def test_row_20__jq_cannot_skip(self):
        self.create()
        self.refused("Usage", "feed", "demo", "-i", "jq", "-e", "skip", stdin='{"x":1}\n{"x":2}\n')

    def test_row_21__create(self):
        self.receipts(self.ok("feed", "autopool", '{"x":1}', "--create"))
        self.assertTrue(os.path.exists(os.path.join(self.pools, "autopool.plasmite")))

    def test_row_22__missing_pool(self):
        error = self.refused("NotFound", "feed", "missing", '{"x":1}')
        for text in ["--create", "exact command", "plasmite feed missing --create"]:
            self.assertIn(text, error["hint"])

    def test_rows_24_and_25__urls_that_cannot_be(self):
        for url in ["http://localhost:9170/v0/pools/demo/append", "http://localhost:9170/demo/"]:
            self.refused("Usage", "feed", url, '{"x":1}')

    def test_row_30__options_of_servers_with_a_local_pool(self):
        self.create()
        self.refused("Usage", "feed", "demo", '{"x":1}', "--token", "devtoken")
        self.refused("Usage", "follow", "demo", "--tail", "0", "--timeout", "100ms", "--tls-ca", self.write_file("ca", ""))

    def test_row_31__lines_through_a_pipe(self):
        self.create()
        self.fed('{"x":1}\n{"x":2}', n=2)
        follow = self.start("follow", "demo", "--tail", "2", "--jsonl")
        self.assertEqual([follow.json_line()["data"]["x"] for _ in range(2)], [1, 2])

    def test_notice__has_these_fields(self):
        self.create()
        (notice, _) = self.skipped("not-json\n", "-e", "skip", n=0)
        self.assertEqual(sorted(notice), ["cmd", "details", "kind", "message", "pool", "time"])
        self.assertEqual((notice["cmd"], notice["message"], notice["pool"]), ("feed", "Skipped invalid JSON.", "demo"))
        self.assertTrue(re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$", notice["time"]))
        self.assertEqual(notice["details"], {"error_kind": "Parse", "index": 1, "line": 1, "mode": "jsonl", "snippet": "not-json",
                                             "pool_path": os.path.join(self.pools, "demo.plasmite")})


if __name__ == "__main__":
    unittest.main(verbosity=2)
