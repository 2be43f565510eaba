#include "flush.h"
#include "frame.h"
#include "handle.h"
#include "index.h"
#include "notify.h"

/*
 * One append: check, lock, make room, write, publish, unlock, wake.
 *
 * A batch is written in runs of at most half a ring, each published at once, so that readers keep
 * up with a batch of any size and a killed writer leaves a whole prefix.
 */

/* a stored time further ahead than this was a wrong clock */
#define CLOCK_STEP_MAX_NS (60 * NS_PER_S)
/* how often an append asks whether its file still has a name */
#define LINK_LOOK_NS (100 * NS_PER_MS)

/* What counts is the raw size of tags, as far as what is stored, with its escapes, fits the ring. */
static int too_large(const struct pool *pool, const struct payload *p, size_t place,
                     struct error *err)
{
    uint64_t raw = p->data.n + p->tags_raw, stored = p->data.n + p->tags.n;

    fail(err, PLSM_ERROR_USAGE, "payload exceeds ring capacity");
    fail_detail(err, ERROR_DETAIL_TOO_LARGE);
    if (err != NULL)
        err->seq = place; /* not the number of a message: has_seq stays false */
    if (raw > pool->message_max)
        return fail_hint(err,
                         "A message of this pool may have %llu bytes of tags and data; a larger "
                         "pool takes larger ones.",
                         (unsigned long long)pool->message_max);
    return fail_hint(err,
                     "Quotes and control characters in tags are stored escaped, so that this "
                     "message takes %llu bytes for tags and data; a larger pool takes larger ones.",
                     (unsigned long long)stored);
}

static int check_sizes(struct pool *pool, const struct payload *payloads, size_t n,
                       struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct payload *p = &payloads[i];
        if (p->tags.n > FRAME_TAGS_LEN_MAX || p->tags_raw > TAGS_BYTES_MAX ||
            p->data.n + p->tags_raw > pool->message_max ||
            frame_bytes(p->tags.n, p->data.n) > pool->ring.bytes)
            return too_large(pool, p, i, err);
    }
    return 0;
}

/* Everything of an append that is decided under the lock. */
struct writing {
    struct pool *pool;
    struct commit commit; /* what is in force, then what comes next */
    uint64_t tail;
    uint64_t time_ns;
};

static void choose_time(struct writing *w, uint64_t now)
{
    uint64_t last = w->commit.newest_time;

    if (now > last) {
        w->time_ns = now;
    } else if (last - now <= CLOCK_STEP_MAX_NS) {
        w->time_ns = last + 1;
    } else {
        w->time_ns = now;
        w->commit.time_floor = w->commit.newest + 1;
    }
}

/* A plain rm or a replaced file: found at most this often, since it costs a system call. */
static int look_for_name(struct pool *pool, uint64_t now, struct error *err)
{
    uint64_t looked = atomic_load_explicit(&pool->looked_ns, memory_order_relaxed);

    if (now - looked < LINK_LOOK_NS)
        return 0;
    atomic_store_explicit(&pool->looked_ns, now, memory_order_relaxed);
    return pool_check_alive(pool, err);
}

static int begin(struct writing *w, struct error *err)
{
    struct ring *ring = &w->pool->ring;
    uint64_t now = w->pool->now_ns();

    if (pool_fail_if_over(w->pool, err) < 0 || look_for_name(w->pool, now, err) < 0)
        return -1;
    w->tail = ring_tail(ring);
    if (!ring_commit(ring, &w->commit) || w->tail % LAYOUT_FRAME_ALIGN != 0 ||
        (w->tail < w->commit.head ? w->commit.head - w->tail : w->tail - w->commit.head) >
            ring->bytes)
        return pool_fail_corrupt(w->pool, w->tail, "head/tail out of range", err);
    if (w->tail > w->commit.head)
        w->commit.head = w->tail; /* a killed writer had made room for a frame that begins there */
    choose_time(w, now);
    return 0;
}

/* Where the next good frame begins, when the one at `pos` is damaged: the end, if none is found. */
static uint64_t step_over_damage(const struct writing *w, uint64_t pos)
{
    struct frame frame;

    while ((pos += LAYOUT_FRAME_ALIGN) < w->commit.head) {
        uint64_t at = pos;
        if (frame_read(&w->pool->ring, &at, w->commit.head, &frame) == FRAME_OK)
            return at;
    }
    return w->commit.head;
}

/*
 * Moves the tail so that bytes before position `end` may be written; `place` is where the first new
 * frame goes.
 */
