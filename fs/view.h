/*
 * Which messages a view shows at this moment, how large they are as text, and where a stream begins.
 *
 * Most answers take microseconds.  Those for a lens with tags or `data` look at every message once (matches.h), which
 * may take long (patience.h).
 */
#ifndef FS_VIEW_H
#define FS_VIEW_H

#include "matches.h"
#include "path.h"
#include "patience.h"
#include "pool/cursor.h"

struct range {
    uint64_t first, last; /* numbers of the first and last message shown; 1 and 0 when none is */
    uint64_t size;        /* bytes */
    uint64_t time_ns;     /* of the last message; when there is none, of the pool's creation */
    uint64_t first_pos;   /* where the first stands in the ring */
    uint64_t lasts_ns;    /* about how long until it is overwritten, if writers go on as they did */
};

/*
 * A finite view.  NotFound for a single message (seq/N) that is not there or not selected.  `overtaken`: how often writers
 * were quicker than the caller already; each time more of the oldest messages is left out.
 */
enum view_result view_range(struct mount *m, struct mpool *pool, const struct place *place,
                            enum view_patience patience, unsigned overtaken, struct range *ret,
                            struct error *err);

/* Where a stream begins: the first message that may be delivered. */
enum view_result view_start(struct mount *m, struct mpool *pool, const struct place *place,
                            enum view_patience patience, struct cursor *ret, struct error *err);

/*
 * The list of matches, complete up to message `newest`, locked; a new reference.  Give back with
 * view_matches_done().  With VIEW_QUICK a list that is in use elsewhere is VIEW_LATER too.
 */
enum view_result view_matches(struct mount *m, struct mpool *pool, struct lens *lens,
                              uint64_t newest, enum view_patience patience, struct matches **ret,
                              struct error *err);
void view_matches_done(struct mount *m, struct matches *list);

#endif
