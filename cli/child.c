#include "child.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

static volatile sig_atomic_t
    target; /* the process that signals go to; 0: none yet, -1: it is gone */
static volatile sig_atomic_t waiting; /* a signal that came before there was one */
static volatile sig_atomic_t asked;   /* the last signal that may have asked for its end */
static volatile sig_atomic_t late;    /* signals that came after its end */
static int nudge_fd = -1;             /* set by forward_signals(), then constant */

/* What is forwarded. */
static const struct {
    int number;
    bool from_keys; /* a key sends it to all of a process group: then the child has it already */
    bool asks;      /* the child is to end, whatever it does first */
} forwarded[] = {
    {SIGINT,  true,  false},
    {SIGQUIT, true,  false},
    {SIGTERM, false, true },
    {SIGHUP,  false, true }, /* of a terminal that is closed: to the leader of the session only */
    {SIGUSR1, false, false},
    {SIGUSR2, false, false},
};

#define N_FORWARDED (sizeof forwarded / sizeof forwarded[0])

static size_t row_of(int number)
{
    size_t i = 0;

    while (i < N_FORWARDED - 1 && forwarded[i].number != number)
        i++;
    return i;
}

static bool child_has_it(const siginfo_t *info, pid_t child)
{
    return forwarded[row_of(info->si_signo)].from_keys && info->si_code == SI_KERNEL &&
           getpgid(child) == getpgrp();
}

/* How is in *info. */
static bool has_ended(pid_t pid, siginfo_t *info)
{
    *info = (siginfo_t){0};
    return waitid(P_PID, (id_t)pid, info, WEXITED | WNOHANG | WNOWAIT) < 0 || info->si_pid != 0;
}

/* What is left to do may take for ever, with a stopped reader or writer: the second signal ends it. */
static void after_the_end(int number)
{
    if (late++ > 0) {
        signal(number, SIG_DFL);
        (void)raise(number); /* cannot fail; comes when this handler returns */
    }
}

static void nudge(void)
{
    const uint64_t one = 1;
    ssize_t done = write(nudge_fd, &one, sizeof one);

    (void)done; /* a full counter is readable already */
}

static void forward(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    siginfo_t end;

    (void)context;
    if (target == 0)
        waiting = number;
    else if (target < 0 || has_ended(target, &end))
        after_the_end(number);
    else if (!child_has_it(info, target))
        (void)kill(target, number); /* its number is its own until child_wait() */
    if (asked == 0 || !forwarded[row_of(asked)].asks)
        asked = number;
    nudge();
    errno = saved;
}

static void child_changed(int number)
{
    int saved = errno;

    (void)number;
    nudge();
    errno = saved;
}

static int forward_signals(void)
{
    const struct sigaction action = {.sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART};
    /* never ignored: no status would be kept */
    const struct sigaction changed = {.sa_handler = child_changed,
                                      .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    struct sigaction before;

    nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (nudge_fd < 0 || sigaction(SIGCHLD, &changed, NULL) < 0)
        return -1;
    for (size_t i = 0; i < N_FORWARDED; i++)
        if (sigaction(forwarded[i].number, NULL, &before) < 0 ||
            (before.sa_handler != SIG_IGN && sigaction(forwarded[i].number, &action, NULL) < 0))
            return -1;
    return 0;
}

/* Like a shell would start it, but for its output.  0 or an errno. */
static int spawn(const char *const *argv, int out, int err, pid_t *ret)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t usual;
    int result = posix_spawn_file_actions_init(&files);

    if (result != 0)
        return result;
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        sigemptyset(&usual);
        sigaddset(&usual, SIGPIPE); /* these two this program ignores */
        sigaddset(&usual, SIGXFSZ);
        posix_spawnattr_setsigdefault(&attributes, &usual);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        result = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
        if (result == 0)
            result = posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
        if (result == 0) /* which does not change the words */
            result = posix_spawnp(ret, argv[0], &files, &attributes, (char *const *)argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return result;
}

static int not_started(const char *name, int why, struct error *err)
{
    bool is_there = strchr(name, '/') != NULL && access(name, F_OK) == 0;

    if (why == ENOENT && !is_there) {
        fail(err, PLSM_ERROR_USAGE, "wrapped command not found: %s", name);
        return fail_hint(err, "Check PATH or use an absolute executable path.");
    }
    fail_os(err, PLSM_ERROR_IO, why, "failed to spawn wrapped command");
    fail_path(err, name);
    return fail_hint(err, "Check its arguments and permissions; of a script also the first line, "
                          "like #!/bin/sh.");
}

int child_start(const char *const *argv, struct child *ret, struct error *err)
{
    int out[2] = {-1, -1}, errors[2] = {-1, -1}, result;
    pid_t pid = 0;

    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0 || forward_signals() < 0)
        result = fail_os(err, PLSM_ERROR_IO, errno, "failed to spawn wrapped command");
    else
        result = spawn(argv, out[1], errors[1], &pid);
    if (result > 0)
        result = not_started(argv[0], result, err);
    cleanup_fd(&out[1]);
    cleanup_fd(&errors[1]);
    if (result < 0) {
        cleanup_fd(&out[0]);
        cleanup_fd(&errors[0]);
        return -1;
    }
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK); /* of a pipe of ours: cannot fail */
    (void)fcntl(errors[0], F_SETFL, O_NONBLOCK);
    *ret = (struct child){.pid = pid, .out = out[0], .err = errors[0]};
    target = pid;
    if (waiting != 0)
        (void)kill(pid, waiting);
    return 0;
}

int child_nudged_fd(void)
{
    return nudge_fd;
}

void child_nudged(void)
{
    uint64_t count;
    ssize_t done = read(nudge_fd, &count, sizeof count);

    (void)done; /* nothing there: somebody took it */
}

bool child_is_over(const struct child *child)
{
    siginfo_t end;

    if (!has_ended(child->pid, &end) || asked == 0)
        return false;
    return late > 0 || forwarded[row_of(asked)].asks ||
           (end.si_code != CLD_EXITED && end.si_status == asked);
}

int child_wait(struct child *child)
{
    siginfo_t info;
    int status = 0;

    cleanup_fd(&child->out);
    cleanup_fd(&child->err);
    child->out = child->err = -1;
    /* Its number stays its own until it is waited for, so a signal never meets a stranger. */
    while (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    target = -1;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

void child_kill(struct child *child)
{
    (void)kill(child->pid, SIGKILL); /* it may have ended by itself */
    (void)child_wait(child);
}
