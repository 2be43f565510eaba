"""What is written into `append` becomes messages, whichever program writes it and however it cuts its writes."""

import errno
import json
import os
import pathlib
import select
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import envelopes, until

FIVE = ['{"n":%d}' % n for n in range(1, 6)]


class Writers(mount.Case):
    """Real programs; what they wrote is what the pool holds, nothing more."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def holds(self, script, *expected):
        self.run_ok(script)
        self.assertEqual(self.datas("ci"), list(expected), script)

    def five(self, script):
        """`script` moves the file five.jsonl into the pool."""
        with open(os.path.join(self.dir, "five.jsonl"), "w") as file:
            file.write("\n".join(FIVE) + "\n")
        self.holds(script.replace("FIVE", "../five.jsonl"), *FIVE)

    def test_echo_makes_one_message_in_the_one_form(self):
        self.run_ok("""echo '{"status":"green"}' > ci/append""")
        text = self.read("ci/all")
        ((seq, time, tags, data),) = envelopes(text)
        self.assertEqual((seq, tags, data), (1, "", '{"status":"green"}'))
        self.assertEqual(
            text, '{"seq":1,"time":"%s","meta":{"tags":[]},"data":{"status":"green"}}\n' % time
        )

    def test_echo_of_dash(self):
        self.holds("""dash -c "echo '{\\"a\\":1}' > ci/append" """, '{"a":1}')

    def test_appending_redirection(self):
        self.holds("""echo '{"a":1}' >> ci/append; echo '{"a":2}' >> ci/append""", '{"a":1}', '{"a":2}')

    def test_printf_without_newline(self):
        self.holds("""printf '%s' '{"a":1}' > ci/append""", '{"a":1}')

    def test_here_document_of_several_lines_and_values(self):
        self.holds('cat > ci/append <<END\n{\n  "a": 1\n}\n\n{"b":2} {"c":3}\n{"d"\n:4}\nEND', '{"a":1}', '{"b":2}', '{"c":3}', '{"d":4}')

    def test_pretty_printed_by_jq(self):
        self.holds("""echo '{"a":{"b":[1,2]}}{"c":3}' | jq . > ci/append""", '{"a":{"b":[1,2]}}', '{"c":3}')

    def test_record_separators_of_json_seq(self):
        self.holds(r"""printf '\036{"a":1}\n\036{"a":2}\n\036{"a":3}' > ci/append""", '{"a":1}', '{"a":2}', '{"a":3}')

    def test_python_json_dump_writes_many_pieces(self):
        self.holds(
            """/usr/bin/python3 -c 'import json
