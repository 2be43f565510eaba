"""Many readers, many writers, much data; and how long things take then. Runs alone: it measures times."""

import json
import os
import pathlib
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import DEADLINE, SLOW, datas, until


class Much(mount.Case):
    def test_cat_of_100_mb_of_json_lines(self):
        self.mkpool("ci", size="64M")
        line = '{"n":%07d,"level":"info","message":"the quick brown fox jumps over the lazy dog","ms":3.25}\n'
        count = 100_000_000 // len(line % 0) + 1
        with open(os.path.join(self.dir, "lines"), "w") as file:
            for n in range(1000000, 1000000 + count):
                file.write(line % n)
        self.assertGreater(os.path.getsize(os.path.join(self.dir, "lines")), 100_000_000)
        self.run_ok("cat ../lines > ci/append")
        info = json.loads(self.read("ci/info"))
        self.assertEqual(info["bounds"]["newest"], count)
        kept = info["bounds"]["newest"] - info["bounds"]["oldest"] + 1
        self.assertGreater(kept, 6500 * 60)
        # What the ring keeps are the last lines of the file, byte for byte.
        self.run_ok("cat ci/data/all > ../kept; tail -c $(stat -c %s ../kept) ../lines | cmp - ../kept")
        self.assertGreater(os.path.getsize(os.path.join(self.dir, "kept")), 30_000_000)
        self.assertEqual(self.run_ok("tail -n1 ci/data/all"), line % (1000000 + count - 1))

    def test_a_follower_gets_every_message_of_a_flood(self):
        self.mkpool("ci", size="64M")
        n = 200_000
        follower = self.start("exec head -n%d ci/data/follow > ../followed" % n)
        self.wait_blocked(follower)
        self.run_ok("""seq 1 %d | sed 's/.*/{"n":&}/' > ../lines; cat ../lines > ci/append""" % n)
        self.finish(follower, seconds=120)
        self.run_ok("cmp ../lines ../followed")


    def test_views_of_a_ring_that_is_overwritten_many_times_a_second(self):
        self.mkpool("hot", size="256K")
        script = (
            "import os\nfd = os.open('hot/append', os.O_WRONLY)\ntext = b'{\"x\":\"%s\"}' % (b'y' * 200) * 300\n"
            "while True: os.write(fd, text)"
        )
        writer = self.start(["/usr/bin/python3", "-c", script])
        until("it has wrapped", lambda: int(self.read("hot/stat/oldest")) > 5000)
        begin, first = time.monotonic(), int(self.read("hot/stat/newest"))
        for view in ("from/1", "tail", "last/300", "since/1h", "data/from/1") * 20:
            text = self.run_ok("cat hot/" + view)
            self.assertGreaterEqual(text.count("\n"), 10, view)
            self.assertTrue(text.endswith("}\n"), view)
            if not view.startswith("data"):
                numbers = mount.seqs(text)
                self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), view)
        turns = (int(self.read("hot/stat/newest")) - first) * 300 / 250_000 / (time.monotonic() - begin)
        self.assertGreater(turns, 2 / SLOW, "the writer was too slow to show anything")
        self.assertIsNone(writer.poll())
        self.kill(writer)


