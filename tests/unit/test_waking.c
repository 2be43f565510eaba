/*
 * Waiting where the system does not let us wait well, and waking in the middle of a large batch.
 */
#include "pools.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "handle.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define PATIENCE_S 20
#define WAIT_NS (400 * NS_PER_MS)

/* ---- a sandbox ---- */

/* From now on futex_waitv() fails with EPERM, as in containers whose filter does not know it. */
static void forbid_futex_waitv(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};

    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
             prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
         "%s", strerror(errno));
    must(syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == EPERM, "still allowed");
}

static uint64_t cpu_ns(void)
{
    struct rusage usage;

    must(getrusage(RUSAGE_SELF, &usage) == 0, "%s", strerror(errno));
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* In a child, since the filter stays: waits with a control word, which only futex_waitv() can do; then for a message. */
static void wait_in_the_sandbox(struct pool *pool)
{
    uint64_t seen = ring_head(&pool->ring);
    uint32_t control = 0;

    alarm(PATIENCE_S);
    forbid_futex_waitv();
    uint64_t cpu = cpu_ns(), begin = clock_mono_ns();
    must(pool_wait(&pool, &seen, 1, begin + WAIT_NS, &control, 0) == POOL_WAIT_TIMEOUT,
         "no timeout");
    cpu = cpu_ns() - cpu;
    must(cpu < (clock_mono_ns() - begin) / 2, "%" PRIu64 " ns of processor", cpu);
    append_proof(pool, 1, 1, 100);
    must(pool_wait(&pool, &seen, 1, UINT64_MAX, &control, 0) == POOL_WAIT_READY, "no message");
    _exit(0);
}

static void a_sandbox_without_futex_waitv__does_not_make_it_spin(void **state)
{
    auto_pool struct pool *pool = pool_must_make("sandbox.plasmite", 8192, POOL_INDEX_AUTO);
    int status;

    (void)state;
    pid_t pid = fork();
    must(pid >= 0, "%s", strerror(errno));
    if (pid == 0)
        wait_in_the_sandbox(pool);
    must(waitpid(pid, &status, 0) == pid, "%s", strerror(errno));
    assert_int_equal(status, 0);
}

/* ---- a batch ---- */

#define BATCH 40000 /* messages; three rings of them, so that it goes in several runs */

/* The data of the last message: a page that nobody may read, until the batch comes to it. */
static struct {
    char *page;
    size_t bytes;
    _Atomic uint32_t *waiting;
    uint32_t asleep; /* what *waiting is while a follower sleeps */
    volatile sig_atomic_t read, woken;
} trap;

/* In the middle of the batch: was the follower woken before? */
static void look(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if ((char *)info->si_addr < trap.page || (char *)info->si_addr >= trap.page + trap.bytes)
        abort();
    trap.read = 1;
    trap.woken = atomic_load(trap.waiting) != trap.asleep;
    (void)mprotect(trap.page, trap.bytes, PROT_READ);
}

static void a_batch__wakes_between_its_runs(void **state)
{
    static struct payload batch[BATCH];
    auto_pool struct pool *pool = pool_must_make("batch.plasmite", 1 << 20, POOL_INDEX_AUTO);
    struct bytes text = BYTES("{\"text\":\"forty bytes or so of some message\"}");
    struct sigaction action = {.sa_sigaction = look, .sa_flags = (int)SA_SIGINFO}, before;

    (void)state;
    trap.bytes = (size_t)sysconf(_SC_PAGESIZE);
    trap.page = mmap(NULL, trap.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(trap.page != MAP_FAILED, "%s", strerror(errno));
    memcpy(trap.page, text.p, text.n);
    for (size_t i = 0; i < BATCH; i++)
        batch[i] = payload_make(BYTES(""), 0, text);
    batch[BATCH - 1].data.p = trap.page;
    trap.waiting = &pool->ring.live->waiting;
    trap.asleep = atomic_fetch_or(trap.waiting, 1) | 1;
    assert_int_equal(mprotect(trap.page, trap.bytes, PROT_NONE), 0);
    assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
    assert_int_equal(pool_append(pool, batch, BATCH, 0, NULL, NULL), 0);
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
    assert_true(trap.read);
    assert_true(trap.woken);
    assert_int_equal(munmap(trap.page, trap.bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sandbox_without_futex_waitv__does_not_make_it_spin),
        cmocka_unit_test(a_batch__wakes_between_its_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
