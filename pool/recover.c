#include "recover.h"

#include "base/cleanup.h"
#include "frame.h"
#include "header.h"
#include "index.h"

#include <stdlib.h>

/* A file copied while writers went on has new frames under an old header, or the other way round. */
static bool oldest_is_readable(const struct ring *ring)
{
    struct commit commit;
    struct frame frame;
    uint64_t pos = ring_tail(ring);

    if (!ring_commit(ring, &commit))
        return false;
    enum frame_result result = frame_read(ring, &pos, commit.head, &frame);
    return result != FRAME_BAD;
}

bool recover_needed(struct pool *pool)
{
    struct header_live *live = pool->ring.live;
    uint64_t boot[2];

    header_boot_id(boot);
    return atomic_load_explicit(&live->boot[0], memory_order_relaxed) != boot[0] ||
           atomic_load_explicit(&live->boot[1], memory_order_relaxed) != boot[1] ||
           !ring_commit_sound(&pool->ring) || !oldest_is_readable(&pool->ring);
}

static void remember_boot(struct pool *pool)
{
    uint64_t boot[2];

    header_boot_id(boot);
    for (int i = 0; i < 2; i++)
        atomic_store_explicit(&pool->ring.live->boot[i], boot[i], memory_order_relaxed);
}

static bool newest_commit(const struct ring *ring, struct commit *ret)
{
    struct commit a, b;
    bool a_good = ring_commit_slot(ring, 0, &a), b_good = ring_commit_slot(ring, 1, &b);

    *ret = a_good && (!b_good || a.gen > b.gen) ? a : b;
    return a_good || b_good;
}

/* One whole good frame at or behind *pos; scratch holds its body. */
static enum frame_result read_whole(const struct ring *ring, uint64_t *pos, uint64_t head,
                                    struct frame *ret, struct buf *scratch)
{
    enum frame_result result = frame_read(ring, pos, head, ret);

    if (result != FRAME_OK)
        return result;
    buf_clear(scratch);
    if (buf_room(scratch, (size_t)ret->tags_len + ret->data_len) < 0)
        return FRAME_BAD;
    return frame_read_body(ring, *pos, ret, scratch->p);
}

/* Step 2, first half: are all frames from tail to head good? */
static bool walk_is_good(const struct ring *ring, const struct commit *commit, struct buf *scratch)
{
    uint64_t pos = ring_tail(ring), expected = 0;
    struct frame frame;

    if (pos > commit->head)
        return true; /* a writer was killed after it had moved the tail past everything */
    if (commit->head - pos > ring->bytes || pos % LAYOUT_FRAME_ALIGN != 0)
        return false;
    while (pos < commit->head) {
        if (read_whole(ring, &pos, commit->head, &frame, scratch) != FRAME_OK ||
            (expected != 0 && frame.seq != expected) || frame.seq > commit->newest)
            return false;
        expected = frame.seq + 1;
        pos = frame_end(pos, &frame);
    }
    return pos == commit->head && (expected == 0 || expected == commit->newest + 1);
}

static void append_to_commit(struct commit *commit, uint64_t end, const struct frame *frame)
{
    if (frame->time_ns < commit->newest_time)
        commit->time_floor = frame->seq;
    commit->head = end;
    commit->newest = frame->seq;
    commit->newest_time = frame->time_ns;
    commit->rendered_end = frame->rendered_before +
                           message_length(frame->seq, frame->tags_len, frame->data_len);
}

/* Step 2, second half: frames whose commit was lost.  Returns how many. */
static uint64_t extend(struct ring *ring, struct commit *commit, struct buf *scratch)
{
    uint64_t tail = ring_tail(ring), n = 0;
    uint64_t pos = commit->head > tail ? commit->head : tail;
    struct frame frame;

    while (read_whole(ring, &pos, tail + ring->bytes, &frame, scratch) == FRAME_OK &&
           frame.seq == commit->newest + 1) {
        index_note(ring, pos);
        pos = frame_end(pos, &frame);
        append_to_commit(commit, pos, &frame);
        n++;
    }
    return n;
}

/* A good frame found by looking everywhere. */
struct found {
    uint64_t off;
    struct frame frame;
};

struct finds {
    struct found *list;
    size_t n, cap;
};

static int finds_add(struct finds *finds, uint64_t off, const struct frame *frame)
{
    if (finds->n == finds->cap) {
        size_t cap = finds->cap == 0 ? 256 : finds->cap * 2;
        struct found *list = realloc(finds->list, cap * sizeof *list);
        if (list == NULL)
            return -1;
        finds->list = list;
        finds->cap = cap;
    }
    finds->list[finds->n++] = (struct found){off, *frame};
    return 0;
}

