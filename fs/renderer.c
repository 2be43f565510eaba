#include "renderer.h"

#include "mount.h"

#define AHEAD_MAX (128 * 1024)            /* bytes made before they are asked for */
#define WINDOW_MAX (512 * 1024)           /* bytes kept of one file without being counted as large */
#define WINDOWS_MAX (32ULL * 1024 * 1024) /* bytes kept so of all files: who comes later keeps none */

static atomic_size_t windows_total;

int renderer_overtaken(uint64_t seq, struct error *err)
{
    return fail(err, PLSM_ERROR_NOT_FOUND, "message %llu was overwritten", (unsigned long long)seq);
}

static size_t unread(const struct renderer *r)
{
    return r->made.n - r->used;
}

/* ---- memory ---- */

/* More than WINDOW_MAX is kept for the rest of a large line alone, and writers must do without it. */
static bool take_memory(const struct renderer *r, const struct lines *lines)
{
    size_t bytes = r->made.cap;

    if (bytes > WINDOW_MAX)
        return unread(r) > LARGE_MESSAGE && mount_hold(lines->pool->mount, bytes);
    if (atomic_fetch_add(&windows_total, bytes) + bytes <= WINDOWS_MAX)
        return true;
    atomic_fetch_sub(&windows_total, bytes);
    return false;
}

static void give_memory_back(struct renderer *r, const struct lines *lines)
{
    if (r->counted > WINDOW_MAX)
        mount_unhold(lines->pool->mount, r->counted);
    else
        atomic_fetch_sub(&windows_total, r->counted);
    r->counted = 0;
}

/* Counts what is kept; false, and it is gone, when that is too much. */
static bool keep_made(struct renderer *r, const struct lines *lines)
{
    if (r->made.cap == r->counted)
        return true;
    give_memory_back(r, lines);
    if (take_memory(r, lines)) {
        r->counted = r->made.cap;
        return true;
    }
    buf_done(&r->made);
    r->made = BUF_INIT;
    r->used = 0;
    return false;
}

/* What was made is not followed by what the cursor stands at. */
static void begin_anew(struct renderer *r)
{
    buf_clear(&r->made);
    r->used = 0;
}

void renderer_done(struct renderer *r, const struct lines *lines)
{
    give_memory_back(r, lines);
    buf_done(&r->made);
    buf_done(&r->store);
    *r = (struct renderer){0};
}

/* ---- where a byte is ---- */

static int at_message(struct renderer *r, const struct lines *lines, uint64_t seq,
                      struct error *err)
{
    if (r->at.seq != seq && cursor_at_seq(lines->pool->pool, seq, &r->at, err) < 0)
        return -1;
    return r->at.seq == seq ? 0 : renderer_overtaken(seq, err);
}

/* Places the cursor at the message that holds byte `off`; its line begins at *ret_begin of the file. */
static int locate(struct renderer *r, const struct lines *lines, uint64_t off, uint64_t *ret_begin,
                  struct error *err)
{
    const struct range *range = &lines->range;
    struct frame_view view;
    uint64_t seq;

    *ret_begin = 0;
    if (range->first == range->last || off == 0)
        return at_message(r, lines, range->first, err);
    if (lines->list != NULL) {
        if (matches_find(lines->list, range->first, lines->base + off, &seq, ret_begin, err) < 0)
            return -1;
        *ret_begin -= lines->base;
        return at_message(r, lines, seq, err);
    }
    if (cursor_at_rendered(lines->pool->pool, lines->base + off, &r->at, err) < 0)
        return -1;
    switch (cursor_peek(lines->pool->pool, &r->at, &view, err)) {
    case CURSOR_FAILED:
        return -1;
    case CURSOR_END:
    case CURSOR_GAP:
        return renderer_overtaken(range->first, err);
    case CURSOR_MESSAGE:
        break;
    }
    if (view.seq < range->first || view.seq > range->last ||
        view.rendered_before > lines->base + off)
        return renderer_overtaken(range->first, err);
    *ret_begin = view.rendered_before - lines->base;
    return 0;
}

/* ---- making lines ---- */

static int check(enum cursor_result result, uint64_t seq, struct error *err)
{
    switch (result) {
    case CURSOR_MESSAGE:
        return 0;
    case CURSOR_END:
    case CURSOR_GAP:
        return renderer_overtaken(seq, err);
    case CURSOR_FAILED:
        break;
    }
    return -1;
}

/* The next line, of a view that leaves messages out or does not show all of them. */
static int make_one(struct renderer *r, const struct lines *lines, struct error *err)
{
    uint64_t seq = lines->list != NULL ? matches_from(lines->list, r->at.seq) : r->at.seq;
    struct message message;
    int result;

    if (seq == 0 || seq > lines->range.last)
        return renderer_overtaken(lines->range.last, err);
    if (at_message(r, lines, seq, err) < 0)
        return -1;
    result = check(cursor_next(lines->pool->pool, &r->at, &r->store, &message, err), seq, err);
    if (result == 0 && lens_render(lines->lens, &message, &r->cache, &r->made) < 0)
        result = fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    shed(&r->store);
    return result;
}

/* Lines of whole messages, as many as there is need of; one at least. */
static int make_some(struct renderer *r, const struct lines *lines, size_t n, struct error *err)
{
    uint64_t seq = r->at.seq;

    if (!lens_is_plain(lines->lens))
        return make_one(r, lines, err);
    if (seq > lines->range.last)
        return renderer_overtaken(lines->range.last, err);
    return check(cursor_render(lines->pool->pool, &r->at, lines->range.last, n, &r->cache, &r->made,
                               err),
                 seq, err);
}

/* Makes lines until n bytes are unread. */
static int make_up_to(struct renderer *r, const struct lines *lines, size_t n, struct error *err)
{
    if (r->used >= unread(r)) { /* the rest of a large line is not moved at each read */
        buf_drop_front(&r->made, r->used);
        r->used = 0;
    }
    if (unread(r) < n && buf_room(&r->made, n - unread(r)) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    while (unread(r) < n)
        if (make_some(r, lines, n - unread(r), err) < 0) {
            begin_anew(r);
            (void)keep_made(r, lines); /* there may be room for a large message that was no good */
            return -1;
        }
    return 0;
}

int renderer_read(struct renderer *r, const struct lines *lines, uint64_t off, size_t n,
                  struct bytes *ret, struct error *err)
{
    r->reads_on = unread(r) > 0 && off >= r->off && off - r->off <= unread(r);
    if (!r->reads_on) {
        begin_anew(r);
        if (locate(r, lines, off, &r->off, err) < 0)
            return -1;
    }
    if (make_up_to(r, lines, off - r->off + n, err) < 0)
        return -1;
    r->used += off - r->off;
    *ret = (struct bytes){r->made.p + r->used, n};
    r->used += n;
    r->off = off + n;
    r->last_n = n < AHEAD_MAX ? n : AHEAD_MAX;
    return 0;
}

void renderer_settle(struct renderer *r, const struct lines *lines)
{
    uint64_t left = lines->range.size - r->off;
    size_t ahead = r->reads_on && lens_is_plain(lines->lens) ? r->last_n : 0;

    if (ahead > left)
        ahead = left;
    if (left == 0)
        renderer_done(r, lines);
    else if (keep_made(r, lines) && ahead > 0 && make_up_to(r, lines, ahead, NULL) == 0)
        (void)keep_made(r, lines);
}
