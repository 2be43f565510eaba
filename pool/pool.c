#include "pool/pool.h"

#include "base/cleanup.h"
#include "frame.h"
#include "handle.h"
#include "header.h"
#include "index.h"
#include "notify.h"
#include "pool/cursor.h"
#include "recover.h"
#include "testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* bytes of ring beyond the largest message, as the contract of sizes has it */
#define PLACE_SPARE 72
#define LAPPED_TRIES 1000 /* looks at a tail that keeps running away from us */

int pool_fail_if_over(struct pool *pool, struct error *err)
{
    if (!pool_is_over(pool))
        return 0;
    if (atomic_load(&pool->file.dead))
        fail(err, PLSM_ERROR_IO, "the pool file was cut short while in use");
    else
        fail(err, PLSM_ERROR_NOT_FOUND, "the pool was deleted");
    return fail_path(err, pool->path);
}

int pool_fail_corrupt(struct pool *pool, uint64_t pos, const char *what, struct error *err)
{
    if (pool_fail_if_over(pool, err) < 0)
        return -1;
    fail(err, PLSM_ERROR_CORRUPT, "%s", what);
    fail_offset(err, pool->fixed.ring_off + ring_off(&pool->ring, pos));
    return fail_path(err, pool->path);
}

enum lock_result pool_lock(struct pool *pool, uint64_t limit_ns, struct error *err)
{
    struct commit commit;
    enum lock_result result = lock_acquire(&pool->lock, &pool->ring.live->lock, limit_ns, err);

    if (result == LOCK_TAKEN_OVER && ring_commit(&pool->ring, &commit))
        index_forget_beyond(&pool->ring, commit.head);
    if (result == LOCK_BUSY)
        fail(err, PLSM_ERROR_BUSY, "another writer is appending");
    if (result == LOCK_BUSY || result == LOCK_FAILED)
        fail_path(err, pool->path);
    return result;
}

/* Somebody has copied another pool over the file: same inode, other content. */
static bool is_another_pool(const struct pool *pool)
{
    const struct header_page *page = (const struct header_page *)(const void *)pool->file.map;

    return __atomic_load_n(&page->fixed.crc, __ATOMIC_RELAXED) != pool->fixed.crc;
}

int pool_check_alive(struct pool *pool, struct error *err)
{
    struct stat st;

    if (fstat(pool->file.fd, &st) == 0) {
        if (st.st_nlink == 0)
            atomic_store(&pool->unlinked, true);
        if ((uint64_t)st.st_size < pool->file.size)
            atomic_store(&pool->file.dead, true);
        else if (is_another_pool(pool))
            atomic_store(&pool->unlinked, true);
    }
    return pool_fail_if_over(pool, err);
}

void pool_guard_sigbus(void)
{
    file_guard_sigbus();
}

static int lay_out(struct new_file *new, struct header_fixed *fixed, uint64_t pos, uint64_t seq,
                   struct error *err)
{
    struct ring ring;
    struct header_page *page = (struct header_page *)(void *)new->file.map;
    uint64_t boot[2];

    if (header_seal(fixed, clock_real_ns(), err) < 0)
        return -1;
    page->fixed = *fixed;
    ring_init(&ring, new->file.map, fixed);
    pos = (pos + LAYOUT_FRAME_ALIGN - 1) & ~(uint64_t)(LAYOUT_FRAME_ALIGN - 1);
    if (pos < ring.bytes)
        pos = ring.bytes;
    struct commit commit = {.head = pos, .newest = seq - 1};
    ring_move_tail(&ring, pos);
    ring_publish(&ring, &commit);
    atomic_store(&page->live.flushed, pos);
    header_boot_id(boot);
    atomic_store(&page->live.boot[0], boot[0]);
    atomic_store(&page->live.boot[1], boot[1]);
    return 0;
}

