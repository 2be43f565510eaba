#include "jq_watch.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000000    /* between two looks */
#define LOOKS_IN_VAIN_MAX 20 /* then the thread ends; the next evaluation starts another */
#define STACK_BYTES (64 * 1024)

static struct {
    pthread_mutex_t lock;
    struct watched *first; /* under lock, as is all below */
    bool running;
    pid_t process; /* in which it is running: a child of fork() has no such thread */
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* True when there was nothing to watch. */
static bool halt_late_ones(void)
{
    uint64_t now = now_ns();

    for (struct watched *w = watch.first; w != NULL; w = w->next)
        if (!w->late && now >= w->deadline_ns) {
            w->late = true;
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
        in_vain = halt_late_ones() ? in_vain + 1 : 0;
        if (in_vain == LOOKS_IN_VAIN_MAX)
            watch.running = false; /* with the lock held: whoever comes now starts another */
        pthread_mutex_unlock(&watch.lock);
    }
    return NULL;
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

void watch_begin(struct watched *watched, jq_state *jq, uint64_t limit_ns)
{
    *watched = (struct watched){.jq = jq, .deadline_ns = now_ns() + limit_ns};
    pthread_mutex_lock(&watch.lock);
    watched->next = watch.first;
    if (watch.first != NULL)
        watch.first->previous = watched;
    watch.first = watched;
    if (!watch.running || watch.process != getpid())
        start_thread();
    pthread_mutex_unlock(&watch.lock);
}

void watch_end(struct watched *watched)
{
    pthread_mutex_lock(&watch.lock);
    *(watched->previous != NULL ? &watched->previous->next : &watch.first) = watched->next;
    if (watched->next != NULL)
        watched->next->previous = watched->previous;
    pthread_mutex_unlock(&watch.lock);
}
