"""Pools are directories: made, listed and removed as such, and nothing else can be made or removed."""

import errno
import os
import pathlib
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import until


class Making(mount.Case):
    def test_mkdir_makes_a_pool(self):
        self.run_ok("mkdir ci")
        self.assertEqual(os.listdir(self.pools), ["ci.plasmite"])
        self.assertEqual(os.stat(self.pool_file("ci")).st_size, 1 << 20)
        self.assertIn("ci", self.pls("pool", "list", "--format", "pretty"))
        self.append("ci", {"n": 1})
        self.assertIn('"data":{"n":1}', self.pls("fetch", "ci", "1"))

    def test_the_mode_is_the_one_asked_for_less_the_umask(self):
        for mode, umask, expected in ((0o777, 0o022, 0o644), (0o700, 0o022, 0o600), (0o777, 0o077, 0o600), (0o733, 0o000, 0o622)):
            os.umask(umask)
            os.mkdir(self.path("ci"), mode)
            self.assertEqual(stat.S_IMODE(os.stat(self.pool_file("ci")).st_mode), expected)
            os.rmdir(self.path("ci"))

    def test_a_name_that_is_taken(self):
        self.mkpool("ci")
        self.append("ci", {"n": 1})
        self.run_fails("mkdir ci", 1, "mkdir: cannot create directory 'ci': File exists")
        self.assertEqual(self.datas("ci"), ['{"n":1}'])
        self.assert_errno(errno.EEXIST, os.mkdir, self.path("README"))  # the kernel finds the file before we are asked

    def test_names_that_no_pool_can_have(self):
        for name in (".x", ".plasmite", "..x", "a\x01b", "a\nb", "a\x7fb", "x" * 201, "ä" * 101):
            with self.subTest(name=name):
                with self.assertRaises(OSError) as caught:
                    os.mkdir(self.path(name))
                expected = (errno.EINVAL, errno.EEXIST) if name == ".plasmite" else (errno.EINVAL,)
                self.assertIn(caught.exception.errno, expected)
        self.assert_errno(errno.EINVAL, os.mkdir, os.fsencode(self.path("a")) + b"\xff")
        self.assertEqual(os.listdir(self.pools), [])

    def test_names_that_a_pool_can_have(self):
        names = sorted(["x" * 200, "ä" * 100, "a b", "a.b", "-", "~", "a'b\"c", "readme", "%41", "*", "x.plasmite"])
        for name in names:
            self.mkpool(name)
            self.append(name, {"n": name})
            self.assertEqual(len(self.datas(name)), 1, name)
        self.assertEqual([name for name in os.listdir(self.mnt) if not name.startswith(".") and name != "README"],
                         sorted(names, key=os.fsencode))

    def test_nothing_else_can_be_made(self):
        self.mkpool("ci")
        for where in ("ci/x", "ci/data/x", "ci/tag/a/x", "x"):
            with self.subTest(where=where):
                path = self.path(where)
                self.assert_errno(errno.EPERM, os.open, path, os.O_WRONLY | os.O_CREAT, 0o644)
                self.assert_errno(errno.EPERM, os.mkfifo, path)
                self.assert_errno(errno.EPERM, os.symlink, "target", path)
                self.assert_errno(errno.EPERM, os.link, self.path("ci/append"), path)
                if where != "x":
                    self.assert_errno(errno.EPERM, os.rename, self.path("ci/append"), path)
                if where != "x":
                    self.assert_errno(errno.EPERM, os.mkdir, path)
        self.run_fails("echo '{}' > ci/apend", 1, "Operation not permitted")
        self.run_fails("mv ci cd", 1, "Operation not permitted")
        self.run_fails("mv ../README ci/append; mv ci/tail ci/tail2", 1, "Operation not permitted")
        self.assertEqual(os.listdir(self.pools), ["ci.plasmite"])


