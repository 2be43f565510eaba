/*
 * What the engine and plasmite-jq, the program that runs libjq for it, say to each other.
 *
 * They hold the two ends of one socket; it is the program's standard input, and all that it has.
 *
 *     program: JQ_HELLO
 *     engine:  struct jq_request, and n bytes     one expression at first, then messages
 *     program: struct jq_reply, and n bytes of text
 *     ...
 *
 * The program ends when the socket does, and of its own accord: after JQ_TOO_LONG and JQ_TOO_LARGE, after
 * an answer when libjq has lost much memory, and whenever libjq crashes.  All that is to be seen then is
 * the end of the socket.
 *
 * Both come from one build; the number in JQ_HELLO is raised with every change.  The engine does not
 * trust what it reads, for what libjq makes of a hostile expression is not known.
 */
#ifndef JQ_PROTOCOL_H
#define JQ_PROTOCOL_H

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#define JQ_PROGRAM_FILE "plasmite-jq"
#define JQ_HELLO "plasmite-jq 2\n"
#define JQ_TEXT_MAX 255 /* bytes of text in a reply */

enum jq_request_kind {
    JQ_TRY,     /* an expression: does it compile? */
    JQ_COMPILE, /* and the same as the one for the messages to come */
    JQ_MATCH,   /* a message: JSON without lone surrogates */
};

struct jq_request {
    uint64_t kind;
    uint64_t n;
};

enum jq_outcome {
    JQ_NO,
    JQ_YES,
    JQ_ODD, /* neither true, false nor null; the text is the value, cut where it does not fit */
    JQ_COMPILED,
    /* it does not compile: the first thing jq had to say, without its prefix and place */
    JQ_REFUSED,
    JQ_TOO_LONG,
    JQ_TOO_LARGE,
    JQ_OUTCOMES,
};

struct jq_reply {
    uint32_t outcome;
    uint32_t n;
};

/*
 * recv() for both ends.  An answer usually comes, and the next message, before a sleeper on another
 * processor could be woken, so both look for it for a moment first; where they share a processor, each makes room
 * for the other.
 */
#define JQ_LOOK_NS 50000

static inline ssize_t jq_receive(int fd, void *to, size_t n)
{
    struct timespec begin, now;
    ssize_t done;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        done = recv(fd, to, n, MSG_DONTWAIT);
        if (done >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
            return done;
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < JQ_LOOK_NS);
    return recv(fd, to, n, 0);
}

#endif
