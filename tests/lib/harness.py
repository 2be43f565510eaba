"""What the tests of the built programs share: a fresh directory, programs run and watched, a terminal.

    class Feed(harness.Case):
        def test_feed__prints_a_receipt(self):
            self.ok("pool", "create", "demo")
            result = self.run_pls("feed", "demo", '{"x":1}')
            self.assertEqual(result.rc, 0)

PLASMITE_BIN names the folder of the programs; ctest sets it.  Nothing here waits for a time: every
wait is for an event and has a limit after which the test fails.
"""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

LIMIT = 30.0  # seconds: far more than anything here takes, even on a slow machine under a sanitizer


def bin_path(program):
    return os.path.join(os.environ["PLASMITE_BIN"], program)


class Result:
    """How a finished program ended: rc (negative: the signal), out and err as text, raw bytes beside."""

    def __init__(self, rc, out, err):
        self.rc = rc
        self.out_bytes = out
        self.err_bytes = err
        self.out = out.decode("utf-8", "surrogateescape")
        self.err = err.decode("utf-8", "surrogateescape")

    def lines(self):
        return self.out.splitlines()

    def json(self):
        return json.loads(self.out)

    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def error(self):
        """The error envelope: stderr must be it, as a whole."""
        return json.loads(self.err)["error"]

    def notices(self):
        return [json.loads(line)["notice"] for line in self.err.splitlines() if '"notice"' in line]

    def __repr__(self):
        return "Result(rc=%d, out=%r, err=%r)" % (self.rc, self.out[-2000:], self.err[-2000:])


class Stream:
    """One output of a running program, read by a thread of its own, handed out line by line."""

    def __init__(self, file):
        self._file = file
        self._data = b""
        self._taken = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            piece = os.read(self._file.fileno(), 65536)
            with self._changed:
                self._data += piece
                self._ended = not piece
                self._changed.notify_all()
            if not piece:
                return

    def line(self, timeout=LIMIT):
        """The next line without its newline; what is left at the end; None when nothing is left."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                end = self._data.find(b"\n", self._taken)
                if end >= 0 or self._ended:
                    break
                if not self._changed.wait(max(0, deadline - time.monotonic())):
                    raise AssertionError("no line within %gs; so far: %r" % (timeout, self._data[-500:]))
            if end < 0:
                end = len(self._data)
                if end == self._taken:
                    return None
            text = self._data[self._taken:end]
            self._taken = min(end + 1, len(self._data))
            return text.decode("utf-8", "surrogateescape")

    def rest(self, timeout=LIMIT):
        """Everything not yet taken, once the program has closed the stream."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._ended:
                if not self._changed.wait(max(0, deadline - time.monotonic())):
                    raise AssertionError("the stream stays open; so far: %r" % self._data[-500:])
            text = self._data[self._taken:]
            self._taken = len(self._data)
            return text.decode("utf-8", "surrogateescape")

    def seen(self):
        """Everything that has come so far, taken or not."""
        with self._changed:
            return self._data.decode("utf-8", "surrogateescape")

    def close(self):
        self._thread.join(LIMIT)
        self._file.close()


