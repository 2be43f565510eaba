#include "view.h"

#include "base/units.h"

#include <sched.h>

#define EDGE_MAX                                                                                   \
    (1024 * 1024) /* bytes behind the tail of a wrapped ring that finite views leave out ... */
#define EDGE_PART                                                                                  \
    16 /* ... or this part of the ring, if that is less; a part more each time it was not enough ... */
#define EDGE_PARTS_MAX 12  /* ... up to so many */
#define ACTIVE_NS NS_PER_S /* since the newest message: there is somebody who writes */
#define TURN_NS (10 * NS_PER_MS) /* that a worker looks through messages before others have a look at the list */
#define TRIES 16           /* new beginnings when writers overtake us */

/* One frame by number.  1 when it is no longer (or not yet) there. */
static int frame_at(struct mpool *pool, uint64_t seq, struct frame_view *ret, uint64_t *ret_pos,
                    struct error *err)
{
    struct cursor at;

    if (cursor_at_seq(pool->pool, seq, &at, err) < 0)
        return -1;
    if (at.seq != seq)
        return 1;
    switch (cursor_peek(pool->pool, &at, ret, err)) {
    case CURSOR_MESSAGE:
        *ret_pos = at.pos;
        return ret->seq == seq ? 0 : 1;
    case CURSOR_END:
    case CURSOR_GAP:
        return 1;
    case CURSOR_FAILED:
        break;
    }
    return -1;
}

/* The first message that ends behind `pos`, by bisection; the newest if all the others end before. */
static int first_behind(struct mpool *pool, const struct pool_bounds *bounds, uint64_t pos,
                        uint64_t *ret, struct error *err)
{
    uint64_t low = bounds->oldest, high = bounds->newest;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        struct cursor next;

        if (cursor_at_seq(pool->pool, mid + 1, &next, err) < 0)
            return -1;
        if (next.pos > pos)
            high = mid;
        else
            low = mid + 1;
    }
    *ret = low;
    return 0;
}

/*
 * The first message that a finite view may show.  In a ring that has wrapped the oldest ones are about to go; a view
 * that began with them would be overtaken between LOOKUP and READ.
 */
