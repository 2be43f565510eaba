"""Whatever reads files can follow a pool: each program waits, gets every message whole and once, and ends as it always does."""

import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
import terminal
from mount import until

THREE = ['{"n":%d}\n' % n for n in range(1, 4)]
ALL = "".join(THREE)
PYTHON = "/usr/bin/python3 -c 'import os, sys\n%s'"
NODE = "node -e 'const fs = require(\"fs\"), readline = require(\"readline\"); %s'"


class Table(mount.Case):
    """One mount and one pool for many programs."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci", size="1M")

    def has_opened(self, process):
        for pid in self.pids(process):
            try:
                with os.scandir("/proc/%d/fd" % pid) as files:
                    if any("/live/" in os.readlink(file.path) for file in files):
                        return True
            except OSError:
                pass  # it has just ended, or closed one
        return False

    def wait_open(self, process):
        """The place is fixed when the file is opened."""
        until("%s has opened it" % process.command, lambda: process.poll() is not None or self.has_opened(process))

    def release(self, process):
        """Those at the left of a pipe end with the next message, or the one after that."""
        def has_ended():
            self.append("ci", {"end": 0})
            return process.poll() is not None and not self.pids(process)

        until("%s ends, and what it has started" % process.command, has_ended)

    def reads(self, rows, wait=None):
        for script, expected in rows:
            with self.subTest(script=script):
                reader = self.start(script)
                (wait or self.wait_blocked)(reader)
                self.append("ci", *THREE)
                if "|" in script or "node" in script:
                    self.release(reader)
                self.assertEqual(self.finish(reader), expected)


class Blocking(Table):
    def test_tools(self):
        self.reads(
            (
                ("head -n3 ci/data/follow", ALL),
                ("head -c%d ci/data/follow" % len(ALL), ALL),
                ("cat ci/data/follow | head -n3", ALL),
                ("cat < ci/data/follow | head -n2", "".join(THREE[:2])),
                ("cat ci/data/follow | cat -A | head -n1", '{"n":1}$\n'),
                ("sed -u 3q ci/data/follow", ALL),
                ("sed -n '/3/{p;q}' ci/data/follow", THREE[2]),
                ("sed -u s/n/m/ ci/data/follow | head -n3", ALL.replace("n", "m")),
                ("grep -m1 2 ci/data/follow", THREE[1]),
                ("grep --line-buffered '[230]' ci/data/follow | head -n2", "".join(THREE[1:])),
                ("grep -c -m3 n ci/data/follow", "3\n"),
                ("grep -q 3 ci/data/follow; echo $?", "0\n"),
                ("gawk '{ print } NR == 3 { exit }' ci/data/follow", ALL),
                ("gawk 'BEGIN { while ((getline line < \"ci/data/follow\") > 0) { print line; if (++n == 3) exit } }'", ALL),
                ("mawk -W interactive '{ print } NR == 3 { exit }' ci/data/follow", ALL),
                ("busybox awk '{ print } NR == 3 { exit }' ci/data/follow", ALL),
                ("jq --unbuffered -c . ci/data/follow | head -n3", ALL),
                ("jq -nc 'first(inputs | select(.n == 2))' ci/data/follow | head -n1", THREE[1]),
                ("jq -nc --unbuffered '[input, input, input]' ci/data/follow | head -n1", '[{"n":1},{"n":2},{"n":3}]\n'),
                ("jq --stream -nc --unbuffered 'input' ci/data/follow | head -n1", '[["n"],1]\n'),
                ("cut -b2-4 < <(head -n3 ci/data/follow)", '"n"\n' * 3),
                ("head -n3 ci/data/follow | tr -d '{}'", '"n":1\n"n":2\n"n":3\n'),
                ("dd if=ci/data/follow bs=%d count=1 iflag=fullblock status=none" % len(ALL), ALL),
                ("dd if=ci/data/follow bs=1 count=%d status=none" % len(ALL), ALL),
                ("tee ../copy < ci/data/follow | head -n3", ALL),
                ("head -n3 ci/data/follow | xargs -d '\\n' -n1 echo got", "".join("got " + line for line in THREE)),
                ("cat ci/data/follow | xargs -d '\\n' -I L sh -c 'echo \"$1\"; case $1 in *3*) exit 255; esac' - L 2> ../xargs | cat", ALL),
                ("stdbuf -oL nl -ba -w1 -s: ci/data/follow | head -n3", "".join("%d:%s" % (n, line) for n, line in enumerate(THREE, 1))),
                ("ts X < ci/data/follow | head -n3", "".join("X " + line for line in THREE)),
                ("od -An -c -N4 ci/data/follow", '   {   "   n   "\n'),
                ("stdbuf -oL tail -n+1 ci/data/follow | head -n3", ALL),
                ("busybox head -n3 ci/data/follow; busybox true", ALL),
                ("busybox sed 3q ci/data/follow | cat", ALL),
                ("busybox grep -m1 3 ci/data/follow", THREE[2]),
                ("busybox cat ci/data/follow | busybox head -n3", ALL),
                ("timeout 30 head -n3 ci/data/follow; echo $?", ALL + "0\n"),
                ("nice stdbuf -i0 head -n3 ci/data/follow", ALL),
                ("paste -s -d, <(head -n3 ci/data/follow)", ",".join(ALL.split()) + "\n"),
                ("curl -sN file://$PWD/ci/data/follow | head -n3", ALL),
                ("while cat ci/data/next; do case $((++i)) in 3) break; esac; done | head -n1", THREE[0]),
            )
        )

    def test_shells(self):
        loop = "%s -c 'n=0; while read -r m; do echo \"$m\"; n=$((n+1)); [ $n -lt 3 ] || break; done < ci/data/follow'"
        self.reads(
            [(loop % shell, ALL) for shell in ("bash", "bash --posix", "dash", "zsh")]
            + [
                ("mapfile -n3 lines < ci/data/follow; printf %s \"${lines[@]}\"", ALL),
                ("exec 3< ci/data/follow; for i in 1 2 3; do read -r -u3 m; echo $m; done", ALL),
                ("while IFS= read -r m; do echo \"$m\"; [[ $m != *3* ]] || break; done < <(cat ci/data/follow)", ALL),
                ("cat ci/data/follow | while read -r m; do echo $m; [[ $m != *3* ]] || break; done", ALL),
                ("read -r -t 30 m < ci/data/follow; echo $? $m", "0 " + THREE[0]),
                ("read -r -N 5 m < ci/data/follow; echo \"$m\"", '{"n":\n'),
                ("{ read -r a; head -n1; read -r b; } < ci/data/follow; echo $a; echo $b", THREE[1] + THREE[0] + THREE[2]),
                ("select_one() { read -r m; echo $m; }; select_one < ci/data/follow; echo $(head -n1 ci/data/seq/1)", THREE[0] * 2),
                ("fish -c 'read -l m < ci/data/follow; echo $m'", THREE[0]),
                ("zsh -c 'exec 3< ci/data/follow; for i in 1 2 3; do IFS= read -r -u3 m; print -r -- $m; done'", ALL),
            ],
        )

    def test_perl(self):
        self.reads(
            [("perl -e '%s' ci/data/follow" % script, ALL) for script in (
                'while (<>) { print; last if $. == 3 }',
                'open my $f, "<", "ci/data/follow" or die; print scalar <$f> for 1 .. 3',
                '$| = 1; open my $f, "<", "ci/data/follow" or die; for (1 .. 3) { sysread $f, my $x, 8 or die; print $x }',
                'open my $f, "<", "ci/data/follow" or die; read $f, my $x, %d or die; print $x' % len(ALL),
                'use IO::File; my $f = IO::File->new("ci/data/follow", "r") or die; print $f->getline for 1 .. 3',
                'open my $p, "-|", "cat ci/data/follow" or die; print scalar <$p> for 1 .. 3; kill "TERM", $$ if 0; exec "true"',
            )]
        )

    def test_python(self):
        self.reads(
            [(PYTHON % script, ALL) for script in (
                'f = open("ci/data/follow"); [print(f.readline(), end="") for _ in range(3)]',
                'f = open("ci/data/follow"); print(*[next(f) for _ in range(3)], sep="", end="")',
                'for n, line in enumerate(open("ci/data/follow"), 1):\n print(line, end="")\n if n == 3: break',
                'import fileinput\nfor line in fileinput.input("ci/data/follow"):\n print(line, end="")\n if "3" in line: break',
                'f = open("ci/data/follow", "rb", buffering=0); [os.write(1, f.read(8)) for _ in range(3)]',
                'f = open("ci/data/follow", "rb"); [os.write(1, f.readline()) for _ in range(3)]',
                'f = open("ci/data/follow", "rb"); print(f.read(%d).decode(), end="")' % len(ALL),
                'f = open("ci/data/follow", "rb"); [os.write(1, f.read1(8)) for _ in range(3)]',
                'fd = os.open("ci/data/follow", os.O_RDONLY); [os.write(1, os.read(fd, 8)) for _ in range(3)]',
                'sys.stdin = open("ci/data/follow"); [print(input()) for _ in range(3)]',
                'import asyncio\nf = open("ci/data/follow")\nasync def go(): [print(await asyncio.to_thread(f.readline), end="") for _ in range(3)]\nasyncio.run(go())',
            )]
            + [(PYTHON % "[print(next(sys.stdin), end='') for _ in range(3)]".replace("'", '"') + " < ci/data/follow", ALL)]
        )

    def test_node(self):
        """When it exits, node waits for a read that is under way."""
        take = 'let n = 0; const line = l => { console.log(l); if (++n == 3) process.exit() }; '
        self.reads(
            [(NODE % (take + script), ALL) for script in (
                'readline.createInterface({input: fs.createReadStream("ci/data/follow")}).on("line", line)',
                '(async () => { for await (const l of readline.createInterface({input: fs.createReadStream("ci/data/follow")})) line(l) })()',
                'fs.createReadStream("ci/data/follow", "utf8").on("data", t => t.match(/.+/g).forEach(line))',
                'fs.promises.open("ci/data/follow").then(async f => { for await (const l of f.readLines()) line(l) })',
                'const f = fs.openSync("ci/data/follow"), b = Buffer.alloc(8); for (;;) line(b.toString("utf8", 0, fs.readSync(f, b) - 1))',
            )]
            + [(NODE % (take + 'readline.createInterface({input: process.stdin}).on("line", line)') + " < ci/data/follow", ALL)]
        )


class Polling(Table):
    """Those that ask first whether there is something."""

    def test_programs(self):
        self.reads(
            (
                ("socat -u OPEN:ci/data/follow - 2> ../socat | head -n3", ALL),
                ("socat -u OPEN:ci/data/follow,nonblock - 2> ../socat | head -n3", ALL),
                ("busybox sh -c 'exec 3< ci/data/follow; for i in 1 2 3; do read -r m <&3; echo $m; done'", ALL),
                ("zsh -c 'exec 3< ci/data/follow; for i in 1 2 3; do read -t 30 -r -u3 m; print -r -- $m; done'", ALL),
                ("bash -c 'exec 3< ci/data/follow; until read -t 0 -u3; do :; done; read -r -u3 m; echo $m'", THREE[0]),
                ("""perl -MIO::Select -e 'open my $f, "<", "ci/data/follow" or die; my $s = IO::Select->new($f);
                    for (1 .. 3) { $s->can_read(30) or die; sysread $f, my $x, 4096; syswrite STDOUT, $x }'""", ALL),
                (PYTHON % """fd = os.open("ci/data/follow", os.O_RDONLY); b = bytearray(8)
for _ in range(3): os.write(1, b[:os.readv(fd, [b])])""", ALL),
                (PYTHON % """import select
f = os.open("ci/data/follow", os.O_RDONLY | os.O_NONBLOCK)
for _ in range(3):
    select.select([f], [], [])
    os.write(1, os.read(f, 8))""", ALL),
                (PYTHON % """import select
f = open("ci/data/follow", "rb", buffering=0); os.set_blocking(f.fileno(), False); p = select.poll(); p.register(f, select.POLLIN)
for _ in range(3):
    p.poll()
    os.write(1, f.read(8))
print(f.read(8))""", ALL + "None\n"),
                (PYTHON % """import selectors
f = open("ci/data/follow", "rb", buffering=0); s = selectors.DefaultSelector(); s.register(f, selectors.EVENT_READ)
for _ in range(3):
    s.select()
    os.write(1, f.read(8))""", ALL),
                (PYTHON % """import asyncio
async def go():
    f, loop, left = open("ci/data/follow", "rb", buffering=0), asyncio.get_running_loop(), 3
    ready = asyncio.Event(); loop.add_reader(f, ready.set)
    while left:
        await ready.wait(); ready.clear()
        text = f.read(4096); os.write(1, text); left -= text.count(b"\\n")
asyncio.run(go())""", ALL),
            ),
            wait=self.wait_open,
        )

    def test_nonblocking(self):
        for script, status, complaint in (
            ("dd if=ci/follow iflag=nonblock status=none", 1, "dd: error reading 'ci/follow': Resource temporarily unavailable\n"),
            ("perl -MFcntl -e 'sysopen my $f, \"ci/follow\", O_RDONLY|O_NONBLOCK or die; sysread $f, $x, 9; die \"$!\\n\"'", 11,
             "Resource temporarily unavailable\n"),
            ("node -e 'fs.readSync(fs.openSync(\"ci/follow\", fs.constants.O_RDONLY | fs.constants.O_NONBLOCK), Buffer.alloc(9))'", 1,
             "EAGAIN: resource temporarily unavailable, read"),
        ):
            with self.subTest(script=script):
                self.assertEqual(self.run_fails(script, status, complaint), "")
        self.assertEqual(self.run_ok("read -t 0 < ci/follow; echo $?"), "1\n")


