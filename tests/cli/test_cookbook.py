"""Recipes as people type them: shell lines from end to end, with the pool directory of a fresh home."""

import json
import os
import subprocess
import unittest

import harness
from sessions import end_session

# Programs of the recipes that are not ours.
STAND_INS = {
    "run-tests.sh": "echo tested >>ran",
    "deploy-to-staging.sh": "echo staging >>ran",
    "deploy.sh": "echo deploying; echo deployed >>ran",
    "server": "echo listening; echo 'no route' >&2",
    "tools/cargo": "echo Compiling; echo 'warning: unused' >&2",
    "tools/curl": """printf '{\\n  "type": "payment_intent.created",\\n  "id": 1\\n}\\n'
printf '{\\n  "type": "payment_intent.succeeded",\\n  "id": 2\\n}\\n'""",
    "tools/journalctl": """for m in started 'kernel panic' stopped; do
    printf '\\036{"SYSLOG_IDENTIFIER":"kernel","MESSAGE":"%s"}\\n' "$m"
done""",
}


class Cookbook(harness.Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("tools"))
        for name, script in STAND_INS.items():
            self.write_file(name, "#!/bin/sh\n%s\n" % script)
            os.chmod(self.path(name), 0o755)
        self.env["PATH"] = ":".join([self.path("tools"), os.environ["PLASMITE_BIN"], os.environ["PATH"]])

    def sh(self, script):
        """Runs shell lines to their end; they must succeed and complain of nothing; what they print."""
        done = subprocess.run(["bash", "-ec", script], cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=harness.LIMIT,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), script + "\n" + done.stdout)
        return done.stdout

    def sh_start(self, script):
        """Starts shell lines, and waits until the last program of them waits for messages."""
        process = self.start_argv(["bash", "-ec", script], cwd=self.dir, start_new_session=True)
        self.addCleanup(end_session, process.popen, home=self.dir)
        harness.wait_until(lambda: process.popen.poll() is not None or self.follower_waits(process.pid),
                           "a program of %r waits" % script)
        return process

    def follower_waits(self, pid):
        children = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE, text=True, check=False)
        return any(self._parked(int(child)) for child in [pid, *children.stdout.split()])

    def data(self, pool, *options):
        text = self.sh("pls follow %s --no-follow %s" % (pool, " ".join(options)))
        return [json.loads(line)["data"] for line in text.splitlines()]

    def ran(self):
        with open(self.path("ran"), encoding="utf-8") as file:
            return file.read().split()

    def test_ci_gate__lets_the_deploy_go_on_when_the_tests_are_green(self):
        self.sh("pls pool create ci")
        deploy = self.sh_start("""
            pls follow ci --where '.data.status == "green"' --one > /dev/null
            echo "Tests passed"
            ./deploy-to-staging.sh""")
        self.sh("""
            pls feed ci '{"status": "red"}'
            ./run-tests.sh
            pls feed ci --create '{"status": "green", "commit": "a1b2c3d", "suite": "unit"}'""")
        self.assertEqual(deploy.line(), "Tests passed")
        self.assertEqual(deploy.wait(), 0)
        self.assertEqual(self.ran(), ["tested", "staging"])

    def test_sensor_readings__alert_and_replay(self):
        self.sh("pls pool create telemetry")
        alert = self.sh_start("pls follow telemetry --tag sensor --where '.data.value > 80000'")
        self.sh("""
            for value in 42100 91000; do
                pls feed telemetry --create \\
                    --tag sensor \\
                    "{\\"sensor\\": \\"temp\\", \\"value\\": $value, \\"ts\\": \\"$(date -Iseconds)\\"}"
            done""")
        self.assertEqual(alert.json_line()["data"]["value"], 91000)
        values = self.sh("pls follow telemetry --tag sensor --since 1h --replay 0 | jq -c '.data | [.value]'")
        self.assertEqual(values, "[42100]\n[91000]\n")

    def test_event_bus__readers_pick_what_they_care_about(self):
        self.sh("pls pool create telemetry")
        api = self.sh_start("""pls follow telemetry --tag alert --where '.data.service == "api"'""")
        self.sh("""
            pls feed telemetry --tag deploy '{"service": "api", "sha": "f4e5d6c"}'
            pls feed telemetry --tag alert  '{"service": "web", "msg": "slow"}'
            pls feed telemetry --tag alert  '{"service": "api", "msg": "latency spike"}'
            pls feed telemetry --tag metric '{"service": "web", "rps": 1420}'
            mkdir -p tmp
            pls follow telemetry --since 10m --replay 0 --jsonl > tmp/timeline.jsonl""")
        self.assertEqual(api.json_line()["data"], {"service": "api", "msg": "latency spike"})
        with open(self.path("tmp/timeline.jsonl"), encoding="utf-8") as file:
            self.assertEqual([json.loads(line)["seq"] for line in file], [1, 2, 3, 4])

    def test_api_stream__is_kept_and_filtered(self):
        self.sh("""curl -N https://api.stripe.com/v1/events \\
            -H "Authorization: Bearer $STRIPE_KEY" \\
            | pls feed stripe-events --create""")
        self.assertEqual([data["id"] for data in self.data("stripe-events")], [1, 2])
        paid = self.sh_start("pls follow stripe-events --where '.data.type == \"payment_intent.succeeded\"'")
        self.sh("curl -N x | pls feed stripe-events")
        self.assertEqual(paid.json_line()["data"]["id"], 2)
        self.assertEqual(len(self.sh("pls follow stripe-events --since 20m --replay 1000").splitlines()), 4)
        dump = self.sh_start("mkdir -p tmp; pls follow stripe-events --tail 500 --jsonl > tmp/stripe-dump.jsonl")
        self.assertIsNone(dump.popen.poll())
        with open(self.path("tmp/stripe-dump.jsonl"), encoding="utf-8") as file:
            self.assertEqual([json.loads(line)["seq"] for line in file], [1, 2, 3, 4])

    def test_build_progress__is_watched_and_ships_when_done(self):
        self.sh("""pls feed build --create '{"step": "compile", "pct": 0}'""")
        watch = self.sh_start("pls follow build")
        ship = self.sh_start("pls follow build --tag done --one > /dev/null && ./deploy.sh")
        self.sh("""
            pls feed build '{"step": "compile", "pct": 100}'
            pls feed build '{"step": "test", "pct": 0}'
            pls feed build '{"step": "test", "pct": 100}'
            pls feed build --tag done '{"step": "finished", "ok": true}'""")
        self.assertEqual([watch.json_line()["seq"] for _ in range(4)], [2, 3, 4, 5])
        self.assertEqual(ship.wait(), 0)
        self.assertEqual(self.ran(), ["deployed"])
        self.assertEqual(len(self.sh("pls follow build --since 12h --replay 0").splitlines()), 5)

    def test_tap__records_what_a_command_prints(self):
        done = subprocess.run(["bash", "-ec", """
            pls tap build --create -- cargo build
            pls tap build --tag prod -- ./deploy.sh
            pls tap api --create --create-size 64M -- ./server"""], cwd=self.dir, env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True,
            timeout=harness.LIMIT)
        self.assertEqual(done.stdout, "Compiling\ndeploying\nlistening\n")
        self.assertEqual(done.stderr, "warning: unused\nno route\n")
        lines = [data.get("line") for data in self.data("build", "--where '.data.kind == \"line\"'")]
        self.assertCountEqual(lines, ["Compiling", "warning: unused", "deploying"])
        self.assertEqual(self.data("build", "--where '.data.stream == \"stderr\"'")[0]["line"], "warning: unused")
        self.assertEqual(self.data("build", "--tag prod")[0]["line"], "deploying")
        self.assertEqual(self.sh("pls pool info api | jq .file_size"), "67108864\n")
        self.assertEqual(len(self.sh("pls follow build --since 2h --replay 0").splitlines()), 7)

    def test_duplex__takes_json_from_scripts(self):
        self.sh("""
            pls pool create chat
            printf '{"from":"alice","msg":"boot complete"}\\n{"from":"alice","msg":"ready"}' \\
              | pls duplex chat --me alice""")
        self.assertEqual([data["msg"] for data in self.data("chat")], ["boot complete", "ready"])
        self.sh("""printf '{"ping": true}' | pls duplex chat --me healthcheck --timeout 5s""")
        self.assertEqual(self.data("chat")[-1], {"ping": True})

    def test_system_log__is_a_ring_that_can_be_searched(self):
        self.sh("journalctl -o json-seq -f | pls feed syslog --create")
        self.sh("pls pool delete syslog; pls pool create syslog --size 8M")
        self.sh("journalctl -o json-seq -f | pls feed syslog")
        self.assertEqual(len(self.sh("pls follow syslog --since 30m --replay 1").splitlines()), 3)
        panic = self.sh_start("pls follow syslog --since 1h --where '.data.MESSAGE | test(\"panic\")'")
        self.assertEqual(panic.json_line()["data"]["MESSAGE"], "kernel panic")
        self.assertEqual(self.sh("""pls follow syslog --since 10m --replay 0 |
            jq -c '.data | {SYSLOG_IDENTIFIER, MESSAGE}' | head -n1"""),
            '{"SYSLOG_IDENTIFIER":"kernel","MESSAGE":"started"}\n')

    def test_replay__narrows_down_an_incident(self):
        self.sh("""
            mkdir -p tmp
            pls feed incidents --create --tag sev1 --tag error '{"code":503}'
            pls feed incidents --tag error '{"code":500}'
            pls feed incidents --tag sev1 '{"code":200}'""")
        self.assertEqual(len(self.sh("pls follow incidents --since 1h --replay 10").splitlines()), 3)
        self.assertEqual(len(self.sh("pls follow incidents --since 1h --replay 1").splitlines()), 3)
        narrow = self.sh_start("pls follow incidents --since 2h --tag sev1 --where '.data.code == 503'")
        self.assertEqual(narrow.json_line()["seq"], 1)
        last = self.sh_start("pls follow incidents --tail 20")
        self.assertEqual([last.json_line()["seq"] for _ in range(3)], [1, 2, 3])
        self.sh_start("pls follow incidents --tag error --tail 100 --jsonl > tmp/errors.jsonl")
        with open(self.path("tmp/errors.jsonl"), encoding="utf-8") as file:
            self.assertEqual([json.loads(line)["seq"] for line in file], [1, 2])


if __name__ == "__main__":
    unittest.main(verbosity=2)
