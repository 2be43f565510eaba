"""A mounted pool directory for one test, real programs in it, and ways to wait for what they do.

    class Follow(mount.Case):
        def test_head(self):
            self.mkpool("ci")
            reader = self.start("head -n1 ci/follow")
            self.wait_blocked(reader)
            self.run_ok("echo '{}' > ci/append")
            self.assertEqual(self.finish(reader), self.read("ci/seq/1"))

Every test has a directory, a daemon and a mount of its own. When it ends, the daemon must have survived: it has to
stop with status 0 on SIGTERM (a sanitizer that found something makes that another number).
Deadlines are upper bounds: nothing here waits for a time to pass.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from sessions import end_session, processes_of

BIN = os.path.abspath(os.environ.get("PLASMITE_BIN", "build/release/bin"))
SLOW = float(os.environ.get("PLASMITE_SLOW", "1"))  # how much slower than a release this build may be
DEADLINE = 30 * SLOW
NOT_RUN = 77
NOBODY = 65534
READ = {"x86_64": "0", "aarch64": "63"}.get(os.uname().machine, "0")  # the number of this system call
POLL = {"x86_64": ("7", "271"), "aarch64": ("73",)}.get(os.uname().machine, ())  # poll and ppoll

ENVELOPE = re.compile(
    r'\{"seq":(?P<seq>[1-9][0-9]*),"time":"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z)",'
    r'"meta":\{"tags":\[(?P<tags>.*?)\]\},"data":(?P<data>\{.*\})\}\n'
)


def has_fuse():
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except PermissionError:
        return os.geteuid() != 0  # root is only refused where devices are fenced off, as in containers
    except OSError:
        return False
    return True


def main():
    """Runs the tests of the file, or says plainly that they cannot run here."""
    if not has_fuse():
        print("There is no /dev/fuse here, so nothing can be mounted.")
        sys.exit(NOT_RUN)
    unittest.main()


def until(what, condition, seconds=None):
    """Waits until condition() is true and returns its value; fails with `what` after the deadline."""
    end = time.monotonic() + (DEADLINE if seconds is None else seconds * SLOW)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("this did not happen in time: " + what)
        time.sleep(0.002)


def in_namespace(script, *words):
    """The command for a bash script, with these words as its arguments, that may mount what nobody else sees."""
    unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    return unshare + ["bash", "-c", script, "bash", *words]


def envelopes(text):
    """The messages of a text of whole lines, exactly in the form they must have: seq, time, tags (text), data (text)."""
    found = []
    for line in text.splitlines(keepends=True):
        match = ENVELOPE.fullmatch(line)
        if match is None:
            raise AssertionError("not a message: %r" % line[:300])
        found.append((int(match["seq"]), match["time"], match["tags"], match["data"]))
    return found


def seqs(text):
    return [message[0] for message in envelopes(text)]


def datas(text):
    return [message[3] for message in envelopes(text)]


def time_ns(text):
    """The nanoseconds of a time as messages show it."""
    whole, fraction = text[:-1].split(".")
    return int(time.mktime(time.strptime(whole + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone) * 10**9 + int(fraction)


def waits_for_answer(pid):
    """Does a thread of this process sleep in a read() that a FUSE daemon has not answered?"""
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/syscall" % (pid, thread)) as call:
                if call.read().split()[0] != READ:
                    continue  # an open, say: that is answered in a moment
            with open("/proc/%d/task/%s/wchan" % (pid, thread)) as wchan:
                if wchan.read() in ("request_wait_answer", "__fuse_request_send", "__fuse_simple_request"):
                    return True
    except OSError:
        pass  # it ended meanwhile
    return False


def polls(pid):
    """Does this process sleep in poll()?"""
    try:
        with open("/proc/%d/syscall" % pid) as call:
            return call.read().split()[0] in POLL
    except OSError:
        return False  # it ended meanwhile


class Case(unittest.TestCase):
    mount_options = None  # text for -o
    maxDiff = 2000

    def setUp(self):
        os.umask(0o022)
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix="plasmite-fs-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.pools = os.path.join(self.dir, ".plasmite/pools")  # where the commands look, with this HOME
        self.mnt = os.path.join(self.dir, "mnt")
        os.makedirs(self.pools)
        os.mkdir(self.mnt)
        self.started = []
        self.daemon = None
        self.addCleanup(self._stop_everything)
        self.mount()

    # The daemon

    def mount(self, options=None):
        """Mounts the pools and waits until the mount answers."""
        options = options or self.mount_options
        command = [os.path.join(BIN, "plasmite"), "mount", "-f"]
        command += ["-o", options] if options else []
        self.daemon_log = os.path.join(self.dir, "daemon.log")
        with open(self.daemon_log, "ab") as log:
            self.daemon = subprocess.Popen(
                command + [self.pools, self.mnt], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until("mounting; the daemon said: " + self.log(), self._mounted_or_dead)
        if self.daemon.poll() is not None:
            self.fail("the daemon ended with %d: %s" % (self.daemon.returncode, self.log()))

    def log(self):
        with open(self.daemon_log, errors="replace") as log:
            return log.read()

    def is_mounted(self):
        with open("/proc/self/mountinfo") as info:
            return any(" %s " % self.mnt in line and " fuse.plasmite " in line for line in info)

    def _mounted_or_dead(self):
        if self.daemon.poll() is not None:
            return True
        try:
            # The kernel may know the answer to a stat() of a mount whose daemon is dead; this it has to ask.
            return self.is_mounted() and os.statvfs(self.mnt).f_namemax > 0
        except OSError:
            return False

    def stop_daemon(self, number=signal.SIGTERM):
        """Sends a signal and returns the status the daemon ends with."""
        self.daemon.send_signal(number)
        return self.daemon.wait(DEADLINE)

    def unmount_rest(self):
        while self.is_mounted():
            subprocess.run(["umount", "-l", self.mnt] if os.geteuid() == 0 else ["fusermount3", "-uz", self.mnt], check=True)

    def _stop_everything(self):
        for process in self.started:
            self.kill(process)
        try:
            if self.daemon is not None and self.daemon.returncode is None:
                died = self.daemon.poll()
                self.assertIsNone(died, "the daemon died: " + self.log())
                self.assertEqual(self.stop_daemon(), 0, "the daemon's end: " + self.log())
        finally:
            if self.daemon is not None and self.daemon.poll() is None:
                self.daemon.kill()
                self.daemon.wait()
            self.unmount_rest()

    # Programs

    def environment(self):
        return dict(
            os.environ, PATH=BIN + ":/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C", HOME=self.dir,
            PYTHONDONTWRITEBYTECODE="1",
        )

    def start(self, command, user=None, **options):
        """Starts a bash script (or a list of arguments) in the mount, in a session of its own."""
        arguments = ["bash", "-c", command] if isinstance(command, str) else list(command)
        if user is not None:
            arguments = ["setpriv", "--reuid=%d" % user, "--regid=%d" % user, "--clear-groups"] + arguments
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        process = subprocess.Popen(
            arguments, cwd=options.pop("cwd", self.mnt), env=self.environment(), start_new_session=True,
            stderr=subprocess.PIPE, **options
        )
        process.command = command
        self.started.append(process)
        return process

    def kill(self, process):
        """Ends a started program and its children; the mount gives nothing a reason to stay."""
        end_session(process, home=self.dir)
        process.wait(DEADLINE)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def finish(self, process, status=0, stderr="", seconds=None):
        """Waits for the end of a program, checks status and stderr (None: any), and returns its stdout."""
        try:
            out, errors = process.communicate(timeout=DEADLINE if seconds is None else seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill(process)
            self.fail("this did not end in time: %s" % (process.command,))
        out, errors = out.decode(errors="surrogateescape"), errors.decode(errors="replace")
        told = "%s\nstdout: %.2000s\nstderr: %.2000s\ndaemon: %.2000s" % (process.command, out, errors, self.log())
        if status is not None:
            self.assertEqual(process.returncode, status, told)
        if stderr is not None:
            self.assertEqual(errors, stderr, told)
        return out

    def run_ok(self, command, **options):
        """Runs a script that must succeed and complain about nothing; returns its stdout."""
        return self.finish(self.start(command, **options))

    def run_fails(self, command, status, complaint, **options):
        """Runs a script that must fail with this status and with this text within its stderr; returns its stdout."""
        process = self.start(command, **options)
        try:
            out, errors = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill(process)
            self.fail("this did not end in time: %s" % (command,))
        out, errors = out.decode(errors="surrogateescape"), errors.decode(errors="replace")
        told = "%s\nstdout: %.2000s\nstderr: %.2000s\ndaemon: %.2000s" % (command, out, errors, self.log())
        if status is not None:
            self.assertEqual(process.returncode, status, told)
        self.assertIn(complaint, errors, told)
        return out

    def pls(self, *arguments):
        return self.run_ok(["pls"] + list(arguments), cwd=self.dir)

    def pids(self, process):
        return [pid for pid, _ in processes_of(process.pid)]

    def wait_blocked(self, process, n=1):
        """Waits until n processes of a program sleep in a request that the mount has not answered."""
        until(
            "%s waits in the mount" % (process.command,),
            lambda: process.poll() is not None or sum(map(waits_for_answer, self.pids(process))) >= n,
        )
        if process.poll() is not None and n == 1:
            self.finish(process, status=None, stderr=None)
            self.fail("this ended at once with %d: %s" % (process.returncode, process.command))

    @contextlib.contextmanager
    def stopped(self, process):
        """A program and its children stand still while the body runs, as by Ctrl-Z and fg."""
        os.killpg(process.pid, signal.SIGSTOP)
        until("%s is stopped" % (process.command,), lambda: all(state in "TZ" for _, state in processes_of(process.pid)))
        yield
        os.killpg(process.pid, signal.SIGCONT)

    # Files of the mount

    def path(self, name):
        return os.path.join(self.mnt, name)

    def pool_file(self, pool):
        return os.path.join(self.pools, pool + ".plasmite")

    def mkpool(self, *names, size=None):
        """Makes pools: by mkdir, or with a size by the command."""
        for name in names:
            if size is None:
                os.mkdir(self.path(name))
            else:
                self.pls("pool", "create", name, "--size", str(size))
                until("the pool %s is seen" % name, lambda: os.path.isdir(self.path(name)))

    def open(self, name, flags=os.O_RDONLY):
        """A bare descriptor, closed when the test ends."""
        fd = os.open(self.path(name), flags | os.O_CLOEXEC)
        self.addCleanup(close_quietly, fd)
        # Cleanups run last in, first out: descriptors are closed before the daemon is stopped.
        return fd

    def append(self, pool, *objects):
        """Appends each object (JSON text, or something for json.dumps) with one write()."""
        fd = os.open(self.path(pool + "/append"), os.O_WRONLY)
        try:
            for item in objects:
                text = (item if isinstance(item, str) else json.dumps(item)).encode()
                self.assertEqual(os.write(fd, text), len(text))
        finally:
            os.close(fd)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", newline="") as file:
            return file.read()

    def datas(self, pool, view="all"):
        """The data of all messages, as text."""
        return datas(self.read("%s/%s" % (pool, view)))

    def assert_errno(self, number, call, *arguments):
        with self.assertRaises(OSError) as caught:
            call(*arguments)
        name = os.strerror(number)
        self.assertEqual(caught.exception.errno, number, "%s expected, not %s" % (name, caught.exception))


def close_quietly(fd):
    try:
        os.close(fd)
    except OSError:
        pass  # the test has closed it, or its end was checked before


class Shared(Case):
    """A mount by root for everybody, with a pool `ci`, used by others, too."""

    mount_options = "allow_other"

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be several users")
        super().setUp()
        os.chmod(self.dir, 0o755)
        self.mkpool("ci")
