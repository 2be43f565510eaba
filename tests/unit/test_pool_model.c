/*
 * The engine beside an array.
 *
 * Long random sequences of everything one can ask of a pool, with tiny rings of odd sizes that begin anywhere, and a clock that
 * jumps.  The array knows every message that was ever appended, and by the rules of layout.h where it stands, so what is
 * retained is known exactly.  PLASMITE_TEST_SEED repeats a run.
 */
#include "pools.h"

#include "frame.h"
#include "pool/stream.h"
#include "pool/verify.h"
#include "testing.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define POOLS 250
#define STEPS 400
#define BATCH_MAX 6
#define TAGS 3 /* "a", "b", "c" */
#define CLOCK_STEP (60 * NS_PER_S)

struct entry {
    uint64_t time_ns, rendered_before, pos;
    char *data;
    size_t data_n;
    unsigned tags; /* bit i: tag i */
};

struct model {
    struct entry *list; /* list[i] is message first + i */
    size_t n, cap;
    uint64_t first; /* number of list[0] */
    uint64_t oldest;
    uint64_t ring, head;
    uint64_t newest_time, rendered, floor;
    struct pool *pool, *second;
    const char *path;
    struct random random;
};

static uint64_t seed, fake_now;

#define hold(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fail_msg(" (line %d: %s) PLASMITE_TEST_SEED=%" PRIu64, __LINE__, #condition, seed);    \
        }                                                                                          \
    } while (0)

static uint64_t now_ns(void)
{
    return fake_now;
}

static uint64_t below(struct model *m, uint64_t n)
{
    return random_below(&m->random, n);
}

static uint64_t newest(const struct model *m)
{
    return m->first + m->n - 1;
}

static const struct entry *entry_of(const struct model *m, uint64_t seq)
{
    return &m->list[seq - m->first];
}

static struct pool *open_it(struct model *m)
{
    struct pool *pool = pool_must_open(m->path, POOL_READ_WRITE);

    pool_set_clock(pool, now_ns);
    return pool;
}

static void encode_tags(unsigned tags, struct buf *out, uint32_t *raw)
{
    for (unsigned i = 0; i < TAGS; i++)
        if ((tags >> i & 1) != 0) {
            char name = (char)('a' + i);
            assert_int_equal(tags_add(out, raw, (struct bytes){&name, 1}, NULL), 0);
        }
}

/* ---- what must be so ---- */

static void check_message(struct model *m, uint64_t seq, const struct message *got)
{
    const struct entry *e = entry_of(m, seq);
    auto_buf struct buf tags = BUF_INIT;
    uint32_t raw = 0;

    encode_tags(e->tags, &tags, &raw);
    hold(got->seq == seq, "message %" PRIu64 " instead of %" PRIu64, got->seq, seq);
    hold(got->time_ns == e->time_ns, "time of %" PRIu64 ": %" PRIu64 ", not %" PRIu64, seq,
         got->time_ns, e->time_ns);
    hold(got->rendered_before == e->rendered_before, "rendered_before of %" PRIu64, seq);
    hold(bytes_equal(got->data, (struct bytes){e->data, e->data_n}), "data of %" PRIu64, seq);
    hold(bytes_equal(got->tags, buf_bytes(&tags)), "tags of %" PRIu64, seq);
}

static void check_bounds(struct model *m, struct pool *pool)
{
    struct pool_bounds b;
    struct error err = ERROR_INIT;

    hold(pool_bounds(pool, &b, &err) == 0, "%s", err.message);
    hold(b.newest == newest(m), "newest %" PRIu64 ", not %" PRIu64, b.newest, newest(m));
    hold(b.oldest == m->oldest, "oldest %" PRIu64 ", not %" PRIu64 " (newest %" PRIu64 ")",
         b.oldest, m->oldest, b.newest);
    hold(b.newest_time == m->newest_time && b.head == m->head && b.rendered_end == m->rendered,
         "time %" PRIu64 " head %" PRIu64 " rendered %" PRIu64, b.newest_time, b.head,
         b.rendered_end);
}

