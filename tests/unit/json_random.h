/*
 * Random JSON texts for tests: every production, blanks in places, and damage on request.  The same seed gives the same
 * texts; a failing test prints it.
 */
#ifndef JSON_RANDOM_H
#define JSON_RANDOM_H

#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline unsigned random_below(struct random *r, unsigned n)
{
    return (unsigned)(random_next(r) % n);
}

/* PLASMITE_SEED repeats a run. */
static inline uint64_t random_seed(void)
{
    const char *seed = getenv("PLASMITE_SEED");

    return seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
}

static inline void random_blank(struct random *r, struct buf *b)
{
    while (random_below(r, 5) == 0)
        buf_add_char(b, " \n\r\t"[random_below(r, 4)]);
}

static inline void random_string(struct random *r, struct buf *b)
{
    static const char *const parts[] = {"a",       "key",
                                        "\\n",     "\\\"",
                                        "\\\\",    "\\/",
                                        " ",       "é",
                                        "漢字",    "😀",
                                        "\\u00e9", "\\uD83D\\uDE00",
                                        "{",       "]",
                                        ",",       ":",
                                        "true",    "-1",
                                        "\x7f",    "\\ud800",
                                        "\\u0000", "0123456789012345678901234567890123456789",
                                        "e",       "\xf4\x8f\xbf\xbf"};
    unsigned n = random_below(r, 8);

    buf_add_char(b, '"');
    for (unsigned i = 0; i < n; i++)
        buf_add_str(b, parts[random_below(r, sizeof parts / sizeof parts[0])]);
    buf_add_char(b, '"');
}

static inline void random_number(struct random *r, struct buf *b)
{
    static const char *const numbers[] = {
        "0",       "-0",   "1",    "-12",         "1234567890123456789012",
        "0.5",     "-0.0", "3.10", "1e5",         "1E-7",
        "2.5e+10", "0e0",  "10",   "100.001e-05", "9.0E9"};

    if (random_below(r, 3) == 0)
        buf_printf(b, "%lld", (long long)random_next(r) >> random_below(r, 63));
    else
        buf_add_str(b, numbers[random_below(r, sizeof numbers / sizeof numbers[0])]);
}

static inline void random_value(struct random *r, struct buf *b, unsigned depth)
{
    static const char *const literals[] = {"true", "false", "null"};
    unsigned kind = random_below(r, depth > 0 ? 7 : 4), n = random_below(r, 6);

    if (kind == 0) {
        buf_add_str(b, literals[random_below(r, 3)]);
    } else if (kind == 1) {
        random_number(r, b);
    } else if (kind < 4) {
        random_string(r, b);
    } else {
        bool object = kind != 4;

        buf_add_char(b, object ? '{' : '[');
        random_blank(r, b);
        for (unsigned i = 0; i < n; i++) {
            if (i > 0) {
                buf_add_char(b, ',');
                random_blank(r, b);
            }
            if (object) {
                random_string(r, b);
                random_blank(r, b);
                buf_add_char(b, ':');
                random_blank(r, b);
            }
            random_value(r, b, depth - 1);
            random_blank(r, b);
        }
        buf_add_char(b, object ? '}' : ']');
    }
}

/* Usually a container, now and then a scalar. */
static inline void random_document(struct random *r, struct buf *b)
{
    random_blank(r, b);
    do {
        random_value(r, b, random_below(r, 10));
    } while (random_below(r, 4) != 0 && b->n == 0);
    random_blank(r, b);
}

/* One to three bytes changed, removed, doubled or swapped, mostly to bytes that mean something. */
static inline void random_damage(struct random *r, struct buf *b)
{
    static const char bytes[] =
        "{}[]:,\"\\ \n\t\r0123456789-+.eEtrufalsn\x01\x1f\x80\xbf\xc3\xe2\xed\xf0\xff/bx";
    unsigned times = 1 + random_below(r, 3);

    while (times-- > 0 && b->n > 0) {
        size_t at = random_next(r) % b->n;
        char c = bytes[random_below(r, sizeof bytes)];

        switch (random_below(r, 4)) {
        case 0:
            b->p[at] = c;
            break;
        case 1:
            memmove(b->p + at, b->p + at + 1, b->n - at - 1);
            b->n--;
            break;
        case 2:
            buf_add_char(b, 0);
            memmove(b->p + at + 1, b->p + at, b->n - at - 1);
            b->p[at] = c;
            break;
        default:
            b->p[at] = b->p[b->n - 1 - at];
        }
    }
}

#endif
