/*
 * Messages that were overwritten before they could be read, and the notices that tell of them: at most one in a second,
 * so later losses are merged.
 *
 *     struct drops d = {0};
 *     drops_add(&d, first, next)     at each gap of the stream
 *     drops_tell(&d, ...)            when drops_due_ns() has come, and at the end while d.count > 0
 *
 * One thread.
 */
#ifndef CLI_DROPS_H
#define CLI_DROPS_H

#include "cli.h"
#include "pool/pool.h"

struct drops {
    uint64_t count;                /* lost and not yet told of */
    uint64_t last_seen, next_seen; /* around them; between merged losses some were seen */
    uint64_t told_ns;              /* when the last notice was given; 0: never */
    uint64_t first_lost;           /* of all; 0: none */
};

/* The messages from `first` on are lost, the next one there is `next`. */
void drops_add(struct drops *drops, uint64_t first, uint64_t next);

/* When to tell, on clock_mono_ns(); UINT64_MAX while there is nothing to tell. */
uint64_t drops_due_ns(const struct drops *drops);

/* Tells of them; pool_ref: as typed.  With is_quiet it only forgets them. */
void drops_tell(struct drops *drops, struct cli *cli, const struct pool *pool, const char *pool_ref,
                bool is_quiet);

#endif
