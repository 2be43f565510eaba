"""replay/SPEED/: messages again at the pace at which they came.  strict/: told of what was lost."""

import errno
import os
import pathlib
import select
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import datas, seqs, time_ns, envelopes


class Replay(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def append_apart(self, *pauses):
        """Messages with at least these pauses in between; the real ones, as their times tell."""
        self.append("ci", {"n": 0})
        for n, pause in enumerate(pauses):
            time.sleep(pause)  # the distance of their times is what is tested
            self.append("ci", {"n": n + 1})
        times = [time_ns(message[1]) for message in envelopes(self.read("ci/all"))]
        return [(time - times[0]) / 1e9 for time in times]

    def arrivals(self, name):
        """When each message of a replay came, from its first one on."""
        fd = self.open(name)
        found, numbers = [], []
        while True:
            text = os.read(fd, 65536).decode()
            if not text:
                break
            found += [time.monotonic()] * text.count("\n")
            numbers += seqs(text)
        os.close(fd)
        return [at - found[0] for at in found], numbers

    def test_the_pace(self):
        pauses = self.append_apart(0.3, 0.1, 0.2)
        for speed in ("1", "2", "0.5", "10", ".5", "1.", "0010"):
            with self.subTest(speed=speed):
                at, numbers = self.arrivals("ci/replay/%s/from/1" % speed)
                self.assertEqual(numbers, [1, 2, 3, 4])
                for got, pause in zip(at, pauses):
                    self.assertGreaterEqual(got, pause / float(speed) - 0.02)
                    self.assertLess(got, pause / float(speed) + 0.25 * mount.SLOW)

    def test_it_does_not_drift(self):
        pauses = self.append_apart(*[0.02] * 40)
        at, numbers = self.arrivals("ci/replay/1/all")
        self.assertEqual(numbers, list(range(1, 42)))
        self.assertGreaterEqual(at[-1], pauses[-1] - 0.02)
        self.assertLess(at[-1], pauses[-1] + 0.25 * mount.SLOW)

    def test_without_pauses(self):
        self.append_apart(0.2, 0.2)
        at, numbers = self.arrivals("ci/replay/0/all")
        self.assertEqual(numbers, [1, 2, 3])
        self.assertLess(at[-1], 0.2)

    def test_which_messages(self):
        for n in range(1, 11):
            self.append("ci" + "/tag/even" * (n % 2 == 0), {"n": n})
        now = envelopes(self.read("ci/all"))
        for view, expected in (
            ("tail", range(1, 11)), ("all", range(1, 11)), ("last/3", range(8, 11)), ("from/9", (9, 10)), ("seq/4", (4,)),
            ("since/1h", range(1, 11)), ("since/%s..%s" % (now[2][1], now[5][1]), (3, 4, 5)), ("since/2d..1d", ()),
            ("last/0", ()), ("from/11", ()), ("tag/even/all", (2, 4, 6, 8, 10)), ("tag/even/last/2", (8, 10)),
            ("tag/none/all", ()), ("strict/all", range(1, 11)), ("tag/even/seq/3", ()),
        ):
            with self.subTest(view=view):
                self.assertEqual(seqs(self.run_ok("cat 'ci/replay/1000/%s'" % view)), list(expected))
        self.assertEqual(self.run_ok("cat ci/tag/even/replay/1000/data/last/2"), '{"n":8}\n{"n":10}\n')

    def test_an_empty_pool(self):
        for view in ("all", "tail", "last/5", "since/1h", "from/3", "tag/x/all"):
            self.assertEqual(self.run_ok("cat ci/replay/1/" + view), "")

    def test_the_end_is_fixed_when_it_is_opened(self):
        self.append("ci", {"n": 1}, {"n": 2})
        fd = self.open("ci/replay/1000/all")
        self.append("ci", {"n": 3})
        text = b""
        while True:
            piece = os.read(fd, 10)
            if not piece:
                break
            text += piece
        self.assertEqual(seqs(text.decode()), [1, 2])

    def test_live_goes_on(self):
        self.append_apart(0.1)
        reader = self.start("head -n3 ci/live/replay/1/all")
        self.wait_blocked(reader)
        self.append("ci", {"n": "new"})
        self.assertEqual(seqs(self.finish(reader)), [1, 2, 3])
        reader = self.start("head -n1 ci/replay/2/next")
        self.wait_blocked(reader)
        self.append("ci", {"n": "newer"})
        self.assertEqual(seqs(self.finish(reader)), [4])

    def test_a_batch_comes_at_once(self):
        fd = self.open("ci/append", os.O_WRONLY)
        os.write(fd, b'{"n":1}' * 1000)
        out = os.read(self.open("ci/replay/0.001/all"), 65536).decode()
        self.assertGreater(len(seqs(out)), 500)

    def test_waiting_is_interruptible_and_blocks_nobody(self):
        self.append_apart(0.1)
        readers = [self.start("cat ci/replay/0.0001/all") for _ in range(20)]
        for reader in readers:
            self.wait_blocked(reader)
        begin = time.monotonic()
        os.stat(self.path("ci/tail"))
        self.append("ci", {"n": 2})
        self.assertLess(time.monotonic() - begin, 0.1 * mount.SLOW)
        follower = self.start("head -n1 ci/follow")
        self.wait_blocked(follower)
        self.append("ci", {"n": 3})
        self.assertEqual(seqs(self.finish(follower)), [4])
        for reader in readers:
            self.kill(reader)

    def test_poll_and_nonblocking_reads(self):
        pause = self.append_apart(0.4)[1]
        fd = self.open("ci/replay/1/all", os.O_RDONLY | os.O_NONBLOCK)
        self.assertEqual(seqs(os.read(fd, 65536).decode()), [1])
        begin = time.monotonic()
        self.assert_errno(errno.EAGAIN, os.read, fd, 65536)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        self.assertEqual(poll.poll(0), [])
        self.append("ci", {"n": "news is not what it waits for"})
        self.assertEqual(poll.poll(50), [])
        self.assertEqual(poll.poll(1000 * mount.DEADLINE), [(fd, select.POLLIN)])
        self.assertGreater(time.monotonic() - begin, pause - 0.1)
        self.assertEqual(seqs(os.read(fd, 65536).decode()), [2])
        self.assertEqual(os.read(fd, 65536), b"")

    def test_the_end_of_the_mount(self):
        self.append_apart(0.1)
        reader = self.start("cat ci/replay/0.0001/all")
        self.wait_blocked(reader)
        self.assertEqual(self.stop_daemon(), 0)
        self.finish(reader, status=1, stderr="cat: ci/replay/0.0001/all: Software caused connection abort\n")

    def test_what_is_no_speed(self):
        for name in ("x", "-1", "1x", "1e3", "0x1", "..1", "1.2.3", "inf", "nan", " 1", "1,5", "9" * 400, "README/x"):
            with self.subTest(name=name):
                with self.assertRaises(OSError) as caught:
                    os.stat(self.path("ci/replay/%s" % name))
                self.assertIn(caught.exception.errno, (errno.EINVAL, errno.ENOTDIR))
        self.assert_errno(errno.EINVAL, os.stat, self.path("ci/replay/1/replay/2/all"))

    def test_what_is_there(self):
        self.assertEqual(os.listdir(self.path("ci/replay")), ["README"])
        self.assertEqual(sorted(os.listdir(self.path("ci/replay/1"))), ["README", "all", "follow", "next", "tail"])
        for name in ("append", "lines", "info", "ctl", "log"):
            self.assert_errno(errno.ENOENT, os.stat, self.path("ci/replay/1/" + name))
        self.assertEqual(os.stat(self.path("ci/replay/1/all")).st_ino, os.stat(self.path("ci/replay/1.0/all")).st_ino)
        self.assertNotEqual(os.stat(self.path("ci/replay/1/all")).st_ino, os.stat(self.path("ci/replay/2/all")).st_ino)

    def test_a_deleted_pool(self):
        self.append_apart(0.3)
        reader = self.start("cat ci/replay/1/all")
        self.wait_blocked(reader)
        self.run_ok("echo delete > ci/ctl")
        self.assertEqual(seqs(self.finish(reader)), [1, 2])  # the end that was promised


class Strict(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci", size=65536)

    def overrun(self, tag=""):
        before = int(self.read("ci/stat/newest"))
        fd = self.open("ci/append", os.O_WRONLY)
        while int(self.read("ci/stat/oldest")) <= before + 1:
            os.write(fd, b'{"x":"%s"}' % (b"x" * 400) * 10)

    def test_a_gap_is_told_once(self):
        fd, other = self.open("ci/strict/follow"), self.open("ci/follow")
        self.append("ci", {"n": 1})
        self.assertEqual(datas(os.read(fd, 65536).decode()), ['{"n":1}'])
        self.overrun()
        self.assert_errno(errno.EPIPE, os.read, fd, 65536)
        first = seqs(os.read(fd, 1000).decode())[0]
        self.assertEqual(first, int(self.read("ci/stat/oldest")))
        self.assertEqual(seqs(os.read(other, 1000).decode())[0], first)  # who is not strict goes on in silence

    def test_cat_fails(self):
        reader = self.start("exec 3< ci/strict/follow; read -r line; cat <&3", stdin=-1)
        mount.until("it is open", lambda: os.path.exists("/proc/%d/fd/3" % reader.pid))
        self.overrun()
        reader.stdin.write(b"go on\n")
        reader.stdin.flush()
        self.finish(reader, status=1, stderr="cat: -: Broken pipe\n")

    def test_what_came_before_is_delivered_first(self):
        fd = self.open("ci/strict/tag/x/follow")
        self.append("ci/tag/x", {"n": 1})
        self.assertEqual(len(os.read(fd, 10)), 10)  # the beginning of the line
        self.overrun()
        text = b""
        while not text.endswith(b"\n"):
            text += os.read(fd, 10)
        self.assert_errno(errno.EPIPE, os.read, fd, 10)

    def test_it_begins_with_one(self):
        self.append("ci", *[{"n": n} for n in range(5)])
        self.assertEqual(seqs(self.run_ok("head -n2 ci/strict/live/from/3")), [3, 4])
        self.overrun()
        fd = self.open("ci/strict/live/from/3")
        self.assert_errno(errno.EPIPE, os.read, fd, 65536)
        self.assertGreater(seqs(os.read(fd, 65536).decode())[0], 3)
        self.assert_errno(errno.EPIPE, os.open, self.path("ci/strict/from/3"), os.O_RDONLY)
        self.run_fails("cat ci/strict/from/3", 1, "cat: ci/strict/from/3: Broken pipe")
        newest = int(self.read("ci/stat/newest"))
        self.assertEqual(seqs(self.read("ci/strict/from/%d" % newest)), [newest])
        self.assertEqual(self.read("ci/strict/tail"), self.read("ci/tail"))
        self.assertEqual(self.read("ci/strict/last/3"), self.read("ci/last/3"))

    def test_poll(self):
        fd = self.open("ci/strict/follow")
        poll = select.poll()
        poll.register(fd, select.POLLIN | select.POLLPRI)
        self.assertEqual(poll.poll(0), [])
        self.overrun()
        for _ in range(2):  # looking does not take it away
            self.assertEqual(poll.poll(1000 * mount.DEADLINE), [(fd, select.POLLIN | select.POLLPRI | select.POLLERR)])
        self.assert_errno(errno.EPIPE, os.read, fd, 65536)
        self.assertEqual(poll.poll(1000 * mount.DEADLINE), [(fd, select.POLLIN)])

    def test_under_replay(self):
        self.append("ci", {"n": 1}, {"n": 2})
        fd = self.open("ci/strict/replay/1000/all")
        self.overrun()
        self.assert_errno(errno.EPIPE, os.read, fd, 65536)
        self.assertEqual(os.read(fd, 65536), b"")  # all of the window is lost

    def test_what_is_there(self):
        self.assertEqual(sorted(os.listdir(self.path("ci/strict"))), ["README", "all", "follow", "next", "tail"])
        for name in ("append", "lines", "tag/x/append", "data/append"):
            self.assert_errno(errno.ENOENT, os.stat, self.path("ci/strict/" + name))
        self.assert_errno(errno.ENOENT, os.stat, self.path("ci/tag/x/strict/append"))


if __name__ == "__main__":
    mount.main()
