/*
 * What can be done with whole values: steps into them, comparisons, and the functions of jq that
 * filters use most.
 *
 * Each is a row of a table: a name, how many arguments, and a function of the input and one output
 * of each argument. That an expression has several outputs is the evaluator's business.
 */
#ifndef FILTER_CALLS_H
#define FILTER_CALLS_H

#include "filter_program.h"

/* How an evaluation went on. */
enum flow {
    FLOW_OK,
    FLOW_NOTHING, /* no output */
    FLOW_ERROR,   /* a run-time error of jq */
    FLOW_BREAK,   /* any and all know enough */
    FLOW_STOP,    /* the filter ends here: an odd output, or work->failed */
};

/* NODE_APPLY: *ret is filled after FLOW_OK. */
typedef enum flow call_apply(struct work *work, const struct node *node, const struct val *in,
                             const struct val *args, struct val *ret);

struct call {
    const char *name;
    unsigned n_args;
    call_apply *apply;
};

/* NULL when there is no such function. */
const struct call *call_find(struct bytes name, unsigned n_args);

/* `==` and its like. */
const struct call *call_comparison(struct bytes sign);

extern const struct call call_field; /* args[0], key in node->value */
extern const struct call call_index; /* args[0], index in node->value */
extern const struct call call_test;  /* node->regex on the input */

#endif