class Removing(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def test_an_empty_pool_goes(self):
        self.run_ok("rmdir ci")
        self.assertEqual(os.listdir(self.pools), [])
        self.assertFalse(os.path.exists(self.path("ci")))
        self.mkpool("ci")
        self.append("ci", {"n": 1})
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def test_a_pool_with_messages_stays(self):
        self.append("ci", {"n": 1})
        self.run_fails("rmdir ci", 1, "Directory not empty")
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def test_a_pool_in_use_stays_until_it_is_not(self):
        reader = self.start("exec cat ci/follow")
        self.wait_blocked(reader)
        self.assert_errno(errno.EBUSY, os.rmdir, self.path("ci"))
        self.append("ci", {"n": 1})
        self.assert_errno(errno.EBUSY, os.rmdir, self.path("ci"))
        self.kill(reader)
        # The kernel tells the daemon of the close a moment after the program has gone.
        until("only the messages keep it", lambda: self.errno_of(os.rmdir, self.path("ci")) == errno.ENOTEMPTY)

    def test_an_open_writer_keeps_it(self):
        fd = os.open(self.path("ci/append"), os.O_WRONLY)
        self.assert_errno(errno.EBUSY, os.rmdir, self.path("ci"))
        os.close(fd)
        until("it can go", lambda: self.errno_of(os.rmdir, self.path("ci")) is None)

    @staticmethod
    def errno_of(call, *arguments):
        try:
            call(*arguments)
        except OSError as error:
            return error.errno
        return None

    def test_rm_fails_and_nothing_is_lost(self):
        self.append("ci", {"n": 1}, {"n": 2})
        before = self.read("ci/all")
        for script in ("rm -r ci", "rm -rf ci", "rm -rf *", "rm -f ci/append", "rm ci/tail", "unlink ci/follow", "rmdir ci/tag", "rmdir ci/tag/x"):
            with self.subTest(script=script):
                self.run_fails(script, 1, "Operation not permitted")
        self.assertEqual(self.read("ci/all"), before)

    def test_a_glob_of_rmdir_removes_only_the_empty_ones(self):
        self.mkpool("full")
        self.append("full", {"n": 1})
        self.run_fails("rmdir ci full", 1, "failed to remove 'full': Directory not empty")
        self.assertEqual(os.listdir(self.pools), ["full.plasmite"])


class Elsewhere(mount.Case):
    """Pools that come and go without the mount are seen within a second, also where a name was looked up before."""

    def test_a_pool_made_by_the_command(self):
        self.assertFalse(os.path.exists(self.path("ci")))
        self.assertFalse(os.path.exists(self.path("ci/append")))
        self.pls("pool", "create", "ci")
        until("the pool is seen", lambda: os.path.isdir(self.path("ci")), seconds=1)
        self.assertIn("ci", os.listdir(self.mnt))
        self.run_ok("echo '{}' > ci/append")

    def test_a_pool_deleted_by_the_command(self):
        self.mkpool("ci")
        self.append("ci", {"n": 1})
        self.assertEqual(self.datas("ci"), ['{"n":1}'])
        self.pls("pool", "delete", "ci")
        until("the pool is gone", lambda: not os.path.exists(self.path("ci")), seconds=1)
        self.assertNotIn("ci", os.listdir(self.mnt))
        self.assert_errno(errno.ENOENT, os.open, self.path("ci/all"), os.O_RDONLY)

    def test_a_pool_deleted_and_made_again(self):
        self.mkpool("ci")
        self.append("ci", {"old": 1})
        self.assertEqual(self.datas("ci"), ['{"old":1}'])
        self.pls("pool", "delete", "ci")
        self.pls("pool", "create", "ci")
        self.pls("feed", "ci", '{"new":1}')
        until("the new pool is seen", lambda: self.try_datas() == ['{"new":1}'], seconds=1)
        self.append("ci", {"new": 2})
        self.assertEqual(self.datas("ci"), ['{"new":1}', '{"new":2}'])

    def try_datas(self):
        try:
            return self.datas("ci")
        except OSError:
            return None

    def test_other_files_of_the_directory_are_not_pools(self):
        for name in ("notes.txt", "ci", "x.plasmite.bak", ".hidden.plasmite", ".plasmite"):
            with open(os.path.join(self.pools, name), "w") as file:
                file.write("x")
        self.pls("pool", "create", "real")
        until("the pool is seen", lambda: "real" in os.listdir(self.mnt))
        self.assertEqual(sorted(set(os.listdir(self.mnt)) - {".plasmite"}), ["README", "real"])
        self.assertFalse(os.path.exists(self.path("ci")))


class Listing(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("b", "a", "c")

    def test_the_root(self):
        names = os.listdir(self.mnt)
        self.assertEqual([name for name in names if not name.startswith(".")], ["README", "a", "b", "c"])
        with os.scandir(self.mnt) as entries:
            kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        self.assertEqual((kinds["a"], kinds["README"]), (True, False))

    def test_a_pool(self):
        names = {"README", "append", "follow", "next", "tail", "all", "info", "last", "since", "from", "seq", "tag", "data"}
        self.assertEqual(names - set(os.listdir(self.path("a"))), set())
        self.assertNotIn("live", os.listdir(self.path("a")))  # what is below may block: walkers must not get there
        for name in os.listdir(self.path("a")):
            os.lstat(self.path("a/" + name))

    def test_views(self):
        self.assertEqual({"README", "tail", "append", "all", "follow", "next"} - set(os.listdir(self.path("a/tag/x"))), set())
        self.assertEqual({"README", "tail", "all", "follow", "next"} - set(os.listdir(self.path("a/data"))), set())
        for name in ("last", "since", "from", "seq", "tag"):
            self.assertEqual(os.listdir(self.path("a/" + name)), ["README"], name)

    def test_a_large_directory_is_listed_whole(self):
        names = ["pool-%03d" % n for n in range(300)]
        for name in names:
            self.mkpool_small(name)
        until("all are there", lambda: set(names) <= set(os.listdir(self.mnt)))
        self.assertEqual([name for name in os.listdir(self.mnt) if name.startswith("pool-")], names)

    def mkpool_small(self, name):
        """A copy of one small pool is a pool too, and quicker to have than a new process for each."""
        small = os.path.join(self.dir, "small.plasmite")
        if not os.path.exists(small):
            self.pls("pool", "create", small, "--size", "8K")
        with open(small, "rb") as source, open(self.pool_file(name), "wb") as copy:
            copy.write(source.read())

    def test_every_directory_explains_itself(self):
        for name in ("README", "a/README"):
            text = self.read(name)
            for word in ("append", "follow"):
                self.assertIn(word, text, name)

    def test_the_numbers_of_a_listing_are_those_of_stat(self):
        os.symlink(self.pool_file("a"), self.pool_file("link"))
        self.pls("pool", "create", "never seen")
        for directory in ("", "a", "a/tag/x", ".plasmite", "a/stat"):
            with os.scandir(self.path(directory)) as entries:
                listed = {entry.name: entry.inode() for entry in entries}
            # What is made when it is looked up has another number with each content.
            constant = {name for name in listed if name not in ("info", "tags", "errors", "ctl", "size", "tail", "stats")} if directory != "a/stat" else ()
            self.assertEqual({name: listed[name] for name in constant},
                             {name: os.lstat(self.path(os.path.join(directory, name))).st_ino for name in constant})
            if directory == "":
                pools = [number for name, number in listed.items() if name not in ("README", ".plasmite", "link")]
                self.assertEqual(len(set(pools)), 4)
                self.assertEqual(listed["link"], listed["a"])

    def test_links_and_numbers(self):
        for name in ("", "a", "a/tag", "a/tag/x", "a/last"):
            status = os.stat(self.path(name))
            self.assertTrue(stat.S_ISDIR(status.st_mode), name)
            self.assertTrue(0 < status.st_ino < 1 << 63, name)
        self.assertEqual(os.stat(self.path("a/tag")).st_nlink, 1)
        self.assertEqual(os.stat(self.path("a")).st_mtime, os.stat(self.path("a/tag")).st_mtime)

    def test_what_df_says(self):
        """Used is what the pools take, available what the disk has left for more; both together are the size."""
        columns = "size,used,avail,itotal,iused,iavail"
        for size, pools in (0, 3), (4 << 20, 4):
            if size:
                self.mkpool("more", size=size)
            numbers = self.run_ok("df -B1 --output=%s . | tail -n1" % columns)
            of = dict(zip(columns.split(","), map(int, numbers.split())))
            self.assertEqual((of["used"], of["iused"]), ((3 << 20) + size, pools), numbers)
            self.assertEqual(of["itotal"], pools + of["iavail"])
            self.assertGreaterEqual(of["size"], of["used"] + of["avail"])  # the disk keeps something for root
            behind = os.statvfs(self.pools)  # where others write, too
            self.assertAlmostEqual(of["size"], of["used"] + behind.f_bfree * behind.f_frsize, delta=1 << 30)
            self.assertAlmostEqual(of["avail"], behind.f_bavail * behind.f_frsize, delta=1 << 30)
        status = os.statvfs(self.mnt)
        self.assertEqual((status.f_frsize, status.f_bsize, status.f_namemax), (behind.f_frsize, behind.f_bsize, 255))
        self.assertRegex(self.run_ok("df ."), r"\n\S+ +\d+ +\d+ +\d+ +\d+% \S+\n$")

    def test_what_findmnt_says(self):
        self.assertEqual(self.run_ok("df --output=fstype . | tail -n1"), "fuse.plasmite\n")
        self.assertEqual(self.run_ok("findmnt -n -o SOURCE,FSTYPE --target ."), "plasmite fuse.plasmite\n")

    def test_extended_attributes_are_quiet(self):
        self.assert_errno(errno.EOPNOTSUPP, os.getxattr, self.path("a/append"), "user.x")
        self.assert_errno(errno.EOPNOTSUPP, os.setxattr, self.path("a/append"), "user.x", b"y")
        self.run_ok("ls -lZR . > ../list; cp -a a/tail ../copy; stat -f . > ../stat")

    def test_touch_and_chmod_of_files(self):
        self.run_ok("touch a/append; touch -d 2020-01-01 a/append")
        for name in ("a/tail", "a/append", "a/tag", "README"):
            self.assert_errno(errno.EPERM, os.chmod, self.path(name), 0o666)
            self.assert_errno(errno.EPERM, os.chown, self.path(name), 1, 1)
        for name in ("a/append", "a/lines", "a/ctl"):  # as programs do that copy
            status = os.stat(self.path(name))
            os.chmod(self.path(name), status.st_mode & 0o7777)
            os.chown(self.path(name), status.st_uid, status.st_gid)
            self.assert_errno(errno.EPERM, os.chown, self.path(name), status.st_uid, 1)
            self.assertEqual(os.stat(self.path(name)), status)


if __name__ == "__main__":
    mount.main()
