/*
 * Expressions and messages that would end, hang or fill a process: they do not.
 */
#include "filters.h"

#include <sys/resource.h>

static void what_would_end_or_hang_jq__does_not(void **state)
{
    static const char *const expressions[] = {
        "[.data.s] | .[0] | index(\"\")",
        "[.data.s] | .[0] | rindex(.[0:0]) != null",
        "[.data.s] | .[0] | indices(\"\") | length > 0",
        ".data.t | todate | false",
        ".data.t | strftime(\"%Y\") | false",
        ".data.t | strflocaltime(\"%Y\") | false",
        ".data | implode",
        "[.data.t] | implode | false",
        "1e18 | gmtime",
        ".data.n % -1 == 1",
        "[.data.s | match(\"(a+)+$\")] | length > 0",
        ".data.s | test(\"(a+)+$\")",
    };

    (void)state;
    for (size_t i = 0; i < LEN(expressions); i++)
        says(expressions[i],
             "{\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\","
             "\"t\":1e18,\"n\":-9223372036854775808}",
             FILTER_NO);
}

static void a_slice_without_numbers__is_one_without_ends(void **state)
{
    static const char *const expressions[] = {
        ".data.s[nan:] == \"abc\"",
        ".data.s[:nan] == \"abc\"",
        ".data.a[(infinite - infinite):] == [1, 2]",
        ".data.a[\"nan\" | tonumber : nan] == [1, 2]",
        ".data.a | .[{start: nan, end: 1}] == [1]",
        ".data.a | .[nan:] = [3] | . == [3]",
        ".data.a | del(.[nan:1]) | . == [2]",
        ".data.a | getpath([{start: 1, end: nan}]) == [2]",
        ".data.a | setpath([{start: 1, end: nan}]; []) == [1]",
        "{start: nan, end: 1} | .start == null and .end == 1",
    };

    (void)state;
    for (size_t i = 0; i < LEN(expressions); i++)
        says(expressions[i], "{\"s\":\"abc\",\"a\":[1,2]}", FILTER_YES);
}

static void fails_on(const char *expression, const char *data, const char *message)
{
    auto_filter struct filter *filter = filter_of(expression);
    struct error err = ERROR_INIT;

    must(match(filter, data, &err) == FILTER_FAILED, "%.200s", expression);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_string_equal(err.message, message);
    assert_int_equal(err.seq, 7);
    assert_int_equal(match(filter, "{}", &err), FILTER_NO);
}

static void endless_work__is_ended(void **state)
{
    (void)state;
    fails_on("def f: if .data.go then f else false end; f", "{\"go\":true}",
             "the filter takes too much time or memory on a message");
    fails_on("if .data.go then [range(1e9) | [.]] | length == 1 else false end", "{\"go\":true}",
             "the filter takes too much time or memory on a message");
}

static void products_of_lists__have_a_limit(void **state)
{
    auto_buf struct buf data = BUF_INIT;

    (void)state;
    buf_add_str(&data, "{\"a\":[0");
    for (int i = 1; i < 5000; i++)
        buf_printf(&data, ",%d", i);
    buf_add_str(&data, "]}");
    fails_on(".data.a[] == .data.a[]", buf_str(&data),
             "the filter takes too many steps on a message");
}

/* One of these would take minutes, or an hour. */
static void what_is_not_a_value__counts_too(void **state)
{
    static const char too_long[] = "the filter takes too many steps on a message";
    auto_buf struct buf lists = BUF_INIT, names = BUF_INIT, keys = BUF_INIT, logic = BUF_INIT;

    (void)state;
    buf_add_str(&lists, "{\"texts\":[0");
    for (int i = 0; i < 20000; i++)
        buf_add_str(&lists, ",\"aaaaaaaaaaaaaaaaaac\"");
    buf_add_str(&lists, "],\"some\":[0");
    for (int i = 0; i < 20000; i++)
        buf_add_str(&lists, ",1");
    buf_add_str(&lists, "],\"word\":\"");
    for (int i = 0; i < 100000; i++)
        buf_add_str(&lists, "ab");
    buf_add_str(&lists, "\"}");
    fails_on("any(.data.texts[]?; strings | test(\"^(a+)+[bd]*$\"))", buf_str(&lists), too_long);
    fails_on(".data | any((.texts | length) < .some[]?; . == null)", buf_str(&lists), too_long);
    fails_on("(.data.word | length) == .data.some[]?", buf_str(&lists), too_long);
    fails_on("(.data.word | contains(\"bac\")) == .data.some[]?", buf_str(&lists), too_long);

    buf_add_str(&names, ".data.a0");
    for (int i = 1; i < 4000; i++)
        buf_printf(&names, " or .data.a%d", i);
    buf_add_str(&keys, "{\"k\":0");
    for (int i = 0; i < 80000; i++)
        buf_printf(&keys, ",\"k%d\":0", i);
    buf_add_str(&keys, "}");
    fails_on(buf_str(&names), buf_str(&keys), too_long);

    buf_add_str(&logic, "any(.data.some[]?; false");
    for (int i = 0; i < 6000; i++)
        buf_add_str(&logic, " or false");
    buf_add_str(&logic, ")");
    fails_on(buf_str(&logic), buf_str(&lists), too_long);
}