/* Does the path end in the name of a file? */
static int check_file_name(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;

    if (name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        return 0;
    fail(err, PLSM_ERROR_USAGE, "the path names a directory, not a pool file");
    fail_hint(err, "Add the name of the file, as in DIRECTORY/chat.plasmite.");
    return fail_path(err, path);
}

/* file_publish() decides; this saves the work, and says so first. */
static int check_is_new(const char *path, struct error *err)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return 0;
    fail(err, PLSM_ERROR_ALREADY_EXISTS, "pool already exists");
    fail_hint(err, "Choose a different name, or remove the existing pool first.");
    return fail_path(err, path);
}

static int make(struct new_file *new, const char *path, const struct pool_options *options,
                uint64_t pos, uint64_t seq, struct error *err)
{
    struct header_fixed fixed;

    if (check_file_name(path, err) < 0 || check_is_new(path, err) < 0 ||
        header_plan(options, &fixed, err) < 0 || file_make_parents(path, err) < 0 ||
        file_make(new, path, fixed.file_size, options->mode, err) < 0)
        return -1;
    if (lay_out(new, &fixed, pos, seq, err) == 0 && file_publish(new, path, err) == 0)
        return 0;
    file_abandon(new);
    return -1;
}

int pool_create_at(const char *path, const struct pool_options *options, uint64_t pos, uint64_t seq,
                   struct error *err)
{
    struct new_file new;

    if (make(&new, path, options, pos, seq, err) < 0)
        return -1;
    file_abandon(&new);
    return 0;
}

int pool_create(const char *path, const struct pool_options *options, struct error *err)
{
    return pool_create_at(path, options, 0, 1, err);
}

void pool_set_clock(struct pool *pool, uint64_t (*now_ns)(void))
{
    pool->now_ns = now_ns;
}

static void set_message_max(struct pool *pool)
{
    pool->message_max = pool->ring.bytes - PLACE_SPARE;
    if (pool->message_max > MESSAGE_BYTES_MAX)
        pool->message_max = MESSAGE_BYTES_MAX;
}

static struct pool *new_handle(const char *path, struct error *err)
{
    auto_pool struct pool *pool = calloc(1, sizeof *pool);
    struct pool *ret = NULL;

    if (pool != NULL) {
        pool->file = FILE_INIT; /* pool_close() copes from here on */
        pool->lock = LOCK_INIT(-1, NULL, NULL);
        pool->now_ns = clock_real_ns;
        pool->path = strdup(path);
    }
    if (pool == NULL || pool->path == NULL) {
        fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    ret = pool;
    pool = NULL; /* handed to the caller */
    return ret;
}

/* The file is mapped: is it a pool, and in order? */
static int check_mapped(struct pool *pool, struct error *err)
{
    if (header_check(pool->file.map, pool->file.size, &pool->fixed, err) < 0)
        return fail_path(err, pool->path);
    ring_init(&pool->ring, pool->file.map, &pool->fixed);
    set_message_max(pool);
    pool->lock = LOCK_INIT(pool->file.fd, &pool->ring.live->lock, &pool->ring.live->flush_lock);
    if (pool_fail_if_over(pool, err) < 0)
        return -1;
    if (pool->file.writable && recover_needed(pool) && recover_run(pool, err) < 0)
        return fail_path(err, pool->path);
    if (!ring_commit_sound(&pool->ring)) {
        fail(err, PLSM_ERROR_CORRUPT, "the header is damaged");
        return fail_path(err, pool->path);
    }
    return 0;
}

int pool_open(const char *path, enum pool_access access, struct pool **ret_pool, struct error *err)
{
    auto_pool struct pool *pool = new_handle(path, err);

    if (pool == NULL ||
        file_map(&pool->file, path,
                 access == POOL_READ ? FILE_READ_WRITE_IF_ALLOWED : FILE_READ_WRITE, err) < 0 ||
        check_mapped(pool, err) < 0)
        return -1;
    *ret_pool = pool;
    pool = NULL; /* handed to the caller */
    return 0;
}

int pool_create_open(const char *path, const struct pool_options *options, struct pool **ret_pool,
                     struct error *err)
{
    auto_pool struct pool *pool = new_handle(path, err);
    struct new_file new;

