import json
import os
import re
import subprocess
import unittest

import harness
import poollock

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
        for text, message, cause in [
                ("nope", "invalid json", "expected true, false or null"), ('{"a":1', "invalid json", "unfinished value"),
                ('{"a":1}{"b":2}', "invalid json", "unexpected text after the value"),
                ('{"a":1} x', "invalid json", "unexpected text after the value"), ("42 x", "invalid json", "unexpected text after the value"),
                ("", "invalid json", "there is no text in it"), (" \n", "invalid json", "there is no text in it"),
                ("{'a':1}", "invalid json", "expected a key in double quotes or '}'"),
                ("\ufeff{}", "invalid json", "a byte order mark (BOM) stands before the JSON"),
                ("42", "data must be object", None), ("[1]", "data must be object", None), ('"x"', "data must be object", None),
                ("null", "data must be object", None)]:
            error = self.refused("Usage", "feed", "demo", text)
            self.assertEqual((error["message"], error.get("causes")), (message, [cause] if cause else None), text)
            self.assertEqual(error["hint"], "Supply a single JSON object, like '{\"hello\":\"world\"}'.")
        self.assertEqual(self.data(), [])

    def test_inline__needs_no_input_options(self):
        """They are for files and pipes, and stdin is left alone."""
        self.ok("feed", "demo", "{}", "-i", "jq", "-e", "stop", stdin="not read")
        self.assertEqual(self.refused("Usage", "feed", "demo", "[]", "-e", "skip")["message"], "data must be object")

    def test_inline__too_large(self):
        error = self.refused("Usage", "feed", "demo", '{"a":"%s"}' % ("x" * 100000), "--tag", "y" * 65536)
        self.assertIn("tags", error["message"])
        self.ok("pool", "create", "tiny", "--size", "8K")
        error = self.refused("Usage", "feed", "tiny", '{"a":"%s"}' % ("x" * 9000))
        self.assertEqual(error["message"], "payload exceeds ring capacity")
        self.assertIn("message too large", error["causes"][0])
        self.assertEqual(error["hint"], "A message of this pool may have 3512 bytes of tags and data; a larger pool takes larger ones.")
        self.ok("feed", "tiny", '{"a":"%s"}' % ("x" * (3512 - 8)))

    def test_inline__too_large_by_the_escapes_of_its_tags(self):
        self.ok("pool", "create", "tiny", "--size", "8K")
        error = self.refused("Usage", "feed", "tiny", "{}", "--tag", "\x01" * 1500)
        self.assertEqual(error, {
            "kind": "Usage", "message": "payload exceeds ring capacity",
            "hint": "Quotes and control characters in tags are stored escaped, so that this message takes 9004 bytes for tags "
                    "and data; a larger pool takes larger ones."})

    def test_inline__too_deep(self):
        self.ok("feed", "demo", '{"a":' * 120 + "1" + "}" * 120)
        error = self.refused("Usage", "feed", "demo", '{"a":' * 121 + "1" + "}" * 121)
        self.assertEqual(error["message"], "data nests deeper than 120")

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
        self.assertIn("--file", error["hint"])
        error = self.refused("Io", "feed", "demo", "-f", self.dir)
        self.assertEqual((error["message"], error["path"]), ("failed to read stdin", self.dir))
        self.assertEqual(error["causes"], ["Is a directory (os error 21)"])

    def test_stop__stores_what_came_before_and_says_where(self):
        result = self.run_pls("feed", "demo", stdin='{"x":1}\nnot-json\n{"x":2}\n')
        self.assertEqual(result.rc, 2)
        self.assertEqual(len(result.json_lines()), 1)
        self.assertEqual(result.error()["message"], "invalid json input")
        self.assertIn("line 2", result.error()["hint"])
        self.assertEqual(self.data(), [{"x": 1}])

    def test_no_input__is_usage(self):
        for stdin in ["", "\n \n"]:
            error = self.refused("Usage", "feed", "demo", stdin=stdin)
            self.assertEqual(error["message"], "missing data input")
            self.assertIn("--file", error["hint"])

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

    def test_missing_pool__offers_every_option_again(self):
        path = self.write_file("it's", '{"x":1}\n{"x":2}\n')
        error = self.refused("NotFound", "feed", "missing", "-f", path, "--tag=-t", "--tag", "", "-i", "jsonl", "-e", "skip",
                             "--durability", "flush", "--retry", "2", "--retry-delay", "5ms", "--echo", "--data")
        self.run_hint(error)
        messages = self.ok("follow", "missing", "--no-follow").json_lines()
        self.assertEqual([(m["data"], m["meta"]["tags"]) for m in messages], [({"x": 1}, ["-t", ""]), ({"x": 2}, ["-t", ""])])

    def test_missing_pool__with_a_name_like_an_option(self):
        error = self.refused("NotFound", "feed", "--", "-x", "{}")
        self.run_hint(error)
        self.assertEqual([m["data"] for m in self.ok("follow", "--no-follow", "--", "-x").json_lines()], [{}])

    def test_missing_pool__at_a_path(self):
        path = self.path("away", "p.plasmite")
        error = self.refused("NotFound", "feed", path, "{}")
        self.assertEqual(error["path"], path)

    def run_hint(self, error):
        """Runs the command that the hint offers, in a shell."""
        command = re.search(r"exact command: (plasmite .*)$", error["hint"]).group(1)
        done = subprocess.run(["sh", "-c", command.replace("plasmite", harness.bin_path("plasmite"), 1)], env=self.env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr), (0, b""), command)

    def test_deleted_pool__ends_the_run_whatever_the_policy(self):
        """Its kind is told, what came before has its receipts, and there is no summary."""
        for policy in ["stop", "skip"]:
            feed = self.start("feed", "demo", "-e", policy)
            feed.write('{"x":1}\n')
            self.assertEqual(feed.json_line()["seq"], 1)
            self.ok("pool", "delete", "demo")
            feed.write('{"x":2}\n')
            self.assertEqual(feed.wait(), 3)
            error = json.loads(feed.err.rest())["error"]
            self.assertEqual((error["kind"], feed.out.rest()), ("NotFound", ""))
            self.ok("pool", "create", "demo")

    def test_durability(self):
        self.ok("feed", "demo", '{"x":1}', "--durability", " flush ")
        self.ok("feed", "demo", '{"x":1}', "--durability", "fast")
        for text in ["slow", "", "fast flush"]:
            self.assertEqual(self.refused("Usage", "feed", "demo", '{"x":1}', "--durability", text)["message"],
                             "invalid durability")

    def test_retry__words(self):
        error = self.refused("Usage", "feed", "demo", "{}", "--retry-delay", "5ms")
        self.assertEqual(error["message"], "--retry-delay requires --retry")
        error = self.refused("Usage", "feed", "demo", "{}", "--retry-delay", "5ms", "--retry", "0")
        self.assertEqual(error["message"], "--retry-delay requires --retry")
        for text in ["5", "5x", "", "1.5s", "-5s"]:
            error = self.refused("Usage", "feed", "demo", "{}", "--retry", "1", "--retry-delay=" + text)
            self.assertEqual(error["message"], "invalid duration", text)
        for text in ["x", "4294967296", "-1"]:
            self.refused("Usage", "feed", "demo", "{}", "--retry=" + text)
        self.ok("feed", "demo", "{}", "--retry", "4294967295", "--retry-delay", "1h")

    def test_retry__tries_again_what_may_pass(self):
        """The system interrupts the writer while it gets ready, twice."""
        path = os.path.join(self.pools, "demo.plasmite")
        env = dict(self.env, ASAN_OPTIONS="detect_leaks=0")  # which cannot look while another does

        def feed(*options):
            return subprocess.run(["strace", "-qq", "-o", "/dev/null", "-P", path, "-e", "inject=fcntl:error=EINTR:when=1..2"] +
                                  self.argv("feed", "demo", "{}", *options), env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        done = feed("--retry", "2", "--retry-delay", "20ms")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        done = feed("--retry", "1")
        error = json.loads(done.stderr)["error"]
        self.assertEqual((done.returncode, error["kind"]), (8, "Io"))
        waited = int(re.search(r"Retry attempts: 2 \(waited (\d+)ms\)\.$", error["hint"]).group(1))
        self.assertGreaterEqual(waited, 50)
        error = json.loads(feed().stderr)["error"]
        self.assertNotIn("Retry", error.get("hint", ""))
        self.assertEqual(self.data(), [{}])

    def test_held_lock__is_waited_for(self):
        for options in [("--retry", "5", "--retry-delay", "50ms"), ()]:
            with poollock.held(os.path.join(self.pools, "demo.plasmite")):
                feed = self.start_asleep("feed", "demo", "{}", *options)
                self.assertEqual(feed.out.seen(), "")
            self.assertIn("seq", feed.json_line())
            self.assertEqual(feed.wait(), 0)

    def test_choices(self):
        for option, name in [("--in", "IN"), ("-i", "IN"), ("--errors", "ERRORS"), ("-e", "ERRORS")]:
            error = self.refused("Usage", "feed", "demo", option, "other")
            self.assertTrue(error["message"].startswith("invalid value 'other' for '--%s <" % name.lower()), error)

    def test_options__once_only(self):
        for option in [["--in", "auto"], ["-e", "stop"], ["-f", "x"], ["--retry", "1"], ["--retry-delay", "1s"], ["--create"],
                       ["--durability", "fast"], ["--data"], ["--echo"], ["--create-size", "1M"], ["--mode", "600"]]:
            error = self.refused("Usage", "feed", "demo", *(option + option))
            self.assertIn("cannot be used multiple times", error["message"])
        error = self.refused("Usage", "feed", "demo", "{}", "-f", "x")
        self.assertIn("cannot be used with", error["message"])
        self.assertEqual(self.refused("Io", "feed", "demo", "-f", "")["message"], "failed to read data file")

    def test_numbers_as_data__are_no_options(self):
        self.assertIn("unexpected argument '-5' found", self.refused("Usage", "feed", "demo", "-5")["message"])
        self.assertEqual(self.refused("Usage", "feed", "demo", "--", "-5")["message"], "data must be object")

    def test_full_output__is_an_error(self):
        """Everything is stored all the same."""
        path = self.write_file("in", '{"x":1}\n' * 3000)
        for more, n in [(('{"x":1}',), 1), (("-f", path), 3001)]:
            with open("/dev/full", "wb") as full:
                done = subprocess.run(self.argv("feed", "demo", *more), stdout=full, stderr=subprocess.PIPE, env=self.env)
            error = json.loads(done.stderr)["error"]
            self.assertEqual((done.returncode, error["kind"], error["message"]), (8, "Io", "failed to write output"))
            self.assertEqual(error["causes"], ["No space left on device (os error 28)"])
            self.assertIn("stored", error["hint"])
            self.assertEqual(len(self.data()), n)

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
