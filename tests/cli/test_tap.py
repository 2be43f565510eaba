import base64
import json
import os
import pty
import re
import signal
import subprocess
import unittest

import harness

# A shell that runs the tests in the background, and nohup, ignore these; what the tests start must not.
for number in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


class Tap(harness.Case):
    def messages(self, pool="demo"):
        return self.ok("follow", pool, "--no-follow").json_lines()

    def data(self, pool="demo"):
        return [m["data"] for m in self.messages(pool)]

    def lines(self, pool="demo"):
        return [d["line"] for d in self.data(pool) if d["kind"] == "line"]

    def tap(self, *argv, options=("--create",), **kwargs):
        return self.run_pls("tap", "demo", *options, "--", *argv, **kwargs)

    def start_tap(self, script, *options, shell="sh"):
        tap = self.start("tap", "demo", "--create", *options, "--", shell, "-c", script)
        return tap

    # What is recorded and passed on.

    def test_records__start_lines_and_exit(self):
        result = self.tap("echo", "hello")
        self.assertEqual((result.rc, result.out, result.err), (0, "hello\n", ""))
        start, line, end = self.messages()
        texts = re.findall(r'"data":(.*)}\n', self.ok("follow", "demo", "--no-follow").out)
        self.assertEqual(texts[:2], ['{"kind":"start","cmd":["echo","hello"]}', '{"kind":"line","stream":"stdout","line":"hello"}'])
        self.assertRegex(texts[2], r'^\{"kind":"exit","code":0,"elapsed_ms":\d+\}$')
        self.assertEqual((start["data"], start["meta"]), ({"kind": "start", "cmd": ["echo", "hello"]}, {"tags": ["lifecycle"]}))
        self.assertEqual((line["data"], line["meta"]), ({"kind": "line", "stream": "stdout", "line": "hello"}, {"tags": []}))
        self.assertEqual((end["data"]["kind"], end["data"]["code"], end["meta"]), ("exit", 0, {"tags": ["lifecycle"]}))
        self.assertNotIn("signal", end["data"])
        self.assertGreaterEqual(end["data"]["elapsed_ms"], 0)
        self.assertEqual([m["seq"] for m in (start, line, end)], [1, 2, 3])

    def test_stderr__is_a_stream_of_its_own(self):
        result = self.tap("sh", "-c", "echo err >&2")
        self.assertEqual((result.rc, result.out, result.err), (0, "", "err\n"))
        self.assertEqual(self.data()[1], {"kind": "line", "stream": "stderr", "line": "err"})

    def test_exit_code__is_that_of_the_command(self):
        self.assertEqual(self.tap("false").rc, 1)
        end = self.data()[1]
        self.assertEqual((end["kind"], end["code"]), ("exit", 1))
        self.assertNotIn("signal", end)
        self.assertEqual(self.tap("sh", "-c", "exit 77").rc, 77)

    def test_death_by_signal(self):
        for number, name in [(9, "SIGKILL"), (11, "SIGSEGV"), (6, "SIG6"), (15, "SIGTERM"), (2, "SIGINT")]:
            self.assertEqual(self.tap("sh", "-c", "kill -%d $$" % number).rc, 128 + number)
            end = self.data()[-1]
            self.assertEqual((end["kind"], end["signal"]), ("exit", name))
            self.assertNotIn("code", end)

    def test_tags__are_for_lines(self):
        self.tap("echo", "ok", options=("--create", "--tag", "ci", "--tag", "build"))
        self.assertEqual([m["meta"]["tags"] for m in self.messages()], [["lifecycle"], ["ci", "build"], ["lifecycle"]])

    def test_quiet__records_and_prints_nothing(self):
        for option in "-q", "--quiet":
            result = self.tap("sh", "-c", "echo hello; echo err >&2", options=("--create", option))
            self.assertEqual((result.rc, result.out, result.err), (0, "", ""))
        self.assertEqual(sorted(self.lines()), ["err", "err", "hello", "hello"])

    def test_lines__keep_their_order_and_bytes(self):
        text = "a\n\n b\t\n\r\nc\r\n d\re\n\"\\\x01\x7f\né€😀\n" + "x" * 65536 + "\nlast"
        path = self.write_file("out", text)
        result = self.tap("cat", path)
        self.assertEqual(result.out_bytes, text.encode())
        self.assertEqual(self.lines(), ["a", "", " b\t", "", "c", " d\re", "\"\\\x01\x7f", "é€😀", "x" * 65536, "last"])
        self.assertEqual(self.data()[-1]["kind"], "exit")

    def test_many_lines__are_all_there(self):
        self.ok("pool", "create", "demo", "--size", "64M")
        result = self.tap("seq", "200000", options=("-q",))
        self.assertEqual(result.rc, 0)
        self.assertEqual(self.lines(), [str(i) for i in range(1, 200001)])

    def test_line__is_appended_at_once(self):
        self.ok("pool", "create", "demo")
        tap = self.start_tap("while read x; do echo got $x; echo bad $x >&2; done")
        follow = self.start("follow", "demo", "--tail", "1000000", "--data-only")
        self.assertEqual(follow.json_line()["kind"], "start")
        for i in range(5):
            tap.write("%d\n" % i)
            self.assertEqual({follow.json_line()["line"], follow.json_line()["line"]}, {"got %d" % i, "bad %d" % i})
            self.assertEqual((tap.line(), tap.err.line()), ("got %d" % i, "bad %d" % i))
        tap.close_stdin()
        self.assertEqual(tap.wait(), 0)
        self.assertEqual(follow.json_line()["kind"], "exit")

    def test_unfinished_line__is_passed_on_but_not_recorded_before_its_end(self):
        tap = self.start_tap("printf 'Name: '; read x; echo \"hello $x\"")
        harness.wait_until(lambda: tap.out.seen() == "Name: ", "the question is shown")
        self.assertEqual([d["kind"] for d in self.data()], ["start"])
        tap.write("me\n")
        self.assertEqual(tap.wait(), 0)
        self.assertEqual(self.lines(), ["Name: hello me"])

    def test_not_utf8__loses_nothing(self):
        raw = b"caf\xe9 \xff\xfe\nplain\n\xed\xa0\x80\n\xc3"
        for options in (("--create",), ("--create", "-q")):
            result = self.tap("cat", self.write_file("raw", raw), options=options)
            self.assertEqual(result.rc, 0)
            self.assertEqual(result.out_bytes, raw if "-q" not in options else b"")
            records = [d for d in self.data() if d["kind"] == "line"][-4:]
            self.assertEqual([r["line"] for r in records],
                             ["caf\ufffd \ufffd\ufffd", "plain", "\ufffd\ufffd\ufffd", "\ufffd"])
            self.assertEqual([base64.b64decode(r["bytes"]) if "bytes" in r else None for r in records],
                             [b"caf\xe9 \xff\xfe", None, b"\xed\xa0\x80", b"\xc3"])
            self.assertEqual(self.data()[-1]["kind"], "exit")

    def test_line_larger_than_a_message__comes_in_pieces(self):
        self.ok("pool", "create", "demo", "--size", "256K")
        limit = self.ok("pool", "info", "demo").json()["ring_size"]
        text = "x" * (limit // 2) + "é" * (limit // 4) + "\x01" * 100
        result = self.tap("cat", self.write_file("out", text + "\nnext\n"), options=())
        self.assertEqual((result.rc, result.out_bytes), (0, (text + "\nnext\n").encode()))
        # The first piece has left the ring to the second, which has the rest.
        last, after, end = self.messages()[-3:]
        self.assertEqual([m["seq"] for m in (last, after, end)], [3, 4, 5])
        self.assertTrue(text.endswith(last["data"]["line"]))
        self.assertNotIn("more", last["data"])
        self.assertEqual((after["data"]["line"], end["data"]["kind"]), ("next", "exit"))

    def test_endless_line__takes_bounded_memory(self):
        self.ok("pool", "create", "demo", "--size", "1M")
        peak = self.path("peak")
        script = "head -c 60000000 /dev/zero | tr '\\0' x; grep VmHWM /proc/$PPID/status > " + peak
        self.assertEqual(self.tap("sh", "-c", script, options=("-q",)).rc, 0)
        with open(peak) as file:
            kilobytes = int(file.read().split()[1])
        # A sanitizer keeps freed memory for a while.
        self.assertLess(kilobytes, 400000 if "asan" in self.libraries() else 20000)

    def libraries(self):
        return subprocess.run(["ldd", harness.bin_path("plasmite")], stdout=subprocess.PIPE, text=True).stdout

    def test_pieces__joined_are_the_line(self):
        # Larger than a line may be in one message, in a pool that has room for all of it.
        self.ok("pool", "create", "demo", "--size", "64M")
        text = "é" * (8 * 1024 * 1024) + "\x02" * 1000 + "end"
        self.assertEqual(self.tap("cat", self.write_file("out", text), options=("-q",)).rc, 0)
        pieces = [d for d in self.data() if d["kind"] == "line"]
        self.assertEqual("".join(p["line"] for p in pieces) == text, True)
        self.assertEqual([p.get("more", False) for p in pieces], [True] * (len(pieces) - 1) + [False])
        self.assertGreater(len(pieces), 1)

    def test_arguments__are_untouched(self):
        words = ["printf", "%s\\n", "", "a b", "--help", "---help", "-h", "--", "--dir", "--version", "é'\""]
        result = self.tap(*words)
        self.assertEqual(result.out, "\na b\n--help\n---help\n-h\n--\n--dir\n--version\né'\"\n")
        self.assertEqual(self.data()[0]["cmd"], words)
        done = subprocess.run(self.argv("tap", "demo", "--", "printf", "%s", b"\xff\xfe"), env=self.env, stdout=subprocess.PIPE)
        self.assertEqual(done.stdout, b"\xff\xfe")

    def test_options_of_the_program__stand_before_the_dashes(self):
        self.ok("tap", "other", "--create", "-q", "--dir", self.pools, "--color", "never", "--", "true", use_dir=False)
        self.assertEqual(len(self.messages("other")), 2)

    def test_stdin__is_inherited(self):
        self.assertEqual(self.tap("cat", stdin="one\ntwo").out, "one\ntwo")
        self.assertEqual(self.lines(), ["one", "two"])

    # Where the child stands.

    def test_child__has_usual_signals_and_no_descriptors_of_ours(self):
        self.tap("sh", "-c", "ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status")
        lines = self.lines()
        self.assertEqual(lines[:4], ["0", "1", "2", "3"])  # 3 is the directory that ls reads
        # 32 and 33 belong to libc, which ignores them in what posix_spawn(3) starts.
        masks = [int(line.split()[1], 16) & ~(3 << 31) for line in lines[4:]]
        self.assertEqual(masks, [0, 0])

    def test_reader_of_the_child_gone__is_its_own_affair(self):
        self.assertEqual(self.tap("bash", "-c", "yes | head -n1; echo ${PIPESTATUS[0]}").out, "y\n141\n")

    def test_ignored_sigchld__does_not_hide_the_status(self):
        script = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
        done = subprocess.run(["python3", "-c", script, *self.argv("tap", "demo", "--create", "--", "sh", "-c", "exit 5")], env=self.env)
        self.assertEqual(done.returncode, 5)

    # Pass-through that fails.

    def test_closed_stdout__ends_passing_on_only(self):
        script = '"$0" --dir "$1" tap demo --create -- seq 200000 | head -n1'
        done = subprocess.run(["bash", "-o", "pipefail", "-c", script, harness.bin_path("plasmite"), self.pools],
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"1\n", b""))
        self.assertEqual(self.lines()[-1], "200000")
        done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *self.argv("tap", "demo", "--", "sh", "-c", "echo out; echo err >&2")],
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b"err\n"))
        self.assertEqual(sorted(self.lines()[-2:]), ["err", "out"])

    def test_full_stdout__is_an_error_and_ends_the_child(self):
        with open("/dev/full", "wb") as full:
            tap = subprocess.run(self.argv("tap", "demo", "--create", "--", "sh", "-c", "echo $$; exec sleep 1000"),
                                 stdout=full, stderr=subprocess.PIPE, env=self.env, timeout=harness.LIMIT)
        self.assertEqual(tap.returncode, 8)
        error = json.loads(tap.stderr)["error"]
        self.assertEqual((error["kind"], error["message"]), ("Io", "failed to write passthrough output"))
        self.assertFalse(os.path.exists("/proc/%s" % self.lines()[0]))

    # Signals and ends.

    def test_sigterm__is_forwarded_and_the_end_recorded(self):
        tap = self.start_tap("echo $$; exec sleep 1000")
        child = int(tap.line())
        tap.signal(signal.SIGTERM)
        self.assertEqual(tap.wait(), 143)
        self.assertFalse(os.path.exists("/proc/%d" % child))
        end = self.data()[-1]
        self.assertEqual((end["kind"], end["signal"]), ("exit", "SIGTERM"))

    def test_sigint__may_be_handled_by_the_child(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            tap = self.start_tap("trap 'echo caught; exit 3' INT TERM HUP; echo up; while :; do sleep 0.01; done")
            self.assertEqual(tap.line(), "up")
            tap.signal(number)
            self.assertEqual(tap.line(), "caught")
            self.assertEqual(tap.wait(), 3)
            self.assertEqual(self.data()[-1]["code"], 3)

    def test_ctrl_c__reaches_the_child_once(self):
        script = ("import signal, sys\n"
                  "n = 0\n"
                  "def caught(*_):\n"
                  "    global n\n"
                  "    n += 1\n"
                  "    print('caught', n, flush=True)\n"
                  "signal.signal(signal.SIGINT, caught)\n"
                  "print('up', flush=True)\n"
                  "sys.stdin.readline()\n"
                  "sys.stdin.readline()\n")
        pid, master = pty.fork()
        if pid == 0:
            os.environ.update(self.env)
            os.execv(harness.bin_path("plasmite"), self.argv("tap", "demo", "--create", "--", "python3", "-u", "-c", script))
        shown = b""
        sent = {b"up\r\n": b"\x03", b"caught 1\r\n": b"\n", b"\n\r\n": b"\n"}
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            shown += piece
            for event in list(sent):
                if event in shown:
                    os.write(master, sent.pop(event))
                    break
        os.close(master)
        self.assertEqual(os.waitpid(pid, 0)[1], 0, shown)
        self.assertIn("caught 1", self.lines())
        self.assertNotIn("caught 2", self.lines())

    def on_terminal(self, script):
        """Leads the session of its terminal, as `xterm -e` would start it; the pid and the other end."""
        pid, master = pty.fork()
        if pid == 0:
            os.environ.update(self.env)
            os.execv(harness.bin_path("plasmite"), self.argv("tap", "demo", "--create", "--", "sh", "-c", script))
        return pid, master

    def see(self, master, text):
        shown = b""
        while text not in shown:
            shown += os.read(master, 4096)

    def test_closed_terminal__ends_the_child(self):
        pid, master = self.on_terminal("echo up; exec sleep 1000")
        self.see(master, b"up\r\n")
        os.close(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 129)
        self.assertEqual(self.data()[-1]["signal"], "SIG1")

    def test_closed_terminal__of_a_child_that_goes_on(self):
        # The pause is for tap to meet the end of the terminal before there is more to record; it shows nothing of that.
        pid, master = self.on_terminal("trap '' HUP; echo up; read x; sleep 0.1; echo more; echo more >&2; exit 3")
        self.see(master, b"up\r\n")
        os.close(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 3)
        self.assertEqual(self.lines(), ["up", "more", "more"])

    def test_quit_key__is_for_the_child(self):
        pid, master = self.on_terminal("trap 'echo dump; exit 7' QUIT; echo up; while :; do sleep 0.01; done")
        self.see(master, b"up\r\n")
        os.write(master, b"\x1c")
        self.see(master, b"dump\r\n")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 7)
        os.close(master)
        self.assertEqual(self.data()[-1]["code"], 7)
        self.assertIn("dump", self.lines())  # and "Quit", when the key met a sleep

    def test_other_signals__are_for_the_child(self):
        tap = self.start_tap("trap 'echo 1' USR1; trap 'echo 2' USR2; trap 'echo q; exit 3' QUIT; echo up; while :; do sleep 0.01; done")
        self.assertEqual(tap.line(), "up")
        for number, text in (signal.SIGUSR1, "1"), (signal.SIGUSR2, "2"), (signal.SIGQUIT, "q"):
            tap.signal(number)
            self.assertEqual(tap.line(), text)
        self.assertEqual(tap.wait(), 3)

    def test_one_sigterm__is_enough_when_something_else_holds_the_output(self):
        for script, rc in ("echo up; sleep 60 & wait", 143), ("trap 'exit 5' TERM; echo up; sleep 60 & wait", 5):
            tap = self.start_tap(script)
            self.assertEqual(tap.line(), "up")
            tap.signal(signal.SIGTERM)
            self.assertEqual(tap.wait(), rc)

    def test_sigint__that_the_child_outlives_asks_for_nothing(self):
        # The signal may come before the first read or end it.  A shell gives what it starts behind an `&` no input but by another number.
        tap = self.start_tap("exec 3<&0; trap 'echo caught' INT; echo up; until read x; do :; done; (read x <&3; echo late) & exit 4")
        self.assertEqual(tap.line(), "up")
        tap.signal(signal.SIGINT)
        self.assertEqual(tap.line(), "caught")
        tap.write("a\nb\n")
        self.assertEqual((tap.line(), tap.wait()), ("late", 4))

    def test_ignored_signals__stay_ignored_for_both(self):
        done = subprocess.run(["sh", "-c", 'trap "" HUP; exec "$@"', "sh",
                               *self.argv("tap", "demo", "--create", "--", "sh", "-c", "kill -HUP $PPID; kill -HUP $$; echo here")],
                              env=self.env, stdout=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stdout), (0, b"here\n"))

    def test_grandchild__is_waited_for_until_a_signal_after_the_end_of_the_command(self):
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        tap = self.start_tap("echo $$; (read x < %s; echo late) & exit 4" % pipe)
        child = int(tap.line())
        harness.wait_until(lambda: self.state(child) == "Z", "the command has ended")
        self.assertIsNone(tap.popen.poll())
        with open(pipe, "w") as file:
            file.write("go\n")
        self.assertEqual((tap.line(), tap.wait()), ("late", 4))

        tap = self.start_tap("echo $$; sleep 1000 & exit 6")
        child = int(tap.line())
        harness.wait_until(lambda: self.state(child) == "Z", "the command has ended")
        tap.signal(signal.SIGTERM)
        self.assertEqual(tap.wait(), 6)
        self.assertEqual(self.data()[-1]["code"], 6)

    @staticmethod
    def state(pid):
        try:
            with open("/proc/%d/stat" % pid) as file:
                return file.read().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return "gone"

    def test_stopped_reader_of_the_output__is_waited_for_until_the_second_signal(self):
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        tap = subprocess.Popen(self.argv("tap", "demo", "--create", "--", "sh", "-c", "head -c 130000 /dev/zero; echo $$ > %s" % self.path("pid")),
                               stdout=theirs, stderr=subprocess.PIPE, env=self.env)
        os.close(theirs)
        self.addCleanup(tap.stderr.close)
        self.addCleanup(tap.wait)
        self.addCleanup(tap.kill)
        harness.wait_until(lambda: os.path.exists(self.path("pid")) and os.path.getsize(self.path("pid")), "the command has written all")
        with open(self.path("pid")) as file:
            child = int(file.read())
        harness.wait_until(lambda: self.state(child) == "Z", "the command has ended")
        harness.wait_until(lambda: harness.is_asleep(tap.pid), "tap waits for its reader")
        tap.send_signal(signal.SIGTERM)
        harness.wait_until(lambda: harness.is_asleep(tap.pid) and not self.pending(tap.pid), "the first was taken")
        self.assertIsNone(tap.poll())
        tap.send_signal(signal.SIGTERM)
        self.assertEqual(tap.wait(harness.LIMIT), -signal.SIGTERM)

    @staticmethod
    def pending(pid):
        with open("/proc/%d/status" % pid) as file:
            return any(int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd")))

    def test_child_that_closes_its_output__is_waited_for(self):
        tap = self.start_tap("echo up; exec >&- 2>&-; read x; exit 9")
        self.assertEqual(tap.line(), "up")
        self.assertIsNone(tap.popen.poll())
        tap.write("\n")
        self.assertEqual(tap.wait(), 9)
        self.assertEqual(self.data()[-1]["code"], 9)

    def test_pool_that_goes__ends_the_child(self):
        tap = self.start_tap("echo $$; read x; echo more; exec sleep 1000")
        child = int(tap.line())
        self.ok("pool", "delete", "demo")
        tap.write("\n")
        self.assertEqual(tap.wait(), 3)
        error = json.loads(tap.err.rest())["error"]
        self.assertEqual(error["kind"], "NotFound")
        self.assertFalse(os.path.exists("/proc/%d" % child))

    # On a terminal.

    def test_terminal__is_told_the_beginning_and_the_end(self):
        rc, shown = self.terminal("tap", "demo", "--create", "--", "echo", "hello")
        self.assertEqual(rc, 0)
        self.assertRegex(shown, r"^tapping demo <- echo hello\nhello\ntapped 1 lines \(\d+\.\ds\) -> demo exit 0\n$")
        rc, shown = self.terminal("tap", "demo", "-q", "--", "sh", "-c", "echo hello; kill -9 $$")
        self.assertEqual(rc, 137)
        self.assertRegex(shown, r"^tapping demo <- sh -c 'echo hello; kill -9 \$\$'\n"
                                r"tapped 1 lines \(\d+\.\ds\) -> demo signal SIGKILL\n$")

    # What cannot be run.

    def test_no_command(self):
        for words in (["tap", "build"], ["tap", "demo", "--create", "--"], ["tap", "demo", "--create"]):
            error = self.refused("Usage", *words)
            self.assertEqual(error["message"], "tap requires a wrapped command after `--`")
            self.assertIn("plasmite tap <pool> -- <command...>", error["hint"])
        self.assertFalse(os.path.exists(self.pools))
        self.assertEqual(self.refused("Usage", "tap", "demo", "echo", "hi")["message"], "unexpected argument 'echo' found")

    def test_command_not_found(self):
        for name in "nonexistent-command-xyz", "./nonexistent", "":
            error = self.refused("Usage", "tap", "missingcmd", "--create", "--", name)
            self.assertEqual(error["message"], "wrapped command not found: " + name)
            self.assertIn("Check PATH or use an absolute executable path", error["hint"])
        self.assertEqual(self.messages("missingcmd"), [])

    def test_command_that_cannot_be_started(self):
        path = self.write_file("script", "#!/nonexistent/interpreter\n")
        for mode, cause in ((0o600, "Permission denied (os error 13)"), (0o700, "No such file or directory (os error 2)")):
            os.chmod(path, mode)
            error = self.refused("Io", "tap", "demo", "--create", "--", path)
            self.assertEqual((error["message"], error["path"], error["causes"]), ("failed to spawn wrapped command", path, [cause]))
            self.assertIn("permissions", error["hint"])

    def test_pool_missing__offers_a_command_that_works(self):
        error = self.refused("NotFound", "tap", "missing", "--tag", "a b", "--", "echo", "it's")
        self.assertEqual(error["message"], "not found")
        self.assertIn("plasmite tap missing --create", error["hint"])
        command = error["hint"].split("exact command: ")[1]
        done = subprocess.run(["sh", "-c", command.replace("plasmite", harness.bin_path("plasmite"), 1)], env=self.env,
                              stdout=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stdout), (0, b"it's\n"))
        self.assertEqual(self.messages("missing")[1]["meta"], {"tags": ["a b"]})

    def test_create__with_size_and_mode(self):
        self.assertEqual(self.tap("true", options=("--create-size", "64K", "--mode", "640")).rc, 0)
        info = os.stat(os.path.join(self.pools, "demo.plasmite"))
        self.assertEqual((info.st_size, info.st_mode & 0o777), (65536, 0o640))
        self.assertEqual(self.tap("true", options=("--create-size", "8M")).rc, 0)
        self.assertEqual(os.stat(os.path.join(self.pools, "demo.plasmite")).st_size, 65536)
        error = self.refused("Usage", "tap", "new", "--create-size", "x", "--", "true")
        self.assertEqual(error["message"], "invalid size")

    def test_command_larger_than_a_message__is_not_started(self):
        path = self.path("started")
        error = self.refused("Usage", "tap", "small", "--create-size", "8K", "--", "sh", "-c", "touch %s #%s" % (path, "x" * 9000))
        self.assertEqual(error["message"], "the wrapped command does not fit into a message of this pool")
        self.assertFalse(os.path.exists(path))

    def test_tags_larger_than_a_message__start_nothing(self):
        path = self.path("started")
        self.ok("pool", "create", "small", "--size", "8K")
        for n, n_tags in (3800, 1), (19, 180):
            error = self.refused("Usage", "tap", "small", *["--tag=" + "t" * n] * n_tags, "--", "touch", path)
            self.assertEqual(error["message"], "the tags leave no room for a line in a message of this pool")
            self.assertIn("They take %d bytes as JSON of " % (n_tags * (n + 3) - 1), error["hint"])
        self.assertFalse(os.path.exists(path))
        self.assertEqual(self.data("small"), [])
        room = int(re.search(r"of (\d+):", error["hint"]).group(1))
        text = b"\xff" + b"\x01" * 15  # nothing of this length needs more
        for n in range(room - 230, room - 100):
            tap = self.run_pls("tap", "small", "-q", "--tag", "t" * n, "--", "printf", "%s", text)
            if tap.rc != 0:
                break
        self.assertGreater(n, room - 225)
        self.assertEqual(tap.error()["message"], "the tags leave no room for a line in a message of this pool")

    def test_url__is_usage(self):
        for url in "http://127.0.0.1:65535/demo", "ftp://h/x":
            error = self.refused("Usage", "tap", url, "--", "echo", "hi")
            self.assertEqual(error["message"], "tap accepts local pool refs only")
            self.assertIn("Use a local pool name/path", error["hint"])

    def test_durability(self):
        self.assertEqual(self.tap("echo", "x", options=("--create", "--durability", "flush")).rc, 0)
        self.assertEqual(self.lines(), ["x"])
        error = self.refused("Usage", "tap", "demo", "--durability", "slow", "--", "true")
        self.assertEqual(error["message"], "invalid durability")

    def test_help(self):
        page = self.ok("tap", "--help").out
        for text in ("plasmite tap build --create -- cargo build", "plasmite tap api --create --create-size 64M -- ./server",
                     "`--` is required before wrapped command args", "Usage: plasmite tap [OPTIONS] <POOL> -- <COMMAND>...\n",
                     "wrapped command's exit status"):
            self.assertIn(text, page)
        result = self.run_pls("tap")
        self.assertEqual((result.rc, result.out), (2, ""))
        self.assertIn("Usage: plasmite tap", result.err)
        self.assertIn("Capture command output into a local pool", result.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