static void read_from(struct model *m, struct pool *pool, struct cursor cursor, uint64_t expected)
{
    auto_buf struct buf store = BUF_INIT;
    struct message message;
    struct error err = ERROR_INIT;

    hold(cursor.seq == expected, "the cursor stands at %" PRIu64 ", not %" PRIu64, cursor.seq,
         expected);
    for (; expected <= newest(m); expected++) {
        hold(cursor_next(pool, &cursor, &store, &message, &err) == CURSOR_MESSAGE,
             "at %" PRIu64 ": %s", expected, err.message);
        check_message(m, expected, &message);
    }
    hold(cursor_next(pool, &cursor, &store, &message, &err) == CURSOR_END, "no end");
}

/* ---- appending ---- */

static void add_entry(struct model *m, const char *data, size_t data_n, unsigned tags,
                      uint64_t time_ns)
{
    auto_buf struct buf encoded = BUF_INIT;
    uint32_t raw = 0;

    if (m->n == m->cap) {
        m->cap = m->cap == 0 ? 1024 : m->cap * 2;
        m->list = realloc(m->list, m->cap * sizeof m->list[0]);
        assert_non_null(m->list);
    }
    encode_tags(tags, &encoded, &raw);
    uint64_t bytes = frame_bytes(encoded.n, data_n), left = m->ring - m->head % m->ring;
    struct entry e = {.time_ns = time_ns,
                      .rendered_before = m->rendered,
                      .pos = bytes <= left ? m->head : m->head + left,
                      .data = malloc(data_n),
                      .data_n = data_n,
                      .tags = tags};
    assert_non_null(e.data);
    memcpy(e.data, data, data_n);
    m->list[m->n++] = e;
    m->head = e.pos + bytes;
    m->rendered += message_length(newest(m), encoded.n, data_n);
    m->newest_time = time_ns;
    while (entry_of(m, m->oldest)->pos + m->ring < m->head) /* its bytes were needed */
        m->oldest++;
}

/* The time rule of the design: never back, but for a stored time that was far in the future. */
static uint64_t expected_time(struct model *m)
{
    if (fake_now > m->newest_time)
        return fake_now;
    if (m->newest_time - fake_now <= CLOCK_STEP)
        return m->newest_time + 1;
    m->floor = newest(m) + 1;
    return fake_now;
}

static size_t any_size(struct model *m, size_t max)
{
    switch (below(m, 8)) {
    case 0:
        return max; /* the largest there can be */
    case 1:
        return 2;
    case 2:
        return 2 + below(m, max - 2);
    default:
        return 2 + below(m, 300);
    }
}

/* A JSON object of exactly `size` bytes: {} or {"x":1}-like with a long key. */
static void make_object(struct model *m, struct buf *out, size_t size)
{
    if (size < 6) {
        buf_add_str(out, "{}");
        return;
    }
    buf_add_str(out, "{\"");
    for (size_t i = 0; i < size - 6; i++)
        buf_add_char(out, (char)('a' + below(m, 26)));
    buf_add_str(out, "\":0}");
}

static void append(struct model *m, struct pool *pool)
{
    struct buf data[BATCH_MAX] = {{0}}, tags[BATCH_MAX] = {{0}};
    struct payload payloads[BATCH_MAX];
    unsigned bits[BATCH_MAX];
    size_t n = below(m, 3) == 0 ? 1 + below(m, BATCH_MAX) : 1, max = (size_t)pool_message_max(pool);
    struct receipt receipt;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < n; i++) {
        uint32_t raw = 0;
        bits[i] = below(m, 2) == 0 ? 0 : (unsigned)below(m, 1 << TAGS);
        encode_tags(bits[i], &tags[i], &raw);
        make_object(
            m, &data[i],
            any_size(m, max - 16)); /* quotes and commas of the tags take room in the ring, too */
        payloads[i] = payload_make(buf_bytes(&tags[i]), raw, buf_bytes(&data[i]));
    }
    hold(pool_append(pool, payloads, n, below(m, 20) == 0 ? APPEND_TRY : 0, &receipt, &err) == 0,
         "%s", err.message);
    hold(receipt.first_seq == newest(m) + 1, "number %" PRIu64 " after %" PRIu64, receipt.first_seq,
         newest(m));
    uint64_t time = expected_time(m);
    hold(receipt.time_ns == time, "time %" PRIu64 ", not %" PRIu64, receipt.time_ns, time);
    for (size_t i = 0; i < n; i++) {
        add_entry(m, data[i].p, data[i].n, bits[i], time);
        buf_done(&data[i]);
        buf_done(&tags[i]);
    }
}

