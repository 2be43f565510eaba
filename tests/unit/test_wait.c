/*
 * Waiting for messages: woken by them and not by looking, on several pools at once, by a control word, a signal, a deadline; and
 * followers that are killed in their sleep leave nothing behind.
 */
#include "pools.h"

#include "base/units.h"
#include "handle.h"
#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define POOLS 5
#define FOLLOWERS 100
#define ROUNDS 20
#define SOON_NS (50 * NS_PER_MS) /* well below NOTIFY_NAP_NS, at which a sleeper looks by itself */
#define LONG_NS (20 * NS_PER_S)

static void nap_ms(long ms)
{
    struct timespec moment = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&moment, NULL);
}

static uint64_t head_of(struct pool *pool)
{
    struct pool_bounds bounds;

    must(pool_bounds(pool, &bounds, NULL) == 0, "no bounds");
    return bounds.head;
}

static bool somebody_waits(struct pool *pool)
{
    return (atomic_load(&pool->ring.live->waiting) & 1) != 0;
}

/* Until the process, or the thread, sleeps in the kernel. */
static void await_sleep(pid_t pid)
{
    char path[64], state = 'R';

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (uint64_t end = clock_mono_ns() + LONG_NS; state != 'S';) {
        FILE *f = fopen(path, "r");
        must(f != NULL && fscanf(f, "%*d (%*[^)]) %c", &state) == 1, "%s", path);
        fclose(f);
        must(clock_mono_ns() < end, "process %d does not sleep", (int)pid);
        nap_ms(1);
    }
}

/* ---- what ends a wait ---- */

static void a_message_that_is_there__ends_it_at_once(void **state)
{
    auto_pool struct pool *pool = pool_must_make("there.plasmite", 8192, POOL_INDEX_AUTO);
    uint64_t seen = head_of(pool), begin = clock_mono_ns();

    (void)state;
    assert_int_equal(pool_wait(&pool, &seen, 1, 0, NULL, 0), POOL_WAIT_TIMEOUT);
    append_proof(pool, 1, 1, 100);
    assert_int_equal(pool_wait(&pool, &seen, 1, UINT64_MAX, NULL, 0), POOL_WAIT_READY);
    assert_true(clock_mono_ns() - begin < LONG_NS);
    seen = head_of(pool);
    assert_false(pool_ready(pool, seen));
    assert_true(pool_ready(pool, seen - 1));
}

static void the_deadline__ends_it(void **state)
{
    auto_pool struct pool *pool = pool_must_make("deadline.plasmite", 8192, POOL_INDEX_AUTO);
    uint64_t seen = head_of(pool), begin = clock_mono_ns(), deadline = begin + 30 * NS_PER_MS;

    (void)state;
    assert_int_equal(pool_wait(&pool, &seen, 1, deadline, NULL, 0), POOL_WAIT_TIMEOUT);
    assert_true(clock_mono_ns() >= deadline);
    assert_int_equal(pool_wait(NULL, NULL, 0, clock_mono_ns() + NS_PER_MS, NULL, 0),
                     POOL_WAIT_TIMEOUT);
}

static void on_signal(int sig)
{
    (void)sig;
}

/* What another thread does as soon as this one sleeps. */
struct later {
    pid_t sleeper;
    pthread_t target;
    uint32_t *control;
};

static void *signal_later(void *arg)
{
    struct later *later = arg;

    await_sleep(later->sleeper);
    pthread_kill(later->target, SIGUSR1);
    return NULL;
}

static void *control_later(void *arg)
{
    struct later *later = arg;

    await_sleep(later->sleeper);
    pool_wake_control(later->control);
    return NULL;
}

static void a_signal__ends_it(void **state)
{
    auto_pool struct pool *pool = pool_must_make("signal.plasmite", 8192, POOL_INDEX_AUTO);
    struct sigaction action = {.sa_handler = on_signal};
    struct later later = {.sleeper = gettid(), .target = pthread_self()};
    uint64_t seen = head_of(pool);
    pthread_t thread;

    (void)state;
    sigaction(SIGUSR1, &action, NULL);
    assert_int_equal(pthread_create(&thread, NULL, signal_later, &later), 0);
    assert_int_equal(pool_wait(&pool, &seen, 1, UINT64_MAX, NULL, 0), POOL_WAIT_INTERRUPTED);
    pthread_join(thread, NULL);
}

