#include "recover.h"

#include "base/cleanup.h"
#include "frame.h"
#include "header.h"
#include "index.h"

#include <stdlib.h>

static bool place_is_possible(const struct ring *ring, uint64_t tail, uint64_t head)
{
    return (tail > head ? tail - head : head - tail) <= ring->bytes &&
           tail % LAYOUT_FRAME_ALIGN == 0;
}

/*
 * A file copied while writers went on has new frames under an old header, or the other way round.
 */
static bool oldest_is_readable(const struct ring *ring)
{
    struct commit commit;
    struct frame frame;
    uint64_t pos = ring_tail(ring);

    if (!ring_commit(ring, &commit))
        return false;
    if (!place_is_possible(ring, pos, commit.head))
        return ring_tail(ring) != pos; /* writers moved it meanwhile: they look themselves */
    return frame_read(ring, &pos, commit.head, &frame) != FRAME_BAD;
}

bool recover_same_boot(const struct header_live *live)
{
    uint64_t boot[2];

    header_boot_id(boot);
    return (boot[0] != 0 || boot[1] != 0) &&
           atomic_load_explicit(&live->boot[0], memory_order_relaxed) == boot[0] &&
           atomic_load_explicit(&live->boot[1], memory_order_relaxed) == boot[1];
}

bool recover_needed(struct pool *pool)
{
    return !recover_same_boot(pool->ring.live) || !ring_commit_sound(&pool->ring) ||
           !oldest_is_readable(&pool->ring);
}

static void set_boot(struct ring *ring, const uint64_t boot[2])
{
    for (int i = 0; i < 2; i++)
        atomic_store(&ring->live->boot[i], boot[i]);
}

/* The pool as recovery looks at it. */
struct recovery {
    struct ring *ring;
    struct ring everywhere; /* the same with no tail, so that nothing counts as lapped */
    struct ring anywhere;   /* and frames of any lap */
    struct header_live no_tail;
    struct buf scratch;
    bool same_boot; /* no page can have been lost unwritten */
    /* bytes of bodies that may turn out damaged, before a hostile file is given up */
    uint64_t budget;
};

#define BUDGET_RINGS 4
/* a writer that is stopped must not stop whoever opens the pool */
#define LOCK_LIMIT_NS (5 * NS_PER_S)

static bool newest_commit(const struct ring *ring, struct commit *ret)
{
    struct commit a, b;
    bool a_good = ring_commit_slot(ring, 0, &a), b_good = ring_commit_slot(ring, 1, &b);

    *ret = a_good && (!b_good || a.gen > b.gen) ? a : b;
    return a_good || b_good;
}

/* One whole good frame at or behind *pos. */
static enum frame_result read_whole(struct recovery *r, const struct ring *ring, uint64_t *pos,
                                    uint64_t head, struct frame *ret)
{
    enum frame_result result = frame_read(ring, pos, head, ret);

    if (result != FRAME_OK)
        return result;
    size_t n = (size_t)ret->tags_len + ret->data_len;
    buf_clear(&r->scratch);
    if (r->budget < n || buf_room(&r->scratch, n) < 0)
        return FRAME_BAD;
    result = frame_read_body(ring, *pos, ret, r->scratch.p);
    if (result == FRAME_BAD)
        r->budget -= n;
    return result;
}

/* The first good frame at or behind `pos`; head when there is none. */
static uint64_t next_good(struct recovery *r, uint64_t pos, uint64_t head)
{
    struct frame frame;

    for (; pos < head; pos += LAYOUT_FRAME_ALIGN) {
        uint64_t at = pos;
        if (read_whole(r, &r->everywhere, &at, head, &frame) == FRAME_OK)
            return at;
    }
    return head;
}

/* Where a walk over good frames came to. */
struct walk {
    uint64_t pos; /* behind the last good one */
    struct frame last;
    uint64_t n;
};

static struct walk walk_from(struct recovery *r, uint64_t pos, uint64_t head)
{
    struct walk walk = {.pos = pos};
    struct frame frame;

