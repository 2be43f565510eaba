"""feed on a terminal: receipts as text, and how far a long run has come."""

import os
import pty
import re
import select
import subprocess
import termios
import time
import unittest

import harness
import poollock

STEP = r"\r\033\[K"
LINE = r"(?: *\d+%%  )?%s, \d+ messages?(?:, \d+ skipped)? \(\d+/s\)"


class Terminal:
    """A terminal whose other end the test reads."""

    def __init__(self, columns=80):
        self.master, self.slave = pty.openpty()
        settings = termios.tcgetattr(self.slave)
        settings[1] &= ~termios.OPOST
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        termios.tcsetwinsize(self.slave, (24, columns))
        self.shown = ""

    def read(self, deadline, what):
        if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError("%s does not come; shown: %r" % (what, self.shown))
        try:
            piece = os.read(self.master, 65536)
        except OSError:
            piece = b""
        self.shown += piece.decode()
        return piece

    def wait_for(self, pattern):
        """Reads on until what was shown since the last call matches; the match."""
        deadline = time.monotonic() + harness.LIMIT
        while True:
            found = re.search(pattern, self.shown)
            if found:
                self.shown = self.shown[found.end():]
                return found
            if not self.read(deadline, pattern):
                raise AssertionError("the terminal is closed; shown: %r" % self.shown)

    def rest(self):
        os.close(self.slave)
        deadline = time.monotonic() + harness.LIMIT
        while self.read(deadline, "the end"):
            pass
        os.close(self.master)
        return self.shown


