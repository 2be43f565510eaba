/*
 * Reading on: streams that must end do end, gaps are told exactly, wrong clocks hide nothing, and nothing comes twice.
 */
#include "pools.h"

#include "base/cleanup.h"
#include "frame.h"
#include "handle.h"
#include "pool/stream.h"
#include "testing.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE 100 /* bytes of a message, so that a ring of 8 KiB holds a few dozens */

static struct stream *open_stream(struct pool *pool, const struct stream_options *options)
{
    struct error err = ERROR_INIT;
    struct stream *stream = NULL;

    must(stream_open(pool, options, &stream, &err) == 0, "%s", err.message);
    return stream;
}

static void gives_message(struct stream *stream, uint64_t seq)
{
    struct error err = ERROR_INIT;
    struct message message;
    uint64_t first, next, n;
    uint32_t writer;
    enum stream_result result = stream_next(stream, &message, &err);

    if (result == STREAM_GAP) {
        stream_gap(stream, &first, &next);
        fail_msg("a gap of %" PRIu64 " .. %" PRIu64 " instead of %" PRIu64, first, next - 1, seq);
    }
    if (result != STREAM_MESSAGE)
        fail_msg("%d (%s) instead of message %" PRIu64, (int)result, err.message, seq);
    assert_int_equal(message.seq, seq);
    if (proof_check(message.data, &writer, &n))
        assert_int_equal(n, seq);
}

static void gives_messages(struct stream *stream, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++)
        gives_message(stream, seq);
}

static void gives_gap(struct stream *stream, uint64_t first, uint64_t next)
{
    struct error err = ERROR_INIT;
    struct message message;
    uint64_t got_first, got_next;

    assert_int_equal(stream_next(stream, &message, &err), STREAM_GAP);
    stream_gap(stream, &got_first, &got_next);
    assert_int_equal(got_first, first);
    assert_int_equal(got_next, next);
}

static void gives(struct stream *stream, enum stream_result expected)
{
    struct error err = ERROR_INIT;
    struct message message;

    assert_int_equal(stream_next(stream, &message, &err), expected);
}

/* ---- the end ---- */

static void claim_more(struct pool *pool, uint64_t more)
{
    struct commit commit;

    must(ring_commit(&pool->ring, &commit), "no commit");
    commit.newest += more;
    ring_publish(&pool->ring, &commit);
}

static void a_finite_stream__ends_when_the_header_promises_too_much(void **state)
{
    auto_pool struct pool *pool = pool_must_make("promise.plasmite", 8192, POOL_INDEX_AUTO);
    auto_buf struct buf out = BUF_INIT;
    struct stream_options options = {.start = STREAM_ALL, .finite = true};
    struct time_cache cache = {0};
    struct error err = ERROR_INIT;
    struct message message;

    (void)state;
    append_up_to(pool, 10, SIZE);
    claim_more(pool, 100);
    struct stream *one_by_one = open_stream(pool, &options),
                  *rendered = open_stream(pool, &options);
    gives_messages(one_by_one, 1, 10);
    assert_int_equal(stream_next(one_by_one, &message, &err), STREAM_FAILED);
    assert_int_equal(err.kind, PLSM_ERROR_CORRUPT);
    assert_int_equal(stream_render(rendered, 1 << 20, &cache, &out, &err), STREAM_MESSAGE);
    assert_int_equal(stream_render(rendered, 1 << 20, &cache, &out, &err), STREAM_FAILED);
    assert_int_equal(err.kind, PLSM_ERROR_CORRUPT);
    stream_close(one_by_one);
    stream_close(rendered);
}

static void a_finite_stream__gives_what_was_there(void **state)
{
    auto_pool struct pool *pool = pool_must_make("finite.plasmite", 8192, POOL_INDEX_AUTO);
    struct stream_options options = {.start = STREAM_ALL, .finite = true};

    (void)state;
    auto_stream struct stream *nothing = open_stream(pool, &options);
    append_up_to(pool, 10, SIZE);
    auto_stream struct stream *ten = open_stream(pool, &options);
    append_up_to(pool, 20, SIZE);
    gives(nothing, STREAM_DONE);
    gives_messages(ten, 1, 10);
    gives(ten, STREAM_DONE);
    assert_false(stream_lost(ten));
}

