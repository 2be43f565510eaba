import os
import shlex
import subprocess
import unittest

import harness


class Fetch(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def test_fetch__prints_the_message_as_follow_does(self):
        self.ok("feed", "demo", '{"x": 1, "b":[ ]}', "--tag", "t")
        self.ok("feed", "demo", '{"x":2}')
        line = self.ok("fetch", "demo", "1").out
        self.assertEqual(line, self.ok("follow", "demo", "--no-follow").lines()[0] + "\n")
        self.assertTrue(line.endswith('"meta":{"tags":["t"]},"data":{"x":1,"b":[]}}\n'))
        for form in ("--json", "--jsonl", "--format=json", "--format=jsonl"):
            self.assertEqual(self.ok("--color", "always", "fetch", "demo", "1", form).out, line)

    def test_pretty__on_a_terminal_and_on_request(self):
        self.ok("feed", "demo", '{"x":1}')
        time = self.ok("fetch", "demo", "1").json()["time"]
        plain = ('{\n  "seq": 1,\n  "time": "%s",\n  "meta": {\n    "tags": []\n  },\n  "data": {\n    "x": 1\n  }\n}\n' % time)
        self.assertEqual(self.ok("fetch", "demo", "1", "--format", "pretty").out, plain)
        self.assertEqual(self.terminal("--color", "never", "fetch", "demo", "1"), (0, plain))
        rc, shown = self.terminal("fetch", "demo", "1")
        self.assertIn('\033[36m"seq"\033[0m\033[39m:\033[0m \033[33m1\033[0m', shown)

    def test_numbers(self):
        self.ok("feed", "demo", '{"x":1}')
        for seq in ("0", "2", "18446744073709551615"):
            error = self.refused("NotFound", "fetch", "demo", seq)
            self.assertEqual((error["message"], error["seq"]), ("message not found", int(seq)))
            self.assertNotIn("path", error)
        error = self.refused("Usage", "fetch", "demo", "18446744073709551616")
        self.assertEqual(error["message"],
                         "invalid value '18446744073709551616' for '<SEQ>': number too large to fit in target type")
        self.assertEqual(self.refused("Usage", "fetch", "demo", "x")["message"],
                         "invalid value 'x' for '<SEQ>': invalid digit found in string")
        self.assertEqual(self.refused("Usage", "fetch", "demo", "-1")["message"], "unexpected argument '-1' found")

    def test_hint__works_in_a_shell(self):
        for name in ("a pool's", "-x"):
            self.ok("pool", "create", "--", name)
            hint = self.refused("NotFound", "fetch", "--", name, "7")["hint"]
            commands = [text for text in hint.split("`") if text.startswith("plasmite ")]
            self.assertEqual(len(commands), 2, hint)
            words = shlex.split(commands[0])
            done = subprocess.run([harness.bin_path(words[0])] + words[1:], stdout=subprocess.PIPE, env=self.env)
            self.assertEqual((done.returncode, b'"name"' in done.stdout), (0, True))
            words = shlex.split(commands[1])
            self.ok("feed", "--", name, '{"n":1}')
            done = subprocess.run([harness.bin_path(words[0])] + words[1:], stdout=subprocess.PIPE, env=self.env, timeout=60)
            self.assertEqual((done.returncode, b'"n":1' in done.stdout), (0, True))

    def test_overwritten__is_not_found(self):
        self.ok("pool", "create", "tiny", "--size", "8K")
        self.ok("feed", "tiny", stdin='{"pad":"%s"}\n' % ("p" * 1000) * 20)
        self.assertEqual(self.refused("NotFound", "fetch", "tiny", "1")["seq"], 1)
        self.assertEqual(self.ok("fetch", "tiny", "20").json()["seq"], 20)

    def test_missing_pool(self):
        error = self.refused("NotFound", "fetch", "missing", "1")
        self.assertEqual((error["message"], error["path"]), ("not found", os.path.join(self.pools, "missing.plasmite")))
        self.assertEqual(error["causes"], ["No such file or directory (os error 2)"])
        self.assertIn("plasmite pool create missing", error["hint"])
        self.assertIn("--dir", error["hint"])
        self.assertIn("path", self.refused("NotFound", "fetch", "./missing", "1"))

    def test_bare__shows_the_help(self):
        result = self.run_pls("fetch", use_dir=False)
        self.assertEqual((result.rc, result.out), (2, ""))
        self.assertIn("Usage: plasmite fetch", result.err)

    def test_full_output__is_an_error(self):
        self.ok("feed", "demo", '{"x":1}')
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.argv("fetch", "demo", "1"), stdout=full, stderr=subprocess.PIPE, env=self.env)
        self.assertEqual(done.returncode, 8)
        self.assertIn(b'"kind":"Io"', done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
