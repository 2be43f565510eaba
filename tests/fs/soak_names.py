"""A million names that are arguments, each looked up once: what they cost is given back to the last byte.

    cmake --build build/release --target soak_names

fs.churn does the same with 20,000 in seconds; this takes minutes, and says what it has seen. What root may read in /proc/slabinfo is
that of all mounts of the machine, and only told; that the kernel has forgotten the names shows in how many the mount has left.
"""

import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import mount
from mount import until

NAMES = int(os.environ.get("PLASMITE_NAMES", "1000000"))
LEFT_KIB = 2048  # the daemon may keep: what an allocator does not give back of the last wave
LEFT_NAMES = 100


class Soak(mount.Case):
    def slab(self, name):
        """How many objects of this kind the kernel uses, and KiB of them."""
        try:
            with open("/proc/slabinfo") as slabs:
                for line in slabs:
                    words = line.split()
                    if words[0] == name:
                        return int(words[1]), int(words[2]) * int(words[3]) // 1024
        except PermissionError:
            pass
        return 0, 0

    def names(self):
        """How many the mount keeps since the kernel does."""
        return json.loads(self.read(".plasmite/stats"))["names"]

    def memory(self):
        """KiB that the daemon has written to and not given back."""
        with open("/proc/%d/status" % self.daemon.pid) as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))

    def look(self):
        (inodes, inode_kib), (_, dentry_kib) = self.slab("fuse_inode"), self.slab("dentry")
        return {"names": self.names(), "daemon KiB": self.memory(), "fuse inodes": inodes, "their KiB": inode_kib, "dentry KiB": dentry_kib}

    def tell(self, when, seen):
        print("%-8s%s" % (when, "".join("%14s %7d" % item for item in seen.items())), flush=True)

    def test_names_leave_nothing_behind(self):
        self.mkpool("ci")
        self.append("ci", {"n": 1})
        before = self.look()
        self.tell("before", before)
        peak, begin = dict(before), time.monotonic()
        for n in range(NAMES):
            os.stat(self.path("ci/since/@%d" % (10**9 + n)))
            if n % 1000 == 0:
                peak = {what: max(value, peak[what]) for what, value in self.look().items()}
        took = time.monotonic() - begin
        self.tell("peak", peak)
        try:
            until(
                "both have given it back",
                lambda: self.memory() < before["daemon KiB"] + LEFT_KIB and self.names() < LEFT_NAMES,
                seconds=120,
            )
        finally:
            self.tell("after", self.look())
        print("%d names in %.0f s; idle again %.1f s later" % (NAMES, took, time.monotonic() - begin - took), flush=True)
        self.assertEqual(self.datas("ci"), ['{"n":1}'])
        self.assertEqual(self.daemon.poll(), None)


if __name__ == "__main__":
    mount.main()
