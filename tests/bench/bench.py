#!/usr/bin/python3
"""How fast it is, each thing beside the floor it could reach at best, in one table.

    cmake --build build/release --target bench
    python3 tests/bench/bench.py --bin build/release/bin [--rounds N] [--only NAME] [--dir DIR] [--quick]

Each lane measures its floor and ours in turn, several times. Shown are the medians, and of the ratio (the share of the floor's
speed that is reached) the median and its range. An aim that is missed does not fail the run: the numbers depend on the
machine. What cannot run does: exit status 1, or 77 when all that is missing is /dev/fuse or a second CPU.
"""

import argparse
import json
import math
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

GIB = 1 << 30
ROOM = 3 * GIB  # two rings of 1 GiB and the rest
TIMEOUT = 600  # seconds for one lane: far more than any takes
NOT_HERE = 77
FEED_LINE_BYTES = 97
FILTERS = {"tag": "a tag", "equal": "a number", "logic": "and, or", "string": "startswith", "regex": "test", "fallback": "libjq"}
PLACES = {"same": "same CPU", "apart": "different CPUs"}


class NotHere(Exception):
    """What this machine lacks."""


class Failed(Exception):
    """Why a lane gave no numbers."""


class Lane:
    """A row: its name, what it measures (a function of a Bench that returns rounds and notes), its unit and its aim.

    A round is (ours, floor): nanoseconds for one operation, or a count for the unit `kept`.
    """

    def __init__(self, name, title, measure, unit, aim=None):
        self.name, self.title, self.measure, self.unit, self.aim = name, title, measure, unit, aim


