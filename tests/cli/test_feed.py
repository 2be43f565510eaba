import os
import re
import subprocess
import unittest

import harness

TIME = r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"'


class Feed(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def data(self, pool="demo"):
        return [m["data"] for m in self.ok("follow", pool, "--no-follow").json_lines()]

    def test_inline__gives_a_receipt_without_data(self):
        out = self.ok("feed", "demo", '{"x":1}', "--tag", "a b", "--tag", "").out
        self.assertRegex(out, r'^\{"seq":1,"time":%s,"meta":\{"tags":\["a b",""\]\}\}\n$' % TIME)
        self.assertEqual(self.data(), [{"x": 1}])

    def test_inline__keeps_the_text_without_blanks(self):
        self.ok("feed", "demo", ' { "b" : 18446744073709551616 , "a" : 3.10, "b": 1e400 } ')
        out = self.ok("fetch", "demo", "1").out
        self.assertTrue(out.endswith(',"data":{"b":18446744073709551616,"a":3.10,"b":1e400}}\n'), out)

    def test_inline__must_be_one_object(self):
        for text, message in [("nope", "invalid json"), ('{"a":1', "invalid json"), ('{"a":1}{"b":2}', "invalid json"),
                              ("", "invalid json"), (" ", "invalid json"), ('{"a":1} x', "invalid json"),
                              ("42", "data must be object"), ("[1]", "data must be object"),
                              ('"x"', "data must be object"), ("null", "data must be object")]:
            error = self.refused("Usage", "feed", "demo", text)
            self.assertEqual(error["message"], message, text)
        self.assertEqual(self.data(), [])

    def test_inline__too_deep(self):
        self.ok("feed", "demo", '{"a":' * 120 + "1" + "}" * 120)
        error = self.refused("Usage", "feed", "demo", '{"a":' * 121 + "1" + "}" * 121)
        self.assertEqual(error["message"], "data nests deeper than 120")

    def test_pipe__takes_lines_spread_values_and_records(self):
        for text, n in [('{"x":1}\n{"x":2}', 2), ('{\n  "x": 1,\n  "y": [\n 2\n]\n}\n', 1), ('\x1e{"x":1}\x1e{"x":2}', 2),
                        ('{"x":1}{"x":2} {"x":3}\n\n\n', 3), ('\n\n {"x":1}\r\n', 1)]:
            self.assertEqual(len(self.ok("feed", "demo", stdin=text).json_lines()), n, text)

    def test_pipe__appends_each_value_at_once(self):
        feed = self.start("feed", "demo")
        for i in range(1, 20):
            feed.write('{"x":%d}' % i)
            self.assertEqual(feed.json_line()["seq"], i)
        feed.close_stdin()
        self.assertEqual(feed.wait(), 0)

    def test_pipe__many_records_keep_their_order(self):
        text = "".join('{"i":%d,"pad":"%s"}\n' % (i, "x" * (i % 300)) for i in range(60000))
        self.ok("pool", "create", "big", "--size", "32M")
        receipts = self.ok("feed", "big", stdin=text).json_lines()
        self.assertEqual([r["seq"] for r in receipts], list(range(1, 60001)))
        self.assertEqual([d["i"] for d in self.data("big")], list(range(60000)))

    def test_file__and_dash(self):
        path = self.write_file("in.json", '{"x":1}\n{"x":2}\n')
        self.assertEqual(len(self.ok("feed", "demo", "-f", path).json_lines()), 2)
        self.assertEqual(len(self.ok("feed", "demo", "--file", "-", stdin='{"x":3}').json_lines()), 1)
        error = self.refused("Io", "feed", "demo", "-f", self.path("none"))
        self.assertEqual((error["message"], error["path"]), ("failed to read data file", self.path("none")))
        self.assertEqual(error["causes"], ["No such file or directory (os error 2)"])
        self.refused("Io", "feed", "demo", "-f", self.dir)

    def test_stop__stores_what_came_before_and_says_where(self):
        result = self.run_pls("feed", "demo", stdin='{"x":1}\nnot-json\n{"x":2}\n')
        self.assertEqual(result.rc, 2)
        self.assertEqual(len(result.json_lines()), 1)
        self.assertEqual(result.error()["message"], "invalid json input")
        self.assertIn("line 2", result.error()["hint"])
        self.assertEqual(self.data(), [{"x": 1}])

    def test_stop__names_what_is_wrong(self):
        for text, message in [('{"x":1', "invalid json input"), ("42\n", "data must be object"),
                              ("[\n1]\n", "data must be object"), ('{"x":"\xff"}', "invalid json input"),
                              ('{"x":1,}', "invalid json input")]:
            error = self.refused("Usage", "feed", "demo", stdin=text.encode("latin-1"))
            self.assertEqual(error["message"], message, text)

    def test_skip__goes_on_and_exits_1(self):
        result = self.run_pls("feed", "demo", "-e", "skip", stdin='{"x":1}\n\nnot-json\n{"x":2}\n{"y":\n')
        self.assertEqual(result.rc, 1)
        self.assertEqual(len(result.json_lines()), 2)
        first, second, summary = result.notices()
        self.assertEqual((first["kind"], first["cmd"], first["pool"]), ("ingest_skip", "feed", "demo"))
        self.assertEqual(first["message"], "Skipped invalid JSON.")
        path = os.path.join(self.pools, "demo.plasmite")
        self.assertEqual(first["details"], {"error_kind": "Parse", "index": 2, "line": 3, "mode": "jsonl",
                                            "pool_path": path, "snippet": "not-json"})
        self.assertEqual((second["details"]["line"], second["details"]["index"]), (5, 4))
        self.assertEqual(summary["kind"], "ingest_summary")
        self.assertEqual(summary["details"], {"total": 4, "ok": 2, "failed": 2, "pool_path": path})

    def test_skip__cuts_snippets_between_characters(self):
        result = self.run_pls("feed", "demo", "-e", "skip", stdin="x" + "é" * 300 + "\n")
        self.assertEqual(result.notices()[0]["details"]["snippet"], "x" + "é" * 98 + "...")

    def test_skip__oversized_record(self):
        result = self.run_pls("feed", "demo", "-e", "skip", stdin='{"big":"%s"}\n{"ok":1}\n' % ("x" * 1048577))
        self.assertEqual(result.rc, 1)
        self.assertEqual(len(result.json_lines()), 1)
        self.assertEqual(result.notices()[0]["details"]["error_kind"], "Oversize")
        error = self.refused("Usage", "feed", "demo", stdin='{"big":"%s"}\n' % ("x" * 1048577))
        self.assertEqual(error["message"], "record exceeds size limit")

    def test_no_input__is_usage(self):
        for stdin in ["", "\n \n"]:
            error = self.refused("Usage", "feed", "demo", stdin=stdin)
            self.assertEqual(error["message"], "missing data input")
            self.assertIn("--file", error["hint"])
        rc, shown = self.terminal("--color", "never", "feed", "demo", "--tag", "x")
        self.assertEqual(rc, 2)
        self.assertIn("error: missing data input\nhint: ", shown)

    def test_messages__are_copied_with_their_tags(self):
        self.ok("feed", "demo", '{"x":1}', "--tag", "a")
        lines = self.ok("follow", "demo", "--no-follow").out
        self.ok("pool", "create", "copy")
        receipt = self.ok("feed", "copy", "--tag", "b", stdin=lines).json()
        self.assertEqual((receipt["seq"], receipt["meta"]), (1, {"tags": ["a", "b"]}))
        self.assertEqual(self.data("copy"), [{"x": 1}])
        self.ok("feed", "copy", "--data", stdin=lines)
        self.assertEqual(self.data("copy")[1]["data"], {"x": 1})

    def test_echo__chains(self):
        self.ok("pool", "create", "b")
        line = self.ok("feed", "demo", '{"x":1}', "--tag", "t", "--echo").out
        self.assertRegex(line, r'^\{"seq":1,"time":%s,"meta":\{"tags":\["t"\]\},"data":\{"x":1\}\}\n$' % TIME)
        self.assertEqual(line, self.ok("fetch", "demo", "1").out)

    def test_create__makes_the_pool(self):
        self.ok("feed", "auto", '{"x":1}', "--create")
        path = os.path.join(self.pools, "auto.plasmite")
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        self.assertEqual(os.path.getsize(path), 1048576)
        self.ok("feed", "sized", '{"x":1}', "--create-size", "64K", "--mode", "640")
        path = os.path.join(self.pools, "sized.plasmite")
        self.assertEqual((os.path.getsize(path), os.stat(path).st_mode & 0o7777), (65536, 0o640))
        self.ok("feed", "sized", '{"x":1}', "--create-size", "8M")
        self.assertEqual(os.path.getsize(path), 65536)
        self.refused("Usage", "feed", "other", '{"x":1}', "--create", "--mode", "999")
        self.assertFalse(os.path.exists(os.path.join(self.pools, "other.plasmite")))

    def test_missing_pool__offers_a_command_that_works(self):
        error = self.refused("NotFound", "feed", "missing", '{"x":"it\'s"}', "--tag", "a b")
        self.assertEqual(error["message"], "not found")
        self.assertTrue(error["path"].endswith("/missing.plasmite"))
        self.assertIn("plasmite feed missing --create", error["hint"])
        command = re.search(r"exact command: (plasmite .*)$", error["hint"]).group(1)
        done = subprocess.run(["sh", "-c", command.replace("plasmite", harness.bin_path("plasmite"), 1)],
                              env=self.env, stdout=subprocess.PIPE)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.data("missing"), [{"x": "it's"}])

    def test_durability(self):
        self.ok("feed", "demo", '{"x":1}', "--durability", " flush ")
        self.assertEqual(self.refused("Usage", "feed", "demo", '{"x":1}', "--durability", "slow")["message"],
                         "invalid durability")

    def test_terminal__reads_as_text(self):
        path = self.write_file("in.json", '{"x":1}\n{"x":2}\n')
        rc, shown = self.terminal("--color", "never", "feed", "demo", "--file", path, "--tag", "a", "--tag", "b")
        self.assertEqual(rc, 0)
        self.assertRegex(shown, r"^fed seq=1 at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  tags: a,b\nfed seq=2 at ")
        self.assertNotIn('"seq":', shown)

    def test_full_output__is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.argv("feed", "demo", '{"x":1}'), stdout=full, stderr=subprocess.PIPE, env=self.env)
        self.assertEqual(done.returncode, 8)
        self.assertIn(b"failed to write output", done.stderr)

    def test_lost_reader_of_receipts__loses_no_messages(self):
        text = "".join('{"i":%d}\n' % i for i in range(10000))
        script = '"$0" --dir "$1" feed demo < "$2" | head -n1'
        done = subprocess.run(["bash", "-o", "pipefail", "-c", script, harness.bin_path("plasmite"), self.pools,
                               self.write_file("in", text)], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(self.data()[-1], {"i": 9999})

    def test_url__is_usage(self):
        self.refused("Usage", "feed", "http://127.0.0.1:1/demo", '{"x":1}')
        self.assertEqual(self.refused("Usage", "feed", "ftp://h/demo", '{"x":1}')["message"],
                         "remote pool ref must use http or https scheme")


if __name__ == "__main__":
    unittest.main(verbosity=2)
