#include "pool/cursor.h"

#include "envelope.h"
#include "frame.h"
#include "handle.h"
#include "index.h"

#include <stdbool.h>

#define LAPPED_TRIES 1000 /* new beginnings while writers keep overtaking us */

int cursor_at_end(struct pool *pool, struct cursor *ret, struct error *err)
{
    struct commit commit;

    if (!ring_commit(&pool->ring, &commit))
        return pool_fail_corrupt(pool, 0, "the header is damaged", err);
    *ret = (struct cursor){.pos = commit.head, .seq = commit.newest + 1};
    return 0;
}

int cursor_at_oldest(struct pool *pool, struct cursor *ret, struct error *err)
{
    struct pool_bounds bounds;

    if (pool_bounds(pool, &bounds, err) < 0)
        return -1;
    *ret = (struct cursor){.pos = bounds.tail, .seq = bounds.oldest};
    return 0;
}

/* Is `frame` at or behind what is searched for? */
static bool reached(const struct frame *frame, enum index_key key, uint64_t target)
{
    /* the frame that holds the byte, not the one that begins behind it */
    if (key == INDEX_RENDERED)
        return frame->rendered_before +
                   message_length(frame->seq, frame->tags_len, frame->data_len) >
               target;
    return index_key_of(frame, key) >= target;
}

/*
 * The next good frame behind a damaged one at *pos.  Only for seeking: whoever reads on is told of the damage.
 */
static enum frame_result step_over_damage(const struct ring *ring, uint64_t *pos, uint64_t head,
                                          uint64_t expected, struct frame *ret)
{
    while ((*pos += LAYOUT_FRAME_ALIGN) < head) {
        uint64_t at = *pos;
        if (ring_lapped(ring, at))
            return FRAME_LAPPED;
        if (frame_read(ring, &at, head, ret) == FRAME_OK && ret->seq >= expected) {
            *pos = at;
            return FRAME_OK;
        }
    }
    return FRAME_END;
}

/*
 * Walks from a frame's place to the first frame that has reached the target; FRAME_END when none has.  FRAME_BAD with the cursor at
 * the damage: what is searched for is the damaged message itself, or may be.
 */
static enum frame_result walk(const struct ring *ring, enum index_key key, uint64_t target,
                              uint64_t head, struct cursor *cursor)
{
    struct frame frame;
    uint64_t expected = 0;

    for (;;) {
        struct cursor damage = *cursor;
        enum frame_result result = frame_read(ring, &cursor->pos, head, &frame);
        bool damaged =
            result == FRAME_BAD || (result == FRAME_OK && expected != 0 && frame.seq != expected);
        if (damaged)
            result = step_over_damage(ring, &cursor->pos, head, expected, &frame);
        if (result != FRAME_OK && !(damaged && result == FRAME_END))
            return result;
        if (damaged && (result == FRAME_END ||
                        (reached(&frame, key, target) && index_key_of(&frame, key) != target))) {
            *cursor = damage;
            return FRAME_BAD;
        }
        expected = frame.seq + 1;
        cursor->seq = frame.seq;
        if (reached(&frame, key, target))
            return FRAME_OK;
        cursor->pos = frame_end(cursor->pos, &frame);
    }
}

/*
 * Places the cursor at the first message from `low` on that has reached the target.  Being lapped
 * on the way means that what was searched for may be gone: begin again at the new oldest.
 */
static int seek(struct pool *pool, enum index_key key, uint64_t target, uint64_t low_seq,
                struct cursor *ret, struct error *err);

static int seek_once(struct pool *pool, enum index_key key, uint64_t target, uint64_t low_seq,
                     struct cursor *ret, enum frame_result *ret_result, struct error *err)
{
    struct pool_bounds bounds;

