/*
 * What is wrong with an expression, and where.
 *
 * Fills *err with Usage, `invalid filter expression`, and a hint that repeats the expression (the
 * part around the place, where it is long), says what is wrong and shows an expression that works.
 * `at` is the byte it is about, text.n for the end; err->offset has it, and the hint counts characters from 1.  Returns -1.
 */
#ifndef FILTER_PROBLEM_H
#define FILTER_PROBLEM_H

#include "base/buf.h"
#include "pool/error.h"

int filter_problem(struct error *err, struct bytes text, size_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same without a place. */
#define FILTER_NOWHERE ((size_t)-1)

/* Adds the expression, or its part around `at`, in one line and in backquotes. */
#define FILTER_EXCERPT_MAX 160 /* bytes of it in a hint */
int filter_excerpt(struct buf *out, struct bytes text, size_t at);

#endif
