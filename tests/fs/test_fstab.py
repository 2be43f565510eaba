"""mount(8), and with it fstab, mounts pools through mount.plasmite."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import fstab
import mount


class Helper(mount.Case):
    def setUp(self):
        super().setUp()
        self.helper = fstab.helper(self)
        self.place = os.path.join(self.dir, "place")
        os.mkdir(self.place)
        self.addCleanup(self.let_go)

    def let_go(self):
        while os.path.ismount(self.place):
            subprocess.run(["fusermount3", "-uz", self.place], check=True)

    def mounted(self):
        return self.run_ok(["findmnt", "-n", "-o", "SOURCE,FSTYPE", self.place], cwd=self.dir)

    def test_the_arguments_of_mount(self):
        options = "rw,nofail,_netdev,relatime,noauto,x-systemd.automount,comment=x,size=2M"
        self.run_ok([self.helper, self.pools, self.place, "-sv", "-n", "-o", options, "-t", "plasmite"], cwd=self.dir)
        self.assertEqual(self.mounted(), "%s fuse.plasmite\n" % self.pools)
        os.mkdir(self.place + "/ci")
        self.assertEqual(os.stat(self.pool_file("ci")).st_size, 2 << 20)
        self.run_ok(["fusermount3", "-u", self.place], cwd=self.dir)

    def test_read_only(self):
        self.run_ok([self.helper, self.pools, self.place, "-o", "ro"], cwd=self.dir)
        self.run_fails(["mkdir", self.place + "/ci"], 1, "Read-only file system")

    def test_a_source_with_strange_characters(self):
        source = os.path.join(self.dir, "a,b\\c d")
        os.mkdir(source)
        self.run_ok([self.helper, source, self.place, "-o", "rw"], cwd=self.dir)
        os.mkdir(self.place + "/ci")
        self.assertEqual(os.listdir(source), ["ci.plasmite"])
        with open("/proc/self/mountinfo", encoding="utf-8") as info:
            line = next(line for line in info if " %s " % self.place in line)
        self.assertEqual(line.split(" - ")[1].split()[1], source.replace("\\", "\\134").replace(" ", "\\040"))

    def test_a_trial_mounts_nothing(self):
        self.run_ok([self.helper, self.pools, self.place, "-f", "-o", "rw"], cwd=self.dir)
        self.assertFalse(os.path.ismount(self.place))
        self.run_fails([self.helper, self.pools, self.place, "-f", "-o", "fast"], 1, "unknown mount option 'fast'")

    def test_what_fails_has_the_status_that_mount_knows(self):
        self.run_fails([self.helper, self.pools], 1, "Usage: mount.plasmite SOURCE MNT ")
        self.run_fails([self.helper, self.dir + "/none", self.place, "-o", "rw"], 32, "does not exist")
        self.run_fails([self.helper, self.pools, self.mnt, "-o", "rw"], 32, "already mounted")

    def test_fstab(self):
        out = fstab.run(self, self.place, "rw,nofail,size=2M", """
            mount -a -T "$1"; mkdir "$2/ci"; echo '{"n":1}' > "$2/ci/append"; cat "$2/ci/data/all"
            mount -a -T "$1"; grep -c " $2 " /proc/self/mountinfo
            umount "$2"; ls "$2" """)
        self.assertEqual(out, '{"n":1}\n1\n')
        self.assertEqual(os.stat(self.pool_file("ci")).st_size, 2 << 20)

    def test_a_place_that_is_mounted_when_somebody_looks(self):
        if os.geteuid() != 0:
            self.skipTest("only root can mount an autofs")
        if "\tautofs\n" not in pathlib.Path("/proc/filesystems").read_text(encoding="utf-8"):
            self.skipTest("this kernel has no autofs")
        self.mkpool("ci")
        waiting = ["unshare", "--mount", sys.executable, str(pathlib.Path(mount.__file__).parent / "autofs.py"), self.place]
        out = self.run_ok(waiting + [self.helper, self.pools, self.place, "-o", "rw,x-systemd.automount"], cwd=self.dir)
        self.assertEqual(out, "README\nci\n")


if __name__ == "__main__":
    mount.main()
