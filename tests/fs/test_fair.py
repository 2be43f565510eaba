"""One user's costly expressions hold up nobody else. Runs alone: it measures times."""

import json
import os
import pathlib
import select
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import NOBODY, SLOW, until

# Tenths of a second for each message, and nothing that a stranger could not ask for.
COSTLY = '.data.l | any(test("a.*a.*a.*c%d"))'
READERS = 8


class Case(mount.Case):
    mount_options = "allow_other"

    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o755)
        self.mkpool("big", size="16M")
        self.mkpool("mine")
        os.chmod(self.path("big"), 0o666)
        self.append("big", *[json.dumps({"l": ["ab" * 20] * 3000})] * 100)
        self.append("mine", *({"n": n} for n in range(100)))

    def latency(self, call, times=20):
        """Seconds: the median and the worst."""
        taken = []
        for n in range(times):
            begin = time.monotonic()
            call(n)
            taken.append(time.monotonic() - begin)
        return statistics.median(taken), max(taken)

    def all_is_well(self):
        for what, call in (
            ("append", lambda n: self.append("mine", {"n": n})),
            ("sync", self.sync),
            ("stat", lambda n: os.stat(self.path("mine/tail"))),
            ("read", lambda n: self.read("mine/tail")),
            ("an expression", lambda n: self.read("mine/where/.data.n == %d/all" % (n + self.used))),
        ):
            median, worst = self.latency(call)
            self.used += 100
            with self.subTest(what=what, median=median, worst=worst):
                self.assertLess(median, 0.1 * SLOW)
                self.assertLess(worst, 2 * SLOW)

    used = 0

    def sync(self, n):
        fd = os.open(self.path("mine/append"), os.O_WRONLY)
        os.write(fd, b'{"n":1}')
        os.fsync(fd)
        os.close(fd)


class Others(Case):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be two users")
        super().setUp()

    def test_followers(self):
        readers = [self.start("cat 'big/where/%s/live/from/1'" % (COSTLY % n), user=NOBODY) for n in range(READERS)]
        for reader in readers:
            self.wait_blocked(reader)
        self.all_is_well()
        self.assertEqual([reader.poll() for reader in readers], [None] * READERS)


class OneReader(Case):
    def test_polling_beside_a_read(self):
        fd = self.open("big/where/%s/live/last/5" % (COSTLY % 0))
        reader = threading.Thread(target=self.read_quietly, args=(fd,))
        reader.start()
        until("it reads", lambda: mount.waits_for_answer(os.getpid()))
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        for _ in range(10):
            begin = time.monotonic()
            self.assertEqual(poll.poll(0), [])
            self.assertLess(time.monotonic() - begin, 0.1 * SLOW)
        self.append("big", {"l": ["aaac0"]})
        reader.join(mount.DEADLINE)
        self.assertIn(b"aaac0", self.got)

    def test_a_match_does_not_wait_for_what_comes_later(self):
        self.mkpool("first", size="16M")
        self.append("first", {"l": ["aaac0"]}, *[{"l": ["ab" * 20] * 300}] * 800)
        begin = time.monotonic()
        fd = self.open("first/where/%s/live/from/1" % (COSTLY % 0))
        self.assertIn(b"aaac0", os.read(fd, 65536))
        self.assertLess(time.monotonic() - begin, 2 * SLOW)

    def test_nobody_looks_on_for_a_poller_who_is_gone(self):
        fd = self.open("big/where/%s/live/from/1" % (COSTLY % 0))
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        self.assertEqual(poll.poll(0), [])
        until("a worker looks", lambda: self.work_in(0.3) > 0.05)
        os.close(fd)
        until("it has ended", lambda: self.work_in(0.3) < 0.03, 3 * SLOW)

    def work_in(self, seconds):
        """Seconds of a processor that the mount takes meanwhile."""
        before = self.work()
        time.sleep(seconds)
        return self.work() - before

    def work(self):
        with open("/proc/%d/stat" % self.daemon.pid) as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def read_quietly(self, fd):
        self.got = os.read(fd, 65536)


if __name__ == "__main__":
    mount.main()
