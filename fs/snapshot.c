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

enum copy_state { COPY_NONE, COPY_PARKED, COPY_RUNNING, COPY_ENDED };

struct snapshot {
    atomic_uint refs;
    struct lines lines; /* pool and lens are references; no pool: bytes alone.  The list: while open */

    pthread_mutex_t lock;
    unsigned opens;
    bool whole;  /* bytes is all of it */
    size_t kept; /* bytes that copies_total knows of, besides the copy */
    struct buf bytes;
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
    snap->lines.range = (struct range){.size = snap->bytes.n, .time_ns = time_ns};
    return snap;
}

struct snapshot *snapshot_of_range(struct mpool *pool, struct lens *lens, const struct range *range)
{
    struct snapshot *snap = make();

    if (snap == NULL)
        return NULL;
    snap->lines.pool = mpool_ref(pool);
    snap->lines.lens = lens_ref(lens);
    snap->lines.range = *range;
    return snap;
}

void snapshot_unref(struct snapshot *snap)
{
    if (snap == NULL || atomic_fetch_sub(&snap->refs, 1) > 1)
        return;
    if (snap->lines.pool != NULL) {
        renderer_done(&snap->reader, &snap->lines);
        matches_unref(snap->lines.pool->mount, snap->lines.list);
    }
    if (snap->copy != NULL) {
        munmap(snap->copy, snap->lines.range.size);
        atomic_fetch_sub(&copies_total, snap->lines.range.size);
    }
    atomic_fetch_sub(&copies_total, snap->kept);
    mpool_unref(snap->lines.pool);
    lens_unref(snap->lines.lens);
    buf_done(&snap->bytes);
    pthread_mutex_destroy(&snap->lock);
    free(snap);
}

uint64_t snapshot_size(const struct snapshot *snap)
{
    return snap->lines.range.size;
}

uint64_t snapshot_time(const struct snapshot *snap)
{
    return snap->lines.range.time_ns;
}

static bool is_hot(const struct snapshot *snap)
{
    return snap->lines.range.lasts_ns < HOT_NS;
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
    size_t size = snap->lines.range.size;

    if (atomic_fetch_add(&copies_total, size) + size > COPIES_MAX) {
        atomic_fetch_sub(&copies_total, size);
        return 0;
    }
    snap->kept = size; /* given back with the snapshot */
    return snapshot_open(snap, VIEW_THOROUGH, err) == VIEW_OK ? 0 : -1;
}

static bool needs_list(const struct snapshot *snap)
{
    return !lens_is_plain(snap->lines.lens) && snap->lines.range.first != snap->lines.range.last;
}

/* Makes bytes off .. off+n from the ring; they are good until the next call with this renderer. */
static enum view_result make_bytes(struct snapshot *snap, struct renderer *r, uint64_t off,
                                   size_t n, enum view_patience patience, struct bytes *ret,
                                   struct error *err)
{
    struct matches *list = snap->lines.list;
    int result;

    if (list != NULL && patience == VIEW_QUICK) {
        if (n > SMALL_MAX || !matches_trylock(list))
            return VIEW_LATER;
    } else if (list != NULL) {
        matches_lock(list);
    }
    result = renderer_read(r, &snap->lines, off, n, ret, err);
    if (list != NULL)
        matches_unlock(list);
    return result < 0 ? VIEW_FAILED : VIEW_OK;
}

/* Worker: from the oldest end, which writers reach first. */
static void copy_all(struct work *work)
{
    struct snapshot *snap = (struct snapshot *)((char *)work - offsetof(struct snapshot, work));
    struct renderer r = {0};
    size_t done = 0, size = snap->lines.range.size;

    while (done < size && !atomic_load(&snap->abandoned)) {
        size_t n = size - done < COPY_STEP ? size - done : COPY_STEP;
        struct bytes part;

        if (make_bytes(snap, &r, done, n, VIEW_THOROUGH, &part, NULL) != VIEW_OK)
            break;
        memcpy(snap->copy + done, part.p, n);
        done += n;
        atomic_store_explicit(&snap->copied, done, memory_order_release);
    }
    renderer_done(&r, &snap->lines);
    mpool_unuse(snap->lines.pool);
    pthread_mutex_lock(&snap->lock);
    snap->copy_state = COPY_ENDED;
    pthread_mutex_unlock(&snap->lock);
    snapshot_unref(snap);
}

/* Takes memory for the copy; false when that would be too much. */
static bool copy_room(struct snapshot *snap)
{
    size_t size = snap->lines.range.size;
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
    (void)mpool_use(snap->lines.pool); /* it is open, and may be closed before the copy ends */
    workers_submit(snap->lines.pool->mount->workers, &snap->work);
}

/*
 * Writers come near when the head has passed half a ring behind the first message: what is near the tail
 * already is copied at the first append, what is young need not be copied at all.  Under lock; the caller parks.
 */
static bool wants_copy(struct snapshot *snap)
{
    struct pool_bounds bounds;
    uint64_t near = is_hot(snap) ? 0 : snap->lines.range.first_pos + snap->lines.pool->ring_size / 2;

    if (snap->whole || snap->copy_state != COPY_NONE || snap->lines.range.size == 0 ||
        snap->lines.range.size > COPY_MAX || pool_bounds(snap->lines.pool->pool, &bounds, NULL) < 0)
        return false;
    snap->copy_state = COPY_PARKED;
    atomic_fetch_add(&snap->refs, 1);
    snap->waiter.pool = snap->lines.pool;
    snap->waiter.pos = near > bounds.head ? near : bounds.head;
    snap->waiter.wake = start_copy;
    return true;
}

