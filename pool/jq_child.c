/*
 * How the process is started, and why so.
 *
 * A library may not have children of which its program does not know: SIGCHLD would come from
 * nowhere, wait() would return strangers, and a program that waits for all would take the status that we wait
 * for.  A process without an exit signal is seen by none of these, but exec gives it SIGCHLD again.  So there is
 * one in between: made by clone() without exit signal, it shares our memory for the moment that it
 * lives, starts the program with posix_spawn(), and ends.  The program is an orphan then, which the system's
 * init waits for.  Where we are init ourselves (of a container), or whatever gets the orphans, we
 * end it and wait.
 *
 * Nobody has to watch its time: it does so itself (jq_jail.c), and ends when our end of the socket is
 * gone.  But it cannot when somebody has stopped it: so we look whether it gets on, and kill it in the end.
 *
 * fork(): the lock is held meanwhile, so that the list is whole; the new process lets go of the sockets.
 */
#include "jq_child.h"

#include "base/cleanup.h"
#include "filter_module.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define STACK_BYTES (64 * 1024)
#define ZONE_MAX 256 /* bytes of TZ */

/* It is looked after each so often while we wait for it, and may be without any time on a processor for so many looks. */
#define LOOK_S 1
#define IDLE_LOOKS_MAX 5

static struct {
    pthread_mutex_t lock;
    struct jq_child *newest, *oldest; /* under lock, as is all below, and fd, busy of each */
    unsigned n;
} running = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the list of those that run ---- */

static void list_add(struct jq_child *child)
{
    child->newer = NULL;
    child->older = running.newest;
    *(running.newest != NULL ? &running.newest->newer : &running.oldest) = child;
    running.newest = child;
    running.n++;
}

static void list_remove(struct jq_child *child)
{
    *(child->newer != NULL ? &child->newer->older : &running.newest) = child->older;
    *(child->older != NULL ? &child->older->newer : &running.oldest) = child->newer;
    running.n--;
}

/* Has its end of the socket gone? */
static bool is_there(const struct jq_child *child)
{
    struct pollfd fd = {.fd = child->fd};

    return poll(&fd, 1, 0) == 0;
}

