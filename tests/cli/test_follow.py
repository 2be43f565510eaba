import json
import os
import shutil
import signal
import subprocess
import termios
import unittest

import harness
import terminal


class Follow(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "demo")

    def feed(self, *values, tag=None):
        for value in values:
            self.ok("feed", "demo", json.dumps({"x": value}), *(["--tag", tag] if tag else []))

    def xs(self, *args):
        return [m["data"]["x"] for m in self.ok("follow", "demo", "--no-follow", *args).json_lines()]

    def test_live__shows_only_what_comes(self):
        self.feed(1)
        follow = self.start_asleep("follow", "demo")
        self.feed(2, 3)
        self.assertEqual([follow.json_line()["data"]["x"], follow.json_line()["data"]["x"]], [2, 3])
        follow.signal(signal.SIGINT)
        self.assertEqual(follow.wait(), -signal.SIGINT)
        self.assertEqual(follow.err.rest(), "")

    def test_tail__then_live(self):
        self.feed(1, 2, 3)
        follow = self.start_asleep("follow", "demo", "--tail", "2", "--jsonl")
        self.feed(4)
        self.assertEqual([follow.json_line()["data"]["x"] for _ in range(3)], [2, 3, 4])

    def test_finite_reads(self):
        self.feed(1, 2, 3)
        self.assertEqual(self.xs(), [1, 2, 3])
        self.assertEqual(self.xs("--tail", "2"), [2, 3])
        self.assertEqual(self.xs("--tail", "9"), [1, 2, 3])
        self.assertEqual(self.xs("--tail", "0"), [])
        self.assertEqual(self.xs("--from", "2"), [2, 3])
        self.assertEqual(self.xs("--from", "0"), [1, 2, 3])
        self.assertEqual(self.xs("--from", "9"), [])
        self.assertEqual(self.xs("--since", "1h"), [1, 2, 3])
        self.assertEqual(self.xs("--since", "1969-01-01T00:00:00Z"), [1, 2, 3])
        self.assertEqual(self.xs("--since", "2h..1h"), [])
        self.assertEqual(self.xs("--one"), [1])

    def test_since__finds_the_time(self):
        self.feed(1, 2, 3)
        times = [m["time"] for m in self.ok("follow", "demo", "--no-follow").json_lines()]
        self.assertEqual(self.xs("--since", times[1]), [2, 3])
        self.assertEqual(self.xs("--since", times[0] + ".." + times[2]), [1, 2])
        self.assertEqual(self.ok("follow", "demo", "--since", times[0] + ".." + times[2]).out.count("\n"), 2)

    def test_since__in_the_future_ends_at_once(self):
        self.assertEqual(self.ok("follow", "demo", "--since", "2999-01-01T00:00:00Z").out, "")
        self.refused("NotFound", "follow", "missing", "--since", "2999-01-01T00:00:00Z")

    def test_since__that_is_no_time(self):
        error = self.refused("Usage", "follow", "demo", "--since", "yesterday")
        self.assertEqual(error["message"], "invalid --since value")

    def test_tags__all_must_be_there(self):
        self.feed(1, tag="drop")
        self.ok("feed", "demo", '{"x":2}', "--tag", "keep", "--tag", "more")
        self.feed(3, tag="keep")
        self.assertEqual(self.xs("--tag", "keep"), [2, 3])
        self.assertEqual(self.xs("--tag", "keep", "--tag", "more"), [2])
        self.assertEqual(self.xs("--tag", "keep", "--tail", "1"), [3])
        self.assertEqual(self.xs("--tag", "Keep"), [])

    def test_one__ends_after_the_first_new_match(self):
        self.feed(1, tag="b")
        follow = self.start_asleep("follow", "demo", "--tag", "b", "--one")
        self.feed(2, tag="a")
        self.feed(3, tag="b")
        self.assertEqual(follow.json_line()["data"]["x"], 3)
        self.assertEqual(follow.wait(), 0)
        self.assertEqual(follow.out.rest(), "")

    def test_tail_one__is_the_nth_match(self):
        follow = self.start_asleep("follow", "demo", "--tail", "2", "--one")
        self.feed(1, 2)
        self.assertEqual(follow.wait(), 0)
        self.assertEqual([json.loads(l)["data"]["x"] for l in follow.out.rest().splitlines()], [2])
        self.feed(3)
        result = self.ok("follow", "demo", "--tail", "2", "--one")
        self.assertEqual(result.json()["data"], {"x": 3})

    def test_timeout__exits_124_and_says_nothing(self):
        result = self.run_pls("follow", "demo", "--jsonl", "--timeout", "100ms")
        self.assertEqual((result.rc, result.out, result.err), (124, "", ""))
        self.feed(1)
        result = self.run_pls("follow", "demo", "--tail", "1", "--timeout", "0ms")
        self.assertEqual((result.rc, result.json()["data"]), (124, {"x": 1}))
        rc, shown = self.terminal("follow", "demo", "--one", "--timeout", "50ms")
        self.assertEqual((rc, shown), (124, "No messages received (timed out after 50ms).\n"))
        self.assertEqual(self.refused("Usage", "follow", "demo", "--timeout", "5")["message"], "invalid duration")

    def test_data_only__and_pretty(self):
        self.feed(1)
        self.assertEqual(self.ok("follow", "demo", "--no-follow", "--data-only").out, '{"x":1}\n')
        self.assertEqual(self.ok("follow", "demo", "--no-follow", "--data-only", "--format", "pretty").out,
                         '{\n  "x": 1\n}\n')
        out = self.ok("--color", "always", "follow", "demo", "--no-follow", "--data-only", "--format", "pretty").out
        self.assertEqual(out, '\033[39m{\033[0m\n  \033[36m"x"\033[0m\033[39m:\033[0m \033[33m1\033[0m\n\033[39m}\033[0m\n')
        for form in ["--jsonl", "--json", "--format=jsonl"]:
            self.assertNotIn("\033", self.ok("--color", "always", "follow", "demo", "--no-follow", form).out)

    def test_conflicts(self):
        error = self.refused("Usage", "follow", "demo", "--jsonl", "--format", "jsonl")
        self.assertEqual(error["message"], "conflicting output options")
        self.assertIn("--format jsonl", error["hint"])
        error = self.refused("Usage", "follow", "demo", "--tail", "1", "--since", "1h")
        self.assertEqual(error["message"], "the argument '--tail <TAIL>' cannot be used with '--since <SINCE>'")
        error = self.refused("Usage", "follow", "demo", "--from", "1", "--tail", "1")
        self.assertEqual(error["message"], "the argument '--from <FROM>' cannot be used with '--tail <TAIL>'")

    def test_missing__offers_a_command(self):
        error = self.refused("NotFound", "follow", "missing", "--tail", "3", "--tag", "a b")
        self.assertIn("exact command", error["hint"])
        self.assertIn("plasmite follow missing --create --tail 3 --tag 'a b'", error["hint"])
        error = self.refused("NotFound", "--color", "always", "follow", "missing")  # 11.5, 13
        self.assertEqual(error["path"], os.path.join(self.pools, "missing.plasmite"))
        error = self.refused("Usage", "follow", "demo", "--definitely-not-a-flag")  # 11.5, 14
        self.assertEqual(error["message"], "unexpected argument '--definitely-not-a-flag' found")
        self.assertIn("--help", error["hint"])
        error = self.refused("Usage", "follow", "-n", "1", use_dir=False)
        self.assertIn("pool ref", error["hint"])
        self.assertIn("plasmite follow chat -n 1", error["hint"])
        result = self.run_pls("follow", "auto", "--create", "--timeout", "20ms")
        self.assertEqual(result.rc, 124)
        self.assertTrue(os.path.exists(os.path.join(self.pools, "auto.plasmite")))

    def test_deleted_pool__ends_with_not_found(self):
        follow = self.start_asleep("follow", "demo")
        self.feed(1)
        self.ok("pool", "delete", "demo")
        self.assertEqual(follow.wait(), 3)
        self.assertEqual(follow.json_line()["data"], {"x": 1})
        self.assertEqual(json.loads(follow.err.rest())["error"]["kind"], "NotFound")

    def test_reader_that_leaves__ends_it_quietly(self):
        self.feed(1, 2, 3)
        script = '"$0" --dir "$1" follow demo --tail 3 | head -n1'
        done = subprocess.run(["bash", "-o", "pipefail", "-c", script, harness.bin_path("plasmite"), self.pools],
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.LIMIT)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(json.loads(done.stdout)["seq"], 1)

    def test_bare__shows_the_help(self):  # 11.2, 2
        result = self.run_pls("follow", use_dir=False)
        self.assertEqual((result.rc, result.out), (2, ""))
        self.assertIn("Usage: plasmite follow", result.err)

    def test_tail_one__before_and_while_messages_come(self):  # 11.2, 3 to 5
        follow = self.start_asleep("follow", "demo", "--tail", "1", "--jsonl", "--one")
        self.feed(42)
        self.assertEqual((follow.json_line()["data"], follow.wait()), ({"x": 42}, 0))
        self.assertEqual(self.ok("follow", "demo", "--tail", "1", "--jsonl", "--one").json()["data"], {"x": 42})
        follow = self.start_asleep("follow", "demo", "--tail", "4", "--one", "--timeout", "30s")
        self.feed(43, 44)
        self.assertIsNone(follow.popen.poll())
        self.feed(45)
        self.assertEqual((follow.wait(), json.loads(follow.out.rest())["data"]), (0, {"x": 45}))

    def test_one__with_other_starts(self):
        self.feed(1, 2, 3)
        times = [m["time"] for m in self.ok("follow", "demo", "--no-follow").json_lines()]
        self.assertEqual(self.ok("follow", "demo", "--since", times[1], "--one").json()["data"], {"x": 2})
        self.assertEqual(self.ok("follow", "demo", "--from", "2", "--one").json()["data"], {"x": 2})
        self.assertEqual(self.xs("--tail", "2", "--one"), [3])
        self.assertEqual(self.xs("--tail", "4", "--one"), [])
        follow = self.start_asleep("follow", "demo", "--from", "5", "--one")
        self.feed(4, 5)
        self.assertEqual((follow.wait(), json.loads(follow.out.rest())["data"]), (0, {"x": 5}))

    def test_no_follow__takes_what_is_there_at_the_start(self):
        self.assertEqual(self.xs(), [])
        self.feed(1, 2, 3)
        self.assertEqual(self.xs("--timeout", "1ms"), [1, 2, 3])
        self.assertEqual(self.xs("--no-notify", "--quiet-drops"), [1, 2, 3])
        self.assertEqual(self.ok("follow", "new", "--create", "--no-follow").out, "")
        self.assertEqual(self.ok("follow", "demo", "--since", "1h..2999-01-01T00:00:00Z").out.count("\n"), 3)
        for nothing in ("2999-01-01T00:00:00Z..2999-01-02T00:00:00Z", "1950-01-01T00:00:00Z..1960-01-01T00:00:00Z"):
            self.assertEqual(self.ok("follow", "demo", "--since", nothing).out, "")
        self.refused("Usage", "follow", "demo", "--since", "1h..2h")
        self.refused("Usage", "follow", "demo", "--since", "1h", "--from", "1")

    def test_no_notify__only_looks(self):
        self.feed(1)
        follow = self.start("follow", "demo", "--no-notify", "--tail", "1")
        self.assertEqual(follow.json_line()["data"], {"x": 1})
        self.feed(2, 3)
        self.assertEqual([follow.json_line()["data"]["x"] for _ in range(2)], [2, 3])
        self.assertFalse(self._parked(follow.pid))
        os.unlink(os.path.join(self.pools, "demo.plasmite"))
        self.assertEqual(follow.wait(), 3)
        result = self.run_pls("follow", "missing", "--create", "--no-notify", "--timeout", "30ms")
        self.assertEqual((result.rc, result.out, result.err), (124, "", ""))

    def test_pool_that_is_made_anew__ends_it(self):  # 12.2, 35
        follow = self.start_asleep("follow", "demo")
        self.ok("pool", "delete", "demo")
        self.ok("pool", "create", "demo")
        self.assertEqual((follow.wait(), follow.out.rest()), (3, ""))
        error = json.loads(follow.err.rest())["error"]
        self.assertEqual((error["kind"], error["path"]), ("NotFound", os.path.join(self.pools, "demo.plasmite")))

    def test_read_only_pool(self):  # 12.2, 33
        self.feed(1)
        path = os.path.join(self.pools, "demo.plasmite")
        program = shutil.copy(harness.bin_path("plasmite"), self.path("plasmite"))
        os.chmod(path, 0o444)
        os.chmod(self.dir, 0o755)
        os.chmod(self.pools, 0o755)
        other = {"user": 65534, "group": 65534} if self.is_root() else {}
        done = subprocess.run([program, "fetch", path, "1"], stdout=subprocess.PIPE, env=self.env, **other)
        self.assertEqual((done.returncode, json.loads(done.stdout)["data"]), (0, {"x": 1}))
        follow = self.start_argv([program, "follow", path, "--tail", "1"], **other)
        self.assertEqual(follow.json_line()["data"], {"x": 1})
        os.chmod(path, 0o644)
        self.feed(2)
        self.assertEqual(follow.json_line()["data"], {"x": 2})

    def test_terminal__colours_and_forms(self):
        self.feed(1)
        self.assertEqual(self.terminal("follow", "demo", "--no-follow", "--data-only"),
                         (0, '\033[39m{\033[0m\n  \033[36m"x"\033[0m\033[39m:\033[0m \033[33m1\033[0m\n\033[39m}\033[0m\n'))
        self.assertEqual(self.terminal("--color", "never", "follow", "demo", "--no-follow", "--data-only"), (0, '{\n  "x": 1\n}\n'))
        for form in ("--jsonl", "--json", "--format=jsonl"):
            self.assertEqual(self.terminal("--color", "always", "follow", "demo", "--no-follow", "--data-only", form), (0, '{"x":1}\n'))
        rc, shown = self.terminal("follow", "missing")
        self.assertEqual((rc, shown.split(" ")[0]), (3, "\033[31merror:\033[0m"))

    def test_terminal__interrupt_kills_it(self):
        self.feed(1)
        follow = terminal.Terminal(self.argv("follow", "demo", "--tail", "1", "--jsonl"), self.env)
        self.addCleanup(follow.close)
        follow.until("\n")
        follow.type("\x03")
        self.assertEqual((follow.wait(), follow.shown), (-signal.SIGINT, ""))
        self.assertEqual(termios.tcgetattr(follow.slave), follow.settings)

    def test_reader_that_leaves_while_nothing_comes(self):
        for extra in ([], ["--no-notify"]):
            follow = self.start_argv_to_pipe("follow", "demo", *extra)
            self.assertEqual((follow.wait(harness.LIMIT), follow.stderr.read()), (0, b""))
            follow.stderr.close()

    def start_argv_to_pipe(self, *args):
        """A follower whose output is a pipe that nobody will ever read."""
        reader, writer = os.pipe()
        popen = subprocess.Popen(self.argv(*args), stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, env=self.env)
        self.addCleanup(popen.kill)
        os.close(writer)
        os.close(reader)
        return popen

    def test_full_output__is_an_error(self):
        self.feed(1)
        for form in (["--no-follow"], ["--tail", "1"], ["--no-follow", "--format", "pretty"], ["--tail", "1", "--one"],
                     ["--tail", "1", "--data-only"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run(self.argv("follow", "demo", *form), stdout=full, stderr=subprocess.PIPE, env=self.env)
            self.assertEqual((done.returncode, json.loads(done.stderr)["error"]["kind"]), (8, "Io"))

    def test_killed_followers__leave_no_trace(self):
        for _ in range(20):
            follow = self.start_asleep("follow", "demo")
            follow.signal(signal.SIGKILL)
            follow.wait()
        follow = self.start_asleep("follow", "demo", "--one")
        self.feed(7)
        self.assertEqual(follow.json_line()["data"], {"x": 7})


if __name__ == "__main__":
    unittest.main(verbosity=2)
