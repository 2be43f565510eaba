/*
 * Pools that vanish or change under their users: copied over, deleted, deleted in vain; and programs without standard streams.
 */
#include "pools.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534
#define ROUNDS_NS (1500 * NS_PER_MS)

static int try_append(struct pool *pool, struct error *err)
{
    struct payload payload = payload_make(BYTES(""), 0, BYTES("{\"stray\":true}"));

    return pool_append(pool, &payload, 1, 0, NULL, err);
}

/* All messages of the pool are proofs of this writer, numbered as they are. */
static void holds_only(struct pool *pool, uint32_t writer, uint64_t n)
{
    struct pool_bounds bounds;

    assert_int_equal(pool_bounds(pool, &bounds, NULL), 0);
    assert_int_equal(bounds.oldest, 1);
    assert_int_equal(bounds.newest, n);
    for (uint64_t seq = 1; seq <= n; seq++) {
        auto_buf struct buf store = BUF_INIT;
        struct message message;
        uint32_t whose;
        uint64_t number;
        assert_int_equal(pool_get(pool, seq, &store, &message, NULL), 0);
        assert_true(proof_check(message.data, &whose, &number));
        assert_int_equal(whose, writer);
        assert_int_equal(number, seq);
    }
}

/* ---- copied over ---- */

static void a_pool_copied_over_another__gets_nothing_from_its_writers(void **state)
{
    auto_pool struct pool *a = pool_must_make("a.plasmite", 65536, POOL_INDEX_AUTO), *b = pool_must_make("b.plasmite", 65536, POOL_INDEX_AUTO);
    struct error err = ERROR_INIT;

    (void)state;
    for (uint64_t n = 1; n <= 300; n++)
        append_proof(a, 1, n, 150);
    for (uint64_t n = 1; n <= 100; n++)
        append_proof(b, 2, n, 150);
    auto_pool struct pool *reader = pool_must_open(pool_path(a), POOL_READ);
    file_copy(pool_path(b), pool_path(a)); /* same inode, same size, never shorter */

    atomic_store(&a->looked_ns, 0); /* a moment later */
    assert_int_equal(try_append(a, &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_NOT_FOUND);
    assert_int_equal(pool_check_alive(reader, &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_NOT_FOUND);
    auto_pool struct pool *copy = pool_must_open(pool_path(a), POOL_READ_WRITE);
    holds_only(copy, 2, 100);
    append_proof(copy, 2, 101, 150);
    holds_only(copy, 2, 101);
}

/* ---- deleted ---- */

static void deleting_a_link__leaves_the_pool(void **state)
{
    auto_pool struct pool *pool = pool_must_make("target.plasmite", 65536, POOL_INDEX_AUTO);
    const char *link = scratch_path("link.plasmite");
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(symlink(pool_path(pool), link), 0);
    assert_int_equal(pool_delete(link, &err), 0);
    assert_int_equal(faccessat(AT_FDCWD, link, F_OK, AT_SYMLINK_NOFOLLOW), -1);
    append_proof(pool, 1, 1, 100);
    auto_pool struct pool *again = pool_must_open(pool_path(pool), POOL_READ);
    holds_only(again, 1, 1);
}

/* In a child, since it gives up its rights: deletes x.plasmite of the directory it is in, whose names it may not change. */
static void delete_as_nobody(void)
{
    struct error err = ERROR_INIT;

    if (geteuid() == 0)
        must(setgid(NOBODY) == 0 && setuid(NOBODY) == 0, "%s", strerror(errno));
    must(pool_delete("x.plasmite", &err) < 0, "deleted");
    must(err.kind == PLSM_ERROR_IO, "%s", err.message);
    _exit(0);
}

struct watch {
    struct pool *pool;
    atomic_bool stop;
    atomic_int seen_over;
};

static void *watch_gone(void *arg)
{
    struct watch *watch = arg;

    while (!atomic_load(&watch->stop))
        if (atomic_load(&watch->pool->ring.live->gone) != 0)
            atomic_fetch_add(&watch->seen_over, 1);
    return NULL;
}

/* Not even for a moment, in which a reader would end. */
static void deleting_without_permission__never_looks_like_a_deletion(void **state)
{
    const char *dir = scratch_path("locked");
    struct watch watch = {0};
    pthread_t thread;

    (void)state;
    assert_int_equal(mkdir(dir, 0755), 0);
    watch.pool = pool_must_make("locked/x.plasmite", 65536, POOL_INDEX_AUTO);
    assert_int_equal(chmod(pool_path(watch.pool), 0666), 0);
    assert_int_equal(chmod(dir, 0555), 0); /* also for those who are not root */
    assert_int_equal(pthread_create(&thread, NULL, watch_gone, &watch), 0);
    for (int i = 0; i < 200; i++) {
        int status;
        pid_t pid = fork();
        must(pid >= 0, "%s", strerror(errno));
        if (pid == 0) {
            must(chdir(dir) == 0, "%s", strerror(errno));
            delete_as_nobody();
        }
        must(waitpid(pid, &status, 0) == pid && status == 0, "status %#x", (unsigned)status);
    }
    atomic_store(&watch.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&watch.seen_over), 0);
    append_proof(watch.pool, 1, 1, 100);
    assert_int_equal(chmod(dir, 0755), 0);
    pool_close(watch.pool);
}

/*
 * A follower looks without rest, while in each round one message is appended and the pool then marked as gone, as pool_delete()
 * does.  The mark is taken back for the next round.
 */
struct race {
    struct pool *pool;
    _Atomic uint64_t round, ready, done;
    atomic_bool stop;
    uint64_t missed;
};

static void follow_to_the_end(struct race *race, struct cursor *cursor)
{
    auto_buf struct buf store = BUF_INIT;
    struct message message;
    struct error err = ERROR_INIT;
    enum cursor_result result;
    uint64_t got = 0;

    while ((result = cursor_next(race->pool, cursor, &store, &message, &err)) != CURSOR_FAILED)
        got += result == CURSOR_MESSAGE;
    must(err.kind == PLSM_ERROR_NOT_FOUND, "%s", err.message);
    race->missed += got != 1;
}

static void *follow_rounds(void *arg)
{
    struct race *race = arg;

    for (uint64_t n = 1;; n++) {
        struct cursor cursor;
        while (atomic_load(&race->round) != n)
            if (atomic_load(&race->stop))
                return NULL;
        must(cursor_at_end(race->pool, &cursor, NULL) == 0, "no end");
        atomic_store(&race->ready, n);
        follow_to_the_end(race, &cursor);
        atomic_store(&race->done, n);
    }
}

static void await_number(_Atomic uint64_t *word, uint64_t n)
{
    while (atomic_load(word) != n)
        ;
}

static void the_last_message_before_a_delete__is_delivered(void **state)
{
    auto_pool struct pool *pool = pool_must_make("last.plasmite", 65536, POOL_INDEX_AUTO);
    struct race race = {.pool = pool_must_open(pool_path(pool), POOL_READ)};
    struct random random = {seed_from_env()};
    uint64_t seed = random.state, n = 0;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, follow_rounds, &race), 0);
    for (uint64_t end = clock_mono_ns() + ROUNDS_NS; clock_mono_ns() < end;) {
        atomic_store(&pool->ring.live->gone, 0);
        atomic_store(&race.round, ++n);
        await_number(&race.ready, n);
        for (uint64_t i = random_below(&random, 300); i > 0; i--)
            atomic_signal_fence(
                memory_order_seq_cst); /* a little time, which the compiler must not take away */
        append_proof(pool, 1, n, PROOF_MIN);
        atomic_store(&pool->ring.live->gone, 1);
        await_number(&race.done, n);
    }
    atomic_store(&race.stop, true);
    pthread_join(thread, NULL);
    pool_close(race.pool);
    if (race.missed > 0)
        fail_msg("not delivered in %" PRIu64 " of %" PRIu64 " rounds; PLASMITE_TEST_SEED=%" PRIu64,
                 race.missed, n, seed);
}

