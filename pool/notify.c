#include "notify.h"

#include "base/units.h"
#include "futex.h"
#include "handle.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static uint32_t next_round(uint32_t word)
{
    return (word | NOTIFY_SOMEBODY | NOTIFY_SEVERAL) + 1;
}

void notify_wake(struct header_live *live, uint32_t alone)
{
    /*
     * notify_wake:B, pairs with notify_sleep:A.  On x86 the exchange that released the lock is the
     * barrier.
     */
#if !defined(__x86_64__) && !defined(__i386__)
    atomic_thread_fence(memory_order_seq_cst);
#endif
    uint32_t seen = atomic_load_explicit(&live->waiting, memory_order_seq_cst);
    while ((seen & NOTIFY_SOMEBODY) != 0 && seen != alone)
        if (atomic_compare_exchange_weak_explicit(&live->waiting, &seen, next_round(seen),
                                                  memory_order_seq_cst, memory_order_seq_cst)) {
            (void)futex_wake(&live->waiting, INT_MAX);
            return;
        } /* another writer has just done it, or a second sleeper has come */
}

/* The word with a sleeper more. */
static uint32_t with_sleeper(uint32_t word, uint32_t alone)
{
    if ((word & NOTIFY_SOMEBODY) == 0)
        return word | NOTIFY_SOMEBODY;
    return word == alone ? word : word | NOTIFY_SEVERAL;
}

uint32_t notify_sleep(struct header_live *live, _Atomic uint32_t *alone)
{
    uint32_t mine = alone != NULL ? atomic_load_explicit(alone, memory_order_relaxed) : 0, next;
    uint32_t word = atomic_load_explicit(&live->waiting, memory_order_relaxed);

    do
        next = with_sleeper(word, mine);
    while (!atomic_compare_exchange_weak_explicit(&live->waiting, &word, next,
                                                  memory_order_seq_cst, memory_order_relaxed));
    if (alone != NULL)
        atomic_store_explicit(alone, (next & NOTIFY_SEVERAL) == 0 ? next : 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* notify_sleep:A, pairs with notify_wake:B */
    return next;
}

bool pool_ready(struct pool *pool, uint64_t seen)
{
    return ring_head(&pool->ring) > seen || pool_is_over(pool);
}

static bool any_ready(struct pool *const *pools, const uint64_t *seen, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pool_ready(pools[i], seen[i]))
            return true;
    return false;
}

static bool control_changed(const uint32_t *control, uint32_t value)
{
    return control != NULL &&
           atomic_load_explicit((const _Atomic uint32_t *)control, memory_order_seq_cst) != value;
}

/*
 * Sleeps on the words of the first pools (while they are expected[i]) and on the control word.  0
 * woken (or already changed), else errno.
 */
static int sleep_on(struct pool *const *pools, const uint32_t *expected, size_t n,
                    const uint32_t *control, uint32_t value, uint64_t ns)
{
    struct futex_waitv words[POOL_WAIT_MAX + 1] = {0};
    uint64_t until = clock_mono_ns() + ns;
    struct timespec t = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
    unsigned n_words = 0;

    if (n == 1 && control == NULL) /* the common case needs no set */
        return futex_wait(&pools[0]->ring.live->waiting, expected[0], ns) < 0 ? errno : 0;
    for (size_t i = 0; i < n && n_words < POOL_WAIT_MAX; i++)
        words[n_words++] = (struct futex_waitv){
            .val = expected[i],
            .uaddr = (uintptr_t)&pools[i]->ring.live->waiting,
            .flags = FUTEX_32,
        };
    if (control != NULL)
        words[n_words++] = (struct futex_waitv){
            .val = value, .uaddr = (uintptr_t)control, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
    if (n_words == 0) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        return ETIMEDOUT;
    }
    return syscall(SYS_futex_waitv, words, n_words, 0, &t, CLOCK_MONOTONIC) < 0 ? errno : 0;
}

