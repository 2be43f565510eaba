#include "pool/verify.h"

#include "file.h"
#include "flush.h"
#include "frame.h"
#include "header.h"
#include "index.h"
#include "recover.h"

#include <stdarg.h>
#include <stdio.h>

/* What is being checked, and where the walk has come to. */
struct check {
    struct ring ring;
    struct header_fixed fixed;
    struct verify_report *report;
    uint64_t last; /* seq of the last good message, 0: none yet */
};

/* NULL when there is no room for it: then it is only counted. */
static struct verify_issue *add_issue(struct verify_report *report, const char *code,
                                      const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static struct verify_issue *add_issue(struct verify_report *report, const char *code,
                                      const char *format, ...)
{
    size_t i = report->n_issues++;
    struct verify_issue *issue;
    va_list args;

    if (i >= VERIFY_ISSUES_MAX)
        return NULL;
    issue = &report->issues[i];
    *issue = (struct verify_issue){
        .code = code, .seq = report->last_good, .has_seq = report->last_good != 0};
    va_start(args, format);
    (void)vsnprintf(issue->message, sizeof issue->message, format, args);
    va_end(args);
    return issue;
}

/* `offset`: in the file. */
static void add_at(struct check *c, uint64_t offset, const char *message)
{
    struct verify_issue *issue = add_issue(c->report, "corrupt", "%s", message);

    if (issue == NULL)
        return;
    issue->has_offset = true;
    issue->offset = offset;
}

static uint64_t place_of(const struct check *c, uint64_t pos)
{
    return c->fixed.ring_off + ring_off(&c->ring, pos);
}

enum walk_step { WALK_GOOD, WALK_LAPPED, WALK_STOP };

static enum walk_step check_frame(struct check *c, uint64_t *pos, uint64_t head, uint64_t expected,
                                  struct frame *frame)
{
    enum frame_result result = frame_read(&c->ring, pos, head, frame);

    if (result == FRAME_OK) {
        result = frame_check_body(&c->ring, *pos, frame);
        if (result == FRAME_BAD)
            add_at(c, place_of(c, *pos), "the content of a message does not match its checksum");
    } else if (result == FRAME_BAD) {
        add_at(c, place_of(c, *pos), "frame header invalid");
    }
    if (result == FRAME_OK && expected != 0 && frame->seq != expected) {
        add_at(c, place_of(c, *pos), "seq mismatch");
        return WALK_STOP;
    }
    return result == FRAME_OK ? WALK_GOOD : result == FRAME_LAPPED ? WALK_LAPPED : WALK_STOP;
}

static void note_good(struct check *c, uint64_t seq)
{
    struct verify_report *report = c->report;
    size_t i = report->n_stretches;

    if (i == 0 || seq != c->last + 1) {
        if (i < VERIFY_STRETCHES_MAX)
            report->stretches[i].first = seq;
        report->n_stretches = ++i;
    }
    if (i <= VERIFY_STRETCHES_MAX)
        report->stretches[i - 1].last = seq;
    report->messages++;
    c->last = seq;
}

/*
 * What can be read behind the damage at `pos`, as whoever seeks a number there finds it.  Nothing of it is an issue of
 * its own.
 */
static void look_behind(struct check *c, uint64_t pos, uint64_t head)
{
    struct frame frame;

    for (pos += LAYOUT_FRAME_ALIGN; pos < head && !ring_lapped(&c->ring, pos);) {
        uint64_t at = pos;

        pos += LAYOUT_FRAME_ALIGN;
        if (frame_read(&c->ring, &at, head, &frame) != FRAME_OK || frame.seq <= c->last)
            continue;
        pos = frame_end(at, &frame);
        if (frame_check_body(&c->ring, at, &frame) == FRAME_OK)
            note_good(c, frame.seq);
    }
}

/* Will the next one to open it for writing run recovery?  That may keep less than what stands there; see recover.h. */
static bool is_mended_when_opened(const struct check *c, uint64_t tail, uint64_t head)
{
    struct frame oldest;

    return !recover_same_boot(c->ring.live) ||
           frame_read(&c->ring, &tail, head, &oldest) == FRAME_BAD;
}

/* All frames of one moment; true when writers overtook the walk, which then begins anew. */
static bool walk(struct check *c, const struct commit *commit)
{
    struct verify_report *report = c->report;
    uint64_t tail = ring_tail(&c->ring), pos = tail, expected = 0;
    struct frame frame;

    report->messages = report->last_good = report->n_stretches = c->last = 0;
    if (atomic_load_explicit(&c->ring.live->gen, memory_order_acquire) != commit->gen)
        return true;
    if (tail > commit->head ? tail - commit->head > c->ring.bytes
                            : commit->head - tail > c->ring.bytes) {
        add_issue(report, "corrupt", "head/tail out of range");
        report->is_mended = true;
        return false;
    }
    while (pos < commit->head) {
        switch (check_frame(c, &pos, commit->head, expected, &frame)) {
        case WALK_LAPPED:
            return true;
        case WALK_STOP:
            look_behind(c, pos, commit->head);
            report->is_mended = is_mended_when_opened(c, tail, commit->head);
            return false;
        case WALK_GOOD:
            break;
        }
        note_good(c, frame.seq);
        report->last_good = frame.seq;
        expected = frame.seq + 1;
        pos = frame_end(pos, &frame);
    }
    if (expected != 0 && expected != commit->newest + 1)
        add_issue(report, "corrupt", "the newest number in the header is %llu",
                  (unsigned long long)commit->newest);
    return false;
}

#define WALK_TRIES 100 /* with writers that lap the walk each time, what was seen last must do */

static void check_frames(struct check *c)
{
    struct commit commit;

    if (!ring_commit_sound(&c->ring)) {
        add_issue(c->report, "corrupt", "the commit in the header is damaged");
        c->report->is_mended = true;
        return;
    }
    for (int i = 0; i < WALK_TRIES; i++) {
        if (!ring_commit(&c->ring, &commit)) {
            add_issue(c->report, "corrupt", "the commit in the header is damaged");
            return;
        }
        if (!walk(c, &commit))
            return;
    }
}

/* An entry inside [tail, head) must lead to a frame; others are old. */
static void check_index(struct check *c)
{
    struct commit commit;
    struct frame frame;

    if (!ring_commit(&c->ring, &commit))
        return;
    for (uint64_t i = 0; i < c->ring.parts; i++) {
        uint64_t pos = atomic_load_explicit(&c->ring.index[i], memory_order_relaxed), at = pos;
        uint64_t tail = ring_tail(&c->ring);
        if (pos < tail || pos >= commit.head)
            continue;
        bool leads = pos % LAYOUT_FRAME_ALIGN == 0 &&
                     frame_read(&c->ring, &at, commit.head, &frame) == FRAME_OK && at == pos;
        if (!leads && ring_tail(&c->ring) <= pos)
            add_at(c, LAYOUT_HEADER_BYTES + i * LAYOUT_INDEX_ENTRY_BYTES,
                   "an index entry does not lead to a message (searches are slower, nothing is lost)");
    }
}

static void check_flush(struct check *c)
{
    int latched = flush_latched(c->ring.live);

    if (latched != 0)
        add_issue(c->report, "flush", "a flush to disk failed since the last boot (os error %d)",
                  latched);
}

/* What opening makes of it, tried on a private mapping. */
static void rehearse(const char *path, struct verify_report *ret)
{
    struct verify_report after = {0};
    struct check c = {.report = &after};
    struct file file;

    if (file_map(&file, path, FILE_PRIVATE, NULL) < 0)
        return;
    if (header_check(file.map, file.size, &c.fixed, NULL) == 0) {
        ring_init(&c.ring, file.map, &c.fixed);
        c.ring.parts = 0; /* nobody searches in it */
        uint64_t gen = atomic_load(&c.ring.live->gen);
        ret->is_mended = recover_ring(&c.ring, RECOVER_PRIVATE, NULL) == 0 &&
                         atomic_load(&c.ring.live->gen) != gen;
        if (ret->is_mended)
            check_frames(&c);
        ret->n_mended = after.messages;
        ret->mended_first = after.stretches[0].first;
        ret->mended_last = c.last;
    }
    file_unmap(&file);
}

int verify_pool(const char *path, struct verify_report *ret, struct error *err)
{
    struct file file;
    struct error why;
    struct check c = {.report = ret};

    *ret = (struct verify_report){0};
    if (file_map(&file, path, FILE_READ_ONLY, &why) < 0) {
        if (why.kind != PLSM_ERROR_CORRUPT) {
            if (err != NULL)
                *err = why;
            return -1;
        }
        add_issue(ret, "corrupt", "%s", why.message);
        return 0;
    }
    if (header_check(file.map, file.size, &c.fixed, &why) < 0) {
        add_issue(ret, why.kind == PLSM_ERROR_USAGE ? "format" : "corrupt", "%s", why.message);
    } else {
        ret->is_pool = true;
        ring_init(&c.ring, file.map, &c.fixed);
        check_frames(&c);
        if (ret->n_issues == 0)
            check_index(&c);
        check_flush(&c);
        if (ret->is_mended)
            rehearse(path, ret);
    }
    if (atomic_load(&file.dead))
        add_issue(ret, "corrupt", "the file was cut short while it was read");
    file_unmap(&file);
    return 0;
}
