/*
 * Streams of messages: follow, next, live/...
 *
 * Where a stream begins is fixed when it is opened.  Messages that were overwritten before they could be read are passed over.
 */
#include "reader.h"
#include "status.h"

#include <errno.h>
#include <stdlib.h>

struct messages {
    struct reader reader;
    struct cursor at;
    uint64_t from; /* numbers below are passed over */
    uint64_t only; /* the one number wanted; 0: any */
    bool one;      /* ends after one message */
    struct time_cache cache;
    struct buf store;
};

static const struct lens *lens_of(const struct messages *s)
{
    return s->reader.handle.node->place.lens;
}

/* Is the message worth a closer look?  Tags can be ruled out by their absence alone. */
static bool passes(const struct messages *s, const struct frame_view *view)
{
    return view->seq >= s->from && (lens_of(s)->n_tags == 0 || view->tags_len > 0);
}

static int check_room(struct reader *r, uint64_t length, struct error *err)
{
    if (length <= LARGE_MESSAGE)
        return 0;
    if (!mount_hold(r->handle.m, length)) {
        (void)fail_os(err, PLSM_ERROR_IO, ENOMEM, "too many large messages are being read at once");
        return -1;
    }
    r->counted += length;
    return 0;
}

/* A message that was passed over: it is not kept. */
static void give_room_back(struct reader *r, uint64_t length)
{
    if (length <= LARGE_MESSAGE)
        return;
    mount_unhold(r->handle.m, length);
    r->counted -= length;
}

/* Takes one message that peeking found; made into a line if it matches. */
static enum cursor_result take(struct messages *s, uint64_t length, struct error *err)
{
    struct reader *r = &s->reader;
    struct message message;
    enum cursor_result result;

    if (check_room(r, length, err) < 0)
        return CURSOR_FAILED;
    result = cursor_next(r->pool->pool, &s->at, &s->store, &message, err);
    if (result != CURSOR_MESSAGE || !lens_match(lens_of(s), message.tags)) {
        give_room_back(r, length);
    } else if (lens_render(lens_of(s), &message, &s->cache, &r->ready) < 0) {
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        result = CURSOR_FAILED;
    } else {
        r->ended = s->one;
    }
    shed(&s->store); /* a follower may stay open for days */
    return result;
}

static int missed(const struct messages *s, struct error *err)
{
    if (s->only == 0 || s->at.seq <= s->only)
        return 0;
    (void)fail(err, PLSM_ERROR_RETENTION_GAP, "message was overwritten before it was read");
    return fail_seq(err, s->only);
}

/* One step: a message taken or passed over, or a gap.  CURSOR_END also when the next line has no room. */
static enum cursor_result step(struct messages *s, size_t max, struct error *err)
{
    struct reader *r = &s->reader;
    struct frame_view view;
    enum cursor_result result = cursor_peek(r->pool->pool, &s->at, &view, err);
    uint64_t length;

    if (result == CURSOR_GAP && missed(s, err) < 0)
        return CURSOR_FAILED;
    if (result != CURSOR_MESSAGE)
        return result;
    length = lens_length(lens_of(s), view.seq, view.tags_len, view.data_len);
    if (r->ready.n > 0 && r->ready.n + length > max)
        return CURSOR_END;
    if (passes(s, &view))
        result = take(s, length, err);
    else
        cursor_skip(&s->at, &view);
    if (s->only != 0 && s->at.seq > s->only)
        r->ended = true; /* that was the one, whether it matched or not */
    return result;
}

static enum filled messages_fill(struct reader *r, size_t max, struct error *err)
{
    struct messages *s = (struct messages *)r;
    enum cursor_result result = CURSOR_MESSAGE;
    unsigned looked = 0;

    while (!r->ended && r->ready.n < max && result != CURSOR_END && result != CURSOR_FAILED) {
        if (looked++ == VIEW_QUICK_MESSAGES && r->ready.n == 0)
            return FILL_LATER;
        result = step(s, max, err);
    }
    r->looked = s->at.pos;
    if (r->ready.n > 0)
        return FILL_READY; /* an error comes back with the next read */
    return result == CURSOR_FAILED ? FILL_FAILED : FILL_NOTHING;
}

static uint64_t messages_end(struct reader *r)
{
    struct pool_bounds bounds;

    if (pool_bounds(r->pool->pool, &bounds, NULL) < 0 || bounds.head < r->looked)
        return r->looked;
    return bounds.head;
}

static void messages_done(struct reader *r)
{
    buf_done(&((struct messages *)r)->store);
}

static const struct source messages = {messages_fill, messages_end, messages_done};

int messages_open(struct mount *m, struct node *node, enum view_patience patience,
                  struct handle **ret, uint32_t *open_flags, bool *later)
{
    struct error err = ERROR_INIT;
    struct place place = node->place; /* times mean now, not when the name was looked up */
    struct cursor at;
    struct messages *s;

    if (place.kind == PLACE_SINCE && parse_time_range(bytes_of(node->name), clock_real_ns(),
                                                      &place.from_ns, &place.until_ns, NULL) < 0)
        return EINVAL;
    switch (view_start(m, node->pool, &place, patience, &at, &err)) {
    case VIEW_LATER:
        *later = true;
        return 0;
    case VIEW_FAILED:
        return status_errno(&err, DOOR_READER);
    case VIEW_OK:
        break;
    }
    if (place.kind == PLACE_SEQ && at.seq > place.n)
        return ENOENT; /* it was here, and is no more */
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return ENOMEM;
    s->at = at;
    s->from = place.kind == PLACE_FROM || place.kind == PLACE_SEQ ? place.n : 0;
    s->only = place.kind == PLACE_SEQ ? place.n : 0;
    s->one = place.kind == PLACE_NEXT || place.kind == PLACE_SEQ;
    reader_start(&s->reader, &messages, node->pool, m, node, open_flags);
    s->reader.looked = at.pos;
    *ret = &s->reader.handle;
    return 0;
}
