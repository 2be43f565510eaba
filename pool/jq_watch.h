/*
 * Ends evaluations of libjq that do not end by themselves.
 *
 * jq can loop for ever, and has no limit of its own; but it looks at each step whether it was
 * halted.  A thread that exists only while there are evaluations looks at them now and then and
 * halts those that are late.  Any number of threads.
 */
#ifndef JQ_WATCH_H
#define JQ_WATCH_H

#include <jq.h>
#include <stdbool.h>
#include <stdint.h>

struct watched {
    jq_state *jq;
    uint64_t deadline_ns;
    bool late; /* it was halted */
    struct watched *next, *previous;
};

/*
 * Around an evaluation: it is halted limit_ns after watch_begin().  Without memory for a thread
 * nobody watches.
 */
void watch_begin(struct watched *watched, jq_state *jq, uint64_t limit_ns);
void watch_end(struct watched *watched);

#endif