/* The first open: is everything still there?  Under lock. */
static int prepare(struct snapshot *snap, struct error *err)
{
    struct frame_view view;
    struct cursor at;

    if (snap->lines.range.size == 0)
        return 0;
    if (cursor_at_seq(snap->lines.pool->pool, snap->lines.range.first, &at, err) < 0)
        return -1;
    if (at.seq != snap->lines.range.first ||
        cursor_peek(snap->lines.pool->pool, &at, &view, err) != CURSOR_MESSAGE)
        return renderer_overtaken(snap->lines.range.first, err);
    if (lens_is_plain(snap->lines.lens))
        snap->lines.base = view.rendered_before;
    return 0;
}

static int fill_small(struct snapshot *snap, struct error *err)
{
    struct bytes all = {"", 0};

    if (snap->lines.range.size > whole_max(snap))
        return 0;
    if (snap->lines.range.size > 0 &&
        make_bytes(snap, &snap->reader, 0, snap->lines.range.size, VIEW_THOROUGH, &all, err) !=
            VIEW_OK)
        return -1;
    buf_clear(&snap->bytes);
    if (buf_add_bytes(&snap->bytes, all) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    renderer_done(&snap->reader, &snap->lines);
    snap->whole = true;
    return 0;
}

/* Takes the list over, or drops it when another open was quicker. */
static int open_locked(struct snapshot *snap, struct matches *list, uint64_t base,
                       struct error *err)
{
    if (snap->opens > 0) {
        matches_unref(snap->lines.pool->mount, list);
        snap->opens++;
        return 0;
    }
    if (snap->lines.list == NULL) {
        snap->lines.list = list;
        snap->lines.base = base;
    } else {
        matches_unref(snap->lines.pool->mount,
                      list); /* an unfinished copy has kept it, and it is the same one */
    }
    if (atomic_load(&snap->copied) < snap->lines.range.size &&
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

    if (snap->lines.pool == NULL || open_again(snap))
        return VIEW_OK;
    if (patience == VIEW_QUICK && snap->lines.range.size > SMALL_MAX && is_hot(snap))
        return VIEW_LATER;
    if (needs_list(snap)) {
        struct mount *m = snap->lines.pool->mount;
        enum view_result result =
            view_matches(m, snap->lines.pool, snap->lines.lens, snap->lines.range.last, patience,
                         &list, err);

        if (result != VIEW_OK)
            return result;
        if (matches_offset(list, snap->lines.range.first, &base, err) < 0) {
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
        waiters_park(snap->lines.pool->mount, &snap->waiter);
    return VIEW_OK;
}

/* Everything that was made goes with the last close; a copy that is being made is let run out by its worker. */
void snapshot_close(struct snapshot *snap)
{
    bool parked = false;

    if (snap->lines.pool == NULL)
        return;
    pthread_mutex_lock(&snap->lock);
    if (--snap->opens == 0) {
        atomic_store(&snap->abandoned, true);
        renderer_done(&snap->reader, &snap->lines);
        if (snap->copy_state == COPY_PARKED)
            parked = waiters_cancel(snap->lines.pool->mount, &snap->waiter);
        if (parked)
            snap->copy_state = COPY_NONE;
        if (snap->copy_state != COPY_RUNNING && snap->copy_state != COPY_PARKED) {
            matches_unref(snap->lines.pool->mount, snap->lines.list);
            snap->lines.list = NULL;
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

/* VIEW_OK: the bytes are good until the lock is given back. */
static enum view_result read_ring(struct snapshot *snap, uint64_t off, size_t n,
                                  enum view_patience patience, struct bytes *ret,
                                  struct error *err)
{
    enum view_result result;

    if (patience == VIEW_THOROUGH)
        pthread_mutex_lock(&snap->lock);
    else if (pthread_mutex_trylock(&snap->lock) != 0)
        return VIEW_LATER;
    result = make_bytes(snap, &snap->reader, off, n, patience, ret, err);
    if (result != VIEW_OK)
        pthread_mutex_unlock(&snap->lock);
    return result;
}

enum view_result snapshot_read(struct snapshot *snap, uint64_t off, size_t n,
                               enum view_patience patience, struct part *ret, struct error *err)
{
    enum view_result result;

    *ret = (struct part){0};
    if (off >= snap->lines.range.size || n == 0)
        return VIEW_OK;
    if (n > snap->lines.range.size - off)
        n = snap->lines.range.size - off;
    if (snap->whole) {
        ret->bytes = (struct bytes){snap->bytes.p + off, n};
        return VIEW_OK;
    }
    if (!copied_up_to(snap, off + n)) {
        result = read_ring(snap, off, n, patience, &ret->bytes, err);
        ret->is_made = result == VIEW_OK;
        if (result != VIEW_FAILED)
            return result;
        if (!copied_up_to(snap, off + n)) {
            (void)fail(err, PLSM_ERROR_IO, "overwritten before it could be copied");
            return VIEW_FAILED;
        }
    }
    ret->bytes = (struct bytes){snap->copy + off, n};
    return VIEW_OK;
}

void snapshot_part_done(struct snapshot *snap, const struct part *part)
{
    if (!part->is_made)
        return;
    renderer_settle(&snap->reader, &snap->lines);
    pthread_mutex_unlock(&snap->lock);
}
