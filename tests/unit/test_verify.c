/*
 * verify_pool(): what writers overwrite meanwhile is not an issue, and of many issues the first are told.
 */
#include "pools.h"

#include "base/cleanup.h"
#include "handle.h"
#include "pool/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS 75000     /* machine instructions of the one that verifies */
#define STEPS_APART 400 /* between two turns of the ring, at most */
#define LAP 60          /* appends that turn it once */
#define FOUND 42        /* exit: an issue was reported */

static void append_lap(struct pool *pool)
{
    for (uint64_t i = 0; i < LAP; i++)
        append_proof(pool, 1, i, 150);
}

/* In a child that its parent steps through: verifies again and again. */
static void verify_for_ever(const char *path)
{
    struct verify_report report;

    must(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0, "%s", strerror(errno));
    (void)raise(SIGSTOP);
    for (;;) {
        must(verify_pool(path, &report, NULL) == 0, "%s", path);
        if (report.n_issues > 0) {
            (void)fprintf(stderr, "beside a writer: %s\n", report.issues[0].message);
            _exit(FOUND);
        }
    }
}

/* Lets the child execute one instruction; false when it has ended. */
static bool step(pid_t pid, int *status)
{
    must(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0, "%s", strerror(errno));
    must(waitpid(pid, status, 0) == pid, "%s", strerror(errno));
    return WIFSTOPPED(*status);
}

/* The ring turns while verify_pool() stands between any two instructions. */
static void a_sound_pool__is_sound_while_it_is_written_to(void **state)
{
    const char *path = scratch_path("busy.plasmite");
    struct random random = {seed_from_env()};
    int status;

    (void)state;
    print_message("PLASMITE_TEST_SEED=%" PRIu64 "\n", random.state);
    pool_must_create(path, 8192, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    append_lap(pool);
    pid_t pid = fork();
    must(pid >= 0, "%s", strerror(errno));
    if (pid == 0)
        verify_for_ever(path);
    must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "%s", strerror(errno));
    for (uint64_t n = 0, next = 0; n < STEPS; n++) {
        if (!step(pid, &status))
            fail_msg("it ended with status %#x (0x2a00: it found something)", (unsigned)status);
        if (n == next) {
            append_lap(pool);
            next += 1 + random_below(&random, STEPS_APART);
        }
    }
    (void)kill(pid, SIGKILL);
    must(waitpid(pid, NULL, 0) == pid, "%s", strerror(errno));

    struct verify_report report;
    assert_int_equal(verify_pool(path, &report, NULL), 0);
    assert_int_equal(report.n_issues, 0);
    assert_true(report.messages > 0);
}

/* Of more issues than there is room for, the first ones are told, each with its own place. */
static void many_issues__are_told_as_they_are(void **state)
{
    const char *path = scratch_path("many.plasmite");
    struct verify_report report;

    (void)state;
    pool_must_create(path, 1 << 20, POOL_INDEX_AUTO);
    struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t i = 0; i < 4000; i++)
        append_proof(pool, 1, i, 150);
    uint64_t entries[VERIFY_ISSUES_MAX + 5];
    size_t n = 0;
    for (uint64_t i = 0; i < pool->ring.parts && n < VERIFY_ISSUES_MAX + 5; i++) {
        uint64_t at = atomic_load(&pool->ring.index[i]);
        if (at <= ring_tail(&pool->ring))
            continue;
        atomic_store(&pool->ring.index[i], at + LAYOUT_FRAME_ALIGN);
        entries[n++] = LAYOUT_HEADER_BYTES + i * LAYOUT_INDEX_ENTRY_BYTES;
    }
    assert_int_equal(n, VERIFY_ISSUES_MAX + 5);
    assert_int_equal(verify_pool(path, &report, NULL), 0);
    assert_int_equal(report.n_issues, n);
    for (size_t i = 0; i < VERIFY_ISSUES_MAX; i++)
        assert_int_equal(report.issues[i].offset, entries[i]);
    pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_pool__is_sound_while_it_is_written_to),
        cmocka_unit_test(many_issues__are_told_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
