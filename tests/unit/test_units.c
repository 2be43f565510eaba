#include "base/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define N(rows) (sizeof(rows) / sizeof(rows)[0])
#define S NS_PER_S

/* 2026-03-04T12:00:00Z */
#define NOW (1772625600 * S)

static void duration__follows_the_table(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"500ms",                 500 * NS_PER_MS},
        {"5s",                    5 * S          },
        {"1m",                    60 * S         },
        {"2h",                    7200 * S       },
        {"0s",                    0              },
        {"0ms",                   0              },
        {" 7s\n",                 7 * S          },
        {"18446744073709551615h", UINT64_MAX     }
    };
    static const char *const bad[] = {"",    " ",  "5",  "s",    "1.5s", "5 s",
                                      "-5s", "5S", "1d", "5sec", "+5s",  "18446744073709551616s"};
    const char *why = NULL;
    uint64_t ns;

    (void)state;
    for (size_t i = 0; i < N(good); i++) {
        assert_int_equal(parse_duration(good[i].text, &ns, &why), 0);
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < N(bad); i++) {
        assert_int_equal(parse_duration(bad[i], &ns, &why), -1);
        assert_string_equal(why, "invalid duration");
    }
}

static void size__follows_the_table(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *why;
    } rows[] = {
        {"42",                   42,         NULL                 },
        {"1K",                   1024,       NULL                 },
        {"2k",                   2048,       NULL                 },
        {"3M",                   3145728,    NULL                 },
        {"4g",                   4294967296, NULL                 },
        {" 8 M ",                8388608,    NULL                 },
        {"0",                    0,          NULL                 },
        {"18446744073709551615", UINT64_MAX, NULL                 },
        {"",                     0,          "invalid size"       },
        {"K",                    0,          "invalid size"       },
        {"x",                    0,          "invalid size"       },
        {"-1",                   0,          "invalid size"       },
        {"18446744073709551616", 0,          "invalid size"       },
        {"1MiB",                 0,          "invalid size suffix"},
        {"2Gi",                  0,          "invalid size suffix"},
        {"3KB",                  0,          "invalid size suffix"},
        {"1.5M",                 0,          "invalid size suffix"},
        {"1T",                   0,          "invalid size suffix"},
        {"17179869184G",         0,          "size overflow"      }
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        const char *why = NULL;
        uint64_t bytes = 0;
        int rc = parse_size(rows[i].text, &bytes, &why);

        assert_int_equal(rc, rows[i].why == NULL ? 0 : -1);
        assert_int_equal(bytes, rows[i].bytes);
        if (rows[i].why != NULL)
            assert_string_equal(why, rows[i].why);
    }
}

static void u64__is_all_digits(void **state)
{
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"};
    uint64_t n;

    (void)state;
    assert_int_equal(parse_u64("18446744073709551615", &n, NULL), 0);
    assert_int_equal(n, UINT64_MAX);
    for (size_t i = 0; i < N(bad); i++)
        assert_int_equal(parse_u64(bad[i], &n, NULL), -1);
}

