"""Full disks, disks that fail, daemons that are stopped, users that are not root: an error or a pause, and nothing is lost."""

import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import BIN, DEADLINE, NOBODY, datas, seqs, until

DAEMON = 1  # a user who is neither root nor nobody
STAFF = 50  # a group


class Stopped(mount.Case):
    """The daemon gets SIGSTOP: whoever asks it waits, whoever does not need it goes on."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        self.append("ci", {"n": 1})

    def stop(self):
        self.daemon.send_signal(signal.SIGSTOP)
        until("the daemon is stopped", lambda: self.state() == "T")

    def state(self):
        with open("/proc/%d/stat" % self.daemon.pid) as stat:
            return stat.read().rpartition(")")[2].split()[0]

    def resume(self):
        self.daemon.send_signal(signal.SIGCONT)

    def tearDown(self):
        self.resume()
        super().tearDown()

    def test_readers_and_writers_go_on_where_they_were(self):
        reader = self.start("head -n3 ci/data/follow")
        self.wait_blocked(reader)
        writer = self.start("exec 3> ci/append; echo '{\"n\":2}' >&3; echo ready; read -r x; echo '{\"n\":4}' >&3; echo $?", stdin=subprocess.PIPE)
        self.assertEqual(writer.stdout.readline(), b"ready\n")
        self.stop()
        self.pls("feed", "ci", '{"n":3}')
        self.assertEqual(datas(self.pls("fetch", "ci", "3")), ['{"n":3}'])
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
        late = self.start("cat ci/all")
        until("the writer waits", lambda: any(asleep_in_fuse(pid) for pid in self.pids(writer)))
        self.assertIsNone(reader.poll())
        self.assertIsNone(late.poll())
        self.resume()
        self.assertEqual(self.finish(writer), "0\n")
        self.assertEqual(self.finish(reader), '{"n":2}\n{"n":3}\n{"n":4}\n')
        self.assertIn(seqs(self.finish(late)), ([1, 2, 3], [1, 2, 3, 4]))
        self.assertEqual(self.datas("ci"), ['{"n":%d}' % n for n in range(1, 5)])

    def test_signals_meanwhile(self):
        """A request that the daemon has taken cannot be given up before it says so: the reader ends with it."""
        readers = [self.start("exec cat ci/follow") for _ in range(3)]
        for reader in readers:
            self.wait_blocked(reader)
        self.stop()
        for reader, number in zip(readers, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)):
            reader.send_signal(number)
        begin = time.monotonic()
        self.resume()
        for reader, number in zip(readers, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)):
            self.finish(reader, status=-number)
        self.assertLess(time.monotonic() - begin, 2 * mount.SLOW)

    def test_unmounting_by_force(self):
        """What is left when a daemon does not come back."""
        reader = self.start("exec cat ci/follow")
        self.wait_blocked(reader)
        self.stop()
        if os.geteuid() == 0:
            subprocess.run(["umount", "-f", self.mnt], stderr=subprocess.DEVNULL, check=False)  # busy, but cut
            self.finish(reader, status=1, stderr="cat: ci/follow: Software caused connection abort\n")
        else:
            subprocess.run(["fusermount3", "-uz", self.mnt], check=True)
            self.kill(reader)
        self.resume()
        self.assertEqual(self.daemon.wait(DEADLINE), 0, self.log())
        self.assertEqual(datas(self.pls("fetch", "ci", "1")), ['{"n":1}'])


def asleep_in_fuse(pid):
    try:
        with open("/proc/%d/wchan" % pid) as wchan:
            return wchan.read() in ("request_wait_answer", "__fuse_request_send", "__fuse_simple_request")
    except OSError:
        return False


class SmallDisk(mount.Case):
    """The pool directory is a disk of one megabyte."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can have a small disk")
        super().setUp()

    def mount(self, options=None):
        if not os.path.ismount(self.pools):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "none", self.pools], check=True)
            self.addCleanup(subprocess.run, ["umount", "-l", self.pools])
        super().mount("size=256K")

    def fill(self):
        with open(os.path.join(self.pools, "filler"), "ab", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
                    return

    def test_no_room_for_another_pool(self):
        self.mkpool("a", "b")
        self.fill()
        reader = self.start("head -n1 a/follow")
        self.wait_blocked(reader)
        self.run_fails("mkdir c", 1, "No space left on device")
        self.run_fails("echo 512K > b/size", 1, "No space left on device")
        self.assertEqual(sorted(os.listdir(self.pools)), ["a.plasmite", "b.plasmite", "filler"])
        self.assertEqual([(e["path"], e["errno"]) for e in map(json.loads, self.read(".plasmite/errors").splitlines())],
                         [("c", "ENOSPC"), ("b/size", "ENOSPC")])
        # Pools have their room already: many times round the ring, and to the disk.
        self.run_ok("for n in $(seq 1000); do echo \"{\\\"n\\\":$n,\\\"text\\\":\\\"$PWD$PWD$PWD$PWD$PWD$PWD\\\"}\"; done > a/append; dd of=a/append conv=fsync status=none <<< '{}'")
        self.assertEqual(seqs(self.finish(reader)), [1])
        self.assertEqual(self.read("a/stat/newest"), "1001\n")
        self.assertEqual(self.run_ok("df --output=avail . | tail -n1").strip(), "0")
        os.unlink(os.path.join(self.pools, "filler"))
        self.run_ok("mkdir c && echo '{}' > c/append && rmdir b")
        self.assertEqual(sorted(os.listdir(self.pools)), ["a.plasmite", "c.plasmite"])

    def test_a_pool_with_holes(self):
        """A pool file that was copied with holes needs room that is not there."""
        self.mkpool("a", "b")
        self.append("a", {"n": 1})
        self.append("b", {"n": 1})
        self.assertEqual(self.stop_daemon(), 0)
        subprocess.run(["fallocate", "-p", "-o", "32K", "-l", "192K", self.pool_file("a")], check=True)
        self.fill()
        self.mount()
        text = self.run_fails("for n in $(seq 5000); do echo \"{\\\"n\\\":$n,\\\"text\\\":\\\"$PWD$PWD$PWD\\\"}\" || exit 5; done > a/append", 5, "write error: ")
        self.assertEqual(text, "")
        self.append("b", {"n": 2})
        self.assertEqual(self.datas("b"), ['{"n":1}', '{"n":2}'])
        self.assertEqual({json.loads(line)["path"] for line in self.read(".plasmite/errors").splitlines()}, {"a/append"})
        os.unlink(os.path.join(self.pools, "filler"))
        self.append("a", {"back": 1})
        self.assertEqual(self.datas("a", "last/1"), ['{"back":1}'])
        self.assertEqual(self.datas("a", "seq/1"), ['{"n":1}'])


class FailingDisk(mount.Case):
    """The disk refuses to store, or to make a file."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        self.append("ci", {"n": 1})

    def inject(self, what):
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + what, "-e", "inject=%s:error=EIO" % what,
                                   "-p", str(self.daemon.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGTERM)
                tracer.wait(DEADLINE)

        self.addCleanup(end)

        def traced():
            with open("/proc/%d/status" % self.daemon.pid) as status:
                return "TracerPid:\t%d\n" % tracer.pid in status.read()

        until("strace has it", traced)
        return end

    def test_syncing(self):
        end = self.inject("msync,fsync,fdatasync,sync_file_range")
        self.run_fails("dd of=ci/append conv=fsync status=none <<< '{\"n\":2}'", 1, "fsync failed for 'ci/append': Input/output error")
        self.run_fails("dd of=ci/append oflag=dsync status=none <<< '{\"n\":3}'", 1, "error writing 'ci/append': Input/output error")
        self.run_fails("sync ci/append", 1, "Input/output error")
        # The message is there all the same; only nobody can say whether a power cut would leave it.
        self.run_ok("echo '{\"n\":4}' > ci/append")
        self.assertEqual(self.datas("ci"), ['{"n":%d}' % n for n in range(1, 5)])
        end()
        # The kernel tells of a lost page once and then calls it clean: for this pool nobody can promise anything until the next boot.
        self.run_fails("sync ci/append", 1, "Input/output error")
        self.run_ok("mkdir other; dd of=other/append conv=fsync oflag=dsync status=none <<< '{\"n\":5}'; sync other/append")
        self.assertEqual(self.datas("other"), ['{"n":5}'])

    def test_making(self):
        end = self.inject("fallocate,pwrite64,write,ftruncate")
        self.finish(self.start("mkdir new"), status=1, stderr="mkdir: cannot create directory 'new': Input/output error\n")
        end()
        self.assertEqual(os.listdir(self.pools), ["ci.plasmite"])
        self.run_ok("mkdir new; echo '{}' > new/append; rmdir ci 2> /dev/null || true")


class Groups(mount.Shared):
    """Whom the bits of owner and group let in."""

    def setUp(self):
        super().setUp()
        self.append("ci", {"n": 1})
        os.chown(self.path("ci"), DAEMON, STAFF)

    def may(self, read, write, **who):
        for allowed, script, complaint in (
            (read, "cat ci/all ci/tail ci/log ci/info > /dev/null; head -c9 ci/live/all; echo", "Permission denied"),
            (write, "echo '{}' > ci/append; echo '{}' >> ci/log; echo x > ci/lines; echo ok", "Permission denied"),
        ):
            process = self.start(["setpriv", "--reuid=%d" % who["uid"], "--regid=%d" % who["gid"], "--groups=%s" % who.get("groups", who["gid"]),
                                  "bash", "-ec", script])
            out = self.finish(process, status=0 if allowed else 1, stderr=None)
            self.assertEqual(bool(out), allowed, (script, who))

    def test_each_class_has_its_bits(self):
        owner, member, second = {"uid": DAEMON, "gid": 7}, {"uid": NOBODY, "gid": STAFF}, {"uid": NOBODY, "gid": 7, "groups": "8,%d" % STAFF}
        other = {"uid": NOBODY, "gid": 7}
        for mode, rights in (
            (0o640, {"owner": (True, True), "member": (True, False), "other": (False, False)}),
            (0o660, {"owner": (True, True), "member": (True, True), "other": (False, False)}),
            (0o620, {"owner": (True, True), "member": (False, True), "other": (False, False)}),
            (0o604, {"owner": (True, True), "member": (False, False), "other": (True, False)}),
            (0o446, {"owner": (True, False), "member": (True, False), "other": (True, True)}),
            (0o066, {"owner": (False, False), "member": (True, True), "other": (True, True)}),
        ):
            with self.subTest(mode=oct(mode)):
                os.chmod(self.path("ci"), mode)
                self.may(*rights["owner"], **owner)
                self.may(*rights["member"], **member)
                self.may(*rights["member"], **second)
                self.may(*rights["other"], **other)


class NotRoot(mount.Case):
    """A mount made by an ordinary user is for that user alone, root included in those who stay outside."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be several users")
        self.open_device()
        super().setUp()

    def open_device(self):
        """For everybody, as the rules of Debian's package have it; a container's may be root's alone."""
        mode = os.stat("/dev/fuse").st_mode & 0o777
        if mode & 0o006 != 0o006:
            os.chmod("/dev/fuse", 0o666)
            self.addCleanup(os.chmod, "/dev/fuse", mode)

    def mount(self, options=None):
        os.chmod(self.dir, 0o755)
        for place in (os.path.dirname(self.pools), self.pools, self.mnt):
            os.chown(place, NOBODY, NOBODY)
        self.daemon_log = os.path.join(self.dir, "daemon.log")
        with open(self.daemon_log, "ab") as log:
            self.daemon = subprocess.Popen(
                ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups", os.path.join(BIN, "plasmite"), "mount", "-f",
                 self.pools, self.mnt], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")
        until("mounting; the daemon said: " + self.log(), lambda: self.is_mounted() or self.daemon.poll() is not None)
        self.assertIsNone(self.daemon.poll(), self.log())

    def as_owner(self, script):
        return self.run_ok("cd %s; %s" % (self.mnt, script), user=NOBODY, cwd="/")

    def test_its_user_alone(self):
        self.assertEqual(
            self.as_owner("umask 077; mkdir ci; echo '{\"n\":1}' > ci/append; echo x > ci/lines; cat ci/data/all; stat -c '%u %g %a' ci/tail ci"),
            '{"n":1}\n{"line":"x"}\n%d %d 400\n%d %d 700\n' % ((NOBODY,) * 4),
        )
        status = os.stat(self.pool_file("ci"))
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o777), (NOBODY, NOBODY, 0o600))
        reader = self.start("exec head -n1 %s/ci/data/follow" % self.mnt, user=NOBODY, cwd="/")
        self.wait_blocked(reader)
        for who in ({"user": DAEMON}, {}):
            for script in ("cat %s/ci/all", "ls %s", "echo '{}' > %s/ci/append", "mkdir %s/mine"):
                self.run_fails(script % self.mnt, None, "Permission denied", cwd="/", **who)
        self.pls("feed", self.pool_file("ci"), '{"from":"root"}')  # the file itself is root's to write
        self.assertEqual(self.finish(reader), '{"from":"root"}\n')
        self.as_owner("chmod 644 ci; cp ci/all ../mnt/ci/append; rmdir ci 2> /dev/null || echo delete > ci/ctl")
        self.assertEqual(os.listdir(self.pools), [])

    def test_what_belongs_to_somebody_else(self):
        """Pools of the directory that the daemon may not touch."""
        self.pls("pool", "create", self.pool_file("secret"))
        self.pls("feed", self.pool_file("secret"), '{"n":1}')
        self.pls("pool", "create", self.pool_file("public"))
        self.pls("feed", self.pool_file("public"), '{"n":1}')
        os.chmod(self.pool_file("secret"), 0o600)
        os.chmod(self.pool_file("public"), 0o644)
        self.assertEqual(self.as_owner("cat public/data/all; [ ! -w public/append ] && ls"), '{"n":1}\nREADME\npublic\nsecret\n')
        for script in ("cat secret/all", "ls secret", "echo '{}' > secret/append", "echo '{}' > public/append", "chmod 666 public",
                       "echo delete > public/ctl", "echo 64M > public/size"):
            with self.subTest(script=script):
                self.finish(self.start("cd %s; %s" % (self.mnt, script), user=NOBODY, cwd="/"), status=None, stderr=None)
        self.assertEqual(sorted(os.listdir(self.pools)), ["public.plasmite", "secret.plasmite"])
        self.assertEqual(os.stat(self.pool_file("public")).st_mode & 0o777, 0o644)
        self.assertEqual(datas(self.pls("fetch", self.pool_file("secret"), "1")), ['{"n":1}'])
        self.assertEqual(json.loads(self.pls("pool", "info", self.pool_file("public"), "--json"))["bounds"]["newest"], 1)


if __name__ == "__main__":
    mount.main()