/* ---- gaps ---- */

static void a_gap__tells_what_is_lost_and_no_more(void **state)
{
    auto_pool struct pool *pool = pool_must_make("gap.plasmite", 8192, POOL_INDEX_AUTO);
    struct stream_options options = {.start = STREAM_ALL};

    (void)state;
    append_up_to(pool, 10, SIZE);
    auto_stream struct stream *stream = open_stream(pool, &options);
    gives_messages(stream, 1, 4);
    append_up_to(pool, 200, SIZE);
    uint64_t oldest = bounds_of(pool).oldest;
    assert_true(oldest > 10);
    gives_gap(stream, 5, oldest);
    assert_true(stream_lost(stream));
    gives_messages(stream, oldest, 200);
    gives(stream, STREAM_WAIT);
}

static void a_gap_of_a_finite_stream__ends_at_its_last_message(void **state)
{
    auto_pool struct pool *pool = pool_must_make("gap_finite.plasmite", 8192, POOL_INDEX_AUTO);
    struct stream_options options = {.start = STREAM_ALL, .finite = true};

    (void)state;
    append_up_to(pool, 10, SIZE);
    auto_stream struct stream *stream = open_stream(pool, &options);
    gives_messages(stream, 1, 4);
    append_up_to(pool, 200, SIZE);
    gives_gap(stream, 5, 11);
    gives(stream, STREAM_DONE);
    assert_true(stream_lost(stream));
}

static void a_number_that_is_not_there_yet__is_where_the_stream_begins(void **state)
{
    auto_pool struct pool *pool = pool_must_make("future.plasmite", 8192, POOL_INDEX_AUTO);
    struct stream_options options = {.start = STREAM_FROM, .from_seq = 1000};

    (void)state;
    append_up_to(pool, 10, SIZE);
    auto_stream struct stream *met = open_stream(pool, &options);
    auto_stream struct stream *lapped = open_stream(pool, &options);
    auto_stream struct stream *missed = open_stream(pool, &options);
    append_up_to(pool, 20, SIZE);
    gives(met, STREAM_WAIT); /* 11 to 20 are not its business */
    append_up_to(pool, 1003, SIZE);
    assert_true(bounds_of(pool).oldest > 21 && bounds_of(pool).oldest < 1000);
    gives_messages(met, 1000, 1003); /* lost are only some that it did not want */
    gives_messages(lapped, 1000, 1003);
    gives(lapped, STREAM_WAIT);
    assert_false(stream_lost(lapped));
    append_up_to(pool, 1500, SIZE);
    uint64_t oldest = bounds_of(pool).oldest;
    gives_gap(missed, 1000, oldest); /* not from 11, which it had not asked for */
    assert_true(stream_lost(missed));
    gives_message(missed, oldest);
}

static void a_number_long_gone__begins_with_a_gap(void **state)
{
    auto_pool struct pool *pool = pool_must_make("gone.plasmite", 8192, POOL_INDEX_AUTO);
    struct stream_options options = {.start = STREAM_FROM, .from_seq = 3};

    (void)state;
    append_up_to(pool, 200, SIZE);
    uint64_t oldest = bounds_of(pool).oldest;
    auto_stream struct stream *stream = open_stream(pool, &options);
    gives_gap(stream, 3, oldest);
    gives_messages(stream, oldest, 200);
}

/* ---- time and tags ---- */

static uint64_t now_ns;

static uint64_t test_clock(void)
{
    return now_ns;
}

/* Numbers 1 to 5 at 1001 .. 1005 s, then the clock is set back: 6 to 10 at 506 .. 510 s. */
static void append_across_a_clock_step(struct pool *pool)
{
    pool_set_clock(pool, test_clock);
    for (uint64_t seq = 1; seq <= 10; seq++) {
        now_ns = ((seq <= 5 ? 1000 : 500) + seq) * NS_PER_S;
        append_up_to(pool, seq, SIZE);
    }
}

