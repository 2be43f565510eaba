/*
 * Runs a program on messages.
 *
 * An evaluation belongs to one thread at a time and is used for one message after another.
 */
#ifndef FILTER_EVAL_H
#define FILTER_EVAL_H

#include "filter_paths.h"

struct evaluation;

/* The program is borrowed.  NULL: no memory. */
struct evaluation *evaluation_new(const struct program *program);
void evaluation_free(struct evaluation *evaluation);

/*
 * FILTER_ODD adds the value to *odd and leaves the error to the caller.  FILTER_FAILED: Internal,
 * no memory; Usage, the filter takes more steps on this message than a filter may.
 */
enum filter_result evaluation_run(struct evaluation *evaluation, const struct message *message,
                                  struct buf *odd, struct error *err);

/* True when the result is FILTER_NO whatever message->data is, which is not looked at. */
bool evaluation_rules_out(struct evaluation *evaluation, const struct message *message);

#endif
