import json
import os
import subprocess
import threading
import time
import unittest

import harness


class Losses(harness.Case):
    """Readers that are slower than writers."""

    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def fill(self, n=300):
        """Twice what the pool keeps, by default."""
        self.ok("feed", "demo", stdin="".join('{"x":%d,"pad":"%s"}\n' % (i, "p" * 8192) for i in range(n)))

    def start_unread(self, *args, ready=None):
        """A follower whose output nobody reads yet; ready: what it waits in, when it is at its place."""
        process = harness.Process.__new__(harness.Process)
        process.popen = subprocess.Popen(self.argv(*args), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, env=self.env)
        process.pid = process.popen.pid
        process.err = harness.Stream(process.popen.stderr)
        process.out = None
        harness.wait_until(lambda: self.waits_in(process.pid, ready), "the follower waits")
        self.addCleanup(self.stop_unread, process)
        return process

    @staticmethod
    def stop_unread(process):
        if process.out is None:
            process.out = harness.Stream(process.popen.stdout)
        process.stop()

    @staticmethod
    def waits_in(pid, ready):
        calls = {"wait": ("202", "449", "98"), "write": ("1", "64"), "poll": ("271", "73")}
        try:
            with open("/proc/%d/syscall" % pid) as file:
                return file.read().split()[0] in calls[ready]
        except (OSError, IndexError):
            return False

    def read_now(self, process):
        process.out = harness.Stream(process.popen.stdout)

    def check_drop(self, line):
        notice = json.loads(line)["notice"]
        self.assertEqual((notice["kind"], notice["cmd"], notice["pool"]), ("drop", "follow", "demo"))
        details = notice["details"]
        self.assertEqual(set(details), {"dropped_count", "last_seen_seq", "next_seen_seq", "pool_path"})
        self.assertEqual(details["pool_path"], os.path.join(self.pools, "demo.plasmite"))
        self.assertLessEqual(details["dropped_count"], details["next_seen_seq"] - details["last_seen_seq"] - 1)
        self.assertGreater(details["dropped_count"], 0)
        self.assertEqual(notice["message"], "dropped %d messages" % details["dropped_count"])
        return details

    def test_slow_reader__learns_it_while_nothing_more_comes(self):  # 11.2, 25
        follow = self.start_unread("follow", "demo", "--jsonl", ready="wait")
        ended = threading.Event()

        def read_slowly():
            while not ended.wait(0.5):
                byte = b""
                while byte != b"\n":
                    byte = os.read(follow.popen.stdout.fileno(), 1)

        thread = threading.Thread(target=read_slowly)
        thread.start()
        try:
            for i in range(200):
                self.ok("feed", "demo", '{"x":%d,"pad":"%s"}' % (i, "p" * 8192))
            self.check_drop(follow.err.line(15))
        finally:
            ended.set()
            thread.join()

    def test_messages_after_a_loss__come_in_order_and_once(self):
        for extra in ([], ["--no-notify"]):
            follow = self.start_unread("follow", "demo", "--jsonl", *extra, ready="poll" if extra else "wait")
            newest = self.ok("pool", "info", "demo").json()["bounds"].get("newest", 0) + 300
            self.fill()
            self.read_now(follow)
            details = self.check_drop(follow.err.line())
            seqs = []
            while not seqs or seqs[-1] < newest:
                seqs.append(follow.json_line()["seq"])
            self.assertEqual(seqs, sorted(set(seqs)))
            before = [seq for seq in seqs if seq < details["next_seen_seq"]]
            self.assertEqual(before[-1:], [details["last_seen_seq"]] if before else [])

    def test_duplex__tells_it_too(self):
        duplex = self.start_unread("duplex", "demo", ready="wait")
        self.fill()
        self.read_now(duplex)
        self.check_drop(duplex.err.line())  # it follows there
        duplex.close_stdin()
        self.assertEqual(duplex.wait(), 2)  # it was given nothing to send
        self.assertEqual(json.loads(duplex.out.rest().splitlines()[-1])["seq"], 300)

    def test_a_tail__begins_behind_damage(self):
        name, finite = self.damaged(3), ("--tail", "5", "--no-follow")
        for words in finite, (*finite, "--where", "true"), ("--tail", "5", "--replay", "0"):
            result = self.run_pls("follow", name, *words)
            self.assertEqual((result.rc, [m["seq"] for m in result.json_lines()]), (7, [4, 5, 6]), words)
            notice, error = [json.loads(line) for line in result.err.splitlines()]
            self.assertEqual((notice["notice"]["kind"], notice["notice"]["cmd"], notice["notice"]["details"]["seq"]),
                             ("damage", "follow", 3))
            self.assertEqual(notice["notice"]["message"], "message 3 is damaged: the last ones begin behind it")
            self.assertEqual((error["error"]["kind"], error["error"]["seq"]), ("Corrupt", 3))
            self.assertEqual(error["error"]["offset"], notice["notice"]["details"]["offset"])
        result = self.run_pls("follow", name, *finite, "--quiet-drops")
        self.assertEqual((result.rc, len(result.err.splitlines())), (7, 1))
        self.assertEqual(self.ok("follow", name, "--tail", "3", "--no-follow").err, "")  # all that was asked for is there
        self.assertEqual(self.refused("Corrupt", "follow", name, "--no-follow")["seq"], 3)
        follow = self.start_asleep("follow", name, "--tail", "5")
        self.ok("feed", name, "{}")
        self.assertEqual([follow.json_line()["seq"] for i in range(4)], [4, 5, 6, 7])
        self.assertEqual(json.loads(follow.err.line())["notice"]["kind"], "damage")

    def test_quiet_drops(self):
        follow = self.start_unread("follow", "demo", "--quiet-drops", "--timeout", "200ms", ready="wait")
        self.fill()
        self.read_now(follow)
        self.assertEqual(follow.wait(), 124)
        seqs = [json.loads(line)["seq"] for line in follow.out.rest().splitlines()]
        self.assertLess(len(seqs), 300)
        self.assertEqual((seqs[-1], follow.err.rest()), (300, ""))

    def test_counts__are_of_what_was_never_printed(self):
        follow = self.start_unread("follow", "demo", "--jsonl", ready="wait")
        self.read_now(follow)
        for i in range(8):  # more losses than notices, and messages printed between them
            follow.signal(harness.signal.SIGSTOP)
            harness.wait_until(lambda: self.is_stopped(follow.pid), "it is stopped")
            self.fill(140)
            follow.signal(harness.signal.SIGCONT)
            seq = 0
            while seq < 140 * (i + 1):
                seq = follow.json_line()["seq"]
        printed, lost = len(follow.out.seen().splitlines()), 0
        while lost < 140 * 8 - printed:
            lost += self.check_drop(follow.err.line())["dropped_count"]
        self.assertEqual(lost, 140 * 8 - printed)

    def test_notices__are_merged_within_a_second(self):
        follow = self.start_unread("follow", "demo", "--tag", "never", ready="wait")
        begin = time.monotonic()
        for _ in range(6):  # it is stopped in each round, so that each round is a gap
            follow.signal(harness.signal.SIGSTOP)
            harness.wait_until(lambda: self.is_stopped(follow.pid), "it is stopped")
            self.fill(140)
            follow.signal(harness.signal.SIGCONT)
            harness.wait_until(lambda: self.waits_in(follow.pid, "wait"), "it has caught up")
        seen, notices = 0, 0
        while seen < 700:
            details = self.check_drop(follow.err.line())
            self.assertGreaterEqual(details["last_seen_seq"], seen)
            seen = details["next_seen_seq"]
            notices += 1
        self.assertLessEqual(notices, time.monotonic() - begin + 1)

    @staticmethod
    def is_stopped(pid):
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"

    def test_finite_read__that_loses_some_exits_9(self):
        self.fill(100)
        follow = self.start_unread("follow", "demo", "--no-follow", "--jsonl", ready="write")
        self.fill(80)  # 53 or so of the first hundred stay
        self.read_now(follow)
        self.assertEqual(follow.wait(), 9)
        notice, error = follow.err.rest().splitlines()
        details = self.check_drop(notice)
        error = json.loads(error)["error"]
        self.assertEqual((error["kind"], error["seq"]), ("RetentionGap", details["last_seen_seq"] + 1))
        seqs = [json.loads(line)["seq"] for line in follow.out.rest().splitlines()]
        self.assertEqual(seqs, list(range(1, details["last_seen_seq"] + 1)) + list(range(details["next_seen_seq"], 101)))

    def test_finite_read__of_a_pool_that_is_deleted(self):
        self.fill(100)
        follow = self.start_unread("follow", "demo", "--no-follow", "--jsonl", ready="write")
        self.ok("pool", "delete", "demo")
        self.ok("pool", "create", "demo")
        self.read_now(follow)
        self.assertEqual(follow.wait(), 3)
        self.assertEqual(len(follow.out.rest().splitlines()), 100)
        self.assertEqual(json.loads(follow.err.rest())["error"]["kind"], "NotFound")

    def test_from__below_the_oldest_begins_with_a_notice(self):
        self.fill()
        result = self.run_pls("follow", "demo", "--from", "1", "--no-follow")
        notice, error = result.err.splitlines()
        first = result.json_lines()[0]["seq"]
        details = self.check_drop(notice)
        self.assertEqual((details["last_seen_seq"], details["next_seen_seq"]), (0, first))
        self.assertEqual(json.loads(error)["error"]["kind"], "RetentionGap")
        self.assertEqual((result.rc, result.json_lines()[-1]["seq"]), (9, 300))
        quiet = self.run_pls("follow", "demo", "--from", "0", "--no-follow", "--quiet-drops")
        self.assertEqual((quiet.rc, quiet.error()["kind"]), (9, "RetentionGap"))
        live = self.run_pls("follow", "demo", "--from", "1", "--timeout", "0ms")
        self.assertEqual((live.rc, live.out), (124, result.out))
        self.check_drop(live.err)
        rc, shown = self.terminal("follow", "demo", "--from", str(first - 2), "--one", "--data-only", "--jsonl", "--color", "never")
        notice, message = shown.splitlines()
        self.assertEqual((rc, notice), (0, "notice: dropped 2 messages (pool: demo)"))
        self.assertTrue(message.startswith('{"x":'))

    def test_all_that_is_there__is_no_loss(self):
        self.fill()
        for start in ([], ["--tail", "500"], ["--since", "1h"], ["--since", "1h..0s"]):
            result = self.ok("follow", "demo", "--no-follow", *start)
            self.assertEqual(result.json_lines()[-1]["seq"], 300)

    def test_ring_that_is_full__is_not_shown_again(self):  # 12.2, 8
        for size in range(780, 1000, 8):  # four messages fill the ring to the last byte at one of them
            self.ok("feed", "full%d" % size, "--create-size", "8K", stdin='{"p":"%s"}\n' % ("p" * size) * 9)
            result = self.run_pls("follow", "full%d" % size, "--timeout", "0ms")
            self.assertEqual((result.rc, result.out, result.err), (124, "", ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