    if (pool == NULL || make(&new, path, options, 0, 1, err) < 0)
        return -1;
    int result = file_map_fd_take(&pool->file, new.file.fd, path, err);
    new.file.fd = -1;
    file_abandon(&new);
    if (result < 0 || check_mapped(pool, err) < 0)
        return -1;
    *ret_pool = pool;
    pool = NULL; /* handed to the caller */
    return 0;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL)
        return;
    lock_done(&pool->lock);
    file_unmap(&pool->file);
    free(pool->path);
    free(pool);
}

const char *pool_path(const struct pool *pool)
{
    return pool->path;
}

uint64_t pool_message_max(const struct pool *pool)
{
    return pool->message_max;
}

static void bounds_from(const struct commit *commit, uint64_t tail, uint64_t oldest,
                        struct pool_bounds *ret)
{
    *ret = (struct pool_bounds){.oldest = oldest,
                                .newest = commit->newest,
                                .newest_time = commit->newest_time,
                                .tail = tail < commit->head ? tail : commit->head,
                                .head = commit->head,
                                .time_floor = commit->time_floor,
                                .rendered_end = commit->rendered_end};
}

/* The commit in force and the oldest frame (its time in *ret_oldest_time, may be NULL). */
static int look(struct pool *pool, struct pool_bounds *ret, uint64_t *ret_oldest_time,
                struct error *err)
{
    struct ring *ring = &pool->ring;
    struct commit commit;
    struct frame oldest;

    for (int i = 0; i < LAPPED_TRIES; i++) {
        uint64_t tail = ring_tail(ring), pos = tail;
        if (!ring_commit(ring, &commit))
            break;
        switch (tail >= commit.head ? FRAME_END : frame_read(ring, &pos, commit.head, &oldest)) {
        case FRAME_END:
            bounds_from(&commit, tail, commit.newest + 1, ret);
            return 0;
        case FRAME_OK:
            if (oldest.seq > commit.newest || oldest.seq == 0 || commit.head - tail > ring->bytes)
                return pool_fail_corrupt(pool, pos, "the oldest message has an impossible number",
                                         err);
            bounds_from(&commit, pos, oldest.seq, ret);
            if (ret_oldest_time != NULL)
                *ret_oldest_time = oldest.time_ns;
            return 0;
        case FRAME_LAPPED:
            break;
        case FRAME_BAD:
            return pool_fail_corrupt(pool, pos, "the oldest message is damaged", err);
        }
    }
    if (pool_fail_if_over(pool, err) < 0)
        return -1;
    fail(err, PLSM_ERROR_CORRUPT, "the header is damaged");
    return fail_path(err, pool->path);
}

int pool_bounds(struct pool *pool, struct pool_bounds *ret, struct error *err)
{
    if (look(pool, ret, NULL, err) < 0)
        return -1;
    return atomic_load(&pool->file.dead) ? pool_fail_if_over(pool, err) : 0;
}

int pool_info(struct pool *pool, struct pool_info *ret, struct error *err)
{
    struct header_fixed *fixed = &pool->fixed;

    *ret = (struct pool_info){.file_size = fixed->file_size,
                              .index_offset = LAYOUT_HEADER_BYTES,
                              .index_size_bytes = fixed->ring_off - LAYOUT_HEADER_BYTES,
                              .ring_offset = fixed->ring_off,
                              .ring_size = fixed->file_size - fixed->ring_off,
                              .index_capacity = fixed->index_capacity,
                              .created_ns = fixed->created_ns};
    memcpy(ret->uuid, fixed->uuid, sizeof ret->uuid);
    if (pool_check_alive(pool, err) < 0 || look(pool, &ret->bounds, &ret->oldest_time, err) < 0)
        return -1;
    if (pool_bounds_count(&ret->bounds) > 0)
        ret->newest_time = ret->bounds.newest_time;
    ret->used_bytes = ret->bounds.head - ret->bounds.tail;
    return 0;
}

