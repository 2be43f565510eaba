/*
 * Memory that is given back all at once: the nodes of an expression; the strings that one message
 * needed decoded.
 *
 * Zero-initialised is ready.  arena_alloc() returns NULL when memory is gone.  arena_reset() keeps
 * the largest piece, so that the usual message allocates nothing.
 */
#ifndef FILTER_ARENA_H
#define FILTER_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_piece *pieces;
    size_t used; /* of the first one */
};

void *arena_alloc(struct arena *arena, size_t n);
void arena_reset(struct arena *arena);
void arena_done(struct arena *arena);

#endif
