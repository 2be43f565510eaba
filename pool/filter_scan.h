/*
 * The words of a jq expression, cut as jq 1.6 cuts them.
 *
 * What is refused, where an error is and what the native evaluator understands are all questions
 * about words; they are cut once, here.  Brackets, `if` and strings are balanced when this
 * succeeds, and nest at most SCAN_DEPTH_MAX deep.
 */
#ifndef FILTER_SCAN_H
#define FILTER_SCAN_H

#include "pool/filter.h"

#include <stdint.h>

#define SCAN_DEPTH_MAX 200

enum word_kind {
    WORD_END,         /* the last one, behind everything */
    WORD_NAME,        /* foo, foo::bar, and, if */
    WORD_KEY,         /* foo in {foo: 1}, {a, foo} */
    WORD_FIELD,       /* .foo */
    WORD_NUMBER,      /* 1.5e3 */
    WORD_FORMAT,      /* @base64 */
    WORD_STRING,      /* "..." without interpolation */
    WORD_STRING_HEAD, /* "...\(   and the two kinds of what follows:  )...\(   )..." */
    WORD_STRING_MORE,
    WORD_STRING_TAIL,
    WORD_SIGN, /* anything else: = == ( $ .. */
};

struct word {
    uint8_t kind;
    uint32_t at, n; /* bytes in the expression */
};

struct words {
    struct bytes text;
    struct word *list; /* n of them, and WORD_END behind */
    size_t n;
};

/* Usage with the hint when they cannot be cut; words_done() takes zeroes, too. */
int words_scan(struct bytes text, struct words *ret, struct error *err);
void words_done(struct words *words);

static inline struct bytes word_text(const struct words *words, size_t i)
{
    return (struct bytes){words->text.p + words->list[i].at, words->list[i].n};
}

bool word_is(const struct words *words, size_t i, enum word_kind kind, const char *text);

/* 1 when something opens there that -1 closes: brackets, `if`, an interpolation; else 0. */
int word_depth(const struct words *words, size_t i);

#define auto_words __attribute__((cleanup(words_done)))

#endif
