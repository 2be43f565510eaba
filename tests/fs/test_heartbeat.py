"""A mount with heartbeats: whoever waits for longer sees a blank line, between messages and never within one."""

import os
import pathlib
import select
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import datas


class Heartbeat(mount.Case):
    mount_options = "heartbeat=1"

    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def test_every_file_that_waits(self):
        names = ("ci/follow", "ci/next", "ci/data/follow", "ci/tag/x/live/since/1h", "ci/where/.data.n/follow", ".plasmite/events")
        readers = [self.start(["head", "-n2", name]) for name in names]
        for reader in readers:
            self.assertEqual(self.finish(reader), "\n\n")

    def test_messages_come_whole_and_in_order_between_them(self):
        reader = self.start("exec cat ci/follow")
        expected = ""
        for n in range(3):
            self.assertEqual(reader.stdout.readline(), b"\n")
            self.append("ci", {"n": n, "long": "x" * 200_000})  # more than cat reads at once
            line = reader.stdout.readline().decode()
            while line == "\n":
                line = reader.stdout.readline().decode()
            expected += line
        self.assertEqual(expected, self.read("ci/all"))

    def test_the_message_ends_next(self):
        reader = self.start("exec cat ci/next")
        self.assertEqual(reader.stdout.readline(), b"\n")
        self.append("ci", {"n": 1})
        self.assertEqual(datas(self.finish(reader).lstrip("\n")), ['{"n":1}'])

    def test_programs_that_pass_over_them(self):
        for script in (
            "jq --unbuffered -c .data ci/follow | head -n1; true",
            "exec grep -m1 -o '{\"n\":1}' ci/follow",
            "while read -r m; do [ -n \"$m\" ] && break; done < ci/follow; echo \"$m\" | jq -c .data",
            "exec /usr/bin/python3 -c 'import json\nprint(next(\"{\\\"n\\\":%d}\" % json.loads(m)[\"data\"][\"n\"] "
            "for m in open(\"ci/follow\") if m.strip()))'",
        ):
            with self.subTest(script=script):
                watch = self.open("ci/follow")
                reader = self.start(script)
                self.wait_blocked(reader)
                self.assertEqual(os.read(watch, 100), b"\n")  # so the other one has seen one, or is about to
                self.assertEqual(os.read(watch, 100), b"\n")
                self.append("ci", {"n": 1})
                line = reader.stdout.readline()
                self.append("ci", {"end": 1})
                self.assertEqual(self.finish(reader, stderr=None), "")
                self.assertEqual(line, b'{"n":1}\n')

    def test_a_pipe_that_nobody_reads_ends_without_a_message(self):
        self.assertEqual(self.run_ok("cat ci/follow | head -n1"), "\n")  # bash waits for cat, too

    def test_pauses_of_a_replay(self):
        self.append("ci", {"n": 1})
        first = self.open("ci/follow")
        os.read(first, 10)
        self.append("ci", {"n": 2})  # more than a second later; at a third of the pace more than three
        out = self.run_ok("cat ci/data/replay/0.3/from/1")
        self.assertRegex(out, r'^\{"n":1\}\n\n{2,}\{"n":2\}\n$')

    def test_seeking_back_over_one(self):
        fd = self.open("ci/follow")
        self.assertEqual(os.read(fd, 10), b"\n")
        os.lseek(fd, -1, os.SEEK_CUR)
        self.assertEqual(os.read(fd, 10), b"\n")

    def test_whoever_does_not_wait_in_read_sees_none(self):
        fd = self.open("ci/follow", os.O_RDONLY | os.O_NONBLOCK)
        other = self.open("ci/follow")
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        for _ in range(2):
            self.assertEqual(os.read(other, 10), b"\n")
            self.assertEqual(poll.poll(0), [])
        self.assertRaises(BlockingIOError, os.read, fd, 10)

    def test_finite_files_have_none(self):
        self.append("ci", {"n": 1})
        reader = self.start("exec cat ci/follow")
        self.assertEqual(reader.stdout.readline(), b"\n")
        self.assertEqual(self.run_ok("cat ci/all ci/tail ci/log | grep -c '^$'; true"), "0\n")


if __name__ == "__main__":
    mount.main()