static void an_end_in_time__is_not_reached_before_the_clock_was_set_back(void **state)
{
    auto_pool struct pool *pool = pool_must_make("step.plasmite", 8192, POOL_INDEX_AUTO);
    struct stream_options options = {.start = STREAM_ALL, .until_ns = 509 * NS_PER_S};
    struct stream_options later = {.start = STREAM_ALL, .until_ns = 1003 * NS_PER_S};

    (void)state;
    append_across_a_clock_step(pool);
    auto_stream struct stream *stream = open_stream(pool, &options);
    gives_messages(stream, 6, 8); /* 1 to 5 carry later times, 9 and 10 too */
    gives(stream, STREAM_DONE);
    auto_stream struct stream *both = open_stream(pool, &later);
    gives_messages(both, 1, 2);
    gives_messages(both, 6, 10);
    gives(both, STREAM_DONE);
    assert_false(stream_lost(both));
}

static void a_tail__counts_what_carries_the_tag(void **state)
{
    auto_pool struct pool *pool = pool_must_make("tags.plasmite", 1 << 20, POOL_INDEX_AUTO);
    struct bytes wanted = BYTES("seven");
    struct stream_options options = {
        .start = STREAM_TAIL, .tail = 3, .tags = &wanted, .n_tags = 1, .finite = true};
    auto_buf struct buf tags = BUF_INIT;
    uint32_t raw = 0;

    (void)state;
    must(tags_add(&tags, &raw, wanted, NULL) == 0, "no tag");
    for (uint64_t seq = 1; seq <= 100; seq++) {
        bool tagged = seq % 7 == 0;
        struct payload payload =
            payload_make(tagged ? buf_bytes(&tags) : BYTES(""), tagged ? raw : 0, BYTES("{}"));
        must(pool_append(pool, &payload, 1, 0, NULL, NULL) == 0, "no append");
    }
    auto_stream struct stream *stream = open_stream(pool, &options);
    gives_message(stream, 84);
    gives_message(stream, 91);
    gives_message(stream, 98);
    gives(stream, STREAM_DONE);
    options.tail = 1000; /* more than there are */
    auto_stream struct stream *all = open_stream(pool, &options);
    for (uint64_t seq = 7; seq <= 98; seq += 7)
        gives_message(all, seq);
    gives(all, STREAM_DONE);
}

/* ---- damage among the last ones ---- */

/* Flips a bit of message `seq`: `at` bytes behind the beginning of its frame. */
static void damage(struct pool *pool, uint64_t seq, uint64_t at)
{
    struct cursor cursor;
    struct error err = ERROR_INIT;

    must(cursor_at_seq(pool, seq, &cursor, &err) == 0, "%s", err.message);
    atomic_fetch_xor(pool->ring.words + (ring_off(&pool->ring, cursor.pos) + at) / 8, 4);
}

#define NONE 0

/* A finite tail of n gives the messages first..last; `damaged` is what it began behind. */
static void tail_gives(struct pool *pool, struct stream_options options, uint64_t n, uint64_t damaged,
                       uint64_t first, uint64_t last)
{
    options.start = STREAM_TAIL;
    options.tail = n;
    options.finite = true;
    auto_stream struct stream *stream = open_stream(pool, &options);
    const struct error *err = stream_damage(stream);

    assert_int_equal(err == NULL ? NONE : err->seq, damaged);
    assert_true(err == NULL || (err->kind == PLSM_ERROR_CORRUPT && err->has_offset));
    gives_messages(stream, first, last);
    gives(stream, last == bounds_of(pool).newest ? STREAM_DONE : STREAM_FAILED);
}