static void the_control_word__ends_it(void **state)
{
    struct pool *pools[POOLS] = {pool_must_make("c0.plasmite", 8192, POOL_INDEX_AUTO), pool_must_make("c1.plasmite", 8192, POOL_INDEX_AUTO)};
    uint64_t seen[2] = {head_of(pools[0]), head_of(pools[1])};
    uint32_t control = 7;
    struct later later = {.sleeper = gettid(), .control = &control};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, control_later, &later), 0);
    assert_int_equal(pool_wait(pools, seen, 2, UINT64_MAX, &control, 7), POOL_WAIT_READY);
    pthread_join(thread, NULL);
    assert_int_equal(control, 8);
    /* Changed before the wait begins: no sleep. */
    assert_int_equal(pool_wait(pools, seen, 2, UINT64_MAX, &control, 7), POOL_WAIT_READY);
    pool_close(pools[0]);
    pool_close(pools[1]);
}

/* ---- several processes ---- */

/* What the followers tell, in memory that all see. */
struct board {
    _Atomic uint64_t sent_ns;
    _Atomic uint32_t heard;
    _Atomic uint64_t slowest_ns;
};

static struct board *new_board(void)
{
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    must(board != MAP_FAILED, "%s", strerror(errno));
    return board;
}

/* A process that waits on all of these pools and tells, for ROUNDS messages, how long after the append it woke. */
static pid_t start_follower(const char *const *paths, size_t n, struct board *board)
{
    pid_t pid = fork();

    must(pid >= 0, "%s", strerror(errno));
    if (pid != 0)
        return pid;
    struct pool *pools[POOLS];
    uint64_t seen[POOLS];
    for (size_t i = 0; i < n; i++) {
        pools[i] = pool_must_open(paths[i], POOL_READ);
        seen[i] = head_of(pools[i]);
    }
    for (;;) {
        must(pool_wait(pools, seen, n, UINT64_MAX, NULL, 0) == POOL_WAIT_READY, "not ready");
        uint64_t took = clock_mono_ns() - atomic_load(&board->sent_ns),
                 slowest = atomic_load(&board->slowest_ns);
        while (took > slowest && !atomic_compare_exchange_weak(&board->slowest_ns, &slowest, took))
            ;
        for (size_t i = 0; i < n; i++)
            seen[i] = head_of(pools[i]);
        atomic_fetch_add(&board->heard, 1);
    }
}

static void await_heard(struct board *board, uint32_t n)
{
    for (uint64_t end = clock_mono_ns() + LONG_NS; atomic_load(&board->heard) < n; nap_ms(1))
        must(clock_mono_ns() < end, "%u of %u heard of it", atomic_load(&board->heard), n);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Woken by the message: looking by itself would take up to NOTIFY_NAP_NS, half of that on average. */
static void followers__are_woken_by_any_of_their_pools(void **state)
{
    static const char *const names[POOLS] = {"w0.plasmite", "w1.plasmite", "w2.plasmite",
                                             "w3.plasmite", "w4.plasmite"};
    const char *paths[POOLS];
    struct pool *pools[POOLS];
    struct board *board = new_board();
    pid_t pids[4];
    uint64_t took[ROUNDS];

    (void)state;
    for (int i = 0; i < POOLS; i++) {
        pools[i] = pool_must_make(names[i], 8192, POOL_INDEX_AUTO);
        paths[i] = scratch_path(names[i]);
    }
    for (size_t i = 0; i < 4; i++) /* two on one pool, two on all */
        pids[i] = start_follower(paths, i < 2 ? 1 : POOLS, board);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t which = round % 2 == 0 ? 0 : round % POOLS, listeners = which == 0 ? 4 : 2;
        for (size_t i = 0; i < 4; i++)
            await_sleep(pids[i]);
        atomic_store(&board->heard, 0);
        atomic_store(&board->slowest_ns, 0);
        atomic_store(&board->sent_ns, clock_mono_ns());
        append_proof(pools[which], 1, round, 100);
        await_heard(board, listeners);
        took[round] = atomic_load(&board->slowest_ns);
    }
    for (size_t i = 0; i < 4; i++)
        end(pids[i]);
    qsort(took, ROUNDS, sizeof took[0], by_size);
    assert_true(took[ROUNDS * 3 / 4] < SOON_NS);
    for (int i = 0; i < POOLS; i++)
        pool_close(pools[i]);
    munmap(board, sizeof *board);
}

