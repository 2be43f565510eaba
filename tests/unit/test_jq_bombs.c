/*
 * Expressions that would hang plasmite-jq, fill its memory or crash it: each is an error of its filter, and a
 * filter that gives nothing else is given up.
 */
#include "jq_filters.h"

#define TOO_MUCH "the filter takes too much time or memory on a message"
#define STACK_BOMB "reduce range(300000) as $i (null; [.]) | false"

static void bombs__are_errors(void **state)
{
    static const struct {
        const char *expression, *message;
    } cases[] = {
        {STACK_BOMB,                                       "the filter made jq crash on a message"},
        {"(\"x\" * 1000000000) | length > 0",              TOO_MUCH                               },
        {"[range(1e9) | [.]] | length == 1",               TOO_MUCH                               },
        {"[range(20000)] | indices(.) | length > 0",       TOO_MUCH                               },
        {"def f: [f]; f",                                  TOO_MUCH                               },
        {"[limit(100000000; repeat(\"x\"))] | length > 0", TOO_MUCH                               },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_buf struct buf text = BUF_INIT;
        auto_filter struct filter *filter = NULL;

        must(buf_printf(&text, "if .data.go then (%s) else .data.n + 1 == 6 end",
                        cases[i].expression) == 0,
             "no memory");
        filter = filter_of(buf_str(&text));
        fails(filter, "{\"go\":true}", cases[i].message);
        has_no_children();
        says(filter, "{\"n\":5}", FILTER_YES);
    }
}

static void a_filter_that_only_fails__is_given_up(void **state)
{
    auto_filter struct filter *filter =
        filter_of("if .data.go then (" STACK_BOMB ") else . == 1 end");
    struct error err = ERROR_INIT;

    (void)state;
    for (int i = 0; i < 4; i++)
        fails(filter, "{\"go\":true}", "the filter made jq crash on a message");
    fails(filter, "{\"go\":true}", "the filter failed on too many messages");
    assert_int_equal(match(filter, "{}", &err), FILTER_FAILED);
    has_no_children();
}

static void filters_that_share__are_given_up_together(void **state)
{
    static const char bomb[] = "if .data.go then (" STACK_BOMB ") else . == 1 end";
    struct filter_credit credit = FILTER_CREDIT_INIT;
    auto_filter struct filter *one = filter_of(bomb), *other = filter_of(bomb);

    (void)state;
    filter_share(one, &credit);
    filter_share(other, &credit);
    for (int i = 0; i < 4; i++)
        fails(i % 2 == 0 ? one : other, "{\"go\":true}",
              "the filter made jq crash on a message");
    fails(one, "{}", "the filter failed on too many messages");
    fails(other, "{}", "the filter failed on too many messages");
    has_no_children();
}

static void a_filter_that_seldom_fails__is_not(void **state)
{
    auto_filter struct filter *filter =
        filter_of("if .data.go then (" STACK_BOMB ") else . == 1 end");

    (void)state;
    for (int i = 0; i < 6; i++) {
        fails(filter, "{\"go\":true}", "the filter made jq crash on a message");
        for (int k = 0; k < 1000; k++)
            says(filter, "{}", FILTER_NO);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bombs__are_errors),
        cmocka_unit_test(a_filter_that_only_fails__is_given_up),
        cmocka_unit_test(filters_that_share__are_given_up_together),
        cmocka_unit_test(a_filter_that_seldom_fails__is_not),
    };

    get_orphans();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
