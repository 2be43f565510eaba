import json
import re
import unittest

import harness

ESCAPE = re.compile(r"\x1b\[(\d+)m(.*?)\x1b\[0m", re.S)


def plain(text):
    return re.sub(r"\x1b\[\d*m", "", text)


class Colour(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")
        self.ok("feed", "demo", '{"s":"a\\"b","n":-1.5e3,"t":true,"f":false,"z":null,"o":{},"l":[],"m":[1,{"k":"v"}]}', "--tag", "x")

    REPORTS = [["version"], ["pool", "list"], ["pool", "info", "demo"], ["doctor", "demo"], ["doctor", "--all"]]

    def test_tokens(self):
        coloured = self.ok("--color", "always", "fetch", "demo", "1", "--format", "pretty").out
        tokens = set(ESCAPE.findall(coloured))
        for code, text in [("36", '"seq"'), ("33", "1"), ("32", '"a\\"b"'), ("33", "-1.5e3"), ("35", "true"), ("35", "false"),
                           ("39", "null"), ("39", "{}"), ("39", "[]"), ("39", "{"), ("39", "]"), ("39", ":"), ("39", ","), ("32", '"x"'),
                           ("36", '"k"'), ("32", '"v"')]:
            self.assertIn((code, text), tokens)
        self.assertEqual({code for code, _ in tokens}, {"36", "32", "33", "35", "39"})
        # Nothing but blanks and newlines stands outside.
        self.assertEqual(ESCAPE.sub("", coloured).strip(" \n"), "")

    def test_without_escapes__it_is_the_indented_form(self):
        coloured = self.ok("--color", "always", "fetch", "demo", "1", "--format", "pretty").out
        self.assertEqual(plain(coloured), self.ok("--color", "never", "fetch", "demo", "1", "--format", "pretty").out)
        self.assertEqual(json.loads(plain(coloured)), self.ok("fetch", "demo", "1").json())
        self.assertTrue(plain(coloured).startswith('{\n  "seq": 1,\n  "time": "'))
        self.assertIn('    "o": {},\n    "l": [],\n    "m": [\n      1,\n      {\n        "k": "v"\n      }\n    ]\n', plain(coloured))

    def test_reports__are_coloured_where_asked(self):
        for words in self.REPORTS:
            coloured = self.ok("--color", "always", *words, "--json").out
            self.assertRegex(coloured, "\x1b\\[36m\"[a-z_]+\"\x1b\\[0m", words)
            json.loads(plain(coloured))
            for colour in ("never", "auto"):
                out = self.ok("--color", colour, *words, "--json").out
                self.assertNotIn("\x1b", out)
                self.assertEqual(out.count("\n"), 1, words)
            self.assertNotIn("\x1b", self.ok("--color", "always", *words, "--format", "jsonl").out)
        self.assertIn('\x1b[36m"name"\x1b[0m', self.ok("--color", "always", "pool", "info", "demo", "--json").out)
        result = self.run_pls("--color", "always", "pool", "delete", "missing", "--json")
        self.assertIn('\x1b[36m"failed"\x1b[0m', result.out)
        self.assertIn('\x1b[36m"created"\x1b[0m', self.ok("--color", "always", "pool", "create", "other", "--json").out)

    def test_text__is_never_coloured(self):
        for words in self.REPORTS:
            self.assertNotIn("\x1b", self.ok("--color", "always", *words, "--format", "pretty").out)
            rc, shown = self.terminal("--color", "always", *words)
            self.assertEqual(rc, 0)
            self.assertNotIn("\x1b", shown)
        for page in (["--help"], ["pool"], ["feed", "-h"]):
            self.assertNotIn("\x1b", self.run_pls("--color", "always", *page).out)

    def test_terminal__has_coloured_json(self):
        for words in self.REPORTS:
            rc, shown = self.terminal(*words, "--json")
            self.assertEqual(rc, 0)
            self.assertIn("\x1b[36m", shown)
            self.assertIn("\n  ", plain(shown))
            self.assertNotIn("\x1b", self.terminal("--color", "never", *words, "--json")[1])
            self.assertNotIn("\x1b", self.terminal(*words, "--jsonl")[1])

    def test_json_lines__are_never_coloured(self):
        for words in (["follow", "demo", "--tail", "1", "--no-follow"], ["fetch", "demo", "1"]):
            for form in (["--format", "jsonl"], []):
                line = self.ok("--color", "always", *words, *form).out
                self.assertEqual((line.count("\n"), "\x1b" in line), (1, False))
                json.loads(line)
        receipt = self.ok("--color", "always", "feed", "demo", "{}", "--jsonl").out
        self.assertNotIn("\x1b", receipt)

    def test_errors__are_coloured_on_a_terminal_only(self):
        result = self.run_pls("--color", "always", "follow", "missing")
        self.assertNotIn("\x1b", result.err)
        error = result.error()
        self.assertEqual((result.rc, error["kind"]), (3, "NotFound"))
        self.assertTrue(error["message"] and error["path"].endswith("missing.plasmite"))
        self.assertIn("--create", error["hint"])
        rc, shown = self.terminal("pool", "info", "missing")
        self.assertTrue(shown.startswith("\x1b[31merror:\x1b[0m not found\n\x1b[33mhint:\x1b[0m "), shown)
        self.assertNotIn("\x1b", self.terminal("--color", "never", "pool", "info", "missing")[1])
        # What is wrong may be --color itself.
        self.assertIn("\x1b[31merror:\x1b[0m invalid value 'blue'", self.terminal("--color", "blue", "pool", "list")[1])
        self.assertIn("\x1b[31merror:\x1b[0m ", self.terminal("--color", "never", "pool", "list", "--nope")[1])

    # What comes from others cannot steer a terminal.

    def test_messages_of_others__are_shown_with_escapes(self):
        evil = "\x9b31mX\x7f\x80\u202egnp\u2066\u200f\u061c"
        shown_as = r"\u009b31mX\u007f\u0080\u202egnp\u2066\u200f\u061c"
        rc, shown = self.terminal("--color", "never", "feed", "steered", "--create", json.dumps({"a" + evil: evil}, ensure_ascii=False),
                                  "--tag", evil)
        self.assertTrue(shown.endswith("  tags: " + shown_as + "\n"), shown)
        for words in ["follow", "steered", "--no-follow"], ["fetch", "steered", "1"]:
            rc, shown = self.terminal("--color", "never", *words)
            self.assertIn('"a%s": "%s"' % (shown_as, shown_as), shown)
            self.assertEqual(json.loads(shown)["data"], {"a" + evil: evil})
            self.assertIn(evil, self.ok(*words).out)

    def test_names__are_shown_with_escapes(self):
        name, shown_as = "a\x9b\x7f\n\u202e", r"a\x9b\x7f\n\u202e"
        rc, shown = self.terminal("--color", "never", "pool", "info", name)
        self.assertIn("`plasmite pool create $'a\\302\\233\\177\\012\\342\\200\\256' --dir ", shown)
        self.assertEqual(set(shown) & {"\x9b", "\x7f", "\x1b", "\u202e"}, set())
        self.ok("pool", "create", name)
        for words in ["pool", "list"], ["pool", "info", name], ["doctor", "--all"], ["pool", "delete", name]:
            rc, shown = self.terminal("--color", "never", *words)
            self.assertIn(shown_as, shown, words)
            self.assertEqual(set(shown) & {"\x9b", "\x7f", "\x1b", "\u202e"}, set(), words)


if __name__ == "__main__":
    unittest.main(verbosity=2)