static void killed_followers__leave_no_wakes_behind(void **state)
{
    auto_pool struct pool *pool = pool_must_make("killed.plasmite", 8192, POOL_INDEX_AUTO);
    const char *path = scratch_path("killed.plasmite");
    struct board *board = new_board();
    pid_t pids[FOLLOWERS];

    (void)state;
    for (int i = 0; i < FOLLOWERS; i++)
        pids[i] = start_follower(&path, 1, board);
    for (int i = 0; i < FOLLOWERS; i++)
        await_sleep(pids[i]);
    assert_true(somebody_waits(pool));
    for (int i = 0; i < FOLLOWERS; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < FOLLOWERS; i++)
        (void)waitpid(pids[i], NULL, 0);
    append_proof(pool, 1, 1, 100);
    uint32_t word = atomic_load(&pool->ring.live->waiting);
    assert_int_equal(word & 1, 0);
    for (uint64_t n = 2; n < 50; n++) {
        append_proof(pool, 1, n, 100);
        assert_int_equal(atomic_load(&pool->ring.live->waiting),
                         word); /* no other wake call was made */
    }
    munmap(board, sizeof *board);
}

/* ---- a process that serves its own readers ---- */

struct served {
    pthread_t thread;
    struct pool *pool;
    uint64_t seen;
    uint32_t control;
    atomic_int tid;
    _Atomic unsigned wakes;
};

/* Ends when the control word is changed. */
static void *wait_served(void *arg)
{
    struct served *served = arg;

    atomic_store(&served->tid, (int)syscall(SYS_gettid));
    while (__atomic_load_n(&served->control, __ATOMIC_SEQ_CST) == 0) {
        (void)pool_wait_served(&served->pool, &served->seen, 1, UINT64_MAX, &served->control, 0);
        served->seen = head_of(served->pool);
        atomic_fetch_add(&served->wakes, 1);
    }
    return NULL;
}

static void served_start(struct served *served, struct pool *pool)
{
    *served = (struct served){.pool = pool, .seen = head_of(pool)};
    must(pthread_create(&served->thread, NULL, wait_served, served) == 0, "no thread");
    while (atomic_load(&served->tid) == 0)
        nap_ms(1);
    await_sleep(atomic_load(&served->tid));
}

static void served_end(struct served *served)
{
    pool_wake_control(&served->control);
    pthread_join(served->thread, NULL);
}

static void append_for_others(struct pool *pool)
{
    struct payload payload = payload_make(BYTES(""), 0, BYTES("{}"));

    must(pool_append(pool, &payload, 1, APPEND_WAKE_OTHERS, NULL, NULL) == 0, "no append");
}

static uint32_t wake_word(struct pool *pool)
{
    return atomic_load(&pool->ring.live->waiting);
}

static void a_served_wait__is_woken_before_an_append_goes_to_disk(void **state)
{
    auto_pool struct pool *pool = pool_must_make("flushed.plasmite", 8192, POOL_INDEX_AUTO);
    struct payload payload = payload_make(BYTES(""), 0, BYTES("{}"));
    struct served served;
    uint32_t word;

    (void)state;
    served_start(&served, pool);
    word = wake_word(pool);
    must(pool_append(pool, &payload, 1, APPEND_WAKE_OTHERS | APPEND_FLUSH, NULL, NULL) == 0,
         "no append");
    assert_int_not_equal(wake_word(pool), word);
    served_end(&served);
}

