"""`follow`, `next` and what lies under `live/`: a reader waits for messages, gets each of them once, and whole."""

import errno
import fcntl
import os
import pathlib
import select
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import datas, envelopes, seqs, until


class Readers(mount.Case):
    """Real programs wait in a read and go on with the next message."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        self.append("ci", {"old": 1})

    def waits_then(self, script, expected, *objects):
        """The script waits; after the objects are appended, one write each, it ends with this output."""
        reader = self.start(script)
        self.wait_blocked(reader)
        self.append("ci", *objects)
        out = self.finish(reader)
        self.assertEqual(out, expected() if callable(expected) else expected, script)

    def message(self, n):
        return lambda: self.read("ci/seq/%d" % n)

    def test_head(self):
        self.waits_then("head -n1 ci/follow", self.message(2), {"n": 1})

    def test_two_heads_on_one_descriptor_take_one_message_each(self):
        self.waits_then("{ head -n1; head -n1; } < ci/follow", lambda: self.read("ci/from/2"), '{"n":1}{"n":2}')

    def test_grep(self):
        reader = self.start("""grep -m1 '"status":"green"' ci/follow""")
        self.wait_blocked(reader)
        self.append("ci", {"status": "red"}, {"note": "green"})
        self.wait_blocked(reader)
        self.append("ci", '{ "status": "green" }')
        self.assertEqual(self.finish(reader), self.read("ci/seq/4"))

    def test_jq_unbuffered(self):
        reader = self.start("jq --unbuffered -c .data.n ci/follow")
        for n in ("1", '"x"', "[2,{}]"):
            self.wait_blocked(reader)
            self.append("ci", '{"n":%s}' % n)
            self.assertEqual(reader.stdout.readline().decode(), n + "\n")

    def test_cat(self):
        reader = self.start("cat ci/follow")
        for n in range(2, 6):
            self.wait_blocked(reader)
            self.append("ci", {"n": n})
            self.assertEqual(reader.stdout.readline().decode(), self.read("ci/seq/%d" % n))

    def test_cat_into_awk(self):
        reader = self.start("cat ci/follow | gawk '{ print NR; fflush() }'")
        self.wait_blocked(reader)
        self.append("ci", {"n": 1})
        self.assertEqual(reader.stdout.readline(), b"1\n")

    def test_mawk_interactive(self):
        self.waits_then("mawk -W interactive '{ print $0; exit }' ci/follow", self.message(2), {"n": 1})

    def test_sed(self):
        self.waits_then("sed -u 1q ci/follow", self.message(2), {"n": 1})

    def test_perl(self):
        self.waits_then("perl -ne 'print; exit' ci/follow", self.message(2), {"n": 1})

    def test_python(self):
        self.waits_then("""/usr/bin/python3 -c 'print(next(open("ci/follow")), end="")'""", self.message(2), {"n": 1})

    def test_busybox(self):
        self.waits_then("busybox head -n 1 ci/follow", self.message(2), {"n": 1})

    def test_dd_takes_whole_messages(self):
        self.waits_then("dd if=ci/follow bs=64K count=1 status=none", lambda: self.read("ci/from/2"), '{"n":1}{"n":2}')

    def test_loops_of_shells(self):
        for shell in ("bash", "dash"):
            loop = "%s -c 'n=0; while read -r m; do echo \"$m\"; n=$((n+1)); [ $n -lt 3 ] || break; done < ci/follow'" % shell
            first = len(seqs(self.read("ci/all"))) + 1
            self.waits_then(loop, lambda: self.read("ci/from/%d" % first), {"n": 1}, '{"n":2}{"n":3}')

    def test_a_shell_that_polls(self):
        """The read of busybox waits in poll(), then reads byte for byte."""
        shell = self.start("""exec busybox sh -c 'exec 3< ci/follow; read -r a <&3; read -r b <&3; echo "$a"; echo "$b"'""")
        until("it polls", lambda: mount.polls(shell.pid))
        self.append("ci", '{"n":1}{"n":2}')
        self.assertEqual(self.finish(shell), self.read("ci/from/2"))

    def test_the_place_is_fixed_at_open(self):
        out = self.run_ok("""exec 3< ci/follow; echo '{"n":1}' > ci/append; echo '{"n":2}' > ci/append
            read -r line <&3; echo "$line"; read -r line <&3; echo "$line" """)
        self.assertEqual(out, self.read("ci/from/2"))

    def test_every_reader_gets_every_message(self):
        readers = [self.start("head -n2 ci/follow") for _ in range(5)]
        for reader in readers:
            self.wait_blocked(reader)
        self.append("ci", {"n": 1}, {"n": 2})
        self.assertEqual({self.finish(reader) for reader in readers}, {self.read("ci/from/2")})

    def test_pls_feed_releases_a_reader(self):
        reader = self.start("head -n1 ci/follow")
        self.wait_blocked(reader)
        self.pls("feed", "ci", "--tag", "x", '{"n":1}')
        self.assertEqual(self.finish(reader), self.read("ci/seq/2"))

    def test_pls_follow_sees_what_is_echoed(self):
        reader = self.start("pls follow ci --one --timeout 30s")
        until("pls waits", lambda: any(maps(pid, "ci.plasmite") for pid in self.pids(reader)))
        while reader.poll() is None:  # it may have mapped the pool and not yet taken its place
            self.append("ci", {"n": 1})
        self.assertEqual(datas(self.finish(reader)), ['{"n":1}'])

    def test_next_gives_one_message_and_ends(self):
        self.waits_then("cat ci/next", self.message(2), '{"n":1}{"n":2}')

    def test_next_gates_a_script(self):
        self.waits_then("timeout 30 cat ci/next > /dev/null && echo deploy", "deploy\n", {"n": 1})

    def test_next_is_fixed_at_open(self):
        self.assertEqual(
            self.run_ok("""exec 3< ci/next; echo '{"n":1}' > ci/append; echo '{"n":2}' > ci/append; cat <&3; cat <&3"""),
            self.read("ci/seq/2"),
        )

    def test_a_timeout_ends_the_wait(self):
        self.finish(self.start("timeout 0.2 cat ci/follow"), status=124)


def maps(pid, name):
    try:
        with open("/proc/%d/maps" % pid) as maps_file:
            return name in maps_file.read()
    except OSError:
        return False


class Live(mount.Case):
    """`live/` gives what the view holds and then what comes."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        self.append("ci", *({"n": n} for n in range(1, 13)))
        self.append("ci/tag/x", {"n": 13})

    def goes_on(self, view, old, *objects, new):
        """The view gives the messages `old` (numbers), waits, and then gives the messages `new`."""
        reader = self.start(["cat", "ci/" + view])
        text = "".join(reader.stdout.readline().decode() for _ in old)
        self.assertEqual(seqs(text), old, view)
        self.wait_blocked(reader)
        for where, item in objects:
            self.append(where, item)
        text = "".join(reader.stdout.readline().decode() for _ in new)
        self.assertEqual(seqs(text), new, view)
        self.wait_blocked(reader)
        self.kill(reader)

    def test_history_and_then_what_comes(self):
        every = list(range(1, 14))
        for view, old in (
            ("live/since/1h", every), ("live/from/5", every[4:]), ("live/from/1", every), ("live/all", every),
            ("live/last/2", [12, 13]), ("live/last/0", []), ("live/tail", every[-10:]), ("live/from/14", []),
        ):
            with self.subTest(view=view):
                self.mkpool("again")
                self.append("again", *({"n": n} for n in range(1, 13)))
                self.append("again/tag/x", {"n": 13})
                reader = self.start(["cat", "again/" + view])
                self.assertEqual(seqs("".join(reader.stdout.readline().decode() for _ in old)), old)
                self.wait_blocked(reader)
                self.append("again", '{"n":14}{"n":15}', '{"n":16}')
                self.assertEqual(seqs("".join(reader.stdout.readline().decode() for _ in range(3))), [14, 15, 16])
                self.kill(reader)
                self.pls("pool", "delete", "again")
                until("the pool is gone", lambda: not os.path.exists(self.path("again")))

    def test_only_the_tag(self):
        self.goes_on("tag/x/live/all", [13], ("ci", {"no": 1}), ("ci/tag/y/tag/x", {"yes": 1}), new=[15])
        self.goes_on("live/tag/x/follow", [], ("ci", {"no": 1}), ("ci/tag/x", {"yes": 1}), new=[17])
        self.goes_on("tag/x/follow", [], ("ci", {"no": 1}), ("ci/tag/x", {"yes": 1}), new=[19])

    def test_next_of_a_tag(self):
        reader = self.start("cat ci/tag/x/next")
        self.wait_blocked(reader)
        self.append("ci", {"no": 1})
        self.append("ci/tag/x", {"yes": 1})
        self.assertEqual(self.finish(reader), self.read("ci/seq/15"))

    def test_only_the_data(self):
        reader = self.start("head -n2 ci/data/follow")
        self.wait_blocked(reader)
        self.append("ci", '{"b": 1, "a": [ ]}', "{}")
        self.assertEqual(self.finish(reader), '{"b":1,"a":[]}\n{}\n')

    def test_a_message_that_is_there(self):
        self.assertEqual(self.run_ok("timeout 30 cat ci/live/seq/5"), self.read("ci/seq/5"))

    def test_a_message_that_will_be(self):
        reader = self.start("cat ci/live/seq/16")
        self.wait_blocked(reader)
        self.append("ci", {"n": 14}, {"n": 15})
        self.wait_blocked(reader)
        self.append("ci", {"n": 16}, {"n": 17})
        self.assertEqual(self.finish(reader), self.read("ci/seq/16"))

    def test_symlinks_into_live(self):
        links = {name: os.readlink(self.path("ci/" + name)) for name in ("all", "follow", "next")}
        self.assertEqual(links, {"all": "from/1", "follow": "live/last/0", "next": "live/next"})
        for name in ("ci/follow", "ci/next", "ci/live/all"):
            status = os.stat(self.path(name))
            self.assertEqual((status.st_size, status.st_blocks), (4096, 8), name)