/* ---- descriptors ---- */

static void work_without_standard_streams(const char *path)
{
    for (int fd = 0; fd <= 2; fd++)
        (void)close(fd);
    struct pool_options options = POOL_OPTIONS_INIT;
    struct pool *pool = NULL;
    int failed =
        pool_create(path, &options, NULL) < 0 || pool_open(path, POOL_READ_WRITE, &pool, NULL) < 0;
    if (failed || try_append(pool, NULL) < 0)
        _exit(1);
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            _exit(10 + fd);
    if (write(1, "junk", 4) >= 0 || write(2, "junk", 4) >= 0)
        _exit(2);
    pool_close(pool);
    _exit(0);
}

static void a_pool__never_takes_the_numbers_of_the_standard_streams(void **state)
{
    const char *path = scratch_path("nostreams.plasmite");
    int status;

    (void)state;
    pid_t pid = fork();
    must(pid >= 0, "%s", strerror(errno));
    if (pid == 0)
        work_without_standard_streams(path);
    must(waitpid(pid, &status, 0) == pid, "%s", strerror(errno));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0); /* 10 + n: descriptor n was taken */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_copied_over_another__gets_nothing_from_its_writers),
        cmocka_unit_test(deleting_a_link__leaves_the_pool),
        cmocka_unit_test(deleting_without_permission__never_looks_like_a_deletion),
        cmocka_unit_test(the_last_message_before_a_delete__is_delivered),
        cmocka_unit_test(a_pool__never_takes_the_numbers_of_the_standard_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