/* Filtered by a tag that all carry, so that the way is another one. */
static void a_tail__begins_behind_damage(void **state)
{
    static const uint64_t places[] = {8, FRAME_HEADER_BYTES + 8}; /* in the header; in the data */
    struct bytes wanted = BYTES("all");
    const struct stream_options ways[] = {{0}, {.tags = &wanted, .n_tags = 1}};
    auto_buf struct buf tags = BUF_INIT;
    uint32_t raw = 0;

    (void)state;
    must(tags_add(&tags, &raw, wanted, NULL) == 0, "no tag");
    const struct payload payload = payload_make(buf_bytes(&tags), raw, BYTES("{\"some\":\"text\"}"));
    for (size_t i = 0; i < 4; i++) {
        const struct stream_options *way = &ways[i / 2];
        auto_pool struct pool *pool = pool_must_make("behind.plasmite", 1 << 20, POOL_INDEX_AUTO);

        for (int k = 0; k < 100; k++)
            must(pool_append(pool, &payload, 1, 0, NULL, NULL) == 0, "no append");
        damage(pool, 50, places[i % 2]);
        damage(pool, 90, places[i % 2]);
        damage(pool, 91, places[i % 2]);
        tail_gives(pool, *way, 9, NONE, 92, 100);   /* all that is asked for is whole */
        /* it would begin with a damaged one; which matched nobody knows */
        tail_gives(pool, *way, 10, way->n_tags == 0 ? 91 : 90, 92, 100);
        tail_gives(pool, *way, 11, 90, 92, 100);
        tail_gives(pool, *way, 20, 90, 92, 100);    /* damage on the way */
        tail_gives(pool, *way, 1000, 90, 92, 100);  /* and more before that */
        damage(pool, 100, places[i % 2]);           /* nothing whole is behind it: met at the end */
        tail_gives(pool, *way, 5, NONE, way->n_tags == 0 ? 96 : 95, 99);
        tail_gives(pool, *way, 20, 90, 92, 99);
    }
}

/* ---- another program repairs the pool meanwhile ---- */

/* Flips a bit of the oldest message. */
static void damage_oldest(struct pool *pool)
{
    atomic_fetch_xor(pool->ring.words + ring_off(&pool->ring, bounds_of(pool).tail) / 8 + 1, 4);
}

/* No commit is whole any more: all messages are looked for, and get new positions. */
static void damage_commits(struct pool *pool)
{
    for (int i = 0; i < 2; i++)
        atomic_fetch_xor(&pool->ring.live->commits[i][COMMIT_CRC], 1);
}

static void follows_over_a_repair(const char *name, void (*hurt)(struct pool *pool))
{
    auto_pool struct pool *pool = pool_must_make(name, 65536, POOL_INDEX_AUTO);
    struct stream_options options = {.start = STREAM_ALL};

    append_up_to(pool, 2000, SIZE);
    uint64_t oldest = bounds_of(pool).oldest;
    auto_stream struct stream *at_end = open_stream(pool, &options);
    auto_stream struct stream *on_the_way = open_stream(pool, &options);
    gives_messages(at_end, oldest, 2000);
    gives_messages(on_the_way, oldest, 1900);
    hurt(pool);
    auto_pool struct pool *other = pool_must_open(pool_path(pool), POOL_READ_WRITE);
    append_up_to(other, 2001, SIZE);
    gives_message(at_end, 2001);
    gives(at_end, STREAM_WAIT);
    assert_false(stream_lost(at_end));
    gives_messages(on_the_way, 1901, 2001);
    gives(on_the_way, STREAM_WAIT);
    assert_false(stream_lost(on_the_way));
}

static void nothing_comes_twice__after_the_oldest_was_given_up(void **state)
{
    (void)state;
    follows_over_a_repair("repair_oldest.plasmite", damage_oldest);
}

static void nothing_comes_twice__after_all_positions_changed(void **state)
{
    (void)state;
    follows_over_a_repair("repair_commits.plasmite", damage_commits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finite_stream__ends_when_the_header_promises_too_much),
        cmocka_unit_test(a_finite_stream__gives_what_was_there),
        cmocka_unit_test(a_gap__tells_what_is_lost_and_no_more),
        cmocka_unit_test(a_gap_of_a_finite_stream__ends_at_its_last_message),
        cmocka_unit_test(a_number_that_is_not_there_yet__is_where_the_stream_begins),
        cmocka_unit_test(a_number_long_gone__begins_with_a_gap),
        cmocka_unit_test(an_end_in_time__is_not_reached_before_the_clock_was_set_back),
        cmocka_unit_test(a_tail__counts_what_carries_the_tag),
        cmocka_unit_test(a_tail__begins_behind_damage),
        cmocka_unit_test(nothing_comes_twice__after_the_oldest_was_given_up),
        cmocka_unit_test(nothing_comes_twice__after_all_positions_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
