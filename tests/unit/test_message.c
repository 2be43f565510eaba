#include "pool/message.h"

#include "crc32c.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_text(struct bytes got, const char *expected)
{
    if (!bytes_equal(got, bytes_of(expected)))
        fail_msg("got: %.*s\nexpected: %s", (int)got.n, got.p, expected);
}

/* ---- tags ---- */

static void tags__are_kept_as_the_inside_of_an_array(void **state)
{
    auto_buf struct buf tags = BUF_INIT, quoted = BUF_INIT;
    struct bytes tag;
    uint32_t raw = 0;
    size_t at = 0;

    (void)state;
    assert_false(tags_next(buf_bytes(&tags), &at, &tag));
    assert_int_equal(tags_add(&tags, &raw, BYTES("a"), NULL), 0);
    assert_int_equal(tags_add(&tags, &raw, BYTES(""), NULL), 0);
    assert_int_equal(tags_add(&tags, &raw, BYTES("x\",\"y"), NULL), 0);
    assert_int_equal(raw, 6);
    assert_text(buf_bytes(&tags), "\"a\",\"\",\"x\\\",\\\"y\"");
    assert_true(tags_next(buf_bytes(&tags), &at, &tag));
    assert_text(tag, "\"a\"");
    assert_true(tags_next(buf_bytes(&tags), &at, &tag));
    assert_text(tag, "\"\"");
    assert_true(tags_next(buf_bytes(&tags), &at, &tag));
    assert_text(tag, "\"x\\\",\\\"y\"");
    assert_false(tags_next(buf_bytes(&tags), &at, &tag));

    buf_add_json_string(&quoted, BYTES("x\",\"y"));
    assert_true(tags_have(buf_bytes(&tags), buf_bytes(&quoted)));
    assert_true(tags_have(buf_bytes(&tags), BYTES("\"\"")));
    assert_false(tags_have(buf_bytes(&tags), BYTES("\"y\"")));
    assert_false(tags_have(buf_bytes(&tags), BYTES("\"x\"")));
}

