#include "messages.h"

#include "base/units.h"
#include "failure.h"
#include "reader.h"
#include "status.h"

#include <errno.h>
#include <stdlib.h>

#define TURN_NS (10 * NS_PER_MS) /* that a worker looks on for one reader with an expression */

struct messages {
    struct reader reader;
    struct cursor at;
    uint64_t from;                  /* numbers below are passed over */
    uint64_t only;                  /* the one number wanted; 0: any */
    uint64_t last;                  /* ends behind this number; 0: does not end */
    bool one;                       /* ends after one message */
    double speed;                   /* of a replay; 0: without pauses */
    uint64_t base_time_ns, base_ns; /* a message of this time had its turn then */
    uint64_t time_ns;               /* of the last message that had one; 0: none yet */
    struct time_cache cache;
    struct buf store;
};

static const struct lens *lens_of(const struct messages *s)
{
    return s->reader.handle.node->place.lens;
}

/* What comes next, and whether it is worth a closer look: that it does not match may be known without its data. */
static enum cursor_result peek(struct messages *s, struct frame_view *view, bool *ret_passes,
                               struct error *err)
{
    struct pool *pool = s->reader.pool->pool;
    struct message message;
    enum cursor_result result;

    if (!lens_sees_envelope(lens_of(s))) {
        result = cursor_peek(pool, &s->at, view, err);
        *ret_passes = result == CURSOR_MESSAGE && view->seq >= s->from;
        return result;
    }
    result = cursor_peek_tags(pool, &s->at, &s->store, view, &message, err);
    *ret_passes = result == CURSOR_MESSAGE && view->seq >= s->from &&
                  !lens_rules_out(lens_of(s), &message);
    return result;
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

/* When a message of this time has its turn; 0: now. */
static uint64_t due_ns(const struct messages *s, uint64_t time_ns)
{
    double pause;

    if (s->speed == 0 || s->time_ns == 0 || time_ns <= s->base_time_ns)
        return 0;
    pause = (double)(time_ns - s->base_time_ns) / s->speed;
    return pause < (double)(UINT64_MAX / 2) ? s->base_ns + (uint64_t)pause : UINT64_MAX;
}

static bool has_turn(const struct messages *s, uint64_t time_ns)
{
    return due_ns(s, time_ns) <= clock_mono_ns();
}

/* A message was made ready. */
static void pace(struct messages *s, uint64_t time_ns)
{
    if (s->speed == 0)
        return;
    if (s->reader.due_ns == 0)
        s->reader.due_ns = due_ns(s, time_ns);
    if (s->time_ns == 0 || time_ns < s->time_ns) { /* the first, or the clock was set back */
        s->base_time_ns = time_ns;
        s->base_ns = clock_mono_ns();
    }
    s->time_ns = time_ns;
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
    if (result != CURSOR_MESSAGE || !lens_match(lens_of(s), &message)) {
        give_room_back(r, length);
    } else if (lens_render(lens_of(s), &message, &s->cache, &r->ready) < 0) {
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        result = CURSOR_FAILED;
    } else {
        r->ended = s->one;
        pace(s, message.time_ns);
    }
    shed(&s->store); /* a follower may stay open for days */
    return result;
}

static enum cursor_result tell_gap(const struct messages *s, struct error *err)
{
    (void)fail(err, PLSM_ERROR_RETENTION_GAP, "messages were overwritten before they were read");
    if (s->only != 0)
        (void)fail_seq(err, s->only);
    return CURSOR_FAILED;
}

/* Messages were lost, and the cursor stands at the next one there is. */
static enum cursor_result meet_gap(struct messages *s, struct error *err)
{
    struct reader *r = &s->reader;

    if (s->only != 0 && s->at.seq > s->only)
        return tell_gap(s, err);
    r->gap = r->handle.node->place.strict;
    return CURSOR_GAP;
}

/* One step: a message taken or passed over, or a gap.  CURSOR_END also when the next line has no room or no turn yet. */
static enum cursor_result step(struct messages *s, size_t max, struct error *err)
{
    struct reader *r = &s->reader;
    struct frame_view view;
    bool passes;
    enum cursor_result result = peek(s, &view, &passes, err);
    uint64_t length;

    if (result == CURSOR_GAP)
        return meet_gap(s, err);
    if (result != CURSOR_MESSAGE)
        return result;
    length = lens_length(lens_of(s), view.seq, view.tags_len, view.data_len);
    if (r->ready.n > 0 && (r->ready.n + length > max || !has_turn(s, view.time_ns)))
        return CURSOR_END;
    if (passes)
        return take(s, length, err);
    cursor_skip(&s->at, &view);
    return CURSOR_MESSAGE;
}

/* Nothing comes after what is ready: the one message is there, or the last one has been looked at, whether it matched or not. */
static bool is_over(const struct messages *s)
{
    return s->reader.ended || (s->last != 0 && s->at.seq > s->last);
}

static enum filled messages_fill(struct reader *r, size_t max, enum view_patience patience,
                                 struct error *err)
{
    struct messages *s = (struct messages *)r;
    enum cursor_result result = CURSOR_MESSAGE;
    bool slow = lens_is_slow(lens_of(s));
    uint64_t until = slow ? clock_mono_ns() + TURN_NS : 0;
    unsigned looked = 0;

