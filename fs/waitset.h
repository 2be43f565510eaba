/* The pools that a thread waits on at once, from where on news of each matter, and whose they are. */
#ifndef FS_WAITSET_H
#define FS_WAITSET_H

#include "pool/pool.h"

struct waitset {
    struct pool **pools;
    uint64_t *seen; /* heads of the pools; as for pool_wait() */
    void **owners;
    size_t n, cap;
};

/* False when memory is gone. */
bool waitset_add(struct waitset *set, struct pool *pool, uint64_t seen, void *owner);
void waitset_done(struct waitset *set);

static inline void waitset_clear(struct waitset *set)
{
    set->n = 0;
}

/* Is there news of the i-th? */
static inline bool waitset_ready(const struct waitset *set, size_t i)
{
    return pool_ready(set->pools[i], set->seen[i]);
}

#endif
