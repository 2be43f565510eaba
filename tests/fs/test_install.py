"""What `cmake --install BUILD --prefix DIR` puts somewhere works there, whatever the build was configured for."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import BIN


class Installed(mount.Case):
    def setUp(self):
        super().setUp()
        self.stop_daemon()
        self.prefix = os.path.join(self.dir, "usr")
        self.place = self.mnt
        self.addCleanup(self.unmount_rest)
        self.run_ok(["cmake", "--install", os.path.dirname(BIN), "--prefix", self.prefix], cwd=self.dir)

    def installed(self, name):
        return os.path.join(self.prefix, name)

    def test_the_programs(self):
        """libjq is in a process of its own, which has to be found, too."""
        pls = self.installed("bin/pls")
        self.run_ok([pls, "mount", self.pools, self.place], cwd=self.dir)
        self.run_ok("mkdir ci && echo '{\"a\":\"xy\"}' > ci/append")
        for expression in '.data.a | test("x.$")', '.data | getpath(["a"]) | ltrimstr("x") == "y"':
            self.assertEqual(self.read("ci/where/%s/data/all" % expression), '{"a":"xy"}\n')
            self.assertIn('"seq":1,', self.run_ok([pls, "follow", "ci", "--tail", "1", "--no-follow", "--where", expression]))
        self.run_ok([pls, "umount", self.place], cwd=self.dir)

    def test_the_service(self):
        unit = pathlib.Path(self.installed("lib/systemd/system/plasmite@.service")).read_text(encoding="utf-8")
        self.assertIn("\nExecStart=%s mount " % self.installed("bin/plasmite"), unit)

    def test_what_mount_8_starts(self):
        for name in "mount.plasmite", "mount.fuse.plasmite":
            self.run_ok([self.installed("sbin/" + name), self.pools, self.place, "-o", "rw,noauto"], cwd=self.dir)
            self.assertTrue(self.is_mounted())
            self.run_ok([self.installed("bin/plasmite"), "umount", self.place], cwd=self.dir)

    def test_below_another_root(self):
        """As packages are made: the place of installation is not the one of use."""
        root = os.path.join(self.dir, "root")
        environment = dict(self.environment(), DESTDIR=root)
        subprocess.run(["cmake", "--install", os.path.dirname(BIN), "--prefix", "/usr"], env=environment, check=True, stdout=subprocess.DEVNULL)
        unit = pathlib.Path(root + "/usr/lib/systemd/system/plasmite@.service").read_text(encoding="utf-8")
        self.assertIn("\nExecStart=/usr/bin/plasmite mount ", unit)
        self.run_ok([root + "/usr/bin/plasmite", "mount", self.pools, self.place], cwd=self.dir)
        self.run_ok([root + "/usr/bin/plasmite", "umount", self.place], cwd=self.dir)


if __name__ == "__main__":
    mount.main()
