/*
 * What the tests of filters share: an expression, what it says about a message, and how it is refused.
 */
#ifndef TESTS_FILTERS_H
#define TESTS_FILTERS_H

#include "pools.h"

#include "pool/filter.h"
#include "pool/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LEN(array) (sizeof(array) / sizeof *(array))

static inline struct filter *filter_of(const char *expression)
{
    struct error err = ERROR_INIT;
    struct filter *filter = NULL;

    if (filter_new(bytes_of(expression), &filter, &err) < 0)
        fail_msg("%s: %s; %s; %s", expression, err.message, err.hint, err.cause);
    return filter;
}

/* Number 7, tags a and b c, one second and 5 ns after 2023-11-14T22:13:20Z. */
static inline enum filter_result match(struct filter *filter, const char *data, struct error *err)
{
    auto_buf struct buf compact = BUF_INIT;
    struct message message = {
        .seq = 7,
        .time_ns = 1700000001000000005,
        .tags = BYTES("\"a\",\"b c\""),
    };

    must(json_compact(bytes_of(data), &compact, NULL) == 0, "%s", data);
    message.data = buf_bytes(&compact);
    return filter_match(filter, &message, err);
}

static inline void says(const char *expression, const char *data, enum filter_result expected)
{
    auto_filter struct filter *filter = filter_of(expression);
    struct error err = ERROR_INIT;
    enum filter_result result = match(filter, data, &err);

    if (result != expected)
        fail_msg("%s on %s: %d instead of %d (%s; %s)", expression, data, (int)result,
                 (int)expected, err.message, err.hint);
}

static inline void fails_with(const char *expression, const char *hint)
{
    struct error err = ERROR_INIT;
    struct filter *filter = NULL;

    if (filter_new(bytes_of(expression), &filter, &err) == 0) {
        filter_free(filter);
        fail_msg("%s is taken", expression);
    }
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_string_equal(err.message, "invalid filter expression");
    if (strstr(err.hint, hint) == NULL)
        fail_msg("%s: `%s` is not in: %s", expression, hint, err.hint);
    assert_non_null(strstr(err.hint, ".data.level == \"error\""));
}

#endif
