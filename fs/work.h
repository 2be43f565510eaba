/*
 * Worker threads, for whatever would hold up the loop: a busy lock, a flush, a long look through a pool.
 *
 * Threads are started when work waits and all are busy, at most WORKERS_MAX; a small machine that only
 * exchanges small messages never has one.  Work items are embedded in what they are about.
 */
#ifndef FS_WORK_H
#define FS_WORK_H

#include <stdbool.h>
#include <stdint.h>

#define WORKERS_MAX 8

struct work {
    struct work *next;
    void (*run)(struct work *work); /* on a worker; owns the item */
};

struct workers;

struct workers *workers_new(void);
/*
 * Runs what is queued to its end, then ends the threads.  False when one of them is still at it after limit_ns: then nothing that it
 * may use can be freed, this neither.
 */
bool workers_stop(struct workers *workers, uint64_t limit_ns);
void workers_free(struct workers *workers);

/* Hands `work` over.  Always succeeds: without any thread it runs at once, in the caller. */
void workers_submit(struct workers *workers, struct work *work);

#endif
