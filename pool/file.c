#include "file.h"

#include "base/cleanup.h"
#include "base/fds.h"
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/*
 * What the signal handler may look at.  Regions are never freed, only marked as unused, so that the
 * handler can walk the list at any moment; a region that is unused has base 0.
 */
struct region {
    _Atomic uintptr_t base;
    size_t size;
    atomic_bool *dead;
    struct region *next; /* constant once the region is on the list */
};

static _Atomic(struct region *) regions;
static pthread_mutex_t regions_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction earlier;
static size_t page_bytes;

static struct region *region_of(uintptr_t at)
{
    struct region *r = atomic_load_explicit(&regions, memory_order_acquire);

    for (; r != NULL; r = r->next) {
        uintptr_t base = atomic_load_explicit(&r->base, memory_order_acquire);
        if (base != 0 && at >= base && at - base < r->size)
            return r;
    }
    return NULL;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
    if ((earlier.sa_flags & SA_SIGINFO) != 0) {
        earlier.sa_sigaction(sig, info, context);
    } else if (earlier.sa_handler == SIG_DFL || earlier.sa_handler == SIG_IGN) {
        /* Back in the program it ends, as it would have without us. */
        signal(sig, SIG_DFL);
        (void)raise(sig);
    } else {
        earlier.sa_handler(sig);
    }
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t at = (uintptr_t)info->si_addr;
    struct region *r = region_of(at);

    if (info->si_code <= 0 || r == NULL) { /* sent by somebody, or not ours */
        pass_on(sig, info, context);
        errno = saved;
        return;
    }
    /*
     * Everything from here to the end is missing too: one page of zeros at a time would be a signal
     * for each.
     */
    uintptr_t page = at & ~(uintptr_t)(page_bytes - 1);
    size_t rest = r->base + r->size - page;
    atomic_store(r->dead, true);
    if (mmap((void *)page, rest, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
             -1, 0) == MAP_FAILED)
        pass_on(sig, info, context);
    errno = saved;
}

/*
 * The handler must run even when the thread's own stack is not usable; a thread that has an
 * alternate stack keeps it.
 */
static void give_alternate_stack(void)
{
    static alignas(16) char stack[64 * 1024];
    stack_t now, want = {.ss_sp = stack, .ss_size = sizeof stack};

    if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) != 0)
        (void)sigaltstack(&want, NULL); /* without it the handler uses the ordinary stack */
}

/* A child must not inherit the mutex from a thread it does not have. */
static void regions_lock(void)
{
    pthread_mutex_lock(&regions_mutex);
}

static void regions_unlock(void)
{
    pthread_mutex_unlock(&regions_mutex);
}

static void install_handler(void)
{
    struct sigaction ours = {.sa_sigaction = on_sigbus,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    sigemptyset(&ours.sa_mask);
    give_alternate_stack();
    (void)pthread_atfork(regions_lock, regions_unlock, regions_unlock);
    (void)sigaction(SIGBUS, &ours, &earlier); /* cannot fail with these arguments */
}

void file_guard_sigbus(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, install_handler);
}

static struct region *region_free(void)
{
    for (struct region *r = atomic_load(&regions); r != NULL; r = r->next)
        if (r->base == 0)
            return r;
    return NULL;
}

static int region_watch(struct file *file)
{
    pthread_mutex_lock(&regions_mutex);
    struct region *r = region_free();
    bool is_new = r == NULL;
    if (is_new)
        r = calloc(1, sizeof *r);
    if (r != NULL) {
        r->size = file->size;
        r->dead = &file->dead;
        file->region = r;
        if (is_new) {
            r->next = atomic_load(&regions);
            atomic_store(&regions, r);
        }
        atomic_store_explicit(&r->base, (uintptr_t)file->map, memory_order_release);
    }
    pthread_mutex_unlock(&regions_mutex);
    return r == NULL ? -1 : 0;
}

static void region_forget(struct file *file)
{
    if (file->region == NULL)
        return;
    pthread_mutex_lock(&regions_mutex);
    atomic_store_explicit(&file->region->base, 0, memory_order_release);
    pthread_mutex_unlock(&regions_mutex);
    file->region = NULL;
}

