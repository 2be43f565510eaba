#include "snapshot.h"

#include "base/units.h"
#include "waiters.h"
#include "work.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SMALL_MAX (64 * 1024)             /* bytes: rendered whole at open */
#define COPY_MAX (64ULL * 1024 * 1024)    /* bytes: what is larger is not copied ... */
#define COPIES_MAX (256ULL * 1024 * 1024) /* ... nor is anything once all copies hold this much */
#define HOT_NS (2 * NS_PER_S)             /* what lasts no longer is copied before it is near ... */
#define HOT_MAX (4 * 1024 * 1024)         /* ... bytes: and up to this whole at open, by a worker */
#define BRIEF_NS (200 * NS_PER_MS) /* what lasts no longer may not last until it is opened ... */
#define BRIEF_MAX (1024 * 1024)    /* ... bytes: and is kept from the start, up to this */
#define COPY_STEP (256 * 1024)     /* bytes rendered in one go by the copying worker */

/* One who reads along: where it stands, and the message it cut last. */
struct renderer {
    struct cursor at;
    struct time_cache cache;
    struct buf store;  /* the message as stored */
    struct buf line;   /* the line that was cut */
    uint64_t line_seq; /* 0: none */
    size_t counted;    /* bytes of it that mount_hold() knows of */
};

enum copy_state { COPY_NONE, COPY_PARKED, COPY_RUNNING, COPY_ENDED };

struct snapshot {
    atomic_uint refs;
    struct mpool *pool; /* NULL: bytes alone */
    struct lens *lens;
    struct range range;

    pthread_mutex_t lock;
    unsigned opens;
    bool whole;  /* bytes is all of it */
    size_t kept; /* bytes that copies_total knows of, besides the copy */
    struct buf bytes;
    struct matches *list;   /* while open, for a lens that needs it */
    uint64_t base;          /* where the first line begins in the sum of all lines */
    struct renderer reader; /* of the reads, under lock */

    enum copy_state copy_state; /* under lock */
    struct waiter waiter;
    struct work work;
    char *copy;            /* range.size bytes, of which ... */
    atomic_size_t copied;  /* ... this many are there */
    atomic_bool abandoned; /* nobody has it open any more */
};

static atomic_size_t copies_total; /* bytes of all copies */

static struct snapshot *make(void)
{
    struct snapshot *snap = calloc(1, sizeof *snap);

    if (snap == NULL)
        return NULL;
    atomic_init(&snap->refs, 1);
    pthread_mutex_init(&snap->lock, NULL);
    return snap;
}

struct snapshot *snapshot_of_bytes(struct buf *bytes, uint64_t time_ns)
{
    struct snapshot *snap = make();

    if (snap == NULL)
        return NULL;
    snap->bytes = *bytes;
    *bytes = BUF_INIT;
    snap->whole = true;
    snap->range = (struct range){.size = snap->bytes.n, .time_ns = time_ns};
    return snap;
}

struct snapshot *snapshot_of_range(struct mpool *pool, struct lens *lens, const struct range *range)
{
    struct snapshot *snap = make();

    if (snap == NULL)
        return NULL;
    snap->pool = mpool_ref(pool);
    snap->lens = lens_ref(lens);
    snap->range = *range;
    return snap;
}

static void drop_line(struct snapshot *snap, struct renderer *r)
{
    if (r->counted > 0)
        mount_unhold(snap->pool->mount, r->counted);
    r->counted = 0;
    r->line_seq = 0;
    buf_done(&r->line);
    r->line = BUF_INIT;
}

static void renderer_done(struct snapshot *snap, struct renderer *r)
{
    drop_line(snap, r);
    buf_done(&r->store);
    *r = (struct renderer){0};
}

void snapshot_unref(struct snapshot *snap)
{
    if (snap == NULL || atomic_fetch_sub(&snap->refs, 1) > 1)
        return;
    if (snap->pool != NULL) {
        renderer_done(snap, &snap->reader);
        matches_unref(snap->pool->mount, snap->list);
    }
    if (snap->copy != NULL) {
        munmap(snap->copy, snap->range.size);
        atomic_fetch_sub(&copies_total, snap->range.size);
    }
    atomic_fetch_sub(&copies_total, snap->kept);
    mpool_unref(snap->pool);
    lens_unref(snap->lens);
    buf_done(&snap->bytes);
    pthread_mutex_destroy(&snap->lock);
    free(snap);
}

