"""Pools that vanish, files that are broken, daemons that die: an error for those concerned, and nobody else notices."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import BIN, DEADLINE, datas, seqs, until


class Deleted(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci", "other")
        self.append("ci", *({"n": n} for n in range(1, 6)))

    def assert_other_lives(self):
        reader = self.start("head -n1 other/follow")
        self.wait_blocked(reader)
        self.run_ok("""echo '{"alive":1}' > other/append""")
        self.assertEqual(datas(self.finish(reader)), ['{"alive":1}'])

    def ends_stale(self, reader):
        begin = time.monotonic()
        out = self.finish(reader, status=1, stderr="cat: ci/%s: Stale file handle\n" % reader.view)
        self.assertLess(time.monotonic() - begin, 5 * mount.SLOW)
        return out

    def cat(self, view):
        reader = self.start("exec cat ci/" + view)
        reader.view = view
        self.wait_blocked(reader)
        return reader

    def test_a_waiting_reader_gets_an_error_and_never_an_end(self):
        for view in ("follow", "next", "live/seq/9", "live/from/4", "tag/x/follow", "data/follow"):
            with self.subTest(view=view):
                reader = self.cat(view)
                self.pls("pool", "delete", "ci")
                out = self.ends_stale(reader)
                self.assertEqual(seqs(out) if view == "live/from/4" else out, [4, 5] if view == "live/from/4" else "")
                self.pls("pool", "create", "ci")
                until("the pool is back", lambda: os.path.isdir(self.path("ci")))
                self.append("ci", *({"n": n} for n in range(1, 6)))
        self.assert_other_lives()

    def test_a_gate_does_not_open(self):
        gate = self.start("head -n1 ci/follow > /dev/null && echo deployed")
        self.wait_blocked(gate)
        self.pls("pool", "delete", "ci")
        # head fails too: it says why and ends with 1.
        self.assertEqual(self.finish(gate, status=1, stderr="head: error reading 'ci/follow': Stale file handle\n"), "")

    def test_what_is_left_is_delivered_first(self):
        fd = self.open("ci/live/from/1")
        one = self.read("ci/seq/1").encode()
        rest = self.read("ci/from/2").encode()
        self.assertEqual(os.read(fd, len(one)), one)
        self.pls("pool", "delete", "ci")
        self.assertEqual(os.read(fd, 65536), rest)
        self.assert_errno(errno.ESTALE, os.read, fd, 65536)
        self.assert_errno(errno.ESTALE, os.read, fd, 65536)

    def test_a_plain_rm_is_found_too(self):
        reader = self.cat("follow")
        os.unlink(self.pool_file("ci"))
        self.ends_stale(reader)
        self.assert_other_lives()

    def test_a_writer(self):
        fd = self.open("ci/append", os.O_WRONLY)
        os.write(fd, b'{"n":6}')
        self.pls("pool", "delete", "ci")
        self.assert_errno(errno.ESTALE, os.write, fd, b'{"n":7}')
        self.assert_errno(errno.ESTALE, os.write, fd, b'{"n":8}')
        self.assert_other_lives()

    def test_a_writer_after_a_plain_rm(self):
        fd = self.open("ci/append", os.O_WRONLY)
        os.unlink(self.pool_file("ci"))

        def is_stale():
            try:
                os.write(fd, b'{"n":7}')
            except OSError as error:
                self.assertEqual(error.errno, errno.ESTALE)
                return True

        until("the writer learns of it", is_stale, seconds=2)

    def test_an_open_finite_file_keeps_its_content(self):
        content = self.read("ci/all")
        fd = self.open("ci/all")
        self.pls("pool", "delete", "ci")
        self.assertEqual(os.read(fd, 65536).decode(), content)

    def test_handles_do_not_switch_to_a_new_pool_of_that_name(self):
        reader, fd = self.cat("follow"), self.open("ci/append", os.O_WRONLY)
        self.pls("pool", "delete", "ci")
        self.pls("pool", "create", "ci")
        self.pls("feed", "ci", '{"new":1}')
        self.assertEqual(self.ends_stale(reader), "")
        self.assert_errno(errno.ESTALE, os.write, fd, b'{"old":1}')
        until("the new pool is seen", lambda: self.all_of("ci") == ['{"new":1}'])

    def all_of(self, pool):
        try:
            return self.datas(pool)
        except OSError:
            return None

    def test_a_file_that_is_replaced(self):
        reader = self.cat("follow")
        self.pls("pool", "create", os.path.join(self.dir, "new.plasmite"))
        self.pls("feed", os.path.join(self.dir, "new.plasmite"), '{"new":1}')
        os.rename(os.path.join(self.dir, "new.plasmite"), self.pool_file("ci"))
        self.ends_stale(reader)
        until("the new file is seen", lambda: self.all_of("ci") == ['{"new":1}'])
        self.append("ci", {"new": 2})
        self.assertEqual(self.datas("ci"), ['{"new":1}', '{"new":2}'])
        self.assert_other_lives()


class Broken(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci", "other")
        self.append("ci", *({"n": n} for n in range(1, 500)))
        self.append("other", {"fine": 1})

    assert_other_lives = Deleted.assert_other_lives

    def fails(self, call, *arguments):
        """Some error that says that the pool is broken or gone, and soon."""
        with self.assertRaises(OSError) as caught:
            call(*arguments)
        self.assertIn(caught.exception.errno, (errno.EUCLEAN, errno.EIO, errno.ESTALE, errno.ENOENT), caught.exception)

    def truncated(self, size):
        stream, finite, writer = self.open("ci/live/from/1"), self.open("ci/all"), self.open("ci/append", os.O_WRONLY)
        waiting = self.start("exec cat ci/follow")
        self.wait_blocked(waiting)
        os.truncate(self.pool_file("ci"), size)

        def read_on():
            while os.read(stream, 4096):
                pass

        self.fails(read_on)
        self.fails(os.write, writer, b'{"n":1}')
        try:
            text = os.read(finite, 1 << 20)  # may be in the page cache already
            self.assertEqual(text[:7], b'{"seq":')
        except OSError as error:
            self.assertIn(error.errno, (errno.EUCLEAN, errno.EIO))
        self.assertNotEqual(self.finish(waiting, status=1, stderr=None), None)
        self.run_fails("cat ci/tail", 1, "cat: ci/tail: ")
        self.finish(self.start("echo '{}' > ci/append"), status=1, stderr=None)  # by open() or by write()
        self.assert_other_lives()

    def test_cut_to_nothing(self):
        self.truncated(0)

    def test_cut_inside_the_header(self):
        self.truncated(100)

    def test_cut_inside_the_ring(self):
        self.truncated(70_000)

    def test_garbage_written_over_it(self):
        with open(self.pool_file("ci"), "r+b") as file:
            file.seek(0)
            file.write(os.urandom(4096))
        self.fails(self.read, "ci/tail")
        self.assert_other_lives()

    def test_files_that_are_no_pools_beside_those_that_are(self):
        def write(name, content):
            with open(self.pool_file(name), "wb") as file:
                file.write(content)

        write("empty", b"")
        write("short", b"x" * 50)
        write("zeros", bytes(1 << 16))
        write("noise", os.urandom(1 << 16))
        os.mkdir(self.pool_file("folder"))
        os.mkfifo(self.pool_file("fifo"))
        os.symlink("nowhere", self.pool_file("dangling"))
        os.symlink("loop.plasmite", self.pool_file("loop"))
        until("they are seen", lambda: "noise" in os.listdir(self.mnt))
        for name in ("empty", "short", "zeros", "noise", "folder", "fifo", "dangling", "loop"):
            with self.subTest(name=name):
                for script in ("cat %s/all", "cat %s/follow", "echo '{}' > %s/append", "cat %s/info"):
                    self.finish(self.start(script % name), status=1, stderr=None, seconds=10)
        self.run_fails("cat noise/all", 1, "Structure needs cleaning")
        self.run_fails("echo '{}' > noise/append", 1, "Structure needs cleaning")
        self.finish(self.start("ls -lR . > /dev/null"), status=None, stderr=None, seconds=10)
        self.assertEqual(self.datas("other"), ['{"fine":1}'])
        self.assert_other_lives()


class Daemon(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        self.append("ci", {"n": 1})

    def test_stopping_it_tells_waiting_readers(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number):
                reader = self.start("exec cat ci/follow")
                self.wait_blocked(reader)
                self.assertEqual(self.stop_daemon(number), 0, self.log())
                self.finish(reader, status=1, stderr="cat: ci/follow: Software caused connection abort\n")
                self.assertFalse(self.is_mounted())
                self.assertEqual(os.listdir(self.mnt), [])
                self.mount()
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def test_a_gate_does_not_open_when_it_stops(self):
        gate = self.start("head -n1 ci/follow && echo deployed")
        self.wait_blocked(gate)
        self.assertEqual(self.stop_daemon(), 0, self.log())
        self.assertEqual(self.finish(gate, status=1, stderr=None), "")

    def test_killing_it_and_mounting_again(self):
        reader = self.start("exec cat ci/follow")
        self.wait_blocked(reader)
        self.stop_daemon(signal.SIGKILL)
        self.finish(reader, status=1, stderr="cat: ci/follow: Software caused connection abort\n")
        self.assert_errno(errno.ENOTCONN, os.listdir, self.mnt)
        self.pls("feed", "ci", '{"n":2}')  # the pools do not need the mount
        self.mount()
        self.append("ci", {"n": 3})
        self.assertEqual(self.datas("ci"), ['{"n":1}', '{"n":2}', '{"n":3}'])

    def test_unmounting_by_force_ends_it_and_its_readers(self):
        reader = self.start("exec cat ci/follow")
        self.wait_blocked(reader)
        if os.geteuid() == 0:
            subprocess.run(["umount", "-f", self.mnt], stderr=subprocess.DEVNULL, check=False)  # busy, but cut
        else:
            subprocess.run(["fusermount3", "-uz", self.mnt], check=True)
            reader.kill()
        self.finish(reader, status=None, stderr=None)
        self.assertEqual(self.daemon.wait(DEADLINE), 0, self.log())

    def test_unmounting_ends_it(self):
        subprocess.run(["fusermount3", "-u", self.mnt], check=True)
        self.assertEqual(self.daemon.wait(DEADLINE), 0, self.log())
        self.assertFalse(self.is_mounted())

    def test_a_second_mount_on_it_is_refused(self):
        self.run_fails(["plasmite", "mount", "-f", self.pools, self.mnt], 4, self.mnt, cwd=self.dir)
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def test_a_mount_point_that_is_missing(self):
        self.run_fails(["plasmite", "mount", "-f", self.pools, self.dir + "/missing"], 3, self.dir + "/missing", cwd=self.dir)

    def test_in_the_background(self):
        place = os.path.join(self.dir, "two")
        os.mkdir(place)
        self.run_ok(["plasmite", "mount", self.pools, place], cwd=self.dir)
        # When the command returns the mount is there.
        try:
            self.assertEqual(sorted(os.listdir(place)), sorted(os.listdir(self.mnt)))
            with open(place + "/ci/append", "w") as file:
                file.write('{"n":2}')
            self.assertEqual(self.datas("ci"), ['{"n":1}', '{"n":2}'])
        finally:
            subprocess.run(["fusermount3", "-u", place], check=True)

    def test_two_mounts_of_the_same_pools_see_each_other(self):
        place = os.path.join(self.dir, "two")
        os.mkdir(place)
        other = subprocess.Popen([os.path.join(BIN, "plasmite"), "mount", "-f", self.pools, place], start_new_session=True)
        try:
            until("the second mount", lambda: os.path.isdir(place + "/ci"))
            reader = self.start("head -n1 ci/follow")
            self.wait_blocked(reader)
            with open(place + "/ci/append", "w") as file:
                file.write('{"from":"two"}')
            self.assertEqual(datas(self.finish(reader)), ['{"from":"two"}'])
        finally:
            other.terminate()
            self.assertEqual(other.wait(DEADLINE), 0)


if __name__ == "__main__":
    mount.main()