static void time__follows_the_grammar(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"0s",                              NOW                       },
        {"90s",                             NOW - 90 * S              },
        {"5m",                              NOW - 300 * S             },
        {"1H",                              NOW - 3600 * S            },
        {" 2d ",                            NOW - 172800 * S          },
        {"18446744073709551615d",           0                         },
        {"2026-03-04T12:00:00Z",            NOW                       },
        {"2026-03-04t12:00:00z",            NOW                       },
        {"2026-03-04 12:00:00.5Z",          NOW + S / 2               },
        {"2026-03-04T12:00:00.1234567891Z", NOW + 123456789           },
        {"2026-03-04T14:00:00+02:00",       NOW                       },
        {"2026-03-04T06:30:00-05:30",       NOW                       },
        {"1970-01-01T00:00:00Z",            0                         },
        {"1969-12-31T23:59:59Z",            0                         },
        {"0000-01-01T00:00:00Z",            0                         },
        {"9999-12-31T23:59:59Z",            UINT64_MAX                },
        {"2554-07-21T23:34:33.709551615Z",  UINT64_MAX                },
        {"2554-07-21T23:34:33.709551614Z",  UINT64_MAX - 1            },
        {"2024-02-29T00:00:00Z",            1709164800 * S            },
        {"2000-02-29T00:00:00Z",            951782400 * S             },
        {"2016-12-31T23:59:60Z",            1483228799 * S + 999999999},
        {"2017-01-01T01:59:60+02:00",       1483228799 * S + 999999999},
        {"@0",                              0                         },
        {"@1772625600",                     NOW                       },
        {"@1772625600.25",                  NOW + S / 4               },
        {"@99999999999999999999999",        UINT64_MAX                },
        {"11:00",                           NOW - 3600 * S            },
        {"12:00:00",                        NOW                       },
        {"12:00:01",                        NOW - 86399 * S           },
        {"13:00",                           NOW - 23 * 3600 * S       },
    };
    static const char *const bad[] = {"",
                                      "now",
                                      "5",
                                      "500ms",
                                      "1w",
                                      "18446744073709551616s",
                                      "2026-03-04",
                                      "2026-03-04T12:00:00",
                                      "2026-03-04T12:00Z",
                                      "2026-13-04T12:00:00Z",
                                      "2026-00-04T12:00:00Z",
                                      "2026-02-29T12:00:00Z",
                                      "1900-02-29T12:00:00Z",
                                      "2026-04-31T12:00:00Z",
                                      "2026-03-00T12:00:00Z",
                                      "2026-03-04T24:00:00Z",
                                      "2026-03-04T12:60:00Z",
                                      "2026-03-04T12:00:61Z",
                                      "2026-03-04T12:00:60Z",
                                      "2026-03-04T23:59:60Z",
                                      "2026-03-04T12:00:00.Z",
                                      "2026-03-04T12:00:00+24:00",
                                      "2026-03-04T12:00:00+0200",
                                      "@",
                                      "@x",
                                      "@1.",
                                      "@-1",
                                      "24:00",
                                      "12:60",
                                      "12:00:60",
                                      "1:00",
                                      "12",
                                      "12:00:",
                                      "2026-03-04T12:00:00Zx",
                                      "5m..3m"};
    const char *why = NULL;
    uint64_t ns;

    (void)state;
    for (size_t i = 0; i < N(good); i++) {
        ns = 1;
        if (parse_time(bytes_of(good[i].text), NOW, &ns, &why) != 0 || ns != good[i].ns)
            fail_msg("%s gives %llu", good[i].text, (unsigned long long)ns);
    }
    for (size_t i = 0; i < N(bad); i++)
        if (parse_time(bytes_of(bad[i]), NOW, &ns, &why) != -1)
            fail_msg("%s is taken for a time", bad[i]);
}

static void time_range__ends_where_it_says(void **state)
{
    static const struct {
        const char *text;
        uint64_t from, until;
    } good[] = {
        {"5m",                                           NOW - 300 * S,       UINT64_MAX            },
        {"5m..3m",                                       NOW - 300 * S,       NOW - 180 * S         },
        {"5m .. 5m",                                     NOW - 300 * S,       NOW - 300 * S         },
        {"11:00..11:30",                                 NOW - 3600 * S,      NOW - 1800 * S        },
        {"23:00..01:00",                                 NOW - 13 * 3600 * S, NOW - 11 * 3600 * S   },
        {"11:00..11:00",                                 NOW - 3600 * S,      NOW + 23 * 3600 * S   },
        {"@1.5..@2.5",                                   S + S / 2,           2 * S + S / 2         },
        {"2026-03-04T10:00:00Z..2026-03-04T10:00:00.5Z", NOW - 7200 * S,      NOW - 7200 * S + S / 2},
        {"1h..2999-01-01T00:00:00Z",                     NOW - 3600 * S,      UINT64_MAX - 1        },
        {"1950-01-01T00:00:00Z..1960-01-01T00:00:00Z",   0,                   1                     }
    };
    static const char *const bad[] = {"", "..", "5m..", "..5m", "5m...3m", "3m..5m", "5m..3m..1m"};
    uint64_t from, until;

    (void)state;
    for (size_t i = 0; i < N(good); i++) {
        if (parse_time_range(bytes_of(good[i].text), NOW, &from, &until, NULL) != 0 ||
            from != good[i].from || until != good[i].until)
            fail_msg("%s gives %llu..%llu", good[i].text, (unsigned long long)from,
                     (unsigned long long)until);
    }
    for (size_t i = 0; i < N(bad); i++)
        assert_int_equal(parse_time_range(bytes_of(bad[i]), NOW, &from, &until, NULL), -1);
}

