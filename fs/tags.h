/*
 * How often each tag stands on the messages that a pool retains: the file `tags`.
 *
 * The counts are made on first need and kept with the pool (pools.h): later looks read only what came since, and take away
 * what was overwritten.  Any thread.
 */
#ifndef FS_TAGS_H
#define FS_TAGS_H

#include "mount.h"
#include "patience.h"
#include "pool/cursor.h"

struct tags;

struct tags *tags_new(void); /* NULL when memory is gone */
void tags_free(struct tags *tags);

/*
 * Adds "count<TAB>tag" lines to *out, the most frequent first, equal ones in the order of their bytes.  A tag is written as below
 * `tag/`, so that every line can be used as a path.
 */
enum view_result tags_list(struct tags *tags, struct pool *pool, const struct mount *m,
                           enum view_patience patience, struct buf *out, struct error *err);

#endif