static int map_it(struct file *file, struct error *err)
{
    int prot = PROT_READ | (file->writable || file->is_private ? PROT_WRITE : 0);
    int sharing = file->is_private ? MAP_PRIVATE : MAP_SHARED;
    void *map = mmap(NULL, file->size, prot, sharing, file->fd, 0);

    file_guard_sigbus();
    if (map == MAP_FAILED)
        return fail_os(err, PLSM_ERROR_IO, errno, "failed to map the pool file");
    file->map = map;
    if (region_watch(file) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return 0;
}

static int open_failed(struct error *err, const char *path, int os_errno)
{
    enum plsm_error_kind kind = PLSM_ERROR_IO;

    if (os_errno == ENOENT || os_errno == ENOTDIR)
        kind = PLSM_ERROR_NOT_FOUND;
    else if (os_errno == EACCES || os_errno == EPERM || os_errno == EROFS)
        kind = PLSM_ERROR_PERMISSION;
    fail_os(err, kind, os_errno, "%s", error_kind_message(kind));
    return fail_path(err, path);
}

static int open_for(const char *path, enum file_access access, bool *ret_writable)
{
    /* O_NONBLOCK: a FIFO of that name must not hang us */
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = -1;

    *ret_writable = access == FILE_READ_WRITE || access == FILE_READ_WRITE_IF_ALLOWED;
    if (*ret_writable) {
        fd = fds_above_standard(open(path, O_RDWR | flags));
        bool denied = fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS);
        if (!denied || access == FILE_READ_WRITE)
            return fd;
        *ret_writable = false;
    }
    return fds_above_standard(open(path, O_RDONLY | flags));
}

/* What is open in file->fd. */
static int map_open(struct file *file, const char *path, struct error *err)
{
    struct stat st;

    if (fstat(file->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        fail_os(err, PLSM_ERROR_IO, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "not a pool file");
    } else if ((uint64_t)st.st_size < LAYOUT_HEADER_BYTES) {
        fail(err, PLSM_ERROR_CORRUPT, "the file is shorter than the header of a pool");
    } else {
        file->size = (size_t)st.st_size;
        if (map_it(file, err) == 0)
            return 0;
    }
    file_unmap(file);
    return fail_path(err, path);
}

int file_map(struct file *file, const char *path, enum file_access access, struct error *err)
{
    *file = FILE_INIT;
    file->is_private = access == FILE_PRIVATE;
    file->fd = open_for(path, access, &file->writable);
    return file->fd < 0 ? open_failed(err, path, errno) : map_open(file, path, err);
}

int file_map_fd_take(struct file *file, int fd, const char *path, struct error *err)
{
    *file = FILE_INIT;
    file->fd = fd;
    file->writable = true;
    return map_open(file, path, err);
}

void file_unmap(struct file *file)
{
    region_forget(file);
    if (file->map != NULL)
        (void)munmap(file->map, file->size); /* only fails for arguments that are not a mapping */
    if (file->fd >= 0)
        (void)close(file->fd); /* nothing was written through it */
    file->map = NULL;
    file->fd = -1;
}

#define DIR_BYTES 4096

/* The directory that holds `path`, in dir.  errno when it is too long. */
static int parent_of(const char *path, char dir[DIR_BYTES])
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL || slash == path ? 1 : (size_t)(slash - path);

    if (n >= DIR_BYTES) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(dir, slash == NULL ? "." : path, n);
    dir[n] = '\0';
    return 0;
}

