#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_text(struct buf *b, const char *expected)
{
    assert_int_equal(b->n, strlen(expected));
    assert_string_equal(buf_str(b), expected);
}

static void buf__grows_and_keeps_its_content(void **state)
{
    auto_buf struct buf b = BUF_INIT;

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_add_char(&b, (char)('a' + i % 26)), 0);
    assert_int_equal(b.n, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.p[i], 'a' + i % 26);
    assert_false(buf_failed(&b));
}

static void buf__refuses_what_no_memory_can_hold(void **state)
{
    auto_buf struct buf b = BUF_INIT;

    (void)state;
    buf_add_str(&b, "kept");
    assert_int_equal(buf_room(&b, SIZE_MAX), -1);
    assert_true(buf_failed(&b));
    assert_text(&b, "kept");
}

static void printf__writes_texts_longer_than_the_room(void **state)
{
    auto_buf struct buf b = BUF_INIT;
    char expected[4001];

    (void)state;
    memset(expected, 'x', 4000);
    expected[4000] = '\0';
    assert_int_equal(buf_printf(&b, "%s", ""), 0);
    assert_int_equal(buf_printf(&b, "%s", expected), 0);
    assert_text(&b, expected);
}

static void add_u64__writes_every_number_of_digits(void **state)
{
    auto_buf struct buf b = BUF_INIT;

    (void)state;
    buf_add_u64(&b, 0);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, 10);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, UINT64_MAX);
    assert_text(&b, "0 10 18446744073709551615");
}

