/*
 * Filters of a stream: what it gives, in which order several are asked, and what is not even read.
 */
#include "filters.h"

#include "pool/stream.h"

#include <unistd.h>

static struct pool *numbers(uint64_t n)
{
    const char *path = scratch_path("numbers.plasmite");
    struct pool *pool;

    (void)unlink(path);
    pool_must_create(path, 65536, POOL_INDEX_AUTO);
    pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t i = 1; i <= n; i++) {
        auto_buf struct buf data = BUF_INIT;
        struct payload payload;
        struct error err = ERROR_INIT;

        must(buf_printf(&data, "{\"n\":%d}", (int)i) == 0, "no memory");
        payload = payload_make((struct bytes){0}, 0, buf_bytes(&data));
        must(pool_append(pool, &payload, 1, 0, NULL, &err) == 0, "%s", err.message);
    }
    return pool;
}

static void gives(struct stream *stream, const uint64_t *seqs, size_t n, enum stream_result end)
{
    struct error err = ERROR_INIT;
    struct message message;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(stream_next(stream, &message, &err), STREAM_MESSAGE);
        assert_int_equal(message.seq, seqs[i]);
    }
    assert_int_equal(stream_next(stream, &message, &err), end);
}

static void a_stream__counts_its_tail_in_matches(void **state)
{
    auto_pool struct pool *pool = numbers(20);
    auto_filter struct filter *threes = filter_of(".data.n % 3 == 0"),
                              *large = filter_of(".data.n < 17");
    struct filter *const both[] = {threes, large};
    struct stream_options options = {
        .start = STREAM_TAIL, .tail = 3, .finite = true, .filters = both, .n_filters = 2};
    struct stream *stream;
    struct error err = ERROR_INIT;
    auto_buf struct buf out = BUF_INIT;
    struct time_cache cache = {0};

    (void)state;
    assert_int_equal(stream_open(pool, &options, &stream, &err), 0);
    gives(stream, (const uint64_t[]){9, 12, 15}, 3, STREAM_DONE);
    stream_close(stream);
    assert_int_equal(stream_open(pool, &options, &stream, &err), 0);
    assert_int_equal(stream_render(stream, 1 << 20, &cache, &out, &err), STREAM_MESSAGE);
    assert_int_equal(stream_render(stream, 1 << 20, &cache, &out, &err), STREAM_DONE);
    assert_int_equal(strncmp(buf_str(&out), "{\"seq\":9,", 9), 0);
    assert_non_null(strstr(out.p, "\n{\"seq\":12,"));
    stream_close(stream);
}

static void a_stream__ends_at_an_odd_output(void **state)
{
    auto_pool struct pool *pool = numbers(5);
    auto_filter struct filter *odd = filter_of("if .data.n == 3 then .data.n else true end");
    struct stream_options options = {
        .start = STREAM_ALL, .finite = true, .filters = &odd, .n_filters = 1};
    auto_stream struct stream *stream = NULL;
    struct error err = ERROR_INIT;
    struct message message;

    (void)state;
    assert_int_equal(stream_open(pool, &options, &stream, &err), 0);
    gives(stream, (const uint64_t[]){1, 2}, 2, STREAM_FAILED);
    options.start = STREAM_TAIL;
    options.tail = 1;
    assert_int_equal(stream_open(pool, &options, &(struct stream *){NULL}, &err), -1);
    assert_string_equal(err.message, "filter expression must yield booleans");
    assert_int_equal(err.seq, 3);
    assert_int_equal(stream_next(stream, &message, &err), STREAM_MESSAGE);
}

static struct stream *stream_of(struct pool *pool, struct filter *const *filters, size_t n)
{
    struct stream_options options = {
        .start = STREAM_ALL, .finite = true, .filters = filters, .n_filters = n};
    struct error err = ERROR_INIT;
    struct stream *stream = NULL;

    must(stream_open(pool, &options, &stream, &err) == 0, "%s", err.message);
    return stream;
}

/* Whatever these two say of a message, and for which it was said. */
static void both_give(struct pool *pool, const char *first, const char *second,
                      const uint64_t *seqs, size_t n, uint64_t fails_at)
{
    auto_filter struct filter *a = filter_of(first), *b = filter_of(second);
    auto_stream struct stream *stream = stream_of(pool, (struct filter *const[]){a, b}, 2);
    struct error err = ERROR_INIT;
    struct message message;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(stream_next(stream, &message, &err), STREAM_MESSAGE);
        assert_int_equal(message.seq, seqs[i]);
    }
    assert_int_equal(stream_next(stream, &message, &err),
                     fails_at != 0 ? STREAM_FAILED : STREAM_DONE);
    if (fails_at != 0)
        assert_int_equal(err.seq, fails_at);
}

