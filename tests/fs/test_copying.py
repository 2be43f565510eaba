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
        for _ in range(3):
            self.run_ok("tar cf ../all.tar .")  # what is written while it looks would be an error
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

    def test_many_walkers(self):
        """All of these end, say nothing unusual, and change nothing (see tearDown)."""
        python = "/usr/bin/python3 -c 'import glob, os, pathlib, shutil\n%s'"
        for script in (
            "find . -ls > ../out; find . -newer README -size +0 -o -empty > ../out; find . -type f -exec md5sum {} + > ../out",
            "find . -xdev -type f -print0 | xargs -0 wc -c > ../out; find . -type f -exec cmp {} {} ';'",
            "find -L . -maxdepth 3 > ../out; find . -samefile README; find . -type d -exec ls -la {} ';' > ../out",
            "ls -alR --color=always . > ../out; ls -1 */* > ../out; ls -liaLd ci/* > ../out; echo */*/* > ../out",
            "shopt -s globstar; printf '%s\n' **/* > ../out; zsh -c 'print -l **/*(.)' > ../out; fish -c 'echo **' > ../out",
            "grep -rI --include='*' nothing-like-this . || true; grep -rl status ci > ../out; grep -rc n empty > ../out",
            "tar cf ../t.tar --exclude=README .; tar df ../t.tar; tar c --sparse . | tar t > ../out; tar cz ci | tar tz > ../out",
            "rsync -an . ../none; rsync -aHS . ../copy; rsync -a --delete . ../copy; rsync -anic . ../copy > ../out",
            "cp -a --sparse=always . ../copy2; cp -al ../copy2 ../copy3; cp -dR --reflink=auto ci ../copy4; diff -r --no-dereference ../copy2/ci ../copy3/ci",
            "du -sb . > ../out; du -axh --apparent-size . > ../out; df . > ../out; df -ai . > ../out; stat -f ci/* > ../out",
            "realpath ci/* > ../out; readlink -f ci/follow > ../out; namei -l $PWD/ci/all > ../out; test -w ci/append -a -s ci/all -a ! -s ci/append",
            "busybox find . -type f -exec busybox md5sum {} + > ../out; busybox grep -rl status ci/tail ci/data/tail > ../out; busybox tar c ci | busybox tar t > ../out",
            "perl -MFile::Find -e 'find({no_chdir => 1, wanted => sub { -f and open my $f, \"<\", $_ and local $/ and <$f> }}, \".\")'",
            python % 'for p in pathlib.Path(".").rglob("*"): p.lstat(); p.is_file() and not p.is_symlink() and p.read_bytes()',
            python % 'glob.glob("**", recursive=True); shutil.make_archive("../archive", "tar", "ci"); shutil.disk_usage(".")',
            "node -e 'for (const n of fs.readdirSync(\".\", {recursive: true})) { const s = fs.lstatSync(n); if (s.isFile()) fs.readFileSync(n) }'",
        ):
            with self.subTest(script=script):
                self.run_ok(script)
        self.assertEqual(sorted(os.listdir(self.mnt)), [".plasmite", "README", "ci", "empty"])
        self.assertEqual(self.read(".plasmite/errors"), "")

    def test_what_would_change_everything(self):
        for script in ("rm -rf ci empty", "chown -R 12:34 ci/*", "chmod -R a-w ci/*", "rsync -a --delete ../nothing/ ci/", "find ci -delete",
                       "mv ci ../elsewhere", "mv ci empty/", "ln -s ci other", "touch ci/tail", "gzip -r ci/data", "sed -i s/n/m/ ci/tail ci/log"):
            with self.subTest(script=script):
                self.finish(self.start("mkdir -p ../nothing; " + script), status=None, stderr=None)
                self.assertEqual(self.read("ci/all"), self.before["ci/all"])

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

    def test_more_programs(self):
        """What is read twice through one descriptor is the same both times, and all of it."""
        node = """node -e '%s' """
        for script in (
            "cp ci/all ../copy", "cp -a --sparse=always -L ci/all ../copy", "cp --reflink=auto ci/all ../copy", "install -m 600 ci/all ../copy",
            "rsync -aL ci/all ../copy", "rsync -L --inplace --no-whole-file ci/all ../copy", "rsync -L --checksum ci/from/1 ../copy",
            "rsync -LS ci/all ../copy", "tar cfh ../t.tar ci/all; tar xOf ../t.tar > ../copy", "tar ch --sparse ci/all | tar xO > ../copy",
            "dd if=ci/all of=../copy bs=1M status=none", "dd if=ci/all of=../copy ibs=333 obs=1000 status=none",
            "dd if=ci/all bs=1 count=0 status=none; dd if=ci/all iflag=nonblock,noatime of=../copy status=none",
            "sed -n p ci/all > ../copy", "gawk 1 ci/all > ../copy", "grep '' ci/all > ../copy", "head -c -0 ci/all > ../copy", "tail -c +1 ci/all > ../copy",
            "tail -n 100 ci/all > ../copy", "split -n l/3 --filter=cat ci/all > ../copy", "gzip -c ci/all | zcat > ../copy", "sort -t: -k2n ci/all > ../copy",
            "jq -c . ci/all > ../copy", "curl -sS -o ../copy file://$PWD/ci/all", "socat -u OPEN:ci/all,rdonly CREATE:../copy", "sponge ../copy < ci/all",
            "busybox cp -L ci/all ../copy", "busybox dd if=ci/all of=../copy 2> /dev/null", "busybox tail -n 100 ci/all > ../copy", "busybox sort -t: -k2n ci/all > ../copy",
            "perl -MFile::Copy -e 'copy(\"ci/all\", \"../copy\") or die'", "ed -s ci/all <<< 'w ../copy'", "less ci/all > ../copy", "nl -ba -s' ' ci/all | sed 's/^ *[0-9]* //' > ../copy",
            node % 'fs.copyFileSync("ci/all", "../copy")', node % 'fs.createReadStream("ci/all").pipe(fs.createWriteStream("../copy"))',
            node % 'fs.writeFileSync("../copy", fs.readFileSync("ci/all"))', node % 'fs.cpSync("ci/all", "../copy", {dereference: true})',
            "exec 3< ci/all; cat <&3 > ../copy; cmp ../copy /dev/fd/3; diff /dev/fd/3 ../copy; md5sum < /dev/fd/3 > ../1; md5sum < ../copy | cmp - ../1",
            "exec 3< ci/all; cp /dev/fd/3 ../copy; wc < /dev/fd/3 > ../1; wc < ../copy | cmp - ../1; [ $(stat -L -c %s /dev/fd/3) = $(stat -c %s ../copy) ]",
            "exec 3< ci/all; tac /dev/fd/3 | tac > ../copy; sort /dev/fd/3 > ../1; sort ../copy | cmp - ../1; comm -3 <(sort <&3) ../1",
        ):
            for pool in ("roomy", "tight"):
                with self.subTest(script=script, pool=pool):
                    self.run_ok("rm -f ../copy; " + script.replace("ci/", pool + "/"))
                    with open(os.path.join(self.dir, "copy")) as copy:
                        self.check(copy.read(), script)

    def test_calls_that_copy_inside_the_kernel(self):
        for pool in ("roomy", "tight"):
            for call in ("sendfile", "splice", "copy_file_range", "mmap", "preadv", "shutil"):
                with self.subTest(call=call, pool=pool), open(self.path(pool + "/all"), "rb") as source, \
                        open(os.path.join(self.dir, "copy"), "wb+", buffering=0) as target:
                    size = os.fstat(source.fileno()).st_size
                    getattr(self, "by_" + call)(source, target, size)
                    target.seek(0)
                    text = target.read()
                    self.assertEqual(len(text), size)
                    self.check(text.decode(), call)

    def by_sendfile(self, source, target, size):
        while os.sendfile(target.fileno(), source.fileno(), None, 1 << 20):
            pass

    def by_splice(self, source, target, size):
        reader, writer = os.pipe()
        while n := os.splice(source.fileno(), writer, 1 << 16):
            while n:
                n -= os.splice(reader, target.fileno(), n)
        os.close(reader)
        os.close(writer)

    def by_copy_file_range(self, source, target, size):
        try:
            while os.copy_file_range(source.fileno(), target.fileno(), 1 << 20):
                pass
        except OSError as error:  # new kernels leave it to the program when the file systems differ
            self.assertEqual(error.errno, errno.EXDEV)
            self.by_sendfile(source, target, size)

    def by_mmap(self, source, target, size):
        with mmap.mmap(source.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
            for at in range(0, size, 10007):
                target.write(mapped[at:at + 10007])

    def by_preadv(self, source, target, size):
        parts = [bytearray(1013), bytearray(4096), bytearray(1)]
        at = 0
        while n := os.preadv(source.fileno(), parts, at):
            target.write(b"".join(parts)[:n])
            at += n

    def by_shutil(self, source, target, size):
        shutil.copyfileobj(source, target, 777)

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
