#include "pool/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* cmocka's; here it is ours that is tested */

static void fail__fills_and_forgets_what_was_there(void **state)
{
    struct error err;

    (void)state;
    memset(&err, 'x', sizeof err);
    assert_int_equal(fail(&err, PLSM_ERROR_USAGE, "bad %s\nthing", "little"), -1);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_string_equal(err.message, "bad little thing");
    assert_string_equal(err.hint, "");
    assert_string_equal(err.path, "");
    assert_string_equal(err.cause, "");
    assert_false(err.has_seq);
    assert_false(err.has_offset);
    assert_int_equal(err.detail, ERROR_DETAIL_NONE);
    assert_int_equal(err.os_errno, 0);
}

static void fail_os__names_the_cause(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(fail_os(&err, PLSM_ERROR_NOT_FOUND, ENOENT, "not found"), -1);
    assert_string_equal(err.cause, "No such file or directory (os error 2)");
    assert_int_equal(err.os_errno, ENOENT);
    fail_os(&err, PLSM_ERROR_IO, 99999, "x");
    assert_string_equal(err.cause, "Unknown error (os error 99999)");
}

static void details__are_added(void **state)
{
    struct error err;

    (void)state;
    fail(&err, PLSM_ERROR_CORRUPT, "x");
    assert_int_equal(fail_path(&err, "/a/b"), -1);
    assert_int_equal(fail_seq(&err, 7), -1);
    assert_int_equal(fail_offset(&err, 4096), -1);
    assert_int_equal(fail_hint(&err, "try %d", 3), -1);
    assert_int_equal(fail_detail(&err, ERROR_DETAIL_FORMAT), -1);
    assert_string_equal(err.path, "/a/b");
    assert_string_equal(err.hint, "try 3");
    assert_true(err.has_seq && err.seq == 7 && err.has_offset && err.offset == 4096);
    assert_int_equal(err.detail, ERROR_DETAIL_FORMAT);
}

static void long_texts__are_cut_not_overrun(void **state)
{
    struct error err;
    char text[3000];

    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    text[sizeof text - 2] = 'z';
    fail(&err, PLSM_ERROR_IO, "%s", text);
    fail_path(&err, text);
    fail_hint(&err, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(strlen(err.hint), sizeof err.hint - 1);
    assert_int_equal(strlen(err.path), sizeof err.path - 1);
    assert_int_equal(err.path[sizeof err.path - 2], 'z'); /* the end says more */
}

static void null__means_nobody_cares(void **state)
{
    (void)state;
    assert_int_equal(fail(NULL, PLSM_ERROR_IO, "x"), -1);
    assert_int_equal(fail_os(NULL, PLSM_ERROR_IO, EIO, "x"), -1);
    assert_int_equal(fail_path(NULL, "x") + fail_seq(NULL, 1) + fail_offset(NULL, 1), -3);
    assert_int_equal(fail_hint(NULL, "x") + fail_detail(NULL, ERROR_DETAIL_NONE), -2);
}

static void kinds__have_names_and_messages(void **state)
{
    static const char *const names[] = {
        "None", "Internal",   "Usage",   "NotFound", "AlreadyExists",
        "Busy", "Permission", "Corrupt", "Io",       "RetentionGap"};

    (void)state;
    for (int kind = 0; kind <= PLSM_ERROR_RETENTION_GAP; kind++) {
        assert_string_equal(error_kind_name((enum plsm_error_kind)kind), names[kind]);
        assert_true(strlen(error_kind_message((enum plsm_error_kind)kind)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail__fills_and_forgets_what_was_there),
        cmocka_unit_test(fail_os__names_the_cause),
        cmocka_unit_test(details__are_added),
        cmocka_unit_test(long_texts__are_cut_not_overrun),
        cmocka_unit_test(null__means_nobody_cares),
        cmocka_unit_test(kinds__have_names_and_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