class Ended(Table):
    """Signals end readers as they end everybody, at once; the next reader and the next writer notice nothing."""

    def test_signals(self):
        for n, script in enumerate((
            "exec cat ci/follow", "exec head -n1 ci/follow", "exec grep -m1 x ci/follow", "exec sed -u 1q ci/follow",
            "exec gawk 1 ci/follow", "exec mawk 1 ci/follow", "exec jq . ci/follow", "exec dd if=ci/follow status=none", "exec tee < ci/next",
            "exec perl -pe 1 ci/follow", "exec busybox cat ci/follow", "exec dash -c 'read x < ci/follow'",
            "read x < ci/follow", "exec " + PYTHON % 'open("ci/follow").readline()', "exec " + NODE % 'fs.readFileSync("ci/live/all")',
            "exec wc -l ci/follow", "exec sort ci/live/all", "exec cp ci/live/all ../copy", "exec rsync -L --inplace ci/next ../next",
        )):
            for number in (signal.SIGINT, (signal.SIGTERM, signal.SIGKILL)[n % 2]):
                with self.subTest(script=script, signal=number):
                    reader = self.start(script)
                    self.wait_blocked(reader)
                    begin = time.monotonic()
                    os.killpg(reader.pid, number)
                    reader.wait(mount.DEADLINE)
                    self.assertLess(time.monotonic() - begin, 2 * mount.SLOW)
                    self.finish(reader, status=20 if "rsync" in script and number != signal.SIGKILL else -number, stderr=None)
        self.reads([("head -n3 ci/data/follow", ALL)])

    def test_who_does_not_survive_being_stopped(self):
        """A server of files cannot have a system call begun again; what the manual says about it holds."""
        for script, status, complaint in (
            ("exec gawk 1 ci/follow", 2, "Interrupted system call"),
            ("exec mawk 1 ci/follow", 2, "Interrupted system call"),
            ("exec sed -u p ci/follow", 4, "Interrupted system call"),
        ):
            with self.subTest(script=script):
                reader = self.start(script)
                self.wait_blocked(reader)
                with self.stopped(reader):
                    pass
                errors = reader.stderr.read().decode()
                self.assertEqual((reader.wait(mount.DEADLINE), complaint in errors), (status, True), errors)

    def test_the_keys_of_a_terminal(self):
        """A shell with job control: Ctrl-Z, fg, bg, Ctrl-C, Ctrl-\\ and kill %1."""
        shell = terminal.Terminal(["bash", "--norc", "--noediting", "-i"],
                                  dict(self.environment(), PS1="? ", PS2="", TERM="dumb", HISTFILE=""))
        self.addCleanup(shell.close)
        shell.type("cd %s\n" % self.mnt)
        place = "ci/data/follow"

        def waits(script):
            shell.type(script + "; echo status $?\n")
            until("it waits", lambda: [pid for pid in self.pids(shell.popen) if pid != shell.popen.pid and mount.waits_for_answer(pid)])

        def says(text):
            shell.until(text)

        self.started = []
        waits("cat " + place)
        shell.type(b"\x1a")
        says("Stopped")
        says("status 148")
        self.append("ci", {"n": 1})
        shell.type("fg\n")
        says('{"n":1}\n')
        shell.type(b"\x1a")
        says("Stopped")
        shell.type("bg; echo; echo in the background\n")
        says("\nin the background\n")
        self.append("ci", {"n": 2})
        says('{"n":2}\n')
        shell.type("kill %1; wait; echo all ended\n")
        says("all ended\n")
        for key, status in ((b"\x03", 130), (b"\x1c", 131)):
            waits("head -n1 " + place)
            shell.type(key)
            until("it has ended", lambda: self.pids(shell.popen) == [shell.popen.pid])
            if status == 131: # after Ctrl-C bash forgets the rest of the line
                says("status 131\n")
        waits("cat %s | grep --line-buffered n | sed -u s/n/m/" % place)
        shell.type(b"\x1a")
        says("Stopped")
        shell.type("fg\n")
        self.append("ci", {"n": 3})
        says('{"m":3}\n')
        shell.type(b"\x03")
        says("? ")
        shell.type("exit 7\n")
        self.assertEqual(shell.wait(), 7)


if __name__ == "__main__":
    mount.main()
