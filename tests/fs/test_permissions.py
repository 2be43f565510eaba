"""The mode of the pool file decides who may read and who may append; a read-only mount refuses every change."""

import errno
import os
import pathlib
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import NOBODY, until


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Modes(mount.Case):
    def test_the_directory_shows_the_file(self):
        self.mkpool("ci")
        for mode, shown in ((0o600, 0o700), (0o644, 0o755), (0o622, 0o733), (0o660, 0o770), (0o400, 0o500)):
            os.chmod(self.path("ci"), mode)
            self.assertEqual(mode_of(self.pool_file("ci")), mode)
            self.assertEqual(mode_of(self.path("ci")), shown)
            for view in ("tail", "info", "last/3", "follow", "from/1"):
                self.assertEqual(mode_of(self.path("ci/" + view)), mode & 0o444, view)
            self.assertEqual(mode_of(self.path("ci/append")) & 0o222, mode & 0o222)
            status, behind = os.stat(self.path("ci/tail")), os.stat(self.pool_file("ci"))
            self.assertEqual((status.st_uid, status.st_gid), (behind.st_uid, behind.st_gid))

    def test_chmod_takes_what_a_file_can_have(self):
        self.mkpool("ci")
        self.run_ok("chmod 0777 ci")
        self.assertEqual(mode_of(self.pool_file("ci")), 0o666)
        self.run_ok("chmod go-r ci")
        self.assertEqual(mode_of(self.pool_file("ci")), 0o622)

    def test_a_mode_changed_elsewhere_is_seen(self):
        self.mkpool("ci")
        self.assertEqual(mode_of(self.path("ci/tail")), 0o444)
        os.chmod(self.pool_file("ci"), 0o600)
        until("the mode is seen", lambda: mode_of(self.path("ci/tail")) == 0o400, seconds=5)


class ReadOnly(mount.Case):
    mount_options = "ro"

    def setUp(self):
        super().setUp()
        self.pls("pool", "create", "ci", "empty")
        self.pls("feed", "ci", '{"n":1}')
        until("the pools are seen", lambda: os.path.isdir(self.path("ci")) and os.path.isdir(self.path("empty")))

    def test_reading_works(self):
        self.assertEqual(self.datas("ci"), ['{"n":1}'])
        reader = self.start("head -n1 ci/follow")
        self.wait_blocked(reader)
        self.pls("feed", "ci", '{"n":2}')
        self.assertEqual(self.finish(reader), self.read("ci/seq/2"))

    def test_changing_does_not(self):
        self.run_fails("echo '{}' > ci/append", 1, "ci/append: Read-only file system")
        self.run_fails("echo '{}' > ci/tag/x/append", 1, "Read-only file system")
        self.run_fails("mkdir new", 1, "Read-only file system")
        self.run_fails("rmdir empty", 1, "Read-only file system")
        self.run_fails("chmod 644 ci", 1, "Read-only file system")
        self.assertEqual(sorted(os.listdir(self.pools)), ["ci.plasmite", "empty.plasmite"])
        self.assertEqual(self.datas("ci"), ['{"n":1}'])


class Strangers(mount.Shared):
    def setUp(self):
        super().setUp()
        self.append("ci", {"n": 1})

    def as_stranger(self, script):
        return self.run_ok(script, user=NOBODY)

    def denied(self, script):
        self.run_fails(script, 1, "Permission denied", user=NOBODY)

    def test_a_private_pool(self):
        os.chmod(self.path("ci"), 0o600)
        for script in ("cat ci/all", "cd ci", "echo '{}' > ci/append", "cat ci/follow"):
            self.denied(script)
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def test_a_pool_to_read(self):
        os.chmod(self.path("ci"), 0o644)
        self.assertEqual(self.as_stranger("cat ci/all"), self.read("ci/all"))
        self.denied("echo '{}' > ci/append")
        self.denied("exec 3<> ci/append")
        reader = self.start("head -n1 ci/follow", user=NOBODY)
        self.wait_blocked(reader)
        self.append("ci", {"n": 2})
        self.assertEqual(self.finish(reader), self.read("ci/seq/2"))

    def test_a_drop_box(self):
        os.chmod(self.path("ci"), 0o622)
        self.as_stranger("""echo '{"from":"stranger"}' > ci/append; echo '{"from":"stranger"}' > ci/tag/x/append""")
        for script in ("cat ci/all", "cat ci/tail", "cat ci/follow", "cat ci/info", "cat ci/data/all", "cat ci/tag/x/seq/3"):
            self.denied(script)
        self.denied("exec 3<> ci/append")  # receipts are for readers
        self.assertEqual(self.datas("ci"), ['{"n":1}', '{"from":"stranger"}', '{"from":"stranger"}'])

    def test_a_pool_for_all(self):
        os.chmod(self.path("ci"), 0o666)
        self.assertEqual(
            self.as_stranger("""exec 3<> ci/append; echo '{"n":2}' >&3; read -r r <&3; echo "${r%%,*}"; tail -n1 ci/data/all"""),
            '{"seq":2\n{"n":2}\n',
        )

    def test_only_the_owner_changes_the_mode(self):
        os.chmod(self.path("ci"), 0o666)
        self.run_fails("chmod 600 ci", 1, "Operation not permitted", user=NOBODY)
        os.chown(self.path("ci"), NOBODY, NOBODY)
        status = os.stat(self.pool_file("ci"))
        self.assertEqual((status.st_uid, status.st_gid), (NOBODY, NOBODY))
        self.as_stranger("chmod 600 ci; cat ci/all > /dev/null; echo '{}' > ci/append")
        self.assertEqual(mode_of(self.pool_file("ci")), 0o600)

    def test_making_and_removing_is_up_to_the_mode_of_the_directory(self):
        self.denied("mkdir new")
        self.mkpool("empty")
        self.denied("rmdir empty")
        os.chmod(self.pools, 0o777)
        until("the mode is seen", lambda: mode_of(self.mnt) == 0o777, seconds=5)
        self.as_stranger("mkdir new && echo '{}' > new/append && cat new/all > /dev/null")
        status = os.stat(self.pool_file("new"))
        self.assertEqual((status.st_uid, status.st_gid), (NOBODY, NOBODY))


class Private(mount.Case):
    def test_without_allow_other_nobody_else_gets_in(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be two users")
        os.chmod(self.dir, 0o755)
        self.mkpool("ci")
        os.chmod(self.path("ci"), 0o666)
        self.run_fails("cat %s" % self.path("ci/all"), 1, "Permission denied", user=NOBODY, cwd="/")


class Ids(mount.Case):
    def test_the_root_has_the_owner_and_mode_of_the_directory(self):
        os.chmod(self.pools, 0o750)
        behind = os.stat(self.pools)
        until("the mode is seen", lambda: mode_of(self.mnt) == 0o750, seconds=5)
        status = os.stat(self.mnt)
        self.assertEqual((status.st_uid, status.st_gid), (behind.st_uid, behind.st_gid))
        self.assert_errno(errno.EPERM, os.chmod, self.mnt, 0o700)


if __name__ == "__main__":
    mount.main()
