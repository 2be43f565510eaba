#include "pool/stream.h"

#include "handle.h"

#include <stdlib.h>

struct stream {
    struct pool *pool;
    struct cursor cursor;
    uint64_t first_seq;  /* nothing before it, should it not exist yet; 0: no such wish */
    uint64_t last_seq;   /* of a finite stream; else UINT64_MAX */
    uint64_t until_ns;   /* UINT64_MAX: no end */
    uint64_t time_floor; /* messages before it carry times of a clock that was wrong */
    uint64_t lost_first, lost_next;
    bool lost;
    bool announce_gap; /* opened at a number that is no longer there */
    struct error damage; /* that it began behind; kind NONE: none */
    struct buf store;
    struct buf *tags; /* encoded, n_tags of them */
    size_t n_tags;
    struct filter **filters; /* n_filters of them, as they were given; then again, the cheap ones first */
    size_t n_filters;
    bool prunes; /* some messages can be ruled out without their data */
};

/* ---- what is wanted ---- */

static bool has_tags(const struct stream *s, struct bytes tags)
{
    for (size_t i = 0; i < s->n_tags; i++)
        if (!tags_have(tags, buf_bytes(&s->tags[i])))
            return false;
    return true;
}

/* The first answer that is not yes.  FILTER_ODD and FILTER_FAILED fill *err. */
static enum filter_result ask(struct filter *const *filters, size_t n,
                              const struct message *message, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        enum filter_result result = filter_match(filters[i], message, err);

        if (result != FILTER_YES)
            return result;
    }
    return FILTER_YES;
}

/*
 * Whether an answer that is none counts is a matter of the order in which the filters were given:
 * not behind one that says no.
 */
static enum filter_result matches(const struct stream *s, const struct message *message,
                                  struct error *err)
{
    enum filter_result result;

    if (!has_tags(s, message->tags))
        return FILTER_NO;
    result = ask(s->filters + s->n_filters, s->n_filters, message, err);
    return result == FILTER_YES || result == FILTER_NO
               ? result
               : ask(s->filters, s->n_filters, message, err);
}

static bool is_ruled_out(const struct stream *s, const struct message *message)
{
    bool out = !has_tags(s, message->tags);

    for (size_t i = 0; i < s->n_filters && !out; i++)
        out = filter_sees_envelope(s->filters[i]) && filter_rules_out(s->filters[i], message);
    return out && tags_are_whole(message->tags);
}

/* As cursor_next(); *ret has no data when it is not wanted. */
static enum cursor_result next(const struct stream *s, struct cursor *at, struct buf *store,
                               struct message *ret, bool *ret_wanted, struct error *err)
{
    struct frame_view view;

    *ret_wanted = true;
    if (s->prunes) {
        enum cursor_result result = cursor_peek_tags(s->pool, at, store, &view, ret, err);

        if (result != CURSOR_MESSAGE)
            return result;
        if (is_ruled_out(s, ret)) {
            *ret_wanted = false;
            cursor_skip(at, &view);
            return CURSOR_MESSAGE;
        }
    }
    return cursor_next(s->pool, at, store, ret, err);
}

