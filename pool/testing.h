/*
 * For tests of the engine only: pools that begin anywhere, another clock.
 */
#ifndef POOL_TESTING_H
#define POOL_TESTING_H

#include "pool/pool.h"

/*
 * Like pool_create(), but positions begin at `pos` (rounded up to 8, at least the ring's size) and
 * the first message is number `seq`.
 */
int pool_create_at(const char *path, const struct pool_options *options, uint64_t pos, uint64_t seq,
                   struct error *err);

void pool_set_clock(struct pool *pool, uint64_t (*now_ns)(void));

#endif