    while (pos < head && read_whole(r, &r->everywhere, &pos, head, &frame) == FRAME_OK &&
           (walk.n == 0 || frame.seq == walk.last.seq + 1)) {
        pos = frame_end(pos, &frame);
        walk = (struct walk){.pos = pos, .last = frame, .n = walk.n + 1};
    }
    return walk;
}

static void append_to_commit(struct commit *commit, uint64_t end, const struct frame *frame)
{
    if (frame->time_ns < commit->newest_time)
        commit->time_floor = frame->seq;
    commit->head = end;
    commit->newest = frame->seq;
    commit->newest_time = frame->time_ns;
    commit->rendered_end =
        frame->rendered_before + message_length(frame->seq, frame->tags_len, frame->data_len);
}

/*
 * Step 2: frames whose commit was lost.  True when there were some.  Numbers and places fit those, too, that a
 * killed writer left behind the place where others went on; they are older.
 */
static bool extend(struct recovery *r, struct commit *commit)
{
    uint64_t tail = ring_tail(r->ring), newest = commit->newest;
    uint64_t pos = commit->head > tail ? commit->head : tail;
    struct frame frame;

    while (read_whole(r, &r->everywhere, &pos, tail + r->ring->bytes, &frame) == FRAME_OK &&
           frame.seq == commit->newest + 1 && frame.time_ns >= commit->newest_time) {
        index_note(r->ring, pos);
        pos = frame_end(pos, &frame);
        append_to_commit(commit, pos, &frame);
    }
    return commit->newest > newest;
}

/*
 * What stands behind `pos` and is given up must not be found again, once new messages of the same size
 * and with the same numbers stand before it: whole frames up to `head`, and those of step 2 behind it.
 */
static void forget_behind(struct recovery *r, uint64_t pos, uint64_t head)
{
    const uint64_t end = ring_tail(r->ring) + r->ring->bytes;
    struct frame frame;

    index_forget_beyond(r->ring, pos);
    while (pos < end) {
        uint64_t at = pos;

        if (frame_read(&r->everywhere, &at, end, &frame) == FRAME_OK) {
            frame_wipe(r->ring, at);
            pos = frame_end(at, &frame);
        } else if (pos < head) {
            pos += LAYOUT_FRAME_ALIGN;
        } else {
            return;
        }
    }
}

/* Step 3. */
static void cut(struct recovery *r, struct commit *commit, const struct walk *walk)
{
    uint64_t floor = commit->time_floor;

    forget_behind(r, walk->pos, commit->head);
    append_to_commit(commit, walk->pos, &walk->last);
    commit->time_floor = floor <= walk->last.seq ? floor : 0;
}

