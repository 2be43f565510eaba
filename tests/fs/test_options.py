"""The options of the mount, by every way that gives them; and what is said when there is no mount to be had."""

import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import fstab
import mount
from mount import BIN, NOBODY, until

# The leak sanitizer needs a process and descriptors of its own; where there are none it must not look.
NO_LEAKS = ["env", "ASAN_OPTIONS=detect_leaks=0"]


class Options(mount.Case):
    """Each test mounts for itself, in the background."""

    def setUp(self):
        super().setUp()
        self.stop_daemon()
        self.place = self.mnt
        self.addCleanup(self.unmount_rest)

    def place_options(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as info:
            return next(line.split()[5] for line in info if " %s " % self.place in line)

    def serve(self, *options, source=None):
        words = [word for option in options for word in ("-o", option)]
        self.run_ok(["plasmite", "mount"] + words + [source or self.pools, self.place], cwd=self.dir)

    def served_by(self):
        """The programs that serve mounts on this place."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, encoding="utf-8") as line:
                    words = line.read().split("\0")
            except OSError:
                continue
            if words[0] == "plasmite-fs" and words[-2] == self.place:
                found.append(int(pid))
        return found

    def refused(self, status, message, *options, hint=None, source=None, before=()):
        """With these options, and by these words in front of the command, there is no mount, and why."""
        words = [word for option in options for word in ("-o", option)]
        process = self.start([*before, "plasmite", "mount", *words, source or self.pools, self.place], cwd=self.dir)
        _, errors = process.communicate(timeout=mount.DEADLINE)
        error = json.loads(errors)["error"]  # and nothing else is said
        self.assertEqual((process.returncode, error["message"]), (status, message))
        if hint is not None:
            self.assertEqual(error.get("hint"), hint)
        self.assertFalse(self.is_mounted())

    def test_the_last_one_counts(self):
        for options, writable in ((["ro"], False), (["ro,rw"], True), (["rw,ro"], False), (["ro", "rw"], True), (["rw", "ro"], False)):
            with self.subTest(options=options):
                self.serve(*options)
                self.assertEqual(self.place_options().split(",")[0], "rw" if writable else "ro")
                if writable:
                    self.run_ok("mkdir ci; rmdir ci")
                else:
                    self.run_fails("mkdir ci", 1, "Read-only file system")
                self.pls("umount", self.place)
        allow_other = ["allow_other,allow_other"] if os.geteuid() == 0 else []
        self.serve("size=2M,list_live=no", "size=4M,list_live=yes", *allow_other)
        self.run_ok("mkdir ci; test -L ci/follow")
        self.assertEqual(os.stat(self.pool_file("ci")).st_size, 4 << 20)

    def test_append_size(self):
        self.serve("append_size=4096")
        self.run_ok("mkdir ci")
        self.assertEqual(self.run_ok("stat -c '%s %b' ci/append ci/lines ci/tag/x/append ci/ctl ci/tail"), "4096 8\n4096 8\n4096 8\n13 1\n0 0\n")
        self.run_ok("echo '{\"n\":1}' > ci/append; echo '{\"n\":2}' >> ci/append; echo x > ci/lines; truncate -s0 ci/append")
        self.run_ok("seq 3 5 | jq -c '{n: .}' | cat >> ci/append; cat ci/append")  # reads nothing
        self.assertEqual(self.datas("ci"), ['{"n":1}', '{"n":2}', '{"line":"x"}', '{"n":3}', '{"n":4}', '{"n":5}'])
        self.assertEqual(self.run_ok("stat -c %s ci/append"), "4096\n")

    def test_a_mount_gives_way_to_another(self):
        self.serve("size=2M")
        self.run_ok("mkdir old")
        reader = self.start("exec head -n1 old/data/follow", cwd=self.place)
        self.wait_blocked(reader)
        (first,) = self.served_by()
        self.refused_while_mounted()
        self.serve("remount,size=4M")
        self.assertTrue(self.is_mounted())
        self.run_ok(["mkdir", self.place + "/new"], cwd=self.dir)
        self.assertEqual(os.stat(self.pool_file("new")).st_size, 4 << 20)
        # Whoever has a file open keeps it, and the other program as long as that.
        self.assertIn(first, self.served_by())
        self.pls("feed", "old", '{"n":1}')
        self.assertEqual(self.finish(reader), '{"n":1}\n')
        until("the first program ends", lambda: first not in self.served_by())
        self.pls("umount", self.place)
        self.assertFalse(self.is_mounted())
        self.refused(3, "no pools are mounted at '%s': nothing to remount" % self.place, "remount")

    def refused_while_mounted(self):
        self.run_fails(["plasmite", "mount", self.pools, self.place], 4,
                       "Unmount it first with `plasmite umount %s`, or replace it with" % self.place, cwd=self.dir)

    def test_a_replacement_that_is_refused_takes_nothing_away(self):
        self.serve()
        for options, source, status in (("remount,nope", self.pools, 2), ("remount", self.dir + "/none", 3), ("remount", self.dir, 2)):
            self.run_fails(["plasmite", "mount", "-o", options, source, self.place], status, "error", cwd=self.dir)
            self.assertTrue(self.is_mounted())

    def test_a_mount_whose_program_dies_goes_away(self):
        if os.geteuid() != 0:
            self.skipTest("for root only")
        self.serve("auto_unmount")
        (daemon,) = self.served_by()
        os.kill(daemon, signal.SIGKILL)
        until("it is unmounted", lambda: not self.is_mounted())
        self.serve("auto_unmount,ro")
        self.pls("umount", self.place)
        self.assertFalse(self.is_mounted())

    def test_what_is_wrong_with_an_option(self):
        known = "Known are allow_other, ro, rw, size=SIZE, list_live=no, heartbeat=SEC, append_size=N, auto_unmount and remount."
        for option, message, hint in (
            ("fast", "unknown mount option 'fast'", known),
            ("ro=1", "unknown mount option 'ro=1'", known),
            ("sise=4M", "unknown mount option 'sise=4M'", "Did you mean 'size'?"),
            ("alow_other", "unknown mount option 'alow_other'", "Did you mean 'allow_other'?"),
            ("ro,size", "mount option 'size' has no value", "Write it as size=64M."),
            ("append_size=", "mount option 'append_size' has no value", "Write it as append_size=4096."),
            ("size=1", "mount option 'size=1': a pool has at least 8192 bytes", None),
            ("size=much", "invalid size in mount option 'size=much'", None),
            ("append_size=1G", "mount option 'append_size=1G': at most 64M", None),
            ("heartbeat=0", "mount option 'heartbeat=0': from 1 to 86400 seconds", None),
            ("heartbeat=2d", "invalid duration in mount option 'heartbeat=2d'", None),
            ("heartbeat=-1", "invalid duration in mount option 'heartbeat=-1'", None),
            ("hartbeat=3", "unknown mount option 'hartbeat=3'", "Did you mean 'heartbeat'?"),
            ("stamp", "unknown mount option 'stamp'", known),
            ("list_live=maybe", "mount option 'list_live=maybe': yes or no", None),
        ):
            with self.subTest(option=option):
                self.refused(2, message, option, hint=hint)

    def test_a_place_that_holds_files(self):
        """As with every mount, they are hidden and come back."""
        with open(os.path.join(self.place, "mine"), "w", encoding="utf-8"):
            pass
        self.serve()
        self.assertEqual(sorted(os.listdir(self.place)), [".plasmite", "README"])
        self.pls("umount", self.place)
        self.assertEqual(os.listdir(self.place), ["mine"])

    def test_a_place_within_the_pool_directory(self):
        self.place = os.path.join(self.pools, "mnt")
        os.mkdir(self.place)
        self.refused(2, "the mount point '%s' lies within the pool directory '%s'" % (self.place, self.pools),
                     hint="Mount it on a directory outside of it.")

    def test_a_source_that_shows_pools(self):
        self.serve()
        other = os.path.join(self.dir, "other")
        os.mkdir(other)
        self.run_fails(["plasmite", "mount", self.place, other], 2, "pools are mounted on '%s', their files are elsewhere" % self.place, cwd=self.dir)
        self.pls("umount", self.place)

    def test_a_place_that_is_a_file(self):
        self.place = os.path.join(self.dir, "file")
        with open(self.place, "w", encoding="utf-8"):
            pass
        self.refused(2, "mount point '%s' is not a directory" % self.place)

    def test_a_source_that_is_a_file(self):
        source = os.path.join(self.dir, "file")
        with open(source, "w", encoding="utf-8"):
            pass
        self.refused(2, "'%s' is not a directory of pools" % source, source=source)

    def test_what_cannot_be_looked_at(self):
        loop = os.path.join(self.dir, "loop")
        os.symlink(loop, loop)
        self.refused(8, "cannot look at the pool directory '%s'" % loop, source=loop)
        self.place = loop
        self.refused(8, "cannot look at the mount point '%s'" % loop)

    def test_who_names_no_source(self):
        for words, message in (([], "SOURCE and MNT are missing"), (["-f"], "SOURCE and MNT are missing"), ([self.pools], "MNT is missing")):
            process = self.start(["plasmite-fs", *words], cwd=self.dir)
            _, errors = process.communicate(timeout=mount.DEADLINE)
            error = json.loads(errors)["error"]
            self.assertEqual((process.returncode, error["message"], error["hint"]),
                             (2, message, "Usage: plasmite-fs [-f] [-o OPTIONS] SOURCE MNT"))

    def test_without_the_device(self):
        self.refused(3, "/dev/fuse is missing: nothing can be mounted here",
                     hint="Load the module with `modprobe fuse`; a container needs --device /dev/fuse.",
                     before=mount.in_namespace('mount -t tmpfs none /dev; exec "$@"'))

    def test_a_kernel_without_fuse(self):
        if os.geteuid() != 0:
            self.skipTest("only root can make devices")
        dev = os.path.join(self.dir, "dev")
        os.mkdir(dev)
        script = 'mount -t tmpfs none "$1"; mknod "$1/fuse" c 10 250; mount --bind "$1/fuse" /dev/fuse; shift; exec "$@"'
        self.refused(3, "cannot mount on '%s': the kernel has no FUSE" % self.place,
                     hint="Load the module with `modprobe fuse`; a container needs --device /dev/fuse.",
                     before=mount.in_namespace(script, dev))

    def test_no_more_descriptors(self):
        self.refused(8, "cannot make a pipe", before=[*NO_LEAKS, "prlimit", "--nofile=4:4"])

    def test_mount_8_remounts(self):
        out = fstab.run(self, self.place, "ro,append_size=4096", """
            mount -T "$1" "$2"; ! mkdir "$2/ci" 2> /dev/null
            mount -T "$1" -o remount,rw,size=2M "$2"; mkdir "$2/ci"; stat -c %s "$2/ci/append"
            grep -c " $2 " /proc/self/mountinfo; umount "$2" """)
        self.assertEqual(out, "4096\n1\n")
        self.assertEqual(os.stat(self.pool_file("ci")).st_size, 2 << 20)

    def test_mount_8_remounts_what_fstab_does_not_know(self):
        """It repeats what the list of mounts shows, the type included."""
        sbin = os.path.join(self.dir, "sbin")
        os.mkdir(sbin)
        for name in "mount.plasmite", "mount.fuse.plasmite":
            os.symlink(os.path.join(BIN, "plasmite-fs"), os.path.join(sbin, name))
        script = (
            'set -e; mount --bind "$1" /usr/sbin; place=$3\n'
            'for type in plasmite fuse.plasmite; do mount -t $type "$2" "$3"; mkdir -p "$3/$type"\n'
            'mount -o remount,ro "$3"; ! mkdir "$3/$type.2" 2> /dev/null; umount "$3"; done\n'
            'plasmite mount "$2" "$3"; mount -o remount,ro "$3" || echo $?; umount "$3"\n'
        )
        unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        process = self.start(unshare + ["bash", "-c", script, "bash", sbin, self.pools, self.place], cwd=self.dir)
        out, errors = process.communicate(timeout=mount.DEADLINE)
        self.assertEqual((process.returncode, out), (0, b"32\n"), errors)
        self.assertEqual(json.loads(errors)["error"]["hint"],
                         "Name the pool directory to remount: `mount -t plasmite -o remount DIR %s`." % self.place)
        self.assertEqual(sorted(os.listdir(self.pools)), ["fuse.plasmite.plasmite", "plasmite.plasmite"])

    def test_what_mount_8_adds(self):
        for option in ("strictatime", "lazytime", "nolazytime", "iversion", "noiversion", "diratime", "silent", "loud", "nomand",
                       "nostrictatime", "user=joe", "comment=x", "x-gvfs-hide", "user_id=0", "group_id=0", "default_permissions"):
            self.serve(option)
            self.pls("umount", self.place)

    def test_help_names_every_option(self):
        known = "allow_other ro size=SIZE list_live=no heartbeat=SEC append_size=N auto_unmount remount".split()
        for program in ["plasmite", "mount", "--help"], [os.path.join(BIN, "plasmite-fs"), "--help"]:
            out = self.run_ok(program, cwd=self.dir)
            self.assertEqual([name for name in known if "\n  %s" % name not in out], [])


class User(mount.Case):
    """What another user than root lacks, in a mount namespace where just that is missing."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be several users")
        super().setUp()
        os.chmod(self.dir, 0o755)
        os.chmod(os.path.join(self.dir, ".plasmite"), 0o755)
        self.own = os.path.join(self.dir, "own")
        self.mine = os.path.join(self.dir, "mine")
        for place in (self.own, self.mine):
            os.mkdir(place)
            os.chown(place, NOBODY, NOBODY)

    def told(self, setup, *options, place=None, before="plasmite mount", device=0o666):
        """The error of a mount by another user, after a shell script of root's."""
        script = (
            'set -e; dev=$1; mount -t tmpfs none "$dev"; mknod "$dev/fuse" c 10 229; chmod "$2" "$dev/fuse"; mount --bind "$dev/fuse" /dev/fuse\n'
            "%s\nshift 2\n"
            'exec setpriv --reuid=%d --regid=%d --clear-groups %s "$@"\n' % (setup, NOBODY, NOBODY, before)
        )
        dev = os.path.join(self.dir, "dev")
        os.makedirs(dev, exist_ok=True)
        words = [word for option in options for word in ("-o", option)]
        words = [dev, "%o" % device, *words, self.own, place or self.mine]
        process = self.start(mount.in_namespace(script, *words), cwd=self.dir)
        _, errors = process.communicate(timeout=mount.DEADLINE)
        error = json.loads(errors)["error"]  # and nothing else is said
        return process.returncode, error["message"], error["hint"]

    def test_no_fusermount3(self):
        self.assertEqual(
            self.told("mount --bind /dev/null \"$(command -v fusermount3)\"; PATH=%s:/bin" % BIN),
            (3, "cannot mount on '%s': fusermount3, which mounts for other users than root, is missing" % self.mine,
             "Install it: `apt-get install fuse3`."))

    def test_allow_other(self):
        conf = os.path.join(self.dir, "fuse.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write("#user_allow_other\n")
        self.assertEqual(
            self.told("mount --bind '%s' /etc/fuse.conf" % conf, "allow_other"),
            (6, "cannot mount on '%s': only root may use the mount option allow_other" % self.mine,
             "Leave it out, or have root put the line user_allow_other in /etc/fuse.conf."))

    def test_auto_unmount(self):
        """fusermount3 looks at the mount as root, who is let in by allow_other alone."""
        self.assertEqual(
            self.told("", "auto_unmount"),
            (2, "mount option 'auto_unmount' works for root only, or together with allow_other",
             "Leave it out: the next mount on the directory lets go of a dead one."))

    def test_no_more_processes(self):
        code, message, _ = self.told("", before=" ".join([*NO_LEAKS, "prlimit --nproc=0 plasmite mount"]))
        self.assertEqual((code, message), (8, "cannot start the daemon"))

    def test_no_right_to_mount(self):
        self.assertEqual(
            self.told("", before="setpriv --no-new-privs plasmite mount"),
            (6, "cannot mount on '%s': not permitted" % self.mine,
             "fusermount3 has to be set-uid root; a container needs --cap-add SYS_ADMIN."))

    def test_a_place_in_a_file_system_that_is_none_for_mounts(self):
        self.assertEqual(
            self.told("mount -t hugetlbfs none '%s'; chown %d '%s'" % (self.mine, NOBODY, self.mine)),
            (6, "cannot mount on '%s': other users than root may not mount on a file system of its kind" % self.mine,
             "Mount on a directory of your own: `mkdir ~/pools`."))

    def test_a_mount_of_somebody_else(self):
        self.assertEqual(
            self.told("plasmite mount '%s' '%s'" % (self.pools, self.mine), "remount"),
            (8, "the mount at '%s' cannot be unmounted" % self.mine, "Try `fusermount3 -uz %s`." % self.mine))

    def test_too_many_mounts(self):
        conf = os.path.join(self.dir, "fuse.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write("mount_max = 0\n")
        self.assertEqual(
            self.told("mount --bind '%s' /etc/fuse.conf" % conf),
            (5, "cannot mount on '%s': too many FUSE file systems are mounted" % self.mine,
             "Unmount one, or have root raise mount_max in /etc/fuse.conf."))

    def test_the_device_of_others(self):
        self.assertEqual(
            self.told("", device=0o600),
            (6, "cannot mount on '%s': you may not open /dev/fuse" % self.mine,
             "Have root allow it: `chmod 666 /dev/fuse`, as is usual."))

    def test_the_directory_of_others(self):
        hint = "Mount on a directory of your own: `mkdir ~/pools`."
        place = os.path.join(self.dir, "roots")
        os.mkdir(place)
        self.assertEqual(self.told("", place=place), (6, "cannot mount on '%s': you may not write in it" % place, hint))
        os.chmod(place, 0o1777)
        self.assertEqual(self.told("", place=place), (6, "cannot mount on '%s': it is not your directory" % place, hint))


if __name__ == "__main__":
    mount.main()
