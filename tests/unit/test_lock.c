/*
 * The writer lock between processes: a dead holder, a copy of a locked file, children of fork(), and nobody waiting for long.
 */
#include "pools.h"

#include "base/units.h"
#include "handle.h"
#include "pool/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TRIES 9
#define GO_ON_NS (10 * NS_PER_MS)

static void take(struct pool *pool)
{
    struct error err = ERROR_INIT;
    enum lock_result result = lock_acquire(&pool->lock, &pool->ring.live->lock, LOCK_WAIT, &err);

    must(result == LOCK_HELD || result == LOCK_TAKEN_OVER, "%s", err.message);
}

static void release(struct pool *pool)
{
    lock_release(&pool->ring.live->lock);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The middle one of TRIES: one slow turn of the scheduler does not count. */
static uint64_t median(uint64_t took[TRIES])
{
    qsort(took, TRIES, sizeof took[0], by_size);
    return took[TRIES / 2];
}

static void tell(int fd)
{
    must(write(fd, "x", 1) == 1, "%s", strerror(errno));
}

static void await(int fd)
{
    char c;

    must(read(fd, &c, 1) == 1, "%s", strerror(errno));
}

/* A process that takes the lock, tells, and holds it until it is killed. */
static pid_t start_holder(const char *path, int told)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    take(pool);
    tell(told);
    pause();
    _exit(1);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void a_dead_holder__is_followed_within_10_ms(void **state)
{
    const char *path = scratch_path("dead.plasmite");
    uint64_t took[TRIES];
    int told[2];

    (void)state;
    assert_int_equal(pipe(told), 0);
    pool_must_create(path, 8192, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t i = 0; i < TRIES; i++) {
        pid_t pid = start_holder(path, told[1]);
        await(told[0]);
        uint64_t begin = clock_mono_ns();
        kill(pid, SIGKILL);
        assert_int_equal(append_proof(pool, 1, i, 100), i + 1);
        took[i] = clock_mono_ns() - begin;
        (void)waitpid(pid, NULL, 0);
    }
    assert_true(median(took) < GO_ON_NS);
}

/* The holder has a child that came by its handle through fork(), lives on and appends with it. */
static void a_child_of_the_holder__does_not_keep_its_lock_alive(void **state)
{
    const char *path = scratch_path("parent.plasmite");
    uint64_t took[TRIES];
    int told[2], go[2];

    (void)state;
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(go), 0);
    pool_must_create(path, 8192, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t i = 0; i < TRIES; i++) {
        pid_t parent = fork();
        assert_true(parent >= 0);
        if (parent == 0) {
            struct pool *own = pool_must_open(path, POOL_READ_WRITE);
            append_proof(own, 2, i, 100); /* attached: it has a slot, before it forks */
            take(own);
            if (fork() == 0) {
                tell(told[1]);
                await(go[0]);
                append_proof(own, 3, i, 100);
                tell(told[1]);
                _exit(0);
            }
            pause();
            _exit(1);
        }
        await(told[0]);
        uint64_t begin = clock_mono_ns();
        kill(parent, SIGKILL);
        assert_int_equal(append_proof(pool, 1, i, 100), 3 * i + 2);
        took[i] = clock_mono_ns() - begin;
        (void)waitpid(parent, NULL, 0);
        tell(go[1]);
        await(told[0]);
        struct pool_bounds bounds;
        assert_int_equal(pool_bounds(pool, &bounds, NULL), 0);
        assert_int_equal(bounds.newest, 3 * i + 3);
    }
    assert_true(median(took) < GO_ON_NS);
}

static void a_copy_of_a_locked_pool__opens_and_appends_at_once(void **state)
{
    const char *path = scratch_path("locked.plasmite"), *copy = scratch_path("copy.plasmite");
    struct verify_report report;
    uint64_t took[TRIES];

    (void)state;
    pool_must_create(path, 8192, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t i = 0; i < TRIES; i++) {
        append_proof(pool, 1, i, 200);
        take(pool);
        file_copy(path, copy);
        assert_int_equal(verify_pool(copy, &report, NULL), 0);
        assert_int_equal(report.n_issues, 0);
        uint64_t begin = clock_mono_ns();
        struct pool *other = pool_must_open(copy, POOL_READ_WRITE);
        assert_int_equal(append_proof(other, 2, i, 200), i + 2);
        took[i] = clock_mono_ns() - begin;
        pool_close(other);
        release(pool);
    }
    assert_true(median(took) < GO_ON_NS);
    assert_int_equal(append_proof(pool, 1, TRIES, 200),
                     TRIES + 1); /* what happens to the copy does not matter here */
}

static void try__is_busy_at_once(void **state)
{
    const char *path = scratch_path("busy.plasmite");
    struct payload payload = payload_make(BYTES(""), 0, BYTES("{}"));
    struct error err = ERROR_INIT;
    uint64_t took[TRIES];
    int told[2];

    (void)state;
    assert_int_equal(pipe(told), 0);
    pool_must_create(path, 8192, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    append_proof(pool, 1, 1, 100);
    pid_t pid = start_holder(path, told[1]);
    await(told[0]);
    for (int i = 0; i < TRIES; i++) {
        uint64_t begin = clock_mono_ns();
        assert_int_equal(pool_append(pool, &payload, 1, APPEND_TRY, NULL, &err), -1);
        took[i] = clock_mono_ns() - begin;
        assert_int_equal(err.kind, PLSM_ERROR_BUSY);
        assert_string_equal(err.path, path);
    }
    assert_true(median(took) < GO_ON_NS);
    end(pid);
    assert_int_equal(pool_append(pool, &payload, 1, APPEND_TRY, NULL, &err), 0);
}

/* Who closes its handle in good order leaves nothing: a slot in the word would make others wait for a death. */
static void every_acquisition__raises_the_generation(void **state)
{
    const char *path = scratch_path("generation.plasmite");

    (void)state;
    pool_must_create(path, 8192, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t before = atomic_load(&pool->ring.live->lock);
        take(pool);
        uint64_t held = atomic_load(&pool->ring.live->lock);
        release(pool);
        uint64_t after = atomic_load(&pool->ring.live->lock);
        assert_int_equal((uint32_t)before, 0);
        assert_int_equal(held >> 32, (before >> 32) + 1);
        assert_int_equal((uint32_t)held >> 1, pool->lock.slot);
        assert_int_equal(after, held >> 32 << 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_holder__is_followed_within_10_ms),
        cmocka_unit_test(a_child_of_the_holder__does_not_keep_its_lock_alive),
        cmocka_unit_test(a_copy_of_a_locked_pool__opens_and_appends_at_once),
        cmocka_unit_test(try__is_busy_at_once),
        cmocka_unit_test(every_acquisition__raises_the_generation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
