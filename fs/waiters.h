/*
 * Those who wait for a message: parked reads, polls, finite files that must be copied before they are
 * overwritten.  One thread waits for all of them, on all their pools at once.
 *
 *     waiters_park(m, waiter)      -- from now on waiter->wake() may be called, once, by any thread
 *     waiters_kick(m, pool)        -- after an append through the mount: serve them here and now
 *
 * wake() is called without any lock held and may park the waiter again.  A parked read (one with a `req`) is
 * also woken by an interrupt of its request, which the loop announces with waiters_interruptible() once, before the
 * first parking: libfuse calls the interrupt function with the request's own lock held and perhaps after the
 * request was answered, so that function looks the waiter up by number and touches nothing that it does not find.
 */
#ifndef FS_WAITERS_H
#define FS_WAITERS_H

#include "pools.h"

enum wake_reason {
    WAKE_LOOK,      /* there is something, or the pool is gone: look */
    WAKE_INTERRUPT, /* a signal: answer EINTR at once */
    WAKE_EXPIRED,   /* expires_ns has come */
    WAKE_STOP,      /* the mount ends: ECONNABORTED */
};

struct waiter {
    struct mpool *pool; /* set by the owner, who keeps a reference while it is parked */
    uint64_t pos;       /* wake when the head of the pool has passed this ... */
    uint64_t due_ns;    /* ... or rather, when not 0, at this time and no earlier */
    uint64_t expires_ns; /* it does not wait beyond this time, or a quarter of a second more; 0: it does */
    fuse_req_t req;     /* the request that waits; NULL when there is none */
    void (*wake)(struct waiter *waiter, enum wake_reason reason);

    /* Only waiters.c: */
    struct waiter *next, **prev;
    uint64_t id;
    bool parked, armed, interrupted;
};

struct waiters *waiters_new(struct mount *m);
int waiters_start(struct waiters *waiters);
/* Wakes everybody with WAKE_STOP, and whoever still parks; m->stopping is set by then. */
void waiters_stop(struct waiters *waiters);
void waiters_free(struct waiters *waiters);

/* For a waiter with a request, from the loop, before anything else may answer that request. */
void waiters_interruptible(struct mount *m, struct waiter *waiter);

void waiters_park(struct mount *m, struct waiter *waiter);

/* Takes it out again.  False when it is not parked (any more): somebody is about to call wake(), or did. */
bool waiters_cancel(struct mount *m, struct waiter *waiter);

/* How many are parked. */
size_t waiters_count(struct mount *m);

void waiters_kick(struct mount *m, struct mpool *pool);

#endif