static void append_too_large(struct model *m, struct pool *pool)
{
    auto_buf struct buf large = BUF_INIT;
    struct receipt receipt;
    struct error err = ERROR_INIT;

    make_object(m, &large, (size_t)pool_message_max(pool) + 1 + below(m, 20));
    struct payload payloads[2] = {payload_make(BYTES(""), 0, BYTES("{}")),
                                  payload_make(BYTES(""), 0, buf_bytes(&large))};
    hold(pool_append(pool, payloads, 2, 0, &receipt, &err) == -1, "a message too large was taken");
    hold(err.kind == PLSM_ERROR_USAGE && err.detail == ERROR_DETAIL_TOO_LARGE && err.seq == 1, "%s",
         err.message);
}

/* ---- reading ---- */

static uint64_t any_seq(struct model *m)
{
    uint64_t span = newest(m) + 4 - (m->oldest > 3 ? m->oldest - 3 : 0);

    return (m->oldest > 3 ? m->oldest - 3 : 0) + below(m, span);
}

static void get(struct model *m, struct pool *pool)
{
    auto_buf struct buf store = BUF_INIT;
    struct message message;
    struct error err = ERROR_INIT;
    uint64_t seq = any_seq(m);
    int result = pool_get(pool, seq, &store, &message, &err);

    if (seq >= m->oldest && seq <= newest(m)) {
        hold(result == 0, "%" PRIu64 ": %s", seq, err.message);
        check_message(m, seq, &message);
    } else {
        hold(result == -1 && err.kind == PLSM_ERROR_NOT_FOUND && err.seq == seq, "%" PRIu64, seq);
    }
}

static void seek_seq(struct model *m, struct pool *pool)
{
    struct cursor cursor;
    struct error err = ERROR_INIT;
    uint64_t seq = any_seq(m);

    hold(cursor_at_seq(pool, seq, &cursor, &err) == 0, "%s", err.message);
    seq = seq < m->oldest ? m->oldest : seq > newest(m) + 1 ? newest(m) + 1 : seq;
    read_from(m, pool, cursor, seq);
}

/* The first retained message at or after `time` that searches by time may find. */
static uint64_t first_since(const struct model *m, uint64_t time)
{
    uint64_t seq = m->oldest;

    if (time == 0)
        return seq;
    if (seq < m->floor)
        seq = m->floor;
    while (seq <= newest(m) && entry_of(m, seq)->time_ns < time)
        seq++;
    return seq;
}

static uint64_t any_time(struct model *m)
{
    if (m->oldest > newest(m) || below(m, 10) == 0)
        return below(m, 3) == 0 ? 0 : fake_now - 2 + below(m, 5);
    return entry_of(m, m->oldest + below(m, newest(m) + 1 - m->oldest))->time_ns - 1 + below(m, 3);
}

static void seek_time(struct model *m, struct pool *pool)
{
    struct cursor cursor;
    struct error err = ERROR_INIT;
    uint64_t time = any_time(m);

    hold(cursor_at_time(pool, time, &cursor, &err) == 0, "%s", err.message);
    read_from(m, pool, cursor, first_since(m, time));
}

static void seek_rendered(struct model *m, struct pool *pool)
{
    struct cursor cursor;
    struct error err = ERROR_INIT;
    uint64_t low = m->oldest <= newest(m) ? entry_of(m, m->oldest)->rendered_before : m->rendered,
             seq = m->oldest;
    uint64_t byte =
        (low > 10 ? low - 10 : 0) + below(m, m->rendered - (low > 10 ? low - 10 : 0) + 10);

    while (seq <= newest(m) &&
           (seq == newest(m) ? m->rendered : entry_of(m, seq + 1)->rendered_before) <= byte)
        seq++;
    hold(cursor_at_rendered(pool, byte, &cursor, &err) == 0, "%s", err.message);
    read_from(m, pool, cursor, seq);
}

