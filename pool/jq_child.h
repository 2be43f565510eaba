/*
 * The process that runs libjq for one filter, seen from the engine.
 *
 *     struct jq_child child = JQ_CHILD_INIT
 *     jq_child_take(&child, &fresh, &err)     starts the program when it does not run
 *     jq_child_ask(&child, ...)               any number of times
 *     jq_child_give(&child)                   from here on it may be stopped
 *     jq_child_stop(&child)
 *
 * Its owner may be any thread, one at a time, and no call is a cancellation point.  What runs is limited to JQ_CHILDREN_MAX processes:
 * one more, and the one that was not asked for the longest time is stopped, unless all are being asked.  So after
 * jq_child_take() it may be a fresh one, which knows no expression yet.  A child of fork() has none of its
 * parent's and starts its own.
 *
 * The process is nobody's child: it is no business of the program that this library is in, whose
 * SIGCHLD and wait() never see it.  It has an empty environment (but TZ) and no descriptor of ours, and
 * ends with us.
 */
#ifndef JQ_CHILD_H
#define JQ_CHILD_H

#include "base/buf.h"
#include "jq_protocol.h"
#include "pool/error.h"

#include <stdbool.h>

#define JQ_CHILDREN_MAX 64

struct jq_child {
    int fd;      /* -1: it does not run */
    pid_t pid;
    int adopted; /* a pidfd to wait for, where we are who gets the orphans; -1: somebody else does */
    bool busy;   /* taken, and not given back */
    struct jq_child *newer, *older;
};

#define JQ_CHILD_INIT ((struct jq_child){.fd = -1, .adopted = -1})

/* Internal: it is not there or does not start; Io: no descriptors or processes.  It is not taken then. */
int jq_child_take(struct jq_child *child, bool *ret_fresh, struct error *err);
void jq_child_give(struct jq_child *child);

/* Taken or not. */
void jq_child_stop(struct jq_child *child);

struct jq_answer {
    enum jq_outcome outcome;
    bool stuck; /* it had to be killed: somebody had stopped it */
    char text[JQ_TEXT_MAX + 1]; /* without control characters */
};

/*
 * -1: it ended without an answer, or was stuck.  Then, and after JQ_TOO_LONG and JQ_TOO_LARGE, it is of no use any
 * more; stop it.
 */
int jq_child_ask(struct jq_child *child, enum jq_request_kind kind, struct bytes text,
                 struct jq_answer *ret);

#endif