    if (pool_bounds(pool, &bounds, err) < 0)
        return -1;
    *ret = (struct cursor){.pos = bounds.tail, .seq = bounds.oldest};
    if (low_seq > bounds.oldest && seek(pool, INDEX_SEQ, low_seq, 0, ret, err) < 0)
        return -1;
    if (ret->pos < bounds.head)
        ret->pos = index_find(&pool->ring, key, target, ret->pos, bounds.head);
    *ret_result = walk(&pool->ring, key, target, bounds.head, ret);
    if (*ret_result == FRAME_END)
        *ret = (struct cursor){.pos = bounds.head, .seq = bounds.newest + 1};
    return 0;
}

static int seek(struct pool *pool, enum index_key key, uint64_t target, uint64_t low_seq,
                struct cursor *ret, struct error *err)
{
    for (int i = 0; i < LAPPED_TRIES; i++) {
        enum frame_result result;
        if (seek_once(pool, key, target, low_seq, ret, &result, err) < 0)
            return -1;
        if (result == FRAME_OK || result == FRAME_END)
            return 0;
        if (result == FRAME_BAD)
            return pool_fail_corrupt(pool, ret->pos, "a message is damaged", err);
    }
    return cursor_at_oldest(pool, ret, err);
}

int cursor_at_seq(struct pool *pool, uint64_t seq, struct cursor *ret, struct error *err)
{
    int result = seek(pool, INDEX_SEQ, seq, 0, ret, err);

    if (result < 0)
        ret->seq = seq;
    return result;
}

int cursor_at_time(struct pool *pool, uint64_t time_ns, struct cursor *ret, struct error *err)
{
    struct commit commit;

    if (time_ns == 0)
        return cursor_at_oldest(pool, ret, err);
    if (!ring_commit(&pool->ring, &commit))
        return pool_fail_corrupt(pool, 0, "the header is damaged", err);
    return seek(pool, INDEX_TIME, time_ns, commit.time_floor, ret, err);
}

int cursor_at_rendered(struct pool *pool, uint64_t rendered, struct cursor *ret, struct error *err)
{
    return seek(pool, INDEX_RENDERED, rendered, 0, ret, err);
}

/*
 * The cursor's place was overwritten: go to the oldest.  A gap only if its message really is gone.
 */
static enum cursor_result catch_up(struct pool *pool, struct cursor *cursor, struct error *err)
{
    struct cursor oldest;
    uint64_t wanted = cursor->seq;

    if (cursor_at_oldest(pool, &oldest, err) < 0)
        return CURSOR_FAILED;
    if (oldest.seq >= wanted) {
        *cursor = oldest;
        return oldest.seq > wanted ? CURSOR_GAP : CURSOR_MESSAGE;
    }
    /* Recovery has given new positions to what there is: nothing may be delivered twice. */
    if (cursor_at_seq(pool, wanted, &oldest, err) < 0)
        return CURSOR_FAILED;
    *cursor = (struct cursor){.pos = oldest.pos, .seq = oldest.seq};
    return oldest.seq > wanted ? CURSOR_GAP : CURSOR_MESSAGE;
}

/*
 * Finds the frame the cursor stands at.  CURSOR_MESSAGE: *ret and *ret_pos tell; other results are
 * final.
 */
static enum cursor_result find_frame(struct pool *pool, struct cursor *cursor, struct frame *ret,
                                     struct error *err)
{
    struct ring *ring = &pool->ring;

    for (int i = 0; i < LAPPED_TRIES; i++) {
        switch (frame_read(ring, &cursor->pos, ring_head(ring), ret)) {
        case FRAME_OK:
            if (ret->seq == cursor->seq)
                return CURSOR_MESSAGE;
            if (!ring_lapped(ring, cursor->pos)) {
                pool_fail_corrupt(pool, cursor->pos, "a message has the wrong number", err);
                return CURSOR_FAILED;
            }
            break;
        case FRAME_END:
            if (!pool_is_over(pool))
                return CURSOR_END;
            /* the last message came between the look at the head and the end */
            if (ring_head(ring) > cursor->pos)
                continue;
            return pool_fail_if_over(pool, err) < 0 ? CURSOR_FAILED : CURSOR_END;
        case FRAME_LAPPED:
            break;
        case FRAME_BAD:
            pool_fail_corrupt(pool, cursor->pos, "a message is damaged", err);
            return CURSOR_FAILED;
        }
        enum cursor_result result = catch_up(pool, cursor, err);
        if (result != CURSOR_MESSAGE)
            return result;
    }
    return CURSOR_END; /* writers are faster than we can look; the caller comes again */
}

