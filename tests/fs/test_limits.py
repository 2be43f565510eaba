"""Whatever one program does or leaves behind, the others are served, and the daemon stays small."""

import errno
import fcntl
import os
import pathlib
import resource
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import datas, until

MIB = 1 << 20


class StuckWriter(mount.Case):
    """A writer that was stopped while it held the pool's lock."""

    LOCK_AT, SLOT_BASE, SLOT = 128, 1 << 62, 12345  # see pool/layout.h and pool/lock.c

    def hold_lock(self, pool):
        fd = os.open(self.pool_file(pool), os.O_RDWR | os.O_CLOEXEC)
        self.addCleanup(os.close, fd)
        fcntl.fcntl(fd, 37, struct.pack("hhxxxxqqixxxx", fcntl.F_WRLCK, os.SEEK_SET, self.SLOT_BASE + self.SLOT, 1, 0))  # F_OFD_SETLK
        os.pwrite(fd, struct.pack("<Q", 1 << 32 | self.SLOT << 1), self.LOCK_AT)

    def test_deleting_such_a_pool_holds_up_nobody(self):
        self.mkpool("stuck", "other")
        self.hold_lock("stuck")
        fd = self.open("other/append", os.O_WRONLY)
        deleting = self.start("rmdir stuck")
        until("rmdir waits", lambda: deleting.poll() is not None or self.in_mount(deleting.pid))
        self.assertEqual(os.write(fd, b'{"n":1}'), 7)
        self.assertIsNone(deleting.poll(), "it did not wait at all")
        self.finish(deleting, status=1, stderr="rmdir: failed to remove 'stuck': Device or resource busy\n", seconds=6)
        self.assertEqual(self.datas("other"), ['{"n":1}'])
        self.assertTrue(os.path.isdir(self.path("stuck")))

    def in_mount(self, pid):
        try:
            with open("/proc/%d/syscall" % pid) as call, open("/proc/%d/wchan" % pid) as wchan:
                return call.read().split()[0] in ("84", "263", "35") and "request_wait" in wchan.read()
        except OSError:
            return False

    def test_resizing_it_is_busy(self):
        self.mkpool("stuck")
        self.hold_lock("stuck")
        self.run_fails("echo 8M > stuck/size", 1, "Device or resource busy")
        self.assertEqual(os.listdir(self.pools), ["stuck.plasmite"])


    def test_several_writers_are_told_soon(self):
        self.mkpool("stuck", "other")
        self.hold_lock("stuck")
        begin = time.monotonic()
        writers = [self.start("echo '{}' >> stuck/append") for _ in range(5)]
        for writer in writers:
            self.finish(writer, status=1, stderr=None)
        self.assertLess(time.monotonic() - begin, 9)  # and not five times five seconds
        self.assertGreater(time.monotonic() - begin, 4.9)
        self.run_ok("echo '{}' > other/append")


class StuckWorker(mount.Case):
    def test_the_end_does_not_wait_for_it(self):
        self.mkpool("ci")
        self.run_ok("seq 3000 | jq -c '{n: .}' > ci/append")
        reader = self.start("cat 'ci/where/[range(3000000)] | add < 0/all'")
        until("a worker is at it", lambda: self.opens(reader.pid))
        begin = time.monotonic()
        self.assertEqual(self.stop_daemon(), 0)
        self.assertLess(time.monotonic() - begin, 10)
        self.finish(reader, status=1, stderr=None)
        self.assertFalse(self.is_mounted())

    def opens(self, pid):
        """Does it wait in an openat()?"""
        try:
            with open("/proc/%d/syscall" % pid) as call, open("/proc/%d/wchan" % pid) as wchan:
                return call.read().split()[0] in ("257", "56") and "request_wait" in wchan.read()
        except OSError:
            return False


class Unfinished(mount.Case):
    def test_each_unfinished_text_is_reported(self):
        self.mkpool("ci")
        fd = self.open("ci/append", os.O_WRONLY)
        copy = os.dup(fd)
        os.write(fd, b'{"a":1')
        self.assert_errno(errno.EBADMSG, os.close, copy)
        copy = os.dup(fd)
        os.close(copy)  # told once
        self.assertEqual(os.write(fd, b',"b":2}{"c":'), 12)
        self.assert_errno(errno.EBADMSG, os.close, fd)
        self.assertEqual(self.datas("ci"), ['{"a":1,"b":2}'])


