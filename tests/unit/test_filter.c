/*
 * Filters as their callers see them: what they load, threads and fork(), what an expression says about a message.
 * What is refused, what is hostile and filters of a stream have files of their own.
 */
#include "filters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- alone in a process, before anything was loaded ---- */

static bool is_loaded(const char *library)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1024];
    bool found = false;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, library) != NULL;
    fclose(maps);
    return found;
}

static void plain_filters__load_nothing(void **state)
{
    (void)state;
    says(".data.level == \"error\" and (.meta.tags | any(. == \"a\"))", "{\"level\":\"error\"}",
         FILTER_YES);
    says(".data.level | test(\"rro\")", "{\"level\":\"error\"}", FILTER_YES);
    assert_false(is_loaded("libonig"));
    says(".data.level | test(\"r+o\")", "{\"level\":\"error\"}", FILTER_YES);
    assert_true(is_loaded("libonig"));
    says(".data.n + 1 == 6", "{\"n\":5}", FILTER_YES);
    assert_false(is_loaded("libjq"));
}

/* The modules are found from where the program is; a copy elsewhere has none. */
static void a_missing_module__is_named(void **state)
{
    const char *copy = scratch_path("copy");
    auto_buf struct buf command = BUF_INIT;
    char line[1024] = "";
    FILE *output;

    (void)state;
    file_copy("/proc/self/exe", copy);
    assert_int_equal(chmod(copy, 0700), 0);
    must(buf_printf(&command, "cd / && %s compile '.data.n + 1 == 6'", copy) == 0, "no memory");
    output = popen(buf_str(&command), "r");
    assert_non_null(output);
    assert_non_null(fgets(line, sizeof line, output));
    assert_int_equal(pclose(output), 0);
    assert_non_null(strstr(
        line,
        "Internal: this filter needs plasmite-jq, which cannot be loaded: It belongs in "));
}

/* What the copy does. */
static int compile_and_tell(const char *expression)
{
    struct error err = ERROR_INIT;
    struct filter *filter = NULL;

    if (filter_new(bytes_of(expression), &filter, &err) == 0)
        return 1;
    printf("%s: %s: %s\n", error_kind_name(err.kind), err.message, err.hint);
    return 0;
}

/* Another thread is in the middle of compiling and matching whenever this one forks. */
static void *compile_and_match(void *stop)
{
    while (!atomic_load((atomic_bool *)stop))
        says(".data.n + 1 == 6", "{\"n\":5}", FILTER_YES);
    return NULL;
}

/* The thread sanitizer ends children of fork() that start threads, unless it is asked not to. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0 report_thread_leaks=0";
}

static void a_child_of_fork__can_use_filters(void **state)
{
    auto_filter struct filter *before = filter_of(".data.n + 1 == 6");
    static atomic_bool stop;
    pthread_t thread;

    (void)state;
    assert_int_equal(setenv("HOME", scratch_dir(), 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, compile_and_match, &stop), 0);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            alarm(60); /* a lock that nobody gives back */
            must(strcmp(getenv("HOME"), scratch_dir()) == 0, "HOME is %s", getenv("HOME"));
            must(match(before, "{\"n\":5}", NULL) == FILTER_YES, "no match");
            says(".data.n + 1 == 7", "{\"n\":6}", FILTER_YES);
            _exit(0);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- what a filter sees, and what it says ---- */

static void a_filter__sees_the_whole_envelope(void **state)
{
    static const char *const true_ones[] = {
        ".seq == 7",
        ".time == \"2023-11-14T22:13:21.000000005Z\"",
        ".meta == {\"tags\": [\"a\", \"b c\"]}",
        ".meta.tags[]? == \"b c\"",
        ".meta.tags | index(\"a\") != null",
        ".data.level == \"error\" and .data.n > 4",
        "keys == [\"data\", \"meta\", \"seq\", \"time\"]",
        ".data[\"level\"] | test(\"^ERR\"; \"i\")",
        "[.data.list[] | select(. > 1)] | length == 2",
        "has(\"data\") and (has(\"x\") | not)",
    };

    (void)state;
    for (size_t i = 0; i < LEN(true_ones); i++)
        says(true_ones[i], "{\"level\": \"error\", \"n\": 5, \"list\": [1, 2, 3]}", FILTER_YES);
}