class Process:
    """A program that runs beside the test."""

    def __init__(self, argv, **kwargs):
        self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, **kwargs)
        self.pid = self.popen.pid
        self.out = Stream(self.popen.stdout)
        self.err = Stream(self.popen.stderr)

    def write(self, text):
        self.popen.stdin.write(text.encode() if isinstance(text, str) else text)
        self.popen.stdin.flush()

    def close_stdin(self):
        self.popen.stdin.close()

    def signal(self, number):
        self.popen.send_signal(number)

    def line(self, timeout=LIMIT):
        return self.out.line(timeout)

    def json_line(self, timeout=LIMIT):
        return json.loads(self.line(timeout))

    def wait(self, timeout=LIMIT):
        """The exit status; negative when a signal ended it."""
        return self.popen.wait(timeout)

    def stop(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        try:
            self.popen.stdin.close()
        except BrokenPipeError:
            pass
        self.out.close()
        self.err.close()


def wait_until(condition, what="the condition", timeout=LIMIT):
    """Looks again until condition() is true, for events that nothing announces."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s did not become true within %gs" % (what, timeout))
        time.sleep(0.002)


def is_asleep(pid):
    """Does the process (all its threads) wait for something?"""
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, task)) as file:
            if file.read().rsplit(")", 1)[1].split()[0] not in "SD":
                return False
    return True


def run_on_terminal(argv, stdin_text=b"", env=None, cwd=None, timeout=LIMIT):
    """Runs argv with one terminal as stdin, stdout and stderr; (exit status, what it showed)."""
    master, slave = pty.openpty()
    settings = termios.tcgetattr(slave)
    settings[3] &= ~termios.ECHO
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    popen = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=cwd,
                             start_new_session=True)
    os.close(slave)
    if stdin_text:
        os.write(master, stdin_text)
    shown = b""
    deadline = time.monotonic() + timeout
    while True:
        if not select.select([master], [], [], max(0, deadline - time.monotonic()))[0]:
            popen.kill()
            popen.wait()
            raise AssertionError("still running after %gs; it showed %r" % (timeout, shown))
        try:
            piece = os.read(master, 65536)
        except OSError:  # the last holder of the terminal has gone
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    return popen.wait(timeout), shown.decode("utf-8", "surrogateescape").replace("\r", "")


class Case(unittest.TestCase):
    """A fresh directory for each test (self.dir), the pool directory in it (self.pools, not made yet)."""

    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="plasmite-test-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.pools = os.path.join(self.dir, "pools")
        self.env = dict(os.environ, HOME=self.dir, LC_ALL="C", TZ="UTC0")

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write_file(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path

    def argv(self, *args, use_dir=True, program="plasmite"):
        return [bin_path(program)] + (["--dir", self.pools] if use_dir else []) + list(args)

    def run_pls(self, *args, stdin=None, use_dir=True, program="plasmite", timeout=LIMIT, **kwargs):
        """Runs the program to its end.  stdin: text for a pipe; None: the null device."""
        kwargs.setdefault("env", self.env)
        if stdin is None:
            kwargs["stdin"] = subprocess.DEVNULL
        else:
            kwargs["input"] = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(self.argv(*args, use_dir=use_dir, program=program),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, **kwargs)
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *args, **kwargs):
        """As run_pls(), and it must end with 0 and say nothing on stderr."""
        result = self.run_pls(*args, **kwargs)
        self.assertEqual((result.rc, result.err), (0, ""), result)
        return result

    def refused(self, kind, *args, **kwargs):
        """As run_pls(), and it must end with an error of this kind; the inner error object."""
        codes = {"Internal": 1, "Usage": 2, "NotFound": 3, "AlreadyExists": 4, "Busy": 5, "Permission": 6,
                 "Corrupt": 7, "Io": 8, "RetentionGap": 9}
        result = self.run_pls(*args, **kwargs)
        error = result.error()
        self.assertEqual((error["kind"], result.rc), (kind, codes[kind]), result)
        return error

    def terminal(self, *args, use_dir=True, program="plasmite", stdin_text=b"", **kwargs):
        """Runs the program on a terminal; (exit status, what it showed)."""
        kwargs.setdefault("env", self.env)
        return run_on_terminal(self.argv(*args, use_dir=use_dir, program=program), stdin_text, **kwargs)

    def start(self, *args, use_dir=True, program="plasmite", **kwargs):
        return self.start_argv(self.argv(*args, use_dir=use_dir, program=program), **kwargs)

    def start_argv(self, argv, **kwargs):
        kwargs.setdefault("env", self.env)
        process = Process(argv, **kwargs)
        self.addCleanup(process.stop)
        return process

    def run_as_nobody(self, *words):
        """As run_pls(), but not as root, whom no permission stops."""
        if not self.is_root():
            return self.run_pls(*words)
        program = self.path("program")
        if not os.path.exists(program):
            shutil.copy(bin_path("plasmite"), program)
            os.chmod(self.dir, 0o711)
        done = subprocess.run([program, "--dir", self.pools, *words], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, user=65534, group=65534, extra_groups=[])
        return Result(done.returncode, done.stdout, done.stderr)

    def file(self, name):
        """Where a pool of this name is, or would be."""
        return os.path.join(self.pools, name + ".plasmite")

    def damaged(self, *numbers, at=2, n=6, options=()):
        """A pool of n messages; of those with these numbers a byte is changed, `at` bytes behind the beginning of the data."""
        name = "my chat"
        if os.path.exists(self.file(name)):
            os.unlink(self.file(name))
        self.ok("pool", "create", name, *options)
        self.ok("feed", name, stdin="".join('{"message":"number %d"}' % i for i in range(1, n + 1)))
        self.damage(name, *numbers, at=at)
        return name

    def damage(self, name, *numbers, at=2):
        """Changes a byte of these messages of a pool that damaged() has made."""
        with open(self.file(name), "r+b") as file:
            content = file.read()
            for i in numbers:
                place = content.index(b'{"message":"number %d"}' % i) + at
                file.seek(place)
                file.write(bytes([content[place] ^ 0x55]))

    def start_asleep(self, *args, **kwargs):
        """As start(), and waits until the program waits: a follower is at its place then."""
        process = self.start(*args, **kwargs)
        wait_until(lambda: process.popen.poll() is not None or self._parked(process.pid), "the program sleeps")
        return process

    @staticmethod
    def _parked(pid):
        """In a wait on a futex: reading files or starting up never looks like this."""
        try:
            with open("/proc/%d/syscall" % pid) as file:
                number = file.read().split()[0]
        except (OSError, IndexError):
            return False
        return number in ("202", "449", "98")  # futex, futex_waitv; futex on arm64

    def is_root(self):
        return os.geteuid() == 0


def main():
    unittest.main(verbosity=2)


__all__ = ["Case", "Process", "Result", "Stream", "LIMIT", "bin_path", "is_asleep", "main", "run_on_terminal",
           "signal", "sys", "wait_until"]
