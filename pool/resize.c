/*
 * An empty pool in another size: a new file is made beside it, and takes its place while the old one's lock is held, so that
 * no message is lost and the name is never without a pool.
 */
#include "base/cleanup.h"
#include "base/units.h"
#include "handle.h"
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The directory of a path with its `/`, or "./"; NULL when memory is gone. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? strdup("./") : strndup(path, (size_t)(slash - path) + 1);
}

static int failed(const char *path, int os_errno, struct error *err)
{
    bool denied = os_errno == EACCES || os_errno == EPERM || os_errno == EROFS;

    fail_os(err, denied ? PLSM_ERROR_PERMISSION : PLSM_ERROR_IO, os_errno,
            "failed to replace the pool file%s", denied ? " (permission denied)" : "");
    return fail_path(err, path);
}

static int check_empty(struct pool *pool, struct error *err)
{
    struct pool_bounds bounds;

    if (pool_bounds(pool, &bounds, err) < 0)
        return -1;
    if (pool_bounds_count(&bounds) == 0)
        return 0;
    fail(err, PLSM_ERROR_BUSY, "the pool holds messages");
    fail_hint(err, "Only an empty pool can be given another size: create a new one and copy.");
    return fail_path(err, pool->path);
}

/* The pool that is to be, under a name that no list shows, with mode and owner of the old one. */
static int make(const struct pool *pool, const char *temp, uint64_t size, struct error *err)
{
    struct pool_options options = POOL_OPTIONS_INIT;
    struct stat st;

    if (fstat(pool->file.fd, &st) < 0)
        return failed(pool->path, errno, err);
    options.size = size;
    if (pool->fixed.index_capacity == 0)
        options.index_capacity = 0;
    if (pool_create(temp, &options, err) < 0)
        return fail_path(err, pool->path);
    if (((st.st_uid != geteuid() || st.st_gid != getegid()) && chown(temp, st.st_uid, st.st_gid) < 0) ||
        chmod(temp, st.st_mode & 07777) < 0) {
        int os_errno = errno;

        (void)unlink(temp); /* nobody knows of it */
        return failed(pool->path, os_errno, err);
    }
    return 0;
}

/* Without it a crash could bring the old file back in the place of flushed messages. */
static int flush_directory(const char *dir, const char *path, struct error *err)
{
    auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL)) /* some file systems cannot sync directories */
        return failed(path, errno, err);
    return 0;
}

static int replace_locked(struct pool *pool, const char *temp, const char *dir, struct error *err)
{
    struct stat here;
    struct stat ours;

    if (pool_fail_if_over(pool, err) < 0 || check_empty(pool, err) < 0)
        return -1;
    if (fstat(pool->file.fd, &ours) < 0 || lstat(pool->path, &here) < 0 ||
        ours.st_dev != here.st_dev || ours.st_ino != here.st_ino) {
        fail(err, PLSM_ERROR_NOT_FOUND, "the pool was deleted");
        return fail_path(err, pool->path);
    }
    if (rename(temp, pool->path) < 0)
        return failed(pool->path, errno, err);
    atomic_store_explicit(&pool->ring.live->gone, 1, memory_order_release);
    return flush_directory(dir, pool->path, err);
}

int pool_resize(struct pool *pool, uint64_t size, struct error *err)
{
    auto_free char *dir = directory_of(pool->path);
    auto_free char *temp = NULL;

    if (dir == NULL || asprintf(&temp, "%s.plasmite-%" PRIx64 "-%" PRIx64 ".new", dir,
                                (uint64_t)getpid(), clock_mono_ns()) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (pool_check_alive(pool, err) < 0 || check_empty(pool, err) < 0 ||
        make(pool, temp, size, err) < 0)
        return -1;
    int result = -1;
    switch (pool_lock(pool, LOCK_TRY, err)) {
    case LOCK_FAILED:
    case LOCK_BUSY: /* pool_lock() has said so */
        break;
    case LOCK_HELD:
    case LOCK_TAKEN_OVER: /* what it left is not in force: the pool is as empty as it looks */
        result = replace_locked(pool, temp, dir, err);
        lock_release(&pool->ring.live->lock);
        notify_wake(pool->ring.live, 0);
        break;
    }
    (void)unlink(temp); /* not there any more, or not wanted */
    return result;
}