uint64_t snapshot_size(const struct snapshot *snap)
{
    return snap->range.size;
}

uint64_t snapshot_time(const struct snapshot *snap)
{
    return snap->range.time_ns;
}

static int overtaken(uint64_t seq, struct error *err)
{
    return fail(err, PLSM_ERROR_NOT_FOUND, "message %llu was overwritten", (unsigned long long)seq);
}

static bool is_hot(const struct snapshot *snap)
{
    return snap->range.lasts_ns < HOT_NS;
}

static uint64_t whole_max(const struct snapshot *snap)
{
    return is_hot(snap) ? HOT_MAX : SMALL_MAX;
}

bool snapshot_is_brief(const struct range *range)
{
    return range->lasts_ns < BRIEF_NS && range->size <= BRIEF_MAX;
}

/* An open that is never closed. */
int snapshot_keep(struct snapshot *snap, struct error *err)
{
    size_t size = snap->range.size;

    if (atomic_fetch_add(&copies_total, size) + size > COPIES_MAX) {
        atomic_fetch_sub(&copies_total, size);
        return 0;
    }
    snap->kept = size; /* given back with the snapshot */
    return snapshot_open(snap, VIEW_THOROUGH, err) == VIEW_OK ? 0 : -1;
}

static bool needs_list(const struct snapshot *snap)
{
    return !lens_is_plain(snap->lens) && snap->range.first != snap->range.last;
}

/* Which message holds byte `off`, and at which byte of the file its line begins.  The list, if any, is locked. */
static int locate(struct snapshot *snap, struct renderer *r, uint64_t off, uint64_t *ret_seq,
                  uint64_t *ret_begin, struct error *err)
{
    const struct range *range = &snap->range;
    struct frame_view view;

    *ret_seq = range->first;
    *ret_begin = 0;
    if (range->first == range->last || off == 0)
        return 0;
    if (snap->list != NULL) {
        if (matches_find(snap->list, range->first, snap->base + off, ret_seq, ret_begin, err) < 0)
            return -1;
        *ret_begin -= snap->base;
        return 0;
    }
    if (cursor_at_rendered(snap->pool->pool, snap->base + off, &r->at, err) < 0)
        return -1;
    switch (cursor_peek(snap->pool->pool, &r->at, &view, err)) {
    case CURSOR_FAILED:
        return -1;
    case CURSOR_END:
    case CURSOR_GAP:
        return overtaken(range->first, err);
    case CURSOR_MESSAGE:
        break;
    }
    if (view.seq < range->first || view.seq > range->last ||
        view.rendered_before > snap->base + off)
        return overtaken(range->first, err);
    *ret_seq = view.seq;
    *ret_begin = view.rendered_before - snap->base;
    return 0;
}

/* Adds the line of one message to *out. */
static int render(struct snapshot *snap, struct renderer *r, uint64_t seq, struct buf *out,
                  struct error *err)
{
    struct pool *pool = snap->pool->pool;
    struct message message;

    if (r->at.seq != seq && cursor_at_seq(pool, seq, &r->at, err) < 0)
        return -1;
    if (r->at.seq != seq)
        return overtaken(seq, err);
    switch (cursor_next(pool, &r->at, &r->store, &message, err)) {
    case CURSOR_MESSAGE:
        break;
    case CURSOR_FAILED:
        return -1;
    case CURSOR_END:
    case CURSOR_GAP:
        return overtaken(seq, err);
    }
    if (message.seq != seq)
        return overtaken(seq, err);
    int result = lens_render(snap->lens, &message, &r->cache, out);
    shed(&r->store);
    return result < 0 ? fail(err, PLSM_ERROR_INTERNAL, "out of memory") : 0;
}

