/*
 * Writers and readers side by side: threads with a handle of their own and threads that share one, and processes.  Every message of
 * every writer arrives once, whole, in its writer's order.  Made for the thread sanitizer, and true without it.
 */
#include "pools.h"

#include "base/units.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WRITERS 4
#define READERS 3
#define EACH 400 /* messages of each writer */
#define ALL (WRITERS * EACH)
#define LARGE (1 << 20) /* all of them fit */
#define SMALL 8192      /* they do not: readers are lapped */

struct task {
    const char *path;
    struct pool *pool; /* shared; NULL: open one */
    uint32_t me;
    bool may_lose;
};

static void *write_all(void *arg)
{
    const struct task *task = arg;
    struct pool *pool =
        task->pool != NULL ? task->pool : pool_must_open(task->path, POOL_READ_WRITE);

    for (uint64_t n = 0; n < EACH; n++)
        append_proof(pool, task->me, n, PROOF_MIN + (n * 37 + task->me) % 150);
    if (task->pool == NULL)
        pool_close(pool);
    return NULL;
}

static void take_message(const struct message *message, uint64_t next[WRITERS],
                         const struct task *task)
{
    uint32_t writer;
    uint64_t n;

    must(proof_check(message->data, &writer, &n) && writer < WRITERS, "torn: %" PRIu64,
         message->seq);
    must(task->may_lose ? n >= next[writer] : n == next[writer],
         "%" PRIu64 " of writer %u, not %" PRIu64, n, writer, next[writer]);
    next[writer] = n + 1;
}

static void *read_all(void *arg)
{
    const struct task *task = arg;
    struct pool *pool = task->pool != NULL ? task->pool : pool_must_open(task->path, POOL_READ);
    struct buf store = BUF_INIT;
    struct cursor cursor;
    struct message message;
    struct error err = ERROR_INIT;
    uint64_t next[WRITERS] = {0}, last = 0;

    must(cursor_at_seq(pool, 1, &cursor, &err) == 0, "%s", err.message);
    while (cursor.seq <= ALL) {
        switch (cursor_next(pool, &cursor, &store, &message, &err)) {
        case CURSOR_MESSAGE:
            must(task->may_lose ? message.seq > last : message.seq == last + 1,
                 "%" PRIu64 " after %" PRIu64, message.seq, last);
            last = message.seq;
            take_message(&message, next, task);
            break;
        case CURSOR_END:
            (void)pool_wait(&pool, &cursor.pos, 1, UINT64_MAX, NULL, 0);
            break;
        case CURSOR_GAP:
            must(task->may_lose, "a gap in a pool that holds everything");
            break;
        case CURSOR_FAILED:
            must(false, "%s", err.message);
        }
    }
    buf_done(&store);
    if (task->pool == NULL)
        pool_close(pool);
    return NULL;
}

/* Gets by number and looks at the bounds while all goes on. */
static void *look_around(void *arg)
{
    const struct task *task = arg;
    struct buf store = BUF_INIT;
    struct pool_bounds bounds;
    struct error err = ERROR_INIT;
    struct message message;
    uint32_t writer;
    uint64_t n;

    do {
        must(pool_bounds(task->pool, &bounds, &err) == 0, "%s", err.message);
        must(bounds.oldest <= bounds.newest + 1 && bounds.tail <= bounds.head, "oldest %" PRIu64,
             bounds.oldest);
        buf_clear(&store);
        uint64_t seq = (bounds.oldest + bounds.newest) / 2;
        if (pool_get(task->pool, seq, &store, &message, &err) == 0)
            must(message.seq == seq && proof_check(message.data, &writer, &n), "torn: %" PRIu64,
                 seq);
        else
            must(err.kind == PLSM_ERROR_NOT_FOUND, "%s", err.message);
    } while (bounds.newest < ALL);
    buf_done(&store);
    return NULL;
}

static void run(uint64_t size, bool share)
{
    const char *path = scratch_path("threads.plasmite");
    struct task tasks[WRITERS + READERS + 1];
    pthread_t threads[WRITERS + READERS + 1];

    (void)unlink(path);
    pool_must_create(path, size, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint32_t i = 0; i < WRITERS + READERS + 1; i++) {
        bool last = i == WRITERS + READERS;
        tasks[i] = (struct task){path, share || last ? pool : NULL, i, size == SMALL};
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        last          ? look_around
                                        : i < WRITERS ? write_all
                                                      : read_all,
                                        &tasks[i]),
                         0);
    }
    for (uint32_t i = 0; i < WRITERS + READERS + 1; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void threads__with_their_own_handles(void **state)
{
    (void)state;
    run(LARGE, false);
}

static void threads__that_share_a_handle(void **state)
{
    (void)state;
    run(LARGE, true);
}

static void threads__in_a_ring_that_laps_them(void **state)
{
    (void)state;
    run(SMALL, false);
    run(SMALL, true);
}

static void processes(uint64_t size)
{
    const char *path = scratch_path("processes.plasmite");
    pid_t pids[WRITERS + READERS];

    (void)unlink(path);
    pool_must_create(path, size, POOL_INDEX_AUTO);
    for (uint32_t i = 0; i < WRITERS + READERS; i++) {
        struct task task = {path, NULL, i, size == SMALL};
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            (void)(i < WRITERS ? write_all(&task) : read_all(&task));
            _exit(0);
        }
    }
    for (int i = 0; i < WRITERS + READERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

static void processes__side_by_side(void **state)
{
    (void)state;
    processes(LARGE);
    processes(SMALL);
}

/* A child of fork() goes on with its parent's handle, and so does the parent. */
static void a_child__goes_on_with_the_handle(void **state)
{
    const char *path = scratch_path("child.plasmite");
    struct pool_bounds bounds;
    int status;

    (void)state;
    pool_must_create(path, LARGE, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    append_proof(pool, 9, 0, 100);
    pid_t pid = fork();
    assert_true(pid >= 0);
    struct task task = {path, pool, pid == 0, false};
    (void)write_all(&task);
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(pool_bounds(pool, &bounds, NULL), 0);
    assert_int_equal(bounds.newest, 1 + 2 * EACH);
    (void)write_all(&task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads__with_their_own_handles),
        cmocka_unit_test(threads__that_share_a_handle),
        cmocka_unit_test(threads__in_a_ring_that_laps_them),
        cmocka_unit_test(processes__side_by_side),
        cmocka_unit_test(a_child__goes_on_with_the_handle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
