"""The pool directory changes behind the mount: files move, more happens at once than can be told, it is another directory."""

import os
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import until


class Moved(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        self.append("ci", {"n": 1})
        os.stat(self.path("ci/append"))

    def names(self):
        return sorted(set(os.listdir(self.mnt)) - {"README", ".plasmite"})

    def test_a_pool_file_under_another_name(self):
        os.rename(self.pool_file("ci"), self.pool_file("cd"))
        until("the old name is gone", lambda: not os.path.exists(self.path("ci")), seconds=1)
        self.assertEqual(self.names(), ["cd"])
        self.append("cd", {"n": 2})
        self.assertEqual(self.datas("cd"), ['{"n":1}', '{"n":2}'])

    def test_a_pool_file_that_went_elsewhere_and_came_back(self):
        reader = self.start("head -n2 ci/data/follow")
        self.wait_blocked(reader)
        fd = self.open("ci/append", os.O_WRONLY)
        os.rename(self.pool_file("ci"), os.path.join(self.dir, "away"))
        until("it is gone", lambda: not os.path.exists(self.path("ci")), seconds=1)
        os.write(fd, b'{"n":2}')  # whoever has it open goes on with it
        self.pls("feed", os.path.join(self.dir, "away"), '{"n":3}')
        self.assertEqual(self.finish(reader), '{"n":2}\n{"n":3}\n')
        os.rename(os.path.join(self.dir, "away"), self.pool_file("ci"))
        until("it is back", lambda: os.path.exists(self.path("ci")), seconds=1)
        self.append("ci", {"n": 4})
        self.assertEqual(self.datas("ci"), ['{"n":%d}' % n for n in range(1, 5)])

    def test_two_that_change_places(self):
        self.mkpool("other")
        self.append("other", {"other": 1})
        for old, new in (("ci", "x"), ("other", "ci"), ("x", "other")):
            os.rename(self.pool_file(old), self.pool_file(new))
        until("it is the other one", lambda: self.now("ci") == ['{"other":1}'], seconds=1)
        until("and the first", lambda: self.now("other") == ['{"n":1}'], seconds=1)

    def now(self, pool):
        try:
            return self.datas(pool)
        except OSError:
            return None


class Room(mount.Case):
    """What a deleted pool took on disk is free again, although somebody had looked at it, or had it open at that moment."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def is_free(self):
        until("nobody holds the file", lambda: self.held() == [], seconds=5 * mount.SLOW)

    def held(self):
        directory = "/proc/%d/fd" % self.daemon.pid
        names = []
        for fd in os.listdir(directory):
            try:
                names.append(os.readlink(os.path.join(directory, fd)))
            except FileNotFoundError:  # closed meanwhile
                pass
        return [name for name in names if name.endswith("(deleted)")]

    def test_of_one_that_was_deleted_by_its_own_file(self):
        for n in range(3):
            self.run_ok("echo '{}' > ci/append; echo delete > ci/ctl; mkdir ci")
        self.is_free()

    def test_of_one_that_is_open(self):
        reader = self.start("cat ci/data/follow")
        self.wait_blocked(reader)
        fd = self.open("ci/append", os.O_WRONLY)
        self.pls("pool", "delete", "ci")
        self.finish(reader, status=1, stderr="cat: ci/data/follow: Stale file handle\n")
        self.assertNotEqual(self.held(), [])
        os.close(fd)
        self.is_free()

    def test_of_one_of_which_matches_are_known(self):
        self.append("ci", {"n": 1})
        self.assertEqual(self.read("ci/where/.data.n == 1/data/all"), '{"n":1}\n')
        self.run_ok("cat ci/data/all ci/tag/x/all; ls -l ci ci/where > /dev/null")
        self.pls("pool", "delete", "ci")
        self.is_free()

    def test_of_an_empty_one(self):
        self.run_ok("cat ci/data/all ci/tag/x/all; rmdir ci")
        self.is_free()


class Overflow(mount.Case):
    def queue(self):
        with open("/proc/sys/fs/inotify/max_queued_events") as file:
            return int(file.read())

    def test_more_events_than_the_kernel_keeps(self):
        self.mkpool("ci", "stays")
        events = self.open(".plasmite/live/events")
        os.stat(self.path("ci/append"))
        self.daemon.send_signal(signal.SIGSTOP)
        try:
            for n in range(self.queue()):  # each makes two of them
                path = os.path.join(self.pools, "x%d.plasmite" % n)
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
                os.unlink(path)
            os.unlink(self.pool_file("ci"))
            os.chmod(self.pool_file("stays"), 0o600)
        finally:
            self.daemon.send_signal(signal.SIGCONT)
        until("the pool is gone", lambda: not os.path.exists(self.path("ci")), seconds=5)
        until("the mode is seen", lambda: os.stat(self.path("stays")).st_mode & 0o777 == 0o700, seconds=5)
        text = b""
        while b'"event":"lost"' not in text:
            text = text[-100:] + os.read(events, 1 << 16)


class Directory(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        self.append("ci", {"n": 1})
        os.stat(self.path("ci/append"))

    def other(self):
        """A pool directory with another pool of that name."""
        other = os.path.join(self.dir, "other")
        self.pls("pool", "create", other + "/ci.plasmite", other + "/more.plasmite")
        self.pls("feed", other + "/ci.plasmite", '{"other":1}')
        return other

    def now(self):
        try:
            return self.datas("ci")
        except OSError:
            return None

    def test_another_one_in_its_place(self):
        other = self.other()
        os.rename(self.pools, self.pools + ".old")
        os.rename(other, self.pools)
        until("the other pool is seen", lambda: self.now() == ['{"other":1}'], seconds=5)
        self.assertEqual(sorted(os.listdir(self.mnt)), [".plasmite", "README", "ci", "more"])
        self.watches()

    def test_removed_and_made_again(self):
        shutil.rmtree(self.pools)
        until("the pool is gone", lambda: not os.path.exists(self.path("ci")), seconds=5)
        self.assertEqual(sorted(os.listdir(self.mnt)), [".plasmite", "README"])
        self.run_ok("cat README .plasmite/stats > /dev/null")
        os.mkdir(self.path("new"))  # and with it the directory
        self.assertEqual(os.listdir(self.pools), ["new.plasmite"])
        self.watches()

    def watches(self):
        """What others do in it is seen again."""
        self.mkpool("seen")
        os.stat(self.path("seen/append"))

        def is_seen():
            if os.path.exists(self.pool_file("seen")):
                os.unlink(self.pool_file("seen"))
            if os.path.exists(self.path("seen")):
                return False
            return True

        until("a pool deleted in the new directory", is_seen, seconds=5)


if __name__ == "__main__":
    mount.main()