static int first_safe(struct mpool *pool, const struct pool_bounds *bounds, unsigned overtaken,
                      uint64_t *ret, struct error *err)
{
    uint64_t edge = pool->ring_size / EDGE_PART;
    int result = 0;

    *ret = bounds->oldest;
    if (bounds->oldest <= 1 || pool_bounds_count(bounds) == 0)
        return 0;
    if (overtaken > 0) {
        edge *= overtaken < EDGE_PARTS_MAX ? overtaken + 1 : EDGE_PARTS_MAX;
        return first_behind(pool, bounds, bounds->tail + edge, ret, err);
    }
    if (edge > EDGE_MAX)
        edge = EDGE_MAX;
    pthread_mutex_lock(&pool->edge.lock);
    if (pool->edge.tail != bounds->tail) {
        result = first_behind(pool, bounds, bounds->tail + edge, &pool->edge.first_safe, err);
        pool->edge.tail = result == 0 ? bounds->tail : UINT64_MAX;
    }
    *ret = pool->edge.first_safe;
    pthread_mutex_unlock(&pool->edge.lock);
    return result;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* First and last as numbers alone; which of them match is not looked at. */
static int select_numbers(struct mpool *pool, const struct place *place,
                          const struct pool_bounds *bounds, unsigned overtaken, uint64_t *first,
                          uint64_t *last, struct error *err)
{
    struct cursor at;
    uint64_t low;

    if (first_safe(pool, bounds, overtaken, &low, err) < 0)
        return -1;
    *last = bounds->newest;
    *first = low;
    switch (place->kind) {
    case PLACE_FROM:
        *first = larger(place->n, low);
        return 0;
    case PLACE_SINCE:
        if (cursor_at_time(pool->pool, place->from_ns, &at, err) < 0)
            return -1;
        *first = larger(at.seq, low);
        if (place->until_ns == UINT64_MAX)
            return 0;
        if (cursor_at_time(pool->pool, place->until_ns, &at, err) < 0)
            return -1;
        if (at.seq <= *last)
            *last = at.seq - 1;
        return 0;
    default:
        return 0;
    }
}

/*
 * How long the first message shown will last: the ring took as long to fill up from it to the newest as the messages
 * are apart.  A pool to which nobody writes lasts.
 */
static uint64_t lasting(const struct mpool *pool, const struct pool_bounds *bounds,
                        uint64_t first_pos, uint64_t first_time_ns)
{
    uint64_t used = bounds->head - first_pos, now = clock_real_ns();

    if (now - bounds->newest_time > ACTIVE_NS || used == 0)
        return UINT64_MAX;
    if (used >= pool->ring_size)
        return 0;
    return (uint64_t)((double)(bounds->newest_time - first_time_ns) *
                      (double)(pool->ring_size - used) / (double)used);
}

static int measure_plain(struct mpool *pool, const struct pool_bounds *bounds, struct range *range,
                         struct error *err)
{
    struct frame_view first, last;
    uint64_t pos;
    int result = frame_at(pool, range->first, &first, &range->first_pos, err);

    if (result != 0)
        return result;
    range->lasts_ns = lasting(pool, bounds, range->first_pos, first.time_ns);
    if (range->last == bounds->newest) {
        range->size = bounds->rendered_end - first.rendered_before;
        range->time_ns = bounds->newest_time;
        return 0;
    }
    result = frame_at(pool, range->last, &last, &pos, err);
    if (result != 0)
        return result;
    range->size = last.rendered_before - first.rendered_before +
                  message_length(last.seq, last.tags_len, last.data_len);
    range->time_ns = last.time_ns;
    return 0;
}

static void make_empty(const struct mpool *pool, struct range *ret)
{
    *ret =
        (struct range){.first = 1, .last = 0, .time_ns = pool->created_ns, .lasts_ns = UINT64_MAX};
}

/* 1: overtaken, once more. */
static int plain_range(struct mpool *pool, const struct place *place,
                       const struct pool_bounds *bounds, unsigned overtaken, struct range *ret,
                       struct error *err)
{
    if (select_numbers(pool, place, bounds, overtaken, &ret->first, &ret->last, err) < 0)
        return -1;
    if (place->kind == PLACE_LAST && place->n <= bounds->newest)
        ret->first = larger(ret->first, bounds->newest - place->n + 1);
    if (ret->first > ret->last) {
        make_empty(pool, ret);
        return 0;
    }
    return measure_plain(pool, bounds, ret, err);
}

static int measure_matches(struct mpool *pool, const struct pool_bounds *bounds,
                           struct matches *list, struct range *range, struct error *err)
{
    struct frame_view view;
    uint64_t begin, end, pos;
    int result = frame_at(pool, range->last, &view, &pos, err);

    if (result != 0)
        return result;
    range->time_ns = view.time_ns;
    result = frame_at(pool, range->first, &view, &range->first_pos, err);
    if (result != 0)
        return result;
    range->lasts_ns = lasting(pool, bounds, range->first_pos, view.time_ns);
    if (matches_offset(list, range->first, &begin, err) < 0 ||
        matches_offset(list, range->last + 1, &end, err) < 0)
        return err->kind == PLSM_ERROR_NOT_FOUND ? 1 : -1;
    range->size = end - begin;
    return 0;
}

static int matching_range(struct mpool *pool, const struct place *place,
                          const struct pool_bounds *bounds, unsigned overtaken,
                          struct matches *list, struct range *ret, struct error *err)
{
    uint64_t first, last;

    if (select_numbers(pool, place, bounds, overtaken, &first, &last, err) < 0)
        return -1;
    /* Messages that came while the list was made are in it: show them, or the last N would be others. */
    if (last == bounds->newest)
        last = larger(last, matches_seen(list));
    ret->first =
        place->kind == PLACE_LAST ? matches_last(list, place->n, first) : matches_from(list, first);
    ret->last = matches_until(list, last);
    if (ret->first == 0 || ret->first > ret->last) {
        make_empty(pool, ret);
        return 0;
    }
    return measure_matches(pool, bounds, list, ret, err);
}

/* Somebody else may be at it for long; he lets others have it in between. */
static bool take_list(const struct mount *m, struct matches *list, enum view_patience patience)
{
    if (patience == VIEW_QUICK)
        return matches_trylock(list);
    while (!matches_lock_until(list, clock_mono_ns() + TURN_NS))
        if (patience_lost(m))
            return false;
    return true;
}

enum view_result view_matches(struct mount *m, struct mpool *pool, struct lens *lens,
                              uint64_t newest, enum view_patience patience, struct matches **ret,
                              struct error *err)
{
    struct matches *list = matches_get(m, pool, lens);
    enum extend_result result = EXTEND_FAILED;
    uint64_t turn_ns = clock_mono_ns() + TURN_NS;
    uint64_t allowance = lens_is_slow(lens) ? 1 : VIEW_QUICK_MESSAGES; /* an expression may take tenths of a second */

    if (list == NULL) {
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        return VIEW_FAILED;
    }
    if (!take_list(m, list, patience)) {
        matches_unref(m, list);
        return VIEW_LATER;
    }
    if (patience == VIEW_QUICK && lens_is_slow(lens) && matches_seen(list) < newest) {
        view_matches_done(m, list);
        return VIEW_LATER;
    }
    while ((result = matches_extend(list, newest, allowance, err)) == EXTEND_MORE &&
           patience == VIEW_THOROUGH && !atomic_load(&m->stopping)) {
        if (clock_mono_ns() < turn_ns)
            continue;
        if (patience_lost(m))
            break;
        matches_unlock(list);
        sched_yield();
        matches_lock(list);
        turn_ns = clock_mono_ns() + TURN_NS;
    }
    if (result == EXTEND_DONE) {
        *ret = list;
        return VIEW_OK;
    }
    view_matches_done(m, list);
    return result == EXTEND_MORE ? VIEW_LATER : VIEW_FAILED;
}

void view_matches_done(struct mount *m, struct matches *list)
{
    matches_unlock(list);
    matches_unref(m, list);
}

/* One message needs no list: it is looked at. */
static enum view_result single(struct mpool *pool, const struct place *place,
                               enum view_patience patience, struct range *ret, struct error *err)
{
    auto_buf struct buf store = BUF_INIT;
    struct frame_view view;
    struct message message;
    int result = frame_at(pool, place->n, &view, &ret->first_pos, err);

    if (result == 0 && patience == VIEW_QUICK && lens_is_slow(place->lens))
        return VIEW_LATER;
    if (result == 0 && lens_selects(place->lens)) {
        if (pool_get(pool->pool, place->n, &store, &message, err) < 0)
            return VIEW_FAILED;
        result = !lens_match(place->lens, &message);
    }
    if (result > 0) {
        (void)fail(err, PLSM_ERROR_NOT_FOUND, "message not found");
        (void)fail_seq(err, place->n);
    }
    if (result != 0)
        return VIEW_FAILED;
    ret->lasts_ns = UINT64_MAX; /* it is small, and copied when it is opened */
    ret->first = ret->last = place->n;
    ret->time_ns = view.time_ns;
    ret->size = lens_length(place->lens, view.seq, view.tags_len, view.data_len);
    return VIEW_OK;
}

static enum view_result range_once(struct mount *m, struct mpool *pool, const struct place *place,
                                   enum view_patience patience, unsigned overtaken,
                                   struct range *ret, int *ret_once, struct error *err)
{
    struct pool_bounds bounds;
    struct matches *list;
    enum view_result result;

    if (pool_bounds(pool->pool, &bounds, err) < 0)
        return VIEW_FAILED;
    if (pool_bounds_count(&bounds) == 0 || (place->kind == PLACE_LAST && place->n == 0)) {
        make_empty(pool, ret);
        *ret_once = 0;
        return VIEW_OK;
    }
    if (lens_is_plain(place->lens)) {
        *ret_once = plain_range(pool, place, &bounds, overtaken, ret, err);
        return VIEW_OK;
    }
    result = view_matches(m, pool, place->lens, bounds.newest, patience, &list, err);
    if (result != VIEW_OK)
        return result;
    *ret_once = matching_range(pool, place, &bounds, overtaken, list, ret, err);
    view_matches_done(m, list);
    return VIEW_OK;
}

enum view_result view_range(struct mount *m, struct mpool *pool, const struct place *place,
                            enum view_patience patience, unsigned overtaken, struct range *ret,
                            struct error *err)
{
    if (place->kind == PLACE_SEQ)
        return single(pool, place, patience, ret, err);
    for (unsigned i = 0; i < TRIES; i++) {
        int once = -1;
        enum view_result result =
            range_once(m, pool, place, patience, overtaken + i, ret, &once, err);

        if (result != VIEW_OK)
            return result;
        if (once <= 0)
            return once == 0 ? VIEW_OK : VIEW_FAILED;
    }
    (void)fail(err, PLSM_ERROR_BUSY, "writers overtook every attempt to look at the pool");
    return VIEW_FAILED;
}

/* The last N that match, ever so old: streams may begin at the very edge. */
static enum view_result start_last(struct mount *m, struct mpool *pool, const struct place *place,
                                   enum view_patience patience, struct cursor *ret,
                                   struct error *err)
{
    struct pool_bounds bounds;
    struct matches *list;
    enum view_result result;
    uint64_t first;

    if (pool_bounds(pool->pool, &bounds, err) < 0)
        return VIEW_FAILED;
    if (lens_is_plain(place->lens)) {
        first = place->n < bounds.newest ? bounds.newest - place->n + 1 : 1;
    } else {
        result = view_matches(m, pool, place->lens, bounds.newest, patience, &list, err);
        if (result != VIEW_OK)
            return result;
        first = matches_last(list, place->n, bounds.oldest);
        if (first == 0)
            first = bounds.newest + 1;
        view_matches_done(m, list);
    }
    return cursor_at_seq(pool->pool, first, ret, err) < 0 ? VIEW_FAILED : VIEW_OK;
}

enum view_result view_start(struct mount *m, struct mpool *pool, const struct place *place,
                            enum view_patience patience, struct cursor *ret, struct error *err)
{
    int result = -1;

    switch (place->kind) {
    case PLACE_LAST:
        if (place->n > 0)
            return start_last(m, pool, place, patience, ret, err);
        result = cursor_at_end(pool->pool, ret, err);
        break;
    case PLACE_SINCE:
        result = cursor_at_time(pool->pool, place->from_ns, ret, err);
        break;
    case PLACE_FROM:
    case PLACE_SEQ:
        result = cursor_at_seq(pool->pool, place->n, ret, err);
        break;
    default:
        result = cursor_at_end(pool->pool, ret, err);
        break;
    }
    return result < 0 ? VIEW_FAILED : VIEW_OK;
}
