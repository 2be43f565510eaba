/*
 * What the tests of plasmite-jq share: filters that it evaluates, and the processes that it leaves, or not.
 */
#ifndef TESTS_JQ_FILTERS_H
#define TESTS_JQ_FILTERS_H

#include "pools.h"

#include "pool/filter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

static inline struct filter *filter_of(const char *expression)
{
    struct error err = ERROR_INIT;
    struct filter *filter = NULL;

    must(filter_new(bytes_of(expression), &filter, &err) == 0, "%s: %s; %s; %s", expression,
         err.message, err.hint, err.cause);
    return filter;
}

static inline enum filter_result match(struct filter *filter, const char *data, struct error *err)
{
    const struct message message = {.seq = 7, .tags = BYTES("\"a\""), .data = bytes_of(data)};

    return filter_match(filter, &message, err);
}

static inline void says(struct filter *filter, const char *data, enum filter_result expected)
{
    struct error err = ERROR_INIT;
    enum filter_result result = match(filter, data, &err);

    must(result == expected, "%d: %s; %s", (int)result, err.message, err.hint);
}

static inline void fails(struct filter *filter, const char *data, const char *message)
{
    struct error err = ERROR_INIT;

    assert_int_equal(match(filter, data, &err), FILTER_FAILED);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_string_equal(err.message, message);
    assert_int_equal(err.seq, 7);
}

/* From now on the orphans among them come to this process. */
static inline void get_orphans(void)
{
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

static inline void has_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    assert_int_equal(errno, ECHILD);
}

#endif
