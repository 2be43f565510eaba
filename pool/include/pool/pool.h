/*
 * One pool: create, open, append, get, wait.
 *
 * A pool is a bounded ring of messages in one file, shared by every process that opens it.
 * Appending to a full ring loses the oldest messages.  Reading takes no lock and needs no write
 * permission.
 *
 *     pool_create(path, &options, &err)
 *     pool_open(path, POOL_READ_WRITE, &pool, &err)
 *     pool_append(pool, payloads, n, 0, &receipt, &err)
 *     pool_close(pool)
 *
 * A handle may be used by any number of threads at once; not from signal handlers.  A child of
 * fork() may go on with its parent's handles: it becomes a writer of its own when it first appends.
 * Positions (`pos`) are bytes that only grow: where a frame stands is pos modulo the ring.
 *
 * Every call on a handle may fail with NotFound (the pool was deleted, or its file replaced),
 * Corrupt and Io (the file was cut short, or the disk failed).
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include "base/buf.h"
#include "pool/error.h"
#include "pool/message.h"

#include <stdint.h>
#include <sys/types.h>

#define POOL_SIZE_DEFAULT (1024ULL * 1024)
#define POOL_SIZE_MIN 8192ULL
#define POOL_INDEX_AUTO (-1)

struct pool;

struct pool_options {
    uint64_t size;          /* bytes of the file; 0: POOL_SIZE_DEFAULT */
    int64_t index_capacity; /* slots; POOL_INDEX_AUTO, or 0 for none */
    mode_t mode;            /* permissions, taken as given, the umask aside */
};

#define POOL_MODE_DEFAULT 0600
#define POOL_OPTIONS_INIT                                                                          \
    ((struct pool_options){.index_capacity = POOL_INDEX_AUTO, .mode = POOL_MODE_DEFAULT})

/*
 * Makes a pool file, whole or not at all, with all its space allocated; missing parent directories
 * are made too (0700). AlreadyExists, Usage (sizes, a path that ends like that of a directory),
 * Permission, Io (no space).  An existing file is never touched.
 */
int pool_create(const char *path, const struct pool_options *options, struct error *err);

enum pool_access {
    /* for readers: maps for writing where permitted (so that it can be woken), else read-only */
    POOL_READ,
    POOL_READ_WRITE, /* for appending; Permission when the file does not allow it */
};

/* NotFound, Permission, Corrupt, Usage (another format), Io.  Release with pool_close(). */
int pool_open(const char *path, enum pool_access access, struct pool **ret_pool, struct error *err);

/*
 * pool_create() and pool_open() in one: to read and to wait, whatever the mode of the file allows;
 * appending needs the permission all the same.
 */
int pool_create_open(const char *path, const struct pool_options *options, struct pool **ret_pool,
                     struct error *err);
void pool_close(struct pool *pool);

/* as given to pool_open(); lives as long as the handle */
const char *pool_path(const struct pool *pool);

/* Largest tags + data (raw bytes) of one message in this pool. */
uint64_t pool_message_max(const struct pool *pool);

enum append_flags {
    APPEND_FLUSH = 1 << 0, /* return when the messages are on disk */
    /* Busy at once when another writer holds the lock for longer than a short spin (20 us) */
    APPEND_TRY = 1 << 1,
    /*
     * pool_wait_served() of this process, through this handle, need not return; not in a child of fork().  With
     * APPEND_FLUSH it does all the same: nobody waits for a disk.
     */
    APPEND_WAKE_OTHERS = 1 << 2,
};

struct receipt {
    uint64_t first_seq; /* payload i became message first_seq + i */
    uint64_t time_ns;   /* of all of them */
};

/*
 * Appends n messages under one lock, next to each other, or none.
 *
 * Waits for the writer lock (see APPEND_TRY).  After a failure nothing is stored and no number is
 * used, except after Io from APPEND_FLUSH: then the messages are there and visible, only not known
 * to be on disk; *ret_receipt is filled even so.  Usage with detail TOO_LARGE when one of them can
 * never fit; err->seq (without has_seq) is then its place among the n.
 */
int pool_append(struct pool *pool, const struct payload *payloads, size_t n,
                enum append_flags flags, struct receipt *ret_receipt, struct error *err);

/* Everything appended before this call is on disk when it returns 0. */
int pool_flush(struct pool *pool, struct error *err);

/* What is in the pool at one moment. */
struct pool_bounds {
    uint64_t oldest;       /* seq; newest + 1 when nothing is retained */
    uint64_t newest;       /* seq; 0 when nothing was ever appended */
    uint64_t newest_time;  /* ns; of the last append, 0 when none */
    uint64_t tail, head;   /* positions: of the oldest frame, behind the newest */
    uint64_t rendered_end; /* bytes of envelopes in the life of the pool, the newest included */
    uint64_t time_floor;   /* seq: the clock was set back here; searches by time begin at it */
};

