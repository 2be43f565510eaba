"""A number written into `size` gives an empty pool another size, all of it or nothing."""

import errno
import os
import pathlib
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import NOBODY, until

MIB = 1 << 20


class Size(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def sizes(self):
        """What the mount says, and what the file is."""
        return int(self.read("ci/size")), os.stat(self.pool_file("ci")).st_size

    def unchanged(self):
        self.assertEqual(self.sizes(), (MIB, MIB))
        self.assertEqual(os.listdir(self.pools), ["ci.plasmite"])

    def test_larger_and_smaller(self):
        for text, size in (("64M", 64 * MIB), ("8192", 8192), ("3 m", 3 * MIB), ("100K", 100 << 10)):
            self.assertEqual(self.run_ok("echo '%s' > ci/size; cat ci/size" % text), "%d\n" % size)
            self.assertEqual(self.sizes(), (size, size))
            self.assertEqual(os.listdir(self.pools), ["ci.plasmite"])
        self.run_ok("""echo '{"n":1}' > ci/append""")
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def test_a_pool_that_needs_the_room(self):
        big = '{"x":"%s"}' % ("x" * 3 * MIB)
        with open(os.path.join(self.dir, "big"), "w") as file:
            file.write(big)
        self.run_fails("cat ../big > ci/append", 1, "Message too long")
        self.run_ok("echo 8M > ci/size; cat ../big > ci/append")
        self.assertEqual(self.datas("ci"), [big])

    def test_programs_that_write_in_other_ways(self):
        for number, script in enumerate((
            "printf 2M > ci/size", "echo 3M >> ci/size", "echo 4M | tee ci/size > /dev/null", "echo 5M > ../f; cp ../f ci/size",
            "echo 6M | dd of=ci/size status=none", "exec 3<> ci/size; echo 7M >&3",
            "/usr/bin/python3 -c 'open(\"ci/size\", \"w\").write(\"8M\")'",
        )):
            self.run_ok(script)
            self.assertEqual(self.sizes()[0], (number + 2) * MIB, script)

    def test_mode_and_owner_stay(self):
        for mode in (0o600, 0o644, 0o622, 0o666):
            os.chmod(self.path("ci"), mode)
            if os.geteuid() == 0:
                os.chown(self.path("ci"), NOBODY, 12345)
            before = os.stat(self.pool_file("ci"))
            self.run_ok("echo %dK > ci/size" % mode)
            after = os.stat(self.pool_file("ci"))
            self.assertEqual(after.st_size, mode << 10)
            self.assertNotEqual(after.st_ino, before.st_ino)
            for field in ("st_mode", "st_uid", "st_gid"):
                self.assertEqual(getattr(after, field), getattr(before, field), field)
            self.assertEqual(stat.S_IMODE(os.stat(self.path("ci/append")).st_mode) & 0o222, mode & 0o222)

    def test_what_is_no_size_changes_nothing(self):
        for text in ("", "x", "64X", "-1", "1.5M", "0", "0M", "8191", "64M 32M", "64MiB", "99999999999G", "1" * 1000):
            self.run_fails("echo '%s' > ci/size" % text, 1, "Invalid argument")
            self.unchanged()
        fd = self.open("ci/size", os.O_WRONLY)
        for text in (b"64M\n32M\n", b"\n64M\n", b"64M\n\n", b"64M\0", b"\xff", b" ", b"2" * 65, b"8K" * (1 << 19)):
            self.assert_errno(errno.EINVAL, os.write, fd, text)
        self.unchanged()

    def test_a_pool_with_messages_keeps_them(self):
        self.append("ci", {"n": 1})
        before = self.read("ci/all")
        for script in ("echo 64M > ci/size", "echo 8K > ci/size", "echo 1M > ci/size"):
            self.run_fails(script, 1, "Device or resource busy")
            self.unchanged()
        self.assertEqual(self.read("ci/all"), before)

    def test_truncating_is_not_writing(self):
        self.run_ok(": > ci/size; truncate -s0 ci/size; touch ci/size")
        self.unchanged()
        self.assertEqual(os.stat(self.path("ci/size")).st_size, len("1048576\n"))
        self.assert_errno(errno.EPERM, os.chmod, self.path("ci/size"), 0o666)

    def test_reading_beside(self):
        fd = self.open("ci/size", os.O_RDWR)
        self.assertEqual(os.read(fd, 100), b"1048576\n")
        old = self.open("ci/size")
        self.assertEqual(os.write(fd, b"2M\n"), 3)
        self.assertEqual(os.pread(old, 100, 0), b"1048576\n")
        self.assertEqual(self.read("ci/size"), "2097152\n")
        self.assert_errno(errno.ESTALE, os.write, fd, b"3M\n")  # this was the old pool's
        self.assertEqual(self.read("ci/size"), "2097152\n")

    def test_who_has_the_old_one_open_finds_it_gone(self):
        readers = [self.start("cat ci/" + name) for name in ("follow", "next", "live/tail", "tag/x/follow")]
        for reader in readers:
            self.wait_blocked(reader)
        writer = self.open("ci/append", os.O_WRONLY)
        elsewhere = self.start(["pls", "follow", "ci", "--jsonl"], cwd=self.dir)
        until("the command has the pool open", lambda: self.maps_pool(elsewhere.pid))
        self.run_ok("echo 2M > ci/size")
        for reader in readers:
            self.assertEqual(self.finish(reader, status=1, stderr=None), "")
        self.assert_errno(errno.ESTALE, os.write, writer, b"{}")
        self.finish(elsewhere, status=3, stderr=None)
        self.append("ci", {"n": 1})
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def maps_pool(self, pid):
        with open("/proc/%d/maps" % pid) as maps:
            return "ci.plasmite" in maps.read()

    def test_a_directory_entered_before(self):
        """Who stands in the old one has to enter again."""
        self.assertEqual(self.run_ok("cd ci; echo 2M > size; cd ../ci; cat size"), "%d\n" % (2 * MIB))

    def test_messages_appended_meanwhile_are_not_lost(self):
        """Sizes change and messages come, from elsewhere: whatever was acknowledged stays."""
        script = """cd /; for i in $(seq 40); do
            plasmite --dir %s feed p$i '{"n":1}' > /dev/null 2>&1 && echo $i
        done; true""" % self.pools  # a message may come just when there is another file, the last one, too
        self.mkpool(*["p%d" % i for i in range(1, 41)])
        feeder = self.start(script)
        size = 8
        while feeder.poll() is None:
            size = size % 1000 + 8
            for i in range(1, 41):
                try:
                    with open(self.path("p%d/size" % i), "wb", buffering=0) as file:
                        file.write(b"%dK" % size)
                except OSError as error:
                    self.assertIn(error.errno, (errno.EBUSY, errno.ESTALE))
        for i in self.finish(feeder).split():
            self.assertEqual(self.datas("p" + i), ['{"n":1}'], i)


class Refused(mount.Case):
    mount_options = "ro"

    def test_a_read_only_mount(self):
        self.pls("pool", "create", "ci")
        until("the pool is seen", lambda: os.path.isdir(self.path("ci")))
        self.run_fails("echo 64M > ci/size", 1, "Read-only file system")
        self.assertEqual(self.read("ci/size"), "1048576\n")


class Strangers(mount.Shared):
    def setUp(self):
        super().setUp()
        os.chmod(self.path("ci"), 0o666)

    def test_only_the_owner(self):
        self.run_fails("echo 64M > ci/size", 1, "Permission denied", user=NOBODY)
        self.assertEqual(self.read("ci/size"), "1048576\n")
        os.chown(self.path("ci"), NOBODY, NOBODY)
        self.assertEqual(self.run_ok("echo 2M > ci/size; cat ci/size", user=NOBODY), "2097152\n")
        status = os.stat(self.pool_file("ci"))
        self.assertEqual((status.st_uid, status.st_gid), (NOBODY, NOBODY))


class Full(mount.Case):
    """Pools on a small disk of their own."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can have a small disk")
        super().setUp()

    def mount(self, options=None):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "none", self.pools], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.pools])
        super().mount(options)

    def test_a_full_disk(self):
        self.mkpool("ci")
        follower = self.start("head -n1 ci/follow")
        self.wait_blocked(follower)
        self.run_fails("echo 16M > ci/size", 1, "No space left on device")
        self.assertEqual(os.listdir(self.pools), ["ci.plasmite"])
        self.assertEqual(self.read("ci/size"), "1048576\n")
        self.append("ci", {"n": 1})
        self.assertEqual(self.finish(follower), self.read("ci/all"))
        self.assertEqual(self.datas("ci"), ['{"n":1}'])


if __name__ == "__main__":
    mount.main()
