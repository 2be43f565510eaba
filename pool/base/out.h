/*
 * stdout by whole lines.
 *
 * Add whole lines to out->lines, then call out_lines_added(): it writes once 64 KiB wait or the oldest has waited for 1 ms.
 * Whoever is about to wait (for input, for messages) calls out_flush() first.  So a reader at the other end sees a line
 * as soon as nothing more is coming, and a fast producer pays one write(2) for many lines.
 *
 * A failed write is remembered in out->error; every later call fails at once.  EPIPE among them: the
 * program ignores SIGPIPE and decides.  One thread.
 */
#ifndef BASE_OUT_H
#define BASE_OUT_H

#include "base/buf.h"

#include <stdint.h>

#define OUT_FLUSH_BYTES (64 * 1024)
#define OUT_FLUSH_NS 1000000

struct out {
    int fd;
    int error; /* errno of the write that failed; 0 while all is well */
    struct buf lines;
    uint64_t oldest_ns; /* when the first line that waits was seen; 0: none waits */
};

#define OUT_INIT(fd_) ((struct out){.fd = (fd_)})

/* Writes what waits, if it is time.  0, or -1 with out->error. */
int out_lines_added(struct out *out);

/* Writes what waits now.  0, or -1 with out->error. */
int out_flush(struct out *out);

/* Releases the memory; writes nothing. */
void out_done(struct out *out);

/* All of p[0..n) to a descriptor.  0, or -1 with errno: EPIPE also for a terminal that was closed. */
int out_write_all(int fd, const char *p, size_t n);

#endif