static void outputs__are_looked_at_in_order(void **state)
{
    static const struct {
        const char *expression;
        enum filter_result result;
    } cases[] = {
        {"true",                     FILTER_YES},
        {"false",                    FILTER_NO },
        {"null",                     FILTER_NO },
        {".data.missing",            FILTER_NO },
        {"empty",                    FILTER_NO },
        {"false, null, true, false", FILTER_YES},
        {"true, 1",                  FILTER_ODD},
        {"1, error(\"x\")",          FILTER_ODD},
        {"error(\"x\"), 1",          FILTER_NO },
        {"true, error(\"x\")",       FILTER_NO },
        {".data.n.x.y == null",      FILTER_NO },
        {".data[0]",                 FILTER_NO },
        {".data",                    FILTER_ODD},
        {"[]",                       FILTER_ODD},
        {"\"true\"",                 FILTER_ODD},
    };

    (void)state;
    for (size_t i = 0; i < LEN(cases); i++)
        says(cases[i].expression, "{\"n\":5}", cases[i].result);
}

static void an_odd_output__is_shown(void **state)
{
    auto_filter struct filter *filter = filter_of(".data | .n + 1");
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(match(filter, "{\"n\":5}", &err), FILTER_ODD);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_string_equal(err.message, "filter expression must yield booleans");
    assert_non_null(strstr(err.hint, "`.data | .n + 1` gave 6."));
    assert_int_equal(match(filter, "{\"n\":\"x\"}", &err), FILTER_NO);
    assert_int_equal(match(filter, "{\"n\":null}", &err), FILTER_ODD);
}

static void a_filter__is_used_again_after_errors(void **state)
{
    auto_filter struct filter *filter = filter_of(".data.n | tonumber | . % 2 == 0");

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(match(filter, "{\"n\":\"x\"}", NULL), FILTER_NO);
        assert_int_equal(match(filter, "{\"n\":4}", NULL), FILTER_YES);
        assert_int_equal(match(filter, "{\"n\":5}", NULL), FILTER_NO);
    }
}

static void data_at_its_limits__is_seen(void **state)
{
    auto_buf struct buf deep = BUF_INIT;

    (void)state;
    says(".data.s == \"\\ufffd\\ufffd\"", "{\"s\":\"\\uDC00\\ud800\"}", FILTER_YES);
    says(".data.s == \"\\ufffd!\\ufffd\"", "{\"s\":\"\\ud800!\\uDFFF\"}", FILTER_YES);
    says(".data.s == \"\\\\ud800\\ud83d\\ude00\"", "{\"s\":\"\\\\ud800\\uD83D\\uDE00\"}",
         FILTER_YES);
    says(".data.n > 1e300", "{\"n\":1e400}", FILTER_YES);
    says(".data.n < -1e300", "{\"n\":-1e400}", FILTER_YES);
    says(".data.n == 0", "{\"n\":-0}", FILTER_YES);
    says(".data.k == 2", "{\"k\":1,\"k\":2}", FILTER_YES);
    says(".data[\"\"] == \"a\\u0000b\"", "{\"\":\"a\\u0000b\"}", FILTER_YES);
    must(buf_add_str(&deep, "{\"d\":") == 0, "no memory");
    for (int i = 0; i < 119; i++)
        must(buf_add_char(&deep, '[') == 0, "no memory");
    for (int i = 0; i < 119; i++)
        must(buf_add_char(&deep, ']') == 0, "no memory");
    must(buf_add_str(&deep, "}") == 0, "no memory");
    says("[.data.d | recurse(.[]?)] | length == 119", buf_str(&deep), FILTER_YES);
}

