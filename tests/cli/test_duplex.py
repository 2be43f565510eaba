import json
import os
import signal
import subprocess
import termios
import unittest

import harness
import terminal


class Duplex(harness.Case):
    def setUp(self):
        super().setUp()
        self.ok("pool", "create", "chat")

    def say(self, name, *texts):
        for text in texts:
            self.ok("feed", "chat", json.dumps({"from": name, "msg": text}))

    def said(self):
        return [m["data"] for m in self.ok("follow", "chat", "--no-follow").json_lines()]

    def texts(self, lines):
        return [json.loads(line)["data"]["msg"] for line in lines.splitlines()]

    def on_terminal(self, *args, **kwargs):
        chat = terminal.Terminal(self.argv("duplex", "chat", *args), self.env, **kwargs)
        self.addCleanup(chat.close)
        return chat

    # Records from a pipe.

    def test_reply__own_messages_are_hidden(self):  # 11.2, 38
        self.say("bob", "seed")
        duplex = self.start("duplex", "chat", "--create", "--me", "alice", "--tail", "1", "--jsonl")
        self.assertEqual(duplex.json_line()["data"], {"from": "bob", "msg": "seed"})
        duplex.write('{"from":"alice","msg":"reply"}\n')
        harness.wait_until(lambda: len(self.said()) == 2)
        duplex.close_stdin()
        self.assertEqual(duplex.wait(), 0)
        self.assertEqual((duplex.out.rest(), duplex.err.rest()), ("", ""))
        self.assertEqual([d["from"] for d in self.said()], ["bob", "alice"])

    def test_own_messages__are_hidden_in_the_history_and_not_counted(self):
        self.say("bob", "1", "2", "3")
        self.say("alice", "4", "5")
        self.ok("feed", "chat", '{"from":["alice"],"msg":"6"}')
        self.ok("feed", "chat", '{"msg":"7"}')
        own = json.dumps({"from": "alice", "msg": "8"})
        run = lambda *args: self.texts(self.ok("duplex", "chat", *args, stdin=own).out)
        self.assertEqual(run("--me", "alice", "--tail", "3"), ["3", "6", "7"])
        self.assertEqual(run("--me", "alice", "--since", "1h"), ["1", "2", "3", "6", "7"])
        self.assertEqual(run("--me", "alice", "--tail", "2", "--echo-self"), ["8", "8", "8"])
        self.assertEqual(run("--me", "alic", "--tail", "1"), ["8", "8"])
        self.assertEqual(run("--tail", "1"), ["8", "8"])
        self.assertEqual(run("--me", "alice"), [])

    def test_names_with_anything_in_them(self):
        for name in ('a"b', "a\\(1)", "ünïcode ☃", "", "\n", "a'b", "${HOME}"):
            self.say(name, "mine")
            self.say(name + "x", "theirs")
            out = self.ok("duplex", "chat", "--me=" + name, "--tail", "1", stdin='{"n":1}').out
            self.assertEqual([json.loads(line)["data"] for line in out.splitlines()],
                             [{"from": name + "x", "msg": "theirs"}, {"n": 1}])
        self.assertEqual(self.refused("Usage", "duplex", "chat", "--me", "x" * 2000, stdin='{"n":1}')["message"],
                         "the name of --me is too long")

    def test_end_of_input__what_is_there_is_still_printed(self):
        duplex = self.start_asleep("duplex", "chat", "--me", "alice")
        duplex.write("".join('{"from":"alice","msg":"%d"}\n' % i for i in range(2000)))
        self.ok("feed", "chat", stdin="".join('{"from":"bob","msg":"%d"}\n' % i for i in range(2000)))
        duplex.close_stdin()
        self.assertEqual(duplex.wait(), 0)
        self.assertEqual(self.texts(duplex.out.rest()), [str(i) for i in range(2000)])
        self.assertEqual(duplex.err.rest(), "")

    def test_records__are_taken_as_feed_takes_them(self):
        copied = '{"seq":9,"time":"2026-03-04T05:06:07Z","meta":{"tags":["t"]},"data":{"msg":"copy"}}'
        self.ok("duplex", "chat", stdin='{"msg":"a"}\n{\n  "msg": "b"\n}\n\x1e{"msg":"c"}\n' + copied)
        messages = self.ok("follow", "chat", "--no-follow").json_lines()
        self.assertEqual([(m["data"]["msg"], m["meta"]["tags"]) for m in messages],
                         [("a", []), ("b", []), ("c", []), ("copy", ["t"])])
        duplex = self.start("duplex", "chat", "--me", "x")
        duplex.write('{"msg":"at once"}\n')
        self.assertEqual(duplex.json_line()["data"], {"msg": "at once"})

    def test_bad_record__ends_it_behind_the_good_ones(self):
        result = self.run_pls("duplex", "chat", stdin='{"msg":"a"}\nnonsense\n{"msg":"b"}\n')
        self.assertEqual((result.rc, self.texts(result.out), self.said()), (2, ["a"], [{"msg": "a"}]))
        self.assertEqual((result.error()["kind"], result.error()["message"]), ("Usage", "invalid json input"))
        self.assertEqual(self.refused("Usage", "duplex", "chat", stdin="42\n")["message"], "data must be object")

    def test_no_input(self):
        for empty in ("", "\n \n"):
            error = self.refused("Usage", "duplex", "chat", stdin=empty)
            self.assertEqual(error["message"], "missing data input")
            self.assertIn("pipe JSON", error["hint"])

    def test_timeout(self):
        duplex = self.start("duplex", "chat", "--timeout", "200ms", "--tail", "1")
        self.assertEqual(duplex.wait(), 124)
        self.assertEqual((duplex.out.rest(), duplex.err.rest()), ("", ""))
        self.say("bob", "hi")
        duplex = self.start("duplex", "chat", "--timeout", "0ms", "--tail", "1", "--me", "alice")
        self.assertEqual(duplex.wait(), 124)
        self.assertEqual(self.texts(duplex.out.rest()), ["hi"])
        self.assertEqual(self.refused("Usage", "duplex", "chat", "--timeout", "1.5s", stdin="")["message"], "invalid duration")

    def test_since(self):  # 11.2, 41
        self.refused("NotFound", "duplex", "missing", "--since", "2999-01-01T00:00:00Z")
        self.assertEqual(self.refused("Usage", "duplex", "missing", "--since", "yesterday")["message"], "invalid --since value")
        self.assertEqual(self.refused("Usage", "duplex", "chat", "--tail", "1", "--since", "1h")["message"],
                         "the argument '--tail <TAIL>' cannot be used with '--since <SINCE>'")
        self.say("bob", "hi")
        result = self.ok("duplex", "chat", "--since", "1h..0s", stdin='{"msg":"x"}')  # ends there
        self.assertEqual(self.texts(result.out), ["hi"])

    def test_since__nothing_more_to_print_loses_no_input(self):
        for i, since in enumerate(("10m..1m", "1h..0s", "2999-01-01T00:00:00Z")):
            duplex = self.start("duplex", "chat", "--since", since)
            for n in range(3):
                duplex.write('{"msg":"%d"}\n' % n)
                harness.wait_until(lambda: len(self.said()) >= 5 * i + n + 1)
            duplex.write('{"msg":"3"}\n{"msg":"4"}')
            duplex.close_stdin()
            self.assertEqual((duplex.wait(), duplex.err.rest()), (0, ""))
            self.assertEqual(len(self.said()), 5 * (i + 1))
        self.assertEqual(duplex.out.rest(), "")
        for since in "10m..1m", "2999-01-01T00:00:00Z":
            error = self.refused("Usage", "duplex", "chat", "--since", since, stdin='{"msg":"x"}\nnonsense\n')
            self.assertEqual(error["message"], "invalid json input")
            self.refused("Usage", "duplex", "chat", "--since", since, stdin="")
        self.assertEqual(len(self.said()), 17)
        for since in "2h..1h", "2999-01-01T00:00:00Z":  # nobody waits for a line of somebody who types
            chat = self.on_terminal("--me", "alice", "--since", since)
            self.assertEqual((chat.wait(), chat.shown), (0, ""))

    def test_forms(self):
        error = self.refused("Usage", "duplex", "chat", "--jsonl", "--format", "jsonl", stdin="")
        self.assertEqual(error["message"], "conflicting output options")
        self.say("bob", "hi")
        line = self.ok("follow", "chat", "--no-follow").out
        pretty = self.ok("follow", "chat", "--no-follow", "--format", "pretty").out
        args = ("duplex", "chat", "--tail", "1", "--me", "x")
        own = '{"from":"x"}'
        for form in ("--jsonl", "--json"):
            self.assertEqual(self.ok("--color", "always", *args, form, stdin=own).out, line)
            self.ok("feed", "chat", own)
        self.assertEqual(self.ok(*args, "--format", "pretty", stdin=own).out, pretty)

    def test_missing__offers_duplex(self):  # 12.2, 22
        error = self.refused("NotFound", "duplex", "missing", "--me", "a b", "--tail", "3", stdin="")
        self.assertIn("plasmite duplex missing --create --me 'a b' --tail 3", error["hint"])
        result = self.ok("duplex", "new", "--create-size", "64K", "--mode", "640", stdin='{"x":1}')
        path = os.path.join(self.pools, "new.plasmite")
        self.assertEqual((os.stat(path).st_size, os.stat(path).st_mode & 0o777), (65536, 0o640))
        self.assertEqual(result.json()["data"], {"x": 1})

    def test_bare__shows_the_help(self):  # 11.2, 1
        result = self.run_pls("duplex", use_dir=False)
        self.assertEqual((result.rc, result.out), (2, ""))
        self.assertIn("Usage: plasmite duplex", result.err)
        self.assertIn("Send and follow from one command", result.err)

    def test_deleted_pool__ends_it(self):
        duplex = self.start_asleep("duplex", "chat")
        self.ok("pool", "delete", "chat")
        self.assertEqual(duplex.wait(), 3)
        self.assertEqual(json.loads(duplex.err.rest())["error"]["kind"], "NotFound")

    def test_reader_that_leaves__ends_it_quietly(self):
        self.say("bob", "1", "2")
        script = 'exec 3< <(exec sleep 60); "$0" --dir "$1" duplex chat --tail 2 <&3 | head -n1; echo ${PIPESTATUS[0]}; kill $!'
        done = subprocess.run(["bash", "-c", script, harness.bin_path("plasmite"), self.pools], env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.LIMIT)
        line, rc = done.stdout.decode().splitlines()
        self.assertEqual((json.loads(line)["seq"], rc, done.stderr), (1, "0", b""))

    def test_full_output__is_an_error(self):
        self.say("bob", "hi")
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.argv("duplex", "chat", "--tail", "1"), input=b'{"x":1}', stdout=full,
                                  stderr=subprocess.PIPE, env=self.env)
        self.assertEqual((done.returncode, json.loads(done.stderr)["error"]["kind"]), (8, "Io"))

    # Lines from a terminal.

    def test_terminal__needs_a_name(self):
        rc, shown = self.terminal("--color", "never", "duplex", "chat")
        self.assertEqual(rc, 2)
        self.assertTrue(shown.startswith("error: TTY input requires --me for duplex\nhint: "), shown)
        self.assertIn("--me NAME", shown)
        rc, shown = self.terminal("--color", "never", "duplex", "missing", "--since", "yesterday")
        self.assertTrue(shown.startswith("error: TTY input requires --me for duplex\n"), shown)

    def test_terminal__lines_are_sent_and_messages_shown(self):
        chat = self.on_terminal("--me", "alice", "--color", "never")
        chat.type("  hello, \"world\" \\ ☃ \n")
        harness.wait_until(lambda: self.said() == [{"from": "alice", "msg": '  hello, "world" \\ ☃ '}])
        self.say("bob", "hi")
        time_text = self.ok("fetch", "chat", "2").json()["time"]
        self.assertEqual(chat.until("}\n}\n"),
                         '{\n  "seq": 2,\n  "time": "%s",\n  "meta": {\n    "tags": []\n  },\n  "data": {\n'
                         '    "from": "bob",\n    "msg": "hi"\n  }\n}\n' % time_text)
        chat.type("\n   \n\t\nsecond\r\nunfinished\x04\x04")
        self.assertEqual(chat.wait(), 0)
        self.assertEqual(chat.shown, "")
        self.assertEqual([d["msg"] for d in self.said()], ['  hello, "world" \\ ☃ ', "hi", "second", "unfinished"])
        self.assertEqual(termios.tcgetattr(chat.slave), chat.settings)

    def test_terminal__end_of_input_at_once(self):
        chat = self.on_terminal("--me", "alice")
        chat.type("\x04")
        self.assertEqual((chat.wait(), chat.shown), (0, ""))

    def test_terminal__interrupt_kills_it(self):
        chat = self.on_terminal("--me", "alice")
        chat.type("hello\n")
        harness.wait_until(lambda: len(self.said()) == 1)
        chat.type("\x03")
        self.assertEqual(chat.wait(), -signal.SIGINT)
        self.assertEqual(termios.tcgetattr(chat.slave), chat.settings)

    def test_terminal__timeout_says_nothing(self):
        chat = self.on_terminal("--me", "alice", "--timeout", "100ms")
        self.assertEqual((chat.wait(), chat.shown), (124, ""))

    def test_terminal__what_cannot_be_sent_is_told_and_passed_over(self):
        chat = self.on_terminal("--me", "alice", "--color", "never")
        chat.type(b"ol\xe9\nnext\n")
        self.assertEqual(chat.until("\n"), "notice: not sent: the line is not UTF-8\n")
        harness.wait_until(lambda: self.said() == [{"from": "alice", "msg": "next"}])
        self.ok("pool", "create", "tiny", "--size", "8K")
        chat = terminal.Terminal(self.argv("duplex", "tiny", "--me", "alice", "--color", "never"), self.env)
        self.addCleanup(chat.close)
        too_long = "notice: not sent: the line does not fit into a message of this pool\n"
        chat.type("x" * 4000 + "\n")
        self.assertEqual(chat.until("\n"), too_long)
        for _ in range(3):  # ^D hands over what is typed so far
            chat.type("y" * 3000 + "\x04")
            harness.wait_until(lambda: harness.is_asleep(chat.popen.pid))
        chat.type("z\nnext\n\x04")
        self.assertEqual((chat.wait(), chat.shown), (0, too_long))
        self.assertEqual([m["data"]["msg"] for m in self.ok("follow", "tiny", "--no-follow").json_lines()], ["next"])

    def test_terminal__what_cannot_be_sent_is_told_to_programs_too(self):
        chat = self.on_terminal("--me", "alice", stderr=subprocess.PIPE)
        chat.type(b"ol\xe9\n\x04")
        self.assertEqual(chat.wait(), 0)
        notice = json.loads(chat.popen.stderr.read())["notice"]
        chat.popen.stderr.close()
        del notice["time"]
        self.assertEqual(notice, {"cmd": "duplex", "kind": "unsent", "message": "not sent: the line is not UTF-8", "pool": "chat",
                                  "details": {"error_kind": "Usage", "pool_path": os.path.join(self.pools, "chat.plasmite")}})

    def test_terminal__coloured(self):
        self.say("bob", "hi")
        chat = self.on_terminal("--me", "alice", "--tail", "1")
        self.assertIn('\033[36m"from"\033[0m\033[39m:\033[0m \033[32m"bob"\033[0m', chat.until("}\033[0m\n\033[39m}\033[0m\n"))
        chat = self.on_terminal("--me", "alice", "--tail", "1", "--jsonl")
        self.assertEqual(chat.until("\n"), self.ok("fetch", "chat", "1").out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
