#include "work.h"

#include "base/units.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct work *first, **last;
    unsigned queued, idle, n;
    bool ending;
    bool caller_runs; /* there is no thread, and whoever handed something over is at it */
    uid_t slow[SLOW_MAX]; /* the users whose slow work is under way, as often as they have some */
    unsigned n_slow;
    pthread_t threads[WORKERS_MAX];
};

struct workers *workers_new(void)
{
    struct workers *workers = calloc(1, sizeof *workers);

    if (workers == NULL)
        return NULL;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->more, NULL);
    workers->last = &workers->first;
    return workers;
}

/* All of these under lock. */
static unsigned under_way(const struct workers *workers, uid_t user)
{
    unsigned n = 0;

    for (unsigned i = 0; i < workers->n_slow; i++)
        n += workers->slow[i] == user;
    return n;
}

/* How many others of its user would run beside it; SLOW_USER_MAX: it has to wait. */
static unsigned rank(const struct workers *workers, const struct work *work)
{
    if (!work->slow)
        return 0;
    return workers->n_slow == SLOW_MAX ? SLOW_USER_MAX : under_way(workers, work->user);
}

/* The next that may be begun is taken out of the queue; NULL when there is none. */
static struct work *take_next(struct workers *workers)
{
    struct work **best = NULL, *work;
    unsigned least = SLOW_USER_MAX, n;

    for (struct work **at = &workers->first; *at != NULL && least > 0; at = &(*at)->next)
        if ((n = rank(workers, *at)) < least) {
            least = n;
            best = at;
        }
    if (best == NULL)
        return NULL;
    work = *best;
    *best = work->next;
    if (*best == NULL)
        workers->last = best;
    workers->queued--;
    if (work->slow)
        workers->slow[workers->n_slow++] = work->user;
    return work;
}

static void end_slow(struct workers *workers, uid_t user)
{
    unsigned i = 0;

    while (workers->slow[i] != user)
        i++;
    workers->slow[i] = workers->slow[--workers->n_slow];
}

static struct work *take(struct workers *workers)
{
    struct work *work;

    while ((work = take_next(workers)) == NULL && !(workers->ending && workers->first == NULL)) {
        workers->idle++;
        pthread_cond_wait(&workers->more, &workers->lock);
        workers->idle--;
    }
    return work;
}

/* The lock is let go of meanwhile. */
static void run(struct workers *workers, struct work *work)
{
    bool slow = work->slow;
    uid_t user = work->user;

    pthread_mutex_unlock(&workers->lock);
    work->run(work);
    pthread_mutex_lock(&workers->lock);
    if (slow)
        end_slow(workers, user);
    if (slow && workers->first != NULL)
        pthread_cond_signal(&workers->more); /* this one may take something else */
}

/* What is handed over meanwhile, perhaps by the work itself, is done by the same caller: nothing nests. */
static void run_all(struct workers *workers)
{
    struct work *work;

    if (workers->caller_runs)
        return;
    workers->caller_runs = true;
    while ((work = take_next(workers)) != NULL)
        run(workers, work);
    workers->caller_runs = false;
}

static void *worker(void *arg)
{
    struct workers *workers = arg;
    struct work *work;

    pthread_mutex_lock(&workers->lock);
    while ((work = take(workers)) != NULL)
        run(workers, work);
    pthread_cond_broadcast(&workers->more); /* the end: whoever waited for its turn ends, too */
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static void submit(struct workers *workers, struct work *work)
{
    work->next = NULL;
    pthread_mutex_lock(&workers->lock);
    if (!workers->ending && workers->queued >= workers->idle && workers->n < WORKERS_MAX &&
        pthread_create(&workers->threads[workers->n], NULL, worker, workers) == 0)
        workers->n++;
    *workers->last = work;
    workers->last = &work->next;
    workers->queued++;
    pthread_cond_signal(&workers->more);
    if (workers->n == 0)
        run_all(workers);
    pthread_mutex_unlock(&workers->lock);
}

void workers_submit(struct workers *workers, struct work *work)
{
    work->slow = false;
    submit(workers, work);
}

void workers_submit_slow(struct workers *workers, struct work *work, uid_t user)
{
    work->slow = true;
    work->user = user;
    submit(workers, work);
}

/* The thread sanitizer of gcc 12 does not know the call that goes by the clock nobody sets. */
static bool join_until(pthread_t thread, uint64_t left_ns)
{
#ifdef __SANITIZE_THREAD__
    uint64_t end = clock_real_ns() + left_ns;
    struct timespec until = {(time_t)(end / NS_PER_S), (long)(end % NS_PER_S)};

    return pthread_timedjoin_np(thread, NULL, &until) == 0;
#else
    uint64_t end = clock_mono_ns() + left_ns;
    struct timespec until = {(time_t)(end / NS_PER_S), (long)(end % NS_PER_S)};

    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
#endif
}

bool workers_stop(struct workers *workers, uint64_t limit_ns)
{
    uint64_t end = clock_mono_ns() + limit_ns, now;
    unsigned n;

    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->more);
    n = workers->n; /* from here on no thread is started */
    pthread_mutex_unlock(&workers->lock);
    while (n > 0 && join_until(workers->threads[n - 1],
                               (now = clock_mono_ns()) < end ? end - now : 0))
        n--;
    pthread_mutex_lock(&workers->lock);
    workers->n = n;
    pthread_mutex_unlock(&workers->lock);
    return n == 0;
}

void workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    pthread_cond_destroy(&workers->more);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