static void clock__is_local(void **state)
{
    uint64_t ns;

    (void)state;
    setenv("TZ", "XXX-2", 1); /* two hours east: now is 14:00 there */
    tzset();
    assert_int_equal(parse_time(BYTES("13:00"), NOW, &ns, NULL), 0);
    assert_int_equal(ns, NOW - 3600 * S);
    assert_int_equal(parse_time(BYTES("14:30"), NOW, &ns, NULL), 0);
    assert_int_equal(ns, NOW - 23 * 3600 * S - 1800 * S);
    setenv("TZ", "UTC0", 1);
    tzset();
}

static void format_time__agrees_with_libc(void **state)
{
    struct time_cache cache = {0};
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t ns = ((uint64_t)(unsigned)rand_r(&seed) << 33) ^
                      ((uint64_t)(unsigned)rand_r(&seed) << 10) ^ (uint64_t)rand_r(&seed);
        time_t second = (time_t)(ns / S);
        char expected[64], text[TIME_TEXT_LEN + 1] = {0}, cached[TIME_TEXT_LEN + 1] = {0};
        struct tm tm;
        size_t n;

        gmtime_r(&second, &tm);
        n = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + n, sizeof expected - n, ".%09lluZ", (unsigned long long)(ns % S));
        format_time(ns, text);
        assert_string_equal(text, expected);
        for (int again = 0; again < 1 + i % 4; again++) {
            memset(cached, 'x', TIME_TEXT_LEN);
            format_time_cached(&cache, ns, cached);
            assert_string_equal(cached, expected);
        }
        assert_int_equal(parse_time(bytes_of(text), NOW, &ns, NULL), 0);
        format_time(ns, text);
        assert_string_equal(text, expected);
    }
    /* what a file may claim */
    char text[TIME_TEXT_LEN + 1] = {0};
    cache = (struct time_cache){0};
    format_time_cached(&cache, 0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000000Z");
    cache = (struct time_cache){0};
    format_time_cached(&cache, UINT64_MAX, text);
    assert_string_equal(text, "2554-07-21T23:34:33.709551615Z");
}

static void human_forms__follow_the_table(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } sizes[] =
        {
            {0,          "0"   },
            {1023,       "1023"},
            {1024,       "1K"  },
            {1536,       "1.5K"},
            {978944,     "956K"},
            {1048576,    "1M"  },
            {1572864,    "1.5M"},
            {1073741824, "1G"  }
    },
      ages[] = {{0, "1s ago"},         {59 * S, "59s ago"},    {60 * S, "1m ago"},
                {3599 * S, "59m ago"}, {3600 * S, "1h ago"},   {86399 * S, "23h ago"},
                {86400 * S, "1d ago"}, {604799 * S, "6d ago"}, {604800 * S, "1w ago"}};

    (void)state;
    for (size_t i = 0; i < N(sizes); i++) {
        auto_buf struct buf b = BUF_INIT;

        format_size(&b, sizes[i].n);
        assert_string_equal(buf_str(&b), sizes[i].text);
    }
    for (size_t i = 0; i < N(ages); i++) {
        auto_buf struct buf b = BUF_INIT;

        format_age(&b, ages[i].n);
        assert_string_equal(buf_str(&b), ages[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duration__follows_the_table),
        cmocka_unit_test(size__follows_the_table),
        cmocka_unit_test(u64__is_all_digits),
        cmocka_unit_test(time__follows_the_grammar),
        cmocka_unit_test(time_range__ends_where_it_says),
        cmocka_unit_test(clock__is_local),
        cmocka_unit_test(format_time__agrees_with_libc),
        cmocka_unit_test(human_forms__follow_the_table),
    };

    setenv("TZ", "UTC0", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