/* Until when to sleep: the deadline, or the next look that no wake-up will bring. */
static uint64_t nap_length(struct pool *const *pools, size_t n, uint64_t now, uint64_t deadline_ns,
                           uint64_t *poll_ns)
{
    uint64_t nap = n > POOL_WAIT_MAX ? 50 * NS_PER_MS : NOTIFY_NAP_NS;

    for (size_t i = 0; i < n; i++)
        if (!pools[i]->file.writable && nap > *poll_ns)
            nap = *poll_ns;
    *poll_ns = *poll_ns * 2 < NOTIFY_POLL_MAX_NS ? *poll_ns * 2 : NOTIFY_POLL_MAX_NS;
    return deadline_ns - now < nap ? deadline_ns - now : nap;
}

/* Only the first POOL_WAIT_MAX are slept on; those beyond are looked at when the nap ends. */
static void announce(struct pool *const *pools, size_t n, bool served,
                     uint32_t expected[POOL_WAIT_MAX])
{
    for (size_t i = 0; i < n && i < POOL_WAIT_MAX; i++) {
        struct header_live *live = pools[i]->ring.live;
        expected[i] = pools[i]->file.writable
                          ? notify_sleep(live, served ? &pools[i]->alone : NULL)
                          : atomic_load_explicit(&live->waiting, memory_order_seq_cst);
    }
}

/* What nobody announces: a plain rm, a file cut short. */
static void look_at_disk(struct pool *const *pools, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)pool_check_alive(pools[i], NULL); /* marks the handle, which pool_ready() sees */
}

static enum pool_wait_result wait_for_any(struct pool *const *pools, const uint64_t *seen, size_t n,
                                          uint64_t deadline_ns, const uint32_t *control,
                                          uint32_t control_value, bool served)
{
    uint64_t poll_ns = NOTIFY_POLL_MIN_NS, looked = clock_mono_ns();
    uint32_t expected[POOL_WAIT_MAX];

    for (;;) {
        announce(pools, n, served, expected);
        if (any_ready(pools, seen, n) || control_changed(control, control_value))
            return POOL_WAIT_READY;
        uint64_t now = clock_mono_ns();
        if (now >= deadline_ns)
            return POOL_WAIT_TIMEOUT;
        int why = sleep_on(pools, expected, n, control, control_value,
                           nap_length(pools, n, now, deadline_ns, &poll_ns));
        if (why == EINTR)
            return any_ready(pools, seen, n) ? POOL_WAIT_READY : POOL_WAIT_INTERRUPTED;
        /* a kernel or a sandbox without futex_waitv: look often instead */
        if (why != 0 && why != EAGAIN && why != ETIMEDOUT)
            (void)clock_nanosleep(CLOCK_MONOTONIC, 0,
                                  &(struct timespec){.tv_nsec = (long)NOTIFY_POLL_MIN_NS}, NULL);
        if (clock_mono_ns() - looked >= NOTIFY_NAP_NS) {
            looked = clock_mono_ns();
            look_at_disk(pools, n);
        }
    }
}

enum pool_wait_result pool_wait(struct pool *const *pools, const uint64_t *seen, size_t n,
                                uint64_t deadline_ns, const uint32_t *control,
                                uint32_t control_value)
{
    return wait_for_any(pools, seen, n, deadline_ns, control, control_value, false);
}

enum pool_wait_result pool_wait_served(struct pool *const *pools, const uint64_t *seen, size_t n,
                                       uint64_t deadline_ns, const uint32_t *control,
                                       uint32_t control_value)
{
    return wait_for_any(pools, seen, n, deadline_ns, control, control_value, true);
}

void pool_wake_control(uint32_t *control)
{
    int saved = errno;

    atomic_fetch_add_explicit((_Atomic uint32_t *)control, 1, memory_order_seq_cst);
    (void)syscall(SYS_futex, control, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = saved;
}
