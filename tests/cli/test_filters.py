"""What filters may see and do, from outside: nothing of the world but the message, and no library that is not needed."""

import ctypes
import os
import signal
import subprocess
import time

import harness

PR_SET_CHILD_SUBREAPER = 36


class Filters(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")
        self.ok("feed", "demo", '{"level":"error","n":-9223372036854775808,"s":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"}')

    def matches(self, expression, **kwargs):
        out = self.ok("follow", "demo", "--no-follow", "--where", expression, **kwargs).out
        return out != ""

    def with_env(self, **more):
        return dict(self.env, **more)

    def test_the_environment__is_not_to_be_had(self):
        env = self.with_env(SECRET="hunter2")
        for expression in ('env.SECRET == "x"', '$ENV.SECRET == "x"', '"\\(env.SECRET)" == "x"', '{a: env} == {}',
                           '[env] | length == 0', 'input', 'import "x" as x; true', 'debug', 'halt', '"x" | halt_error'):
            error = self.refused("Usage", "follow", "demo", "--where", expression, env=env)
            self.assertEqual(error["message"], "invalid filter expression")
            self.assertIn("for filters", error["hint"])
            self.assertNotIn("hunter2", error["hint"])
        self.assertTrue(self.matches("{env: 1} | .env == 1", env=env))

    def test_files_of_jq__are_not_read(self):
        home = self.path("home")
        os.mkdir(home)
        with open(os.path.join(home, ".jq"), "w") as file:
            file.write("def length: true; def mine: true;")
        env = self.with_env(HOME=home, JQ_LIBRARY_PATH=home)
        self.assertIn("mine/0 is not defined", self.refused("Usage", "follow", "demo", "--where", "mine", env=env)["hint"])
        self.assertTrue(self.matches("[.] | length == 1", env=env))

    def opened(self, expression):
        """Which libraries the loader looked for."""
        env = self.with_env(LD_DEBUG="files")
        result = self.run_pls("follow", "demo", "--no-follow", "--where", expression, env=env)
        self.assertEqual(result.rc, 0, result)
        return result.err

    def test_libraries__are_loaded_when_they_are_needed(self):
        for expression in (".data.level == \"error\"", ".meta.tags[]? == \"a\" or (.data.level | test(\"err\"))",
                           ".data | has(\"n\") and (.n < 0)", "any(.data[]; . == \"error\")"):
            trace = self.opened(expression)
            self.assertNotIn("libjq", trace)
            self.assertNotIn("libonig", trace)
        trace = self.opened('.data.level | test("^e.*r$")')
        self.assertIn("libonig", trace)
        self.assertNotIn("libjq", trace)

    def test_a_missing_library__is_named(self):
        copy = self.path("plasmite")
        subprocess.run(["cp", harness.bin_path("plasmite"), copy], check=True)
        follow = [copy, "--dir", self.pools, "follow", "demo", "--no-follow", "--where"]
        plain = subprocess.run(follow + [".data.n < 0"], env=self.env, stdout=subprocess.PIPE, timeout=harness.LIMIT)
        self.assertEqual((plain.returncode, plain.stdout.count(b"\n")), (0, 1))
        done = subprocess.run(follow + [".data.n + 1 < 0"], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=harness.LIMIT, cwd=self.path())
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"this filter needs plasmite-jq, which cannot be loaded", done.stderr)

    def test_what_ends_or_hangs_jq__does_neither(self):
        for expression in (".data.n % -1 == 1", "[.data.s] | .[0] | index(\"\") != null", "1e18 | todate | false",
                           '.data.s | test("(a+)+$")', '[.data.s | match("(a+)+$")] | length > 0', ".data | implode"):
            self.assertFalse(self.matches(expression), expression)
        # what ends it is time on a processor: ten seconds, of which a busy machine makes a minute
        result = self.run_pls("follow", "demo", "--no-follow", "--where", "def f: f; f", timeout=6 * harness.LIMIT)
        self.assertEqual((result.rc, result.out), (2, ""), result)
        self.assertEqual(result.error()["message"], "the filter takes too much time or memory on a message")
        self.assertEqual(result.error()["seq"], 1)

    def workers(self):
        """Processes that run libjq for a filter of ours: orphans come to this process."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % name) as file:
                    stat = file.read()
            except OSError:
                continue
            if "(plasmite-jq)" in stat and int(stat.rsplit(")", 1)[1].split()[1]) == os.getpid():
                found.append((int(name), int(stat.rsplit(")", 1)[1].split()[11])))
        return found

    def get_orphans(self):
        libc = ctypes.CDLL(None)
        self.assertEqual(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0)
        self.addCleanup(libc.prctl, PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def test_a_stop_of_the_process__is_not_time_that_a_filter_takes(self):
        self.get_orphans()
        follow = self.start("follow", "demo", "--no-follow", "--where", "reduce range(2000000) as $i (0; . + 1) | . > 0")
        clock = os.sysconf("SC_CLK_TCK")
        # compiling takes a tenth of that
        harness.wait_until(lambda: any(ticks > 0.3 * clock for _, ticks in self.workers()))
        (worker, _), = self.workers()
        os.kill(worker, signal.SIGSTOP)
        follow.signal(signal.SIGSTOP)
        time.sleep(5.5)  # longer than an evaluation may take
        follow.signal(signal.SIGCONT)
        os.kill(worker, signal.SIGCONT)
        self.assertEqual(follow.json_line()["seq"], 1)
        self.assertEqual(follow.wait(), 0)
        os.waitpid(worker, 0)

    def test_what_crashes_jq__is_an_error(self):
        for expression in ("reduce range(300000) as $i (null; [.]) | false", "reduce range(40) as $i (\"x\"; . + .) | length"):
            result = self.run_pls("follow", "demo", "--no-follow", "--where", expression)
            self.assertEqual((result.rc, result.out), (2, ""), result)
            self.assertEqual((result.error()["kind"], result.error()["seq"]), ("Usage", 1))

    def test_a_worker_that_is_killed__is_replaced(self):
        self.get_orphans()
        follow = self.start("follow", "demo", "--tail", "1", "--where", ".data.n + 1 < 0")
        self.assertEqual(follow.json_line()["seq"], 1)
        (worker, _), = self.workers()
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        self.ok("feed", "demo", '{"n":-5}')
        self.assertEqual(follow.json_line()["seq"], 2)
        (worker, _), = self.workers()
        follow.signal(signal.SIGKILL)
        os.waitpid(worker, 0)  # it ends with its program

    def test_what_is_often_mistaken__is_named(self):
        for expression, place, what in (
            ('.seq == 1 && .data.ok', 11, "`&&` is `and` in jq"),
            ('.seq == 1 || .data.ok', 11, "`||` is `or` in jq"),
            ('!.data.ok', 1, "`!` is `not` in jq, behind a pipe, as in `(.data.ok | not)`"),
            (".data.level == 'error'", 16, 'strings stand between double quotes: "error"'),
            ('.data.level = "error"', 13, "`=` sets a value; `==` compares"),
            ('.data.a-b == 1', 8, 'a key with a dash is written `.data["a-b"]`; a minus has blanks around it'),
            ('.data.["a b"] == 1', 6, 'no dot stands before `[`, as in `.data["a b"]`'),
        ):
            error = self.refused("Usage", "follow", "demo", "--where", expression)
            self.assertEqual((error["message"], error["hint"]), (
                "invalid filter expression",
                'In `%s`, at character %d: %s. An expression that works: .data.level == "error"' % (expression, place, what)))

    def test_a_first_key_that_no_message_has__matches_nothing_and_is_told_of_on_a_terminal(self):
        doubt = "notice: no message has `.level` at its top; did you mean `.data.level`?\n"
        for expression in ('.level == "error"', '.level == "error" and .data.n % 2 == 0'):
            result = self.run_pls("follow", "demo", "--no-follow", "--where", expression)
            self.assertEqual((result.rc, result.out, result.err), (0, "", ""))
            self.assertEqual(self.terminal("--color", "never", "follow", "demo", "--no-follow", "--where", expression), (0, doubt))
        self.assertTrue(self.matches(".level == null"))
        self.assertEqual(self.terminal("follow", "demo", "--no-follow", "--where", '.data.level == "x"'), (0, ""))
        self.assertEqual(self.run_pls("follow", "demo", "--one", "--timeout", "10ms", "--where", ".level == 1").rc, 124)

    def test_whole_numbers__are_exact(self):
        self.assertTrue(self.matches(".data.n == -9223372036854775808"))
        self.assertFalse(self.matches(".data.n == -9223372036854775807"))

    def test_a_long_list__is_no_trouble(self):
        names = " or ".join('.data.level == "level%d"' % i for i in range(2000))
        self.assertFalse(self.matches(names))
        self.assertTrue(self.matches(names + ' or .data.level == "error"'))


if __name__ == "__main__":
    harness.main()
