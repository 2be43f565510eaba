/*
 * The last whole frame after a crash of the system.
 *
 * A SIGKILL needs no repair (ring.h).  A power cut does: pages reach the disk in any order, so the header may speak of
 * frames that never arrived, or the other way round.  Therefore the first program that opens a pool for
 * writing after a boot checks it under the lock, once, and so does one that finds the commit in force or the oldest
 * frame damaged (a file copied while it was written to, for instance):
 *
 *   1. Take the newest commit whose checksum is right.
 *   2. Walk from tail to head and check every frame whole.  If all are good, go on behind head for as long as good frames
 *      with the next numbers follow: they were written and only their commit was lost.
 *   3. Otherwise look at every place of the ring for good frames and keep the unbroken run that ends with the highest
 *      number.  It is given new positions, higher than any before, and the index is made anew.
 *
 * Numbers of messages that were on no disk are used again; nobody can have kept them but by copying them in time.  Flushed messages
 * are on disk, so they are found.  Running it twice, or being killed in it, does no harm.
 */
#ifndef POOL_RECOVER_H
#define POOL_RECOVER_H

#include "handle.h"

/* Does the pool need a look before it is used for writing?  No system call beyond reading the boot id. */
bool recover_needed(struct pool *pool);

/* Takes the lock.  Corrupt when nothing tells which numbers were used. */
int recover_run(struct pool *pool, struct error *err);

#endif
