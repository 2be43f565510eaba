"""What is not a message is refused by write() or close(), with the errno that names why, and is never stored."""

import errno
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount

BAD = [
    '{"a":}', '{"a":1,}', "{'a':1}", '{"a":01}', '{"a":1 "b":2}', '{"a":tru}', '{"a":"\n"}', '{"a":"\\x"}', "{a:1}",
    '{"a":+1}', '{"a":.5}', '{"a":1.}', '{"a":[1,]}', '{"a":NaN}', '{"a":\x00}', "{]", '{"a":"\t"}',
]
NOT_OBJECTS = ["[1]", "42", '"text"', "null", "true", "hello", "-", "}", "\ufeff{}", "\x00", "# comment", "<xml/>"]


class Refused(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def assert_empty(self):
        self.assertEqual(self.read("ci/all"), "")
        self.assertEqual(json.loads(self.read("ci/info"))["metrics"]["message_count"], 0)

    def refused(self, text, number=errno.EBADMSG):
        """One write() on a descriptor of its own."""
        fd = os.open(self.path("ci/append"), os.O_WRONLY)
        try:
            with self.assertRaises(OSError, msg=repr(text)) as caught:
                os.write(fd, text)
            self.assertEqual(caught.exception.errno, number, repr(text[:100]))
        finally:
            os.close(fd)

    def test_what_is_not_json(self):
        for text in BAD:
            with self.subTest(text=text):
                self.refused(text.encode())
        self.assert_empty()

    def test_what_is_not_an_object(self):
        for text in NOT_OBJECTS:
            with self.subTest(text=text):
                self.refused(text.encode())
        self.assert_empty()

    def test_what_is_not_utf8(self):
        for bytes_ in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf8\x88\x80\x80\x80"):
            with self.subTest(bytes=bytes_):
                self.refused(b'{"a":"' + bytes_ + b'"}')
        self.assert_empty()

    def test_nesting_has_a_limit(self):
        self.append("ci", '{"a":' + "[" * 119 + "]" * 119 + "}")
        self.refused(b'{"a":' + b"[" * 120 + b"]" * 120 + b"}")
        self.refused(b'{"a":' * 100_000)
        self.assertEqual(len(self.datas("ci")), 1)

    def test_what_the_shells_say(self):
        for script in ("echo '{\"a\":}' > ci/append", "printf '%s' hello > ci/append"):
            self.run_fails(script, 1, "write error: Bad message")
        self.run_fails("""dash -c 'echo "[1]" > ci/append'""", 1, "I/O error")
        self.assert_empty()

    def test_what_programs_say(self):
        with open(os.path.join(self.dir, "bad"), "w") as file:
            file.write('{"a":\n')
            file.write('"b" "c"}\n')
        for script, status, complaint in (
            ("cat ../bad > ci/append", 1, "cat: write error: Bad message"),
            ("cp ../bad ci/append", 1, "cp: error writing 'ci/append': Bad message"),
            ("tee ci/append < ../bad", 1, "tee: ci/append: Bad message"),
            ("dd if=../bad of=ci/append status=none", 1, "dd: error writing 'ci/append': Bad message"),
            ("sponge ci/append < ../bad", 1, "Bad message"),
            ("perl -pe 'BEGIN { $| = 1 } END { close STDOUT or die $! }' < ../bad > ci/append", None, "Bad message"),
            ("gawk '{ print; fflush() }' ../bad > ci/append", 2, "Bad message"),
            ("jq -cn '[1]' > ci/append", 2, "Bad message"),
            ("busybox cp ../bad ci/append", 1, "Bad message"),
            ("rsync --inplace ../bad ci/append", 11, "Bad message"),
            ("/usr/bin/python3 -c 'with open(\"ci/append\", \"w\") as f: f.write(\"[1]\")'", 1, "OSError: [Errno 74] Bad message"),
        ):
            with self.subTest(script=script):
                self.run_fails(script, status, complaint)
        self.assert_empty()

    def test_an_unfinished_value_is_told_at_close(self):
        with open(os.path.join(self.dir, "cut"), "w") as file:
            file.write('{"whole":1}\n{"cut":')
        for script, complaint in (
            ("cat ../cut > ci/append", "cat: write error: Bad message"),
            ("cp ../cut ci/append", "cp: failed to close 'ci/append': Bad message"),
            ("tee ci/append < ../cut", "tee: ci/append: Bad message"),
            ("dd if=../cut of=ci/append status=none", "dd: closing output file 'ci/append': Bad message"),
            ("busybox cp ../cut ci/append", "Bad message"),
            ("/usr/bin/python3 -c 'open(\"ci/append\", \"w\").close(); f = open(\"ci/append\", \"wb\", 0); "
             "f.write(b\"{\\\"whole\\\":1}{\"); f.close()'", "OSError: [Errno 74] Bad message"),
        ):
            with self.subTest(script=script):
                self.run_fails(script, 1, complaint)
        self.assertEqual(self.datas("ci"), ['{"whole":1}'] * 6)

    def test_an_unfinished_echo_stores_nothing(self):
        self.run_ok("""echo '{"a":1' > ci/append""")  # the shells look at no error of close()
        self.assert_empty()

    def test_an_unfinished_value_is_told_once(self):
        fd = os.open(self.path("ci/append"), os.O_WRONLY)
        os.write(fd, b'{"a":')
        self.assert_errno(errno.EBADMSG, os.close, os.dup(fd))
        os.close(fd)
        self.assert_empty()

    def test_good_messages_before_the_bad_byte_are_stored_and_counted(self):
        fd = self.open("ci/append", os.O_WRONLY)
        text = b'{"a":1}\n{"b":2} {"c":}\n{"d":4}\n'
        n = os.write(fd, text)
        self.assertEqual(text[:n], b'{"a":1}\n{"b":2}')
        self.assertEqual(self.datas("ci"), ['{"a":1}', '{"b":2}'])
        self.assert_errno(errno.EBADMSG, os.write, fd, text[n:])
        self.assertEqual(self.datas("ci"), ['{"a":1}', '{"b":2}'])

    def test_one_brace_too_many(self):
        fd = self.open("ci/append", os.O_WRONLY)
        self.assertEqual(os.write(fd, b'{"a":1}}'), 7)
        self.assert_errno(errno.EBADMSG, os.write, fd, b"}")
        self.assertEqual(self.datas("ci"), ['{"a":1}'])

    def test_the_next_line_after_an_error_is_taken(self):
        fd = self.open("ci/append", os.O_WRONLY)
        self.assert_errno(errno.EBADMSG, os.write, fd, b'{"a":}\n')
        os.write(fd, b'{"b":2}\n')
        self.assert_errno(errno.EBADMSG, os.write, fd, b'{"a":} {"inside":1}')
        os.write(fd, b'\n{"c":3}\n')
        self.assert_errno(errno.EBADMSG, os.write, fd, b"hello\n")
        os.write(fd, b'\x1e{"d":4}')
        self.assertEqual(self.datas("ci"), ['{"b":2}', '{"c":3}', '{"d":4}'])

    def test_the_inside_of_a_broken_document_does_not_enter(self):
        fd = self.open("ci/append", os.O_WRONLY)
        self.assert_errno(errno.EBADMSG, os.write, fd, b'{\n  "a": oops,\n')
        for inside in (b'  "b": {"x":1},\n', b'  "c": [\n    {"y":2}\n', b"  ]\n", b"}\n"):
            self.assert_errno(errno.EBADMSG, os.write, fd, inside)
        os.write(fd, b'{"whole":1}\n')
        self.assertEqual(self.datas("ci"), ['{"whole":1}'])

    def test_a_skipped_rest_and_the_next_message_in_one_write(self):
        fd = self.open("ci/append", os.O_WRONLY)
        self.assert_errno(errno.EBADMSG, os.write, fd, b"[1,")
        text = b'2]\n{"a":1}\n'
        self.assertEqual(os.write(fd, text), len(text))
        self.assertEqual(self.datas("ci"), ['{"a":1}'])

    def test_one_writers_error_is_not_anothers(self):
        bad, good = self.open("ci/append", os.O_WRONLY), self.open("ci/append", os.O_WRONLY)
        self.assert_errno(errno.EBADMSG, os.write, bad, b"oops")
        os.write(good, b'{"a":1}')
        self.assertEqual(self.datas("ci"), ['{"a":1}'])

    def test_a_message_shape_with_a_wrong_type_inside(self):
        shape = '{"seq":%s,"time":%s,"meta":%s,"data":%s}'
        for parts in (
            ("1.5", '"2026-01-01T00:00:00Z"', '{"tags":[]}', "{}"), ("1", '"yesterday"', '{"tags":[]}', "{}"),
            ("1", '"2026-01-01T00:00:00Z"', '{"tags":[1]}', "{}"), ("1", '"2026-01-01T00:00:00Z"', '{"tags":[]}', "[]"),
        ):
            with self.subTest(parts=parts):
                self.refused((shape % parts).encode())
        self.assert_empty()


class TooLarge(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("small", size=8192)

    def test_the_largest_message_fits_and_one_byte_more_does_not(self):
        limit = json.loads(self.pls("pool", "info", "small", "--json"))["ring_size"] - 72
        fits = '{"a":"%s"}' % ("x" * (limit - 8))
        self.assertEqual(len(fits), limit)
        self.append("small", fits)
        self.assertEqual(self.datas("small"), [fits])
        fd = self.open("small/append", os.O_WRONLY)
        self.assert_errno(errno.EMSGSIZE, os.write, fd, fits.replace("x", "xx", 1).encode())
        self.assertEqual(self.datas("small"), [fits])

    def test_what_cat_says(self):
        with open(os.path.join(self.dir, "large"), "w") as file:
            file.write('{"a":"%s"}\n' % ("x" * 3_000_000))
        self.run_fails("cat ../large > small/append", 1, "cat: write error: Message too long")
        self.assertEqual(self.read("small/all"), "")
        self.run_ok("""echo '{"a":1}' > small/append""")
        self.assertEqual(self.datas("small"), ['{"a":1}'])

    def test_an_endless_value_is_refused_early(self):
        self.run_fails("""{ printf '{"a":"'; yes xxxxxxxxxxxxxxx | tr -d '\\n'; } > small/append""", 1, "Message too long")
        self.assertEqual(self.read("small/all"), "")


if __name__ == "__main__":
    mount.main()
