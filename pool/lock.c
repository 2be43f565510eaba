#include "lock.h"

#include "base/fds.h"
#include "base/units.h"
#include "futex.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#define SLOT_BASE (1LL << 62)  /* bytes; behind the end of any file */
#define SLOT_TRIES 64          /* random numbers; one collision in 2^31 each */
#define SPIN_LOOKS 40          /* looks before asking the kernel, some 2 us */
#define NAP_NS (2 * NS_PER_MS) /* the death of a holder is noticed this late at worst */

#define CONTENDED 1u

static inline uint32_t generation_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint32_t slot_of(uint64_t word)
{
    return (uint32_t)word >> 1;
}

static inline uint64_t word_of(uint32_t generation, uint32_t slot, uint32_t contended)
{
    return (uint64_t)generation << 32 | (uint64_t)slot << 1 | contended;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static struct lock *attached;
static pthread_mutex_t attached_mutex = PTHREAD_MUTEX_INITIALIZER;

static void fork_prepare(void)
{
    pthread_mutex_lock(&attached_mutex);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&attached_mutex);
}

static void fork_child(void)
{
    for (struct lock *l = attached, *next; l != NULL; l = next) {
        next = l->next;
        close(l->fd);
        l->fd = -1;
        l->slot = 0;
        l->link = NULL;
    }
    attached = NULL;
    pthread_mutex_unlock(&attached_mutex);
}

static void watch_forks(void)
{
    (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static struct flock byte_of(uint32_t slot, short type)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = SLOT_BASE + slot, .l_len = 1};
}

/*
 * Does anybody hold the slot's byte?  Our own description does not count, so never ask about our
 * own slot.
 */
static bool slot_is_alive(const struct lock *lock, uint32_t slot)
{
    struct flock byte = byte_of(slot, F_WRLCK);

    return fcntl(lock->fd, F_OFD_GETLK, &byte) < 0 || byte.l_type != F_UNLCK;
}

static uint32_t random_slot(void)
{
    uint32_t n;

    if (getrandom(&n, sizeof n, GRND_NONBLOCK) != sizeof n)
        n = (uint32_t)clock_mono_ns() ^ (uint32_t)getpid() << 16;
    n &= 0x7fffffff;
    return n == 0 ? 1 : n;
}

static int take_slot(struct lock *lock, int fd)
{
    for (int i = 0; i < SLOT_TRIES; i++) {
        uint32_t slot = random_slot();
        struct flock byte = byte_of(slot, F_WRLCK);

        if (fcntl(fd, F_OFD_SETLK, &byte) < 0) {
            if (errno == EAGAIN || errno == EACCES)
                continue;
            return -1;
        }
        if (slot_of(atomic_load(lock->words[0])) != slot &&
            slot_of(atomic_load(lock->words[1])) != slot) { /* rule (3) */
            lock->slot = slot;
            return 0;
        }
        byte.l_type = F_UNLCK;
        (void)fcntl(fd, F_OFD_SETLK, &byte); /* a left-over lock would only be one number unused */
    }
    errno = EAGAIN;
    return -1;
}

static int attach_locked(struct lock *lock)
{
    char self[64];

    if (lock->slot != 0)
        return 0; /* another thread was faster */
    /*
     * A description of its own: the one behind the mapping is shared with every child that inherits
     * the mapping.
     */
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", lock->pool_fd);
    int fd = fds_above_standard(open(self, O_RDWR | O_CLOEXEC));
    if (fd < 0)
        return -1;
    lock->fd = fd;
    if (take_slot(lock, fd) < 0) {
        int saved = errno;
        close(fd);
        lock->fd = -1;
        errno = saved;
        return -1;
    }
    lock->next = attached;
    lock->link = &attached;
    if (attached != NULL)
        attached->link = &lock->next;
    attached = lock;
    return 0;
}

static int attach(struct lock *lock)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, watch_forks);
    pthread_mutex_lock(&attached_mutex);
    int result = attach_locked(lock);
    pthread_mutex_unlock(&attached_mutex);
    return result;
}