class Memory(mount.Case):
    def memory(self):
        """MiB that the daemon has written to and not given back."""
        with open("/proc/%d/status" % self.daemon.pid) as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:")) >> 10

    def test_large_messages_that_are_passed_over_do_not_count(self):
        self.mkpool("ci", size="48M")
        large = '{"x":"%s"}' % ("x" * 300_000)
        fd = self.open("ci/tag/x/append", os.O_WRONLY)
        for _ in range(140):
            self.assertEqual(os.write(fd, large.encode()), len(large))
        readers = [self.start("head -n1 ci/tag/y/live/from/1") for _ in range(10)]
        for reader in readers:
            self.wait_blocked(reader)
        self.run_ok("echo '{\"n\":1}' > ci/tag/y/append")
        for reader in readers:
            self.assertIn('"data":{"n":1}}', self.finish(reader))

    def test_an_open_reader_keeps_no_large_message(self):
        self.mkpool("ci", size="32M")
        large = b'{"x":"%s"}' % (b"x" * (10 * MIB))
        with open(self.path("ci/append"), "wb", buffering=0) as file:
            done = 0
            while done < len(large):
                done += file.write(large[done:])
        readers = [self.open("ci/live/from/1") for _ in range(20)]
        before = self.memory()
        for fd in readers:
            got = 0
            while got < len(large) + 80:
                piece = os.read(fd, MIB)
                got += len(piece)
                if piece.endswith(b"\n"):
                    break
            self.assertGreater(got, len(large))
        if mount.SLOW == 1:  # a sanitizer keeps what was freed
            self.assertLess(self.memory() - before, 100)

    def test_who_has_read_a_damaged_one_keeps_no_room_for_it(self):
        self.mkpool("ci", size="32M")
        with open(os.path.join(self.dir, "large"), "wb") as file:
            file.write(b'{"n":1}{"x":"begin%s"}' % (b"x" * (10 * MIB)))
        self.run_ok("cat ../large > ci/append")
        with open(self.pool_file("ci"), "r+b") as file:
            file.seek(file.read().index(b'"begin') + 3)
            file.write(b"X")
        before = self.memory()
        for second in range(1, 31):  # a file of its own each, that is not closed
            fd = self.open("ci/since/@%d" % second)
            self.assertGreater(os.fstat(fd).st_size, 10 * MIB)
            self.assert_errno(errno.EIO, os.pread, fd, 4096, MIB)
        if mount.SLOW == 1:
            self.assertLess(self.memory() - before, 100)

    def test_a_list_of_matches_keeps_none(self):
        self.mkpool("ci", size="32M")
        with open(os.path.join(self.dir, "large"), "wb") as file:
            file.write(b'{"x":"%s"}' % (b"x" * (10 * MIB)))
        self.run_ok("cat ../large > ci/tag/x/append")
        before = self.memory()
        for i in range(20):
            self.assertEqual(self.read("ci/tag/t%d/all" % i), "")
        if mount.SLOW == 1:
            self.assertLess(self.memory() - before, 100)


class Descriptors(mount.Case):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))  # the daemon inherits it
        super().setUp()

    def test_more_pools_than_the_soft_limit_allows(self):
        self.mkpool(*["p%d" % i for i in range(100)])
        self.run_ok("ls -lR . > ../list; echo '{}' > p99/append; mkdir new")
        self.assertEqual(self.datas("p99"), ["{}"])


class HardDescriptors(mount.Case):
    """No more descriptors than this to be had, as in a container with `ulimit -Hn`."""

    def mount(self, options=None):
        real = mount.subprocess.Popen

        def limited(command, **rest):
            return real(["prlimit", "--nofile=64:64"] + command, **rest)

        mount.subprocess.Popen = limited
        try:
            super().mount(options)
        finally:
            mount.subprocess.Popen = real

    def test_more_pools_than_that(self):
        self.mkpool(*["p%d" % i for i in range(150)])
        self.run_ok("for i in $(seq 0 149); do echo '{\"n\":'$i'}' > p$i/append; done")
        self.run_ok("ls -lR . > ../list; ls -l */ > ../list")
        for i in list(range(150)) * 2:
            self.assertEqual(self.datas("p%d" % i), ['{"n":%d}' % i])
        self.assertEqual(self.run_ok("cat */data/tail | wc -l"), "150\n")

    def test_those_in_use_stay(self):
        self.mkpool(*["p%d" % i for i in range(100)])
        reader = self.start("head -n1 p0/follow")
        self.wait_blocked(reader)
        fd = self.open("p1/append", os.O_WRONLY)
        self.run_ok("ls -lR . > ../list; cat */all > ../all")
        os.write(fd, b'{"still":"open"}')
        self.append("p0", {"n": 1})
        self.assertEqual(datas(self.finish(reader)), ['{"n":1}'])
        self.assertEqual(self.datas("p1"), ['{"still":"open"}'])

    def test_what_was_refused_is_still_known(self):
        self.mkpool(*["p%d" % i for i in range(100)])
        self.run_fails("echo nonsense > p0/append", 1, "Bad message")
        self.run_ok("ls -lR . > ../list; cat */all > ../all")
        self.assertEqual(self.read("p0/errors").count("\n"), 1)


if __name__ == "__main__":
    mount.main()