/* A large message that a read cut stays rendered, so that a hundred reads do not render it a hundred times. */
static void keep_line(struct snapshot *snap, struct renderer *r, uint64_t seq, struct bytes line)
{
    drop_line(snap, r);
    if (line.n < LARGE_MESSAGE || !mount_hold(snap->pool->mount, line.n))
        return;
    r->counted = line.n;
    if (buf_add_bytes(&r->line, line) == 0)
        r->line_seq = seq;
}

static uint64_t next_seq(const struct snapshot *snap, uint64_t seq)
{
    uint64_t next;

    if (snap->list == NULL)
        return seq + 1;
    next = matches_from(snap->list, seq + 1);
    return next == 0 ? UINT64_MAX : next;
}

static int add_line(struct snapshot *snap, struct renderer *r, uint64_t seq, struct buf *out,
                    struct error *err)
{
    if (r->line_seq == seq) {
        if (buf_add_bytes(out, buf_bytes(&r->line)) < 0)
            return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        return 0;
    }
    return render(snap, r, seq, out, err);
}

/* Bytes of a kept line alone, the common case inside a large message: no more is copied than was asked for. */
static bool from_kept(const struct renderer *r, uint64_t seq, size_t skip, size_t n,
                      struct buf *out)
{
    return r->line_seq == seq && r->line.n >= skip + n && buf_add(out, r->line.p + skip, n) == 0;
}

/* Makes bytes off .. off+n from the ring, added to *out. */
static int make_bytes(struct snapshot *snap, struct renderer *r, uint64_t off, size_t n,
                      struct buf *out, struct error *err)
{
    uint64_t seq, begin;
    size_t start = out->n, skip;

    if (locate(snap, r, off, &seq, &begin, err) < 0)
        return -1;
    skip = off - begin;
    if (from_kept(r, seq, skip, n, out))
        return 0;
    while (out->n - start < skip + n) {
        size_t line = out->n;

        if (seq > snap->range.last)
            return overtaken(snap->range.last, err);
        if (add_line(snap, r, seq, out, err) < 0)
            return -1;
        if (r->line_seq != seq && (out->n - start > skip + n || (line == start && skip > 0)))
            keep_line(snap, r, seq, (struct bytes){out->p + line, out->n - line});
        seq = next_seq(snap, seq);
    }
    memmove(out->p + start, out->p + start + skip, n);
    out->n = start + n;
    return 0;
}

static enum view_result with_list(struct snapshot *snap, struct renderer *r, uint64_t off, size_t n,
                                  enum view_patience patience, struct buf *out, struct error *err)
{
    int result;

    if (snap->list != NULL && patience == VIEW_QUICK) {
        if (n > SMALL_MAX || !matches_trylock(snap->list))
            return VIEW_LATER;
    } else if (snap->list != NULL) {
        matches_lock(snap->list);
    }
    result = make_bytes(snap, r, off, n, out, err);
    if (snap->list != NULL)
        matches_unlock(snap->list);
    return result < 0 ? VIEW_FAILED : VIEW_OK;
}

/* Worker: from the oldest end, which writers reach first. */
static void copy_all(struct work *work)
{
    struct snapshot *snap = (struct snapshot *)((char *)work - offsetof(struct snapshot, work));
    struct renderer r = {0};
    auto_buf struct buf part = BUF_INIT;
    size_t done = 0;

    while (done < snap->range.size && !atomic_load(&snap->abandoned)) {
        size_t n = snap->range.size - done < COPY_STEP ? snap->range.size - done : COPY_STEP;

        buf_clear(&part);
        if (with_list(snap, &r, done, n, VIEW_THOROUGH, &part, NULL) != VIEW_OK)
            break;
        memcpy(snap->copy + done, part.p, n);
        done += n;
        atomic_store_explicit(&snap->copied, done, memory_order_release);
    }
    renderer_done(snap, &r);
    mpool_unuse(snap->pool);
    pthread_mutex_lock(&snap->lock);
    snap->copy_state = COPY_ENDED;
    pthread_mutex_unlock(&snap->lock);
    snapshot_unref(snap);
}

