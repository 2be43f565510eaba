import json
import os
import unittest

import harness


class Pool(harness.Case):
    def file(self, name):
        return os.path.join(self.pools, name + ".plasmite")

    def test_create__reports_the_pool(self):
        created = self.ok("pool", "create", "--json", "chat").json()["created"]
        self.assertEqual(created, [{
            "bounds": {}, "file_size": 1048576, "index_capacity": 4096, "index_offset": 4096, "index_size_bytes": 65536,
            "metrics": {"age": {"newest_age_ms": None, "newest_time": None, "oldest_age_ms": None, "oldest_time": None},
                        "message_count": 0, "seq_span": 0,
                        "utilization": {"free_bytes": 978944, "used_bytes": 0, "used_percent": 0.0}},
            "name": "chat", "path": self.file("chat"), "ring_offset": 69632, "ring_size": 978944}])
        self.assertEqual(self.ok("pool", "create", "foo.plasmite").json()["created"][0]["name"], "foo.plasmite")
        self.assertEqual(os.stat(self.file("chat")).st_mode & 0o7777, 0o600)
        self.assertEqual(os.stat(self.pools).st_mode & 0o7777, 0o700)

    def test_create__as_a_table(self):
        self.assertEqual(self.ok("pool", "create", "chat", "--format", "pretty").out,
                         "NAME  SIZE     INDEX  PATH         \nchat  1048576  4096   chat.plasmite\n")

    def test_create__sizes_and_index(self):
        def layout(*args):
            info = self.ok("pool", "create", *args).json()["created"][0]
            return [info[k] for k in ("file_size", "index_capacity", "index_size_bytes", "ring_offset", "ring_size")]
        self.assertEqual(layout("a", "--size", "1M", "--index-capacity", "1024"), [1048576, 1024, 16384, 20480, 1028096])
        self.assertEqual(layout("b", "--index-capacity", "0"), [1048576, 0, 0, 4096, 1044480])
        self.assertEqual(layout("c", "--size", "8K"), [8192, 32, 512, 4608, 3584])
        self.assertEqual(layout("d", "--size", "64k"), [65536, 256, 4096, 8192, 57344])
        error = self.refused("Usage", "pool", "create", "--size", "64K", "--index-capacity", "5000", "e")
        self.assertIn("index capacity", error["message"])
        for size, message in [("8191", "file_size must exceed header and index size"),
                              ("0", "file_size must exceed header and index size"), ("x", "invalid size"),
                              ("1MiB", "invalid size suffix"), ("17179869184G", "size overflow")]:
            self.assertEqual(self.refused("Usage", "pool", "create", "e", "--size", size)["message"], message)
        self.assertFalse(os.path.exists(self.file("e")))

    def test_create__never_touches_an_existing_one(self):
        self.ok("pool", "create", "chat")
        self.ok("feed", "chat", '{"x":1}')
        error = self.refused("AlreadyExists", "pool", "create", "new", "chat", "other")
        self.assertEqual((error["message"], error["path"]), ("pool already exists", self.file("chat")))
        self.assertIn("different name", error["hint"])
        self.assertTrue(os.path.exists(self.file("new")))
        self.assertFalse(os.path.exists(self.file("other")))
        self.assertEqual(self.ok("pool", "info", "chat").json()["metrics"]["message_count"], 1)

    def test_create__mode(self):
        self.ok("pool", "create", "chat", "--mode", "0664")
        self.assertEqual(os.stat(self.file("chat")).st_mode & 0o7777, 0o664)
        for mode in ["64", "00640", "abc", "888"]:
            self.assertEqual(self.refused("Usage", "pool", "create", "x", "--mode", mode)["message"], "invalid mode")

    def test_info__counts(self):
        self.ok("pool", "create", "chat")
        self.ok("feed", "chat", stdin='{"x":1}{"x":2}')
        info = self.ok("pool", "info", "chat").json()
        self.assertEqual(info["bounds"], {"newest": 2, "oldest": 1})
        metrics = info["metrics"]
        self.assertEqual((metrics["message_count"], metrics["seq_span"]), (2, 2))
        use = metrics["utilization"]
        self.assertEqual(use["used_bytes"] + use["free_bytes"], info["ring_size"])
        self.assertGreater(use["used_bytes"], 0)
        times = [m["time"] for m in self.ok("follow", "chat", "--no-follow").json_lines()]
        self.assertEqual([metrics["age"]["oldest_time"], metrics["age"]["newest_time"]], times)
        self.assertIsInstance(metrics["age"]["oldest_age_ms"], int)

    def test_info__as_text(self):
        self.ok("pool", "create", "chat")
        out = self.ok("pool", "info", "chat", "--format", "pretty").out
        self.assertEqual(out, "Pool: chat\nPath: %s\n"
                              "Size: 1048576 bytes (index: offset=4096 slots=4096 bytes=65536, ring: offset=69632 size=978944)\n"
                              "Bounds: oldest=- newest=- count=0\nUtilization: used=0B free=978944B (0.00%%)\n"
                              "Oldest: - (-)\nNewest: - (-)\n" % self.file("chat"))
        rc, shown = self.terminal("--color", "never", "pool", "info", "chat")
        self.assertEqual((rc, shown), (0, "chat\n  path:      chat.plasmite\n  size:      1M (0 used, 0.00%)\n"
                                          "  messages:  empty\n  oldest:    —\n  newest:    —\n"
                                          "  index:     4096 slots (64K)\n  ring:      956K\n"))

    def test_info__of_a_missing_pool_has_neither_path_nor_causes(self):
        error = self.refused("NotFound", "pool", "info", "channel")
        self.assertEqual(sorted(error), ["hint", "kind", "message"])
        self.assertEqual(error["message"], "not found")
        self.assertIn("plasmite pool create channel", error["hint"])

    def test_damaged_files__are_corrupt(self):
        self.ok("pool", "create", "probe")
        with open(self.file("probe"), "rb") as file:
            whole = file.read()
        for content in [b"", whole[:1], whole[:len(whole) // 2], whole[:-128], bytes(4096), b"NOPE"]:
            with open(self.file("probe"), "wb") as file:
                file.write(content)
            error = self.refused("Corrupt", "pool", "info", "probe")
            self.assertEqual(error["path"], self.file("probe"))
            self.assertIn("ecreate", error["hint"])

    def test_list__is_sorted_and_shows_bad_ones(self):
        self.assertEqual(self.ok("pool", "list").json(), {"pools": []})
        self.ok("pool", "create", "beta", "alpha")
        self.ok("feed", "beta", '{"x":1}')
        pools = self.ok("pool", "list").json()["pools"]
        self.assertEqual([p["name"] for p in pools], ["alpha", "beta"])
        self.assertEqual(sorted(pools[0]), ["bounds", "file_size", "mtime", "name", "path"])
        self.assertEqual(pools[1]["bounds"], {"newest": 1, "oldest": 1})
        with open(self.file("bad"), "w") as file:
            file.write("NOPE")
        bad = self.ok("pool", "list").json()["pools"][1]
        self.assertEqual((bad["name"], bad["error"]["error"]["kind"]), ("bad", "Corrupt"))
        lines = self.ok("pool", "list", "--format", "pretty").lines()
        self.assertEqual(lines[0].split(), ["NAME", "STATUS", "SIZE", "OLDEST", "NEWEST", "MTIME", "PATH", "DETAIL"])
        self.assertEqual(lines[2].split()[:2], ["bad", "ERR"])
        self.assertEqual(lines[3].split()[:5], ["beta", "OK", "1048576", "1", "1"])

    def test_delete__tries_every_name(self):
        self.ok("pool", "create", "a", "b")
        result = self.run_pls("pool", "delete", "a", "missing", "http://127.0.0.1:9700/demo", "b")
        self.assertEqual((result.rc, result.err), (3, ""))
        report = result.json()
        self.assertEqual(report["deleted"], [{"path": self.file("a"), "pool": "a"}, {"path": self.file("b"), "pool": "b"}])
        self.assertEqual([(f["pool"], f["error"]["kind"]) for f in report["failed"]],
                         [("missing", "NotFound"), ("http://127.0.0.1:9700/demo", "Usage")])
        self.assertEqual(os.listdir(self.pools), [])

    def test_delete__as_a_table(self):
        self.ok("pool", "create", "ok")
        result = self.run_pls("pool", "delete", "ok", "missing", "--format", "pretty")
        self.assertEqual(result.rc, 3)
        self.assertEqual([line.split()[:2] for line in result.lines()], [["NAME", "STATUS"], ["ok", "OK"], ["missing", "ERR"]])

    def test_references(self):
        path = self.path("else", "where.db")
        self.ok("pool", "create", path)
        self.assertTrue(os.path.exists(path))
        self.ok("feed", path, '{"x":1}')
        self.assertEqual(self.ok("fetch", path, "1").json()["data"], {"x": 1})
        error = self.refused("Usage", "pool", "create", "n" * 201)
        self.assertIn("200", error["message"])
        self.assertEqual(self.ok("pool", "create", "mine", use_dir=False).json()["created"][0]["path"],
                         self.path(".plasmite", "pools", "mine.plasmite"))

    def test_fetch(self):
        self.ok("pool", "create", "chat")
        self.ok("feed", "chat", '{"x":1}', "--tag", "t")
        self.assertEqual(self.ok("fetch", "chat", "1").out, self.ok("follow", "chat", "--no-follow").out)
        for seq in ["0", "2", "18446744073709551615"]:
            error = self.refused("NotFound", "fetch", "chat", seq)
            self.assertEqual((error["message"], error["seq"]), ("message not found", int(seq)))
            self.assertNotIn("path", error)
            self.assertIn("pool info", error["hint"])
        error = self.refused("Usage", "fetch", "chat", "x")
        self.assertEqual(error["message"], "invalid value 'x' for '<SEQ>': invalid digit found in string")

    def test_doctor(self):
        self.ok("pool", "create", "good", "bad")
        self.ok("feed", "good", stdin='{"x":1}{"x":2}')
        report = self.ok("doctor", "good").json()["reports"][0]
        self.assertEqual((report["status"], report["last_good_seq"], report["issues"]), ("ok", 2, []))
        self.assertEqual(self.ok("doctor", "good", "--format", "pretty").out, "OK: good\n")
        rc, shown = self.terminal("doctor", "good")
        self.assertEqual((rc, shown), (0, "good: healthy\n  messages:  2 (seq 1..2)\n"
                                          "  checked:   header, index, ring — 0 issues\n"))
        with open(self.file("bad"), "w") as file:
            file.write("NOPE")
        result = self.run_pls("doctor", "--all")
        self.assertEqual(result.rc, 7)
        self.assertEqual([r["status"] for r in result.json()["reports"]], ["corrupt", "ok"])
        self.refused("NotFound", "doctor", "missing")
        self.assertIn("--all cannot be combined", self.refused("Usage", "doctor", "good", "--all")["message"])
        self.assertEqual(self.refused("Usage", "doctor", "--json")["message"], "doctor requires a pool name or --all")

    def test_colour__is_for_reports_never_for_errors(self):
        self.ok("pool", "create", "chat")
        self.assertIn('\033[36m"name"\033[0m', self.ok("--color", "always", "pool", "info", "chat", "--json").out)
        self.assertNotIn("\033", self.ok("--color", "never", "pool", "info", "chat", "--json").out)
        result = self.run_pls("--color", "always", "follow", "missing")
        self.assertEqual(result.error()["kind"], "NotFound")


if __name__ == "__main__":
    unittest.main(verbosity=2)
