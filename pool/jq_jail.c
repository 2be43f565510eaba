#include "jq_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/*
 * For one message.  Reading it takes jq 20 to 40 ns and some 20 bytes for each byte.
 */
#define LIMIT_MS 5000
#define BYTES_PER_MS 5000 /* 200 ns each */
#define LIMIT_BYTES (512UL << 20)
#define LIMIT_BYTES_PER_BYTE 50
#define PROGRAM_BYTES (64UL << 20) /* libraries and stack */
#define USUAL_BYTES (1UL << 20)    /* a message of up to so many needs no other limit */

#define LOOK_MS 100 /* of work between two looks at it */

static void (*when_late)(void);
static volatile sig_atomic_t looks_left; /* 0: nothing to look at */

static void look(int number)
{
    (void)number;
    if (looks_left > 0 && --looks_left == 0)
        when_late();
}

static void watch_time(void)
{
    const struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART};
    const struct timeval pause = {0, LOOK_MS * 1000};
    const struct itimerval each = {pause, pause};

    (void)sigaction(SIGPROF, &action, NULL);
    (void)setitimer(ITIMER_PROF, &each, NULL);
}

/* Never more than somebody allows already. */
static void limit(__rlimit_resource_t resource, rlim_t most)
{
    struct rlimit now;

    if (getrlimit(resource, &now) == 0 && now.rlim_max > most)
        (void)setrlimit(resource, &(struct rlimit){most, most});
}

/* For n bytes; it may be raised again. */
static void limit_memory(size_t n)
{
    static size_t before = SIZE_MAX;
    struct rlimit now;

    n = n > USUAL_BYTES ? n : USUAL_BYTES;
    if (n == before)
        return;
    before = n;
    rlim_t most = PROGRAM_BYTES + LIMIT_BYTES + (rlim_t)n * LIMIT_BYTES_PER_BYTE;

    if (getrlimit(RLIMIT_AS, &now) == 0)
        (void)setrlimit(RLIMIT_AS,
                        &(struct rlimit){most < now.rlim_max ? most : now.rlim_max, now.rlim_max});
}

/* When the machine runs out of memory, this goes first. */
static void volunteer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t done = fd >= 0 ? write(fd, "1000", 4) : -1;

    (void)done; /* then it does not */
    if (fd >= 0)
        close(fd);
}

/* jq knows local time.  Its zone is read now; by this name libc never looks at the file again. */
static void read_time_zone(void)
{
    (void)setenv("TZ", ":/etc/localtime", false);
    tzset();
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

/*
 * Memory, time, the socket and its own end; every other system call fails.  Kernels and machines
 * without such filters go by the limits.
 */
static void restrict_calls(void)
{
#ifdef ARCHITECTURE
#define LOAD(field)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define ALLOW(call)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    static struct sock_filter rules[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOW(recvfrom),
        ALLOW(sendto),
        ALLOW(sched_yield),
        ALLOW(brk),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(mprotect),
        ALLOW(madvise),
        ALLOW(futex),
        ALLOW(getrandom),
        ALLOW(clock_gettime),
        ALLOW(gettimeofday),
        ALLOW(getrlimit),
        ALLOW(setrlimit),
        ALLOW(prlimit64),
        ALLOW(rt_sigreturn),
        ALLOW(restart_syscall),
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {sizeof rules / sizeof *rules, rules};

    (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#endif
}

void jail_enter(void (*late)(void))
{
    when_late = late;
    if (chdir("/") < 0)
        _exit(1);
    volunteer();
    read_time_zone();
    (void)prctl(PR_SET_DUMPABLE, 0); /* a limit of 0 is none for core dumps into a pipe */
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, 0); /* what is open stays so */
    limit_memory(0);
    watch_time();
    restrict_calls();
}

void jail_begin(size_t n)
{
    limit_memory(n);
    looks_left = (sig_atomic_t)((LIMIT_MS + n / BYTES_PER_MS) / LOOK_MS);
}

void jail_end(void)
{
    looks_left = 0;
}