/* From each of 200,000 places to the end, without a single retry: 20 s when nobody looks at the time. */
static void a_regex_without_retries__has_a_limit(void **state)
{
    auto_buf struct buf data = BUF_INIT;

    (void)state;
    buf_add_str(&data, "{\"s\":\"");
    for (int i = 0; i < 200000; i++)
        buf_add_char(&data, 'a');
    buf_add_str(&data, "\u00e9db\"}");
    fails_on(".data.s | test(\"(?>a*)b\")", buf_str(&data),
             "the filter takes too many steps on a message");
    says(".data.s | test(\"db$\")", buf_str(&data), FILTER_YES);
    says(".data.s | test(\"$\")", buf_str(&data), FILTER_YES);
    says(".data.s | test(\"[f\u00e8]\")", buf_str(&data), FILTER_NO);
    says(".data.s | test(\"(?<=aa).[c-d]b\")", buf_str(&data), FILTER_YES);
}

/* 180 bytes for each key were a third of a gigabyte. */
static void counting_keys__takes_little_memory(void **state)
{
    auto_filter struct filter *filter = filter_of(".data | length == 1000000");
    auto_buf struct buf data = BUF_INIT;
    struct message message = {.seq = 1};
    struct rusage before, after;

    (void)state;
    buf_add_str(&data, "{\"a\":1,\"\\u0061\":2,\"b\":3");
    for (int i = 2; i < 1000000; i++)
        buf_printf(&data, ",\"%x\":0", 16 + i);
    buf_add_str(&data, "}");
    message.data = buf_bytes(&data);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(filter_match(filter, &message, NULL), FILTER_YES);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 50000); /* KiB; with what it takes to sort */
#endif
}

/* What takes a quarter of a second of the owner takes less of it for others. */
static void strangers__get_less_time(void **state)
{
    auto_filter struct filter *owner = filter_of("(.data.a[] == .data.a[]) | false");
    auto_filter struct filter *other = NULL;
    auto_buf struct buf data = BUF_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(filter_new_with(BYTES("(.data.a[] == .data.a[]) | false"), FILTER_NATIVE_ONLY,
                                     &other, &err),
                     0);
    buf_add_str(&data, "{\"a\":[0");
    for (int i = 1; i < 1500; i++)
        buf_printf(&data, ",%d", i);
    buf_add_str(&data, "]}");
    assert_int_equal(match(owner, buf_str(&data), &err), FILTER_NO);
    assert_int_equal(match(other, buf_str(&data), &err), FILTER_FAILED);
    assert_string_equal(err.message, "the filter takes too many steps on a message");
    filter_free(other);
    assert_int_equal(filter_new_with(BYTES(".data.s | test(\"^(?:a|(b|c*?)+)[^+*]{2,}?$\"; \"x\")"),
                                     FILTER_NATIVE_ONLY, &other, &err),
                     0);
    assert_int_equal(match(other, "{\"s\":\"abcdef\"}", &err), FILTER_YES);
}

/*
 * Bytes of a pool file that somebody else wrote: no answer is right, but nothing is read behind the
 * end.
 */
static void what_is_no_json__is_survived(void **state)
{
    static const char *const expressions[] = {
        ".data.a.b == 1",
        ".data == {}",
        ".data | length > 1",
        "any(.data.a[]; . == 1)",
        ".data.a | test(\"x+\")",
        ".data.a | contains([1])",
        ".data | contains({a: {}})",
        ".data < .data.a",
        ".data.a | tonumber > 1",
    };
    static const char text[] =
        "{\"a\":{\"b\":[1,{\"\\u12\":\"\\ud8\"}],\"a\":\"\\\",\"c\":-1e},\"a\":[{\"a\":[[[\"";

    (void)state;
    for (size_t i = 0; i < LEN(expressions); i++) {
        auto_filter struct filter *filter = filter_of(expressions[i]);

        for (size_t from = 0; from < sizeof text; from++)
            for (size_t n = 0; n < sizeof text - from; n++) {
                char *exact = malloc(n + 1); /* so that a sanitizer sees its end */
                struct message message = {
                    .seq = 1, .tags = BYTES("\"a"), .data = {exact + 1, n}
                };

                memcpy(exact + 1, text + from, n);
                (void)filter_match(filter, &message, NULL);
                free(exact);
            }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting_keys__takes_little_memory), /* before the peak is higher */
        cmocka_unit_test(what_would_end_or_hang_jq__does_not),
        cmocka_unit_test(a_slice_without_numbers__is_one_without_ends),
        cmocka_unit_test(endless_work__is_ended),
        cmocka_unit_test(products_of_lists__have_a_limit),
        cmocka_unit_test(what_is_not_a_value__counts_too),
        cmocka_unit_test(a_regex_without_retries__has_a_limit),
        cmocka_unit_test(strangers__get_less_time),
        cmocka_unit_test(what_is_no_json__is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
