"""Programs that walk, copy and pack: they end, they copy exactly, and they change nothing."""

import errno
import json
import mmap
import os
import pathlib
import shutil
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import envelopes, seqs


class Walkers(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci", "empty")
        self.append("ci", {"status": "green"}, {"status": "red"})
        self.append("ci/tag/x", {"n": 3})
        self.before = {name: self.read(name) for name in ("ci/all", "ci/info", "empty/all", "empty/info")}

    def tearDown(self):
        after = {name: self.read(name) for name in self.before}
        self.assertEqual(after, self.before)
        super().tearDown()

    def test_find(self):
        out = self.run_ok("find . | sort")
        for name in ("./README", "./ci/append", "./ci/follow", "./ci/tag", "./empty/tail"):
            self.assertIn(name + "\n", out)
        self.run_ok("find . -xdev -type f -exec cat {} + > /dev/null; find . -type l -exec readlink {} + > /dev/null")

    def test_grep(self):
        self.assertIn("ci/tail:" + self.read("ci/seq/1"), self.run_ok("grep -r '\"status\":\"green\"' ci"))
        self.finish(self.start("grep -rq nowhere-to-be-found ."), status=1)

    def test_tar(self):
        names = self.run_ok("tar c . | tar x -C .. && find ../ci | sort")
        self.assertIn("../ci/tail\n", names)
        with open(os.path.join(self.dir, "ci/tail")) as copy:
            self.assertEqual(copy.read(), self.before["ci/all"])

    def test_cp(self):
        for options in ("-r", "-a", "-r --preserve=all"):
            self.run_ok("rm -rf ../copy; cp %s . ../copy" % options)
            with open(os.path.join(self.dir, "copy/ci/tail")) as copy:
                self.assertEqual(copy.read(), self.before["ci/all"])
            self.assertEqual(os.readlink(os.path.join(self.dir, "copy/ci/follow")), "live/last/0")

    def test_rsync(self):
        self.run_ok("rsync -a . ../copy; rsync -a --checksum . ../copy")
        with open(os.path.join(self.dir, "copy/ci/info")) as copy:
            self.assertEqual(copy.read(), self.before["ci/info"])

    def test_du_ls_and_stat(self):
        self.run_ok("du -a . > ../du; ls -laR . > ../ls; stat ci/* > ../stat; stat -L ci/* >> ../stat; file=$(ls ci) && wc -c ci/tail > ../wc")

    def test_busybox(self):
        self.run_ok("busybox find . > ../find; busybox du . > ../du; busybox ls -lR . > ../ls; busybox cp -a . ../copy")

    def test_python(self):
        found = [os.path.join(place, name) for place, _, names in os.walk(self.mnt) for name in names]
        self.assertIn(self.path("ci/tail"), found)
        shutil.copytree(self.mnt, os.path.join(self.dir, "copy"), symlinks=True)
        with open(os.path.join(self.dir, "copy/ci/tail")) as copy:
            self.assertEqual(copy.read(), self.before["ci/all"])

    def test_diff_and_cmp(self):
        self.run_ok("cp ci/all ../all; cmp ci/all ../all; diff ci/all ../all; md5sum ci/all > ../sum; md5sum --quiet -c ../sum")


class Messages(mount.Case):
    """Messages copied from pool to pool keep their tags and data, and get a new number and time."""

    def setUp(self):
        super().setUp()
        self.mkpool("a", "b")
        self.append("a", {"n": 1})
        self.append("a/tag/x/tag/y%20z", '{"n":2,"kept":1e400}')
        self.append("b", {"b": 1})

    def assert_copied(self, pool="b", first=2):
        copied = envelopes(self.read("%s/from/%d" % (pool, first)))
        self.assertEqual([message[0] for message in copied], list(range(first, first + 2)))
        self.assertEqual([message[2:] for message in copied], [message[2:] for message in envelopes(self.read("a/all"))])

    def test_cat_all(self):
        self.run_ok("cat a/all > b/append")
        self.assert_copied()

    def test_cp_and_dd(self):
        self.run_ok("cp a/all b/append")
        self.assert_copied()
        self.run_ok("dd if=a/all of=b/append bs=13 status=none")
        self.assert_copied(first=4)

    def test_tags_of_the_path_are_added(self):
        self.run_ok("cat a/all > b/tag/copied/append")
        tags = [sorted(json.loads("[%s]" % message[2])) for message in envelopes(self.read("b/from/2"))]
        self.assertEqual(tags, [["copied"], ["copied", "x", "y z"]])

    def test_edited_by_jq(self):
        self.run_ok("jq -c '.data.n += 10' a/all > b/append")
        self.assertEqual([message[2] for message in envelopes(self.read("b/from/2"))], ["", '"x","y z"'])
        self.assertEqual(self.run_ok("jq -c .data.n b/from/2"), "11\n12\n")

    def test_a_stream(self):
        copier = self.start("exec cat a/follow > b/append")
        self.wait_blocked(copier)
        reader = self.start("head -n2 b/follow")
        self.wait_blocked(reader)
        self.append("a", {"n": 3})
        self.append("a/tag/t", {"n": 4})
        self.assertEqual([message[2:] for message in envelopes(self.finish(reader))], [("", '{"n":3}'), ('"t"', '{"n":4}')])

    def test_as_data(self):
        self.run_ok("cat a/all > b/data/append")
        self.assertEqual(self.read("b/data/from/2"), self.read("a/all"))

    def test_a_pool_into_itself_ends(self):
        self.run_ok("cat a/all > a/append")
        self.assertEqual(self.datas("a"), ['{"n":1}', '{"n":2,"kept":1e400}'] * 2)

    def test_almost_a_message_is_data(self):
        almost = '{"seq":1,"time":"2026-01-01T00:00:00Z","meta":{"tags":[]},"data":{},"more":1}'
        self.append("b", almost, '{"meta":{"tags":["x"]},"data":{}}')
        self.assertEqual(self.datas("b")[1:], [almost, '{"meta":{"tags":["x"]},"data":{}}'])


class UnderLoad(mount.Case):
    """Copies are exact while a thousand messages a second are appended, in a ring that does and one that does not wrap."""

    def setUp(self):
        super().setUp()
        self.mkpool("roomy", size="16M")
        self.mkpool("tight", size="128K")
        self.enough = threading.Event()
        self.writers = [threading.Thread(target=self.write, args=(pool,)) for pool in ("roomy", "tight")]
        for writer in self.writers:
            writer.start()
        self.addCleanup(self.stop_writing)
        mount.until("the tight ring has wrapped", lambda: json.loads(self.read("tight/info"))["bounds"].get("oldest", 0) > 1)

    def write(self, pool):
        fd = os.open(self.path(pool + "/append"), os.O_WRONLY)
        n = 0
        while not self.enough.wait(0.001):
            n += 1
            os.write(fd, b'{"n":%d,"text":"%s"}\n' % (n, b"x" * (n % 200)))
        os.close(fd)

    def stop_writing(self):
        self.enough.set()
        for writer in self.writers:
            writer.join()

    def check(self, text, what):
        messages = envelopes(text)
        numbers = [message[0] for message in messages]
        self.assertGreater(len(numbers), 50, what)
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), what)
        for seq, _, _, data in messages:
            self.assertTrue(data.startswith('{"n":%d,"text":"' % seq), what)

    def test_programs(self):
        for pool in ("roomy", "tight"):
            for script in ("cp %s/all ../copy", "dd if=%s/all of=../copy bs=7777 status=none", "rsync -W %s/from/1 ../copy --copy-links",
                           "cat %s/all > ../copy", "tac %s/all | tac > ../copy", "tail -n 100 %s/all > ../copy",
                           "tar ch %s/all | tar xO > ../copy", "cp %s/since/1h ../copy", "busybox cp %s/all ../copy"):
                for _ in range(10):
                    self.run_ok(script % pool)
                    with open(os.path.join(self.dir, "copy")) as copy:
                        self.check(copy.read(), script % pool)

    def test_calls(self):
        for pool in ("roomy", "tight"):
            for view in ("all", "from/1", "since/1h", "last/500"):
                for _ in range(50):
                    path = self.path("%s/%s" % (pool, view))
                    named = os.stat(path)
                    with open(path, "rb") as file:
                        status = os.fstat(file.fileno())
                        self.assertEqual((named.st_dev, named.st_ino), (status.st_dev, status.st_ino))
                        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                            content = mapped[:]
                        self.assertEqual(len(content), status.st_size)
                        self.assertEqual(file.read(), content)
                        self.check(content.decode(), view)

    def test_a_file_held_open_while_the_ring_goes_round(self):
        for view in ("all", "data/all", "tail"):
            with open(self.path("tight/" + view), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                first = os.pread(file.fileno(), 10, 0)
                begin = self.newest("tight")
                mount.until("the ring has gone round", lambda: self.newest("tight") > begin + 1500)
                content = file.read()
                self.assertEqual((len(content), content[:10]), (size, first))
                if view != "data/all":
                    numbers = seqs(content.decode())
                    self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)))

    def newest(self, pool):
        return seqs(self.read(pool + "/last/1"))[0]


class Errors(mount.Case):
    def test_a_copy_onto_what_cannot_be_written(self):
        self.mkpool("ci")
        for name in ("tail", "all", "info"):
            self.assert_errno(errno.EACCES, shutil.copyfile, "/dev/null", self.path("ci/" + name))


if __name__ == "__main__":
    mount.main()