/* It may be stopped, and would never see the end of the socket. */
static void end(const struct jq_child *child)
{
    int pidfd = child->adopted >= 0 ? child->adopted : pidfd_open(child->pid, 0);

    if (pidfd < 0)
        return;
    if (child->adopted >= 0 || is_there(child)) /* else the number may be somebody else's by now */
        (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    if (child->adopted < 0)
        close(pidfd);
}

static void bury(struct jq_child *child)
{
    while (waitid(P_PIDFD, (id_t)child->adopted, NULL, WEXITED | __WALL) < 0 && errno == EINTR)
        continue;
    close(child->adopted);
    child->adopted = -1;
}

static void stop(struct jq_child *child)
{
    if (child->fd < 0)
        return;
    list_remove(child);
    end(child);
    (void)shutdown(child->fd, SHUT_RDWR); /* somebody may have a copy, through fork */
    close(child->fd);
    child->fd = -1;
    if (child->adopted >= 0)
        bury(child);
}

static void make_room(void)
{
    struct jq_child *child = running.oldest;

    while (running.n >= JQ_CHILDREN_MAX && child != NULL) {
        struct jq_child *newer = child->newer;

        if (!child->busy)
            stop(child);
        child = newer;
    }
}

static void before_fork(void)
{
    pthread_mutex_lock(&running.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&running.lock);
}

static void in_new_process(void)
{
    while (running.newest != NULL) {
        struct jq_child *child = running.newest;

        list_remove(child);
        close(child->fd);
        if (child->adopted >= 0)
            close(child->adopted);
        *child = JQ_CHILD_INIT;
    }
    pthread_mutex_unlock(&running.lock);
}

static void begin(void)
{
    (void)pthread_atfork(before_fork, after_fork, in_new_process); /* no memory: as without */
}

/* ---- starting ---- */

struct start {
    const char *path;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    char zone[ZONE_MAX];
    pid_t pid;
    int result; /* 0 or an errno */
};

/* clone() by glibc's other name: the thread sanitizer takes the first for a fork(). */
int __clone(int (*run)(void *), void *stack, int flags, void *arg, ...);

/* Runs in the process in between, in our memory, while our thread waits. */
static int spawn_it(void *p)
{
    struct start *start = p;
    char name[] = JQ_PROGRAM_FILE;
    char *const argv[] = {name, NULL};
    char *const environment[] = {start->zone[0] != '\0' ? start->zone : NULL, NULL};

    start->result =
        posix_spawn(&start->pid, start->path, &start->files, &start->how, argv, environment);
    return 0;
}

static int spawn_as_orphan(struct start *start)
{
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    sigset_t all, before;
    pid_t between;

    if (stack == MAP_FAILED)
        return errno;
    sigfillset(&all); /* no handler of ours may run in it */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    between = __clone(spawn_it, (char *)stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, start);
    if (between < 0)
        start->result = errno;
    else
        while (waitpid(between, NULL, __WCLONE) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)munmap(stack, STACK_BYTES);
    return start->result;
}

/* All of ours but the socket, which is everything the loader may write to; a session of its own. */
static int describe(struct start *start, int fd)
{
    const char *zone = getenv("TZ");
    sigset_t all, none;
    int result = 0;

    if (zone != NULL && (size_t)snprintf(start->zone, ZONE_MAX, "TZ=%s", zone) >= ZONE_MAX)
        start->zone[0] = '\0';
    sigfillset(&all);
    sigemptyset(&none);
    (void)posix_spawnattr_setsigdefault(&start->how, &all);
    (void)posix_spawnattr_setsigmask(&start->how, &none);
    (void)posix_spawnattr_setflags(&start->how, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSID);
    for (int i = STDIN_FILENO; i <= STDERR_FILENO && result == 0; i++)
        result = posix_spawn_file_actions_adddup2(&start->files, i == 0 ? fd : STDIN_FILENO, i);
    return result != 0 ? result
                       : posix_spawn_file_actions_addclosefrom_np(&start->files, STDERR_FILENO + 1);
}

/* 0 or an errno. */
static int start_with(const char *path, int fd, pid_t *ret)
{
    struct start start = {.path = path};
    int result = posix_spawn_file_actions_init(&start.files);

    if (result != 0)
        return result;
    result = posix_spawnattr_init(&start.how);
    if (result == 0) {
        result = describe(&start, fd);
        if (result == 0)
            result = spawn_as_orphan(&start);
        posix_spawnattr_destroy(&start.how);
    }
    posix_spawn_file_actions_destroy(&start.files);
    *ret = start.pid;
    return result;
}

/*
 * Do we get the orphans?  Then a descriptor of it, else -1.  It may have ended already, and a thread that waits for
 * everybody may have taken it then.
 */
static int adopt(pid_t pid)
{
    siginfo_t info;

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0
               ? pidfd_open(pid, 0)
               : -1;
}

static int start(struct jq_child *child, const char *path, struct error *err)
{
    const struct timeval look = {.tv_sec = LOOK_S};
    int ends[2], result;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return fail_os(err, PLSM_ERROR_IO, errno, "no socket for %s", JQ_PROGRAM_FILE);
    result = start_with(path, ends[1], &pid);
    close(ends[1]);
    if (result != 0) {
        close(ends[0]);
        fail_os(err, PLSM_ERROR_IO, result, "%s cannot be started", JQ_PROGRAM_FILE);
        return fail_path(err, path);
    }
    /* from now on each call ends after a while, so that we may look */
    (void)setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look);
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &look, sizeof look);
    child->fd = ends[0];
    child->pid = pid;
    child->adopted = adopt(pid);
    child->busy = true;
    list_add(child);
    return 0;
}

/* ---- talking ---- */

/* How long it has not got on. */
struct watch {
    struct timespec used; /* of a processor */
    unsigned idle_looks;
};

/* After a call that ended with `error`. */
static bool goes_on(const struct jq_child *child, struct watch *watch, int error)
{
    struct timespec used = watch->used;
    clockid_t clock;

    if (error != EAGAIN && error != EWOULDBLOCK)
        return error == EINTR;
    if (clock_getcpuclockid(child->pid, &clock) == 0)
        (void)clock_gettime(clock, &used);
    if (used.tv_sec == watch->used.tv_sec && used.tv_nsec == watch->used.tv_nsec)
        return ++watch->idle_looks < IDLE_LOOKS_MAX;
    *watch = (struct watch){.used = used};
    return true;
}

static bool is_stuck(const struct watch *watch)
{
    return watch->idle_looks == IDLE_LOOKS_MAX;
}

/* How many of n bytes came before the end. */
static size_t receive(const struct jq_child *child, struct watch *watch, void *to, size_t n)
{
    char *p = to;
    size_t have = 0;

    while (have < n) {
        ssize_t done = jq_receive(child->fd, p + have, n - have);

        if (done == 0 || (done < 0 && !goes_on(child, watch, errno)))
            break;
        if (done > 0)
            have += (size_t)done;
    }
    return have;
}