def si(number):
    """1234567 as 1.23M: three digits that count."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return "%.3g%s" % (number / factor, letter) if number < 1000 * factor else "%.0f%s" % (number / factor, letter)
    return "%.3g" % number


def shown(unit, value):
    """A measured value in the unit of its lane."""
    if unit == "kept":
        return "%.0f/MiB" % value
    if unit == "us":
        return "%.2f us" % (value / 1e3)
    return si(1e9 / value) + "/s"


def ratio(unit, ours, floor):
    return ours / floor if unit == "kept" else floor / ours


# An aim: its text, and whether the medians (ours, floor, ratio) reach it.


def aim_ratio(least):
    return ("%g of the floor" % least if least < 1 else "%g times" % least), lambda ours, floor, share: share >= least


def aim_rate(least):
    return si(least) + "/s", lambda ours, floor, share: 1e9 / ours >= least


def aim_us(most):
    return "under %g us" % most, lambda ours, floor, share: ours / 1e3 < most


def aim_times(most, what):
    return "%g times %s" % (most, what), lambda ours, floor, share: ours <= most * floor


def aim_kept(least):
    return "%d/MiB" % least, lambda ours, floor, share: ours >= least


class Bench:
    def __init__(self, options, folder):
        self.bin = os.path.abspath(options.bin)
        self.rounds = options.rounds
        self.quick = options.quick
        self.dir = folder
        self.mounts = None

    def program(self, name):
        path = os.path.join(self.bin, name)
        if not os.access(path, os.X_OK):
            raise Failed("%s is missing; build it first" % path)
        return path

    def count(self, n, least=1):
        """Operations a round: fewer when quick."""
        return str(max(least, n // 50) if self.quick else n)

    def run(self, arguments, **options):
        try:
            done = subprocess.run(
                arguments, stdin=options.pop("stdin", subprocess.DEVNULL), stdout=options.pop("stdout", subprocess.PIPE),
                stderr=subprocess.PIPE, timeout=TIMEOUT, text=True, check=False, **options
            )
        except subprocess.TimeoutExpired:
            raise Failed("%s did not end within %d s" % (" ".join(arguments), TIMEOUT)) from None
        if done.returncode != 0:
            raise Failed("%s ended with %d: %s" % (" ".join(arguments), done.returncode, done.stderr.strip()))
        return done.stdout

    def rounds_of(self, name, *arguments):
        """Runs one of our C programs: (rounds, notes)."""
        text = self.run([self.program(name)] + [str(a) for a in arguments])
        lines = text.splitlines()
        notes = [line[len("note "):] for line in lines if line.startswith("note ")]
        rounds = [tuple(map(float, line.split())) for line in lines if not line.startswith("note ")]
        return rounds, notes

    # What is measured

    def gate(self, form, n, size):
        return self.rounds_of("bench_gate", form, self.rounds, self.count(n), size)

    def filter(self, lane, beside, n, size):
        return self.rounds_of("bench_filter", lane, beside, self.rounds, self.count(n), size)

    def append(self, way, n, size):
        return self.rounds_of("bench_append", way, self.dir, self.rounds, self.count(n), size)

    def read(self, way, n, size, pool_bytes):
        if self.quick:
            pool_bytes = min(pool_bytes, 16 << 20)
        return self.rounds_of("bench_read", way, self.dir, self.rounds, self.count(n), size, pool_bytes)

    def wake(self, place, n):
        need_cpus(place)
        return self.rounds_of("bench_wake", place, self.dir, self.rounds, self.count(n))

    def pipe(self, n):
        return self.rounds_of("bench_pipe", self.program("plasmite"), self.dir, self.rounds, self.count(n))

    def cli(self, way, *arguments):
        empty = [self.program("bench_empty")] if way in ("one", "first") else []
        return self.rounds_of("bench_cli", way, self.program("plasmite"), *empty, self.dir, self.rounds, *arguments)

    def feed(self, lines):
        """All of `feed < file`, the start of the program included."""
        lines = int(self.count(lines))
        plasmite, floor = self.program("plasmite"), self.program("bench_append")
        file = os.path.join(self.dir, "lines")
        pool = os.path.join(self.dir, "feed.plasmite")
        write_lines(file, lines)
        self.run([plasmite, "pool", "create", "--size", "64M", pool])
        rounds = []
        for _ in range(self.rounds + 1):
            least = timed(lambda: self.run([floor, "feed-floor", self.dir, file, str(FEED_LINE_BYTES)]))
            with open(file, "rb") as text, open(os.devnull, "wb") as null:
                ours = timed(lambda: self.run([plasmite, "feed", pool], stdin=text, stdout=null))
            rounds.append((ours / lines * 1e9, least / lines * 1e9))
        check_fed(self.run([plasmite, "pool", "info", pool]), lines * (self.rounds + 1))
        os.unlink(file)
        os.unlink(pool)
        return rounds[1:], []  # the first one has made the pages

    def mount(self, lane, place, n):
        need_cpus(place)
        if self.mounts is None:
            self.mounts = Mounts(self)
        self.mounts.check()
        return self.rounds_of(
            "bench_mount", lane, place, self.mounts.ours, self.mounts.floor, self.mounts.pools, self.rounds, self.count(n)
        )

    def close(self):
        if self.mounts is not None:
            self.mounts.close()


def need_cpus(place):
    if place == "apart" and len(os.sched_getaffinity(0)) < 2:
        raise NotHere("this machine has one CPU")


def timed(work):
    start = time.monotonic()
    work()
    return time.monotonic() - start


def write_lines(path, n):
    """Lines of 97 bytes and a newline, all different."""
    with open(path, "w") as file:
        for i in range(n):
            start = '{"id":%d,"level":"info","service":"checkout","latency_ms":%d.5,"ok":true,"msg":"' % (i, i % 900)
            file.write(start + "request served from cache"[: FEED_LINE_BYTES - 2 - len(start)].ljust(
                FEED_LINE_BYTES - 2 - len(start), "x") + '"}\n')


def check_fed(info, n):
    """A rate of messages that were not stored would be no rate."""
    newest = json.loads(info)["bounds"]["newest"]
    if newest != n:
        raise Failed("%d lines were fed, and the newest message is %r" % (n, newest))


class Mounts:
    """The mount of two pools and the empty file system, each with its daemon on the second CPU."""

    def __init__(self, bench):
        if not os.path.exists("/dev/fuse"):
            raise NotHere("there is no /dev/fuse here")
        self.daemons = []
        self.ours = os.path.join(bench.dir, "ours")
        self.floor = os.path.join(bench.dir, "empty")
        self.pools = pools = os.path.join(bench.dir, "pools")
        for folder in (self.ours, self.floor, pools):
            os.mkdir(folder)
        self.failure = None
        try:
            plasmite = bench.program("plasmite")
            bench.program("plasmite-fs")
            self._start([bench.program("bench_fusefs"), self.floor], self.floor)
            for name in "ab":
                path = os.path.join(pools, name + ".plasmite")
                bench.run([plasmite, "pool", "create", "--size", "64M", path])
            self._start([plasmite, "mount", "-f", pools, self.ours], self.ours)
        except Failed as failure:
            self.failure = failure

    def check(self):
        """Every lane says why it cannot run, not only the first."""
        if self.failure is not None:
            raise self.failure

    def _start(self, command, point):
        cpus = sorted(os.sched_getaffinity(0))
        before = os.stat(point).st_dev
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpus[min(1, len(cpus) - 1)]}),
        )
        self.daemons.append((daemon, point))
        end = time.monotonic() + 30
        while not (os.stat(point).st_dev != before and os.path.exists(os.path.join(point, "a", "append"))):
            if daemon.poll() is not None:
                raise Failed("%s ended with %d: %s" % (" ".join(command), daemon.returncode, daemon.stderr.read().decode()))
            if time.monotonic() > end:
                raise Failed("%s does not mount anything" % " ".join(command))
            time.sleep(0.005)

    def close(self):
        for daemon, point in self.daemons:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
            daemon.stderr.close()
            if os.path.ismount(point):
                subprocess.run(["fusermount3", "-uz", point], check=False)


def lanes():
    yield Lane("gate.100", "gate, 100 B, beside jansson", lambda b: b.gate("compact", 2000000, 100), "rate", aim_ratio(20))
    yield Lane("gate.1k", "gate, 1 KB, beside jansson", lambda b: b.gate("compact", 400000, 1024), "rate", aim_ratio(20))
    yield Lane("gate.pretty", "gate, 1 KB indented, beside jansson", lambda b: b.gate("pretty", 400000, 1024), "rate",
               aim_ratio(20))
    yield Lane("gate.64k", "gate, 64 KB, beside jansson", lambda b: b.gate("compact", 8000, 65536), "rate", aim_ratio(20))
    for what in ("tag", "equal", "logic", "string", "regex", "fallback"):
        for size, words in ((100, "100 B"), (1024, "1 KB"), (65536, "64 KB")):
            n = max(200, 100000000 // (size + 100) // (50 if what == "fallback" else 1))
            yield Lane("filter.%s.%d" % (what, size), "filter: %s, %s, beside the gate" % (FILTERS[what], words),
                       lambda b, w=what, k=n, s=size: b.filter(w, "gate", k, s), "rate",
                       aim_ratio(0.8) if what == "equal" else None)
    for size, words in ((100, "100 B"), (1024, "1 KB"), (65536, "64 KB")):
        yield Lane("filter.libjq.%d" % size, "filter: %s, %s, beside libjq" % (FILTERS["equal"], words),
                   lambda b, k=max(400, 20000000 // (size + 100)), s=size: b.filter("equal", "libjq", k, s), "rate", aim_ratio(20))
    yield Lane("filter.first", "filter: from its text to its first answer", lambda b: b.filter("first", "gate", 20000, 100), "us",
               aim_us(1000))
    yield Lane("append.100", "append 100 B, one by one", lambda b: b.append("single", 1000000, 100), "rate", aim_ratio(0.6))
    yield Lane("append.1k", "append 1 KB, one by one", lambda b: b.append("single", 300000, 1024), "rate")
    yield Lane("batch.100", "append 100 B, in batches", lambda b: b.append("batch", 1000000, 100), "rate")
    yield Lane("batch.1k", "append 1 KB, in batches", lambda b: b.append("batch", 300000, 1024), "rate")
    yield Lane("feed", "1 M lines of 97 B, feed < file", lambda b: b.feed(1000000), "rate", aim_rate(1.5e6))
    yield Lane("cli.feed", "lines of 97 B, feed < file, beside the engine", lambda b: b.cli("feed", b.count(1000000)), "rate",
               aim_ratio(0.6))
    yield Lane("cli.one", "feed of one message, beside an empty program", lambda b: b.cli("one", b.count(500, 10)), "us",
               aim_times(1.5, "the floor"))
    yield Lane("cli.first", "first byte of follow --tail 10, pool of 64 MiB", lambda b: b.cli("first", b.count(300, 10)), "us",
               aim_us(3000))
    yield Lane("cli.follow", "follow --jsonl of 64 MiB into a pipe, bytes", lambda b: b.cli("follow"), "rate", aim_rate(1e9))
    yield Lane("read.100", "read on, 100 B", lambda b: b.read("read", 2000000, 100, 64 << 20), "rate")
    yield Lane("read.1k", "read on, 1 KB", lambda b: b.read("read", 500000, 1024, 64 << 20), "rate")
    yield Lane("get.100", "get by seq, 100 B, pool of 64 MiB", lambda b: b.read("get", 500000, 100, 64 << 20), "us")
    yield Lane("get.1k", "get by seq, 1 KB, pool of 64 MiB", lambda b: b.read("get", 300000, 1024, 64 << 20), "us")
    yield Lane("get.1g", "get by seq, 100 B, pool of 1 GiB", lambda b: b.read("get", 200000, 100, GIB), "us", aim_us(10))
    yield Lane("seek.1g", "seek by time, 100 B, pool of 1 GiB", lambda b: b.read("seek", 200000, 100, GIB), "us", aim_us(10))
    yield Lane("kept.1m", "messages of 97 B kept, 1 MiB", lambda b: b.read("density", 1, 97, 1 << 20), "kept", aim_kept(6500))
    yield Lane("kept.64m", "messages of 97 B kept, 64 MiB", lambda b: b.read("density", 1, 97, 64 << 20), "kept",
               aim_kept(6500))
    for place, words in PLACES.items():
        yield Lane("wake." + place, "wake another process, " + words, lambda b, p=place: b.wake(p, 10000), "us")
    yield Lane("pipe", "stdin of feed to stdout of follow, p50", lambda b: b.pipe(3000), "us", aim_us(150))
    for lane, title, n, unit, aim in (
            ("echo", "mount: echo > append", 5000, "us", None),
            ("write", "mount: write 100 B", 20000, "us", aim_ratio(0.9)),
            ("bulk", "mount: lines of 100 B, 64 KiB a write", 1000000, "rate", aim_rate(3e6)),
            ("view", "mount: cat all of 64 MiB, bytes", 1, "rate", aim_ratio(0.85)),
            ("text", "mount: beside text in memory, bytes", 1, "rate", None),
            ("again", "mount: the same unchanged, bytes", 1, "rate", aim_ratio(0.85)),
            ("follow", "mount: write to blocked follow, p50", 5000, "us", aim_ratio(0.83)),
            ("other", "mount: a program's append to follow, p50", 5000, "us", aim_ratio(0.83))):
        for place, words in PLACES.items():
            yield Lane("mount.%s.%s" % (lane, place), "%s, %s" % (title, words),
                       lambda b, i=lane, p=place, k=n: b.mount(i, p, k), unit, aim)


# The table


HEAD = "%-53s %12s %12s  %-22s %s"


def row(lane, rounds):
    if not rounds or not all(math.isfinite(x) and x > 0 for pair in rounds for x in pair):
        raise Failed("no numbers: %r" % (rounds,))
    ours = statistics.median(pair[0] for pair in rounds)
    floor = statistics.median(pair[1] for pair in rounds)
    shares = sorted(ratio(lane.unit, *pair) for pair in rounds)
    share = statistics.median(shares)
    verdict = ""
    if lane.aim is not None:
        text, reached = lane.aim
        verdict = "%s: %s" % (text, "met" if reached(ours, floor, share) else "MISSED")
    spread = "%.2f (%.2f..%.2f)" % (share, shares[0], shares[-1])
    return HEAD % (lane.title, shown(lane.unit, ours), shown(lane.unit, floor), spread, verdict)


def cpu_model():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def file_system(path):
    out = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", path], stdout=subprocess.PIPE, text=True, check=False)
    return out.stdout.split()[-1] if out.stdout.split() else "unknown file system"  # mounted over: the last one counts


def print_head(bench):
    print("%s, %d CPUs, Linux %s" % (cpu_model(), len(os.sched_getaffinity(0)), platform.release()))
    print("files in %s (%s), %d rounds%s, load %.1f" % (
        bench.dir, file_system(bench.dir), bench.rounds, ", QUICK (little work, pools of 16 MiB at most): the numbers mean little" if bench.quick else "",
        os.getloadavg()[0]))
    print("Ratio: the share of the floor's speed reached, median (least..most of the rounds).")
    print("CPUs: threads of one lane on the same or on different CPUs as its line says; of the others the kernel decides.\n")
    print(HEAD % ("", "ours", "floor", "ratio", "aim"))


def run_lanes(bench, only):
    """Prints the table; (lanes that failed, lanes this machine cannot run)."""
    failed = absent = 0
    notes = []
    for lane in lanes():
        if only is not None and not lane.name.startswith(only):
            continue
        try:
            rounds, more = lane.measure(bench)
            print(row(lane, rounds), flush=True)
            notes += ["%s: %s" % (lane.title, note) for note in more]
        except NotHere as reason:
            absent += 1
            print("%-53s not run: %s" % (lane.title, reason), flush=True)
        except Failed as reason:
            failed += 1
            print("%-53s FAILED: %s" % (lane.title, reason), flush=True)
    print("\n" + "\n".join(notes) if notes else "")
    return failed, absent


def room_at(path):
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return 0


def choose_dir(options):
    if options.dir is not None:
        return options.dir
    return "/dev/shm" if room_at("/dev/shm") >= ROOM and os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


def parse():
    names = ", ".join(lane.name for lane in lanes())
    parser = argparse.ArgumentParser(description="Each lane of the engine, the programs and the mount beside its floor.")
    parser.add_argument("--bin", required=True, help="folder of the built programs")
    parser.add_argument("--rounds", type=int, help="floor and ours in turn, so many times (5; quick: 2)")
    parser.add_argument("--only", metavar="NAME", help="lanes whose name begins so: " + names)
    parser.add_argument("--dir", help="where pools are made (/dev/shm with 3 GiB free, else the temporary directory)")
    parser.add_argument("--quick", action="store_true", help="under a minute; shows that every lane runs, not how fast")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    if options.only is not None and not any(lane.name.startswith(options.only) for lane in lanes()):
        parser.error("no lane begins with %s; there are: %s" % (options.only, names))
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parent = choose_dir(options)
    if not options.quick and room_at(parent) < ROOM:
        sys.exit("%s has less than %d GiB free; --dir names another folder" % (parent, ROOM // GIB))
    with tempfile.TemporaryDirectory(prefix="plasmite-bench-", dir=parent) as folder:
        bench = Bench(options, folder)
        print_head(bench)
        try:
            failed, absent = run_lanes(bench, options.only)
        finally:
            bench.close()
    if failed > 0:
        print("%d lanes failed" % failed)
        return 1
    return NOT_HERE if absent > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
