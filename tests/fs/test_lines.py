"""`lines`: plain text in, one message for each line, whatever the text is and however it is cut into writes."""

import errno
import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import close_quietly, envelopes, until

R = "\ufffd"


class LinesCase(mount.Case):
    def lines(self, view="all"):
        """The texts of all messages, each of which must be {"line":TEXT} and nothing else."""
        found = []
        for data in self.datas("ci", view):
            value = json.loads(data)
            self.assertEqual(list(value), ["line"])
            found.append(value["line"])
        return found

    def writer(self, name="ci/lines"):
        return self.open(name, os.O_WRONLY)


class Lines(LinesCase):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def test_every_line_is_a_message(self):
        self.run_ok(r"printf 'one\ntwo\n\n  three  \n' > ci/lines")
        self.assertEqual(self.lines(), ["one", "two", "", "  three  "])
        self.assertEqual(self.datas("ci")[0], '{"line":"one"}')

    def test_programs_that_print(self):
        for script, expected in (
            ("echo hello > ci/lines", ["hello"]),
            ("echo hello >> ci/lines", ["hello"]),
            ("seq 3 | tee ci/lines > /dev/null", ["1", "2", "3"]),
            ("{ echo a; echo b >&2; } > ci/lines 2>&1", ["a", "b"]),
            ("printf '1\n2\n' > ../file; cp ../file ci/lines", ["1", "2"]),
            ("printf 'x\ny\n' | dd of=ci/lines bs=1 status=none", ["x", "y"]),
            ("gawk 'BEGIN { print \"g\" > \"ci/lines\" }'", ["g"]),
            ("printf 'a\nb' | sponge ci/lines", ["a", "b"]),
            ("printf 'all: ; @echo made\n' > ../Makefile; make -s -f ../Makefile 2>&1 | tee ci/lines > /dev/null", ["made"]),
            ("rsync --inplace ../file ci/lines", ["1", "2"]),
            ("/usr/bin/python3 -c 'print(\"p\", file=open(\"ci/lines\", \"a\"))'", ["p"]),
        ):
            with self.subTest(script=script):
                before = len(self.lines())
                self.run_ok(script)
                # A file that was closed may be released a moment later.
                until("the lines are there", lambda: len(self.lines()) >= before + len(expected))
                self.assertEqual(self.lines()[before:], expected)

    def test_a_last_line_without_a_newline_is_taken_when_the_file_is_released(self):
        fd = self.writer()
        os.write(fd, b"first\nsec")
        self.assertEqual(self.lines(), ["first"])
        os.close(os.dup(fd))  # as a shell does after every redirection
        os.write(fd, b"ond")
        self.assertEqual(self.lines(), ["first"])
        os.close(fd)
        until("the rest is there", lambda: self.lines() == ["first", "second"])

    def test_the_rest_of_a_killed_writer_is_taken(self):
        process = self.start("exec > ci/lines; printf 'half a li'; exec sleep 1000 > ../out 2>&1 3>ci/lines")
        until("it was released", lambda: self.lines() == ["half a li"])
        second = self.start("exec 3> ci/lines; printf 'cut' >&3; echo > ../written; exec sleep 1000")
        until("it has written", lambda: os.path.exists(os.path.join(self.dir, "written")))
        self.assertEqual(len(self.lines()), 1)
        os.kill(second.pid, signal.SIGKILL)
        until("it was released", lambda: self.lines() == ["half a li", "cut"])
        self.kill(process)

    def test_the_rest_is_taken_when_the_mount_ends(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            for name in ("ci/lines", "ci/tag/x/lines"):
                with self.subTest(name=name, signal=number):
                    fd = os.open(self.path(name), os.O_WRONLY)
                    os.write(fd, b"whole\nhalf")
                    self.assertEqual(self.stop_daemon(number), 0, self.log())
                    close_quietly(fd)
                    self.mount()
                    self.assertEqual(self.lines("last/2"), ["whole", "half"])

    def test_a_line_may_come_byte_by_byte(self):
        fd = self.writer()
        for byte in "a\u00e9\u20ac\U0001f600\r\nb\n".encode():
            os.write(fd, bytes([byte]))
        self.assertEqual(self.lines(), ["a\u00e9\u20ac\U0001f600", "b"])

    def test_carriage_returns_before_the_newline_go(self):
        os.write(self.writer(), b"dos\r\n\r\n\r\r\r\na\rb\r\n")
        self.assertEqual(self.lines(), ["dos", "", "", "a\rb"])

    def test_any_byte_may_be_written(self):
        fd = self.writer()
        for line, expected in (
            (b"\xff\xfe", R + R), (b"caf\xe9", "caf" + R), (b"\xe2\x82", R), (b"\xe2\x82|\xac", R + "|" + R),
            (b"\xf0\x9f\x98\x80", "\U0001f600"), (b"\xf0\x9f\x98", R), (b"\xed\xa0\x80", R * 3), (b"\xc0\xaf", R * 2),
            (b"\xf4\x90\x80\x80", R * 4), (b"\x00\x01\x1f\x7f\t\"\\/", "\x00\x01\x1f\x7f\t\"\\/"),
            (b"a\xf1\x80\x80\xe1\x80\xc2b\x80c\x80\xbfd", "a" + R * 3 + "b" + R + "c" + R * 2 + "d"),
        ):
            with self.subTest(line=line):
                os.write(fd, line + b"\n")
                self.assertEqual(self.lines()[-1], expected)

    def test_json_is_text_here(self):
        self.append("ci", {"n": 1})
        line = self.read("ci/all")
        os.write(self.writer(), line.encode() + b'{"a":\n')
        self.assertEqual(self.datas("ci")[1:], [json.dumps({"line": line[:-1]}, separators=(",", ":")), '{"line":"{\\"a\\":"}'])

    def test_tags_of_the_path_are_given(self):
        self.run_ok("echo x > ci/tag/build/tag/prod/lines")
        self.assertEqual(envelopes(self.read("ci/all"))[0][2:], ('"build","prod"', '{"line":"x"}'))

    def test_there_are_no_lines_elsewhere(self):
        for name in ("ci/data/lines", "ci/data/tag/x/lines", "ci/tag/x/data/lines", "ci/live/lines", "ci/tag/x/live/lines", "lines"):
            with self.subTest(name=name):
                self.assert_errno(errno.ENOENT, os.stat, self.path(name))
        self.assertIn("lines", os.listdir(self.path("ci")))
        self.assertIn("lines", os.listdir(self.path("ci/tag/x")))
        self.assertNotIn("lines", os.listdir(self.path("ci/data")))

    def test_one_write_stays_together(self):
        script = "import os; fd = os.open('ci/lines', os.O_WRONLY)\nfor _ in range(100): os.write(fd, b'a\\nb\\nc\\n')"
        writers = [self.start(["/usr/bin/python3", "-c", script]) for _ in range(4)]
        for writer in writers:
            self.finish(writer)
        self.assertTrue(self.lines() == ["a", "b", "c"] * 400)

    def test_a_large_file(self):
        self.mkpool("big", size="64M")
        with open(os.path.join(self.dir, "text"), "wb") as file:
            for n in range(200_000):
                file.write(b"this is line number %d of a file that is not small\n" % n)
        self.run_ok("cat ../text > big/lines")
        self.assertEqual(self.datas("big", "last/1"), ['{"line":"this is line number 199999 of a file that is not small"}'])
        self.assertEqual(self.datas("big", "seq/1"), ['{"line":"this is line number 0 of a file that is not small"}'])

    def test_it_reads_as_an_empty_file(self):
        self.assertEqual(self.read("ci/lines"), "")
        self.assertEqual(os.stat(self.path("ci/lines")).st_size, 0)
        fd = self.open("ci/lines", os.O_RDWR)
        os.write(fd, b"x\n")
        self.assertEqual(os.read(fd, 100), b"")  # no receipts

    def test_fsync(self):
        fd = self.writer()
        os.write(fd, b"x\n")
        os.fsync(fd)
        fd = self.open("ci/lines", os.O_WRONLY | os.O_SYNC)
        os.write(fd, b"y\nz")
        os.close(fd)
        until("the rest is there", lambda: self.lines() == ["x", "y", "z"])


class TooLong(LinesCase):
    """A line that no message of the pool can hold."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci", size=65536)
        fd = self.writer()
        low, high = 1, 65536  # the longest line that is taken
        while low < high:
            middle = (low + high + 1) // 2
            if self.fits(fd, b"x" * middle + b"\n"):
                low = middle
            else:
                high = middle - 1
        self.longest = low
        os.write(fd, b"y" * 5000 + b"\nmark\n")  # finite views leave out what is about to be overwritten

    def fits(self, fd, text):
        try:
            return os.write(fd, text) == len(text)
        except OSError as error:
            self.assertEqual(error.errno, errno.EMSGSIZE)
            return False

    def test_the_limit(self):
        fd = self.writer()
        self.assert_errno(errno.EMSGSIZE, os.write, fd, b"x" * (self.longest + 1) + b"\n")
        self.assert_errno(errno.EMSGSIZE, os.write, fd, b"\x01" * (self.longest // 2) + b"\n")  # six bytes each
        self.assertEqual(self.lines("last/1"), ["mark"])
        os.write(fd, b"x" * self.longest + b"\n")
        self.assertTrue(self.lines("last/1") == ["x" * self.longest])

    def test_what_came_before_is_a_short_count(self):
        fd = self.writer()
        long = b"x" * (self.longest + 1) + b"\n"
        self.assertEqual(os.write(fd, b"a\nb\n" + long + b"c\n"), 4)
        self.assertEqual(self.lines("last/3"), ["mark", "a", "b"])
        self.assert_errno(errno.EMSGSIZE, os.write, fd, long + b"c\n")
        os.write(fd, b"d\n")
        self.assertEqual(self.lines("last/2"), ["b", "d"])

    def test_its_rest_is_refused_too(self):
        fd = self.writer()
        os.write(fd, b"x" * self.longest)
        self.assert_errno(errno.EMSGSIZE, os.write, fd, b"x" * 5000)
        self.assert_errno(errno.EMSGSIZE, os.write, fd, b"x" * 10)
        self.assertEqual(os.write(fd, b"end\nnext\n"), 9)
        self.assertEqual(self.lines("last/2"), ["mark", "next"])

    def test_nothing_is_left_of_it_at_the_end(self):
        fd = self.writer()
        self.assert_errno(errno.EMSGSIZE, os.write, fd, b"x" * (self.longest + 100))
        os.close(fd)
        self.run_ok("echo next > ci/lines")
        self.assertEqual(self.lines("last/2"), ["mark", "next"])

    def test_cat_says_so(self):
        with open(os.path.join(self.dir, "long"), "w") as file:
            file.write("short\n" + "x" * (self.longest + 1) + "\n")
        self.run_fails("cat ../long > ci/lines", 1, "cat: write error: Message too long")
        self.assertEqual(self.lines("last/2"), ["mark", "short"])


if __name__ == "__main__":
    mount.main()
