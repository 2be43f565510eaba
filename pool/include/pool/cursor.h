/*
 * A place in the ring, and being lapped there.
 *
 * A cursor is two numbers; it holds nothing and needs no release.  Place it with one of the
 * cursor_at calls, then take messages with cursor_next().  A cursor whose place has been
 * overwritten goes on at the oldest retained message and says so once (CURSOR_GAP).  Nothing is
 * delivered twice, nothing of another message ever.
 *
 * Any thread; one thread at a time for each cursor.
 */
#ifndef POOL_CURSOR_H
#define POOL_CURSOR_H

#include "pool/pool.h"

struct cursor {
    uint64_t pos; /* where the next frame is, or will be */
    uint64_t seq; /* number of the next message */
};

enum cursor_result {
    CURSOR_MESSAGE, /* *ret filled, the cursor stands behind it */
    CURSOR_END,     /* nothing more now */
    /*
     * messages were lost: cursor->seq is the next one there is; its old value told the first lost
     * one
     */
    CURSOR_GAP,
    /*
     * *err filled: Corrupt at a damaged frame, NotFound when the pool is gone and all is delivered
     */
    CURSOR_FAILED,
};

/* Before the oldest message, behind the newest. */
int cursor_at_oldest(struct pool *pool, struct cursor *ret, struct error *err);
int cursor_at_end(struct pool *pool, struct cursor *ret, struct error *err);

/*
 * At the message `seq`; at the oldest when it is no longer retained, at the end when it does not
 * exist yet (cursor->seq tells).  Corrupt when it is damaged: *ret is at the damage then, for
 * cursor_step_over().
 */
int cursor_at_seq(struct pool *pool, uint64_t seq, struct cursor *ret, struct error *err);

/* At the first message with time >= time_ns.  0 means everything. */
int cursor_at_time(struct pool *pool, uint64_t time_ns, struct cursor *ret, struct error *err);

/*
 * At the message whose envelope holds the byte `rendered` of all envelopes ever (for `log`); ends
 * as cursor_at_seq().
 */
int cursor_at_rendered(struct pool *pool, uint64_t rendered, struct cursor *ret, struct error *err);

/*
 * Takes the next message.  Its bytes replace the content of *store (or are added to it: see
 * cursor_next_add); *ret points into it.
 */
enum cursor_result cursor_next(struct pool *pool, struct cursor *cursor, struct buf *store,
                               struct message *ret, struct error *err);

/*
 * Where a call has failed with Corrupt: moves the cursor on to the next whole message.  False, and
 * the cursor stays, when there is none up to the newest.  The content of *store is lost.
 */
bool cursor_step_over(struct pool *pool, struct cursor *cursor, struct buf *store);

/*
 * What cursor_next() would look at, without its data: seq, time, tags_len, data_len.  For counting
 * and seeking cheaply.
 */
struct frame_view {
    uint64_t seq, time_ns, rendered_before;
    uint32_t tags_len, data_len; /* bytes as stored */
};
enum cursor_result cursor_peek(struct pool *pool, struct cursor *cursor, struct frame_view *ret,
                               struct error *err);
/*
 * The same, and the message but for its data: *ret is good for saying that it is not wanted.  Its
 * tags are in *store as they stand in the file; cursor_next() alone notices what a disk did to them.
 */
enum cursor_result cursor_peek_tags(struct pool *pool, struct cursor *cursor, struct buf *store,
                                    struct frame_view *ret_view, struct message *ret,
                                    struct error *err);
/* Steps over the message that cursor_peek() or cursor_peek_tags() showed, without copying it. */
void cursor_skip(struct cursor *cursor, const struct frame_view *view);

/*
 * Renders envelopes of whole messages to *out until `max` bytes would be passed, the next number is
 * past last_seq, or there are no more.  Returns how it ended: CURSOR_MESSAGE (stopped at max or
 * last_seq), CURSOR_END, CURSOR_GAP (as above; nothing was rendered then), CURSOR_FAILED.  The
 * first message is rendered even if it alone is larger than max.
 */
enum cursor_result cursor_render(struct pool *pool, struct cursor *cursor, uint64_t last_seq,
                                 size_t max, struct time_cache *cache, struct buf *out,
                                 struct error *err);

#endif
