/*
 * Small files whose bytes are made when their name is looked up: info, size, errors, README and the like.
 *
 * Another table row makes another such file.
 */
#ifndef FS_INSTANT_H
#define FS_INSTANT_H

#include "view.h"

/* Is it one of them? */
bool instant_is(const struct place *place);

/* Adds the bytes to *out; *ret_time is the time of the file.  `pool` is NULL outside pools. */
enum view_result instant_make(struct mount *m, const struct place *place, struct mpool *pool,
                              enum view_patience patience, struct buf *out, uint64_t *ret_time,
                              struct error *err);

#endif