/* Every good frame of the ring, by place. */
static int look_everywhere(const struct ring *ring, struct finds *finds, struct buf *scratch)
{
    uint64_t off = 0;

    /* Positions of the lap `bytes`..2*bytes with the tail out of the way: offsets become positions. */
    while (off + FRAME_HEADER_BYTES <= ring->bytes) {
        uint64_t pos = ring->bytes + off;
        struct frame frame;
        if (read_whole(ring, &pos, 2 * ring->bytes, &frame, scratch) == FRAME_OK &&
            pos == ring->bytes + off) {
            if (finds_add(finds, off, &frame) < 0)
                return -1;
            off += frame_bytes(frame.tags_len, frame.data_len);
        } else {
            off += LAYOUT_FRAME_ALIGN;
        }
    }
    return 0;
}

static int by_seq(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->frame.seq < y->frame.seq ? -1 : x->frame.seq > y->frame.seq;
}

static bool follows(const struct found *a, const struct found *b)
{
    uint64_t end = a->off + frame_bytes(a->frame.tags_len, a->frame.data_len);

    return b->frame.seq == a->frame.seq + 1 && (b->off == end || b->off == 0);
}

/* Step 3: keeps the run finds[first..n). */
static void rebuild(struct ring *ring, struct commit *commit, const struct finds *finds, size_t first)
{
    uint64_t tail = ring_tail(ring), known = commit->head;
    uint64_t lap, pos = 0;

    if (tail > known && tail - known <= ring->bytes)
        known = tail;
    lap = (known / ring->bytes + 2) * ring->bytes;
    for (uint64_t i = 0; i < ring->parts; i++)
        atomic_store_explicit(&ring->index[i], 0, memory_order_relaxed);
    commit->newest_time = 0;
    commit->time_floor = 0;
    for (size_t i = first; i < finds->n; i++) {
        const struct found *found = &finds->list[i];
        if (i > first && found->off < finds->list[i - 1].off)
            lap += ring->bytes;
        pos = lap + found->off;
        if (i == first)
            ring_move_tail(ring, pos);
        index_note(ring, pos);
        append_to_commit(commit, frame_end(pos, &found->frame), &found->frame);
    }
    if (first == finds->n) { /* nothing is left but the numbers */
        commit->head = lap;
        ring_move_tail(ring, lap);
    }
}

static int salvage(struct pool *pool, struct commit *commit, bool have_commit, struct buf *scratch,
                   struct error *err)
{
    struct ring *ring = &pool->ring;
    struct finds finds = {0};
    uint64_t tail = ring_tail(ring);

    ring_move_tail(ring, 0); /* so that nothing counts as lapped; readers see no commit that is sound, or old frames */
    int result = look_everywhere(ring, &finds, scratch);
    ring_move_tail(ring, tail);
    if (result < 0) {
        free(finds.list);
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    }
    if (finds.n == 0 && !have_commit) {
        free(finds.list);
        fail(err, PLSM_ERROR_CORRUPT, "no sound header and no sound message");
        return fail_path(err, pool->path);
    }
    if (finds.n > 0)
        qsort(finds.list, finds.n, sizeof finds.list[0], by_seq);
    size_t first = finds.n;
    while (first > 0 && (first == finds.n || follows(&finds.list[first - 1], &finds.list[first])))
        first--;
    if (!have_commit)
        *commit = (struct commit){.head = ring->bytes};
    rebuild(ring, commit, &finds, first);
    free(finds.list);
    return 0;
}

static int recover_locked(struct pool *pool, struct error *err)
{
    struct ring *ring = &pool->ring;
    auto_buf struct buf scratch = BUF_INIT;
    struct commit commit;
    bool have_commit = newest_commit(ring, &commit);
    bool in_force = ring_commit_sound(ring);

    if (have_commit && walk_is_good(ring, &commit, &scratch)) {
        if (extend(ring, &commit, &scratch) == 0 && in_force)
            return 0;
    } else if (salvage(pool, &commit, have_commit, &scratch, err) < 0) {
        return -1;
    }
    /* gen may be the damaged word. */
    atomic_store_explicit(&ring->live->gen, have_commit ? commit.gen : 1, memory_order_relaxed);
    ring_publish(ring, &commit);
    return 0;
}

int recover_run(struct pool *pool, struct error *err)
{
    _Atomic uint64_t *word = &pool->ring.live->lock;

    if (lock_acquire(&pool->lock, word, LOCK_WAIT, err) == LOCK_FAILED)
        return -1;
    int result = 0;
    if (recover_needed(pool)) { /* nobody did it while we waited */
        result = recover_locked(pool, err);
        if (result == 0)
            remember_boot(pool);
    }
    lock_release(word);
    return result;
}