static void render(struct model *m, struct pool *pool)
{
    auto_buf struct buf all = BUF_INIT, one = BUF_INIT, store = BUF_INIT;
    struct time_cache cache = {0};
    struct cursor cursor;
    struct error err = ERROR_INIT;
    enum cursor_result result;

    hold(cursor_at_oldest(pool, &cursor, &err) == 0, "%s", err.message);
    do {
        result = cursor_render(pool, &cursor, UINT64_MAX, 1 + below(m, 2000), &cache, &all, &err);
    } while (result == CURSOR_MESSAGE);
    hold(result == CURSOR_END, "%s", err.message);
    for (uint64_t seq = m->oldest; seq <= newest(m); seq++) {
        struct message message;
        hold(pool_get(pool, seq, &store, &message, &err) == 0, "%s", err.message);
        assert_int_equal(message_render(&message, &cache, &one), 0);
    }
    hold(bytes_equal(buf_bytes(&all), buf_bytes(&one)), "rendered text differs");
    if (m->oldest <= newest(m))
        hold(all.n == m->rendered - entry_of(m, m->oldest)->rendered_before, "%zu bytes rendered",
             all.n);
}

static bool selected(const struct model *m, const struct stream_options *options, unsigned tags,
                     uint64_t seq)
{
    const struct entry *e = entry_of(m, seq);

    return (e->tags & tags) == tags && (options->start != STREAM_FROM || seq >= options->from_seq);
}

/* The first number a stream would give, should it match. */
static uint64_t stream_first(const struct model *m, const struct stream_options *options,
                             unsigned tags)
{
    uint64_t seq = newest(m) + 1, left = options->tail;

    switch (options->start) {
    case STREAM_LIVE:
        return seq;
    case STREAM_TAIL:
        while (left > 0 && seq > m->oldest)
            if (selected(m, options, tags, --seq))
                left--;
        return seq;
    case STREAM_SINCE:
        return first_since(m, options->since_ns);
    case STREAM_FROM:
        return options->from_seq < m->oldest ? m->oldest : options->from_seq;
    case STREAM_ALL:
        break;
    }
    return m->oldest;
}

static void follow(struct model *m, struct pool *pool)
{
    static const struct bytes names[TAGS] = {
        {"a", 1},
        {"b", 1},
        {"c", 1}
    };
    struct stream_options options = {.start = (enum stream_start)below(m, 5),
                                     .finite = below(m, 2) == 0};
    auto_stream struct stream *stream = NULL;
    struct bytes tags[TAGS];
    struct message message;
    struct error err = ERROR_INIT;
    unsigned bits = (unsigned)below(m, 1 << TAGS) & (unsigned)below(m, 1 << TAGS);
    enum stream_result result;

    options.tail = below(m, 12);
    options.since_ns = any_time(m);
    options.from_seq = 1 + any_seq(m);
    for (unsigned i = 0; i < TAGS; i++)
        if ((bits >> i & 1) != 0)
            tags[options.n_tags++] = names[i];
    options.tags = tags;
    hold(stream_open(pool, &options, &stream, &err) == 0, "%s", err.message);
    result = stream_next(stream, &message, &err);
    bool early = options.start == STREAM_FROM && options.from_seq < m->oldest;
    hold(early == (result == STREAM_GAP), "a gap at the start: %d", result);
    if (early) {
        uint64_t first, next;
        stream_gap(stream, &first, &next);
        hold(first == options.from_seq && next == m->oldest, "gap %" PRIu64 "..%" PRIu64, first,
             next);
        result = stream_next(stream, &message, &err);
    }
    for (uint64_t seq = stream_first(m, &options, bits); seq <= newest(m); seq++) {
        if (!selected(m, &options, bits, seq))
            continue;
        hold(result == STREAM_MESSAGE, "start %d, %" PRIu64 " expected: %d", options.start, seq,
             result);
        check_message(m, seq, &message);
        result = stream_next(stream, &message, &err);
    }
    hold(result == (options.finite ? STREAM_DONE : STREAM_WAIT), "start %d, at the end: %d",
         options.start, result);
}

