/*
 * A program that runs beside this one, with its output in two pipes.
 *
 *     child_start(argv, &child, &err)
 *     poll() child.out, child.err and child_nudged_fd(); read the first two until they end
 *     child_wait(&child) or child_kill(&child)
 *
 * From child_start() on SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 that are sent to this program go to the
 * child and end nothing here.  Those of the keys Ctrl-C and Ctrl-\ reach it as well by the kernel's hand, and are not
 * repeated: many programs take a second Ctrl-C for impatience.  What was ignored from the start stays so, for both.
 *
 * When it has ended, the first such signal only shows in child_nudged_fd(), and the second ends this program.
 *
 * One child in the life of the process, for what the signals need is kept beside it; one thread.
 */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include "pool/error.h"

#include <sys/types.h>

struct child {
    pid_t pid;
    int out, err; /* ends to read from, not blocking; the caller may close them and set -1 */
};

/*
 * Starts argv (NULL at the end) with our stdin, SIGPIPE and SIGXFSZ as usual.
 * Usage: there is no such program; Io: it cannot be started, or no pipes.
 */
int child_start(const char *const *argv, struct child *ret, struct error *err);

/* Becomes readable when one of the signals has come, or the child has ended; child_nudged() takes that back. */
int child_nudged_fd(void);
void child_nudged(void);

/*
 * Has it ended, and somebody asked for that: with SIGTERM or SIGHUP, a signal that it died of, or one after its end?
 * It may be waited for then without delay.
 */
bool child_is_over(const struct child *child);

/* Waits for its end and lets go of the pipes.  Returns the status of waitpid(2). */
int child_wait(struct child *child);

/* Ends it with SIGKILL first. */
void child_kill(struct child *child);

#endif
