/*
 * Worker threads, for whatever would hold up the loop: a busy lock, a flush, a long look through a pool.
 *
 * Threads are started when work waits and all are busy, at most WORKERS_MAX; a small machine that only
 * exchanges small messages never has one.  Work items are embedded in what they are about.
 *
 * What somebody looks at may take as long as he likes: an expression over a full pool.  Such work is slow.  No user has more than
 * SLOW_USER_MAX of it under way, all together SLOW_MAX, and who has the least of it is next; so there is always a worker for what
 * is not slow.
 */
#ifndef FS_WORK_H
#define FS_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WORKERS_MAX 8
#define SLOW_MAX 6
#define SLOW_USER_MAX 3

struct work {
    struct work *next;
    void (*run)(struct work *work); /* on a worker; owns the item */
    /* Only work.c: */
    bool slow;
    uid_t user;
};

struct workers;

struct workers *workers_new(void);
/*
 * Runs what is queued to its end, then ends the threads.  False when one of them is still at it after limit_ns: then nothing that it
 * may use can be freed, this neither.
 */
bool workers_stop(struct workers *workers, uint64_t limit_ns);
void workers_free(struct workers *workers);

/* Hands `work` over.  Always succeeds: without any thread it runs in the caller, or in one who is at other work already. */
void workers_submit(struct workers *workers, struct work *work);
/* The same for what may take long, on behalf of that user. */
void workers_submit_slow(struct workers *workers, struct work *work, uid_t user);

#endif