/* Steps 1 to 4 with a commit and a tail that can be.  True when *commit is to be published. */
static bool mend(struct recovery *r, struct commit *commit)
{
    uint64_t tail = ring_tail(r->ring), flushed = atomic_load(&r->ring->live->flushed);
    struct walk walk;

    if (tail < commit->head) {
        uint64_t good = next_good(r, tail, commit->head);
        walk = walk_from(r, good, commit->head);
        if (walk.n == 0 || walk.last.seq > commit->newest)
            good = walk.pos = commit->head; /* nothing readable is left but the numbers */
        if (good > tail)
            ring_move_tail(r->ring, good);
        if (walk.pos < commit->head && (walk.pos < flushed || r->same_boot))
            return good > tail;
        if (walk.pos < commit->head) {
            cut(r, commit, &walk);
            return true;
        }
    }
    return extend(r, commit) || ring_tail(r->ring) > tail;
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
static int look_everywhere(struct recovery *r, struct finds *finds)
{
    uint64_t off = 0, bytes = r->ring->bytes;

    while (off + FRAME_HEADER_BYTES <= bytes) {
        uint64_t pos = bytes + off; /* offsets become positions of the first lap */
        struct frame frame;
        if (read_whole(r, &r->anywhere, &pos, 2 * bytes, &frame) == FRAME_OK &&
            pos == bytes + off) {
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

    return b->frame.seq == a->frame.seq + 1 &&
           (b->off == end ? b->frame.lap == a->frame.lap
                          : b->off == 0 && b->frame.lap == (a->frame.lap + 1) % FRAME_LAPS);
}

/* The longest unbroken run: list[*ret_first] and the ones behind it, so many. */
static size_t longest_run(const struct finds *finds, size_t *ret_first)
{
    size_t best = 0, n = 0;

    *ret_first = 0;
    for (size_t i = 0; i < finds->n; i++) {
        n = n > 0 && follows(&finds->list[i - 1], &finds->list[i]) ? n + 1 : 1;
        if (n > best) {
            best = n;
            *ret_first = i + 1 - n;
        }
    }
    return best;
}

/* Step 5: new positions for a run, in laps that its frames agree with. */
static void rebuild(struct ring *ring, struct commit *commit, const struct found *run, size_t n)
{
    uint64_t known = ring_tail(ring), lap, pos = 0;

    if (known < commit->head || known > UINT64_MAX / 2)
        known = commit->head;
    lap = known / ring->bytes + 2;
    if (n > 0)
        lap += (run[0].frame.lap - lap) % FRAME_LAPS;
    index_forget_beyond(ring, 0);
    commit->newest_time = 0;
    commit->time_floor = 0;
    commit->head = lap * ring->bytes; /* should nothing be left but the numbers */
    ring_move_tail(ring, n > 0 ? commit->head + run[0].off : commit->head);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && run[i].off < run[i - 1].off)
            lap++;
        pos = lap * ring->bytes + run[i].off;
        index_note(ring, pos);
        append_to_commit(commit, frame_end(pos, &run[i].frame), &run[i].frame);
    }
}

static int salvage(struct recovery *r, struct commit *commit, bool have_commit, struct error *err)
{
    struct finds finds = {0};
    size_t first, n;
    int result = look_everywhere(r, &finds);

    if (result < 0) {
        fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    } else if (finds.n == 0 && !have_commit) {
        result = fail(err, PLSM_ERROR_CORRUPT, "no sound header and no sound message");
    } else {
        if (finds.n > 0)
            qsort(finds.list, finds.n, sizeof finds.list[0], by_seq);
        n = longest_run(&finds, &first);
        if (!have_commit)
            *commit = (struct commit){.gen = 1, .head = r->ring->bytes};
        rebuild(r->ring, commit, finds.list == NULL ? NULL : finds.list + first, n);
    }
    free(finds.list);
    return result;
}

int recover_ring(struct ring *ring, struct error *err)
{
    struct recovery r = {.ring = ring,
                         .everywhere = *ring,
                         .same_boot = recover_same_boot(ring->live),
                         .budget = BUDGET_RINGS * ring->bytes + FRAME_TAGS_LEN_MAX};
    struct commit commit;
    bool have_commit = newest_commit(ring, &commit), publish;

    r.everywhere.live = &r.no_tail;
    r.anywhere = r.everywhere;
    r.anywhere.any_lap = true;
    if (!r.same_boot)
        set_boot(ring, (const uint64_t[2]){0, 0});
    if (have_commit && place_is_possible(ring, ring_tail(ring), commit.head)) {
        index_forget_beyond(ring, commit.head);
        publish = mend(&r, &commit) || !ring_commit_sound(ring);
    } else {
        publish = salvage(&r, &commit, have_commit, err) == 0;
        if (!publish) {
            buf_done(&r.scratch);
            return -1;
        }
    }
    buf_done(&r.scratch);
    if (publish) {
        /* positions may have changed: the next flush writes everything */
        atomic_store(&ring->live->flushed, 0);
        atomic_store(&ring->live->gen, commit.gen); /* it may be the damaged word */
        ring_publish(ring, &commit);
    }
    return 0;
}

int recover_run(struct pool *pool, struct error *err)
{
    uint64_t boot[2];

    enum lock_result lock = pool_lock(pool, LOCK_LIMIT_NS, err);
    if (lock == LOCK_FAILED || lock == LOCK_BUSY)
        return -1;
    int result = 0;
    if (recover_needed(pool)) { /* nobody did it while we waited */
        result = recover_ring(&pool->ring, err);
        header_boot_id(boot);
        if (result == 0)
            set_boot(&pool->ring, boot);
        else
            (void)fail_path(err, pool->path);
    }
    lock_release(&pool->ring.live->lock);
    return result;
}
