/*
 * Ends evaluations of libjq that do not end by themselves, or eat the memory of the machine.
 *
 * jq can loop for ever, and has no limits of its own; but it looks at each step whether it was
 * halted.  A thread that exists only while there are evaluations looks at them now and then and
 * halts those that are late, and all when the process grows too much.  Any number of threads.
 */
#ifndef JQ_WATCH_H
#define JQ_WATCH_H

#include <jq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct watched {
    jq_state *jq;
    clockid_t thread;     /* its time on processors */
    uint64_t deadline_ns; /* on that clock */
    /* memory of the process: at the first look, and how much more is fine */
    uint64_t pages_before, pages_more;
    bool halted;
    struct watched *next, *previous;
};

/* Once in a process, before all else. */
void watch_init(void);

/*
 * Around an evaluation on a message of n bytes; watch_end() is false when it was halted.  Without
 * memory for a thread nobody watches.
 */
void watch_begin(struct watched *watched, jq_state *jq, size_t n);
bool watch_end(struct watched *watched);

#endif
