"""`log`: an ordinary growing file, whose offsets never move, for tail, less, log shippers and inotify."""

import errno
import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import datas, envelopes, seqs, until

HEADER = 1024
EPOCH = 64 << 20


class Log(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def bytes(self, pool="ci"):
        with open(self.path(pool + "/log"), "rb") as file:
            return file.read()

    def fill(self, pool, number, size=1000):
        """Messages of that much text each."""
        fd = os.open(self.path(pool + "/append"), os.O_WRONLY)
        try:
            for _ in range(number):
                self.assertEqual(os.write(fd, b'{"x":"%s"}' % (b"x" * size)), size + 8)
        finally:
            os.close(fd)

    def test_the_header(self):
        header = self.bytes()
        self.assertEqual((len(header), header[-1:]), (HEADER, b"\n"))
        self.assertRegex(
            header.decode(),
            r'^\{"plasmite_log":\{"pool":"ci","uuid":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}","epoch":0\}\} +\n$',
        )
        self.mkpool('quo"te' + "\u20ac" * 60)
        self.assertEqual(len(self.bytes('quo"te' + "\u20ac" * 60)), HEADER)

    def test_behind_it_stand_the_messages(self):
        self.append("ci", {"n": 1}, {"n": 2})
        self.append("ci/tag/x", {"n": 3})
        self.assertEqual(self.bytes()[HEADER:].decode(), self.read("ci/all"))
        st = os.stat(self.path("ci/log"))
        self.assertEqual(st.st_size, HEADER + len(self.read("ci/all")))
        self.assertEqual(st.st_blocks, (st.st_size + 511) // 512)
        self.assertEqual(st.st_mtime_ns, mount.time_ns(envelopes(self.read("ci/seq/3"))[0][1]))
        self.assertEqual(self.run_ok("jq -c 'select(.seq).data' ci/log"), '{"n":1}\n{"n":2}\n{"n":3}\n')

    def test_it_grows_in_place(self):
        self.append("ci", {"n": 1})
        first = os.stat(self.path("ci/log"))
        fd = self.open("ci/log")
        before = os.read(fd, 1 << 20)
        self.assertEqual(os.read(fd, 100), b"")
        self.append("ci", {"n": 2})
        self.pls("feed", "ci", '{"n":3}')  # another process
        self.assertEqual(seqs(os.read(fd, 1 << 20).decode()), [2, 3])
        after = os.fstat(fd)
        self.assertEqual(after.st_ino, first.st_ino)
        self.assertEqual(os.pread(fd, first.st_size, 0), before)
        self.assertEqual(after.st_size, os.lseek(fd, 0, os.SEEK_END))
        self.assertEqual(os.listdir(self.path("ci")).count("log"), 1)
        with os.scandir(self.path("ci")) as entries:
            self.assertEqual([entry.inode() for entry in entries if entry.name == "log"], [first.st_ino])

    def test_any_part_can_be_read(self):
        for n in range(50):
            self.append("ci", {"n": n, "x": "y" * (n * 7)})
        whole = self.bytes()
        fd = self.open("ci/log")
        for off in list(range(0, 3000, 131)) + list(range(HEADER - 3, HEADER + 3)) + [len(whole) - 1, len(whole), len(whole) + 5]:
            for n in (1, 7, 100, 5000, 1 << 20):
                self.assertEqual(os.pread(fd, n, off), whole[off:off + n])
        self.assertEqual(self.run_ok("dd if=ci/log bs=13 status=none | md5sum"), self.run_ok("md5sum < ci/log"))

    def test_a_message_larger_than_a_read(self):
        self.mkpool("big", size="8M")
        self.append("big", {"x": "a" * 1_000_000}, {"x": "b" * 1_000_000})
        whole = self.bytes("big")
        self.assertTrue(whole[HEADER:].decode() == self.read("big/all"))
        self.assertEqual(self.run_ok("dd if=big/log bs=999 status=none | md5sum"), self.run_ok("cat big/log | md5sum"))

    def test_what_was_overwritten_reads_as_blanks(self):
        self.mkpool("small", size=65536)
        self.fill("small", 200)
        text = self.bytes("small")
        oldest = int(self.read("small/stat/oldest"))
        self.assertGreater(oldest, 100)
        lines = text[HEADER:].decode().lstrip(" \n")
        self.assertEqual(seqs(lines), list(range(oldest, 201)))
        begin = len(text) - len(lines)
        self.assertEqual(text[begin - 1:begin], b"\n")
        filler = text[HEADER:begin - 1]
        for at, byte in enumerate(filler, HEADER):
            self.assertEqual(chr(byte), "\n" if (at + 1) % 4096 == 0 else " ", at)
        self.assertEqual(os.stat(self.path("small/log")).st_size, len(text))
        # Nothing has moved: all that was ever appended counts.
        self.assertEqual(self.run_ok("jq -c 'select(.seq).seq' small/log").splitlines(), [str(n) for n in range(oldest, 201)])
        part = self.open("small/log")
        for off in range(0, len(text), 5000):
            self.assertEqual(os.pread(part, 4999, off), text[off:off + 4999])

    def test_a_message_that_was_begun_is_read_to_its_end(self):
        self.mkpool("small", size=65536)
        self.append("small", {"n": "first"})
        line = self.read("small/seq/1").encode()
        fd = self.open("small/log")
        self.assertEqual(os.pread(fd, 20, HEADER), line[:20])
        self.fill("small", 200)
        self.assertEqual(os.pread(fd, len(line) - 20, HEADER + 20), line[20:])
        self.assertEqual(os.pread(fd, 10, HEADER + len(line)).strip(), b"")

    def test_a_copy_has_no_holes(self):
        self.mkpool("small", size=65536)
        self.fill("small", 300)
        self.run_ok("cp small/log ../copy; cmp small/log ../copy; rsync -S small/log ../copy2; cmp small/log ../copy2; "
                    "cp --sparse=always small/log ../copy3; cmp small/log ../copy3; tar cf ../log.tar small/log")
        with open(os.path.join(self.dir, "copy"), "rb") as copy:
            self.assertNotIn(b"\0", copy.read())

    def test_copying_while_it_is_written(self):
        self.mkpool("small", size=65536)
        writer = self.start("while :; do echo '{\"x\":\"" + "y" * 300 + "\"}'; done > small/append")
        until("it has wrapped", lambda: int(self.read("small/stat/oldest")) > 100)
        for _ in range(20):
            text = self.run_ok("cat small/log")
            self.assertNotIn("\0", text)
            lines = [line for line in text.splitlines(keepends=True)[1:] if line.strip()]
            numbers = seqs("".join(lines))
            self.assertEqual(numbers, sorted(set(numbers)))
        self.kill(writer)

    def test_a_new_mount_changes_nothing(self):
        self.mkpool("small", size=65536)
        self.fill("small", 100)
        before, inode = self.bytes("small"), os.stat(self.path("small/log")).st_ino
        self.assertEqual(self.stop_daemon(), 0)
        self.mount()
        self.assertEqual(self.bytes("small"), before)
        self.assertEqual(os.stat(self.path("small/log")).st_ino, inode)

    def test_writing_appends(self):
        self.run_ok("""echo '{"n":1}' >> ci/log""")
        self.assertEqual(self.datas("ci"), ['{"n":1}'])
        self.run_fails("echo nonsense >> ci/log", 1, "Bad message")
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND | os.O_TRUNC):
            self.assert_errno(errno.EPERM, os.open, self.path("ci/log"), flags)
        self.assert_errno(errno.EPERM, os.truncate, self.path("ci/log"), 0)
        self.run_fails("echo '{}' > ci/log", 1, "Operation not permitted")
        self.run_ok("touch ci/log")
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def test_it_can_be_polled(self):
        poll = select.poll()
        poll.register(self.open("ci/log"), select.POLLIN)
        self.assertEqual(len(poll.poll(0)), 1)

    def test_there_is_none_in_views(self):
        for name in ("ci/tag/x/log", "ci/data/log", "ci/live/log", "ci/strict/log"):
            self.assert_errno(errno.ENOENT, os.stat, self.path(name))

    # Epochs

    def test_an_epoch_ends(self):
        self.mkpool("big", size="4M")
        self.fill("big", 67, 1_000_000)
        old, first = self.open("big/log"), os.stat(self.path("big/log"))
        self.assertLess(first.st_size, HEADER + EPOCH)
        self.append("big", {"x": "y" * 1_000_000})
        self.assertEqual(os.stat(self.path("big/log")).st_ino, first.st_ino)  # it crosses the border, and belongs to the old one
        final = os.fstat(old).st_size
        self.assertGreater(final, HEADER + EPOCH)
        self.append("big", {"n": "new"})
        until("it is another file", lambda: os.stat(self.path("big/log")).st_ino != first.st_ino)
        self.assertEqual((os.fstat(old).st_size, os.fstat(old).st_ino), (final, first.st_ino))
        text = self.bytes("big")
        self.assertEqual(json.loads(text[:HEADER])["plasmite_log"]["epoch"], 1)
        self.assertEqual(seqs(text[HEADER:].decode().lstrip(" \n")), [69])
        self.assertEqual(len(text), HEADER + (final - HEADER - EPOCH) + len(self.read("big/seq/69")))
        self.assertEqual(os.pread(old, 200, final - 10)[-2:], b"}\n")
        self.assertEqual(os.pread(old, 200, final), b"")
        self.append("big", {"n": "newer"})
        self.assertEqual(seqs(self.bytes("big")[HEADER:].decode().lstrip(" \n")), [69, 70])
        self.fill("big", 10, 1_000_000)
        self.assertEqual(os.fstat(old).st_size, final)  # nothing of it is left, but it keeps its size
        tail = os.pread(old, 5000, final - 5000)
        self.assertEqual((len(tail), tail.strip(), tail[-1:]), (5000, b"", b"\n"))

    def test_tail_f_passes_into_the_next_epoch(self):
        self.mkpool("big", size="4M")
        self.fill("big", 66, 1_000_000)
        self.append("big", {"n": "before"})
        process = self.start("tail -n1 -F big/log 2> ../complaints > ../seen")
        seen = os.path.join(self.dir, "seen")
        until("tail shows the last line", lambda: os.path.exists(seen) and os.path.getsize(seen) > 0)
        for n in range(3):
            self.append("big", {"n": n, "x": "y" * 1_000_000})
        self.append("big", {"n": "after"})

        def lines():
            with open(seen) as file:
                return [line for line in file.read().splitlines(keepends=True) if line.strip() and "plasmite_log" not in line]

        until("all of it was seen", lambda: '"after"' in "".join(lines()[-1:]))
        self.kill(process)
        self.assertEqual(seqs("".join(lines())), [67, 68, 69, 70, 71])

    # Programs

    def test_tail_f(self):
        self.append("ci", {"n": 1})
        for command in ("tail -n1 -f ci/log", "tail -n1 -F ci/log", "tail ---disable-inotify -s0.1 -n1 -f ci/log", "busybox tail -n1 -f -s1 ci/log"):
            with self.subTest(command=command):
                process = self.start("exec stdbuf -oL " + command)
                first = json.loads(process.stdout.readline())["seq"]
                self.append("ci", {"n": 2})
                self.pls("feed", "ci", '{"n":3}')
                self.assertEqual(json.loads(process.stdout.readline())["seq"], first + 1)
                self.assertEqual(json.loads(process.stdout.readline())["seq"], first + 2)
                self.kill(process)

    def test_less_follows(self):
        self.append("ci", {"n": 1})
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))  # no line is broken
        process = subprocess.Popen(["less", "+F", "ci/log"], cwd=self.mnt, env=dict(self.environment(), TERM="xterm"),
                                   stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        shown = b""

        def wait_for(text):
            nonlocal shown
            end = time.monotonic() + mount.DEADLINE
            while text not in shown:
                self.assertTrue(select.select([master], [], [], max(0, end - time.monotonic()))[0], shown)
                shown += os.read(master, 65536)

        try:
            wait_for(b'{"n":1}')
            self.append("ci", {"n": 22})
            wait_for(b'{"n":22}')
            self.pls("feed", "ci", '{"n":333}')
            wait_for(b'{"n":333}')
        finally:
            process.kill()
            process.wait()
            os.close(master)

    def watch(self, *arguments):
        """inotifywait, once it watches."""
        process = self.start(["inotifywait", "-m", "--format", "%e %f"] + list(arguments))
        text = b""
        while b"Watches established" not in text:
            text += os.read(process.stderr.fileno(), 1000)
        return process

    def test_inotify_sees_appends_through_the_mount(self):
        watcher = self.watch("-e", "modify", "-e", "close_write", "ci/log")
        self.append("ci", {"n": 1})
        self.assertEqual(watcher.stdout.readline(), b"MODIFY \n")
        self.assertEqual(watcher.stdout.readline(), b"CLOSE_WRITE,CLOSE \n")

    def test_inotify_sees_appends_of_others(self):
        watcher = self.watch("-e", "modify", "-e", "close_write", "ci/log")
        for _ in range(3):
            self.pls("feed", "ci", "{}")
            self.assertEqual(watcher.stdout.readline(), b"MODIFY \n")
            self.assertEqual(watcher.stdout.readline(), b"CLOSE_WRITE,CLOSE \n")

    def test_inotify_on_the_directory(self):
        os.stat(self.path("ci/log"))
        watcher = self.watch("-e", "modify", "ci")
        self.pls("feed", "ci", "{}")
        self.assertEqual(watcher.stdout.readline(), b"MODIFY log\n")

    def test_events_are_few(self):
        watcher = self.watch("-e", "modify", "ci/log")
        begin = time.monotonic()
        self.fill("ci", 500, 10)
        self.assertEqual(watcher.stdout.readline(), b"MODIFY \n")
        time.sleep(0.1)  # nothing tells that no more is to come; what is put off comes within a tenth of that
        elapsed = time.monotonic() - begin
        os.kill(watcher.pid, signal.SIGTERM)
        rest = self.finish(watcher, status=None, stderr=None)
        self.assertLessEqual(rest.count("MODIFY") + 1, elapsed / 0.01 + 2)
        self.assertEqual(self.read("ci/stat/count"), "500\n")

    def test_entr(self):
        process = self.start("echo ci/log | entr -n -p sh -c 'echo ran'")
        until("entr watches", lambda: self.has_inotify(process))

        def ran():
            self.pls("feed", "ci", "{}")  # entr passes over what happens while it starts
            return select.select([process.stdout], [], [], 0.1)[0]

        until("entr runs", ran)
        self.assertEqual(process.stdout.readline(), b"ran\n")

    def shows(self, process, text, send=None):
        """Waits until the program prints this; what it printed before is passed over.  `send` is tried again and again."""
        seen = b""

        def found():
            nonlocal seen
            if send is not None:
                send()
            while select.select([process.stdout], [], [], 0.02)[0]:
                seen += os.read(process.stdout.fileno(), 4096)
                if text in seen or process.poll() is not None:
                    return True
            return False

        until("%s shows %r" % (process.command, text), found)
        self.assertIn(text, seen)

    def watched_by(self, script):
        """Starts a program that prints `event` for each change."""
        process = self.start(script)
        until("it watches", lambda: self.has_inotify(process))
        self.shows(process, b"event\n", lambda: self.append("ci", {"n": 1}))  # some pass over what happens while they start
        while select.select([process.stdout], [], [], 0.1)[0]:
            os.read(process.stdout.fileno(), 4096)
        for send in (lambda: self.append("ci", {"n": 1}), lambda: self.pls("feed", "ci", "{}"), lambda: self.run_ok("echo '{}' >> ci/log")):
            send()
            self.shows(process, b"event\n")
        self.kill(process)

    def test_languages_that_watch(self):
        """As their libraries do it: inotify on the file, or on the directory."""
        python = """exec /usr/bin/python3 -c 'import ctypes, os, struct
libc = ctypes.CDLL(None); fd = libc.inotify_init(); os.stat("ci/log")
assert libc.inotify_add_watch(fd, b"%s", %s) > 0
while True:
    text, at = os.read(fd, 65536), 0
    while at < len(text):
        n = struct.unpack_from("iIII", text, at)[3]; name = text[at + 16:at + 16 + n].rstrip(b"\\0"); at += 16 + n
        if name in (b"", b"log"): print("event", flush=True)'"""
        for script in (
            python % ("ci/log", "2"), python % ("ci/log", "0xfff & ~0x21"), python % ("ci", "8"), python % ("ci", "0x3ca"),
            "exec node -e 'fs.watch(\"ci/log\", () => console.log(\"event\"))'",
            "exec node -e 'fs.statSync(\"ci/log\"); fs.watch(\"ci\", (what, name) => name == \"log\" && console.log(\"event\"))'",
            "inotifywait -qm --format event -e modify ci/log", "inotifywait -qm --format event -e close_write ci/log",
            "cd ci; ls -l log > ../../out; exec inotifywait -qmr --include log --format event -e modify .",
        ):
            with self.subTest(script=script):
                self.watched_by(script)

    def test_programs_that_look_again_and_again(self):
        for script in (
            "exec node -e 'fs.watchFile(\"ci/log\", {interval: 5}, () => console.log(\"event\")); console.log(\"ready\")'",
            "echo ready; exec /usr/bin/python3 -uc 'import os, time\nold = os.stat(\"ci/log\").st_size\nprint(\"ready\")\nwhile True:\n"
            " new = os.stat(\"ci/log\").st_size\n if new != old: print(\"event\")\n old = new\n time.sleep(0.001)'",
            "echo ready; tail -n0 ---disable-inotify -s0.01 -f ci/log | sed -u s/.*/event/",
        ):
            with self.subTest(script=script):
                process = self.start(script)
                self.shows(process, b"ready\n")
                for _ in range(3):
                    self.shows(process, b"event\n", lambda: self.append("ci", {"n": 1}))
                self.kill(process)

    def test_several_logs_in_one_tail(self):
        self.mkpool("other")
        process = self.start("exec tail -s0.05 -n0 -F ci/log other/log")
        for n, pool in enumerate(("ci", "other", "ci")):
            self.shows(process, b'{"n":%d}' % n, lambda: self.append(pool, {"n": n}))

    def test_tail_by_name_outlives_its_pool(self):
        self.append("ci", {"n": 1})
        process = self.start("exec tail -s0.1 -n1 -F ci/log 2> ../complaints")
        self.shows(process, b'"n":1}')
        self.pls("pool", "delete", "ci")
        complaints = pathlib.Path(self.dir, "complaints")
        until("tail misses it", lambda: b"has become inaccessible" in complaints.read_bytes())
        self.mkpool("ci")
        self.append("ci", {"again": 1})
        self.shows(process, b'"again":1')

    def has_inotify(self, process):
        for pid in self.pids(process):
            try:
                for fd in os.listdir("/proc/%d/fdinfo" % pid):
                    with open("/proc/%d/fdinfo/%s" % (pid, fd)) as info:
                        if "inotify wd" in info.read():
                            return True
            except OSError:
                pass
        return False

    def test_rsyslog_ships_it(self):
        self.append("ci", {"n": 1})
        shipped = os.path.join(self.dir, "shipped")
        with open(os.path.join(self.dir, "rsyslog.conf"), "w") as file:
            file.write(
                'global(workDirectory="%s")\nmodule(load="imfile" mode="inotify")\n'
                'input(type="imfile" File="%s" Tag="ci" reopenOnTruncate="on")\n'
                'template(name="raw" type="string" string="%%msg%%\\n")\n'
                'action(type="omfile" file="%s" template="raw")\n' % (self.dir, self.path("ci/log"), shipped)
            )
        process = self.start("exec rsyslogd -n -f ../rsyslog.conf -i NONE")

        def numbers():
            try:
                with open(shipped) as file:
                    return [json.loads(line)["seq"] for line in file if line.strip() and "plasmite_log" not in line]
            except (OSError, ValueError):
                return []

        until("the first is shipped", lambda: numbers() == [1])
        for n in range(2, 6):
            self.pls("feed", "ci", '{"n":%d}' % n)
            until("%d is shipped" % n, lambda: numbers() == list(range(1, n + 1)))
        os.kill(process.pid, signal.SIGTERM)
        self.finish(process, status=None, stderr=None)

    def test_walkers_still_need_no_patience(self):
        self.append("ci", {"n": 1})
        self.assertEqual(self.run_ok("grep -rl '\"n\":1' ci | sort"), "ci/data/tail\nci/log\nci/strict/tail\nci/tail\n")

    def test_the_mount_ends_while_it_is_watched(self):
        self.watch("ci/log")
        writer = self.start("while echo '{}'; do :; done > ci/append 2> /dev/null")
        until("it is written to", lambda: int(self.read("ci/stat/count")) > 100)
        self.assertEqual(self.stop_daemon(), 0)
        self.finish(writer, status=None, stderr=None)


class LazilyUnmounted(mount.Case):
    def test_no_other_file_is_ever_truncated(self):
        self.mkpool("ci")
        holder = self.open("ci/append", os.O_WRONLY)
        os.stat(self.path("ci/log"))
        log = self.open("ci/log")  # the kernel goes on to know it
        subprocess.run(["umount", "-l", self.mnt] if os.geteuid() == 0 else ["fusermount3", "-uz", self.mnt], check=True)
        os.makedirs(self.path("ci"))
        with open(self.path("ci/log"), "w") as file:
            file.write("precious")
        os.utime(self.path("ci/log"), (1, 1))
        for _ in range(10):
            os.write(holder, b'{"x":1}')
            time.sleep(0.02)  # two kicks' time: nothing is to happen, and so nothing tells that it did not
        self.assertEqual(os.stat(self.path("ci/log")).st_mtime, 1)
        with open(self.path("ci/log")) as file:
            self.assertEqual(file.read(), "precious")
        os.close(holder)
        os.close(log)
        self.assertEqual(self.daemon.wait(mount.DEADLINE), 0, self.log())


if __name__ == "__main__":
    mount.main()
