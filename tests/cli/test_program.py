import json
import os
import re
import resource
import shlex
import subprocess
import unittest

import harness

COMMANDS = ["pool", "pool create", "pool info", "pool delete", "pool list", "feed", "follow", "duplex", "fetch", "tap", "mount",
            "umount", "doctor", "completion", "version"]
RUN_BARE = ["pool list", "version"]


class Program(harness.Case):
    # Help.

    def test_bare__shows_help_on_stderr(self):
        for command in [""] + [c for c in COMMANDS if c not in RUN_BARE]:
            for use_dir in (False, True) if command else (False,):
                result = self.run_pls(*command.split(), use_dir=use_dir)
                self.assertEqual((result.rc, result.out), (2, ""), command)
                self.assertIn(("Usage: plasmite %s" % command) if command else "USAGE", result.err)
                self.assertEqual(result.err, self.ok(*command.split(), "-h").out)

    def test_pls__alone_shows_help_on_stdout(self):
        result = self.ok(program="pls", use_dir=False)
        self.assertEqual(result.out, self.ok("--help").out)
        self.assertEqual(self.ok("version", program="pls").json()["name"], "plasmite")
        # Also through a path and as somebody calls it.
        os.symlink(harness.bin_path("plasmite"), self.path("pls"))
        done = subprocess.run([self.path("pls")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_help__of_every_command(self):
        for command in COMMANDS:
            words = command.split()
            page = self.ok(*words, "--help").out
            self.assertIn("Usage: plasmite " + command, page)
            self.assertEqual(page, self.ok("help", *words).out)
            self.assertEqual(page, self.ok(*words, "---help").out)
            short = self.ok(*words, "-h").out
            self.assertTrue(page.startswith(short), command)
        self.assertIn("Usage: plasmite pool <COMMAND>\n", self.ok("help", "pool").out)
        self.assertIn("list    List pools in the pool directory", self.ok("help", "pool").out)
        self.assertEqual(self.ok("pool", "help", "create").out, self.ok("pool", "create", "--help").out)
        self.assertIn("<POOL|--all>", self.ok("doctor", "-h").out)

    def test_help__takes_the_options_of_the_program(self):
        page = self.ok("feed", "--help").out
        for words in (["help", "--color", "never", "feed"], ["--json", "help", "feed"], ["help", "feed", "--format=json"],
                      ["help", "--help", "feed"]):
            self.assertEqual(self.ok(*words).out, page, words)
        self.assertEqual(self.ok("help", "--json").out, self.ok("--help").out)
        for words, message in [(["feed", "--tag", "x"], "unexpected argument '--tag' found"),
                               (["feed", "x"], "unexpected argument 'x' found"),
                               (["--color", "blue"], "invalid value 'blue' for '--color <COLOR>'")]:
            self.assertEqual(self.refused("Usage", "help", *words)["message"], message)

    def test_help__of_the_program(self):
        page = self.ok("--help").out
        self.assertEqual(page, self.ok("help").out)
        self.assertTrue(page.startswith(self.ok("-h").out))
        for text in ("persistent, bounded stream", "`feed` appends", "plasmite pool create chat", "Use --json or --format jsonl",
                     "plasmite <command> --help", "plasmite [OPTIONS] <COMMAND>", "\nUSAGE\n", "\nCOMMANDS\n", "\nOPTIONS\n",
                     "before or after the command"):
            self.assertIn(text, page)
        self.assertRegex(page, r"(?m)^  pool +Manage pool files$")
        rows = page.split("\nCOMMANDS\n")[1].split("\n\n")[0].splitlines()
        self.assertEqual({row.split()[0] for row in rows}, {c.split()[0] for c in COMMANDS} | {"help"})

    def test_help_pages__look_alike(self):
        for command in [""] + COMMANDS:
            page = self.ok(*command.split(), "--help").out
            lines = page.splitlines()
            self.assertEqual([line for line in lines if len(line) > 100 or line != line.rstrip()], [], command)
            self.assertNotIn("\n\n\n", page, command)
            # Sentences about commands begin with a capital, words about arguments and options do not.
            self.assertRegex(page, r"\A[A-Z]")
            for row in re.findall(r"(?m)^  (?: {4}|-., )--[a-z-]+(?: [A-Z]+| [a-z|]+)?  +(.*)", page):
                self.assertRegex(row, r"^[^A-Z]", command)
            if command:
                for row in re.findall(r"(?m)^  ([a-z]+) {2,}(.*)", page.split("Commands:")[1].split("\n\n")[0] if "Commands:" in page else ""):
                    self.assertRegex(row[1], r"^[A-Z]", command)
            if command not in ("", "pool"):
                self.assertIn("\nEXAMPLES\n  ", page, command)
                self.assertIn("plasmite " + command, page.split("\nEXAMPLES\n")[1])
                self.assertIn("  -h, --help ", page)
            # The columns of a list line up.
            for part in page.split("\n\n"):
                starts = {len(m.group(0)) for m in re.finditer(r"(?m)^  (?: {4}|-., )--\S+(?: [A-Z]+| [a-z|]+)? {2,}", part)}
                self.assertLessEqual(len(starts), 1, (command, part))

    def test_help__is_enough_to_begin(self):
        """What the first page says to type works as it stands."""
        page = self.ok("--help", use_dir=False).out
        steps = [line[2:].split("   ")[0] for line in page.split("\nFIRST STEPS\n")[1].split("\n\n")[0].splitlines()]
        create, follow, feed, last, pipe, _ = steps
        env = dict(self.env, PATH=os.environ["PLASMITE_BIN"] + ":" + self.env["PATH"])
        sh = lambda line: subprocess.run(["sh", "-c", line], env=env, stdout=subprocess.PIPE, check=True).stdout.decode()
        sh(create)
        follower = self.start_asleep(*shlex.split(follow)[1:], use_dir=False)
        self.assertIn('"tags":["hi"]', sh(feed))
        self.assertEqual(follower.json_line()["data"], {"from": "me"})
        sh(pipe)
        self.assertEqual(follower.json_line()["data"], {"n": 1})
        self.assertEqual(len(sh(last).splitlines()), 2)

    # The rest of the program.

    def test_closed_standard_streams__harm_no_pool(self):
        # A pool that got the number of a closed stream would be written over by the receipt or the error.
        self.ok("pool", "create", "a", "b")
        feed = [harness.bin_path("plasmite"), "--dir", self.pools, "feed"]
        for redirect, pool, data in ((">&-", "a", '{"n":1}'), ("2>&-", "b", "{bad"), ("<&-", "b", '{"n":1}')):
            subprocess.run(["sh", "-c", 'exec "$@" ' + redirect, "sh", *feed, pool, data], capture_output=True, timeout=20)
        for pool in "a", "b":
            self.ok("doctor", pool)
            self.assertEqual(self.ok("fetch", pool, "1").json()["data"], {"n": 1})

    def test_limit_of_file_sizes__is_an_error_like_a_full_disk(self):
        def run(*args, stdin=b""):
            with open(self.path("out"), "wb") as out:
                done = subprocess.run(self.argv(*args), input=stdin, stdout=out, stderr=subprocess.PIPE, env=self.env,
                                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384)))
            return done.returncode, done.stderr.decode()

        rc, err = run("pool", "create", "p")
        self.assertEqual((rc, json.loads(err)["error"]["causes"]), (8, ["File too large (os error 27)"]))
        self.ok("pool", "create", "p")
        rc, err = run("feed", "p", stdin=b"".join(b'{"n":%d}\n' % i for i in range(1000)))
        self.assertEqual((rc, json.loads(err)["error"]["causes"]), (8, ["File too large (os error 27)"]))
        self.assertEqual(len(self.ok("follow", "p", "--no-follow").lines()), 1000)
        self.assertEqual(run("follow", "p", "--no-follow")[0], 8)
        rc, err = run("tap", "p", "--", "sh", "-c", "seq 10000; exec sleep 1000")
        self.assertEqual((rc, json.loads(err)["error"]["message"]), (8, "failed to write passthrough output"))

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

    def test_mount__tells_errors_as_every_command_does(self):
        os.makedirs(self.path("place"))
        for words, kind, text in ((["mount", self.path("nowhere")], "NotFound", "mount point '%s' does not exist" % self.path("nowhere")),
                                  (["mount", "-o", "nope", self.path("place")], "Usage", "unknown mount option 'nope'"),
                                  (["mount", "a", "b", "c"], "Usage", "unexpected argument 'c' found"),
                                  (["umount", self.path("nowhere")], "NotFound", "there is no '%s'" % self.path("nowhere")),
                                  (["umount", self.path("place")], "NotFound", "nothing is mounted at '%s'" % self.path("place"))):
            self.assertEqual(self.refused(kind, *words)["message"], text)
        rc, shown = self.terminal("--color", "never", "umount", self.path("place"))
        self.assertEqual(rc, 3)
        self.assertTrue(shown.startswith("error: nothing is mounted at '%s'\nhint: " % self.path("place")), shown)

    def test_version(self):
        result = self.ok("version")
        version = self.ok("--version").out.split()[1]
        self.assertEqual(result.json(), {"name": "plasmite", "version": version})
        text = "plasmite %s\n" % version
        self.assertEqual(self.ok("-V").out, text)
        self.assertEqual(self.ok("---version").out, text)
        self.assertEqual(self.ok("version", "--format", "pretty").out, text)
        self.assertEqual(self.terminal("version"), (0, text))
        page = self.ok("version", "--help").out
        for fragment in ("human-readable version information on a terminal", "stdout is redirected or piped", "machine-readable JSON"):
            self.assertIn(fragment, page)

    # Words that do not fit.

    def test_parse_errors(self):
        for words, message, hint in [
                (["follow", "demo", "--definitely-not-a-flag"], "unexpected argument '--definitely-not-a-flag' found",
                 "Try `plasmite follow --help`."),
                (["version", "extra"], "unexpected argument 'extra' found", "Try `plasmite version --help`."),
                (["pool", "create", "x", "--wrong"], "unexpected argument '--wrong' found",
                 "Try `plasmite pool create --help`."),
                (["xyzzy"], "unrecognized subcommand 'xyzzy'", "Try `plasmite --help`."),
                (["pool", "xyzzy"], "unrecognized subcommand 'xyzzy'", "Try `plasmite pool --help`."),
                (["follow", "demo", "--tail", "x"], "invalid value 'x' for '--tail <TAIL>': invalid digit found in string",
                 "Try `plasmite follow --help`."),
                (["follow", "demo", "--tail"], "a value is required for '--tail <TAIL>' but none was supplied",
                 "Try `plasmite follow --help`."),
                (["feed", "demo", "{}", "--file", "x"], "the argument '[DATA]' cannot be used with '--file <FILE>'",
                 "Try `plasmite feed --help`."),
                (["pool", "list", "--json=x"], "unexpected value 'x' for '--json' found; no more were expected",
                 "Try `plasmite pool list --help`."),
                (["feed", "demo", "{}", "--create", "--create"], "the argument '--create' cannot be used multiple times",
                 "Try `plasmite feed --help`."),
                ([], "'plasmite' requires a subcommand but one was not provided", "Try `plasmite --help`.")]:
            error = self.refused("Usage", *words)
            self.assertEqual((error["message"], error["hint"]), (message, hint))

    def test_parse_errors__say_what_helps(self):
        for words, message, hint in [
                (["folow"], "unrecognized subcommand 'folow'", "Did you mean `plasmite follow`? Try `plasmite --help`."),
                (["list"], "unrecognized subcommand 'list'", "Did you mean `plasmite pool list`? Try `plasmite --help`."),
                (["pool", "feed"], "unrecognized subcommand 'feed'", "Did you mean `plasmite feed`? Try `plasmite pool --help`."),
                (["help", "docter"], "unrecognized subcommand 'docter'", "Did you mean `plasmite doctor`? Try `plasmite --help`."),
                (["follow", "demo", "--tial", "3"], "unexpected argument '--tial' found", "Did you mean `--tail`? Try `plasmite follow --help`."),
                (["feed", "demo", "{}", "--jsn"], "unexpected argument '--jsn' found", "Did you mean `--json`? Try `plasmite feed --help`."),
                (["--tail", "3", "follow", "demo"], "unexpected argument '--tail' found",
                 "It belongs to a command and stands behind it, as in `plasmite follow --tail`. Try `plasmite --help`."),
                (["fetch", "demo", "-1"], "unexpected argument '-1' found", "Try `plasmite fetch --help`."),
                (["pool", "info", "-demo"], "unexpected argument '-d' found",
                 "A name that begins with - stands behind `--`. Try `plasmite pool info --help`."),
                (["feed", "demo", "{}", "--tag", "-x"], "unexpected argument '-x' found",
                 "A value that begins with - is attached: `--tag=-x`. Try `plasmite feed --help`."),
                (["tap", "demo", "make"], "unexpected argument 'make' found", "COMMAND... stands behind `--`. Try `plasmite tap --help`."),
                (["follow", "demo", "--format", "xml"], "invalid value 'xml' for '--format <FORMAT>'",
                 "Use pretty, json or jsonl. Try `plasmite --help`."),
                (["feed", "demo", "-e", "x"], "invalid value 'x' for '--errors <ERRORS>'", "Use stop or skip. Try `plasmite --help`."),
                (["fetch", "demo"], "the following required arguments were not provided:",
                 "Missing: SEQ, number of the message. Try `plasmite fetch --help`.")]:
            error = self.refused("Usage", *words)
            self.assertEqual((error["message"], error["hint"]), (message, hint))

    def test_arguments_that_are_not_utf8(self):
        for words in ([b"pool", b"info", b"\xff"], [b"\xff"], [b"feed", b"demo", b"{}", b"--tag", b"\xff"], [b"pool", b"list", b"--\xff"]):
            done = subprocess.run([harness.bin_path("plasmite").encode()] + words, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            error = json.loads(done.stderr)["error"]
            self.assertEqual((done.returncode, error["message"]), (2, "invalid UTF-8 was detected in one or more arguments"))
        done = subprocess.run([harness.bin_path("plasmite").encode(), b"--dir", self.dir.encode() + b"/\xff", b"pool", b"create", b"x"],
                              env=self.env, stdout=subprocess.PIPE)
        self.assertEqual((done.returncode, os.listdir(self.dir.encode())), (0, [b"\xff"]))

    def test_program_options__stand_anywhere(self):
        self.ok("pool", "create", "demo", "--dir", self.pools, use_dir=False)
        self.ok("pool", "--dir", self.pools, "info", "demo", "--dir", self.pools, use_dir=False)
        error = self.refused("Usage", "pool", "list", "--dir", "elsewhere")
        self.assertEqual(error["message"], "the argument '--dir <DIR>' cannot be used multiple times")

    def test_program_options__empty_directory(self):
        self.assertEqual(self.refused("Usage", "--dir", "", "pool", "list", use_dir=False)["message"],
                         "a value is required for '--dir <DIR>' but none was supplied")

    def test_output_forms__exclude_each_other(self):
        for words in (["--json", "--jsonl"], ["--format", "pretty", "--json"], ["--format", "json", "--jsonl"]):
            self.assertEqual(self.refused("Usage", "pool", "list", *words)["message"], "conflicting output options")

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