static void make_room(struct writing *w, uint64_t end, uint64_t place)
{
    struct ring *ring = &w->pool->ring;
    struct frame frame;

    if (end - w->tail <= ring->bytes)
        return;
    uint64_t need = end - ring->bytes, tail = w->tail;
    while (tail < need && tail < w->commit.head) {
        uint64_t pos = tail;
        enum frame_result result = frame_read(ring, &pos, w->commit.head, &frame);
        if (result == FRAME_OK)
            /* only a filler may have stood in the way */
            tail = pos >= need ? pos : frame_end(pos, &frame);
        else
            tail = result == FRAME_END ? w->commit.head : step_over_damage(w, tail);
    }
    w->tail = tail < need || tail >= w->commit.head ? place : tail;
    ring_move_tail(ring, w->tail);
}

/* How many payloads go into the next run, and where it ends. */
static size_t plan_run(const struct writing *w, const struct payload *payloads, size_t n,
                       uint64_t *ret_end)
{
    const struct ring *ring = &w->pool->ring;
    uint64_t pos = w->commit.head;
    size_t i = 0;

    for (; i < n; i++) {
        uint64_t bytes = frame_bytes(payloads[i].tags.n, payloads[i].data.n);
        uint64_t end = frame_place(ring, pos, bytes) + bytes;
        if (i > 0 && end - w->commit.head > ring->bytes / 2)
            break;
        pos = end;
    }
    *ret_end = pos;
    return i;
}

static size_t write_run(struct writing *w, const struct payload *payloads, size_t n)
{
    struct ring *ring = &w->pool->ring;
    uint64_t end;
    size_t n_run = plan_run(w, payloads, n, &end);

    uint64_t first_bytes = frame_bytes(payloads[0].tags.n, payloads[0].data.n);

    make_room(w, end, frame_place(ring, w->commit.head, first_bytes));
    for (size_t i = 0; i < n_run; i++) {
        const struct payload *p = &payloads[i];
        struct frame frame = {.seq = w->commit.newest + 1,
                              .time_ns = w->time_ns,
                              .rendered_before = w->commit.rendered_end,
                              .data_len = (uint32_t)p->data.n,
                              .tags_len = (uint32_t)p->tags.n,
                              .body_crc = p->body_crc};
        uint64_t next = frame_write(ring, w->commit.head, &frame, p->tags.p, p->data.p);
        index_note(ring, next - frame_bytes(p->tags.n, p->data.n));
        w->commit.head = next;
        w->commit.newest = frame.seq;
        w->commit.rendered_end += message_length(frame.seq, p->tags.n, p->data.n);
    }
    w->commit.newest_time = w->time_ns;
    ring_publish(ring, &w->commit);
    ring_expect(ring, w->commit.head);
    return n_run;
}

static int append_locked(struct writing *w, const struct payload *payloads, size_t n,
                         struct receipt *ret, struct error *err)
{
    if (begin(w, err) < 0)
        return -1;
    struct receipt receipt = {.first_seq = w->commit.newest + 1, .time_ns = w->time_ns};
    for (size_t done; n > 0; payloads += done, n -= done) {
        done = write_run(w, payloads, n);
        /*
         * whoever sleeps must not miss the rest of a large batch; no unlock stands in between as
         * barrier
         */
        if (done < n) {
            atomic_thread_fence(memory_order_seq_cst);
            notify_wake(w->pool->ring.live, 0);
        }
    }
    if (atomic_load(&w->pool->file.dead)) /* written to a zero page of our own: not in the file */
        return pool_fail_if_over(w->pool, err);
    if (ret != NULL)
        *ret = receipt;
    return 0;
}

int pool_append(struct pool *pool, const struct payload *payloads, size_t n,
                enum append_flags flags, struct receipt *ret_receipt, struct error *err)
{
    struct writing w = {.pool = pool};

    if (!pool->file.writable) {
        fail(err, PLSM_ERROR_PERMISSION, "the pool is open for reading only");
        return fail_path(err, pool->path);
    }
    if (check_sizes(pool, payloads, n, err) < 0)
        return -1;
    switch (pool_lock(pool, (flags & APPEND_TRY) != 0 ? LOCK_TRY : LOCK_WAIT, err)) {
    case LOCK_FAILED:
    case LOCK_BUSY:
        return -1;
    case LOCK_HELD:
    case LOCK_TAKEN_OVER: /* begin() copes with what else a dead writer can leave */
        break;
    }
    int result = append_locked(&w, payloads, n, ret_receipt, err);
    lock_release(&pool->ring.live->lock);
    /* who serves them does so when this returns; they do not wait for a disk */
    notify_wake(pool->ring.live, (flags & (APPEND_WAKE_OTHERS | APPEND_FLUSH)) == APPEND_WAKE_OTHERS
                                     ? atomic_load(&pool->alone)
                                     : 0);
    if (result == 0 && (flags & APPEND_FLUSH) != 0)
        result = flush_upto(pool, w.commit.head, err);
    return result;
}

int pool_flush(struct pool *pool, struct error *err)
{
    if (pool_fail_if_over(pool, err) < 0)
        return -1;
    if (!pool->file.writable)
        return 0; /* nothing was appended through this handle */
    return flush_upto(pool, ring_head(&pool->ring), err);
}
