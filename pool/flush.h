/*
 * Durability: what was appended is on disk.
 *
 * One writer flushes for all who wait: it holds flush_lock (lock.h), takes the newest head, writes
 * the ring's pages, then the header page, and raises `flushed`.  Whoever waited finds its messages
 * covered.  The index is not written: it is a hint. Should the one who holds flush_lock not go on
 * (stopped by ^Z, say), the others flush for themselves after a second.
 *
 * A failed flush is remembered in the header with the boot id, since the kernel reports a lost page
 * once and then calls it clean: until the next boot every flush of every process fails with Io.
 */
#ifndef POOL_FLUSH_H
#define POOL_FLUSH_H

#include "handle.h"

/* Everything before position `upto` is on disk when it returns 0.  Io. */
int flush_upto(struct pool *pool, uint64_t upto, struct error *err);

/* The latched errno of this boot; 0: none. */
int flush_latched(struct header_live *live);

#endif
