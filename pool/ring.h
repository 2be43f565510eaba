/*
 * The ring: positions, the commit in force, copying words in and out.
 *
 * ORDER.  One writer at a time (lock.h), any number of readers that take no lock.  The pairs:
 *
 *   ring_move_tail:A   tail is stored, then a release fence, then the bytes of frames change.
 *   ring_copy:B        bytes are copied, then an acquire fence, then tail is read again.
 *       Without the pair a reader could find the tail still behind its copy although the bytes were
 *       already new ones.
 *
 *   ring_publish:A     a release fence after the last gen, then the words of the other commit
 *   change.
 *   ring_commit:B      words are copied, an acquire fence, gen is read again and must be the same.
 *       Without the pair a reader could mix two commits.
 *
 *   ring_publish:C     frames, index and commit are written, then gen is stored with release.
 *   ring_commit:D      gen is loaded with acquire before the commit and the frames it speaks of.
 *       Without the pair a reader could see the new head and old bytes behind it.
 *
 * The words of a commit are written to the slot that is not in force, so a writer killed anywhere
 * leaves the old commit whole. What such a writer leaves: a tail that has moved ahead, perhaps past
 * head; some bytes outside [tail, head); index entries beyond head.  None of these is read.  The
 * next writer forgets those entries (pool_lock()) and begins at max(tail, head).
 *
 * A mapped file is input: every field is read once into a local, and a wrong one can only make a
 * call fail.
 */
#ifndef POOL_RING_H
#define POOL_RING_H

#include "layout.h"

#include <stdbool.h>

struct ring {
    struct header_live *live;
    _Atomic uint64_t *words; /* the first word of the ring */
    _Atomic uint64_t *index; /* `parts` entries; parts 0: no index */
    /* of the ring, a multiple of 8; set at open, then constant, like all here */
    uint64_t bytes;
    uint64_t reciprocal;     /* 2^64 / bytes, for ring_off() */
    uint64_t parts;          /* entries of the index in use */
    unsigned part_shift;     /* a part has 2^part_shift bytes */
    uint32_t salt;
    bool any_lap;            /* recovery looks at frames without knowing where they belong */
};

/*
 * Where a position stands: pos % bytes, and pos / bytes.  Several times on the way of every append, so it is a multiplication
 * where a division would cost 5 ns.
 */
static inline uint64_t ring_place(const struct ring *ring, uint64_t pos, uint64_t *ret_lap)
{
    uint64_t lap = (uint64_t)((unsigned __int128)pos * ring->reciprocal >> 64);
    uint64_t off = pos - lap * ring->bytes; /* lap is right or one too few */
    bool short_by_one = off >= ring->bytes;

    *ret_lap = lap + short_by_one;
    return short_by_one ? off - ring->bytes : off;
}

static inline uint64_t ring_off(const struct ring *ring, uint64_t pos)
{
    uint64_t lap;

    return ring_place(ring, pos, &lap);
}

#define EXPECTED_BYTES 192 /* a short message */

/*
 * Has the processor fetch what stands where the next frame goes.  Else the exchange that releases the lock after that frame waits
 * for memory.  Past the end of the ring it does nothing.
 */
static inline void ring_expect(const struct ring *ring, uint64_t pos)
{
    const char *p = (const char *)ring->words + ring_off(ring, pos);

    for (int i = 0; i < EXPECTED_BYTES; i += 64)
        __builtin_prefetch(p + i, 1);
}

struct commit {
    uint64_t gen, head, newest, newest_time, rendered_end, time_floor;
};

void ring_init(struct ring *ring, uint8_t *map, const struct header_fixed *fixed);

/*
 * A consistent copy of the commit in force.  False when none settles or it cannot be true (a
 * damaged or hostile file).
 */
bool ring_commit(const struct ring *ring, struct commit *ret);

/* The commit of one of the two slots, its checksum tested.  For opening and recovery. */
bool ring_commit_slot(const struct ring *ring, unsigned slot, struct commit *ret);

/* Is the commit that gen names whole? */
bool ring_commit_sound(const struct ring *ring);

/* Puts `next` in force; next->gen is set here.  Under the lock. */
void ring_publish(struct ring *ring, struct commit *next);

static inline uint64_t ring_tail(const struct ring *ring)
{
    return atomic_load_explicit(&ring->live->tail, memory_order_acquire);
}

/*
 * Position behind the newest frame; 0 when nothing sensible can be read.  The cheap part of
 * ring_commit().
 */
uint64_t ring_head(const struct ring *ring);

/* Frames before `tail` stop being readable.  Under the lock, before their bytes change. */
static inline void ring_move_tail(struct ring *ring, uint64_t tail)
{
    atomic_store_explicit(&ring->live->tail, tail, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* ring_move_tail:A, pairs with ring_copy:B */
}

/* Has the tail passed `pos`?  Asked after copying. */
static inline bool ring_lapped(const struct ring *ring, uint64_t pos)
{
    atomic_thread_fence(memory_order_acquire); /* ring_copy:B, pairs with ring_move_tail:A */
    return atomic_load_explicit(&ring->live->tail, memory_order_relaxed) > pos;
}

/*
 * Copies n bytes that begin at offset `off` of the ring, a multiple of 8; off + n lies within the
 * ring.
 */
void ring_copy_out(const struct ring *ring, uint64_t off, void *to, uint64_t n);
/* The same inwards; *a then *b, and zeros up to the next multiple of 8. */
void ring_copy_in(struct ring *ring, uint64_t off, const void *a, uint64_t a_n, const void *b,
                  uint64_t b_n);

#endif
