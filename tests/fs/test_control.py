"""What a pool is told through `ctl`, and what it tells in `stat/` and `tags`."""

import errno
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import until


class Control(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def tell(self, text, name="ci/ctl"):
        fd = os.open(self.path(name), os.O_WRONLY)
        try:
            return os.write(fd, text.encode() if isinstance(text, str) else text)
        finally:
            os.close(fd)

    def test_delete(self):
        self.append("ci", {"n": 1})
        self.assert_errno(errno.ENOTEMPTY, os.rmdir, self.path("ci"))
        self.run_ok("echo delete > ci/ctl && test ! -e ci && mkdir ci && test ! -s ci/all")
        self.assertEqual(os.listdir(self.pools), ["ci.plasmite"])

    def test_delete_again_and_again(self):
        self.run_ok("for i in 1 2 3 4 5 6 7 8 9; do echo '{}' > ci/append && echo delete > ci/ctl && mkdir ci || exit; done")

    def test_delete_although_it_is_open(self):
        self.append("ci", {"n": 1})
        reader = self.start("cat ci/live/all")
        self.wait_blocked(reader)
        writer = self.open("ci/append", os.O_WRONLY)
        self.run_ok("echo delete > ci/ctl")
        out = self.finish(reader, status=1, stderr="cat: ci/live/all: Stale file handle\n")
        self.assertEqual(mount.datas(out), ['{"n":1}'])
        self.assert_errno(errno.ESTALE, os.write, writer, b"{}")

    def test_it_is_all_or_nothing(self):
        for text in ("delet", "delete\nnonsense", "nonsense\ndelete\n", "delete now", " delete", "delete\0", "framing",
                     "framing xml", "delete\n" * 1000, "x" * 5000):
            with self.subTest(text=text[:40]):
                self.assert_errno(errno.EINVAL, self.tell, text)
                self.assertEqual(json.loads(self.read("ci/errors").splitlines()[-1])["path"], "ci/ctl")
        self.assertEqual(self.read("ci/ctl"), "framing json\n")
        self.assertTrue(os.path.exists(self.path("ci")))

    def test_errors_say_what_there_is(self):
        self.run_fails("printf 'framing json\\nremove\\n' > ci/ctl", 1, "Invalid argument")
        failure = json.loads(self.read("ci/errors"))
        del failure["time"]
        self.assertEqual(failure, {
            "path": "ci/ctl", "errno": "EINVAL", "message": "no such command",
            "hint": "Commands are: delete, framing json, framing jsonl.", "place": "remove\n^",
        })

    def test_several_commands(self):
        self.assertEqual(self.tell("framing json\nframing jsonl\n"), 27)
        self.assertEqual(self.read("ci/ctl"), "framing jsonl\n")

    def test_it_is_for_the_owner_alone(self):
        os.chmod(self.pool_file("ci"), 0o666)
        until("the mode is seen", lambda: os.stat(self.path("ci/append")).st_mode & 0o777 == 0o666)
        self.assertEqual(os.stat(self.path("ci/ctl")).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.path("ci/size")).st_mode & 0o777, 0o600)

    def test_framing_by_line(self):
        self.run_ok("""echo '{"a":\n1}' > ci/append""")
        fd = self.open("ci/append", os.O_WRONLY)
        self.tell("framing jsonl\n")
        self.run_fails("""echo '{"a":1' > ci/append""", 1, "Bad message")  # the mistake that a shell does not see otherwise
        self.assertEqual(json.loads(self.read("ci/errors"))["place"], '{"a":1\n      ^')
        self.run_ok("""echo '{"b":1} {"b":2}' > ci/append; printf '{"b":3}\n\n\n{"b":4}' > ci/append""")
        self.assertEqual(os.write(fd, b'{"c":1}\n{"c":\n2}\n'), 7)  # those who had it open too
        self.assert_errno(errno.EBADMSG, os.write, fd, b'{"c":\n2}\n')
        os.write(fd, b'{"c":3')
        os.write(fd, b'}\n')
        self.tell("framing json\n")
        os.write(fd, b'{"d":\n1}\n')
        self.assertEqual(
            self.datas("ci"),
            ['{"a":1}', '{"b":1}', '{"b":2}', '{"b":3}', '{"b":4}', '{"c":1}', '{"c":3}', '{"d":1}'],
        )

    def test_framing_by_line_of_much(self):
        self.tell("framing jsonl\n")
        self.mkpool("big", size="64M")
        self.tell("framing jsonl", "big/ctl")
        with open(os.path.join(self.dir, "text"), "w") as file:
            for n in range(100_000):
                file.write('{"n":%d}\n' % n)
        self.run_ok("cat ../text > big/append")
        self.assertEqual(self.read("big/stat/count"), "100000\n")


class ReadOnly(mount.Case):
    mount_options = "ro"

    def test_ctl(self):
        self.pls("pool", "create", "ci")
        self.run_fails("echo delete > ci/ctl", 1, "Read-only file system")