static int open_parent(const char *path)
{
    char dir[DIR_BYTES];

    return parent_of(path, dir) < 0 ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_failed(struct error *err, const char *path, int os_errno, const char *what)
{
    if (os_errno == EACCES || os_errno == EPERM || os_errno == EROFS)
        fail_os(err, PLSM_ERROR_PERMISSION, os_errno, "%s (permission denied)", what);
    else
        fail_os(err, PLSM_ERROR_IO, os_errno, "%s", what);
    return fail_path(err, path);
}

/* One level.  What is there already can be refused with another reason than that. */
static int make_dir(const char *dir)
{
    struct stat st;

    if (mkdir(dir, 0700) == 0)
        return 0;
    int why = errno;
    if (stat(dir, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return 0;
        why = ENOTDIR;
    }
    errno = why;
    return -1;
}

int file_make_dirs(const char *dir, struct error *err)
{
    auto_free char *path = strdup(dir);
    struct stat st;
    int result = 0;

    if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    if (path == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    for (char *p = path; *p != '\0' && result == 0; p++) {
        if (*p != '/' || p == path)
            continue;
        *p = '\0';
        result = make_dir(path);
        *p = '/';
    }
    if (result == 0)
        result = make_dir(path);
    return result == 0 ? 0 : make_failed(err, dir, errno, "failed to create pool directory");
}

int file_make_parents(const char *path, struct error *err)
{
    char dir[DIR_BYTES];

    if (parent_of(path, dir) < 0)
        return make_failed(err, path, errno, "failed to create pool directory");
    return file_make_dirs(dir, err);
}

/* An unnamed file where the file system has them, else a temporary name beside the pool. */
static int open_new(struct new_file *new, const char *path)
{
    auto_fd int dir = open_parent(path);
    int fd;

    if (dir < 0)
        return -1;
    new->temp[0] = '\0';
    fd = fds_above_standard(openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    if (strlen(path) + sizeof ".XXXXXX" > sizeof new->temp) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(stpcpy(new->temp, path), ".XXXXXX");
    fd = fds_above_standard(mkostemp(new->temp, O_CLOEXEC));
    if (fd < 0)
        new->temp[0] = '\0';
    return fd;
}

int file_make(struct new_file *new, const char *path, size_t size, mode_t mode, struct error *err)
{
    int full;

    new->file = FILE_INIT;
    new->file.fd = open_new(new, path);
    if (new->file.fd < 0)
        return make_failed(err, path, errno, "failed to create pool file");
    if (fchmod(new->file.fd, mode) < 0) {
        make_failed(err, path, errno, "failed to create pool file");
        goto abandon;
    }
    /* Real space now: a full disk is an error here and not a SIGBUS while appending. */
    full = posix_fallocate(new->file.fd, 0, (off_t)size);
    if (full != 0) {
        make_failed(err, path, full, "failed to size pool file");
        goto abandon;
    }
    new->file.size = size;
    new->file.writable = true;
    if (map_it(&new->file, err) == 0)
        return 0;
    fail_path(err, path);
abandon:
    file_abandon(new);
    return -1;
}

static int give_name(const struct new_file *new, const char *path)
{
    char self[64];

    if (new->temp[0] != '\0')
        return link(new->temp, path);
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", new->file.fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

int file_publish(struct new_file *new, const char *path, struct error *err)
{
    auto_fd int dir = open_parent(path);

    if (fsync(new->file.fd) < 0)
        return make_failed(err, path, errno, "failed to write pool file");
    if (give_name(new, path) < 0) {
        if (errno != EEXIST)
            return make_failed(err, path, errno, "failed to create pool file");
        fail(err, PLSM_ERROR_ALREADY_EXISTS, "pool already exists");
        fail_hint(err, "Choose a different name, or remove the existing pool first.");
        return fail_path(err, path);
    }
    /* some file systems cannot sync directories */
    if (dir >= 0 && fsync(dir) < 0 && errno != EINVAL)
        return make_failed(err, path, errno, "failed to write the pool directory");
    if (new->temp[0] != '\0')
        (void)unlink(new->temp); /* the pool has its name; a left-over second one is only untidy */
    new->temp[0] = '\0';
    return 0;
}

void file_abandon(struct new_file *new)
{
    if (new->temp[0] != '\0')
        (void)unlink(new->temp);
    new->temp[0] = '\0';
    file_unmap(&new->file);
}

int file_sync_range(struct file *file, uint64_t off, uint64_t n)
{
    return sync_file_range(file->fd, (off_t)off, (off_t)n,
                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                               SYNC_FILE_RANGE_WAIT_AFTER);
}

int file_sync_barrier(struct file *file)
{
    return msync(file->map, LAYOUT_HEADER_BYTES, MS_SYNC);
}