static void make_plain(char *text)
{
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
}

/* Without a library the loader says so where the program would say hello. */
static int greet(const struct jq_child *child, struct error *err)
{
    struct watch watch = {0};
    char said[JQ_TEXT_MAX + 1] = "";
    size_t n = receive(child, &watch, said, sizeof JQ_HELLO - 1);

    if (strcmp(said, JQ_HELLO) == 0)
        return 0;
    if (strncmp(said, JQ_HELLO, sizeof JQ_PROGRAM_FILE) == 0)
        return module_fail_version(JQ_PROGRAM_FILE, err);
    (void)receive(child, &watch, said + n, sizeof said - 1 - n);
    make_plain(said);
    return fail_module(JQ_PROGRAM_FILE, said, "libjq1", err);
}

/*
 * A host may cancel its threads.  Here that would leave the lock locked, or an answer that belongs to another question.
 */
static int hold_cancellation(void)
{
    int before;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static void release_cancellation(int before)
{
    pthread_setcancelstate(before, NULL);
}

static int take(struct jq_child *child, bool *ret_fresh, struct error *err)
{
    auto_buf struct buf path = BUF_INIT;
    int result = 0;

    pthread_mutex_lock(&running.lock);
    *ret_fresh = child->fd < 0;
    if (!*ret_fresh) {
        list_remove(child);
        list_add(child);
        child->busy = true;
    } else {
        make_room();
        result = module_find(JQ_PROGRAM_FILE, &path, err);
        if (result == 0)
            result = start(child, path.p, err);
    }
    pthread_mutex_unlock(&running.lock);
    if (result == 0 && *ret_fresh && (result = greet(child, err)) < 0)
        jq_child_stop(child);
    return result;
}

int jq_child_take(struct jq_child *child, bool *ret_fresh, struct error *err)
{
    static pthread_once_t begun = PTHREAD_ONCE_INIT;
    int before = hold_cancellation();
    int result;

    (void)pthread_once(&begun, begin);
    result = take(child, ret_fresh, err);
    release_cancellation(before);
    return result;
}

void jq_child_give(struct jq_child *child)
{
    pthread_mutex_lock(&running.lock);
    child->busy = false;
    pthread_mutex_unlock(&running.lock);
}

void jq_child_stop(struct jq_child *child)
{
    int before = hold_cancellation();

    pthread_mutex_lock(&running.lock);
    stop(child);
    child->busy = false;
    pthread_mutex_unlock(&running.lock);
    release_cancellation(before);
}

/* False when it ended; it may have answered before. */
static bool send_all(const struct jq_child *child, struct watch *watch, struct iovec *parts,
                     size_t n)
{
    while (n > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};
        ssize_t done = sendmsg(child->fd, &message, MSG_NOSIGNAL);

        if (done < 0 && !goes_on(child, watch, errno))
            return false;
        for (size_t left = done > 0 ? (size_t)done : 0; n > 0; parts++, n--) {
            if (left < parts->iov_len) {
                *parts = (struct iovec){(char *)parts->iov_base + left, parts->iov_len - left};
                break;
            }
            left -= parts->iov_len;
        }
    }
    return true;
}

static int ask(const struct jq_child *child, enum jq_request_kind kind, struct bytes text,
               struct jq_answer *ret)
{
    struct jq_request request = {kind, text.n};
    struct iovec parts[] = {
        {&request,       sizeof request},
        {(char *)text.p, text.n        }
    }; /* only read */
    struct {
        struct jq_reply head;
        char text[JQ_TEXT_MAX + 1];
    } reply;
    struct watch watch = {0};

    (void)send_all(child, &watch, parts, 2);
    ret->stuck = is_stuck(&watch);
    if (ret->stuck)
        return -1;
    if (receive(child, &watch, &reply.head, sizeof reply.head) < sizeof reply.head ||
        reply.head.outcome >= JQ_OUTCOMES || reply.head.n > JQ_TEXT_MAX ||
        receive(child, &watch, reply.text, reply.head.n) < reply.head.n) {
        ret->stuck = is_stuck(&watch);
        return -1;
    }
    ret->outcome = (enum jq_outcome)reply.head.outcome;
    memcpy(ret->text, reply.text, reply.head.n);
    ret->text[reply.head.n] = '\0';
    make_plain(ret->text);
    return 0;
}

int jq_child_ask(struct jq_child *child, enum jq_request_kind kind, struct bytes text,
                 struct jq_answer *ret)
{
    int before = hold_cancellation();
    int result = ask(child, kind, text, ret);

    release_cancellation(before);
    return result;
}
