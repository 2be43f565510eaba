/*
 * What people type who know other languages, or the data better than the message around it: && for
 * and, = for ==, 'x' for "x", .data.a-b, .level for .data.level.
 *
 * The first three return -1 with the error of filter_problem() when they find something, else 0.
 */
#ifndef FILTER_MISTAKE_H
#define FILTER_MISTAKE_H

#include "filter_scan.h"

/* `at` is a character that begins no word of jq.  Always -1. */
int mistaken_character(struct bytes text, size_t at, struct error *err);

/* In an expression that does not compile: words that jq does not take, and what they are there. */
int mistaken_words(const struct words *words, struct error *err);

/* `=` where what it gives is all that comes out, and can be neither true nor false. */
int mistaken_assignment(const struct words *words, struct error *err);

/*
 * What compiles but is hardly meant, added to *ret: `=` in a condition, `.data.content-type`, which
 * takes the type of something from .data.content, and a first key that no message has, at `stranger`, as program_parse() left it.  -1: no memory.
 */
int words_doubt(const struct words *words, size_t stranger, struct buf *ret);

#endif