static void cheap_filters__are_asked_first(void **state)
{
    static const char hangs[] = "def f: if .data.n < 4 then f else true end; f";
    auto_pool struct pool *pool = numbers(5);

    (void)state;
    both_give(pool, hangs, ".data.n >= 4", (const uint64_t[]){4, 5}, 2, 0);
    both_give(pool, hangs, ".seq >= 4", (const uint64_t[]){4, 5}, 2, 0);
    /* what one says that is no answer counts as it did before, but where a cheaper one says no */
    both_give(pool, ".data.n + 1 == 0", ".data.n", NULL, 0, 0);
    both_give(pool, ".data.n + 1", ".data.n == 5", NULL, 0, 5);
    both_give(pool, ".data.n == 5", ".data.n", NULL, 0, 5);
    both_give(pool, ".data.n", ".data.n != .data.n", NULL, 0, 1);
}

/* Flips a bit within the file where this text begins. */
static void damage(const char *path, const char *text)
{
    auto_buf struct buf bytes = BUF_INIT;
    char *at;

    file_read(path, &bytes);
    at = memmem(bytes.p, bytes.n, text, strlen(text));
    must(at != NULL, "no %s", text);
    at[1] ^= 1;
    file_write(path, bytes.p, bytes.n);
}

/* jq would not end on messages before the fourth. */
static void of_conditions__libjq_is_asked_last(void **state)
{
    static const char *const expressions[] = {
        ".data.n >= 4 and (def f: if .data.n < 4 then f else true end; f)",
        "(def f: if .data.n < 4 then f else true end; f) and .data.n >= 4 and (.data.n < 9)",
        "([.data.n] | map(if . < 4 then until(false; .) else . end) | .[0] > 0)\nand .seq >= 4",
    };
    auto_pool struct pool *pool = numbers(5);

    (void)state;
    for (size_t i = 0; i < LEN(expressions); i++) {
        auto_filter struct filter *filter = filter_of(expressions[i]);
        auto_stream struct stream *stream = stream_of(pool, &filter, 1);

        gives(stream, (const uint64_t[]){4, 5}, 2, STREAM_DONE);
    }
    says("$__loc__.line == 1 and .data.n == 1", "{\"n\":1}", FILTER_YES);
    says("(try true) and (true, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_YES);
    says("(true)? and (true, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_YES);
    says("[true]? and (true, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_YES);
    says("(.data | . as {n: $s} ?// $s | $s == 1) and (true, .data.n.x)", "{\"n\":1}", FILTER_YES);
    says(".data[]? and (true, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_NO);
    says(".data.n and .data.n + 1 == 2", "{\"n\":1}", FILTER_YES); /* no boolean, but no matter */
    says("(1, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_NO);
    says(".data.n + 1 == 2 and .data.big == 9007199254740993", "{\"n\":1,\"big\":9007199254740993}",
         FILTER_YES);
    says(".data.n + 1 == 2 and .data.big == 9007199254740993", "{\"n\":1,\"big\":9007199254740992}",
         FILTER_NO);
    fails_with(".seq == 1 and nonsense(2)", "`.seq == 1 and nonsense(2)`, at character 15: nonsense/1");
    fails_with(".seq == 1 and .data.n % 2 == = 3", ", at character 30: `=` does not belong here");
    fails_with(".data.n % 2 == 1 and (.data.s | test(\"(\"))",
               ", at character 38: this regular expression is none: ");
}

static void what_the_envelope_rules_out__is_not_read(void **state)
{
    static const char *const expressions[] = {
        ".seq == 9",
        ".data.n == 9 and .seq > 7",
        ".seq > 7 and .time > \"\" and (.data.n == 9)",
        ".seq == 9 and .meta.tags == []",
        "[1, 9][] == .seq and true and (.seq > 1)",
        ".seq == (9, 10), false",
    };
    auto_pool struct pool *pool = numbers(20);

    (void)state;
    damage(pool_path(pool), "{\"n\":7}");
    for (size_t i = 0; i < LEN(expressions); i++) {
        auto_filter struct filter *filter = filter_of(expressions[i]);
        auto_stream struct stream *stream = stream_of(pool, &filter, 1);

        gives(stream, (const uint64_t[]){9, 10}, 1 + (i == 5), STREAM_DONE);
    }
    auto_filter struct filter *payload = filter_of(".data.n == 9 and .data.n > 0");
    auto_stream struct stream *stream = stream_of(pool, &payload, 1);
    gives(stream, NULL, 0, STREAM_FAILED);

    struct bytes tag = BYTES("x");
    struct stream_options options = {
        .start = STREAM_TAIL, .tail = 1, .finite = true, .tags = &tag, .n_tags = 1};
    auto_stream struct stream *tagged = NULL;
    assert_int_equal(stream_open(pool, &options, &tagged, NULL), 0);
    gives(tagged, NULL, 0, STREAM_DONE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream__counts_its_tail_in_matches),
        cmocka_unit_test(a_stream__ends_at_an_odd_output),
        cmocka_unit_test(cheap_filters__are_asked_first),
        cmocka_unit_test(of_conditions__libjq_is_asked_last),
        cmocka_unit_test(what_the_envelope_rules_out__is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
