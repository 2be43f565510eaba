import os
import subprocess
import unittest

import harness

COMMANDS = ["pool", "pool create", "pool info", "pool delete", "pool list", "feed", "follow", "fetch", "mount", "umount",
            "doctor", "version"]


class Program(harness.Case):
    def test_bare__shows_help_on_stderr(self):
        for command in ["", "pool", "pool create", "pool info", "pool delete", "feed", "follow", "fetch", "doctor", "mount"]:
            for use_dir in (False, True) if command else (False,):
                result = self.run_pls(*command.split(), use_dir=use_dir)
                self.assertEqual((result.rc, result.out), (2, ""), command)
                self.assertIn(("Usage: plasmite %s" % command) if command else "USAGE", result.err)

    def test_pls__alone_shows_help_on_stdout(self):
        result = self.ok(program="pls", use_dir=False)
        self.assertIn("plasmite [OPTIONS] <COMMAND>", result.out)
        self.assertEqual(self.ok("version", program="pls").json()["name"], "plasmite")

    def test_help__of_every_command(self):
        for command in COMMANDS:
            words = command.split()
            page = self.ok(*words, "--help").out
            self.assertIn("Usage: plasmite " + command, page)
            self.assertEqual(page, self.ok("help", *words).out)
            self.assertIn("Usage: plasmite " + command, self.ok(*words, "-h").out)
        page = self.ok("--help").out
        self.assertEqual(page, self.ok("help").out)
        for command in COMMANDS:
            self.assertRegex(page, r"(?m)^  %s +[A-Z]" % command.split()[0])
        self.assertIn("list    List pools in the pool directory", self.ok("help", "pool").out)

    def test_closed_standard_streams__harm_no_pool(self):
        # A pool that got the number of a closed stream would be written over by the receipt or the error.
        self.ok("pool", "create", "a", "b")
        feed = [harness.bin_path("plasmite"), "--dir", self.pools, "feed"]
        for redirect, pool, data in ((">&-", "a", '{"n":1}'), ("2>&-", "b", "{bad"), ("<&-", "b", '{"n":1}')):
            subprocess.run(["sh", "-c", 'exec "$@" ' + redirect, "sh", *feed, pool, data], capture_output=True, timeout=20)
        for pool in "a", "b":
            self.ok("doctor", pool)
            self.assertEqual(self.ok("fetch", pool, "1").json()["data"], {"n": 1})

    def test_mount__never_over_its_own_pools(self):
        # The daemon would wait for itself, and so would every program that looks there.
        os.makedirs(self.pools)
        for point in self.pools, self.dir:
            result = self.run_pls("mount", self.pools, point)
            self.assertEqual(result.rc, 2, result)
            self.assertIn("lies within the mount point", result.err)
        result = self.run_pls("mount", self.path("nowhere"), self.dir)
        self.assertEqual(result.rc, 3, result)
        self.assertFalse(os.path.exists(self.path("nowhere")))

    def test_version(self):
        result = self.ok("version")
        self.assertEqual(result.json()["name"], "plasmite")
        text = "plasmite %s\n" % result.json()["version"]
        self.assertEqual(self.ok("--version").out, text)
        self.assertEqual(self.ok("-V").out, text)
        self.assertEqual(self.ok("version", "--format", "pretty").out, text)
        self.assertEqual(self.terminal("version"), (0, text))

    def test_parse_errors(self):
        for words, message, hint in [
                (["follow", "demo", "--definitely-not-a-flag"], "unexpected argument '--definitely-not-a-flag' found",
                 "Try `plasmite follow --help`."),
                (["version", "extra"], "unexpected argument 'extra' found", "Try `plasmite version --help`."),
                (["pool", "create", "x", "--wrong"], "unexpected argument '--wrong' found",
                 "Try `plasmite pool create --help`."),
                (["nope"], "unrecognized subcommand 'nope'", "Try `plasmite --help`."),
                (["feed", "demo", "-5"], "unexpected argument '-5' found", "Try `plasmite feed --help`."),
                (["follow", "demo", "--format", "xml"], "invalid value 'xml' for '--format <FORMAT>'",
                 "Try `plasmite --help`."),
                (["follow", "demo", "--tail", "x"], "invalid value 'x' for '--tail <TAIL>': invalid digit found in string",
                 "Try `plasmite --help`."),
                (["follow", "demo", "--tail"], "a value is required for '--tail <TAIL>' but none was supplied",
                 "Try `plasmite --help`."),
                (["feed", "demo", "{}", "--file", "x"], "the argument '[DATA]' cannot be used with '--file <FILE>'",
                 "Try `plasmite feed --help`."),
                ([], "'plasmite' requires a subcommand but one was not provided", "Try `plasmite --help`.")]:
            error = self.refused("Usage", *words)
            self.assertEqual((error["message"], error["hint"]), (message, hint))

    def test_program_options__stand_anywhere(self):
        self.ok("pool", "create", "demo", "--dir", self.pools, use_dir=False)
        self.ok("pool", "--dir", self.pools, "info", "demo", "--dir", self.pools, use_dir=False)
        error = self.refused("Usage", "pool", "list", "--dir", "elsewhere")
        self.assertEqual(error["message"], "the argument '--dir <DIR>' cannot be used multiple times")

    def test_errors_on_a_terminal__are_lines(self):
        rc, shown = self.terminal("--color", "never", "pool", "info", "missing")
        self.assertEqual(rc, 3)
        self.assertRegex(shown, r"^error: not found\nhint: .*\n$")
        rc, shown = self.terminal("pool", "info", "missing")
        self.assertTrue(shown.startswith("\033[31merror:\033[0m not found\n\033[33mhint:\033[0m "), shown)

    def test_feed_and_follow__load_libc_only(self):
        maps = self.loaded(self.start_asleep("follow", "demo", "--create"))
        self.assertLessEqual({name for name in maps if ".so" in name}, self.allowed())

    @staticmethod
    def loaded(process):
        with open("/proc/%d/maps" % process.pid) as file:
            return {os.path.basename(line.split()[5]) for line in file if len(line.split()) > 5}

    @staticmethod
    def allowed():
        """libc and the loader; under a sanitizer also what that brings with it."""
        names = {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
        listed = subprocess.run(["ldd", harness.bin_path("plasmite")], stdout=subprocess.PIPE, text=True).stdout
        if "libasan" in listed or "libtsan" in listed:
            names |= {os.path.basename(os.path.realpath(word)) for word in listed.split() if word.startswith("/")}
        return names

    def test_man_page__is_clean_and_names_every_command(self):
        page = os.path.join(os.path.dirname(__file__), "..", "..", "man", "plasmite.1")
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], stdout=subprocess.PIPE, text=True)
        self.assertEqual((lint.returncode, lint.stdout), (0, ""))
        with open(page) as file:
            text = file.read()
        for command in COMMANDS:
            if command != "pool":
                self.assertIn(".It Cm " + command, text)
            for line in self.ok(*command.split(), "-h").out.split("Options of every command")[0].splitlines():
                if line.startswith("  -") or line.startswith("      --"):
                    self.assertIn("Fl -" + line.split("--")[1].split()[0], text, command)


if __name__ == "__main__":
    unittest.main(verbosity=2)