class Calls(mount.Case):
    """Streams, one system call at a time."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci", size="4M")

    def nonblocking(self, name):
        return self.open(name, os.O_RDONLY | os.O_NONBLOCK)

    def test_whole_messages_where_they_fit(self):
        self.append("ci", *({"n": n, "text": "x" * 100} for n in range(100)))
        everything = self.read("ci/all")
        fd = self.nonblocking("ci/live/from/1")
        text = ""
        while len(text) < len(everything):
            piece = os.read(fd, 1000).decode()
            self.assertGreater(len(piece), 600)
            self.assertEqual(piece[-1], "\n")
            text += piece
        self.assertEqual(text, everything)
        self.assert_errno(errno.EAGAIN, os.read, fd, 1000)

    def test_a_message_larger_than_the_buffer_comes_in_pieces(self):
        self.append("ci", {"text": "ä" * 1000}, {"n": 2})
        everything = self.read("ci/all").encode()
        for size in (1, 7, 1999):
            fd = self.nonblocking("ci/live/from/1")
            text = b""
            while len(text) < len(everything):
                text += os.read(fd, size)
            self.assertEqual(text, everything)

    def test_large_reads_never_wait_with_data_in_hand(self):
        lines = '{"text":"%s"}\n' % ("x" * 990)
        self.append("ci", *[lines * 500] * 5)
        everything = self.read("ci/all").encode()
        self.assertGreater(len(everything), 2 << 20)
        for size in (512 << 10, 1 << 20, (1 << 20) + 4096, 4 << 20):
            fd = self.open("ci/live/from/1")
            text = b""

            def read_everything():
                nonlocal text
                while len(text) < len(everything):
                    text += os.read(fd, size)

            thread = threading.Thread(target=read_everything, daemon=True)
            thread.start()
            thread.join(mount.DEADLINE)
            stuck = thread.is_alive()
            if stuck:
                self.append("ci", {"let": "go"})
            self.assertFalse(stuck, "a read of %d bytes waits after %d" % (size, len(text)))
            self.assertTrue(text == everything, size)

    def test_nonblocking(self):
        fd = self.nonblocking("ci/follow")
        self.assert_errno(errno.EAGAIN, os.read, fd, 4096)
        self.append("ci", {"n": 1})
        until("the message is there", lambda: select.select([fd], [], [], 0)[0])
        self.assertEqual(os.read(fd, 4096).decode(), self.read("ci/all"))
        self.assert_errno(errno.EAGAIN, os.read, fd, 4096)

    def test_nonblocking_set_later(self):
        fd = self.open("ci/follow")
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
        self.assert_errno(errno.EAGAIN, os.read, fd, 4096)

    def test_soft_seek(self):
        self.append("ci", {"n": 1}, {"n": 2}, {"n": 3})
        everything = self.read("ci/all").encode()
        fd = self.nonblocking("ci/live/from/1")
        self.assertEqual(os.read(fd, 1 << 16), everything)
        for back in (1, 50, len(everything)):
            self.assertEqual(os.lseek(fd, -back, os.SEEK_CUR), len(everything) - back)
            self.assertEqual(os.read(fd, 1 << 16), everything[-back:])
        os.lseek(fd, 10**9, os.SEEK_SET)  # beyond the end is now
        self.assert_errno(errno.EAGAIN, os.read, fd, 4096)
        self.append("ci", {"n": 4})
        self.assertEqual(os.read(fd, 4096).decode(), self.read("ci/seq/4"))

    def test_soft_seek_has_a_window(self):
        self.append("ci", *[{"text": "x" * 1000}] * 40)
        fd = self.nonblocking("ci/live/from/1")
        n = len(os.read(fd, 1 << 16))
        self.assertGreater(n, 40_000)
        os.lseek(fd, n - (16 << 10), os.SEEK_SET)
        self.assertEqual(os.read(fd, 1 << 16), self.read("ci/all").encode()[-(16 << 10):])
        os.lseek(fd, 0, os.SEEK_SET)
        self.assert_errno(errno.EINVAL, os.read, fd, 4096)

    def test_the_window_is_as_large_after_many_reads(self):
        self.append("ci", *({"text": "x" * (n % 250)} for n in range(400)))
        everything = self.read("ci/all").encode()
        fd = self.nonblocking("ci/live/from/1")
        done = 0
        while done < len(everything):
            done += len(os.read(fd, 350))  # one message, or a few
            back = min(done, 16 << 10)
            os.lseek(fd, done - back, os.SEEK_SET)
            self.assertEqual(os.read(fd, 1 << 16), everything[done - back:done])
            if done > back:
                os.lseek(fd, done - back - 1, os.SEEK_SET)
                self.assert_errno(errno.EINVAL, os.read, fd, 1 << 16)
                os.lseek(fd, done, os.SEEK_SET)

    def test_answers_of_every_length(self):
        self.append("ci", *({"text": "x" * n} for n in range(300, 500)))
        lines = self.read("ci/all").splitlines(keepends=True)
        self.assertLess(len(lines[0]), 450)
        self.assertGreater(len(lines[-1]), 550)
        fd = self.nonblocking("ci/live/from/1")
        for line in lines:
            self.assertEqual(os.read(fd, 700).decode(), line)

    def test_splice_is_refused_so_that_programs_read(self):
        self.append("ci", {"n": 1})
        fd = self.open("ci/live/from/1")
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.assert_errno(errno.EINVAL, os.splice, fd, writer, 4096)
        self.assertEqual(os.read(fd, 4096).decode(), self.read("ci/all"))

    def test_writing_is_refused(self):
        for name in ("ci/follow", "ci/next", "ci/live/all"):
            for flags in (os.O_WRONLY, os.O_RDWR):
                self.assert_errno(errno.EACCES, os.open, self.path(name), flags)
        self.run_fails("echo '{}' > ci/follow", 1, "Permission denied")
        self.assert_errno(errno.EACCES, os.truncate, self.path("ci/follow"), 0)

    def test_syncing_does_nothing(self):
        os.fsync(self.open("ci/follow"))

    def test_poll(self):
        fd = self.open("ci/follow")
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        self.assertEqual(poll.poll(0), [])
        timer = threading.Timer(0.05, self.append, ("ci", {"n": 1}))
        timer.start()
        self.assertEqual(poll.poll(mount.DEADLINE * 1000), [(fd, select.POLLIN)])
        timer.join()
        os.read(fd, 4096)
        self.assertEqual(poll.poll(0), [])

    def test_select(self):
        fd = self.open("ci/follow")
        self.assertEqual(select.select([fd], [], [], 0), ([], [], []))
        timer = threading.Timer(0.05, self.append, ("ci", {"n": 1}))
        timer.start()
        self.assertEqual(select.select([fd], [], [], mount.DEADLINE), ([fd], [], []))
        timer.join()

    def test_epoll_level(self):
        fd = self.open("ci/follow")
        with select.epoll() as epoll:
            epoll.register(fd, select.EPOLLIN)
            for _ in range(3):
                self.assertEqual(epoll.poll(0), [])
                timer = threading.Timer(0.02, self.append, ("ci", {"n": 1}))
                timer.start()
                self.assertEqual(epoll.poll(mount.DEADLINE), [(fd, select.EPOLLIN)])
                timer.join()
                self.assertEqual(epoll.poll(0), [(fd, select.EPOLLIN)])
                os.read(fd, 4096)

    def test_epoll_edge(self):
        fd = self.nonblocking("ci/follow")
        with select.epoll() as epoll:
            epoll.register(fd, select.EPOLLIN | select.EPOLLET)
            self.assertEqual(epoll.poll(0), [])
            for n in range(1, 4):
                self.append("ci", {"n": n})
                self.assertEqual(epoll.poll(mount.DEADLINE), [(fd, select.EPOLLIN)])
                self.assertEqual(os.read(fd, 4096).decode(), self.read("ci/seq/%d" % n))
                self.assert_errno(errno.EAGAIN, os.read, fd, 4096)

    def test_fifty_pollers(self):
        fds = [self.open("ci/follow") for _ in range(50)]
        with select.epoll() as epoll:
            for fd in fds:
                epoll.register(fd, select.EPOLLIN)
            self.assertEqual(epoll.poll(0), [])
            self.append("ci", {"n": 1})
            ready = set()
            until("all are ready", lambda: ready.update(fd for fd, _ in epoll.poll(1)) or ready == set(fds))
        self.assertEqual({os.read(fd, 4096).decode() for fd in fds}, {self.read("ci/all")})

    def test_a_lapped_reader_goes_on_at_the_oldest(self):
        self.mkpool("small", size=8192)
        self.append("small", {"n": 1})
        fd = self.nonblocking("small/live/from/1")
        self.assertEqual(seqs(os.read(fd, 4096).decode()), [1])
        self.append("small", *({"n": n} for n in range(2, 1001)))
        text = ""
        while not text or seqs(text)[-1] < 1000:
            text += os.read(fd, 1 << 16).decode()
        numbers = seqs(text)
        self.assertGreater(numbers[0], 2)
        self.assertEqual(numbers, list(range(numbers[0], 1001)))
        self.assertEqual([message[3] for message in envelopes(text)], ['{"n":%d}' % n for n in numbers])


if __name__ == "__main__":
    mount.main()
