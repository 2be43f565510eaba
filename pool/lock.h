/*
 * One writer among processes, and its death.
 *
 * THE WORD.  64 bits in the header: generation (high 32), slot (31), contended (lowest bit).  Slot
 * 0: free.
 *
 * A slot is a random number that a writer has chosen for itself.  It holds an open-file-description
 * lock on the byte BASE + slot, far behind the end of the file, for as long as it is attached; the
 * kernel drops that lock when the process dies, however it dies.  So the word says who, and the
 * kernel says whether who is alive.
 *
 *   acquire   free: compare-and-swap of the whole word to (generation + 1, my slot).
 *             held: spin a little, then ask the kernel about the holder's byte.
 *                   Nobody holds it: the holder is dead; take over with one compare-and-swap of the
 *                   whole word.
 *                   Somebody does: set `contended`, sleep on the low half for at most NAP_NS, look
 *                   again.
 *   release   exchange the word for (generation, free); if it was contended, wake one.
 *
 * Rules, each of which the model in tests/model shows to be needed:
 *   (1) The generation rises at every acquisition.  Without it, a slot that was freed and taken
 *       again between a look and
 *       the swap looks the same, and two writers hold the lock.
 *   (2) Whoever has slept acquires with `contended` set, since others may sleep too.
 *   (3) A new slot whose number stands in a word is not kept: its holder is dead, and our living
 *       byte would hide that.
 *   (4) A sleep is bounded: the death of a holder wakes nobody.
 *
 * A copy of the file made while the lock was held opens like one whose holder died: nobody holds
 * bytes of the copy. No address is stored in the file and none is followed, so a hostile writer can
 * stop others (as it could by filling the pool) and no more.
 *
 * Threads of one process may share a struct lock: a word that names our own slot is a sibling's,
 * and alive. A child of fork() drops the descriptor at once (else it would keep a dead parent's
 * byte alive) and takes a slot of its own at its first acquisition.
 */
#ifndef POOL_LOCK_H
#define POOL_LOCK_H

#include "pool/error.h"

#include <stdatomic.h>
#include <stdint.h>

struct lock {
    int pool_fd;               /* the pool's file; not ours */
    _Atomic uint64_t *words[2]; /* all that a slot may be written in */
    _Atomic int fd;            /* the description that holds the byte; -1: not attached */
    _Atomic uint32_t slot;     /* 0: not attached */
    struct lock *next, **link; /* on the list that the fork handler walks */
};

#define LOCK_INIT(pool_file_fd, word, other) \
    ((struct lock){.pool_fd = (pool_file_fd), .words = {(word), (other)}, .fd = -1})

/* Detaches.  Not while holding it. */
void lock_done(struct lock *lock);

/* How long to wait for a holder that is alive, in ns. */
#define LOCK_WAIT UINT64_MAX /* for as long as it takes */
#define LOCK_TRY 20000ULL    /* spinning only, no sleep */

enum lock_result {
    LOCK_HELD,       /* by us now */
    LOCK_TAKEN_OVER, /* by us now; the last holder died with it */
    LOCK_BUSY,       /* limit_ns have passed */
    LOCK_FAILED,     /* *err filled */
};

/* `word` is one of lock->words. */
enum lock_result lock_acquire(struct lock *lock, _Atomic uint64_t *word, uint64_t limit_ns,
                              struct error *err);
void lock_release(_Atomic uint64_t *word);

#endif
