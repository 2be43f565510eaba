#include "jq_watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/*
 * For one message.  Reading it takes jq 20 to 40 ns and some 20 bytes for each byte.  The time is
 * what its thread had of a processor: one that was stopped, or had to wait, is not late.
 */
#define LIMIT_NS 5000000000
#define LIMIT_NS_PER_BYTE 200
#define LIMIT_BYTES (512UL << 20)
#define LIMIT_BYTES_PER_BYTE 50

#define LOOK_NS 100000000    /* between two looks */
#define LOOKS_IN_VAIN_MAX 20 /* then the thread ends; the next evaluation starts another */
#define STACK_BYTES (64 * 1024)

static struct {
    pthread_mutex_t lock;
    struct watched *first; /* under lock, as is all below */
    bool running;
    pid_t process; /* in which it is running: a child of fork() has no such thread */
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What a thread has used; 0 when it cannot be asked: one of the parent, in a child of fork(). */
static uint64_t used_ns(clockid_t thread)
{
    struct timespec now;

    if (clock_gettime(thread, &now) < 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Pages of its own that the process has in memory, files apart; 0 when nobody says. */
static uint64_t own_pages(void)
{
    unsigned long size, resident = 0, shared = 0;
    FILE *statm = fopen("/proc/self/statm", "re");

    if (statm == NULL)
        return 0;
    if (fscanf(statm, "%lu %lu %lu", &size, &resident, &shared) != 3 || resident < shared)
        resident = shared = 0;
    fclose(statm);
    return resident - shared;
}

static bool is_too_much(struct watched *w, uint64_t pages)
{
    if (w->pages_before == 0)
        w->pages_before = pages;
    return used_ns(w->thread) >= w->deadline_ns || pages > w->pages_before + w->pages_more;
}

/* True when there was nothing to watch. */
static bool halt_some(void)
{
    uint64_t pages = watch.first != NULL ? own_pages() : 0;

    for (struct watched *w = watch.first; w != NULL; w = w->next)
        if (!w->halted && is_too_much(w, pages)) {
            w->halted = true;
            jq_halt(w->jq, jv_invalid(), jv_invalid());
        }
    return watch.first == NULL;
}

static void *look(void *unused)
{
    const struct timespec pause = {0, LOOK_NS};
    unsigned in_vain = 0;

    (void)unused;
    while (in_vain < LOOKS_IN_VAIN_MAX) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&watch.lock);
        in_vain = halt_some() ? in_vain + 1 : 0;
        if (in_vain == LOOKS_IN_VAIN_MAX)
            watch.running = false; /* with the lock held: whoever comes now starts another */
        pthread_mutex_unlock(&watch.lock);
    }
    return NULL;
}

/* A child of fork() finds the lock free. */
static void before_fork(void)
{
    pthread_mutex_lock(&watch.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&watch.lock);
}

void watch_init(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork); /* no memory: as without */
}

/* Signals are for the threads that the program knows of. */
static void start_thread(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    if (pthread_attr_init(&attr) != 0)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    watch.running = pthread_create(&thread, &attr, look, NULL) == 0;
    watch.process = getpid();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}

void watch_begin(struct watched *watched, jq_state *jq, size_t n)
{
    uint64_t more = LIMIT_BYTES + n * LIMIT_BYTES_PER_BYTE;

    *watched = (struct watched){
        .jq = jq,
        .thread = CLOCK_THREAD_CPUTIME_ID,
        .pages_more = more / (uint64_t)sysconf(_SC_PAGESIZE),
    };
    watched->deadline_ns = used_ns(watched->thread) + LIMIT_NS + n * LIMIT_NS_PER_BYTE;
    /* the same, as other threads name it */
    (void)pthread_getcpuclockid(pthread_self(), &watched->thread);
    pthread_mutex_lock(&watch.lock);
    watched->next = watch.first;
    if (watch.first != NULL)
        watch.first->previous = watched;
    watch.first = watched;
    if (!watch.running || watch.process != getpid())
        start_thread();
    pthread_mutex_unlock(&watch.lock);
}

bool watch_end(struct watched *watched)
{
    pthread_mutex_lock(&watch.lock);
    *(watched->previous != NULL ? &watched->previous->next : &watch.first) = watched->next;
    if (watched->next != NULL)
        watched->next->previous = watched->previous;
    pthread_mutex_unlock(&watch.lock);
    return !watched->halted;
}
