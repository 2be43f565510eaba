"""Names that are arguments come without end; what they cost is given back."""

import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import datas, until

NAMES = 20_000


class Names(mount.Case):
    def setUp(self):
        super().setUp()
        self.mkpool("ci")
        self.append("ci", {"n": 1})

    def inodes(self):
        """How many inodes the kernel keeps for this kind of file system, of all its mounts; None where it does not tell."""
        try:
            with open("/proc/slabinfo") as slabs:
                for line in slabs:
                    if line.startswith("fuse_inode "):
                        return int(line.split()[1])
        except OSError:
            pass
        return None

    def memory(self):
        """KiB that the daemon has written to and not given back."""
        with open("/proc/%d/status" % self.daemon.pid) as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))

    def look_up(self, names):
        for name in names:
            os.stat(self.path("ci/since/@%d" % name))

    def test_names_looked_up_once_are_let_go(self):
        inodes, memory = self.inodes(), self.memory()
        self.look_up(range(10**9, 10**9 + NAMES))
        grown = self.memory() - memory
        self.assertGreater(grown, NAMES // 8)  # or there is nothing to see here
        if inodes is not None:
            self.assertGreater(self.inodes(), inodes + NAMES // 2)
            until("the kernel has forgotten them", lambda: self.inodes() < inodes + NAMES // 10)
        if mount.SLOW == 1:  # a sanitizer keeps what was freed
            until("the daemon has given back their memory", lambda: self.memory() - memory < grown // 3)
        self.assertEqual(self.datas("ci"), ['{"n":1}'])

    def test_a_name_in_use_stays(self):
        fd = self.open("ci/since/@5")
        with open(self.path("ci/since/@6")) as file:
            text = file.read()
        before = self.inodes()
        self.look_up(range(10**9, 10**9 + NAMES))
        if before is not None:
            until("the kernel has forgotten the others", lambda: self.inodes() < before + NAMES // 10)
        self.assertEqual(os.pread(fd, 4096, 0).decode(), text)
        self.assertEqual(self.read("ci/since/@5"), text)


class Contiguous(mount.Case):
    """The messages of one write() stand next to each other, however many write at once."""

    WRITERS, WRITES, BYTES = 4, 8, 256 << 10

    def write_all(self, writer, start):
        fd = self.open("ci/append", os.O_WRONLY)
        start.wait()
        for block in range(self.WRITES):
            line = b'{"w":%d,"b":%d}\n' % (writer, block)
            text = line * (self.BYTES // len(line))
            done = os.write(fd, text)
            if done != len(text):
                self.problems.append((writer, block, done))

    def test_writes_of_many_small_messages(self):
        self.mkpool("ci", size="128M")
        self.problems = []
        start = threading.Barrier(self.WRITERS)
        threads = [threading.Thread(target=self.write_all, args=(writer, start)) for writer in range(self.WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.problems, [])
        found = datas(self.read("ci/all"))
        each = self.BYTES // len('{"w":0,"b":0}\n')
        self.assertEqual(len(found), each * self.WRITERS * self.WRITES)
        blocks = []
        for at in range(0, len(found), each):
            self.assertEqual(set(found[at:at + each]), {found[at]}, "at message %d" % (at + 1))
            blocks.append(found[at])
        self.assertEqual(len(set(blocks)), self.WRITERS * self.WRITES)
        for writer in range(self.WRITERS):
            mine = [block for block in blocks if block.startswith('{"w":%d,' % writer)]
            self.assertEqual(mine, sorted(mine))


if __name__ == "__main__":
    mount.main()