class Progress(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")
        self.terminal_of = None

    def start_feed(self, *options, stdin=None, stdout=None, columns=80):
        """feed of a FIFO, stderr on a terminal; stdout too unless it is given.  (process, terminal, the FIFO's writing end)"""
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        terminal = Terminal(columns)
        process = subprocess.Popen(self.argv("--color", "never", "feed", "demo", "-f", fifo, *options), stdin=subprocess.DEVNULL,
                                   stdout=terminal.slave if stdout is None else stdout, stderr=terminal.slave, env=self.env)
        self.addCleanup(self.end, process)
        writer = open(fifo, "wb", buffering=0)
        self.addCleanup(writer.close)
        return process, terminal, writer

    def end(self, process):
        process.kill()
        process.wait()

    def test_progress__counts_while_receipts_go_elsewhere(self):
        out = open(self.path("receipts"), "wb")
        self.addCleanup(out.close)
        feed, terminal, fifo = self.start_feed(stdout=out)
        fifo.write(b'{"n":1}\n')
        terminal.wait_for("^" + STEP + LINE % "8 bytes" + "$")  # after a second, without more input
        fifo.write(b'{"n":2}\n' * 1000)
        terminal.wait_for(STEP + r"7\.8K, 1001 messages \(\d+/s\)")
        fifo.close()
        self.assertEqual(feed.wait(harness.LIMIT), 0)
        self.assertRegex(terminal.rest(), r"^(?:%s%s)*%s1001 messages, 7\.8K in \d+\.\d s \(\d+/s\)\n$" % (
            STEP, LINE % r"7\.8K", STEP))
        with open(self.path("receipts")) as file:
            self.assertEqual(len(file.readlines()), 1001)

    def test_progress__stands_below_the_receipts(self):
        feed, terminal, fifo = self.start_feed()
        receipt = r"fed seq=%d at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n"
        fifo.write(b'{"n":1}\n')
        terminal.wait_for("^" + receipt % 1)
        terminal.wait_for("^" + STEP + LINE % "8 bytes" + "$")
        fifo.write(b'{"n":2}\n')
        terminal.wait_for("^(?:%s%s)*%s" % (STEP, LINE % "8 bytes", STEP) + receipt % 2 + STEP + LINE % "16 bytes" + "$")
        fifo.close()
        self.assertEqual(feed.wait(harness.LIMIT), 0)
        self.assertRegex(terminal.rest(), r"%s2 messages, 16 bytes in \d+\.\d s \(\d+/s\)\n$" % STEP)

    def test_progress__makes_room_for_notices_and_errors(self):
        feed, terminal, fifo = self.start_feed("-e", "skip", stdout=subprocess.DEVNULL)
        fifo.write(b'{"n":1}\n')
        terminal.wait_for(STEP + LINE % "8 bytes")
        fifo.write(b"x\n")
        terminal.wait_for(STEP + r"notice: Skipped invalid JSON\. \(record 2, line 2\)\n")
        terminal.wait_for(STEP + r"10 bytes, 1 message, 1 skipped \(\d+/s\)")
        fifo.close()
        self.assertEqual(feed.wait(harness.LIMIT), 1)
        self.assertRegex(terminal.rest(), r"%snotice: Finished with 1 skipped record\.\n1 message, 1 skipped, 10 bytes in " % STEP)

    def test_progress__is_gone_before_an_error(self):
        feed, terminal, fifo = self.start_feed(stdout=subprocess.DEVNULL)
        fifo.write(b'{"n":1}\n')
        terminal.wait_for(STEP + LINE % "8 bytes")
        fifo.write(b"x\n")
        fifo.close()
        self.assertEqual(feed.wait(harness.LIMIT), 2)
        self.assertRegex(terminal.rest(), r"%serror: invalid json input\nhint: .*\noffset: 8\ncaused by: expected a value\n$" % STEP)

    def test_progress__knows_the_size_of_a_file(self):
        self.ok("pool", "create", "big", "--size", "8M")
        path = self.write_file("in", '{"n":"%s"}\n' % ("x" * 1014) * 2048)
        terminal = Terminal()
        with poollock.held(os.path.join(self.pools, "big.plasmite")):
            feed = subprocess.Popen(self.argv("feed", "big", "-f", path), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=terminal.slave, env=self.env)
            self.addCleanup(self.end, feed)
            began = time.monotonic()
            harness.wait_until(lambda: time.monotonic() - began > 1.5, "more than a second")
            self.assertEqual(select.select([terminal.master], [], [], 0)[0], [])
        terminal.wait_for("^" + STEP + r" *1[23]%  256K of 2\.0M, 25[56] messages \(\d+/s\)")
        self.assertEqual(feed.wait(harness.LIMIT), 0)
        self.assertRegex(terminal.rest(), STEP + r"2048 messages, 2\.0M in \d+\.\d s \(\d+/s\)\n$")

    def test_progress__fits_the_terminal(self):
        feed, terminal, fifo = self.start_feed(stdout=subprocess.DEVNULL, columns=15)
        fifo.write(b'{"n":1}\n')
        terminal.wait_for("^" + STEP + "8 bytes, 1 mes$")
        fifo.close()
        self.assertEqual(feed.wait(harness.LIMIT), 0)
        terminal.rest()

    def test_progress__is_not_for_pipes_or_short_runs(self):
        path = self.write_file("in", '{"n":1}\n' * 3)
        terminal = Terminal()
        subprocess.run(self.argv("feed", "demo", "-f", path), stdout=subprocess.DEVNULL, stderr=terminal.slave, env=self.env, check=True)
        self.assertEqual(terminal.rest(), "")
        feed = self.start("feed", "demo")
        feed.write('{"n":1}\n')
        began = time.monotonic()
        harness.wait_until(lambda: time.monotonic() - began > 1.5, "more than a second")
        feed.close_stdin()
        self.assertEqual((feed.wait(), feed.err.rest()), (0, ""))


class Receipts(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def test_receipts__are_text(self):
        path = self.write_file("in.json", '{"x":1}\n{"x":2}\n')
        rc, shown = self.terminal("--color", "never", "feed", "demo", "--file", path, "--in", "jsonl")
        self.assertEqual(rc, 0)
        self.assertRegex(shown, r"^fed seq=1 at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\nfed seq=2 at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n$")
        rc, shown = self.terminal("feed", "demo", "{}", "--tag", "", "--tag", "a,b", "--tag", 'q"\n')
        self.assertRegex(shown, r'^fed seq=3 at \S+Z  tags: ,a,b,q\\"\\n\n$')

    def test_receipts__are_json_when_asked(self):
        rc, shown = self.terminal("feed", "demo", "{}", "--jsonl")
        self.assertRegex(shown, r'^\{"seq":1,"time":"[^"]*","meta":\{"tags":\[\]\}\}\n$')

    def test_echo__is_indented(self):
        rc, shown = self.terminal("feed", "demo", '{"x":[]}', "--echo", "--color", "never")
        self.assertRegex(shown, r'^\{\n  "seq": 1,\n  "time": "[^"]*",\n  "meta": \{\n    "tags": \[\]\n  \},\n  "data": \{\n    "x": \[\]\n  \}\n\}\n$')

    def test_notices__are_lines(self):
        path = self.write_file("in", "x\n[1]\n")
        rc, shown = self.terminal("--color", "never", "feed", "demo", "-f", path, "-e", "skip")
        self.assertEqual((rc, shown), (1, "notice: Skipped invalid JSON. (record 1, line 1)\n"
                                          "notice: Skipped record: data must be object. (record 2, line 2)\n"
                                          "notice: Finished with 2 skipped records.\n"))

    def test_no_input__says_how(self):
        rc, shown = self.terminal("--color", "never", "feed", "demo", "--tag", "x")
        self.assertEqual(rc, 2)
        self.assertRegex(shown, r"^error: missing data input\nhint: .*--file.*\n$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
