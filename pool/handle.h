/*
 * What is behind a struct pool *.  Private to the engine.
 */
#ifndef POOL_HANDLE_H
#define POOL_HANDLE_H

#include "file.h"
#include "lock.h"
#include "pool/pool.h"
#include "ring.h"

struct pool {
    struct file file;
    struct ring ring;
    struct lock lock;
    struct header_fixed fixed;    /* a checked copy; set at open, then constant */
    uint64_t message_max;         /* bytes of tags and data */
    char *path;
    uint64_t (*now_ns)(void);     /* wall clock; tests set another */
    /* when an append last looked at the link count; clock_real_ns() */
    _Atomic uint64_t looked_ns;
    _Atomic uint32_t alone;       /* the wake word of pool_wait_served() that waits alone, see notify.h */
    atomic_bool unlinked;         /* the file has no name any more */
};

/* Deleted, unlinked or cut short, as far as is known without a system call. */
static inline bool pool_is_over(struct pool *pool)
{
    return atomic_load_explicit(&pool->ring.live->gone, memory_order_acquire) != 0 ||
           atomic_load_explicit(&pool->unlinked, memory_order_relaxed) ||
           atomic_load_explicit(&pool->file.dead, memory_order_relaxed);
}

/* The error behind pool_is_over(); also 0 when it is not over. */
int pool_fail_if_over(struct pool *pool, struct error *err);

/*
 * Becomes the one writer; undoes what a dead one has left in the index.  Fills *err unless the lock
 * is ours.  Release with lock_release().
 */
enum lock_result pool_lock(struct pool *pool, uint64_t limit_ns, struct error *err);

/* Corrupt with the path and the place of a position in the file; or that the pool is over, which explains what looks wrong. */
int pool_fail_corrupt(struct pool *pool, uint64_t pos, const char *what, struct error *err);

#endif