with open("ci/append", "w", buffering=1) as f: json.dump({"a": [1, {"b": None}], "c": "x\\n"}, f, indent=2)
with open("ci/append", "ab", buffering=0) as f:
    for piece in json.JSONEncoder().iterencode({"d": [1, 2]}): f.write(piece.encode())'""",
            '{"a":[1,{"b":null}],"c":"x\\n"}', '{"d":[1,2]}',
        )

    def test_python_logging(self):
        self.holds(
            """/usr/bin/python3 -c 'import logging
logging.basicConfig(filename="ci/append", format="{\\"level\\": \\"%(levelname)s\\", \\"msg\\": \\"%(message)s\\"}")
logging.warning("one"); logging.error("two")'""",
            '{"level":"WARNING","msg":"one"}', '{"level":"ERROR","msg":"two"}',
        )

    def test_cat(self):
        self.five("cat FIVE > ci/append")

    def test_tee(self):
        self.five("tee ci/append < FIVE > /dev/null")

    def test_tee_append(self):
        self.five("tee -a ci/append < FIVE > /dev/null")

    def test_cp(self):
        self.five("cp FIVE ci/append")

    def test_rsync_in_place(self):
        self.five("rsync --inplace FIVE ci/append")

    def test_sponge(self):
        self.five("sponge ci/append < FIVE")

    def test_gawk(self):
        self.five("""gawk '{ print > "ci/append" }' FIVE""")

    def test_mawk_appending(self):
        self.five("""mawk '{ print >> "ci/append" }' FIVE""")

    def test_sed_w(self):
        self.five("sed -n 'w ci/append' FIVE")

    def test_perl(self):
        self.five("""perl -ne 'BEGIN { open O, ">>", "ci/append" or die } print O $_; END { close O or die }' FIVE""")

    def test_jq_compact(self):
        self.five("jq -c . FIVE > ci/append")

    def test_dd(self):
        self.five("dd if=FIVE of=ci/append conv=notrunc status=none")

    def test_busybox(self):
        self.run_ok(
            """busybox sh -c 'echo "{\\"n\\":1}" > ci/append'
            echo '{"n":2}' | busybox tee ci/append > /dev/null
            echo '{"n":3}' > ../3; busybox cp ../3 ci/append
            echo '{"n":4}' | busybox dd of=ci/append 2> /dev/null
            echo '{"n":5}' | busybox cat > ci/append"""
        )
        self.assertEqual(self.datas("ci"), FIVE)

    def test_dd_with_odd_block_sizes(self):
        lines = ['{"n":%d,"text":"%s"}' % (n, "ä" * (n % 40)) for n in range(300)]
        with open(os.path.join(self.dir, "lines"), "w") as file:
            file.write("\n".join(lines))
        for sizes in ("bs=1", "bs=4093", "ibs=7 obs=13", "ibs=65537 obs=31", "ibs=3 obs=1000 oflag=append"):
            self.mkpool("dd")
            self.run_ok("dd if=../lines of=dd/append conv=notrunc status=none " + sizes)
            self.assertEqual(self.datas("dd"), lines, sizes)
            self.pls("pool", "delete", "dd")
            until("the pool is gone", lambda: not os.path.exists(self.path("dd")))

    def test_a_loop_of_the_shell_and_one_open_for_all_of_it(self):
        self.holds("""for n in 1 2 3 4 5; do echo "{\\"n\\":$n}"; done > ci/append""", *FIVE)

    def test_a_pool_name_with_spaces(self):
        self.run_ok("""mkdir 'my ci: "ä"'; echo '{"a":1}' > 'my ci: "ä"/append'""")
        self.assertEqual(self.datas('my ci: "ä"'), ['{"a":1}'])

    def test_tags_of_the_path(self):
        self.run_ok(
            """echo '{"n":1}' > ci/tag/a/append
            echo '{"n":2}' > ci/tag/a/tag/b/append
            echo '{"n":3}' > ci/tag/x%2Fy/append
            echo '{"n":4}' > ci/tag/100%/append
            echo '{"n":5}' > ci/tag/%2541/append
            echo '{"n":6}' > 'ci/tag/"q" ü/append'"""
        )
        tags = [json.loads("[%s]" % message[2]) for message in envelopes(self.read("ci/all"))]
        self.assertEqual(tags, [["a"], ["a", "b"], ["x/y"], ["100%"], ["%41"], ['"q" ü']])


