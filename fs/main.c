/* The program: options, start, the loop, stop. */
#include "attach.h"
#include "mount.h"

#include "base/cleanup.h"
#include "base/fds.h"
#include "base/log.h"
#include "base/mounts.h"
#include "base/stop.h"
#include "base/units.h"
#include "events.h"
#include "handle.h"
#include "kick.h"
#include "matches.h"
#include "node.h"
#include "notes.h"
#include "options.h"
#include "pool/error_text.h"
#include "pools.h"
#include "stale.h"
#include "waiters.h"
#include "watch.h"
#include "wire.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define STUCK_LIMIT_NS (2 * NS_PER_S) /* that the end waits for work under way */
#define KICK_NS (5 * NS_PER_MS)       /* between signals to a loop that is to end */

/* As `plasmite`, which starts this program, tells its own. */
static int report(struct error *err)
{
    auto_buf struct buf text = BUF_INIT;

    error_default_hint(err);
    if (isatty(STDERR_FILENO))
        error_add_lines(err, true, &text);
    else
        error_add_envelope(err, &text);
    log_write(buf_bytes(&text));
    return (int)err->kind;
}

/* Is `path` the directory `dir` or below it?  Both are as realpath() gives them. */
static bool is_within(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0' || dir[n - 1] == '/');
}

