"""Programs that wait in a read can be interrupted, stopped and killed; nobody else notices."""

import errno
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import SLOW

AT_ONCE = 2 * SLOW  # seconds; far below any timeout of a daemon, far above what a busy machine needs


class Waiting(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def assert_alive(self):
        """The mount still does its work, for readers and for writers."""
        reader = self.start("head -n1 ci/follow")
        self.wait_blocked(reader)
        self.run_ok("""echo '{"alive":1}' > ci/append""")
        self.assertIn('"data":{"alive":1}', self.finish(reader))

    def ends_on(self, number, script="exec cat ci/follow"):
        reader = self.start(script)
        self.wait_blocked(reader)
        begin = time.monotonic()
        reader.send_signal(number)
        self.finish(reader, status=-number)
        self.assertLess(time.monotonic() - begin, AT_ONCE)
        self.assert_alive()

    def test_ctrl_c(self):
        self.ends_on(signal.SIGINT)

    def test_kill(self):
        self.ends_on(signal.SIGKILL)

    def test_terminate(self):
        self.ends_on(signal.SIGTERM, "exec grep -m1 x ci/next")

    def test_a_handler_gets_eintr_at_once(self):
        """Perl's sysread shows the errno that other languages hide."""
        reader = self.start(
            """exec perl -e '$SIG{USR1} = sub { };
            open F, "<", "ci/follow" or die; defined sysread F, $x, 100 and die "read"; print $! + 0, "\n"'"""
        )
        self.wait_blocked(reader)
        begin = time.monotonic()
        reader.send_signal(signal.SIGUSR1)
        self.assertEqual(self.finish(reader), "%d\n" % errno.EINTR)
        self.assertLess(time.monotonic() - begin, AT_ONCE)
        self.assert_alive()

    def test_python_goes_on_after_a_handler(self):
        reader = self.start(
            """exec /usr/bin/python3 -c 'import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"signal\\n"))
fd = os.open("ci/follow", os.O_RDONLY)
os.write(1, os.read(fd, 4096))'"""
        )
        for _ in range(10):
            self.wait_blocked(reader)
            reader.send_signal(signal.SIGUSR1)
            self.assertEqual(reader.stdout.readline(), b"signal\n")
        self.wait_blocked(reader)
        self.append("ci", {"n": 1})
        self.assertEqual(self.finish(reader), self.read("ci/all"))

    def test_a_storm_of_interrupts_and_messages(self):
        """Interrupts that meet answers: each message comes once, in order."""
        reader = self.start(
            """exec /usr/bin/python3 -c 'import os, signal
signal.signal(signal.SIGUSR1, lambda *_: None)
fd, left = os.open("ci/follow", os.O_RDONLY), 2000
while left:
    text = os.read(fd, 65536); os.write(1, text); left -= text.count(b"\\n")'""",
            stdout=os.open(os.path.join(self.dir, "out"), os.O_CREAT | os.O_WRONLY),
        )
        self.wait_blocked(reader)
        for n in range(2000):
            if reader.poll() is None:
                reader.send_signal(signal.SIGUSR1)
            self.append("ci", {"n": n})
            if n % 3 == 0 and reader.poll() is None:
                reader.send_signal(signal.SIGUSR1)
        reader.wait(mount.DEADLINE)
        self.assertEqual(reader.returncode, 0)
        with open(os.path.join(self.dir, "out")) as out:
            self.assertEqual(out.read(), self.read("ci/all"))

    def test_stop_and_continue(self):
        """Ctrl-Z and fg: these programs go on waiting and then print the message."""
        for script in (
            "exec head -n1 ci/follow", "exec grep -m1 n ci/follow", "exec dd if=ci/follow bs=4096 count=1 status=none",
            "exec perl -ne 'print; exit' ci/follow", "busybox cat ci/follow | head -n1; true", "cat ci/follow | head -n1; true",
            """jq --unbuffered -c . ci/follow | head -n1; true""",
            """exec /usr/bin/python3 -c 'print(next(open("ci/follow")), end="")'""", "exec dash -c 'read -r m < ci/follow; echo \"$m\"'",
        ):
            with self.subTest(script=script):
                reader = self.start(script)
                self.wait_blocked(reader)
                with self.stopped(reader):
                    pass
                self.wait_blocked(reader)
                self.append("ci", {"n": 1})
                line = reader.stdout.readline().decode()
                self.append("ci", {"end": 1})  # the left side of a pipe learns that its reader has gone
                self.assertEqual(self.finish(reader), "")
                self.assertRegex(line, r'^\{("seq":\d+,.*"data":)?\{"n":1\}\}\n$')
        self.assert_alive()

    def test_a_message_that_comes_while_the_reader_is_stopped(self):
        reader = self.start("exec head -n1 ci/follow")
        self.wait_blocked(reader)
        with self.stopped(reader):
            self.append("ci", {"n": 1})
        self.assertEqual(self.finish(reader), self.read("ci/all"))

    def test_readers_killed_in_their_sleep_cost_later_writers_nothing(self):
        self.append("ci", {"n": 0})
        alone = self.time_of_appends()
        for _ in range(4):
            readers = [self.start("exec cat ci/follow > /dev/null") for _ in range(25)]
            for reader in readers:
                self.wait_blocked(reader)
            for reader in readers:
                self.kill(reader)
        self.assertLess(self.time_of_appends(), 3 * alone + 0.05)
        self.assert_alive()

    def time_of_appends(self):
        best = 1e9
        for _ in range(5):
            begin = time.monotonic()
            self.append("ci", *[{"n": 1}] * 200)
            best = min(best, time.monotonic() - begin)
        return best

    def test_a_blocked_reader_in_a_pipeline_is_released_by_its_own_append(self):
        out = self.run_ok("""exec 3< ci/follow; { echo '{"n":1}' > ci/append; head -n1 <&3; }""")
        self.assertEqual(out, self.read("ci/all"))

    def test_a_descriptor_closed_while_another_waits(self):
        one, two = self.start("exec head -n1 ci/follow"), self.start("exec head -n1 ci/follow")
        self.wait_blocked(one)
        self.wait_blocked(two)
        self.kill(one)
        self.append("ci", {"n": 1})
        self.assertEqual(self.finish(two), self.read("ci/all"))


LIMIT = "/proc/sys/fs/fuse/max_request_timeout"
# $1: what stands for LIMIT in this namespace, $2: pools, $3: where to mount them, $4: python
IMPATIENT_KERNEL = """mount --bind "$1" %s && plasmite mount "$2" "$3" || exit 9
"$4" - "$3/ci" <<'END'
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True) # python's own read() goes on after EINTR
room = ctypes.create_string_buffer(4096)
with open(sys.argv[1] + "/live/last/0", "rb", 0) as file:
    for _ in range(2):
        print(libc.read(file.fileno(), room, 4096), errno.errorcode[ctypes.get_errno()], flush=True)
    os.system("echo '{}' > %%s/append" %% sys.argv[1])
    print(libc.read(file.fileno(), room, 4096) > 0, flush=True)
END
plasmite umount "$3"
""" % LIMIT


class ImpatientKernel(mount.Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can show the daemon another limit of the kernel")
        if not os.path.exists(LIMIT):
            self.skipTest("this kernel has no such limit")

    def test_a_read_is_answered_before_the_kernel_ends_the_mount(self):
        self.mkpool("ci")
        limit, place = self.dir + "/limit", self.dir + "/impatient"
        pathlib.Path(limit).write_text("1\n")
        os.mkdir(place)
        out = self.run_ok(mount.in_namespace(IMPATIENT_KERNEL, limit, self.pools, place, sys.executable), cwd=self.dir)
        self.assertEqual(out, "-1 EINTR\n-1 EINTR\nTrue\n")

    def test_an_expression_that_takes_longer_goes_on_where_it_was(self):
        self.mkpool("ci")
        self.append("ci", *[{"n": n} for n in range(40)])
        limit, place = self.dir + "/limit", self.dir + "/impatient"
        pathlib.Path(limit).write_text("1\n")
        os.mkdir(place)
        script = ('mount --bind "$1" %s && plasmite mount "$2" "$3" || exit 9; cd "$3/ci"\n'
                  'for i in $(seq 200); do cat "where/[range(300000)] | length > 3/data/all" && break; done; echo $i\n'
                  'jq -r "select(.errno == \\"ETIMEDOUT\\").hint" errors | sort -u; cd /; plasmite umount "$3"') % LIMIT
        process = self.start(["unshare", "--mount", "bash", "-c", script, "bash", limit, self.pools, place], cwd=self.dir)
        out, errors = process.communicate(timeout=4 * mount.DEADLINE)
        lines, complaints = out.decode().splitlines(), errors.decode().splitlines()
        self.assertEqual(lines[:40], ['{"n":%d}' % n for n in range(40)], errors)
        self.assertGreater(int(lines[40]), 1)
        self.assertEqual(len(complaints), int(lines[40]) - 1)
        for complaint in complaints:
            self.assertRegex(complaint, ": Connection timed out$")
        self.assertIn("Try again", lines[41])


if __name__ == "__main__":
    mount.main()