static void json_string__escapes_what_it_must_and_no_more(void **state)
{
    static const struct {
        struct bytes text;
        const char *expected;
    } rows[] = {
        {BYTES(""),                                     "\"\""                                    },
        {BYTES("plain"),                                "\"plain\""                               },
        {BYTES("\"\\/"),                                "\"\\\"\\\\/\""                           },
        {BYTES("\b\f\n\r\t"),                           "\"\\b\\f\\n\\r\\t\""                     },
        {BYTES("\x01\x1f\x7f"),                         "\"\\u0001\\u001f\x7f\""                  },
        {BYTES("a\0b"),                                 "\"a\\u0000b\""                           },
        {BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {BYTES("a\xff"
               "b"),
         "\"a\xef\xbf\xbd"
         "b\""                                                                                    },
        {BYTES("\xc3"),                                 "\"\xef\xbf\xbd\""                        },
        {BYTES("\xed\xa0\x80"),                         "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        auto_buf struct buf b = BUF_INIT;

        assert_int_equal(buf_add_json_string(&b, rows[i].text), 0);
        assert_text(&b, rows[i].expected);
    }
}

static void json_string__replaces_each_maximal_subpart(void **state)
{
#define R "\xef\xbf\xbd"
    static const struct {
        struct bytes text;
        const char *expected;
    } rows[] = {
        {BYTES("\xff\xfe"), "\"" R R "\""},
        {BYTES("\xe2\x82"), "\"" R "\""},
        {BYTES("\xe2\x82|"), "\"" R "|\""},
        {BYTES("\xf0\x9f\x98|"), "\"" R "|\""},
        {BYTES("\xf0\x9f|\x98"), "\"" R "|" R "\""},
        {BYTES("\xc0\xaf"), "\"" R R "\""},
        {BYTES("\xe0\x9f\xbf"), "\"" R R R "\""},
        {BYTES("\xf4\x90\x80\x80"), "\"" R R R R "\""},
        {BYTES("\xf5\x80"), "\"" R R "\""},
        {BYTES("\xc3\xc3\xa9"), "\"" R "\xc3\xa9\""},
        /* Table 3-8 of the Unicode standard */
        {BYTES("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64"), "\"a" R R R "b" R "c" R R "d\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        auto_buf struct buf b = BUF_INIT;

        assert_int_equal(buf_add_json_string(&b, rows[i].text), 0);
        assert_text(&b, rows[i].expected);
    }
#undef R
}

static void plain__steers_no_terminal(void **state)
{
    static const char *const rows[][3] = {
        {"a b\xc3\xa9\xe2\x98\x83\xc2\xa0\"\\", "a b\xc3\xa9\xe2\x98\x83\xc2\xa0\"\\", NULL},
        {"\033[31m\x7f", "\\x1b[31m\\x7f", "\\u001b[31m\\u007f"},
        {"\n\r\t\001", "\\n\\r\\t\\x01", "\\n\\r\\t\\u0001"},
        {"a\xc2\x9b" "3m\xc2\x80\xc2\x9f", "a\\x9b3m\\x80\\x9f", "a\\u009b3m\\u0080\\u009f"},
        {"\x9b" "3m\xff\xc3", "\\x9b3m\\xff\\xc3", "\\u009b3m\\u00ff\\u00c3"},
        /* what turns the direction of writing, its neighbours, and a word in Hebrew */
        {"\u202a\u202e\u2066\u2069\u200e\u200f\u061c", "\\u202a\\u202e\\u2066\\u2069\\u200e\\u200f\\u061c", NULL},
        {"\u2029\u202f\u2065\u206a\u200d\u2010\u061b\u061d\u05d0\u05d1\U0001f600", "\u2029\u202f\u2065\u206a\u200d\u2010\u061b\u061d\u05d0\u05d1\U0001f600", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int form = PLAIN_TEXT; form <= PLAIN_JSON; form++) {
            auto_buf struct buf b = BUF_INIT;

            assert_int_equal(buf_add_plain(&b, bytes_of(rows[i][0]), (enum plain_form)form), 0);
            assert_text(&b, form == PLAIN_JSON && rows[i][2] != NULL ? rows[i][2] : rows[i][1]);
        }
}

static void shell_word__is_one_word_for_a_shell(void **state)
{
    static const char *const pairs[][2] = {
        {"a-b_c./:=@,+9", "a-b_c./:=@,+9"},
        {"", "''"},
        {"=ls", "'=ls'"},
        {"a b$(c)\xc3\xa9", "'a b$(c)\xc3\xa9'"},
        {"it's", "'it'\\''s'"},
        {"it's\033\\", "$'it\\'s\\033\\\\'"},
        {"\xc2\x9b\xff\x7f\n", "$'\\302\\233\\377\\177\\012'"},
        {"a\u202e", "$'a\\342\\200\\256'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        auto_buf struct buf b = BUF_INIT;

        assert_int_equal(buf_add_shell_word(&b, pairs[i][0]), 0);
        assert_text(&b, pairs[i][1]);
    }
}

static void base64__is_that_of_the_rfc(void **state)
{
    static const char *const pairs[][2] = {
        {"",                 ""        },
        {"f",                "Zg=="    },
        {"fo",               "Zm8="    },
        {"foo",              "Zm9v"    },
        {"foobar",           "Zm9vYmFy"},
        {"\xff\xfb\xbf\xff", "//u//w=="}
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        auto_buf struct buf b = BUF_INIT;

        assert_int_equal(buf_add_base64(&b, bytes_of(pairs[i][0])), 0);
        assert_text(&b, pairs[i][1]);
    }
}

static void utf8__is_told_from_what_is_not(void **state)
{
    static const struct bytes good[] = {BYTES(""),
                                        BYTES("a\0z"),
                                        BYTES("\xc2\x80"),
                                        BYTES("\xdf\xbf"),
                                        BYTES("\xe0\xa0\x80"),
                                        BYTES("\xed\x9f\xbf"),
                                        BYTES("\xee\x80\x80"),
                                        BYTES("\xf0\x90\x80\x80"),
                                        BYTES("\xf4\x8f\xbf\xbf")};
    static const struct bytes bad[] = {BYTES("\x80"),
                                       BYTES("\xc0\x80"),
                                       BYTES("\xc1\xbf"),
                                       BYTES("\xc2"),
                                       BYTES("\xe0\x9f\xbf"),
                                       BYTES("\xed\xa0\x80"),
                                       BYTES("\xf0\x8f\xbf\xbf"),
                                       BYTES("\xf4\x90\x80\x80"),
                                       BYTES("\xf5\x80\x80\x80"),
                                       BYTES("\xff"),
                                       BYTES("ok\xe2\x82")};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(bytes_are_utf8(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(bytes_are_utf8(bad[i]));
}

static void drop_front__keeps_the_rest(void **state)
{
    auto_buf struct buf b = BUF_INIT;

    (void)state;
    buf_add_str(&b, "abcdef");
    buf_drop_front(&b, 2);
    assert_text(&b, "cdef");
    buf_drop_front(&b, 99);
    assert_int_equal(b.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf__grows_and_keeps_its_content),
        cmocka_unit_test(buf__refuses_what_no_memory_can_hold),
        cmocka_unit_test(printf__writes_texts_longer_than_the_room),
        cmocka_unit_test(add_u64__writes_every_number_of_digits),
        cmocka_unit_test(json_string__escapes_what_it_must_and_no_more),
        cmocka_unit_test(json_string__replaces_each_maximal_subpart),
        cmocka_unit_test(plain__steers_no_terminal),
        cmocka_unit_test(shell_word__is_one_word_for_a_shell),
        cmocka_unit_test(base64__is_that_of_the_rfc),
        cmocka_unit_test(utf8__is_told_from_what_is_not),
        cmocka_unit_test(drop_front__keeps_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
