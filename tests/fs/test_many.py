"""Ten thousand pools; a thousand who wait. Runs alone: it measures times and memory."""

import os
import pathlib
import resource
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import SLOW, until

POOLS = 10_000
FOLLOWERS = 1000
TRIES = 3  # the machine may be busy with something else


class Case(mount.Case):
    def open_files(self):
        return len(os.listdir("/proc/%d/fd" % self.daemon.pid))

    def threads(self):
        return len(os.listdir("/proc/%d/task" % self.daemon.pid))

    def memory(self):
        """MiB: what the daemon has in memory, and its share of that."""
        with open("/proc/%d/smaps_rollup" % self.daemon.pid) as file:
            sizes = {line.split()[0]: int(line.split()[1]) for line in file if " kB" in line}
        return sizes["Rss:"] / 1024, sizes["Pss:"] / 1024


class Pools(Case):
    def setUp(self):
        super().setUp()
        self.pls("pool", "create", "p0", "--size", "64K")
        with open(self.pool_file("p0"), "rb") as file:
            pool = file.read()
        begin = pool.rstrip(b"\0")
        for n in range(1, POOLS):
            with open(self.pool_file("p%d" % n), "wb") as file:
                file.write(begin)
                file.truncate(len(pool))

    def work(self):
        """Seconds of a processor that the daemon has used."""
        with open("/proc/%d/stat" % self.daemon.pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def least_work(self, command):
        """What it takes the daemon in a mount that was just made; of the wall clock the machine has its part."""
        taken = []
        for _ in range(TRIES):
            self.assertEqual(self.stop_daemon(), 0)
            self.mount()
            before = self.work()
            lines = int(self.run_ok(command + " | wc -l"))
            taken.append(self.work() - before)
            self.assertGreaterEqual(lines, POOLS)
            self.assertLess(self.open_files(), 1500)
            if SLOW == 1:
                self.assertLess(self.memory()[0], 128)
        return min(taken)

    def test_listing_them(self):
        for command, seconds in (
            ("ls", 0.2), ("ls -l", 0.8), ("find . -maxdepth 1", 0.8), ("find . -maxdepth 1 -type d", 0.8),
            ("echo */ | tr ' ' '\\n'", 0.8),
        ):
            with self.subTest(command=command):
                self.assertLess(self.least_work(command), seconds * SLOW)
        begin = time.monotonic()
        self.run_ok("ls -l | wc -l")
        self.assertLess(time.monotonic() - begin, SLOW)  # by now the kernel knows them

    def test_what_others_do_is_seen_within_a_second(self):
        self.run_ok("ls -l > ../list")
        self.pls("pool", "create", "new")
        until("the new one is seen", lambda: os.path.isdir(self.path("new")) and "new" in os.listdir(self.mnt), seconds=1)
        for n in range(POOLS - 1):
            os.unlink(self.pool_file("p%d" % n))
        until("those that are gone are not seen", lambda: not os.path.exists(self.path("p%d" % (POOLS - 2))), seconds=1)
        self.assertFalse(any(os.path.exists(self.path("p%d" % n)) for n in range(POOLS - 1)))
        self.append("p%d" % (POOLS - 1), {"n": 1})

    def test_each_can_be_used(self):
        for n in range(0, POOLS, 5):
            self.append("p%d" % n, {"n": n})
        for n in range(0, POOLS, 5):
            self.assertEqual(self.read("p%d/data/tail" % n), '{"n":%d}\n' % n)
        self.assertLess(self.open_files(), 1500)


class Followers(Case):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(threading.stack_size, threading.stack_size(128 << 10))
        super().setUp()
        self.mkpool("ci", size="16M")

    def waiters(self):
        return int(self.read(".plasmite/stats").split('"waiters":')[1].split(",")[0])

    def check(self, views):
        """Those who have these open are woken by one append, and cost little."""
        got = [None] * FOLLOWERS
        fds = [self.open("ci/" + view) for view in views]

        def read(i):
            got[i] = os.read(fds[i], 65536)

        threads = self.threads()
        readers = [threading.Thread(target=read, args=(i,)) for i in range(FOLLOWERS)]
        for reader in readers:
            reader.start()
        until("all of them wait", lambda: self.waiters() == FOLLOWERS)
        self.cheap(threads)
        self.append("ci", {"n": 1})
        for reader in readers:
            reader.join(mount.DEADLINE)
        self.assertEqual(set(got), {b'{"n":1}\n'})
        self.cheap(threads)

    def cheap(self, threads):
        self.assertLessEqual(self.threads(), threads + 8)  # workers, as many as they may be
        if SLOW == 1:  # sanitizers take memory of their own
            self.assertLess(max(self.memory()), 64)

    def test_of_everything(self):
        self.check(["data/follow"] * FOLLOWERS)

    def test_of_what_an_expression_selects(self):
        self.check(["where/.data.n == 1/data/follow"] * FOLLOWERS)

    def test_each_with_an_expression_of_its_own(self):
        self.check(["where/.data.n == 1 and .seq != %d/data/follow" % (n + 7) for n in range(FOLLOWERS)])


if __name__ == "__main__":
    mount.main()
