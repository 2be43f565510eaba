/*
 * From a number, a time or a rendered position to a place in the ring, without scanning.  See
 * layout.h for what is stored.
 */
#ifndef POOL_INDEX_H
#define POOL_INDEX_H

#include "frame.h"

/* Which growing number is searched for. */
enum index_key { INDEX_SEQ, INDEX_TIME, INDEX_RENDERED };

/* The key of a frame. */
uint64_t index_key_of(const struct frame *frame, enum index_key key);

/* Notes that a frame has been written at `pos`.  Under the lock. */
void index_note(struct ring *ring, uint64_t pos);

/*
 * Forgets entries at or beyond `head`: a writer that died before it published may have left some,
 * and frames under them, where the next one only writes a filler.  Under the lock.
 */
void index_forget_beyond(struct ring *ring, uint64_t head);

/*
 * A position in [low, head) whose frame's key is <= target (for times: < target), as close before
 * it as the index knows; `low` itself, a frame's place, when it knows none.  A hint for a walk: the
 * caller checks each frame as ever.
 */
uint64_t index_find(const struct ring *ring, enum index_key key, uint64_t target, uint64_t low,
                    uint64_t head);

#endif
