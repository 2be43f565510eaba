/*
 * Finite files: a fixed run of messages (tail, all, last/, since/, from/, seq/), or bytes made when the name
 * was looked up (README, info, size).
 *
 * A snapshot never changes.  Its content is not copied when it is opened but rendered when it is read;
 * what is small is kept whole while open, and what is larger is copied in the background as soon as writers come near it,
 * so that everybody who has it open reads it to its end.
 *
 *     snapshot_of_bytes() or snapshot_of_range()     at LOOKUP; lives with its node
 *     snapshot_open() ... snapshot_read() ... snapshot_close()
 */
#ifndef FS_SNAPSHOT_H
#define FS_SNAPSHOT_H

#include "renderer.h"

struct snapshot;

/* Both return NULL when memory is gone; *bytes is taken over.  `lens` and `pool` get references of their own. */
struct snapshot *snapshot_of_bytes(struct buf *bytes, uint64_t time_ns);
struct snapshot *snapshot_of_range(struct mpool *pool, struct lens *lens,
                                   const struct range *range);
void snapshot_unref(struct snapshot *snap);

uint64_t snapshot_size(const struct snapshot *snap);
uint64_t snapshot_time(const struct snapshot *snap);

/*
 * Will it be overwritten so soon that opening it may come too late?  Then snapshot_keep(), by a worker, makes its content here
 * and now.  NotFound when it was too late already; nothing is kept, without an error, when too much is.
 */
bool snapshot_is_brief(const struct range *range);
int snapshot_keep(struct snapshot *snap, struct error *err);

/* NotFound when its first message has been overwritten meanwhile: look the name up again. */
enum view_result snapshot_open(struct snapshot *snap, enum view_patience patience,
                               struct error *err);
void snapshot_close(struct snapshot *snap);

/* What was read. */
struct part {
    struct bytes bytes;
    bool is_made; /* for snapshot_part_done(): the snapshot is locked for it */
};

/*
 * Bytes off .. off+n, all of them (fewer only at the end of the file).  VIEW_OK: they are good until snapshot_part_done(), which
 * comes soon, on the same thread.  Io when they were overwritten before they could be copied.
 */
enum view_result snapshot_read(struct snapshot *snap, uint64_t off, size_t n,
                               enum view_patience patience, struct part *ret, struct error *err);
/* After the bytes were handed on: makes what a reader who goes on will ask for next. */
void snapshot_part_done(struct snapshot *snap, const struct part *part);

#endif