/* The processor cannot divide these two; jq 1.6 would die of it. */
static void the_lowest_integer__may_be_divided(void **state)
{
    (void)state;
    says(".data.n % -1 == 0", "{\"n\":-9223372036854775808}", FILTER_YES);
    says(".data.n % .data.m == 0", "{\"n\":-9223372036854775808,\"m\":-1.5}", FILTER_YES);
    says("7 % 4 == 3 and -7 % 4 == -3 and 7 % -4 == 3", "{}", FILTER_YES);
    says(".data.n %= 4 | .data.n == 3", "{\"n\":7}", FILTER_YES);
}

/* A key that is missing is null, at the top of the message as anywhere. */
static void a_first_key_that_no_message_has__is_null(void **state)
{
    (void)state;
    says(".level == \"error\"", "{\"level\":\"error\"}", FILTER_NO);
    says(".level", "{\"level\":\"error\"}", FILTER_NO);
    says(".level == null", "{\"level\":\"error\"}", FILTER_YES);
    says(".level.of[\"it\"] == null", "{\"level\":\"error\"}", FILTER_YES);
    says(".level + 1 == 1", "{\"level\":\"error\"}", FILTER_YES);
    says(".level == null and .seq % 1 == 0", "{\"level\":\"error\"}", FILTER_YES);
    says(".level == \"error\" and .seq % 1 == 0", "{\"level\":\"error\"}", FILTER_NO);
}

static void numbers_in_texts__are_read_as_by_jq(void **state)
{
    static const struct {
        const char *data;
        enum filter_result result;
    } cases[] = {
        {"{\"s\":\"\\f1\"}",         FILTER_YES},
        {"{\"s\":\"\\u000b1\"}",     FILTER_YES},
        {"{\"s\":\" \\f1\"}",        FILTER_YES},
        {"{\"s\":\"1\\u001e\"}",     FILTER_YES},
        {"{\"s\":\"1 \\u001e \"}",   FILTER_YES},
        {"{\"s\":\"\\u001e1\"}",     FILTER_NO },
        {"{\"s\":\"1\\f\"}",         FILTER_NO },
        {"{\"s\":\"\\u000b 1\"}",    FILTER_NO },
    };

    (void)state;
    for (size_t i = 0; i < LEN(cases); i++) {
        says(".data.s | tonumber == 1", cases[i].data, cases[i].result);
        says(".data.s | [.[0:]] | .[0] | tonumber == 1", cases[i].data, cases[i].result);
    }
}

/* ---- where we leave jq on purpose ---- */

static void whole_numbers__are_compared_exactly(void **state)
{
    (void)state;
    says(".data.n == 9007199254740993", "{\"n\":9007199254740993}", FILTER_YES);
    says(".data.n == 9007199254740992", "{\"n\":9007199254740993}", FILTER_NO);
    says(".data.n > 9007199254740992", "{\"n\":9007199254740993}", FILTER_YES);
    says(".data.n < -123456789012345678901234567890", "{\"n\":-123456789012345678901234567891}",
         FILTER_YES);
    says(".data.n == \"9007199254740993\" or (.data.s | tonumber) == .data.n",
         "{\"n\":9007199254740993,\"s\":\"9007199254740993\"}", FILTER_YES);
    says(".data.l | contains([18446744073709551615])", "{\"l\":[18446744073709551614]}", FILTER_NO);
    says(".data.n == 1e3 and .data.n == 1000.0", "{\"n\":1000}", FILTER_YES);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_filters__load_nothing), /* first: libraries stay */
        cmocka_unit_test(a_missing_module__is_named),
        cmocka_unit_test(a_child_of_fork__can_use_filters),
        cmocka_unit_test(a_filter__sees_the_whole_envelope),
        cmocka_unit_test(outputs__are_looked_at_in_order),
        cmocka_unit_test(an_odd_output__is_shown),
        cmocka_unit_test(a_filter__is_used_again_after_errors),
        cmocka_unit_test(data_at_its_limits__is_seen),
        cmocka_unit_test(the_lowest_integer__may_be_divided),
        cmocka_unit_test(a_first_key_that_no_message_has__is_null),
        cmocka_unit_test(numbers_in_texts__are_read_as_by_jq),
        cmocka_unit_test(whole_numbers__are_compared_exactly),
    };

    if (argc == 3 && strcmp(argv[1], "compile") == 0)
        return compile_and_tell(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