static void verify(struct model *m)
{
    struct verify_report report;
    struct error err = ERROR_INIT;

    hold(verify_pool(m->path, &report, &err) == 0, "%s", err.message);
    hold(report.n_issues == 0, "%s", report.issues[0].message);
    hold(report.messages == newest(m) + 1 - m->oldest, "%" PRIu64 " messages", report.messages);
}

/* ---- the run ---- */

static void move_clock(struct model *m)
{
    switch (below(m, 6)) {
    case 0:
        fake_now += below(m, 200) * NS_PER_S;
        break;
    case 1:
        fake_now -= below(m, 50) * NS_PER_S; /* a small step back */
        break;
    case 2:
        fake_now -= 100 * NS_PER_S + below(m, 100) * NS_PER_S;
        break;
    default:
        fake_now += below(m, 3); /* often not at all */
    }
}

static void step(struct model *m)
{
    struct pool *pool = below(m, 3) == 0 ? m->second : m->pool;

    switch (below(m, 16)) {
    case 0:
        get(m, pool);
        break;
    case 1:
        seek_seq(m, pool);
        break;
    case 2:
        seek_time(m, pool);
        break;
    case 3:
        seek_rendered(m, pool);
        break;
    case 4:
        follow(m, pool);
        break;
    case 5:
        render(m, pool);
        break;
    case 6:
        verify(m);
        break;
    case 7:
        append_too_large(m, pool);
        break;
    case 8:
        pool_close(m->second);
        m->second = open_it(m);
        break;
    case 9:
        move_clock(m);
        break;
    default:
        append(m, pool);
    }
    check_bounds(m, m->pool);
}

static void plan(struct model *m, struct pool_options *options, uint64_t *ret_pos,
                 uint64_t *ret_seq)
{
    static const int64_t indexes[] = {POOL_INDEX_AUTO, 0, 1, 7, 32};

    options->size = below(m, 2) == 0 ? 8192 : 8192 + below(m, 9000);
    options->index_capacity = indexes[below(m, 5)];
    uint64_t ring = (options->size - 4096) & ~7ULL;
    switch (below(m, 4)) {
    case 0:
        *ret_pos = 0;
        break;
    case 1:
        *ret_pos = 3 * ring - 8 * below(m, 40); /* just below a wrap */
        break;
    case 2:
        *ret_pos = (1ULL << 32) - 8 * below(m, 1000);
        break;
    default:
        *ret_pos = below(m, 1ULL << 40);
    }
    *ret_seq = below(m, 3) == 0 ? (1ULL << 32) - below(m, 100) : below(m, 3) == 0 ? 95 : 1;
}

static void run(uint64_t run_seed)
{
    struct model m = {.random = {run_seed}, .path = scratch_path("model.plasmite")};
    struct pool_options options = POOL_OPTIONS_INIT;
    struct pool_bounds bounds;
    struct error err = ERROR_INIT;
    uint64_t pos;

    (void)unlink(m.path);
    plan(&m, &options, &pos, &m.first);
    fake_now = 1700000000 * NS_PER_S;
    hold(pool_create_at(m.path, &options, pos, m.first, &err) == 0, "%s", err.message);
    m.pool = open_it(&m);
    m.second = open_it(&m);
    struct pool_info info;
    assert_int_equal(pool_info(m.pool, &info, NULL), 0);
    assert_int_equal(pool_bounds(m.pool, &bounds, NULL), 0);
    m.ring = info.ring_size & ~7ULL;
    m.head = bounds.head;
    m.oldest = m.first;
    for (int i = 0; i < STEPS; i++)
        step(&m);
    pool_close(m.pool);
    pool_close(m.second);
    for (size_t i = 0; i < m.n; i++)
        free(m.list[i].data);
    free(m.list);
}

static void pool__does_what_an_array_does(void **state)
{
    (void)state;
    if (getenv("PLASMITE_TEST_SEED") != NULL) {
        seed = seed_from_env();
        run(seed);
        return;
    }
    seed = seed_from_env();
    for (int i = 0; i < POOLS; i++, seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pool__does_what_an_array_does)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
