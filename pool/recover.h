/*
 * Order after a crash of the system.
 *
 * A SIGKILL needs no repair (ring.h).  A power cut does: pages reach the disk in any order, so the
 * header may speak of frames that never arrived, or the other way round.  Therefore the first
 * program that opens a pool for writing after a boot checks it under the lock, once, and so does
 * one that finds the commit in force or the oldest frame damaged (a file copied while it was
 * written to, for instance):
 *
 *   1. Take the newest commit whose checksum is right, and walk from tail to head, checking every
 *      frame whole.
 *      Damaged frames at the tail are given up.
 *   2. All good: go on behind head for as long as good frames with the next numbers follow, none
 *      older than the one before it; they were written and only their commit was lost.
 *   3. Damage behind the last flush, after a boot: what was appended from there on had not reached
 *      the disk.  The head goes back to it, and the headers of whole frames behind it are wiped: with
 *      their numbers they would fit behind new messages of the same sizes.
 *   4. Damage before the last flush, or in the boot in which the pool was last found sound, is no
 *      matter of unwritten pages: it stays, so that nothing else is lost.  Readers get Corrupt
 *      there, writers step over it.
 *   5. No commit, or a tail that cannot be: look at every place of the ring for good frames, and
 *      keep the longest unbroken run;
 *      of two with the same numbers, the one that was written last.
 *      It is given new positions, and the index is made anew.  This takes two passes and no memory.
 *
 * Numbers of messages that were on no disk are used again; nobody can have kept them but by copying
 * them in time. After a boot `boot` is cleared before the first change and set after the last one,
 * so being killed in it only means that the next opener does it again.  In the same boot it stays,
 * since it tells step 4: there the damage itself leads the next opener here, until the last change
 * is made.
 */
#ifndef POOL_RECOVER_H
#define POOL_RECOVER_H

#include "handle.h"

/* Does the pool need a look before it is used for writing? */
bool recover_needed(struct pool *pool);

/* Takes the lock.  Corrupt when nothing tells which numbers were used. */
int recover_run(struct pool *pool, struct error *err);

enum recover_flags {
    /*
     * The ring is a private mapping (file.h), to see what recovery would leave: what nobody can read after it stays as
     * it is, for each page that is changed is a copy in memory.
     */
    RECOVER_PRIVATE = 1 << 0,
};

/* The same with a ring that nobody else has, or under the lock. */
int recover_ring(struct ring *ring, enum recover_flags flags, struct error *err);

/* Was it last found sound in this boot?  False when the system does not say. */
bool recover_same_boot(const struct header_live *live);

#endif