void lock_done(struct lock *lock)
{
    pthread_mutex_lock(&attached_mutex);
    if (lock->link != NULL) {
        *lock->link = lock->next;
        if (lock->next != NULL)
            lock->next->link = lock->link;
        lock->link = NULL;
    }
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
    lock->slot = 0;
    pthread_mutex_unlock(&attached_mutex);
}

static bool several_processors(void)
{
    static _Atomic int n;
    int known = atomic_load_explicit(&n, memory_order_relaxed);

    if (known == 0) {
        cpu_set_t set;
        known = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 2;
        atomic_store_explicit(&n, known, memory_order_relaxed);
    }
    return known > 1;
}

/*
 * Waits a moment for the word to become free: SPIN_LOOKS for those who will sleep, `spin_ns` for
 * those who will not.
 */
static uint64_t spin(_Atomic uint64_t *word, uint64_t spin_ns)
{
    uint64_t until = spin_ns > 0 ? clock_mono_ns() + spin_ns : 0;
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

    if (!several_processors()) /* the holder cannot go on while we spin */
        return seen;
    for (int i = 0; slot_of(seen) != 0; i++) {
        if (i >= SPIN_LOOKS && (spin_ns == 0 || clock_mono_ns() >= until))
            break;
        relax();
        seen = atomic_load_explicit(word, memory_order_relaxed);
    }
    return seen;
}

static bool swap(_Atomic uint64_t *word, uint64_t seen, uint64_t next)
{
    return atomic_compare_exchange_strong_explicit(word, &seen, next, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* The slow half of acquire: the word was seen held. */
static enum lock_result wait_for_it(struct lock *lock, _Atomic uint64_t *word, uint64_t limit_ns)
{
    uint32_t mine = lock->slot, contended = 0;
    uint64_t begun = clock_mono_ns();

    for (;;) {
        uint64_t seen = spin(word, limit_ns <= LOCK_TRY ? limit_ns : 0);
        uint32_t holder = slot_of(seen);

        if (holder == 0) {
            if (swap(word, seen, word_of(generation_of(seen) + 1, mine, contended)))
                return LOCK_HELD;
            continue;
        }
        if (holder != mine && !slot_is_alive(lock, holder)) {
            /*
             * The whole word: if anything happened since we looked, the holder was not the dead
             * one.
             */
            if (swap(word, seen, word_of(generation_of(seen) + 1, mine, CONTENDED)))
                return LOCK_TAKEN_OVER;
            continue;
        }
        if (limit_ns <= LOCK_TRY || clock_mono_ns() - begun >= limit_ns)
            return LOCK_BUSY;
        if ((seen & CONTENDED) == 0 && !swap(word, seen, seen | CONTENDED))
            continue;
        contended = CONTENDED; /* rule (2) */
        (void)futex_wait(futex_low_half(word), (uint32_t)seen | CONTENDED, NAP_NS);
    }
}

enum lock_result lock_acquire(struct lock *lock, _Atomic uint64_t *word, uint64_t limit_ns,
                              struct error *err)
{
    if (atomic_load_explicit(&lock->slot, memory_order_relaxed) == 0 && attach(lock) < 0) {
        fail_os(err, errno == EACCES ? PLSM_ERROR_PERMISSION : PLSM_ERROR_IO, errno,
                "failed to become a writer of the pool");
        return LOCK_FAILED;
    }
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    uint32_t mine = atomic_load_explicit(&lock->slot, memory_order_relaxed);
    if (slot_of(seen) == 0 && swap(word, seen, word_of(generation_of(seen) + 1, mine, 0)))
        return LOCK_HELD;
    return wait_for_it(lock, word, limit_ns);
}

void lock_release(_Atomic uint64_t *word)
{
    /*
     * We hold it, so only the contended bit can change under us.  The exchange is also the full
     * barrier that notify.h needs.
     */
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    uint64_t old =
        atomic_exchange_explicit(word, word_of(generation_of(seen), 0, 0), memory_order_seq_cst);
    if ((old & CONTENDED) != 0)
        (void)futex_wake(futex_low_half(word), 1);
}