    if (patience == VIEW_QUICK && slow && !is_over(s) &&
        mpool_ready(r->pool, s->at.pos))
        return FILL_LATER;
    while (!r->gap && result != CURSOR_END && result != CURSOR_FAILED) {
        r->ended = is_over(s);
        if (r->ended || r->ready.n >= max)
            break;
        if (slow && clock_mono_ns() > until) {
            if (r->ready.n > 0)
                break; /* what there is does not wait for what may match much later */
            return FILL_LATER;
        }
        if (r->ready.n == 0 && looked++ == VIEW_QUICK_MESSAGES)
            return FILL_LATER;
        result = step(s, max, err);
    }
    if (r->gap && r->ready.n == 0)
        result = tell_gap(s, err); /* what came before it was delivered */
    r->looked = s->at.pos;
    failure_note_lens(r->handle.m, r->handle.node, lens_of(s));
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

/* What is fixed when a stream is opened. */
struct window {
    struct cursor at;
    uint64_t last; /* 0: it has no end */
    bool empty;
};

static enum view_result not_found(struct error *err)
{
    (void)fail(err, PLSM_ERROR_NOT_FOUND, "message not found");
    return VIEW_FAILED;
}

/* A replay ends with the newest message of now, or of the time that was asked for. */
static enum view_result find_last(struct mpool *pool, const struct place *place,
                                  struct window *window, struct error *err)
{
    struct pool_bounds bounds;
    struct cursor end = {0};

    if (pool_bounds(pool->pool, &bounds, err) < 0)
        return VIEW_FAILED;
    window->last = bounds.newest;
    if (place->until_ns != UINT64_MAX && place->kind == PLACE_SINCE) {
        if (cursor_at_time(pool->pool, place->until_ns, &end, err) < 0)
            return VIEW_FAILED;
        window->last = end.seq <= bounds.newest ? end.seq - 1 : bounds.newest;
    }
    if (place->kind == PLACE_SEQ && place->n > bounds.newest)
        return not_found(err);
    window->empty = window->last == 0;
    return VIEW_OK;
}

static enum view_result find_window(struct mount *m, struct node *node, const struct place *place,
                                    enum view_patience patience, struct window *window,
                                    struct error *err)
{
    enum view_result result = view_start(m, node->pool, place, patience, &window->at, err);

    if (result != VIEW_OK)
        return result;
    if (place->kind == PLACE_SEQ && window->at.seq > place->n)
        return not_found(err); /* it was here, and is no more */
    if (!place->live && find_last(node->pool, place, window, err) != VIEW_OK)
        return VIEW_FAILED;
    if (place->kind == PLACE_SEQ)
        window->last = place->n;
    return VIEW_OK;
}

static void begin(struct messages *s, const struct place *place, const struct window *window)
{
    bool has_number = place->kind == PLACE_FROM || place->kind == PLACE_SEQ;

    s->at = window->at;
    s->from = has_number ? place->n : 0;
    s->only = place->kind == PLACE_SEQ ? place->n : 0;
    s->last = window->last;
    s->one = place->kind == PLACE_NEXT || place->kind == PLACE_SEQ;
    s->speed = place->replay ? place->speed : 0;
    s->reader.looked = window->at.pos;
    s->reader.ended = window->empty;
    s->reader.gap = place->strict && has_number && window->at.seq > place->n;
}

int messages_open(struct opening *o)
{
    struct error err = ERROR_INIT;
    struct node *node = o->node;
    struct place place = node->place; /* times mean now, not when the name was looked up */
    struct window window = {0};
    struct messages *s;

    if (place.kind == PLACE_SINCE && parse_time_range(bytes_of(node->name), clock_real_ns(),
                                                      &place.from_ns, &place.until_ns, NULL) < 0)
        return EINVAL;
    switch (find_window(o->m, node, &place, o->patience, &window, &err)) {
    case VIEW_LATER:
        o->later = true;
        return 0;
    case VIEW_FAILED: /* the pool is there, or the caller would have seen */
        return status_errno(&err, DOOR_PATH);
    case VIEW_OK:
        break;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return ENOMEM;
    reader_start(&s->reader, &messages, node->pool, o);
    begin(s, &place, &window);
    return 0;
}
