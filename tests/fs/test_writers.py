"""Whatever writes files can append: shells, tools, languages, log handlers; and what replaces files is told that it cannot."""

import http.server
import json
import os
import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import until

FIVE = "".join('{"n":%d}\n' % n for n in range(1, 6))
ONE = ['{"n":1}']
TWO = ONE + ['{"n":2}']
ALL = FIVE.splitlines()


class Table(mount.Case):
    """One mount and one pool for many programs: each row is a script and what it appends, no more and no less."""

    def setUp(self):
        super().setUp()
        self.mkpool("ci", size="16M")
        os.chmod(self.path("ci"), 0o644)
        self.write("five", FIVE)
        self.seen = 0

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as file:
            file.write(text)

    def new(self):
        """What was appended since the last look."""
        found = self.datas("ci", "from/%d" % (self.seen + 1))
        self.seen += len(found)
        return found

    def appends(self, rows):
        for script, expected in rows:
            with self.subTest(script=script):
                self.run_ok(script)
                self.assertEqual(self.new(), expected)
        self.assertEqual(self.read("ci/stat/rejected"), "0\n")


class Append(Table):
    def test_shells(self):
        script = """'echo "{\\"n\\":1}" > ci/append; printf "{\\"n\\":2}" >> ci/append'"""
        self.appends(
            [(shell + " -c " + script, TWO) for shell in ("bash", "bash --posix", "dash", "zsh", "fish", "busybox sh")]
            + [
                ("""set -C; echo '{"n":1}' >| ci/append; echo '{"n":2}' &>> ci/append""", TWO),
                ("""zsh -c 'print -r "{\\"n\\":1}" > ci/append > ../also; print -rn "{\\"n\\":2}" >>! ci/append'""", TWO),
                ("""exec 3>> ci/append; for n in 1 2; do printf '{"n":%d}' $n >&3; done; exec 3>&-""", TWO),
                ("""exec > >(tee ci/append > /dev/null); echo '{"n":1}'; exec > /dev/null; wait""", ONE),
                ("""coproc cat > ci/append; echo '{"n":1}' >&${COPROC[1]}; exec {COPROC[1]}>&-; wait""", ONE),
            ]
        )

    def test_tools(self):
        self.appends(
            (
                ("cat ../five | tee ci/append ../copy > /dev/null", ALL),
                ("tee -p ci/append < ../five > /dev/null", ALL),
                ("cp --sparse=always ../five ci/append", ALL),
                ("cp -T --no-preserve=mode ../five ci/append", ALL),
                ("cat ../five > ci/append; rsync --inplace --whole-file ../five ci/append", ALL * 2),
                ("rsync --inplace --no-whole-file ../five ci/append", ALL),
                ("sponge -a ci/append < ../five", ALL),
                ("dd if=../five of=ci/append bs=1M status=none", ALL),
                ("dd if=../five of=ci/append oflag=append,nonblock conv=notrunc,fdatasync status=none", ALL),
                ("split --lines=2 --filter='cat > ci/append' ../five", ALL),
                ("sort -o ci/append ../five", ALL),
                ("sed -n 'w ci/append' ../five; sed 's/5/1/;5w ci/append' ../five > /dev/null", ALL + ONE),
                ("shuf -n1 -e '{\"n\":1}' -o ci/append", ONE),
                ("uniq ../five ci/append", ALL),
                ("csplit -s -z -f ../part ../five '/3/' && cat ../part* > ci/append", ALL),
                ("xargs -a ../five -d '\\n' -I LINE sh -c 'echo \"$1\" > ci/append' - LINE", ALL),
                ("xargs -a ../five -d '\\n' -P1 -n1 printf '%s' > ci/append", ALL),
                ("find ../five -fprintf ci/append '{\"n\":1}\\n{\"n\":%n}\\n'", ['{"n":1}', '{"n":1}']),
                ("find ../five -printf '{\"file\":\"%f\"}' > ci/append", ['{"file":"five"}']),
                ("stat --printf='{\"size\":%s}' ../five >> ci/append", ['{"size":%d}' % len(FIVE)]),
                ("date -u -d @0 +'{\"at\":\"%FT%TZ\"}' >> ci/append", ['{"at":"1970-01-01T00:00:00Z"}']),
                ("jq -n '{n: 1}, {n: 2}' > ci/append; jq --seq -n '{n: 1}' >> ci/append", TWO + ONE),
                ("jq -n --stream '{n: 1}' | jq --tab . > ci/append; jq --unbuffered -c . ../five > ci/append", ONE + ALL),
                ("tar c -C .. five | tar xO > ci/append", ALL),
                ("gzip -c ../five | gunzip -c > ci/append; zcat -f ../five > ci/append", ALL * 2),
                ("printf 'w ci/append\\nq\\n' | ed -s ../five", ALL),
                ("printf '1,2w ci/append\\n3,5W ci/append\\nq\\n' | ed -s ../five", ALL),
                ("socat -u OPEN:../five OPEN:ci/append,wronly; socat -u FILE:../five OPEN:ci/append,append", ALL * 2),
                ("socat -u EXEC:'cat ../five' CREATE:ci/append", ALL),
                ("socat -u -b3 OPEN:../five GOPEN:ci/append", ALL),
                ("curl -sS -o ci/append file://$HOME/five; curl -sS file://$HOME/five > ci/append", ALL * 2),
                ("timeout 30 cat ../five > ci/append; nice cat ../five >> ci/append; setsid -w cp ../five ci/append", ALL * 3),
                ("env - /bin/cat < ../five >> ci/append; stdbuf -o0 cat ../five > ci/append", ALL * 2),
                ("flock ci/append sh -c 'cat ../five > ci/append'; exec 3>> ci/append; flock 3; cat ../five >&3", ALL * 2),
                ("truncate -s0 ci/append; cat ../five > ci/append; fallocate -l 100 ci/append 2> ../refused || true", ALL),
                ("nl -ba ../five | cut -f2 > ci/append; paste -s -d ' ' ../five > ci/append", ALL * 2),
                ("pee 'cat > ci/append' < ../five", ALL),
            )
        )

    def test_busybox(self):
        self.appends(
            (
                ("busybox cat ../five > ci/append; busybox cp ../five ci/append; busybox tee -a ci/append < ../five > /dev/null", ALL * 3),
                ("busybox dd if=../five of=ci/append bs=7 2> /dev/null; busybox dd if=../five of=ci/append conv=notrunc 2> /dev/null", ALL * 2),
                ("busybox awk '{ print > \"ci/append\" }' ../five; busybox awk '{ printf \"%s\", $0 >> \"ci/append\" }' ../five", ALL * 2),
                ("busybox sed -n 'w ci/append' ../five; busybox sort -o ci/append ../five; busybox uniq ../five ci/append", ALL * 3),
            )
        )

    def test_what_keeps_mode_and_owner(self):
        """Those of the file to be copied are those of the pool; or else the program says that they are not, when it has copied."""
        python = """/usr/bin/python3 -c 'import shutil; shutil.%s("../five", "ci/append")'"""
        self.appends(
            [(script, ALL) for script in (
                "cp -p ../five ci/append", "cp -a ../five ci/append", "rsync -a --inplace ../five ci/append",
                "rsync -lt --inplace ../five ci/append", "cp -p --attributes-only ../five ci/append; cp ../five ci/append",
                python % "copy", python % "copy2", "perl -MFile::Copy=cp -e 'cp(\"../five\", \"ci/append\") or die $!'",
                """node -e 'fs.copyFileSync("../five", "ci/append")'""",
            )]
        )
        self.run_ok("chmod 600 ../five")
        self.run_fails("cp -p ../five ci/append", 1, "preserving permissions for 'ci/append': Operation not permitted")
        self.assertEqual(self.new(), ALL)

    def test_awk_and_perl(self):
        rows = []
        for awk in ("gawk", "mawk"):
            rows += [
                (awk + """ '{ print > "ci/append" }' ../five""", ALL),
                (awk + """ '{ print >> "ci/append"; close("ci/append") }' ../five""", ALL),
                (awk + """ '{ printf "%s", $0 > "ci/append"; fflush() }' ../five""", ALL),
                (awk + """ '{ print | "cat > ci/append" }' ../five""", ALL),
                (awk + """ 'BEGIN { for (n = 1; n < 3; n++) print "{\\"n\\":" n "}" > "/dev/stdout" }' > ci/append""", TWO),
            ]
        for script in (
            'open my $f, ">", "ci/append" or die; print $f $_ while <>; close $f or die',
            'open my $f, ">>", "ci/append" or die; $f->autoflush; print $f $_ while <>',
            'open my $f, "+>>", "ci/append" or die; print $f $_ while <>; close $f or die',
            'use Fcntl; sysopen my $f, "ci/append", O_WRONLY|O_APPEND|O_CREAT or die; while (<>) { syswrite $f, $_ or die }',
            'use IO::File; my $f = IO::File->new("ci/append", "a") or die; $f->print(<>); $f->close or die',
            'open STDOUT, ">", "ci/append" or die; print while <>',
            'use File::Copy; copy("../five", "ci/append") or die $!',
            'open my $p, "|-", "cat > ci/append" or die; print $p $_ while <>; close $p or die',
        ):
            rows.append(("perl -e '%s' ../five" % script, ALL))
        self.appends(rows)

    def test_python(self):
        many = ['{"n":%d,"text":"%s"}' % (n, "x" * (n % 90)) for n in range(2000)]
        self.write("many", "\n".join(many))
        rows = (
            ('print(five, end="", file=open("ci/append", "a"))', ALL),
            ('with open("ci/append", "w") as f: f.writelines(five.splitlines(True))', ALL),
            ('with open("ci/append", "a", buffering=1) as f: [print(l, file=f) for l in five.split()]', ALL),
            ('with open("ci/append", "wb", buffering=0) as f: f.write(five.encode())', ALL),
            ('with open("ci/append", "ab") as f: f.write(five.encode()); f.flush(); os.fsync(f.fileno())', ALL),
            ('with open("ci/append", "r+b", buffering=0) as f: f.write(five.encode())', ALL),
            ('with open("ci/append", "w") as f: f.write(open("../many").read())', many),
            ('with open("ci/append", "w") as f: [f.write(c) for c in open("../many").read()]', many),
            ('pathlib.Path("ci/append").write_text(five)', ALL),
            ('pathlib.Path("ci/append").write_bytes(five.encode())', ALL),
            ('fd = os.open("ci/append", os.O_WRONLY | os.O_APPEND); [os.write(fd, c.encode()) for c in five]', ALL),
            ('fd = os.open("ci/append", os.O_WRONLY); os.writev(fd, [l.encode() for l in five.splitlines(True)])', ALL),
            ('f = open("ci/append", "w"); json.dump({"n": 1}, f); json.dump({"n": 2}, f)', TWO),  # ended without close()
            ('shutil.copyfile("../five", "ci/append")', ALL),
            ('shutil.copyfileobj(open("../many"), open("ci/append", "w"), 100)', many),
            ('subprocess.run(["cat", "../five"], stdout=open("ci/append", "a"), check=True)', ALL),
            ('sys.stdout = open("ci/append", "w"); print(five)', ALL),
            ('f = open("ci/append", "a"); contextlib.redirect_stdout(f).__enter__(); print(five); f.close()', ALL),
            ('import io; io.FileIO("ci/append", "w").write(five.encode())', ALL),
            ('import codecs; f = codecs.open("ci/append", "a", "utf-8"); f.write(five); f.close()', ALL),
            ('import threading as t; f = open("ci/append", "a", 1); p = t.Thread(target=f.write, args=(five,)); p.start(); p.join()', ALL),
            ('import multiprocessing as m; p = m.get_context("fork").Process(target=lambda: print(five, file=open("ci/append", "a"))); p.start(); p.join()', ALL),
            ('log("FileHandler", "ci/append").info("2")', TWO[1:]),
            ('log("WatchedFileHandler", "ci/append").info("2")', TWO[1:]),
            ('l = log("WatchedFileHandler", "ci/append"); l.info("1"); l.info("2")', TWO),
            ('log("RotatingFileHandler", "ci/append").info("2")', TWO[1:]),
            ('log("TimedRotatingFileHandler", "ci/append").info("2")', TWO[1:]),
            ('l = log("FileHandler", "ci/append", delay=True); l.info("1"); l.info("2")', TWO),
        )
        self.appends([(["/usr/bin/python3", "-c", PYTHON + line], expected) for line, expected in rows])

    def test_node(self):
        rows = (
            ('fs.appendFileSync("ci/append", five)', ALL),
            ('fs.writeFileSync("ci/append", five)', ALL),
            ('fs.writeFileSync("ci/append", JSON.stringify({n: 1}), {flag: "a"}); fs.appendFileSync("ci/append", JSON.stringify({n: 2}, null, 2))', TWO),
            ('fs.appendFile("ci/append", five, e => { if (e) throw e })', ALL),
            ('fs.promises.appendFile("ci/append", five)', ALL),
            ('fs.promises.open("ci/append", "a").then(async f => { await f.write(five); await f.sync(); await f.close() })', ALL),
            ('const f = fs.openSync("ci/append", "w"); for (const l of five.match(/.+/g)) fs.writeSync(f, l); fs.closeSync(f)', ALL),
            ('const s = fs.createWriteStream("ci/append"); for (const l of five.match(/.+/g)) s.write(l + "\\n"); s.end()', ALL),
            ('const s = fs.createWriteStream("ci/append", {flags: "a"}); s.end(five)', ALL),
            ('require("stream").pipeline(fs.createReadStream("../five"), fs.createWriteStream("ci/append"), e => { if (e) throw e })', ALL),
            ('const c = new console.Console(fs.createWriteStream("ci/append")); c.log(JSON.stringify({n: 1})); c.log("%j", {n: 2})', TWO),
            ('require("child_process").spawn("cat", ["../five"], {stdio: ["ignore", fs.openSync("ci/append", "a"), "inherit"]})', ALL),
        )
        prelude = 'const fs = require("fs"), five = fs.readFileSync("../five", "utf8"); '
        self.appends([(["node", "-e", prelude + line], expected) for line, expected in rows])
        self.appends([("""node -e 'console.log("{\\"n\\":1}"); console.log(JSON.stringify({n: 2}))' >> ci/append""", TWO)])

    def test_downloads(self):
        """Over the network, where data come in their own pieces."""

        class Server(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                for byte in FIVE.encode():
                    self.wfile.write(bytes([byte]))

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = "http://127.0.0.1:%d/" % server.server_port
            self.appends(
                (
                    ("curl -sS -o ci/append " + url, ALL),
                    ("curl -sS --no-buffer %s > ci/append" % url, ALL),
                    ("curl -sS --output-dir ci -o append --retry 2 " + url, ALL),
                )
            )
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def test_rsyslog_writes_it(self):
        """A line of the system's log becomes a message: omfile with a template."""
        self.write("in", "")
        self.write(
            "rsyslog.conf",
            'global(workDirectory="%s")\nmodule(load="imfile" mode="inotify")\n'
            'input(type="imfile" File="%s/in" Tag="ci")\n'
            'template(name="json" type="list" option.jsonf="on") { property(outname="line" name="msg" format="jsonf") }\n'
            'action(type="omfile" file="%s" template="json")\n' % (self.dir, self.dir, self.path("ci/append")),
        )
        process = self.start("exec rsyslogd -n -f ../rsyslog.conf -i NONE")
        with open(os.path.join(self.dir, "in"), "a") as file:
            file.write('one\nand "two"\n')
        until("both are messages", lambda: self.read("ci/stat/count") == "2\n")
        self.assertEqual([json.loads(text) for text in self.new()], [{"line": "one"}, {"line": 'and "two"'}])
        os.kill(process.pid, signal.SIGTERM)
        self.finish(process, status=None, stderr=None)

    def test_log_takes_those_who_append(self):
        self.appends(
            (
                ("cat ../five >> ci/log; tee -a ci/log < ../five > /dev/null", ALL * 2),
                ("dd if=../five of=ci/log oflag=append conv=notrunc status=none", ALL),
                (["/usr/bin/python3", "-c", PYTHON + 'log("FileHandler", "ci/log").info("2")'], TWO[1:]),
                (["node", "-e", 'require("fs").appendFileSync("ci/log", JSON.stringify({n: 1}))'], ONE),
                ("""perl -e 'open my $f, ">>", "ci/log" or die; print $f "{\\"n\\":1}"; close $f or die'""", ONE),
            )
        )


PYTHON = """
import contextlib, json, logging, logging.handlers, os, pathlib, shutil, subprocess, sys
five = open("../five").read()
def log(name, path, form='{"n":%(message)s}', **options):
    handler = getattr(logging, name, None) or getattr(logging.handlers, name)
    handler = handler(path, **options)
    handler.setFormatter(logging.Formatter(form))
    logger = logging.getLogger("l"); logger.setLevel("INFO"); logger.addHandler(handler)
    return logger
"""


class Lines(Table):
    def test_programs_that_print(self):
        def log(name, lines):
            return ["/usr/bin/python3", "-c", PYTHON + 'l = log("%s", "ci/lines", "%%(levelname)s %%(message)s"); %s' % (name, lines)]

        rows = (
            ("exec > >(tee ci/lines > /dev/null) 2>&1; echo out; echo err >&2; exec > /dev/null 2>&1; wait", "out", "err"),
            ("exec 3> ci/lines; BASH_XTRACEFD=3; set -x; true a b", "+ true a b"),
            ("for n in 1 2 3; do echo $n; done > ci/lines", "1", "2", "3"),
            ("sh -c 'echo out; ls /nowhere/x' >> ci/lines 2>&1 || true", "out", "ls: cannot access '/nowhere/x': No such file or directory"),
            ("nohup echo hup > ci/lines 2> /dev/null < /dev/null", "hup"),
            ("logger --no-act -s --socket-errors=off -t job 'all is well' 2>&1 | sed 's/>.* job/> job/' > ci/lines", "<13> job: all is well"),
            ("echo stamped | ts X > ci/lines", "X stamped"),
            ("zsh -c 'echo z > ci/lines'; fish -c 'echo f >> ci/lines'; busybox sh -c 'echo b > ci/lines'", "z", "f", "b"),
            ("diff <(echo a) <(echo b) > ci/lines || true", "1c1", "< a", "---", "> b"),
            ("printf 'w ci/lines\\nq\\n' | ed -s ../five", *ALL),
            ("curl -sS -o ci/lines file://$HOME/five; socat -u OPEN:../five OPEN:ci/lines,append", *ALL * 2),
            ("grep n ../five > ci/lines; sed -n 'w ci/lines' ../five; jq . ../five > ci/lines",
             *(ALL * 2 + [line for n in range(1, 6) for line in ("{", '  "n": %d' % n, "}")])),
            ("perl -e 'open STDERR, \">>\", \"ci/lines\" or die; warn \"careful\\n\"; print STDERR \"x\\ny\"'", "careful", "x", "y"),
            ("node -e 'console.log(\"one\\ntwo\"); console.error(\"three\")' > ci/lines 2>&1", "one", "two", "three"),
            ("node -e 'require(\"fs\").createWriteStream(\"ci/lines\", {flags: \"a\"}).end(\"s\\nt\")'", "s", "t"),
            (log("FileHandler", 'l.info("f")'), "INFO f"),
            (log("WatchedFileHandler", 'l.info("a\\nb"); l.error("c")'), "INFO a", "b", "ERROR c"),
            (log("RotatingFileHandler", 'l.info("r")'), "INFO r"),
            (log("FileHandler", 'l.error("e", exc_info=ValueError("v"))'), "ERROR e", "ValueError: v"),
            (["/usr/bin/python3", "-c", 'print("p", "q", sep="\\n", end="", file=open("ci/lines", "a"))'], "p", "q"),
            ("stdbuf -oL seq 3 | tee -a ci/lines > /dev/null; split -b4 --filter='cat' ../five > ci/lines", "1", "2", "3", *ALL),
            ("script -qec 'echo typed' ci/lines > /dev/null; true", None, "typed", "", None),
            ("strace -o ci/lines -e trace=none -e signal=none true", "+++ exited with 0 +++"),
        )
        for script, *expected in rows:
            with self.subTest(script=script):
                self.run_ok(script)
                found = []

                def all_there():
                    # What is not ended by a newline comes a moment after the end of its writer.
                    found.extend(json.loads(text)["line"] for text in self.new())
                    return len(found) >= len(expected)

                until("the lines are there", all_there)
                self.assertEqual([f for f, e in zip(found, expected) if e is not None], [e for e in expected if e is not None])
                self.assertEqual(len(found), len(expected), found)


class Refused(Table):
    """Programs that write another file and put it in place, or need to seek: an error, and nothing is stored."""

    def test_what_replaces_files(self):
        for script, status, complaint in (
            ("mv ../five ci/append", 1, "Operation not permitted"),
            ("install ../five ci/append", 1, "Operation not permitted"),
            ("cp --remove-destination ../five ci/append", 1, "Operation not permitted"),
            ("ln -f ../five ci/append", 1, "Invalid cross-device link"),
            ("ln -sf ../five ci/append", 1, "Operation not permitted"),
            ("rsync ../five ci/append", 23, "Operation not permitted"),
            ("sed -i s/1/2/ ci/append", 4, "Operation not permitted"),
            ("perl -i -pe s/1/2/ ci/append", 0, "Operation not permitted"),
            ("cp ../five ci/new", 1, "Operation not permitted"),
            ("curl -sS -o ci/new file://$HOME/five", 23, "Failure writing output"),
            ("rsync --append ../five ci/append", 11, "Illegal seek"),
            ("sponge -a ci/log < ../five", 1, "Operation not permitted"),
            ("split -l1 ../five ci/part", 1, "Operation not permitted"),
            ("gzip ci/append", None, "Operation not permitted"),
            ("rm ci/append", 1, "Operation not permitted"),
            ("mkfifo ci/fifo", 1, "Operation not permitted"),
            ("mkdir ci/folder", 1, "Operation not permitted"),
            ("mktemp ci/XXXXXX", 1, "Operation not permitted"),
            ("/usr/bin/python3 -c 'import os; os.replace(\"../five\", \"ci/append\")'", 1, "Invalid cross-device link"),
            ("node -e 'require(\"fs\").renameSync(\"../five\", \"ci/append\")'", 1, "EXDEV"),
            ("socat -u OPEN:../five OPEN:ci/append,wronly,seek-set=10", 1, "Illegal seek"),
        ):
            with self.subTest(script=script):
                self.run_fails(script, status, complaint)
                self.assertEqual(self.new(), [])
        self.assertTrue(os.path.exists(os.path.join(self.dir, "five")))

    def test_a_handler_that_counts_bytes(self):
        """Python's rotation asks where the file ends; its logging says that it cannot be told, and drops the message."""
        script = PYTHON + 'log("RotatingFileHandler", "ci/append", maxBytes=1000).info("1")'
        self.finish(self.start(["/usr/bin/python3", "-c", script]), status=0, stderr=None)
        self.assertEqual(self.new(), [])


if __name__ == "__main__":
    mount.main()
