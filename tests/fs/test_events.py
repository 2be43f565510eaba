"""Pools that come and go, as a stream: .plasmite/events."""

import errno
import json
import os
import pathlib
import select
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import until


class Events(mount.Case):
    def follow(self):
        """A reader at its place; its lines go to a file."""
        reader = self.start("cat .plasmite/events > ../events")
        self.wait_blocked(reader)
        return reader

    def seen(self):
        with open(os.path.join(self.dir, "events")) as file:
            return [json.loads(line) for line in file]

    def wait_for(self, *expected):
        until("the events are there", lambda: len(self.seen()) >= len(expected))
        self.assertEqual([(event["event"], event.get("pool")) for event in self.seen()], list(expected))

    def test_whoever_does_it(self):
        self.follow()
        self.mkpool("ci")
        os.rmdir(self.path("ci"))
        self.pls("pool", "create", "other")
        self.pls("pool", "delete", "other")
        self.wait_for(("create", "ci"), ("delete", "ci"), ("create", "other"), ("delete", "other"))
        for event in self.seen():
            self.assertEqual(list(event), ["event", "pool", "time"])
            mount.time_ns(event["time"])

    def test_the_text(self):
        self.follow()
        self.pls("pool", "create", 'a"b')
        self.wait_for(("create", 'a"b'))
        with open(os.path.join(self.dir, "events")) as file:
            self.assertRegex(file.read(), r'^\{"event":"create","pool":"a\\"b","time":"[-0-9T:.]+Z"\}\n$')

    def test_a_renamed_file(self):
        self.mkpool("a")
        self.follow()
        os.rename(self.pool_file("a"), self.pool_file("b"))
        self.wait_for(("delete", "a"), ("create", "b"))

    def test_what_is_no_pool_is_no_event(self):
        self.follow()
        for name in ("x", "x.txt", ".plasmite", ".hidden.plasmite.tmp"):
            with open(os.path.join(self.pools, name), "w"):
                pass
        self.mkpool("ci")
        self.wait_for(("create", "ci"))

    def test_a_ci_gate(self):
        gate = self.start("grep -m1 '\"pool\":\"ready\"' .plasmite/events | cut -c1-33")
        self.wait_blocked(gate)
        self.mkpool("other", "ready")
        self.assertEqual(self.finish(gate), '{"event":"create","pool":"ready",\n')

    def test_things_are_as_the_event_says(self):
        reader = self.start("""head -n2 .plasmite/events | while read -r e; do ls; done""")
        self.wait_blocked(reader)
        self.pls("pool", "create", "ci")
        self.pls("pool", "delete", "ci")
        lines = self.finish(reader).split()
        self.assertEqual(lines[-1], "README")

    def test_poll_and_nonblocking_reads(self):
        fd = self.open(".plasmite/live/events", os.O_RDONLY | os.O_NONBLOCK)
        self.assert_errno(errno.EAGAIN, os.read, fd, 100)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        self.assertEqual(poll.poll(0), [])
        self.mkpool("ci")
        self.assertEqual(poll.poll(1000 * mount.DEADLINE), [(fd, select.POLLIN)])
        self.assertTrue(os.read(fd, 1000).startswith(b'{"event":"create","pool":"ci"'))
        self.assert_errno(errno.EAGAIN, os.read, fd, 100)

    def test_many_are_delivered_whole(self):
        fd = self.open(".plasmite/live/events")
        for n in range(100):
            os.mkdir(self.path("p%d" % n))
        text = b""
        while text.count(b"\n") < 100:
            piece = os.read(fd, 300)
            self.assertTrue(piece.endswith(b"}\n"))
            text += piece
        self.assertEqual([json.loads(line)["pool"] for line in text.splitlines()], ["p%d" % n for n in range(100)])

    def test_walkers_do_not_block(self):
        self.mkpool("ci")
        self.run_ok("find . -type f | grep -c . > /dev/null; grep -r nothing_of_this_kind . || true; du -a . > /dev/null")
        self.assertNotIn("live", os.listdir(self.path(".plasmite")))
        self.assertEqual(os.readlink(self.path(".plasmite/events")), "live/events")

    def test_the_mount_ends(self):
        reader = self.start("cat .plasmite/events")
        self.wait_blocked(reader)
        self.assertEqual(self.stop_daemon(), 0)
        self.finish(reader, status=1, stderr="cat: .plasmite/events: Software caused connection abort\n")


if __name__ == "__main__":
    mount.main()