static enum cursor_result no_memory(struct error *err)
{
    fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return CURSOR_FAILED;
}

static struct frame_view view_of(const struct frame *frame)
{
    return (struct frame_view){.seq = frame->seq,
                               .time_ns = frame->time_ns,
                               .rendered_before = frame->rendered_before,
                               .tags_len = frame->tags_len,
                               .data_len = frame->data_len};
}

enum cursor_result cursor_peek(struct pool *pool, struct cursor *cursor, struct frame_view *ret,
                               struct error *err)
{
    struct frame frame;
    enum cursor_result result = find_frame(pool, cursor, &frame, err);

    if (result == CURSOR_MESSAGE)
        *ret = view_of(&frame);
    return result;
}

enum cursor_result cursor_peek_tags(struct pool *pool, struct cursor *cursor, struct buf *store,
                                    struct frame_view *ret_view, struct message *ret,
                                    struct error *err)
{
    struct frame frame;

    for (int i = 0; i < LAPPED_TRIES; i++) {
        enum cursor_result result = find_frame(pool, cursor, &frame, err);
        if (result != CURSOR_MESSAGE)
            return result;
        buf_clear(store);
        if (buf_room(store, frame.tags_len + 1) < 0)
            return no_memory(err);
        if (frame_read_tags(&pool->ring, cursor->pos, &frame, store->p) != FRAME_OK)
            continue; /* find_frame() meets that, too */
        store->n = frame.tags_len;
        *ret_view = view_of(&frame);
        *ret = (struct message){.seq = frame.seq,
                                .time_ns = frame.time_ns,
                                .rendered_before = frame.rendered_before,
                                .tags = buf_bytes(store)};
        return CURSOR_MESSAGE;
    }
    return CURSOR_END;
}

void cursor_skip(struct cursor *cursor, const struct frame_view *view)
{
    cursor->pos += frame_bytes(view->tags_len, view->data_len);
    cursor->seq = view->seq + 1;
}

/*
 * Copies the body of the frame that find_frame() found to `to`; the cursor moves on only when the
 * copy is good.  CURSOR_GAP: it was overwritten meanwhile.
 */
static enum cursor_result take_body(struct pool *pool, struct cursor *cursor,
                                    const struct frame *frame, char *to, struct error *err)
{
    switch (frame_read_body(&pool->ring, cursor->pos, frame, to)) {
    case FRAME_OK:
        break;
    case FRAME_LAPPED:
    case FRAME_END:
        return CURSOR_GAP;
    case FRAME_BAD:
        pool_fail_corrupt(pool, cursor->pos, "a message is damaged", err);
        fail_seq(err, cursor->seq);
        return CURSOR_FAILED;
    }
    cursor->pos = frame_end(cursor->pos, frame);
    cursor->seq++;
    return CURSOR_MESSAGE;
}

static enum cursor_result take(struct pool *pool, struct cursor *cursor, const struct frame *frame,
                               struct buf *store, struct message *ret, struct error *err)
{
    size_t n = (size_t)frame->tags_len + frame->data_len;
    enum cursor_result result;

    buf_clear(store);
    if (buf_room(store, n) < 0)
        return no_memory(err);
    result = take_body(pool, cursor, frame, store->p, err);
    if (result != CURSOR_MESSAGE)
        return result;
    store->n = n;
    *ret = (struct message){
        .seq = frame->seq,
        .time_ns = frame->time_ns,
        .rendered_before = frame->rendered_before,
        .tags = {store->p,                   frame->tags_len},
        .data = {store->p + frame->tags_len, frame->data_len}
    };
    return CURSOR_MESSAGE;
}