/* Takes memory for the copy; false when that would be too much. */
static bool copy_room(struct snapshot *snap)
{
    size_t size = snap->range.size;
    void *p;

    if (atomic_fetch_add(&copies_total, size) + size > COPIES_MAX) {
        atomic_fetch_sub(&copies_total, size);
        return false;
    }
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
             0);
    if (p == MAP_FAILED) {
        atomic_fetch_sub(&copies_total, size);
        return false;
    }
    snap->copy = p;
    return true;
}

/* The waiter's reference passes on to the worker. */
static void start_copy(struct waiter *waiter, enum wake_reason reason)
{
    struct snapshot *snap = (struct snapshot *)((char *)waiter - offsetof(struct snapshot, waiter));
    bool run;

    pthread_mutex_lock(&snap->lock);
    run = reason == WAKE_LOOK && snap->opens > 0 && copy_room(snap);
    snap->copy_state = run ? COPY_RUNNING : COPY_ENDED;
    pthread_mutex_unlock(&snap->lock);
    if (!run) {
        snapshot_unref(snap);
        return;
    }
    snap->work.run = copy_all;
    (void)mpool_use(snap->pool); /* it is open, and may be closed before the copy ends */
    workers_submit(snap->pool->mount->workers, &snap->work);
}

/*
 * Writers come near when the head has passed half a ring behind the first message: what is near the tail
 * already is copied at the first append, what is young need not be copied at all.  Under lock; the caller parks.
 */
static bool wants_copy(struct snapshot *snap)
{
    struct pool_bounds bounds;
    uint64_t near = is_hot(snap) ? 0 : snap->range.first_pos + snap->pool->ring_size / 2;

    if (snap->whole || snap->copy_state != COPY_NONE || snap->range.size == 0 ||
        snap->range.size > COPY_MAX || pool_bounds(snap->pool->pool, &bounds, NULL) < 0)
        return false;
    snap->copy_state = COPY_PARKED;
    atomic_fetch_add(&snap->refs, 1);
    snap->waiter.pool = snap->pool;
    snap->waiter.pos = near > bounds.head ? near : bounds.head;
    snap->waiter.wake = start_copy;
    return true;
}

/* The first open: is everything still there?  Under lock. */
static int prepare(struct snapshot *snap, struct error *err)
{
    struct frame_view view;
    struct cursor at;

    if (snap->range.size == 0)
        return 0;
    if (cursor_at_seq(snap->pool->pool, snap->range.first, &at, err) < 0)
        return -1;
    if (at.seq != snap->range.first ||
        cursor_peek(snap->pool->pool, &at, &view, err) != CURSOR_MESSAGE)
        return overtaken(snap->range.first, err);
    if (lens_is_plain(snap->lens))
        snap->base = view.rendered_before;
    return 0;
}

static int fill_small(struct snapshot *snap, struct error *err)
{
    if (snap->range.size > whole_max(snap))
        return 0;
    buf_clear(&snap->bytes);
    if (snap->list != NULL)
        matches_lock(snap->list);
    int result = snap->range.size == 0
                     ? 0
                     : make_bytes(snap, &snap->reader, 0, snap->range.size, &snap->bytes, err);
    if (snap->list != NULL)
        matches_unlock(snap->list);
    snap->whole = result == 0;
    return result;
}

/* Takes the list over, or drops it when another open was quicker. */
static int open_locked(struct snapshot *snap, struct matches *list, uint64_t base,
                       struct error *err)
{
    if (snap->opens > 0) {
        matches_unref(snap->pool->mount, list);
        snap->opens++;
        return 0;
    }
    if (snap->list == NULL) {
        snap->list = list;
        snap->base = base;
    } else {
        matches_unref(snap->pool->mount,
                      list); /* an unfinished copy has kept it, and it is the same one */
    }
    if (atomic_load(&snap->copied) < snap->range.size &&
        (prepare(snap, err) < 0 || fill_small(snap, err) < 0))
        return -1;
    atomic_store(&snap->abandoned, false);
    snap->opens = 1;
    return 0;
}

