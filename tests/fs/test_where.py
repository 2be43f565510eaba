"""where/EXPR/: only the messages for which a jq expression is true."""

import errno
import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import NOBODY, SLOW, datas, seqs, until


class Where(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        for n in range(1, 11):
            self.append("ci" + "/tag/even" * (n % 2 == 0), {"n": n, "level": "error" if n % 3 == 0 else "info"})

    def numbers(self, view):
        return seqs(self.read("ci/" + view))

    def test_which_messages(self):
        for view, expected in (
            ('where/.data.level == "error"/all', [3, 6, 9]), ("where/.data.n > 7/all", [8, 9, 10]), ("where/.seq == 4/all", [4]),
            ('where/.meta.tags[] == "even"/last/2', [8, 10]), ("where/.data.n > 7/last/1", [10]), ("where/.data.n < 4/tail", [1, 2, 3]),
            ("where/.data.n > 2/where/.data.n < 5/all", [3, 4]), ("where/.data.n < 5/where/.data.n > 2/all", [3, 4]),
            ("tag/even/where/.data.n > 5/all", [6, 8, 10]), ("where/.data.n > 5/tag/even/all", [6, 8, 10]),
            ("where/.data.n == 5/seq/5", [5]), ("where/.data.n > 5/from/8", [8, 9, 10]), ("where/.data.n < 5/since/1h", [1, 2, 3, 4]),
            ("where/.data.none/all", []), ("where/.data.n %2F 2 > 4/all", [9, 10]), ("where/.data.n % 5 == 0/all", [5, 10]),
            ("where/[.data | keys[]] | length == 2/last/1", [10]), ("where/true/all", list(range(1, 11))), ("where/false/all", []),
            ("where/.data.n.x.y/all", []), ("strict/where/.data.n > 9/all", [10]),
        ):
            with self.subTest(view=view):
                self.assertEqual(self.numbers(view), expected)
        self.assertEqual(self.read("ci/where/.data.n > 9/data/all"), self.read("ci/data/where/.data.n > 9/all"))
        self.assertEqual(self.read("ci/where/.data.n > 9/data/all"), '{"n":10,"level":"info"}\n')
        self.assert_errno(errno.ENOENT, os.stat, self.path("ci/where/.data.n == 5/seq/6"))
        self.assertEqual(self.read("ci/errors"), "")

    def test_finite_views_are_perfect_files(self):
        name = self.path("ci/where/.data.n > 3/from/1")
        st = os.stat(name)
        with open(name, "rb") as file:
            text = file.read()
        self.assertEqual((st.st_size, seqs(text.decode())), (len(text), list(range(4, 11))))
        self.append("ci", {"n": 11}, {"n": 0})
        self.assertEqual(self.numbers("where/.data.n > 3/all"), list(range(4, 12)))
        self.assertEqual(os.stat(name).st_ino, st.st_ino)
        self.run_ok("cp 'ci/where/.data.n > 3/from/1' ../copy; cmp ../copy 'ci/where/.data.n > 3/from/1'")

    def test_a_gate(self):
        gate = self.start("""cat 'ci/where/.data.status == "green"/next' > /dev/null && echo deployed""")
        self.wait_blocked(gate)
        self.append("ci", {"status": "red"})
        self.pls("feed", "ci", '{"status":"amber"}')
        self.assertIsNone(gate.poll())
        self.pls("feed", "ci", '{"status":"green"}')
        self.assertEqual(self.finish(gate), "deployed\n")

    def test_streams(self):
        for view, script in (
            ("where/.data.n > 100/follow", "head -n2"), ("live/where/.data.n > 100/last/0", "head -n2"),
            ("where/.data.n > 100/live/since/1h", "head -n2"), ("where/[.data.n] | add > 100/follow", "head -n2"),
        ):
            with self.subTest(view=view):
                reader = self.start("%s 'ci/%s'" % (script, view))
                self.wait_blocked(reader)
                first = int(self.read("ci/stat/newest")) + 1
                self.append("ci", {"n": 101}, {"n": 1}, {"n": 2}, {"n": 102})
                self.assertEqual(seqs(self.finish(reader)), [first, first + 3])
                self.run_ok("echo delete > ci/ctl && mkdir ci")
        self.append("ci", {"n": 1}, {"n": 2}, {"n": 3})
        self.assertEqual(seqs(self.run_ok("cat 'ci/replay/1000/where/.data.n > 1/all'")), [2, 3])

    def test_reads_that_must_not_wait(self):
        for view in ("where/.data.n > 10/follow", "where/.data.n > 10/live/from/1", "where/.data.n % 20 == 11/live/from/1"):
            with self.subTest(view=view):
                fd = self.open("ci/" + view, os.O_RDONLY | os.O_NONBLOCK)
                for _ in range(3):
                    self.assert_errno(errno.EAGAIN, os.read, fd, 4096)
        fd = self.open("ci/where/.data.n > 9/live/from/1", os.O_RDONLY | os.O_NONBLOCK)
        self.assertEqual(seqs(os.read(fd, 4096).decode()), [10])
        self.assert_errno(errno.EAGAIN, os.read, fd, 4096)

    def test_what_does_not_compile(self):
        for expression, complaint in (
            (".data.n ==", "something is missing"), ("nonsense(", None), ("$ENV", None), ("env.HOME", None), ("input", None),
            (".data.n.", None), ("1 +", None), (".seq == 1 && .data.ok", ", at character 11: `&&` is `and` in jq."),
            ('.data.["a b"] == 1', ', at character 6: no dot stands before `[`, as in `.data["a b"]`.'),
            (".level == 'x'", ', at character 11: strings stand between double quotes: "x".'),
            ('.data.level = "x"', ", at character 13: `=` sets a value; `==` compares."),
            ('.data.file == "', " In a path, a slash is written %2F."),
            ("(.data.n ", " In a path, a slash is written %2F."),
        ):
            with self.subTest(expression=expression):
                self.assert_errno(errno.EINVAL, os.stat, self.path("ci/where/" + expression))
                failure = json.loads(self.read("ci/errors").splitlines()[-1])
                self.assertEqual((failure["path"], failure["errno"]), ("ci/where/" + expression, "EINVAL"))
                self.assertEqual(failure["message"], "invalid filter expression")
                self.assertIn(complaint or expression.split("(")[0].rstrip(), failure["hint"])
        for name in ("a%0Ab", "%ff", "%c2%80"):
            self.assert_errno(errno.EINVAL, os.stat, self.path("ci/where/" + name))
        self.assert_errno(errno.ENAMETOOLONG, os.stat, self.path("ci/where/" + "1" * 1025))

    def test_the_place_is_marked(self):
        for name, place in (
            (".data.n >", ".data.n >\n         ^"), (".data.n => 3", ".data.n => 3\n        ^"),
            (".data.n%20%2F 2 && true", ".data.n / 2 && true\n            ^"), ('.data.s == "\u00e4\u20ac" || x', '.data.s == "\u00e4\u20ac" || x\n                ^'),
            ("true/where/nonsense(1)", "nonsense(1)\n^"), ("[limit(1; nonsense)] == []", "[limit(1; nonsense)] == []\n          ^"),
            ("1" * 100 + " = " + "2" * 100, "1" * 47 + " = " + "2" * 30 + "\n" + " " * 48 + "^"),
        ):
            with self.subTest(name=name):
                self.assert_errno(errno.EINVAL, os.stat, self.path("ci/where/" + name))
                self.assertEqual(json.loads(self.read("ci/errors").splitlines()[-1]).get("place"), place)

    def test_a_first_key_that_no_message_has_is_null(self):
        self.assertEqual(self.numbers('where/.n == 5/all'), [])
        self.assertEqual(self.numbers('where/.n == null/where/.data.n > 8/all'), [9, 10])
        self.assertEqual(self.read("ci/errors"), "")

    def test_an_answer_that_is_none_is_noted_once(self):
        self.assertEqual(self.numbers("where/.data.n/all"), [])
        self.assertEqual(self.numbers("where/.data.n/all"), [])
        self.append("ci", {"n": 1})
        self.assertEqual(self.numbers("where/.data.n/all"), [])
        failures = [json.loads(line) for line in self.read("ci/errors").splitlines()]
        self.assertEqual(
            [(f["path"], f["message"]) for f in failures], [("ci/where/.data.n", "filter expression must yield booleans")]
        )
        self.assertIn("`.data.n` gave 1. Compare it", failures[0]["hint"])

    def test_what_number_and_tags_rule_out_is_passed_over_without_its_data(self):
        self.append("ci/tag/odd", {"text": "needle"})
        with open(self.pool_file("ci"), "r+b") as pool:  # damaged data, which only those notice who read it
            pool.seek(pool.read().index(b"needle"))
            pool.write(b"N")
        for view in ("tag/even/%s", "where/.seq < 11 and .data.n % 2 == 0/%s", 'where/.meta.tags[] == "even"/%s'):
            for leaf in ("from/1", "replay/0/from/1"):
                with self.subTest(view=view, leaf=leaf):
                    name = view.replace("%s", leaf)
                    self.assertEqual(self.numbers(name), [2, 4, 6, 8, 10])
        self.assert_errno(errno.EUCLEAN, os.stat, self.path("ci/where/.data.n > 5/all"))

    def test_one_that_was_cut_at_a_slash_is_told_how_a_slash_is_written(self):
        for name in (
            ".data.n / 2 == 1/follow", "1 == .data.n/2/all", ".data.n/2==1/tail", ".data.n == 1/.5/all",
            "1 == .a/.b/all", "1==.a/.b.c/all", "3 > 2*.a/.b/all", ".data.n == 1/.data.n/all", ".data.n == 1/.seq/all",
        ):
            with self.subTest(name=name):
                self.assert_errno(errno.ENOENT, os.stat, self.path("ci/where/" + name))
                failure = json.loads(self.read("ci/errors").splitlines()[-1])
                self.assertEqual((failure["path"], failure["errno"]), ("ci/where/" + os.path.dirname(name), "ENOENT"))
                self.assertIn("in a path, a slash is written %2F", failure["hint"])
        before = self.read("ci/errors")
        for name in (".git", "autorun.inf", "folow", "live/.hidden", ".tail.swp", ".database"):  # what programs try, and mistyped files
            for expression in (".data.n > 1", ".data.n", ".seq == 1 or .data.n", "(1 == .data.n)"):
                self.assert_errno(errno.ENOENT, os.stat, self.path("ci/where/%s/%s" % (expression, name)))
        self.assertEqual(self.read("ci/errors"), before)

    def test_the_cheap_ones_are_asked_first(self):
        # Sorted by name the one that never ends would come first.
        hangs = "where/(def f: if .data.n < 9 then f else true end; f)"
        for cheap in ("where/.data.n > 8", "where/.seq > 8"):
            with self.subTest(cheap=cheap):
                self.assertEqual(self.numbers("%s/%s/all" % (hangs, cheap)), [9, 10])
        self.assertEqual(self.read("ci/errors"), "")

    def test_what_is_there(self):
        self.assertEqual(os.listdir(self.path("ci/where")), ["README"])
        self.assertEqual(sorted(os.listdir(self.path("ci/where/true"))), ["README", "all", "follow", "next", "tail"])
        for name in ("append", "lines", "log", "tag/x/append", "data/append", "info"):
            self.assert_errno(errno.ENOENT, os.stat, self.path("ci/where/true/" + name))

    def test_names_of_equal_meaning_are_one_file(self):
        self.assertEqual(
            os.stat(self.path("ci/where/.seq > 1/where/.seq < 5/tail")).st_ino,
            os.stat(self.path("ci/where/.seq < 5/where/.seq > 1/where/.seq < 5/tail")).st_ino,
        )
        self.assertNotEqual(os.stat(self.path("ci/where/.seq > 1/tail")).st_ino, os.stat(self.path("ci/where/.seq > 2/tail")).st_ino)

    def test_a_slow_expression_holds_nobody_up(self):
        self.mkpool("big", size="32M")
        with open(os.path.join(self.dir, "text"), "w") as file:
            for n in range(20_000):
                file.write('{"n":%d,"x":"%s"}\n' % (n, "x" * 200))
        self.run_ok("cat ../text > big/append")
        slow = self.start("cat 'big/where/[.data.x | explode[]] | add < 0/all'")
        times = []
        while slow.poll() is None:
            begin = time.monotonic()
            self.append("ci", {"n": 1})
            os.stat(self.path("ci/tail"))
            times.append(time.monotonic() - begin)
        self.assertEqual(self.finish(slow), "")
        self.assertGreater(sum(times), 0.2)  # it did take its time
        self.assertLess(sorted(times)[len(times) * 9 // 10], 0.02 * mount.SLOW)

    def test_what_crashes_jq_harms_nobody_else(self):
        reader = self.start("head -n2 'ci/where/.data.n + 0 > 100/follow'")
        self.wait_blocked(reader)
        self.append("ci", {"n": 101})
        for bomb in ("reduce range(300000) as $i (null; [.]) | false", '("x" * 1000000000) | length > 0'):
            with self.subTest(bomb=bomb):
                self.assertEqual(self.numbers("where/%s/all" % bomb), [])
        self.append("ci", {"n": 102})
        self.assertEqual([json.loads(line)["data"]["n"] for line in self.finish(reader).splitlines()], [101, 102])
        failures = [json.loads(line)["message"] for line in self.read("ci/errors").splitlines()]
        self.assertEqual(
            failures, ["the filter made jq crash on a message", "the filter takes too much time or memory on a message"]
        )

    def test_many_followers(self):
        readers = [self.start("head -n1 'ci/where/.data.who == %d/follow'" % n) for n in range(30)]
        for reader in readers:
            self.wait_blocked(reader)
        for n in reversed(range(30)):
            self.append("ci", {"who": n})
        for n, reader in enumerate(readers):
            self.assertEqual(datas(self.finish(reader)), ['{"who":%d}' % n])


class Strangers(mount.Shared):
    def test_only_what_is_quick(self):
        os.chmod(os.path.join(self.dir, ".plasmite"), 0o755)
        os.chmod(self.pools, 0o755)
        self.append("ci", {"n": 1}, {"n": 2})
        os.chmod(self.pool_file("ci"), 0o644)
        until("the mode is seen", lambda: os.stat(self.path("ci/tail")).st_mode & 0o777 == 0o444)
        hard = "where/[.data.n] | map(. * 2) | add > 2"
        self.assertEqual(seqs(self.run_ok("cat 'ci/where/.data.n > 1/all'", user=NOBODY)), [2])
        self.run_fails("cat 'ci/%s/all'" % hard, 1, "Invalid argument", user=NOBODY)
        self.assertEqual(seqs(self.run_ok("cat 'ci/%s/all'" % hard)), [2])
        # Now the kernel knows the names, but that changes nothing.
        self.run_fails("cat 'ci/%s/all'" % hard, 1, "Invalid argument", user=NOBODY)
        self.run_fails("timeout 10 head -n1 'ci/%s/follow'" % hard, 1, "Invalid argument", user=NOBODY)
        self.run_fails("timeout 10 head -n1 'ci/%s/live/next'" % hard, 1, "Invalid argument", user=NOBODY)
        self.run_fails("stat 'ci/%s/last/3'" % hard, 1, "Invalid argument", user=NOBODY)  # not even its size
        failures = [json.loads(line) for line in self.read("ci/errors").splitlines()]
        self.assertEqual({f["message"] for f in failures[1:]}, {"this expression is only for the user who runs the mount"})
        paths = [f["path"] for f in failures]
        for name in ("from/1", "live/last/0", "live/next"):
            self.assertIn("ci/%s/%s" % (hard, name), paths)


class Costly(mount.Case):
    """Tenths of a second for each message."""

    EXPRESSION = "[range(100000)] | add > %d"

    def setUp(self):
        super().setUp()
        self.mkpool("big", size="16M")
        self.mkpool("few")
        self.append("big", *[{}] * 1000)
        self.append("few", *[{}] * 5)

    def view(self, pool, n):
        return "%s/where/%s/from/1" % (pool, self.EXPRESSION % n)

    def wait_for_answer(self, reader):
        """Until the program sleeps in a request of any kind."""
        def sleeps():
            with open("/proc/%d/wchan" % reader.pid) as wchan:
                return wchan.read() in ("request_wait_answer", "__fuse_request_send", "__fuse_simple_request")

        until("the program waits for the mount", lambda: sleeps() and os.path.basename(os.readlink("/proc/%d/exe" % reader.pid)) != "bash")

    def state(self, process):
        with open("/proc/%d/stat" % process.pid) as stat:
            return stat.read().rpartition(") ")[2][0]

    def test_a_program_that_is_killed_ends_at_once(self):
        for n, command in enumerate(("exec stat '%s'", "exec cat '%s'", "exec ls -l '%s'")):
            for number in (signal.SIGKILL, signal.SIGTERM):
                with self.subTest(command=command, number=number):
                    reader = self.start(command % self.view("big", 100 * n + number))
                    self.wait_for_answer(reader)
                    begin = time.monotonic()
                    reader.send_signal(number)
                    self.finish(reader, status=-number)
                    self.assertLess(time.monotonic() - begin, SLOW)

    def test_also_the_one_that_waits_for_another_who_asked_the_same(self):
        view = self.view("big", 0)
        first = self.start(["stat", view])
        self.wait_for_answer(first)
        second = self.start(["stat", view])
        until("the second waits for the first", lambda: self.state(second) == "D")
        begin = time.monotonic()
        for reader in first, second:
            reader.send_signal(signal.SIGKILL)
            self.finish(reader, status=-signal.SIGKILL)
        self.assertLess(time.monotonic() - begin, SLOW)

    def test_a_signal_that_does_not_end_the_program_ends_no_look_up(self):
        script = "$SIG{USR1} = sub { print qq(signal\\n) }; $| = 1; print -s shift, qq(\\n)"
        reader = self.start(["perl", "-e", script, self.view("few", 0)])
        self.wait_for_answer(reader)
        reader.send_signal(signal.SIGUSR1)
        self.assertEqual(set(self.finish(reader).split()), {"signal", str(len(self.read("few/all")))})


if __name__ == "__main__":
    mount.main()
