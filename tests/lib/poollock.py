"""The writer lock of a pool, held by a test: pool/lock.h in Python.

    with poollock.held(path):
        ...  # writers wait
"""

import contextlib
import fcntl
import mmap
import os
import struct

LOCK_OFFSET = 128  # pool/layout.h
SLOT_BASE = 1 << 62
SLOT = 0x1234567  # any number but 0


@contextlib.contextmanager
def held(path):
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, SLOT_BASE + SLOT, 1, 0))
        with mmap.mmap(fd, 4096) as header:
            (generation,) = struct.unpack_from("<I", header, LOCK_OFFSET + 4)
            struct.pack_into("<Q", header, LOCK_OFFSET, (generation + 1) << 32 | SLOT << 1)
            yield
            struct.pack_into("<Q", header, LOCK_OFFSET, (generation + 1) << 32)
    finally:
        os.close(fd)