enum cursor_result cursor_next(struct pool *pool, struct cursor *cursor, struct buf *store,
                               struct message *ret, struct error *err)
{
    struct frame frame;

    for (int i = 0; i < LAPPED_TRIES; i++) {
        enum cursor_result result = find_frame(pool, cursor, &frame, err);
        if (result != CURSOR_MESSAGE)
            return result;
        result = take(pool, cursor, &frame, store, ret, err);
        if (result != CURSOR_GAP)
            return result;
        result = catch_up(pool, cursor, err); /* overtaken while copying */
        if (result != CURSOR_MESSAGE)
            return result;
    }
    return CURSOR_END;
}

/* A header that is right is believed about its length, so that the whole search goes over the ring once. */
bool cursor_step_over(struct pool *pool, struct cursor *cursor, struct buf *store)
{
    const struct ring *ring = &pool->ring;
    uint64_t head = ring_head(ring), pos = cursor->pos, seq = cursor->seq;
    struct message message;
    struct frame frame;
    bool is_header_right =
        frame_read(ring, &pos, head, &frame) == FRAME_OK && frame.seq == cursor->seq;

    for (;;) {
        if (is_header_right)
            pos = frame_end(pos, &frame) - LAYOUT_FRAME_ALIGN;
        if (step_over_damage(ring, &pos, head, seq + 1, &frame) != FRAME_OK)
            return false;
        const struct cursor found = {.pos = pos, .seq = frame.seq};
        struct cursor next = found;
        if (cursor_next(pool, &next, store, &message, NULL) == CURSOR_MESSAGE &&
            message.seq == found.seq) {
            *cursor = found;
            return true;
        }
        is_header_right = true;
        seq = frame.seq;
    }
}

/* The line of one frame that find_frame() found. */
static enum cursor_result render(struct pool *pool, struct cursor *cursor,
                                 const struct frame *frame, struct time_cache *cache,
                                 struct buf *out, struct error *err)
{
    enum cursor_result result;
    char *at;

    if (buf_room(out, (size_t)ENVELOPE_ROOM + frame->tags_len + frame->data_len) < 0)
        return no_memory(err);
    /* the cursor's number: it is the same, and where the text goes need not wait for the frame's */
    at = envelope_head(out->p + out->n, cursor->seq, frame->time_ns, cache);
    result = take_body(pool, cursor, frame, at + ENVELOPE_GAP, err);
    if (result == CURSOR_MESSAGE)
        out->n = (size_t)(envelope_close(at, frame->tags_len, frame->data_len) - out->p);
    return result;
}

enum cursor_result cursor_render(struct pool *pool, struct cursor *cursor, uint64_t last_seq,
                                 size_t max, struct time_cache *cache, struct buf *out,
                                 struct error *err)
{
    const size_t begin = out->n;
    int tries = 0;

    while (cursor->seq <= last_seq && (out->n == begin || out->n - begin < max)) {
        const struct cursor before = *cursor;
        struct frame frame;
        enum cursor_result result = find_frame(pool, cursor, &frame, err);

        if (result == CURSOR_MESSAGE && out->n > begin &&
            message_length(frame.seq, frame.tags_len, frame.data_len) > max - (out->n - begin))
            break;
        if (result == CURSOR_MESSAGE &&
            (result = render(pool, cursor, &frame, cache, out, err)) == CURSOR_GAP) {
            if (++tries == LAPPED_TRIES)
                return CURSOR_END;
            result = catch_up(pool, cursor, err);
        }
        if (result == CURSOR_GAP && out->n > begin) {
            /* the next call meets it first thing, so that its caller knows the first lost number */
            *cursor = before;
            break;
        }
        if (result != CURSOR_MESSAGE)
            return result;
    }
    return CURSOR_MESSAGE;
}