static void tags__have_limits_and_are_utf8(void **state)
{
    static char many[TAGS_BYTES_MAX];
    auto_buf struct buf tags = BUF_INIT;
    struct error err;
    uint32_t raw = 0;

    (void)state;
    memset(many, 'x', sizeof many);
    assert_int_equal(tags_add(&tags, &raw, BYTES("\xff"), &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_int_equal(tags_add(&tags, &raw, BYTES("\xed\xa0\x80"), &err), -1);
    assert_int_equal(tags_add(&tags, &raw, BYTES("\xe6\xbc"), &err), -1);
    assert_int_equal(tags.n, 0);
    assert_int_equal(tags_add(&tags, &raw, (struct bytes){many, sizeof many}, &err), 0);
    assert_int_equal(tags_add(&tags, &raw, BYTES(""), &err), 0);
    assert_int_equal(tags_add(&tags, &raw, BYTES("y"), &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_int_equal(raw, TAGS_BYTES_MAX);

    buf_clear(&tags);
    raw = 0;
    for (unsigned i = 0; i < TAGS_COUNT_MAX; i++)
        assert_int_equal(tags_add(&tags, &raw, BYTES("\x01"), &err), 0);
    assert_int_equal(tags_add(&tags, &raw, BYTES(""), &err), -1);
    assert_int_equal(raw, TAGS_COUNT_MAX);
}

static void tags_join__obeys_the_limits(void **state)
{
    auto_buf struct buf a = BUF_INIT, b = BUF_INIT;
    uint32_t raw_a = 0, raw_b = 0;
    struct error err;

    (void)state;
    assert_int_equal(tags_join(&a, &raw_a, (struct bytes){0}, 0, &err), 0);
    tags_add(&b, &raw_b, BYTES("b"), &err);
    assert_int_equal(tags_join(&a, &raw_a, buf_bytes(&b), raw_b, &err), 0);
    assert_int_equal(tags_join(&a, &raw_a, buf_bytes(&b), raw_b, &err), 0);
    assert_text(buf_bytes(&a), "\"b\",\"b\"");
    assert_int_equal(raw_a, 2);
    while (raw_a < TAGS_COUNT_MAX)
        assert_int_equal(tags_join(&a, &raw_a, buf_bytes(&b), raw_b, &err), 0);
    assert_int_equal(tags_join(&a, &raw_a, buf_bytes(&b), raw_b, &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
}

static void payload__has_the_checksum_of_tags_and_data(void **state)
{
    struct payload p = payload_make(BYTES("\"a\""), 1, BYTES("{\"b\":1}"));

    (void)state;
    assert_int_equal(p.body_crc, crc32c(0, "\"a\"{\"b\":1}", 10));
    p = payload_make((struct bytes){0}, 0, BYTES("{}"));
    assert_int_equal(p.body_crc, crc32c(0, "{}", 2));
}

/* ---- the envelope ---- */

static void envelope__is_as_the_format_says(void **state)
{
    struct message m = {.seq = 7,
                        .time_ns = 1772600767000000005,
                        .tags = BYTES("\"a\""),
                        .data = BYTES("{\"n\":1}")};
    struct time_cache cache = {0};
    auto_buf struct buf out = BUF_INIT;

    (void)state;
    assert_int_equal(message_render(&m, &cache, &out), 0);
    assert_text(buf_bytes(&out), "{\"seq\":7,\"time\":\"2026-03-04T05:06:07.000000005Z\",\"meta\":{"
                                 "\"tags\":[\"a\"]},\"data\":{\"n\":1}}\n");
    assert_int_equal(message_length(7, 3, 7), out.n);
    buf_clear(&out);
    assert_int_equal(message_receipt(&m, &cache, &out), 0);
    assert_text(
        buf_bytes(&out),
        "{\"seq\":7,\"time\":\"2026-03-04T05:06:07.000000005Z\",\"meta\":{\"tags\":[\"a\"]}}\n");
}

static void envelope__holds_every_number(void **state)
{
    struct time_cache cache = {0};
    uint64_t seq = 1;

    (void)state;
    for (int digits = 1; digits <= 20; digits++, seq *= 10) {
        uint64_t around[] = {seq - 1, seq, seq + 1, UINT64_MAX, seq * 9 + 8};

        for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
            struct message m = {.seq = around[i], .tags = {0}, .data = BYTES("{}")};
            auto_buf struct buf out = BUF_INIT;
            char expected[128];

            snprintf(expected, sizeof expected,
                     "{\"seq\":%" PRIu64 ",\"time\":\"1970-01-01T00:00:00.000000000Z\",\"meta\":{"
                                         "\"tags\":[]},\"data\":{}}\n",
                     around[i]);
            message_render(&m, &cache, &out);
            assert_text(buf_bytes(&out), expected);
            assert_int_equal(message_length(around[i], 0, 2), strlen(expected));
        }
    }
}

/* ---- messages in input ---- */

#define TIME "\"time\":\"2026-03-04T05:06:07.000000005Z\""
#define META "\"meta\":{\"tags\":[\"a\",\"b\"]}"

static void is_message(const char *object, const char *tags, const char *data)
{
    auto_buf struct buf got = BUF_INIT;
    struct bytes got_data = {0};
    struct error err = ERROR_INIT;
    uint32_t raw = 0;

    if (message_recognise(bytes_of(object), &got, &raw, &got_data, &err) != 1)
        fail_msg("no message (%s): %s", err.message, object);
    assert_text(buf_bytes(&got), tags);
    assert_text(got_data, data);
}

static void is_data(const char *object)
{
    auto_buf struct buf got = BUF_INIT;
    struct bytes got_data;
    struct error err = ERROR_INIT;
    uint32_t raw = 0;

    if (message_recognise(bytes_of(object), &got, &raw, &got_data, &err) != 0)
        fail_msg("not taken as data (%s): %s", err.message, object);
    assert_int_equal(got.n, 0);
}

static void is_wrong(const char *object, const char *why)
{
    auto_buf struct buf got = BUF_INIT;
    struct bytes got_data;
    struct error err = ERROR_INIT;
    uint32_t raw = 9;

    buf_add_str(&got, "\"before\"");
    if (message_recognise(bytes_of(object), &got, &raw, &got_data, &err) != -1)
        fail_msg("not refused: %s", object);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_int_equal(err.detail, ERROR_DETAIL_BAD_JSON);
    if (strstr(err.message, why) == NULL)
        fail_msg("%s: %s", object, err.message);
    assert_text(buf_bytes(&got), "\"before\"");
    assert_int_equal(raw, 9);
}

static void recognise__takes_messages_in_any_order_of_keys(void **state)
{
    (void)state;
    is_message("{\"seq\":1," TIME "," META ",\"data\":{\"n\":1}}", "\"a\",\"b\"", "{\"n\":1}");
    is_message("{\"data\":{\"n\":[1,{}]}," META "," TIME ",\"seq\":18446744073709551615}",
               "\"a\",\"b\"", "{\"n\":[1,{}]}");
    is_message(
        "{\"meta\":{\"tags\":[]},\"data\":{},\"seq\":0,\"time\":\"2026-03-04t05:06:07+01:00\"}", "",
        "{}");
    is_message("{\"\\u0073eq\":1,\"tim\\u0065\":\"2026-03-04T05:06:07Z\",\"\\u006deta\":{"
               "\"t\\u0061gs\":[\"\\u00e9\\n\"]},\"data\":{}}",
               "\"\xc3\xa9\\n\"", "{}");
    is_message("{\"seq\":1," TIME ",\"meta\":{\"tags\":[\"\\ud800\"]},\"data\":{}}",
               "\"\xef\xbf\xbd\"", "{}");
}

static void recognise__leaves_other_objects_alone(void **state)
{
    (void)state;
    is_data("{}");
    is_data("{\"n\":1}");
    is_data("{\"status\":\"green\",\"seq\":1}");
    is_data("{\"seq\":1," TIME "," META "}");
    is_data("{\"seq\":1," TIME ",\"data\":{}}");
    is_data("{\"seq\":1," TIME "," META ",\"data\":{},\"more\":1}");
    is_data("{\"seq\":1,\"seq\":2," TIME "," META ",\"data\":{}}");
    is_data("{\"seq\":1," TIME "," META ",\"data\":{},\"d\\u0061ta\":{}}");
    is_data("{\"seq\":1," TIME ",\"meta\":{},\"data\":{}}");
    is_data("{\"seq\":1," TIME ",\"meta\":{\"tags\":[],\"x\":1},\"data\":{}}");
    is_data("{\"seq\":1," TIME ",\"meta\":{\"tags\":[],\"tags\":[]},\"data\":{}}");
    is_data("{\"seq\":1," TIME ",\"meta\":[],\"data\":{}}");
    is_data("{\"Seq\":1," TIME "," META ",\"data\":{}}");
}

static void recognise__refuses_wrong_types_in_the_shape(void **state)
{
    (void)state;
    is_wrong("{\"seq\":\"1\"," TIME "," META ",\"data\":{}}", "seq must be");
    is_wrong("{\"seq\":-1," TIME "," META ",\"data\":{}}", "seq must be");
    is_wrong("{\"seq\":1.0," TIME "," META ",\"data\":{}}", "seq must be");
    is_wrong("{\"seq\":1e3," TIME "," META ",\"data\":{}}", "seq must be");
    is_wrong("{\"seq\":18446744073709551616," TIME "," META ",\"data\":{}}", "seq must be");
    is_wrong("{\"seq\":null," TIME "," META ",\"data\":{}}", "seq must be");
    is_wrong("{\"seq\":1,\"time\":5," META ",\"data\":{}}", "time must be");
    is_wrong("{\"seq\":1,\"time\":\"1h\"," META ",\"data\":{}}", "time must be");
    is_wrong("{\"seq\":1,\"time\":\"12:30\"," META ",\"data\":{}}", "time must be");
    is_wrong("{\"seq\":1,\"time\":\"@5\"," META ",\"data\":{}}", "time must be");
    is_wrong("{\"seq\":1,\"time\":\"2026-02-30T00:00:00Z\"," META ",\"data\":{}}", "time must be");
    is_wrong("{\"seq\":1,\"time\":\"2026-02-03T00:00:00\"," META ",\"data\":{}}", "time must be");
    is_wrong("{\"seq\":1,\"time\":\"\"," META ",\"data\":{}}", "time must be");
    is_wrong("{\"seq\":1," TIME ",\"meta\":{\"tags\":\"a\"},\"data\":{}}", "tags must be");
    is_wrong("{\"seq\":1," TIME ",\"meta\":{\"tags\":[\"a\",1]},\"data\":{}}", "tags must be");
    is_wrong("{\"seq\":1," TIME ",\"meta\":{\"tags\":{}},\"data\":{}}", "tags must be");
    is_wrong("{\"seq\":1," TIME "," META ",\"data\":[]}", "data must be");
    is_wrong("{\"seq\":1," TIME "," META ",\"data\":\"x\"}", "data must be");
}

static void recognise__reads_back_what_was_rendered(void **state)
{
    struct message m = {.seq = 12,
                        .time_ns = 1772600767123456789,
                        .tags = BYTES("\"a\\\"\",\"\xc3\xa9\""),
                        .data = BYTES("{\"n\":{\"data\":1}}")};
    struct time_cache cache = {0};
    auto_buf struct buf out = BUF_INIT, tags = BUF_INIT;
    struct bytes data;
    uint32_t raw = 0;

    (void)state;
    message_render(&m, &cache, &out);
    out.n--; /* the newline */
    assert_int_equal(message_recognise(buf_bytes(&out), &tags, &raw, &data, NULL), 1);
    assert_true(bytes_equal(data, m.data));
    assert_true(bytes_equal(buf_bytes(&tags), m.tags));
    assert_int_equal(raw, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags__are_kept_as_the_inside_of_an_array),
        cmocka_unit_test(tags__have_limits_and_are_utf8),
        cmocka_unit_test(tags_join__obeys_the_limits),
        cmocka_unit_test(payload__has_the_checksum_of_tags_and_data),
        cmocka_unit_test(envelope__is_as_the_format_says),
        cmocka_unit_test(envelope__holds_every_number),
        cmocka_unit_test(recognise__takes_messages_in_any_order_of_keys),
        cmocka_unit_test(recognise__leaves_other_objects_alone),
        cmocka_unit_test(recognise__refuses_wrong_types_in_the_shape),
        cmocka_unit_test(recognise__reads_back_what_was_rendered),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