/* Whoever has it open has seen to everything. */
static bool open_again(struct snapshot *snap)
{
    bool is_open;

    pthread_mutex_lock(&snap->lock);
    is_open = snap->opens > 0;
    snap->opens += is_open;
    pthread_mutex_unlock(&snap->lock);
    return is_open;
}

enum view_result snapshot_open(struct snapshot *snap, enum view_patience patience,
                               struct error *err)
{
    struct matches *list = NULL;
    uint64_t base = 0;
    bool park;

    if (snap->pool == NULL || open_again(snap))
        return VIEW_OK;
    if (patience == VIEW_QUICK && snap->range.size > SMALL_MAX && is_hot(snap))
        return VIEW_LATER;
    if (needs_list(snap)) {
        struct mount *m = snap->pool->mount;
        enum view_result result =
            view_matches(m, snap->pool, snap->lens, snap->range.last, patience, &list, err);

        if (result != VIEW_OK)
            return result;
        if (matches_offset(list, snap->range.first, &base, err) < 0) {
            view_matches_done(m, list);
            return VIEW_FAILED;
        }
        matches_unlock(list);
    }
    pthread_mutex_lock(&snap->lock);
    if (open_locked(snap, list, base, err) < 0) {
        pthread_mutex_unlock(&snap->lock);
        return VIEW_FAILED;
    }
    park = wants_copy(snap);
    pthread_mutex_unlock(&snap->lock);
    if (park)
        waiters_park(snap->pool->mount, &snap->waiter);
    return VIEW_OK;
}

/* Everything that was made goes with the last close; a copy that is being made is let run out by its worker. */
void snapshot_close(struct snapshot *snap)
{
    bool parked = false;

    if (snap->pool == NULL)
        return;
    pthread_mutex_lock(&snap->lock);
    if (--snap->opens == 0) {
        atomic_store(&snap->abandoned, true);
        renderer_done(snap, &snap->reader);
        if (snap->copy_state == COPY_PARKED)
            parked = waiters_cancel(snap->pool->mount, &snap->waiter);
        if (parked)
            snap->copy_state = COPY_NONE;
        if (snap->copy_state != COPY_RUNNING && snap->copy_state != COPY_PARKED) {
            matches_unref(snap->pool->mount, snap->list);
            snap->list = NULL;
            snap->whole = false;
            buf_done(&snap->bytes);
            snap->bytes = BUF_INIT;
        }
    }
    pthread_mutex_unlock(&snap->lock);
    if (parked)
        snapshot_unref(snap);
}

static bool copied_up_to(struct snapshot *snap, uint64_t end)
{
    return atomic_load_explicit(&snap->copied, memory_order_acquire) >= end;
}

static enum view_result read_ring(struct snapshot *snap, uint64_t off, size_t n,
                                  enum view_patience patience, struct buf *out, struct error *err)
{
    enum view_result result;

    pthread_mutex_lock(&snap->lock);
    result = with_list(snap, &snap->reader, off, n, patience, out, err);
    pthread_mutex_unlock(&snap->lock);
    return result;
}

enum view_result snapshot_read(struct snapshot *snap, uint64_t off, size_t n,
                               enum view_patience patience, struct buf *out, struct bytes *ret,
                               struct error *err)
{
    enum view_result result;

    *ret = (struct bytes){"", 0};
    if (off >= snap->range.size || n == 0)
        return VIEW_OK;
    if (n > snap->range.size - off)
        n = snap->range.size - off;
    if (snap->whole) {
        *ret = (struct bytes){snap->bytes.p + off, n};
        return VIEW_OK;
    }
    if (!copied_up_to(snap, off + n)) {
        result = read_ring(snap, off, n, patience, out, err);
        if (result == VIEW_LATER)
            return result;
        *ret = buf_bytes(out);
        if (result == VIEW_OK)
            return VIEW_OK;
        if (!copied_up_to(snap, off + n)) {
            (void)fail(err, PLSM_ERROR_IO, "overwritten before it could be copied");
            return VIEW_FAILED;
        }
    }
    *ret = (struct bytes){snap->copy + off, n};
    return VIEW_OK;
}
