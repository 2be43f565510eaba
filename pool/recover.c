#include "recover.h"

#include "frame.h"
#include "header.h"
#include "index.h"

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
    bool same_boot; /* no page can have been lost unwritten */
    bool is_private;
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
    uint64_t n = (uint64_t)ret->tags_len + ret->data_len;
    if (r->budget < n)
        return FRAME_BAD;
    result = frame_check_body(ring, *pos, ret);
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

    if (!r->is_private)
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

/* Messages with consecutive numbers, in one piece or around the end of the ring. */
struct run {
    uint64_t off; /* of the first one */
    struct frame first, last;
    uint64_t n;
    uint64_t n_to_end; /* those of them before the end of the ring */
};

static bool follows(const struct frame *a, const struct frame *b, uint32_t laps)
{
    return b->seq == a->seq + 1 && b->lap == (a->lap + laps) % FRAME_LAPS;
}

/*
 * The longer one; of two that are as long the newer one, for then fewer numbers are used again.  When a number is in
 * both, one is of a writer that was killed before it published it, and others have gone on since.
 */
static bool is_better(const struct run *a, const struct run *b)
{
    bool share = a->first.seq <= b->last.seq && b->first.seq <= a->last.seq;

    if (share && a->last.time_ns != b->last.time_ns)
        return a->last.time_ns > b->last.time_ns;
    return a->n != b->n ? a->n > b->n : a->last.seq > b->last.seq;
}

/* The good frame that comes next by place, wherever it belongs.  False when there is none. */
static bool next_anywhere(struct recovery *r, uint64_t *off, struct frame *ret)
{
    const uint64_t bytes = r->ring->bytes;

    for (; *off + FRAME_HEADER_BYTES <= bytes; *off += LAYOUT_FRAME_ALIGN) {
        uint64_t pos = bytes + *off; /* offsets become positions of the first lap */

        if (read_whole(r, &r->anywhere, &pos, 2 * bytes, ret) == FRAME_OK && pos == bytes + *off)
            return true;
    }
    return false;
}

/*
 * The longest run, in one pass that keeps none of the others: only one of them begins where the ring does, and
 * is found first, so it is known what each other may go on with.
 */
static struct run longest_run(struct recovery *r)
{
    struct run best = {0}, here = {0}, beginning = {0};
    uint64_t off = 0, end = 0;
    struct frame frame;

    for (; next_anywhere(r, &off, &frame); off = end) {
        if (here.n == 0 || off != end || !follows(&here.last, &frame, 0))
            here = (struct run){.off = off, .first = frame};
        here.last = frame;
        here.n_to_end = ++here.n;
        if (here.off == 0)
            beginning = here;
        struct run run = here;
        if (beginning.n > 0 && follows(&frame, &beginning.first, 1)) {
            run.last = beginning.last;
            run.n += beginning.n;
        }
        if (best.n == 0 || is_better(&run, &best))
            best = run;
        end = off + frame_bytes(frame.tags_len, frame.data_len);
    }
    return best;
}

/* Step 5: new positions for a run, in laps that its frames agree with. */
static void rebuild(struct recovery *r, struct commit *commit, const struct run *run)
{
    struct ring *ring = r->ring;
    uint64_t known = ring_tail(ring), lap, pos;
    struct frame frame;

    if (known < commit->head || known > UINT64_MAX / 2)
        known = commit->head;
    lap = known / ring->bytes + 2;
    if (run->n > 0)
        lap += (run->first.lap - lap) % FRAME_LAPS;
    index_forget_beyond(ring, 0);
    commit->newest_time = 0;
    commit->time_floor = 0;
    commit->head = lap * ring->bytes; /* should nothing be left but the numbers */
    pos = commit->head + run->off;
    ring_move_tail(ring, pos);
    for (uint64_t i = 0; i < run->n; i++) {
        if (i == run->n_to_end)
            pos = (lap + 1) * ring->bytes;
        if (frame_read(&r->everywhere, &pos, (lap + 2) * ring->bytes, &frame) != FRAME_OK)
            return; /* somebody changes the file meanwhile */
        index_note(ring, pos);
        pos = frame_end(pos, &frame);
        append_to_commit(commit, pos, &frame);
    }
}

static int salvage(struct recovery *r, struct commit *commit, bool have_commit, struct error *err)
{
    struct run run = longest_run(r);

    if (run.n == 0 && !have_commit)
        return fail(err, PLSM_ERROR_CORRUPT, "no sound header and no sound message");
    if (!have_commit)
        *commit = (struct commit){.gen = 1, .head = r->ring->bytes};
    rebuild(r, commit, &run);
    return 0;
}

int recover_ring(struct ring *ring, enum recover_flags flags, struct error *err)
{
    struct recovery r = {.ring = ring,
                         .everywhere = *ring,
                         .same_boot = recover_same_boot(ring->live),
                         .is_private = flags & RECOVER_PRIVATE,
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
        if (salvage(&r, &commit, have_commit, err) < 0)
            return -1;
        publish = true;
    }
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
        result = recover_ring(&pool->ring, 0, err);
        header_boot_id(boot);
        if (result == 0)
            set_boot(&pool->ring, boot);
        else
            (void)fail_path(err, pool->path);
    }
    lock_release(&pool->ring.live->lock);
    return result;
}