static int not_retained(struct pool *pool, uint64_t seq, struct error *err)
{
    if (atomic_load(&pool->file.dead))
        return pool_fail_if_over(pool, err);
    fail(err, PLSM_ERROR_NOT_FOUND, "message not found");
    return fail_seq(err, seq);
}

int pool_get(struct pool *pool, uint64_t seq, struct buf *store, struct message *ret,
             struct error *err)
{
    struct cursor cursor;
    struct buf one = *store; /* cursor_next() replaces; the caller's content must stay */

    if (cursor_at_seq(pool, seq, &cursor, err) < 0)
        return -1;
    if (cursor.seq != seq)
        return not_retained(pool, seq, err);
    one.n = 0;
    one.p = NULL;
    one.cap = 0;
    enum cursor_result result = cursor_next(pool, &cursor, &one, ret, err);
    if (result != CURSOR_MESSAGE) {
        buf_done(&one);
        return result == CURSOR_FAILED ? -1 : not_retained(pool, seq, err);
    }
    size_t at = store->n, tags_n = ret->tags.n;
    int added = buf_add(store, one.p, one.n);
    buf_done(&one);
    if (added < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    ret->tags.p = store->p + at;
    ret->data.p = store->p + at + tags_n;
    return 0;
}

/* Is the file of the handle still what the path names? */
static bool names_this_file(const struct pool *pool, const char *path)
{
    struct stat a, b;

    return fstat(pool->file.fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int remove_failed(const char *path, int os_errno, struct error *err)
{
    if (os_errno == ENOENT || os_errno == ENOTDIR) {
        fail(err, PLSM_ERROR_NOT_FOUND, "pool not found");
        fail_hint(err, "Create it first, or point --dir at the directory that holds it.");
    } else {
        fail_os(err, PLSM_ERROR_IO, os_errno, "failed to delete pool");
    }
    return fail_path(err, path);
}

/* What has no pool of its own to mark: a symbolic link, a damaged file, one we may not write. */
static int unlink_only(const char *path, struct error *err)
{
    return unlink(path) == 0 ? 0 : remove_failed(path, errno, err);
}

/*
 * May names be removed from the directory of `path`?  Asked before readers are told that the pool
 * is gone.
 */
static bool may_unlink(const char *path)
{
    auto_free char *dir = strdup(path);
    char *slash = dir == NULL ? NULL : strrchr(dir, '/');

    if (dir == NULL)
        return false;
    if (slash != NULL)
        slash[slash == dir] = '\0';
    return faccessat(AT_FDCWD, slash == NULL ? "." : dir, W_OK | X_OK, AT_EACCESS) == 0;
}

static int delete_locked(struct pool *pool, const char *path, struct error *err)
{
    _Atomic uint32_t *gone = &pool->ring.live->gone;

    /* deleted, or another pool of that name made, while we waited */
    if (!names_this_file(pool, path))
        return remove_failed(path, ENOENT, err);
    if (!may_unlink(path))
        return unlink_only(path, err); /* says why */
    /* first: no append may be acknowledged after the name is gone */
    atomic_store_explicit(gone, 1, memory_order_release);
    if (unlink(path) == 0)
        return 0;
    int os_errno = errno;
    atomic_store_explicit(gone, 0, memory_order_release);
    return remove_failed(path, os_errno, err);
}

int pool_delete(const char *path, struct error *err)
{
    return pool_delete_within(path, LOCK_WAIT, err);
}

int pool_delete_within(const char *path, uint64_t limit_ns, struct error *err)
{
    auto_pool struct pool *pool = NULL;
    struct error ignored;
    struct stat st;

    if (lstat(path, &st) < 0 || S_ISLNK(st.st_mode) ||
        pool_open(path, POOL_READ_WRITE, &pool, &ignored) < 0)
        return unlink_only(path, err); /* its readers find out by the link count */
    enum lock_result lock = pool_lock(pool, limit_ns, err);
    if (lock == LOCK_FAILED || lock == LOCK_BUSY)
        return -1;
    int result = delete_locked(pool, path, err);
    lock_release(&pool->ring.live->lock);
    notify_wake(pool->ring.live, 0);
    return result;
}
