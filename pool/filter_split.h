/*
 * A filter of which libjq needs to see a part only.
 *
 * An expression that is conditions joined by `and` matches when each of them alone would: whatever
 * their order, with several outputs and with errors, for what is not true does not match.  So those
 * that the native evaluator knows can go first, and libjq is asked where all of them are true.
 */
#ifndef FILTER_SPLIT_H
#define FILTER_SPLIT_H

#include "filter_scan.h"

/*
 * 1: *ret_native has the words of the conditions that are native, joined by `and`, and *ret_rest
 * the text of all the others.  0: there is nothing to split.  -1: *err, as program_parse().
 */
int words_split(const struct words *words, struct words *ret_native, struct buf *ret_rest,
                struct error *err);

#endif
