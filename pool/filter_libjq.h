/*
 * A filter that libjq evaluates: any expression of jq 1.6 that asks for nothing but the message.
 */
#ifndef FILTER_LIBJQ_H
#define FILTER_LIBJQ_H

#include "filter_scan.h"
#include "pool/filter.h"

struct libjq_filter;

/* More words than this take jq seconds to compile, or cannot be compiled at all. */
#define LIBJQ_WORDS_MAX 8192

/*
 * Usage when an expression asks for more than the message ($ENV, input, import and their like), or
 * calls what jq has for itself, some of which ends the process on odd input: _mod, _strindices.
 */
int words_refuse(const struct words *words, struct error *err);

/* The words must have passed words_refuse().  Errors as filter_new(). */
int libjq_filter_new(const struct words *words, struct libjq_filter **ret, struct error *err);
void libjq_filter_free(struct libjq_filter *filter);

void libjq_filter_share(struct libjq_filter *filter, struct filter_credit *credit);

/* FILTER_ODD adds the value to *odd and leaves the error to the caller. */
enum filter_result libjq_filter_match(struct libjq_filter *filter, const struct message *message,
                                      struct buf *odd, struct error *err);

#endif