class Values(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def values(self):
        return {name: int(self.read("ci/stat/" + name)) for name in os.listdir(self.path("ci/stat"))}

    def test_an_empty_pool(self):
        info = json.loads(self.read("ci/info"))
        self.assertEqual(os.listdir(self.path("ci/stat")), ["newest", "oldest", "count", "used", "capacity", "rejected"])
        self.assertEqual(
            self.values(), {"newest": 0, "oldest": 0, "count": 0, "used": 0, "capacity": info["ring_size"], "rejected": 0}
        )

    def test_they_are_those_of_info(self):
        self.run_ok("seq 20000 | jq -c '{n: .}' > ci/append")
        info = json.loads(self.read("ci/info"))
        values = self.values()
        self.assertEqual((values["newest"], values["oldest"]), (info["bounds"]["newest"], info["bounds"]["oldest"]))
        self.assertGreater(values["oldest"], 1)
        self.assertEqual(values["count"], info["metrics"]["message_count"])
        self.assertEqual(values["used"], info["metrics"]["utilization"]["used_bytes"])

    def test_one_value_one_line(self):
        self.append("ci", {"n": 1}, {"n": 2})
        self.assertEqual(self.run_ok("cat ci/stat/newest ci/stat/count"), "2\n2\n")
        self.assertEqual(self.run_ok("n=$(cat ci/stat/newest); echo '{}' > ci/append; head -n1 ci/live/from/$((n + 1)) | jq .seq"), "3\n")

    def test_rejected(self):
        for text in (b"x", b"{", b'{"a":1}{"a":}'):
            fd = os.open(self.path("ci/append"), os.O_WRONLY)
            try:
                os.write(fd, text)
            except OSError:
                pass
            try:
                os.close(fd)
            except OSError:
                pass
        self.assertEqual(self.values()["rejected"], 2)  # the last was a short count, and did not come again
        self.run_fails("cat ci/last/x", 1, "Invalid argument")
        self.assertEqual(self.values()["rejected"], 2)

    def test_times(self):
        self.append("ci", {"n": 1})
        newest = mount.time_ns(mount.envelopes(self.read("ci/tail"))[0][1])
        for name in ("newest", "oldest", "count", "used"):
            self.assertEqual(os.stat(self.path("ci/stat/" + name)).st_mtime_ns, newest)
        self.assertLess(os.stat(self.path("ci/stat/capacity")).st_mtime_ns, newest)


class Tags(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")

    def test_none(self):
        self.assertEqual(self.read("ci/tags"), "")
        self.append("ci", {})
        self.assertEqual(self.read("ci/tags"), "")

    def test_the_most_frequent_first(self):
        for n in range(1, 31):
            self.append("ci" + "/tag/two" * (n % 2 == 0) + "/tag/three" * (n % 3 == 0) + "/tag/thirty" * (n == 30), {})
        self.append("ci/tag/another", {})
        self.assertEqual(self.read("ci/tags"), "15\ttwo\n10\tthree\n1\tanother\n1\tthirty\n")
        self.append("ci/tag/three", *[{}] * 6)
        self.assertEqual(self.read("ci/tags"), "16\tthree\n15\ttwo\n1\tanother\n1\tthirty\n")

    def test_a_tag_counts_once_for_each_message(self):
        self.append("ci", '{"seq":1,"time":"2026-03-04T05:06:07Z","meta":{"tags":["a","a","b"]},"data":{}}')
        self.assertEqual(self.read("ci/tags"), "1\ta\n1\tb\n")

    def test_every_line_is_a_path(self):
        names = ["plain", "with space", "sl/ash", "100%", "%41", "tab\tin", "new\nline", "\u00e4\u20ac", ".", "..", "README", 'q"uote', "back\\slash"]
        for name in names:
            self.pls("feed", "ci", "{}", "--tag", name)
        lines = self.read("ci/tags").splitlines()
        self.assertEqual(len(lines), len(names))
        shown = {line.split("\t")[1] for line in lines}
        self.assertEqual(
            shown,
            {"plain", "with space", "sl%2Fash", "100%", "%2541", "tab%09in", "new%0Aline", "\u00e4\u20ac", "%2E", "%2E.", "%52EADME",
             'q"uote', "back\\slash"},
        )
        for name in shown - {"tab%09in", "new%0Aline"}:  # no path names those
            self.assertEqual(len(mount.seqs(self.read("ci/tag/%s/all" % name))), 1, name)

    def test_what_was_overwritten_is_not_counted(self):
        self.append("ci/tag/old", *[{}] * 100)
        self.assertEqual(self.read("ci/tags"), "100\told\n")
        script = "import os; fd = os.open('ci/tag/new/append', 1)\nfor n in range(400): os.write(fd, b'{\"n\":%d}' % n * 100)"
        self.run_ok(["/usr/bin/python3", "-c", script])
        count = int(self.read("ci/stat/count"))
        self.assertLess(count, 40000)
        self.assertEqual(self.read("ci/tags"), "%d\tnew\n" % count)

    def test_a_large_pool(self):
        self.mkpool("big", size="32M")
        with open(os.path.join(self.dir, "text"), "w") as file:
            for n in range(100_000):
                file.write('{"seq":1,"time":"2026-03-04T05:06:07Z","meta":{"tags":["t%d","all"]},"data":{}}\n' % (n % 1000))
        self.run_ok("cat ../text > big/append")
        lines = self.read("big/tags").splitlines()
        self.assertEqual(lines[0], "100000\tall")
        self.assertEqual(lines[1:], ["100\tt%s" % n for n in sorted(map(str, range(1000)))])


if __name__ == "__main__":
    mount.main()