/* Whoever names no source, place or device that is there is told so in words, before libfuse tries. */
static int check(struct mount *m, struct error *err)
{
    auto_free char *given = m->dir;
    bool ours;
    char *point;
    struct stat st;

    m->dir = realpath(given, NULL);
    if (m->dir == NULL) {
        if (errno != ENOENT && errno != ENOTDIR)
            return fail_os(err, PLSM_ERROR_IO, errno, "cannot look at the pool directory '%s'",
                           given);
        (void)fail(err, PLSM_ERROR_NOT_FOUND, "pool directory '%s' does not exist", given);
        if (m->replace) /* `mount -o remount MNT` takes it from the list of mounts, where ours have no name of a directory */
            return fail_hint(err, "Name the pool directory to remount: `mount -t plasmite -o remount DIR %s`.", m->point);
        return fail_hint(err, "Create it with `mkdir %s`.", given);
    }
    if (stat(m->dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return fail(err, PLSM_ERROR_USAGE, "'%s' is not a directory of pools", given);
    if (mounts_shows_pools(m->dir, NULL)) {
        (void)fail(err, PLSM_ERROR_USAGE, "pools are mounted on '%s', their files are elsewhere", m->dir);
        return fail_hint(err, "Name the directory with the files of the pools, as for that mount.");
    }
    if (stale_find(m->point, m->replace, &point, &ours, err) < 0)
        return -1;
    free(m->point);
    m->point = point;
    if (is_within(m->dir, m->point)) { /* every look at a pool would wait for the mount itself */
        (void)fail(err, PLSM_ERROR_USAGE,
                   "the pool directory '%s' lies within the mount point '%s'", m->dir, m->point);
        return fail_hint(err, "Mount it on another directory, an empty one for instance.");
    }
    if (is_within(m->point, m->dir)) { /* copies of the directory would walk into its own pools */
        (void)fail(err, PLSM_ERROR_USAGE,
                   "the mount point '%s' lies within the pool directory '%s'", m->point, m->dir);
        return fail_hint(err, "Mount it on a directory outside of it.");
    }
    if (access("/dev/fuse", F_OK) < 0) {
        (void)fail(err, PLSM_ERROR_NOT_FOUND, "/dev/fuse is missing: nothing can be mounted here");
        return fail_hint(
            err, "Load the module with `modprobe fuse`; a container needs --device /dev/fuse.");
    }
    return stale_clear(m->point, ours, err);
}

static uint64_t read_sysctl(const char *path)
{
    auto_file FILE *file = fopen(path, "re");
    unsigned long long seconds;

    return file != NULL && fscanf(file, "%llu", &seconds) == 1 ? seconds : 0;
}

/* A kernel that aborts mounts whose requests take too long must not see ours wait half that long. */
static uint64_t park_limit(void)
{
    uint64_t usual_s = read_sysctl("/proc/sys/fs/fuse/default_request_timeout");
    uint64_t most_s = read_sysctl("/proc/sys/fs/fuse/max_request_timeout");

    if (most_s > 0 && (usual_s == 0 || usual_s > most_s))
        usual_s = most_s;
    return usual_s * NS_PER_S / 2;
}

static void do_nothing(int number)
{
    (void)number;
}

struct stopper {
    struct mount *m;
    pthread_t loop;
    atomic_bool loop_ended;
};

/* Waits for a signal; then everybody who waits is told, and the loop ends. */
static void *stop_when_asked(void *arg)
{
    struct stopper *stopper = arg;
    struct mount *m = stopper->m;
    struct pollfd fd = {.fd = stop_fd(), .events = POLLIN};

    while (poll(&fd, 1, -1) < 0 && errno == EINTR)
        continue;
    atomic_store(&m->stopping, true);
    waiters_stop(m->waiters);
    kick_stop(m->kick); /* it may wait for an answer of the loop */
    fuse_session_exit(m->session);
    /* The loop may be just about to sleep in read(2): once is not enough. */
    while (!atomic_load(&stopper->loop_ended)) {
        pthread_kill(stopper->loop, SIGUSR1);
        nanosleep(&(struct timespec){.tv_nsec = KICK_NS}, NULL);
    }
    return NULL;
}

static int loop(struct mount *m)
{
    struct stopper stopper = {.m = m, .loop = pthread_self()};
    struct sigaction action = {.sa_handler = do_nothing}; /* no SA_RESTART: read(2) is to return */
    pthread_t thread;
    int result;

    sigaction(SIGUSR1, &action, NULL);
    if (waiters_start(m->waiters) < 0 || watch_start(m->watch) < 0 || kick_start(m->kick) < 0 ||
        pthread_create(&thread, NULL, stop_when_asked, &stopper) != 0)
        return -1;
    result = fuse_session_loop(m->session);
    /*
     * -EINTR: libfuse saw the signal first, and then that the loop is to end.  -ECONNABORTED: unmounted at the moment when
     * the kernel was handing us a request; read(2) says so in this way.
     */
    if (atomic_load(&m->stopping) || result == -ECONNABORTED)
        result = 0;
    atomic_store(&stopper.loop_ended, true);
    stop_ask(); /* when the kernel ended it, by unmounting */
    pthread_join(thread, NULL);
    return result;
}

/* Each pool that somebody has looked at takes a descriptor; the usual limit is a thousand. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* then it is what it was */
}

static int make_parts(struct mount *m, struct error *err)
{
    pthread_mutex_init(&m->handles_lock, NULL);
    m->pools = pools_new(m);
    m->nodes = nodes_new(m);
    m->waiters = waiters_new(m);
    m->workers = workers_new();
    m->watch = watch_new(m);
    m->matches = matches_cache_new();
    m->notes = notes_table_new();
    m->events = events_new(m);
    m->kick = kick_new(m);
    if (m->pools == NULL || m->nodes == NULL || m->waiters == NULL || m->workers == NULL ||
        m->watch == NULL || m->matches == NULL || m->notes == NULL || m->events == NULL ||
        m->kick == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return 0;
}

static void free_parts(struct mount *m)
{
    handles_free(m);
    kick_free(m->kick);
    nodes_free(m->nodes);
    matches_cache_free(m->matches);
    waiters_free(m->waiters);
    events_free(m->events);
    pools_free(m->pools);
    notes_table_free(m->notes);
}

/* Mounts and serves until the end. */
static int serve(struct mount *m, const struct options *options, struct error *err)
{
    bool stuck;
    int result;

    if (make_parts(m, err) < 0)
        return -1;
    if (attach(m, options->kernel, err) < 0) {
        watch_free(m->watch);
        workers_free(m->workers);
        free_parts(m);
        return -1;
    }
    if (!options->foreground) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        /* Not before: of a place that is mounted on demand, everybody but the process group of who mounts has to wait for that. */
        (void)setsid();
        /* Whoever reads our output must not wait for a daemon to end. */
        for (int fd = 0; null >= 0 && fd <= 2; fd++)
            (void)dup2(null, fd);
    }
    result = loop(m);
    watch_free(m->watch);
    stuck = !workers_stop(m->workers, STUCK_LIMIT_NS);
    fuse_session_unmount(m->session);
    if (stuck) /* a disk that does not answer, or a filter: whoever waits for it is told by the kernel */
        _exit(0);
    wire_settle(m->session);
    workers_free(m->workers);
    free_parts(m); /* before the session: open polls refer to it */
    fuse_session_destroy(m->session);
    return result < 0 ? fail(err, PLSM_ERROR_IO, "the connection to the kernel failed") : 0;
}

/* The parent of the daemon: waits until the mount answers.  Returns the exit code. */
static int wait_for_child(pid_t child, int ready, const char *point)
{
    struct error err;
    struct stat st;
    char byte;
    int status;

    if (read(ready, &byte, 1) == 1 && stat(point, &st) == 0)
        return 0;
    if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    fail(&err, PLSM_ERROR_IO, "the mount ended before it answered");
    return report(&err);
}

static int serve_in_background(struct mount *m, const struct options *options, struct error *err,
                               int *ret_code)
{
    int ready[2];
    pid_t child;

    if (pipe2(ready, O_CLOEXEC) < 0)
        return fail_os(err, PLSM_ERROR_IO, errno, "cannot make a pipe");
    child = fork();
    if (child < 0)
        return fail_os(err, PLSM_ERROR_IO, errno, "cannot start the daemon");
    if (child > 0) {
        close(ready[1]);
        *ret_code = wait_for_child(child, ready[0], m->point);
        close(ready[0]);
        return 0;
    }
    close(ready[0]);
    m->ready_fd = ready[1];
    if (chdir("/") < 0)
        return fail_os(err, PLSM_ERROR_IO, errno, "cannot become a daemon");
    return serve(m, options, err);
}

/* mount(8) tells a wrong call and a mount that failed apart. */
static int code_for_mount(int code)
{
    if (code == 0)
        return 0;
    return code == PLSM_ERROR_USAGE ? 1 : 32;
}

/*
 * Names and large reads come and go in waves.  Left to itself the allocator gives each thread a heap of its own, which keeps up to
 * 64 MiB of what was freed last, and malloc_trim() does not reach that part.  One thread does nearly all of the work, so one heap will
 * do for all.
 */
static void bound_free_memory(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

int main(int argc, char **argv)
{
    struct mount m = {.new_pool_bytes = POOL_SIZE_DEFAULT, .list_live = true, .ready_fd = -1};
    struct options options = {0};
    struct error err = ERROR_INIT;

    fds_fill_standard();
    bound_free_memory();
    int code = 0, result = options_parse(argc, argv, &options, &m, &err);

    if (result == 0 && options.version)
        printf("plasmite-fs %s\n", PLASMITE_VERSION);
    if (result == 0 && !options.version && !options.done) {
        m.start_ns = clock_real_ns();
        m.start_mono_ns = clock_mono_ns();
        m.park_limit_ns = park_limit();
        pool_guard_sigbus();
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a pool beyond the limit of file sizes is EFBIG, not our end */
        raise_file_limit();
        result = stop_install() < 0 ? fail_os(&err, PLSM_ERROR_IO, errno, "cannot catch signals")
                                    : check(&m, &err);
        if (result == 0)
            result = options.foreground ? serve(&m, &options, &err)
                                        : serve_in_background(&m, &options, &err, &code);
    }
    if (result < 0)
        code = report(&err);
    options_done(&options);
    free(m.dir);
    free(m.point);
    return options.by_mount ? code_for_mount(code) : code;
}
