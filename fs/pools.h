/*
 * The pools that the mount has open: one handle for each, found by name, shared by all who use it.
 *
 * A pool that was deleted, or whose file was replaced, is another pool from then on: pools_get() makes a new
 * entry, and whoever holds the old one finds `gone` set.  So does whoever comes back to a pool that was closed because there
 * were no descriptors left; the kernel is told ESTALE, asks for the name once more, and gets a new entry.  Entries live as long as somebody refers to them.
 */
#ifndef FS_POOLS_H
#define FS_POOLS_H

#include "mount.h"
#include "pool/pool.h"

#include <pthread.h>
#include <sys/stat.h>

struct notes;
struct tags;
struct waiter;
struct write_job;

struct mpool {
    struct mpool *next; /* in the table; under the table's lock, as is refs */
    unsigned refs;
    struct mount *mount;
    char *name, *path;
    struct pool *pool;         /* NULL: no pool, but something else to wait on ... */
    atomic_uint_fast64_t news; /* ... where so much has come so far */
    bool writable;             /* opened for appending */
    atomic_bool gone;          /* deleted or replaced: to be treated as not there */
    atomic_bool moved; /* renamed, or unusable for now: whoever has it open goes on with it */
    uint64_t identity; /* differs between pools of one name that follow each other */
    dev_t dev;         /* with ino: the file */
    ino_t ino;
    uint64_t created_ns;
    uint64_t ring_size, file_size; /* bytes */
    unsigned char uuid[16];
    atomic_uint handles; /* open files of this pool; rmdir looks */
    atomic_uint
        uses; /* who needs it open besides; MPOOL_RETIRED: it was closed for want of descriptors */
    uint64_t serial;     /* of the entry: no two are alike */
    atomic_bool recent;  /* used since somebody last looked for pools to close */
    struct notes *notes; /* with a reference */
    struct tags *tags;

    struct { /* under the waiters' lock */
        struct waiter *first;
        atomic_uint n; /* that wait; read without the lock */
        bool watched;       /* the waiting thread has it in its set ... */
        uint64_t watch_pos; /* ... and wakes when the head passes this */
        bool visited;       /* somebody has parked since the thread looked last */
        uint64_t linger_ns; /* it keeps the pool in its set until then although nobody waits */
        bool listed;
        struct mpool *next, *done_next;
    } wait;

    struct { /* under lock */
        pthread_mutex_t lock;
        struct write_job *first, **last;
        atomic_bool draining;   /* a worker is at it; read without the lock */
        uint64_t busy_since_ns; /* the lock has been held since then, ... */
        uint64_t
            busy_head; /* ... in which nothing was appended; 0 and any when it is not known to be */
    } appends;

    struct { /* under lock: where the retained part is safe to show, see view.c */
        pthread_mutex_t lock;
        uint64_t tail, first_safe;
        struct stat last_stat; /* for when the file is gone */
    } edge;
};

struct mpools *pools_new(struct mount *m);
void pools_free(struct mpools *pools);

/* The pool of that name, opened if need be; a new reference.  NotFound and whatever pool_open() says. */
int pools_get(struct mpools *pools, const char *name, struct mpool **ret, struct error *err);

/* Looks at the disk only when the pool is one the mount knows: sets `gone` on it when it is. */
void pools_check(struct mpools *pools, const char *name);

struct mpool *mpool_ref(struct mpool *pool);
void mpool_unref(struct mpool *pool);

/*
 * Keeps the pool open; false when it is closed already.  For threads other than the loop, which does not need it, since only the
 * loop closes pools that are idle.
 */
bool mpool_use(struct mpool *pool);
void mpool_unuse(struct mpool *pool);

/* Is it there?  One look at the disk; sets `gone`.  One that was found moved is not. */
bool mpool_alive(struct mpool *pool);

/* ... under its own name?  Another look; sets `moved`. */
bool mpool_in_place(struct mpool *pool);

/* Has anything come at or behind `pos`, or is it gone? */
bool mpool_ready(struct mpool *pool, uint64_t pos);

/* The pool file's owner, group and mode; of a pool that is gone the last known ones. */
void mpool_stat(struct mpool *pool, struct stat *st);

/* DIR/NAME.plasmite; to be freed.  NULL when memory is gone. */
char *pools_path(const struct mount *m, const char *name);

static inline void mpool_cleanup(struct mpool **pool)
{
    mpool_unref(*pool);
}
#define auto_mpool __attribute__((cleanup(mpool_cleanup)))

#endif