class Many(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci", size="16M")

    def median(self, call, times=101):
        taken = []
        for _ in range(times):
            begin = time.monotonic()
            call()
            taken.append(time.monotonic() - begin)
        return statistics.median(taken)

    def test_two_hundred_blocked_readers(self):
        readers = [self.start("exec head -n1 ci/follow") for _ in range(200)]
        for reader in readers:
            self.wait_blocked(reader)
        self.assertLess(self.median(lambda: os.stat(self.path("ci/tail"))), 0.010 * SLOW)
        self.assertLess(self.median(lambda: os.listdir(self.path("ci"))), 0.010 * SLOW)
        self.append("ci", {"n": 1})
        self.assertEqual({self.finish(reader) for reader in readers}, {self.read("ci/all")})

    def test_an_append_reaches_a_waiting_reader_soon(self):
        feeder = self.start(["pls", "feed", "ci"], stdin=-1)
        reader = self.start("exec cat ci/follow")
        self.wait_blocked(reader)
        for name, send in (
            ("the mount", lambda: self.append("ci", {"n": 1})),
            ("pls feed", lambda: (feeder.stdin.write(b'{"n":1}\n'), feeder.stdin.flush())),
        ):

            def there_and_back():
                self.wait_blocked(reader)
                send()
                self.assertTrue(reader.stdout.readline())

            self.assertLess(self.median(there_and_back, 51), 0.050 * SLOW, name)

    def test_messages_of_one_write_stay_together(self):
        """Four writers, each write holds several messages."""

        def write(writer):
            fd = os.open(self.path("ci/append"), os.O_WRONLY)
            for batch in range(300):
                text = b"".join(b'{"w":%d,"b":%d,"i":%d}\n' % (writer, batch, i) for i in range(1 + (batch * 7 + writer) % 20))
                assert os.write(fd, text) == len(text)
            os.close(fd)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        messages = [json.loads(text) for text in self.datas("ci")]
        place, batches = 0, {writer: 0 for writer in range(4)}
        while place < len(messages):
            writer, batch = messages[place]["w"], messages[place]["b"]
            self.assertEqual(batch, batches[writer])
            batches[writer] += 1
            size = 1 + (batch * 7 + writer) % 20
            self.assertEqual(messages[place:place + size], [{"w": writer, "b": batch, "i": i} for i in range(size)])
            place += size
        self.assertEqual(set(batches.values()), {300})

    def test_writers_and_followers_and_outsiders(self):
        """Writers through the mount and by the command; followers see all of it in one order."""
        followers = [self.start("exec head -n4000 ci/follow") for _ in range(4)]
        for follower in followers:
            self.wait_blocked(follower)
        outs = [None] * len(followers)

        def take(i):
            outs[i] = self.finish(followers[i], seconds=60)

        takers = [threading.Thread(target=take, args=(i,)) for i in range(len(followers))]
        for taker in takers:
            taker.start()
        loop = """for n in $(seq 1 1000); do echo "{\\"w\\":%d,\\"n\\":$n}"; done"""
        writers = [self.start((loop % 0) + " > ci/append"), self.start((loop % 1) + " >> ci/append"),
                   self.start((loop % 2) + " | pls feed ci > /dev/null"), self.start((loop % 3) + " | tee ci/append > /dev/null")]
        for writer in writers:
            self.finish(writer, seconds=60)
        for taker in takers:
            taker.join(DEADLINE)
        self.assertEqual(set(outs), {self.read("ci/all")})
        for w in range(4):
            self.assertEqual([n for v, n in map(wn, datas(outs[0])) if v == w], list(range(1, 1001)))

    def test_readers_come_and_go_by_the_hundred(self):
        """Readers killed at any moment beside a writer; one that stays misses nothing."""
        staying = self.start("exec cat ci/follow > ../stayed")
        self.wait_blocked(staying)
        enough = threading.Event()
        count = 0

        def write():
            nonlocal count
            fd = os.open(self.path("ci/append"), os.O_WRONLY)
            while not enough.wait(0.0005):
                count += 1
                os.write(fd, b'{"n":%d}' % count)
            os.close(fd)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for n in range(200):
                reader = self.start("exec cat ci/%s > /dev/null" % ("follow", "next", "live/since/1h", "data/follow")[n % 4])
                if n % 8 > 3:
                    until("it has begun to read", lambda: reader.poll() is not None or self.has_opened(reader))
                self.kill(reader)
        finally:
            enough.set()
            writer.join()
        self.wait_blocked(staying)
        stayed = pathlib.Path(self.dir, "stayed")
        until("everything has come", lambda: stayed.read_bytes().count(b"\n") >= count)
        self.assertEqual(datas(stayed.read_text()), ['{"n":%d}' % n for n in range(1, count + 1)])

    def has_opened(self, process):
        try:
            with os.scandir("/proc/%d/fd" % process.pid) as files:
                return any(os.readlink(file.path).startswith(self.mnt + "/") for file in files)
        except OSError:
            return False  # it has just ended, or closed one


def wn(text):
    item = json.loads(text)
    return item["w"], item["n"]


if __name__ == "__main__":
    mount.main()
