/*
 * A stream that is open for reading: what is common to all, and what its source of lines has to do.
 *
 * A source embeds a struct reader as its first field, fills in what it needs and calls reader_start().
 */
#ifndef FS_READER_H
#define FS_READER_H

#include "handle.h"
#include "waiters.h"
#include "work.h"

/* What became of trying to make lines. */
enum filled {
    FILL_READY,
    FILL_NOTHING, /* none now; when r->ended, none ever */
    FILL_EARLY,   /* (of the reader) there is something, but not before r->due_ns */
    FILL_LATER,   /* looked for long enough: let a worker go on */
    FILL_FAILED,
};

struct reader;

/* All are called under the reader's lock. */
struct source {
    /*
     * Makes lines up to `max` bytes, at least one when there is one, into r->ready, which is empty.  Says with r->looked up
     * to where there was nothing, for those who wait, and with r->due_ns when they may have what is ready.  With
     * VIEW_QUICK what takes long is FILL_LATER.
     */
    enum filled (*fill)(struct reader *r, size_t max, enum view_patience patience,
                        struct error *err);
    /* Where news begin for somebody who knows of all there is now. */
    uint64_t (*end)(struct reader *r);
    /* Releases what the source has; the reader itself is freed afterwards. */
    void (*done)(struct reader *r);
};

struct reader {
    struct handle handle;
    const struct source *source;
    struct mpool *pool;   /* that is waited on; the node keeps it, or the mount */
    pthread_mutex_t lock; /* for all below; a worker may hold it long */
    uint64_t looked;
    bool ended;       /* nothing comes after what is ready */
    bool gap;         /* to be told once: what comes next does not follow what came last */
    struct buf ready; /* lines made and not yet delivered: ready_at .. */
    size_t ready_at;
    uint64_t due_ns; /* it is not delivered before; 0: at once */
    uint64_t waits_ns; /* since when somebody reads and was given nothing; 0: nobody does */
    size_t counted;  /* bytes of them that mount_hold() knows of */
    uint64_t pos;    /* f_pos of the next byte */
    char *window;    /* it ends with the last bytes delivered; made with the first read */
    size_t window_n;
    struct work scan; /* for a poll that must look far */
    bool scanning;
    uid_t scan_user;    /* on whose behalf */
    atomic_bool closed; /* nobody has it open any more: no lock */
    pthread_mutex_t poll_lock; /* for all below; inside the other one or alone */
    struct waiter poll_waiter;
    struct fuse_pollhandle *ph;
    bool poll_parked;
};

/* Begins the life of a zeroed reader as the open file that is asked for. */
void reader_start(struct reader *r, const struct source *source, struct mpool *pool,
                  struct opening *o);

#endif
