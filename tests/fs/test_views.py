"""Finite views are perfect files: exact size, exact bytes, the same until they are opened anew."""

import concurrent.futures
import errno
import json
import mmap
import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import datas, envelopes, seqs, time_ns

VIEWS = (
    "tail", "all", "last/0", "last/3", "last/99999", "since/1h", "since/0s", "from/1", "from/7", "from/999", "seq/5", "info",
    "data/all", "data/last/2", "tag/even/all", "tag/even/tail", "tag/even/data/last/1", "tag/none/all", "README",
)


class Views(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        for n in range(1, 13):
            tags = "/tag/even" * (n % 2 == 0) + "/tag/third" * (n % 3 == 0)
            self.append("ci" + tags, {"n": n})

    def numbers(self, view):
        return seqs(self.read("ci/" + view))

    def test_which_messages(self):
        every = list(range(1, 13))
        for view, expected in (
            ("all", every), ("tail", every[-10:]), ("last/1", [12]), ("last/3", [10, 11, 12]), ("last/0", []),
            ("last/12", every), ("last/13", every), ("last/9223372036854775808", every),
            ("from/1", every), ("from/0", every), ("from/12", [12]), ("from/13", []), ("from/18446744073709551615", []),
            ("seq/1", [1]), ("seq/12", [12]), ("since/1h", every), ("since/@0", every), ("since/1970-01-01T00:00:00Z", every),
            ("since/2100-01-01T00:00:00+01:00", []), ("since/2d..1d", []), ("since/1d..0s", every),
            ("tag/even/all", [2, 4, 6, 8, 10, 12]), ("tag/even/tag/third/all", [6, 12]), ("tag/third/tag/even/all", [6, 12]),
            ("tag/even/last/2", [10, 12]), ("tag/even/tail", [2, 4, 6, 8, 10, 12]), ("tag/even/from/7", [8, 10, 12]),
            ("tag/even/seq/4", [4]), ("tag/even/since/1h", [2, 4, 6, 8, 10, 12]), ("tag/none/all", []), ("tag/eve/all", []),
        ):
            with self.subTest(view=view):
                self.assertEqual(self.numbers(view), expected)

    def test_windows_of_time_are_exact(self):
        times = {seq: time for seq, time, _, _ in envelopes(self.read("ci/all"))}
        self.assertEqual(self.numbers("since/" + times[4]), list(range(4, 13)))
        self.assertEqual(self.numbers("since/%s..%s" % (times[4], times[7])), [4, 5, 6])
        self.assertEqual(self.numbers("since/%s..%s" % (times[4], times[4])), [])
        self.assertEqual(self.numbers("tag/even/since/%s..%s" % (times[2], times[6])), [2, 4])

    def test_only_the_data(self):
        self.append("ci/tag/even", ' { "z" : [1, 2] , "a" : {} } ')
        self.assertEqual(self.read("ci/data/last/2"), '{"n":12}\n{"z":[1,2],"a":{}}\n')
        self.assertEqual(self.read("ci/data/seq/13"), '{"z":[1,2],"a":{}}\n')
        self.assertEqual(self.read("ci/data/tag/even/last/2"), self.read("ci/tag/even/data/last/2"))
        self.assertEqual(self.read("ci/data/tag/even/last/2"), '{"n":12}\n{"z":[1,2],"a":{}}\n')
        self.assertEqual(datas(self.read("ci/all")), self.read("ci/data/all").splitlines())
        self.assertEqual(self.read("ci/data/data/last/1"), self.read("ci/data/last/1"))

    def test_what_is_not_there(self):
        for name in ("seq/13", "seq/0", "tag/even/seq/3", "nothing", "tag/even/nothing", "tail/x", "live/append", "data/info",
                     "last/1/x", ".git", "Append", "tag/even/info", "live/tag/x/append", "data/data/nothing"):
            with self.subTest(name=name):
                number = errno.ENOTDIR if name in ("tail/x", "last/1/x") else errno.ENOENT
                self.assert_errno(number, os.stat, self.path("ci/" + name))

    def test_what_is_not_a_number_or_a_time(self):
        for name in ("last/x", "last/-1", "last/1.5", "last/9223372036854775809", "last/1e3", "last/ 1", "from/x", "from/-1",
                     "from/18446744073709551616", "seq/x", "seq/1x", "since/x", "since/1", "since/5w", "since/1h..x", "since/..1h",
                     "since/2026-13-01T00:00:00Z", "since/25:00", "since/@", "live/since/2h..1h", "live/last/x", "tag/%01/all",
                     "tag/%FF/all", "tag/a%0a/all"):
            with self.subTest(name=name):
                self.assert_errno(errno.EINVAL, os.stat, self.path("ci/" + name))
        self.run_fails("cat ci/last/x", 1, "cat: ci/last/x: Invalid argument")

    def test_at_most_sixteen_modifiers(self):
        self.assertEqual(self.numbers("tag/even/" * 16 + "last/1"), [12])
        self.assert_errno(errno.ELOOP, os.stat, self.path("ci/" + "tag/even/" * 17 + "last/1"))

    def test_a_tag_as_long_as_a_name_can_be(self):
        self.append("ci/tag/" + "x" * 1024, {"long": 1})
        self.assertEqual(self.numbers("tag/%s/all" % ("x" * 1024)), [13])
        self.assertEqual(self.numbers("tag/%s/all" % ("x" * 1023)), [])

    def test_size_and_bytes_are_exact(self):
        for view in VIEWS:
            with self.subTest(view=view):
                with open(self.path("ci/" + view), "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    content = file.read()
                    self.assertEqual(len(content), size)
                    self.assertEqual(os.stat(self.path("ci/" + view)).st_size, size)
                    self.assertEqual(os.lseek(file.fileno(), 0, os.SEEK_END), size)
                    for at in (0, 1, size // 2, size - 1, size, size + 5):
                        if at >= 0:
                            self.assertEqual(os.pread(file.fileno(), 17, at), content[at:at + 17])
                    if size:
                        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                            self.assertEqual(mapped[:], content)

    def test_programs_that_look_from_behind(self):
        everything = self.read("ci/all")
        lines = everything.splitlines(keepends=True)
        self.assertEqual(self.run_ok("tail -n3 ci/all"), "".join(lines[-3:]))
        self.assertEqual(self.run_ok("tac ci/all"), "".join(reversed(lines)))
        self.assertEqual(self.run_ok("wc -c < ci/all"), "%d\n" % len(everything))
        self.assertEqual(self.run_ok("tail -c 10 ci/all"), everything[-10:])
        self.assertEqual(self.run_ok("dd if=ci/all bs=100 skip=2 count=1 status=none"), everything[200:300])

    def test_calls_that_copy_inside_the_kernel(self):
        content = self.read("ci/all").encode()
        source = self.open("ci/all")
        with open(os.path.join(self.dir, "copy"), "w+b") as copy:
            self.assertEqual(os.sendfile(copy.fileno(), source, 0, 1 << 20), len(content))
            copy.seek(0)
            self.assertEqual(copy.read(), content)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.assertEqual(os.splice(source, writer, 1 << 16, offset_src=0), len(content))
        self.assertEqual(os.read(reader, 1 << 16), content)

    def test_an_open_file_keeps_its_content(self):
        for view in ("all", "tail", "last/3", "info", "data/all", "tag/even/all"):
            with self.subTest(view=view), open(self.path("ci/" + view)) as file:
                before = self.read("ci/" + view)
                self.append("ci/tag/even", *[{"more": n} for n in range(20)])
                self.assertEqual(os.fstat(file.fileno()).st_size, len(before))
                self.assertEqual(file.read(), before)
                self.assertNotEqual(self.read("ci/" + view), before)

    def test_identity_and_time_are_stable(self):
        for view in VIEWS:
            with self.subTest(view=view):
                one, two = os.stat(self.path("ci/" + view)), os.stat(self.path("ci/" + view))
                self.assertEqual(one, two)
                self.assertTrue(0 < one.st_ino < 1 << 63)
        last = time_ns(envelopes(self.read("ci/all"))[-1][1])
        for view in ("all", "tail", "last/2", "tag/even/all", "data/all"):
            self.assertEqual(os.stat(self.path("ci/" + view)).st_mtime_ns, last, view)
        fifth = time_ns(envelopes(self.read("ci/seq/5"))[0][1])
        self.assertEqual(os.stat(self.path("ci/seq/5")).st_mtime_ns, fifth)

    def test_the_inode_of_a_view_outlives_its_versions(self):
        before = {view: os.stat(self.path("ci/" + view)).st_ino for view in VIEWS}
        self.append("ci/tag/even", {"more": 1})
        after = {view: os.stat(self.path("ci/" + view)).st_ino for view in VIEWS}
        self.assertEqual(before, after)
        several = [number for view, number in after.items() if view not in ("all", "from/1")]
        self.assertEqual(len(set(several)), len(several))

    def test_writing_is_refused(self):
        for view in ("all", "tail", "last/3", "info", "README"):
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_TRUNC):
                with self.subTest(view=view, flags=flags):
                    self.assert_errno(errno.EACCES, os.open, self.path("ci/" + view), flags)
            self.assert_errno(errno.EACCES, os.truncate, self.path("ci/" + view), 0)
        self.run_fails("echo x > ci/tail", 1, "Permission denied")

    def test_an_empty_pool(self):
        self.mkpool("empty")
        for view in ("all", "tail", "last/5", "from/1", "since/1h", "data/all", "tag/x/all"):
            self.assertEqual(self.read("empty/" + view), "", view)
        self.assert_errno(errno.ENOENT, os.stat, self.path("empty/seq/1"))
        self.assertEqual(json.loads(self.read("empty/info"))["bounds"], {})

    def test_a_ring_that_has_wrapped(self):
        self.mkpool("small", size=8192)
        self.append("small", *({"n": n} for n in range(1, 1001)))
        numbers = seqs(self.read("small/all"))
        self.assertEqual(numbers, list(range(numbers[0], 1001)))
        self.assertGreater(len(numbers), 20)
        self.assertEqual(datas(self.read("small/last/2")), ['{"n":999}', '{"n":1000}'])
        self.assert_errno(errno.ENOENT, os.stat, self.path("small/seq/1"))
        info = json.loads(self.read("small/info"))
        self.assertEqual(info["bounds"]["newest"], 1000)
        self.assertLessEqual(info["bounds"]["oldest"], numbers[0])


class Large(mount.Case):
    """Views too large to be made at once.  O_DIRECT: the requests that reach the mount are the ones made here."""

    def setUp(self):
        super().setUp()
        self.mkpool("big", size="16M")
        lines = b"".join(b'{"n":%d,"pad":"%s"}\n' % (n, b"x" * (n * 37 % 300)) for n in range(12000))
        for name, text in (("append", lines), ("tag/large/append", b'{"pad":"%s"}' % (b"y" * 400000)), ("tag/many/tag/tags/append", lines)):
            with open(self.path("big/" + name), "wb") as file:
                file.write(text)
        self.size = os.stat(self.path("big/all")).st_size
        with open(self.path("big/all"), "rb") as file:
            self.content = file.read()
        self.assertEqual(len(self.content), self.size)
        self.assertGreater(self.size, 4 << 20)  # smaller ones may be made whole when they are opened

    def direct(self):
        fd = os.open(self.path("big/all"), os.O_RDONLY | os.O_DIRECT)
        self.addCleanup(os.close, fd)
        return fd

    def part(self, fd, off, n):
        buffer = mmap.mmap(-1, 1 << 20)
        got = os.preadv(fd, [memoryview(buffer)[:n]], off)
        self.assertEqual(got, max(0, min(n, self.size - off)), (off, n))
        self.assertEqual(buffer[:got], self.content[off:off + got], (off, n))

    def test_the_whole_is_what_the_command_prints(self):
        self.assertEqual(self.content.decode(), self.pls("follow", self.pool_file("big"), "--no-follow", "--jsonl"))

    def test_parts_in_any_order(self):
        fd, chance = self.direct(), random.Random(1)
        off = 0
        for _ in range(400):
            n = chance.choice((1, 100, 4096, 5000, 65536, 131072, 400000))
            off = chance.choice((off, off, off, off + chance.randrange(-9000, 9000), chance.randrange(self.size)))
            off = max(0, min(off, self.size))
            self.part(fd, off, n)
            off += n

    def test_on_and_on(self):
        for n in (4096, 4097, 131072, 300001, 1 << 20):
            fd = self.direct()
            for off in range(0, self.size + n, n):
                self.part(fd, off, n)

    def test_a_reader_who_stops_keeps_no_memory_from_writers(self):
        for n in range(2):  # before the large message
            self.part(self.direct(), n << 20, 1 << 20)
        self.assertEqual(json.loads(self.read(".plasmite/stats"))["held_bytes"], 0)

    def test_several_at_once(self):
        fd = self.direct()

        def run(seed):
            chance = random.Random(seed)
            off = chance.randrange(self.size)
            for _ in range(100):
                self.part(fd, off, 20000)
                off = (off + 20000) % self.size

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(run, range(4)))


class Info(mount.Case):
    def test_it_is_the_object_of_the_command_without_the_ages(self):
        self.mkpool("ci")
        self.append("ci/tag/x", {"n": 1}, {"n": 2})
        text = self.read("ci/info")
        self.assertEqual(text[-1], "\n")
        info, command = json.loads(text), json.loads(self.pls("pool", "info", "ci", "--json"))
        age = command["metrics"]["age"]
        del age["newest_age_ms"], age["oldest_age_ms"]
        del info["path"], command["path"]
        self.assertEqual(info, command)
        self.assertEqual((info["name"], info["bounds"]), ("ci", {"newest": 2, "oldest": 1}))
        self.assertEqual(self.run_ok("jq -r .bounds.newest ci/info"), "2\n")

    def test_it_changes_with_the_pool_and_only_then(self):
        self.mkpool("ci")
        one, status = self.read("ci/info"), os.stat(self.path("ci/info"))
        self.assertEqual((self.read("ci/info"), os.stat(self.path("ci/info"))), (one, status))
        self.pls("feed", "ci", '{"n":1}')
        self.assertEqual(json.loads(self.read("ci/info"))["bounds"], {"newest": 1, "oldest": 1})


if __name__ == "__main__":
    mount.main()