static void a_served_wait__sleeps_through_appends_for_others_alone(void **state)
{
    auto_pool struct pool *pool = pool_must_make("served.plasmite", 8192, POOL_INDEX_AUTO);
    auto_pool struct pool *other = pool_must_open(scratch_path("served.plasmite"), POOL_READ_WRITE);
    struct served served;
    uint32_t word;

    (void)state;
    served_start(&served, pool);
    word = wake_word(pool);
    for (int i = 0; i < 100; i++)
        append_for_others(pool);
    assert_int_equal(wake_word(pool), word); /* no wake call was made */
    append_proof(pool, 1, 1, 100);
    assert_int_not_equal(wake_word(pool), word);
    for (int i = 0; i < 3; i++) { /* somebody else's process would have a handle of its own, too */
        unsigned wakes = atomic_load(&served.wakes);
        await_sleep(atomic_load(&served.tid));
        word = wake_word(pool);
        append_for_others(other);
        assert_int_not_equal(wake_word(pool), word);
        while (atomic_load(&served.wakes) == wakes)
            nap_ms(1);
    }
    served_end(&served);
}

static void others__are_woken_beside_a_served_wait(void **state)
{
    auto_pool struct pool *pool = pool_must_make("beside.plasmite", 8192, POOL_INDEX_AUTO);
    const char *path = scratch_path("beside.plasmite");
    struct board *board = new_board();
    struct served served;
    uint64_t slow = 0;

    (void)state;
    served_start(&served, pool);
    pid_t pid = start_follower(&path, 1, board);
    for (uint32_t round = 0; round < 200; round++) {
        await_sleep(pid);
        atomic_store(&board->heard, 0);
        atomic_store(&board->slowest_ns, 0);
        atomic_store(&board->sent_ns, clock_mono_ns());
        append_for_others(pool);
        await_heard(board, 1);
        slow += atomic_load(&board->slowest_ns) > NOTIFY_NAP_NS / 2;
    }
    end(pid);
    served_end(&served);
    assert_true(slow <= 4);
    munmap(board, sizeof *board);
}

/* The last one sleeping must be woken even when its fellow takes the lead: no message is met by sleep. */
static void two_followers_in_step__never_miss_one(void **state)
{
    auto_pool struct pool *pool = pool_must_make("step.plasmite", 8192, POOL_INDEX_AUTO);
    const char *path = scratch_path("step.plasmite");
    struct board *board = new_board();
    pid_t pids[3];
    uint64_t slow = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        pids[i] = start_follower(&path, 1, board);
    for (int i = 0; i < 3; i++)
        await_sleep(pids[i]);
    for (uint32_t round = 0; round < 300; round++) {
        atomic_store(&board->heard, 0);
        atomic_store(&board->slowest_ns, 0);
        atomic_store(&board->sent_ns, clock_mono_ns());
        append_proof(pool, 1, round, 100);
        while (atomic_load(&board->heard) < 3) /* they go back to sleep as the next one comes */
            must(clock_mono_ns() - atomic_load(&board->sent_ns) < LONG_NS, "somebody sleeps on");
        slow += atomic_load(&board->slowest_ns) > NOTIFY_NAP_NS / 2;
    }
    for (int i = 0; i < 3; i++)
        end(pids[i]);
    assert_true(slow <= 6);
    munmap(board, sizeof *board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_is_there__ends_it_at_once),
        cmocka_unit_test(the_deadline__ends_it),
        cmocka_unit_test(a_signal__ends_it),
        cmocka_unit_test(the_control_word__ends_it),
        cmocka_unit_test(followers__are_woken_by_any_of_their_pools),
        cmocka_unit_test(killed_followers__leave_no_wakes_behind),
        cmocka_unit_test(two_followers_in_step__never_miss_one),
        cmocka_unit_test(a_served_wait__is_woken_before_an_append_goes_to_disk),
        cmocka_unit_test(a_served_wait__sleeps_through_appends_for_others_alone),
        cmocka_unit_test(others__are_woken_beside_a_served_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
