/*
 * fork() at any moment: the child has the threads' locks but not the threads, and must be able to go on all the same.
 */
#include "pools.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "pool/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 4
#define FORKS 1000
#define FORKS_NS (3 * NS_PER_S) /* with sanitizers there is time for fewer */
#define PATIENCE_S 10           /* a child that takes so long hangs */

static atomic_bool stop;

/* Opens, closes, at times becomes a writer, without end.  At times only: most of the time a thread shall be on its way in or out. */
static void *come_and_go(void *arg)
{
    const char *path = arg;

    for (uint64_t n = 1; !atomic_load(&stop); n++) {
        auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
        if (n % 64 == 0)
            append_proof(pool, 2, n, PROOF_MIN);
    }
    return NULL;
}

static void start(pthread_t threads[THREADS], const char *path)
{
    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, come_and_go, (void *)(uintptr_t)path) == 0,
             "no thread");
}

static void end(pthread_t threads[THREADS])
{
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void child(struct pool *inherited, const char *path)
{
    alarm(PATIENCE_S);
    append_proof(inherited, 3, 1, PROOF_MIN);
    pool_close(inherited);
    auto_pool struct pool *own = pool_must_open(path, POOL_READ_WRITE);
    append_proof(own, 4, 1, PROOF_MIN);
}

static void children__go_on_while_threads_open_pools(void **state)
{
    const char *busy = scratch_path("busy.plasmite"), *quiet = scratch_path("quiet.plasmite");
    pthread_t threads[THREADS];
    struct verify_report report;

    (void)state;
    pool_must_create(busy, 65536, POOL_INDEX_AUTO);
    pool_must_create(quiet, 1 << 20, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(quiet, POOL_READ_WRITE);
    append_proof(pool, 1, 1, PROOF_MIN);
    start(threads, busy);
    uint64_t n = 0;
    for (uint64_t until = clock_mono_ns() + FORKS_NS; n < FORKS && clock_mono_ns() < until; n++) {
        int status;
        pid_t pid = fork();
        must(pid >= 0, "%s", strerror(errno));
        if (pid == 0) {
            child(pool, quiet);
            _exit(0);
        }
        must(waitpid(pid, &status, 0) == pid, "%s", strerror(errno));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            atomic_store(&stop, true);
            fail_msg("child %" PRIu64 " ended with status %#x (14: it hung)", n, (unsigned)status);
        }
    }
    end(threads);

    struct pool_bounds bounds;
    assert_int_equal(pool_bounds(pool, &bounds, NULL), 0);
    assert_int_equal(bounds.newest, 1 + 2 * n);
    assert_int_equal(verify_pool(busy, &report, NULL), 0);
    assert_int_equal(report.n_issues, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children__go_on_while_threads_open_pools),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
