/*
 * What people type who know other languages, or the data better than the message around it: && for
 * and, = for ==, 'x' for "x", .data.a-b, .level for .data.level.
 *
 * Each returns -1 with the error of filter_problem() when it finds something, else 0.
 */
#ifndef FILTER_MISTAKE_H
#define FILTER_MISTAKE_H

#include "filter_scan.h"

/* `at` is a character that begins no word of jq.  Always -1. */
int mistaken_character(struct bytes text, size_t at, struct error *err);

/* Words that jq does not take, or takes for what nobody means. */
int mistaken_words(const struct words *words, struct error *err);

/* A first key that no message has: `stranger` of a program, as program_parse() left it. */
int mistaken_key(const struct words *words, size_t stranger, struct error *err);

#endif
