/*
 * What the parts of one mount share.
 *
 * One thread, the loop, takes all requests from the kernel and answers nearly all of them; it never
 * waits.  Workers (work.h) do what may take long, one thread (waiters.h) waits for messages on behalf of
 * everybody who is parked, one (watch.h) watches the pool directory, one (kick.h) makes events for
 * those who watch `log`.  Locks, outermost first: a handle's own
 * (streams, appends, snapshots, match lists); then the tables' (nodes, pools, waiters, work, notes), which are never held
 * together and under which nothing is called that waits or takes another lock; the list of kick.h comes before that of nodes.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct events;
struct handle;
struct kick;
struct mpools;
struct nodes;
struct waiters;
struct workers;
struct watch;
struct matches_cache;
struct notes_table;

#define APPEND_SIZE_MAX (64 << 20)

struct mount {
    struct fuse_session *session;
    char *dir;   /* the pool directory, absolute */
    char *point; /* where it is mounted */
    dev_t device; /* of the mount; 0: not known */
    uint64_t new_pool_bytes;
    bool read_only;
    bool allow_other;
    bool auto_unmount;
    bool list_live;        /* show `follow` and `next` */
    bool replace;          /* a mount that is at the point gives way to this one */
    uint64_t append_bytes; /* st_size of `append` and `lines` */
    uint64_t start_ns;     /* wall clock; the time of files that never change */
    uint64_t start_mono_ns;
    uint64_t park_limit_ns; /* parked reads are answered with EINTR after this long; 0: never */
    uint64_t heartbeat_ns;  /* ... and with a blank line when there was no other for this long; 0: never */
    unsigned protocol_major, protocol_minor;
    int ready_fd;         /* told one byte when the mount answers; -1: nobody asks */
    atomic_bool stopping; /* parked and new reads get ECONNABORTED */
    atomic_size_t held;   /* bytes kept for open handles, see mount_hold() */
    pthread_mutex_t handles_lock;
    struct handle
        *handles; /* all open files; those that nobody closes before the end are freed then */
    size_t n_handles;
    atomic_uint_fast64_t requests, notifications; /* for `stats` */

    struct mpools *pools;
    struct nodes *nodes;
    struct waiters *waiters;
    struct workers *workers;
    struct watch *watch;
    struct matches_cache *matches;
    struct notes_table *notes;
    struct events *events;
    struct kick *kick;
};

/* Unfinished text of writers and cut messages of readers, together. */
#define HELD_MAX (256ULL * 1024 * 1024)

/* Counts bytes that a handle begins to keep; false (and nothing counted) when the mount keeps too much already. */
static inline bool mount_hold(struct mount *m, size_t bytes)
{
    if (atomic_fetch_add(&m->held, bytes) + bytes <= HELD_MAX)
        return true;
    atomic_fetch_sub(&m->held, bytes);
    return false;
}

/* Bytes: the buffer of a larger message is not kept by those who may stay open for days. */
#define LARGE_MESSAGE (64 * 1024)

static inline void shed(struct buf *store)
{
    if (store->cap <= LARGE_MESSAGE)
        return;
    buf_done(store);
    *store = BUF_INIT;
}

static inline void mount_unhold(struct mount *m, size_t bytes)
{
    atomic_fetch_sub(&m->held, bytes);
}

#endif