static int copy_filters(struct stream *s, const struct stream_options *options, struct error *err)
{
    const size_t n = options->n_filters;

    s->filters = calloc(2 * n + 1, sizeof(struct filter *));
    if (s->filters == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    s->prunes = s->n_tags > 0;
    for (size_t i = 0; i < n; i++) {
        s->filters[i] = options->filters[i];
        s->prunes |= filter_sees_envelope(s->filters[i]);
    }
    s->n_filters = n;
    for (unsigned cost = 0, k = 0; cost < FILTER_COSTS; cost++)
        for (size_t i = 0; i < n; i++)
            if (filter_cost(s->filters[i]) == cost)
                s->filters[n + k++] = s->filters[i];
    return 0;
}

static int copy_tags(struct stream *s, const struct stream_options *options, struct error *err)
{
    s->tags = calloc(options->n_tags + 1, sizeof *s->tags);
    if (s->tags == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    s->n_tags = options->n_tags;
    for (size_t i = 0; i < s->n_tags; i++)
        if (buf_add_json_string(&s->tags[i], options->tags[i]) < 0)
            return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return 0;
}

/* ---- where it begins ---- */

/* *at is at damage.  Moves it behind, and says so in s->damage, if something whole comes there. */
static bool begin_behind(struct stream *s, struct cursor *at, uint64_t newest,
                         const struct error *damage)
{
    struct cursor behind = *at;

    if (damage->kind != PLSM_ERROR_CORRUPT || !cursor_step_over(s->pool, &behind, &s->store) ||
        behind.seq > newest)
        return false;
    s->damage = *damage;
    fail_seq(&s->damage, at->seq);
    *at = behind;
    return true;
}

static int failed(struct error *err, const struct error *why)
{
    if (err != NULL)
        *err = *why;
    return -1;
}

/* The last n matching messages from `at` on: one pass, remembering the last n places. */
static int seek_last(struct stream *s, struct cursor at, uint64_t n, uint64_t newest,
                     struct error *err)
{
    struct cursor *places;
    struct message message;
    struct error why = ERROR_INIT;
    uint64_t found = 0, room;

    room = at.seq > newest ? 1 : newest + 1 - at.seq;
    room = room < n ? room : n;
    places = calloc(room, sizeof *places);
    if (places == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    while (at.seq <= newest) {
        struct cursor before = at;
        bool wanted;
        enum cursor_result result = next(s, &at, &s->store, &message, &wanted, &why);
        enum filter_result match =
            result == CURSOR_MESSAGE && wanted ? matches(s, &message, &why) : FILTER_NO;
        if (result == CURSOR_FAILED && begin_behind(s, &at, newest, &why)) {
            found = 0;
            continue;
        }
        if ((result == CURSOR_FAILED && why.kind != PLSM_ERROR_CORRUPT) || match == FILTER_ODD ||
            match == FILTER_FAILED) {
            free(places);
            return failed(err, &why);
        }
        if (result == CURSOR_END || result == CURSOR_FAILED)
            break; /* damage with nothing behind it is met by who reads on */
        if (match == FILTER_YES)
            places[found++ % room] = before;
    }
    s->cursor = found == 0 ? at : places[found < room ? 0 : found % room];
    if (found >= n)
        s->damage.kind = PLSM_ERROR_NONE; /* it lies before all that was asked for */
    free(places);
    return 0;
}

static int seek_tail(struct stream *s, uint64_t n, const struct pool_bounds *bounds,
                     struct error *err)
{
    struct cursor at = {0};
    struct error why = ERROR_INIT;

    if (n == 0)
        return cursor_at_end(s->pool, &s->cursor, err);
    if (s->n_tags > 0 || s->n_filters > 0) {
        if (cursor_at_oldest(s->pool, &at, err) < 0)
            return -1;
    } else if (cursor_at_seq(s->pool, n > bounds->newest ? 0 : bounds->newest + 1 - n, &at, &why) <
                   0 &&
               !begin_behind(s, &at, bounds->newest, &why)) {
        return failed(err, &why);
    }
    return seek_last(s, at, n, bounds->newest, err);
}

static int seek_from(struct stream *s, uint64_t seq, struct error *err)
{
    seq = seq == 0 ? 1 : seq;
    if (cursor_at_seq(s->pool, seq, &s->cursor, err) < 0)
        return -1;
    if (s->cursor.seq > seq) {
        s->announce_gap = true;
        s->lost_first = seq;
        s->lost_next = s->cursor.seq;
    }
    s->first_seq = seq; /* it may not exist yet: whatever comes before it is not wanted */
    return 0;
}

static int seek_start(struct stream *s, const struct stream_options *options, struct error *err)
{
    struct pool_bounds bounds;

    if (pool_bounds(s->pool, &bounds, err) < 0)
        return -1;
    s->time_floor = bounds.time_floor;
    if (options->finite || s->until_ns != UINT64_MAX)
        s->last_seq = bounds.newest;
    switch (options->start) {
    case STREAM_LIVE:
        s->cursor = (struct cursor){.pos = bounds.head, .seq = bounds.newest + 1};
        return 0;
    case STREAM_TAIL:
        return seek_tail(s, options->tail, &bounds, err);
    case STREAM_SINCE:
        return cursor_at_time(s->pool, options->since_ns, &s->cursor, err);
    case STREAM_FROM:
        return seek_from(s, options->from_seq, err);
    case STREAM_ALL:
        return cursor_at_oldest(s->pool, &s->cursor, err);
    }
    return fail(err, PLSM_ERROR_INTERNAL, "unknown start of a stream");
}

int stream_open(struct pool *pool, const struct stream_options *options, struct stream **ret,
                struct error *err)
{
    auto_stream struct stream *s = calloc(1, sizeof *s);

    if (s == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    s->pool = pool;
    s->last_seq = UINT64_MAX;
    s->until_ns = options->until_ns == 0 ? UINT64_MAX : options->until_ns;
    if (copy_tags(s, options, err) < 0 || copy_filters(s, options, err) < 0 ||
        seek_start(s, options, err) < 0)
        return -1;
    *ret = s;
    s = NULL; /* handed to the caller */
    return 0;
}

void stream_close(struct stream *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_tags; i++)
        buf_done(&s->tags[i]);
    free(s->tags);
    free(s->filters);
    buf_done(&s->store);
    free(s);
}

/* Messages first..next-1 are gone.  True when the stream had wanted one of them. */
static bool note_gap(struct stream *s, uint64_t first, uint64_t next)
{
    if (first < s->first_seq)
        first = s->first_seq;
    if (s->last_seq != UINT64_MAX && next > s->last_seq + 1)
        next = s->last_seq + 1;
    if (first >= next)
        return false;
    s->lost_first = first;
    s->lost_next = next;
    s->lost = true;
    return true;
}

/*
 * Nothing more now.  A finite stream ends at a message that was there when it was opened, so there
 * must be more, unless the header spoke of messages that are not there.
 */
static enum stream_result at_end(struct stream *s, struct error *err)
{
    if (s->last_seq == UINT64_MAX || pool_ready(s->pool, s->cursor.pos))
        return STREAM_WAIT;
    fail(err, PLSM_ERROR_CORRUPT, "the pool ends before the newest number in its header");
    fail_seq(err, s->cursor.seq);
    fail_path(err, pool_path(s->pool));
    return STREAM_FAILED;
}

enum stream_result stream_next(struct stream *s, struct message *ret, struct error *err)
{
    if (s->announce_gap) {
        s->announce_gap = false;
        s->lost = true;
        return STREAM_GAP;
    }
    while (s->cursor.seq <= s->last_seq) {
        uint64_t before = s->cursor.seq;
        bool wanted;
        switch (next(s, &s->cursor, &s->store, ret, &wanted, err)) {
        case CURSOR_MESSAGE:
            if (ret->time_ns >= s->until_ns && ret->seq >= s->time_floor)
                return STREAM_DONE;
            if (!wanted || ret->time_ns >= s->until_ns || ret->seq < s->first_seq)
                break;
            switch (matches(s, ret, err)) {
            case FILTER_NO:
                break;
            case FILTER_YES:
                return STREAM_MESSAGE;
            case FILTER_ODD:
            case FILTER_FAILED:
                return STREAM_FAILED;
            }
            break;
        case CURSOR_END:
            return at_end(s, err);
        case CURSOR_GAP:
            if (note_gap(s, before, s->cursor.seq))
                return STREAM_GAP;
            break;
        case CURSOR_FAILED:
            return STREAM_FAILED;
        }
    }
    return STREAM_DONE;
}

/* One by one, because each must be looked at. */
static enum stream_result render_some(struct stream *s, size_t max, struct time_cache *cache,
                                      struct buf *out, struct error *err)
{
    const size_t begin = out->n;

    for (;;) {
        struct message message;
        const struct cursor before = s->cursor;
        enum stream_result result = stream_next(s, &message, err);

        if ((result == STREAM_GAP || result == STREAM_FAILED) && out->n > begin) {
            s->cursor = before; /* met again, first thing, by the next call */
            return STREAM_MESSAGE;
        }
        if (result != STREAM_MESSAGE)
            return out->n > begin ? STREAM_MESSAGE : result;
        if (message_render(&message, cache, out) < 0) {
            fail(err, PLSM_ERROR_INTERNAL, "out of memory");
            return STREAM_FAILED;
        }
        if (out->n - begin >= max)
            return STREAM_MESSAGE;
    }
}

enum stream_result stream_render(struct stream *s, size_t max, struct time_cache *cache,
                                 struct buf *out, struct error *err)
{
    const size_t begin = out->n;
    enum cursor_result result;
    uint64_t before;

    if (s->announce_gap || s->n_tags > 0 || s->n_filters > 0 || s->until_ns != UINT64_MAX ||
        s->cursor.seq < s->first_seq)
        return render_some(s, max, cache, out, err);
    if (s->cursor.seq > s->last_seq)
        return STREAM_DONE;
    before = s->cursor.seq;
    result = cursor_render(s->pool, &s->cursor, s->last_seq, max, cache, out, err);
    if (out->n > begin)
        return STREAM_MESSAGE;
    switch (result) {
    case CURSOR_MESSAGE:
        return STREAM_DONE;
    case CURSOR_END:
        return at_end(s, err);
    case CURSOR_GAP:
        return note_gap(s, before, s->cursor.seq) ? STREAM_GAP : STREAM_DONE;
    case CURSOR_FAILED:
        return STREAM_FAILED;
    }
    return STREAM_FAILED;
}

void stream_gap(const struct stream *s, uint64_t *first, uint64_t *next)
{
    *first = s->lost_first;
    *next = s->lost_next;
}

uint64_t stream_pos(const struct stream *s)
{
    return s->cursor.pos;
}

bool stream_lost(const struct stream *s)
{
    return s->lost;
}

const struct error *stream_damage(const struct stream *s)
{
    return s->damage.kind == PLSM_ERROR_NONE ? NULL : &s->damage;
}