class Framing(mount.Case):
    """Descriptors, writes and closes, one system call at a time."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def test_the_text_is_kept_but_for_white_space(self):
        self.append(
            "ci",
            ' \t{ "b" :18446744073709551616,\r\n"a": 1e400 , "a":3.10,\n"s":"\\u00e9é\\/ \\ud800","e":[ {}, [ ]] , "z":-0.0 } ',
        )
        kept = '{"b":18446744073709551616,"a":1e400,"a":3.10,"s":"\\u00e9é\\/ \\ud800","e":[{},[]],"z":-0.0}'
        self.assertEqual(self.datas("ci"), [kept])

    def test_a_value_is_there_when_its_last_byte_is(self):
        fd = self.open("ci/append", os.O_WRONLY)
        self.assertEqual(os.write(fd, b'{"a":'), 5)
        self.assertEqual(self.read("ci/all"), "")
        self.assertEqual(os.write(fd, b"1}"), 2)
        self.assertEqual(self.datas("ci"), ['{"a":1}'])
        self.assertEqual(os.write(fd, b'\n{"b":2}'), 8)
        self.assertEqual(self.datas("ci"), ['{"a":1}', '{"b":2}'])
        os.close(fd)
        self.assertEqual(self.datas("ci"), ['{"a":1}', '{"b":2}'])

    def test_byte_for_byte(self):
        fd = self.open("ci/append", os.O_WRONLY)
        for byte in '{"ä":"\\u00e4","n":[1.5e+3,true,null]}\n{}\n'.encode():
            self.assertEqual(os.write(fd, bytes([byte])), 1)
        self.assertEqual(self.datas("ci"), ['{"ä":"\\u00e4","n":[1.5e+3,true,null]}', "{}"])

    def test_a_message_larger_than_one_write_of_the_kernel(self):
        text = '{"text":"%s"}' % ("ä\\n" * 200_000)
        self.mkpool("big", size="4M")
        with open(os.path.join(self.dir, "big.json"), "w") as file:
            file.write(text)
        self.run_ok("cat ../big.json > big/append; cp ../big.json big/append; dd if=../big.json of=big/append bs=1M status=none")
        self.assertEqual(self.datas("big"), [text] * 3)

    def test_two_descriptors_never_interleave_inside_a_message(self):
        one, two = self.open("ci/append", os.O_WRONLY), self.open("ci/append", os.O_WRONLY)
        os.write(one, b'{"one":')
        os.write(two, b'{"two":')
        os.write(one, b"[1,")
        os.write(two, b"2}")
        os.write(one, b"1]}")
        self.assertEqual(self.datas("ci"), ['{"two":2}', '{"one":[1,1]}'])

    def test_one_batch_has_one_time(self):
        self.append("ci", '{"n":1}{"n":2}\n{"n":3}')
        self.assertEqual(len({message[1] for message in envelopes(self.read("ci/all"))}), 1)

    def test_a_duplicate_that_closes_does_not_end_the_value(self):
        self.run_ok("""exec 3> ci/append; printf '{"a":' >&3; printf '%s' '1}' >&3; exec 3>&-""")
        self.assertEqual(self.datas("ci"), ['{"a":1}'])

    def test_a_child_goes_on_with_the_descriptor(self):
        self.run_ok("""{ printf '{"a":'; bash -c "printf '1}'"; echo '{"a":2}'; } > ci/append""")
        self.assertEqual(self.datas("ci"), ['{"a":1}', '{"a":2}'])

    def test_a_killed_writer_leaves_nothing_unfinished(self):
        writer = self.start("""exec 3> ci/append; printf '{"whole":1}{"cut":' >&3; echo ready; exec sleep 1000""")
        self.assertEqual(writer.stdout.readline(), b"ready\n")
        self.kill(writer)
        self.append("ci", {"next": 1})
        self.assertEqual(self.datas("ci"), ['{"whole":1}', '{"next":1}'])

    def test_nothing_and_white_space_make_no_message(self):
        self.run_ok("""true > ci/append; : >> ci/append; printf ' \\n\\t\\r\\n' > ci/append; printf '\\036' > ci/append""")
        self.assertEqual(self.read("ci/all"), "")

    def test_truncation_is_accepted_and_changes_nothing(self):
        self.append("ci", {"a": 1})
        self.run_ok("truncate -s 0 ci/append; truncate -s 4096 ci/append; : > ci/append")
        fd = self.open("ci/append", os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
        os.ftruncate(fd, 0)
        os.ftruncate(fd, 12345)
        self.assertEqual(self.datas("ci"), ['{"a":1}'])
        self.assertEqual(os.stat(self.path("ci/append")).st_size, 0)

    def test_seeking_is_refused_as_on_a_pipe(self):
        fd = self.open("ci/append", os.O_WRONLY)
        self.assert_errno(errno.ESPIPE, os.lseek, fd, 0, os.SEEK_SET)
        self.assert_errno(errno.ESPIPE, os.lseek, fd, 0, os.SEEK_END)

    def test_syncing(self):
        fd = self.open("ci/append", os.O_WRONLY)
        os.write(fd, b'{"a":1}')
        os.fsync(fd)
        os.fdatasync(fd)
        self.run_ok("""echo '{"a":2}' | dd of=ci/append oflag=sync status=none; echo '{"a":3}' | dd of=ci/append oflag=dsync conv=fsync status=none""")
        self.assertEqual(self.datas("ci"), ['{"a":1}', '{"a":2}', '{"a":3}'])

    def test_reading_it_gives_nothing(self):
        self.append("ci", {"a": 1})
        self.assertEqual(self.run_ok("cat ci/append; wc -c < ci/append; cmp ci/append /dev/null"), "0\n")


class Receipts(mount.Case):
    """A descriptor open for both ways gives a receipt for each message."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def receipts(self, view="ci/all"):
        """What the receipts of all messages must be: the messages without their data."""
        return [
            '{"seq":%d,"time":"%s","meta":{"tags":[%s]}}\n' % (seq, time, tags)
            for seq, time, tags, _ in envelopes(self.read(view))
        ]

    def test_bash(self):
        out = self.run_ok("""exec 3<> ci/append; echo '{"a":1}' >&3; read -r r <&3; echo "$r"; echo '{"a":2}{"a":3}' >&3
            read -r r <&3; echo "$r"; read -r r <&3; echo "$r"; read -r r <&3; echo "$? [$r]" """)
        self.assertEqual(out, "".join(self.receipts()) + "1 []\n")
        self.assertEqual(self.datas("ci"), ['{"a":1}', '{"a":2}', '{"a":3}'])

    def test_python(self):
        with open(self.path("ci/tag/x/append"), "r+b", buffering=0) as file:
            file.write(b'{"a":1}\n')
            self.assertEqual(file.read(4096).decode(), self.receipts()[0])
            self.assertEqual(file.read(4096), b"")
        self.assertIn('"tags":["x"]', self.receipts()[0])

    def test_small_reads_lose_nothing(self):
        fd = self.open("ci/append", os.O_RDWR)
        os.write(fd, b'{"a":1}{"a":2}')
        text = b""
        while piece := os.read(fd, 7):
            text += piece
        self.assertEqual(text.decode(), "".join(self.receipts()))

    def test_only_the_newest_1024_are_kept(self):
        fd = self.open("ci/append", os.O_RDWR)
        os.write(fd, b"{}" * 1100)
        text = b""
        while piece := os.read(fd, 1 << 16):
            text += piece
        self.assertEqual(text.decode(), "".join(self.receipts()[-1024:]))

    def test_each_descriptor_gets_its_own(self):
        one, two = self.open("ci/append", os.O_RDWR), self.open("ci/append", os.O_RDWR)
        os.write(one, b'{"a":1}')
        os.write(two, b'{"a":2}')
        self.assertEqual(os.read(two, 4096).decode(), self.receipts()[1])
        self.assertEqual(os.read(one, 4096).decode(), self.receipts()[0])

    def test_poll_tells_of_them(self):
        fd = self.open("ci/append", os.O_RDWR)
        poll = select.poll()
        poll.register(fd, select.POLLIN | select.POLLOUT)
        self.assertEqual(poll.poll(0), [(fd, select.POLLOUT)])
        os.write(fd, b'{"a":1}')
        self.assertEqual(poll.poll(0), [(fd, select.POLLIN | select.POLLOUT)])
        os.read(fd, 4096)
        self.assertEqual(poll.poll(0), [(fd, select.POLLOUT)])


class Interrupted(mount.Case):
    def test_a_writer_that_is_stopped_and_continued_loses_nothing(self):
        self.mkpool("ci", size="4M")
        writer = self.start("""seq 1 20000 | sed 's/.*/{"n":&}/' | dd of=ci/append bs=100 iflag=fullblock status=none""")
        for _ in range(20):
            for number in (signal.SIGSTOP, signal.SIGCONT):
                try:
                    os.killpg(writer.pid, number)
                except ProcessLookupError:
                    break
        self.finish(writer)
        self.assertEqual(self.datas("ci"), ['{"n":%d}' % n for n in range(1, 20001)])


if __name__ == "__main__":
    mount.main()
