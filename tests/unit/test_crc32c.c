#include "crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT_BYTES (3 * 3072 + 500) /* several rounds of each number of streams, and a rest */

static unsigned char *random_text(void)
{
    unsigned char *text = malloc(TEXT_BYTES);
    uint32_t state = 12345;

    assert_non_null(text);
    for (size_t i = 0; i < TEXT_BYTES; i++)
        text[i] = (unsigned char)((state = state * 1664525 + 1013904223) >> 24);
    return text;
}

static void crc32c__has_the_known_values(void **state)
{
    static const unsigned char zeros[32],
        ones[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    (void)state;
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, sizeof zeros), 0x8a9136aa); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(0, ones, sizeof ones), 0x62a8ab43);
    assert_int_equal(crc32c_tables(0, "123456789", 9), 0xe3069283);
}

static void crc32c__is_the_same_by_tables(void **state)
{
    unsigned char *text = random_text();

    (void)state;
    for (size_t n = 0; n <= TEXT_BYTES; n += n < 1000 ? 1 : 37) {
        uint32_t expected = crc32c_tables((uint32_t)n, text, n);

        assert_int_equal(crc32c((uint32_t)n, text, n), expected);
        assert_int_equal(crc32c_long((uint32_t)n, text, n), expected);
    }
    for (size_t at = 0; at < 16; at++) /* any alignment */
        assert_int_equal(crc32c(1, text + at, 5000), crc32c_tables(1, text + at, 5000));
    free(text);
}

static void crc32c__continues(void **state)
{
    unsigned char *text = random_text();
    uint32_t whole = crc32c(7, text, TEXT_BYTES);

    (void)state;
    for (size_t cut = 0; cut <= TEXT_BYTES; cut += cut < 300 ? 1 : 101) {
        assert_int_equal(crc32c(crc32c(7, text, cut), text + cut, TEXT_BYTES - cut), whole);
        assert_int_equal(crc32c_tables(crc32c_tables(7, text, cut), text + cut, TEXT_BYTES - cut),
                         whole);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c__has_the_known_values),
        cmocka_unit_test(crc32c__is_the_same_by_tables),
        cmocka_unit_test(crc32c__continues),
    };

    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
