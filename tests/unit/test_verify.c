/*
 * verify_pool() beside writers: what they overwrite meanwhile is not an issue.
 */
#include "pools.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "pool/verify.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define RUN_NS (700 * NS_PER_MS)
#define PAUSE_EVERY_NS 150000
#define LAP 100 /* appends: more than the ring holds */

static atomic_bool stop;
static _Atomic uint64_t appended;

/* Without rest; the ring holds about forty of them. */
static void *append_for_ever(void *arg)
{
    auto_buf struct buf data = BUF_INIT;

    proof_make(&data, 1, 1, 150);
    struct payload payload = payload_make(BYTES(""), 0, buf_bytes(&data));
    while (!atomic_load(&stop)) {
        must(pool_append(arg, &payload, 1, 0, NULL, NULL) == 0, "no append");
        atomic_fetch_add(&appended, 1);
    }
    return NULL;
}

/* Stops verify_pool() wherever it is, until the ring has turned once. */
static void on_pause(int sig)
{
    uint64_t goal = atomic_load(&appended) + LAP;

    (void)sig;
    while (atomic_load(&appended) < goal && !atomic_load(&stop))
        ;
}

static timer_t pause_now_and_then(void)
{
    struct sigaction action = {.sa_handler = on_pause, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec every = {.it_value.tv_nsec = PAUSE_EVERY_NS,
                               .it_interval.tv_nsec = PAUSE_EVERY_NS};
    timer_t timer;

    event._sigev_un._tid = gettid();
    must(sigaction(SIGUSR1, &action, NULL) == 0 &&
             timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 &&
             timer_settime(timer, 0, &every, NULL) == 0,
         "no timer");
    return timer;
}

static void a_sound_pool__is_sound_while_it_is_written_to(void **state)
{
    const char *path = scratch_path("busy.plasmite");
    struct verify_report report;
    pthread_t thread;

    (void)state;
    pool_must_create(path, 8192, POOL_INDEX_AUTO);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    assert_int_equal(pthread_create(&thread, NULL, append_for_ever, pool), 0);
    while (atomic_load(&appended) < 200) /* the ring is full and turns */
        ;
    timer_t timer = pause_now_and_then();
    uint64_t n = 0;
    for (uint64_t until = clock_mono_ns() + RUN_NS; clock_mono_ns() < until; n++) {
        assert_int_equal(verify_pool(path, &report, NULL), 0);
        if (report.n_issues > 0) {
            atomic_store(&stop, true);
            pthread_join(thread, NULL);
            fail_msg("run %" PRIu64 " beside a writer: %s", n, report.issues[0].message);
        }
    }
    timer_delete(timer);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(verify_pool(path, &report, NULL), 0);
    assert_int_equal(report.n_issues, 0);
    assert_true(report.messages > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_pool__is_sound_while_it_is_written_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