static inline uint64_t pool_bounds_count(const struct pool_bounds *bounds)
{
    return bounds->newest + 1 - bounds->oldest;
}

int pool_bounds(struct pool *pool, struct pool_bounds *ret, struct error *err);

struct pool_info {
    uint64_t file_size, index_offset, index_size_bytes, ring_offset, ring_size; /* bytes */
    uint32_t index_capacity;                                                    /* slots */
    uint8_t uuid[16];
    uint64_t created_ns;
    struct pool_bounds bounds;
    uint64_t oldest_time, newest_time; /* ns; 0 when empty */
    /* of the ring, from the oldest frame to the write position */
    uint64_t used_bytes;
};

int pool_info(struct pool *pool, struct pool_info *ret, struct error *err);

/*
 * The pool-info object of `plasmite pool info --json` (without a newline), as one compact JSON
 * text. now_ns 0 leaves the two ages out (the mount's `info`, which must not change while nothing
 * happens).
 */
int pool_info_json(const struct pool_info *info, const char *name, const char *path,
                   uint64_t now_ns, struct buf *out);

/*
 * One message by number.  Its bytes are copied (and checked) to the end of *store; *ret points into
 * it and is good until the next change of *store.  NotFound with seq ("message not found") when it
 * is not retained.
 */
int pool_get(struct pool *pool, uint64_t seq, struct buf *store, struct message *ret,
             struct error *err);

/*
 * Marks the pool as gone, so that every handle in every process stops, and unlinks its file. Waits
 * for a running append.  NotFound, or Io (also without permission, as the contract of `pool delete`
 * has it).  Of a symbolic link only the link is removed.
 */
int pool_delete(const char *path, struct error *err);

/* The same, but Busy when a running append has not ended within limit_ns. */
int pool_delete_within(const char *path, uint64_t limit_ns, struct error *err);

/*
 * Gives an empty pool another size: a new file, with the mode and the owner of the old one, takes
 * its place at once or not at all. All handles on the old one, also this one, then find it gone.
 * Needs POOL_READ_WRITE. Busy when it holds messages or a writer is at it, Usage (size), NotFound,
 * Permission, Io (no space).
 */
int pool_resize(struct pool *pool, uint64_t size, struct error *err);

/*
 * Sleeps until one of the pools has a message at or behind its position, is gone, or the deadline
 * passes.
 *
 * pools, seen   n pools and for each the head position already seen (pool_bounds.head, or
 * cursor.pos)
 * deadline_ns   on clock_mono_ns(); UINT64_MAX: none
 * control       may be NULL: a futex word of the caller's (this process); the wait also ends when
 * it is no longer
 *               control_value (whoever changes it calls futex wake, see pool_wake_control)
 * A signal handler that ran ends the wait too.  Wake-ups without a message happen; look again.
 */
enum pool_wait_result { POOL_WAIT_READY, POOL_WAIT_TIMEOUT, POOL_WAIT_INTERRUPTED };
enum pool_wait_result pool_wait(struct pool *const *pools, const uint64_t *seen, size_t n,
                                uint64_t deadline_ns, const uint32_t *control,
                                uint32_t control_value);

/*
 * The same, for those who are told by the appender itself of what it appends with APPEND_WAKE_OTHERS: it returns for
 * the messages of others at once, for those in its own time.  Saves a switch of threads for each message.
 */
enum pool_wait_result pool_wait_served(struct pool *const *pools, const uint64_t *seen, size_t n,
                                       uint64_t deadline_ns, const uint32_t *control,
                                       uint32_t control_value);

/* Adds one to the control word and wakes whoever waits on it.  Safe in a signal handler. */
void pool_wake_control(uint32_t *control);

/* How many pools one pool_wait() watches by futex; the rest is looked at every 50 ms. */
#define POOL_WAIT_MAX 127

/* Has the head moved past `seen`, or is the pool gone?  One or two loads. */
bool pool_ready(struct pool *pool, uint64_t seen);

/*
 * NotFound when the pool was deleted, its file has no name any more or holds another pool (looks at
 * the disk), Io when it was cut short; else 0.  A file that was renamed is alive.
 */
int pool_check_alive(struct pool *pool, struct error *err);

static inline void pool_cleanup(struct pool **pool)
{
    pool_close(*pool);
}
#define auto_pool __attribute__((cleanup(pool_cleanup)))

/*
 * A SIGBUS inside a mapping of ours becomes an error of that pool.  Programs call it at start;
 * pool_open() does otherwise.
 */
void pool_guard_sigbus(void);

#endif
