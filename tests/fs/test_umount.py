"""Unmounting: who is in the way is named, --lazy does not wait for them."""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import DEADLINE


class AtOnce(mount.Case):
    """A mount is not in its own way, as far as it can help it."""

    def test_after_mounting(self):
        self.stop_daemon()
        for _ in range(100):
            self.pls("mount", self.pools, self.mnt)
            self.run_ok(["fusermount3", "-u", self.mnt], cwd=self.dir)

    def test_after_an_append(self):
        """What watches `log` is told, through the mount."""
        self.mkpool("ci")
        self.stop_daemon()
        for _ in range(100):
            self.pls("mount", self.pools, self.mnt)
            self.run_ok("ls -l ci > /dev/null; echo '{}' > ci/append; cd /; exec plasmite umount \"$OLDPWD\"")


class Busy(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def refused(self):
        """The error of `plasmite umount`, which is all that is said."""
        process = self.start(["plasmite", "umount", self.mnt], cwd=self.dir)
        _, errors = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 5, errors)
        self.assertTrue(self.is_mounted())
        return json.loads(errors)["error"]

    def named(self, error):
        begin = "'%s' is in use by " % self.mnt
        self.assertTrue(error["message"].startswith(begin), error)
        self.assertIn("--lazy", error["hint"])
        return error["message"][len(begin):]

    def unmounted(self):
        self.pls("umount", self.mnt)
        self.assertEqual(self.daemon.wait(DEADLINE), 0)

    def test_who_reads(self):
        reader = self.start("exec head -n1 mnt/ci/data/follow", cwd=self.dir)
        self.wait_blocked(reader)
        self.assertEqual(self.named(self.refused()), "head (pid %d)" % reader.pid)
        self.run_ok("echo '{}' > mnt/ci/append", cwd=self.dir)
        self.assertEqual(self.finish(reader), "{}\n")
        self.unmounted()

    def test_who_is_in_a_directory(self):
        shell = self.start("read x", cwd=self.path("ci/tag"), stdin=mount.subprocess.PIPE)
        self.assertEqual(self.named(self.refused()), "bash (pid %d)" % shell.pid)
        self.kill(shell)
        self.unmounted()

    def test_a_neighbour_is_not_meant(self):
        """One whose path begins with the same letters."""
        os.mkdir(self.mnt + "2")
        neighbour = self.start("read x", cwd=self.mnt + "2", stdin=mount.subprocess.PIPE)
        reader = self.start("exec head -n1 mnt/ci/follow", cwd=self.dir)
        self.wait_blocked(reader)
        self.assertEqual(self.named(self.refused()), "head (pid %d)" % reader.pid)
        self.assertIsNone(neighbour.poll())

    def test_many(self):
        readers = [self.start("exec head -n1 mnt/ci/follow", cwd=self.dir) for _ in range(6)]
        for reader in readers:
            self.wait_blocked(reader)
        names = self.named(self.refused())
        self.assertRegex(names, r"\A(head \(pid \d+\), ){3}head \(pid \d+\) and 2 more\Z")
        for reader in readers:
            self.kill(reader)
        self.unmounted()

    def test_a_name_that_would_write_on_the_terminal(self):
        script = "open('/proc/self/comm', 'w').write('a\\x1b[2J\\nb'); open('mnt/ci/follow').read()"
        reader = self.start(["/usr/bin/python3", "-c", script], cwd=self.dir)
        self.wait_blocked(reader)
        self.assertEqual(self.named(self.refused()), "a?[2J?b (pid %d)" % reader.pid)

    def test_who_cannot_be_seen(self):
        """A mapping of a file that is closed, in place of a program of another user."""
        self.append("ci", {})
        script = ("import mmap, os; f = open('mnt/ci/all'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); os.closerange(3, 99); "
                  "print('mapped', flush=True); input()")
        self.start(["/usr/bin/python3", "-c", script], cwd=self.dir, stdin=mount.subprocess.PIPE).stdout.readline()
        error = self.refused()
        self.assertEqual(error["message"], "'%s' is in use" % self.mnt)
        self.assertIn("`fuser -vm`", error["hint"])
        self.assertIn("--lazy", error["hint"])

    def test_lazy(self):
        reader = self.start("exec head -n2 mnt/ci/data/follow", cwd=self.dir)
        self.wait_blocked(reader)
        self.pls("umount", "--lazy", self.mnt)
        self.assertFalse(self.is_mounted())
        self.assertEqual(os.listdir(self.mnt), [])
        self.assertIsNone(self.daemon.poll())
        self.pls("feed", "ci", '{"n":1}')
        self.pls("feed", "ci", '{"n":2}')
        self.assertEqual(self.finish(reader), '{"n":1}\n{"n":2}\n')
        self.assertEqual(self.daemon.wait(DEADLINE), 0)

    def test_what_is_no_mount_of_pools(self):
        """fusermount3 would let root unmount anything."""
        place = os.path.join(self.dir, "place")
        os.mkdir(place)
        script = ('mount -t tmpfs none "$1"; plasmite umount "$1" && exit 9; plasmite umount --lazy "$1/" && exit 9; mountpoint -q "$1" || exit 9; '
                  'plasmite umount /proc && exit 9; test -e /proc/self')
        unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        process = self.start(unshare + ["bash", "-c", script, "bash", place], cwd=self.dir)
        _, errors = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertEqual([json.loads(line)["error"]["message"] for line in errors.splitlines()],
                         ["no pools are mounted at '%s', but something else (tmpfs)" % place,
                          "no pools are mounted at '%s/', but something else (tmpfs)" % place,
                          "no pools are mounted at '/proc', but something else (proc)"])

    def test_the_mount_of_a_program_that_died(self):
        self.daemon.kill()
        self.daemon.wait()
        self.pls("umount", self.mnt)
        self.assertFalse(self.is_mounted())

    def test_the_mount_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be several users")
        os.chmod(self.dir, 0o755)
        process = self.start(["plasmite", "umount", self.mnt], cwd=self.dir, user=mount.NOBODY)
        _, errors = process.communicate(timeout=DEADLINE)
        error = json.loads(errors)["error"]
        self.assertEqual((process.returncode, error["message"], error["hint"]),
                         (6, "'%s' was mounted by somebody else" % self.mnt, "Only who mounted it, or root, can unmount it."))
        self.assertTrue(self.is_mounted())

    def test_no_fusermount3(self):
        script = 'mount --bind /dev/null "$(command -v fusermount3)"; exec plasmite umount "$1"'
        process = self.start(mount.in_namespace(script, self.mnt), cwd=self.dir)
        _, errors = process.communicate(timeout=DEADLINE)
        error = json.loads(errors)["error"]
        self.assertEqual((process.returncode, error["message"], error["hint"]),
                         (3, "fusermount3, which unmounts, cannot be started", "Install it: `apt-get install fuse3`."))
        self.assertTrue(self.is_mounted())


if __name__ == "__main__":
    mount.main()
