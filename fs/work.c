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

static struct work *take(struct workers *workers)
{
    struct work *work;

    while (workers->first == NULL && !workers->ending) {
        workers->idle++;
        pthread_cond_wait(&workers->more, &workers->lock);
        workers->idle--;
    }
    work = workers->first;
    if (work == NULL)
        return NULL;
    workers->first = work->next;
    workers->queued--;
    if (workers->first == NULL)
        workers->last = &workers->first;
    return work;
}

static void *worker(void *arg)
{
    struct workers *workers = arg;
    struct work *work;

    pthread_mutex_lock(&workers->lock);
    while ((work = take(workers)) != NULL) {
        pthread_mutex_unlock(&workers->lock);
        work->run(work);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

void workers_submit(struct workers *workers, struct work *work)
{
    work->next = NULL;
    pthread_mutex_lock(&workers->lock);
    if (workers->queued >= workers->idle && workers->n < WORKERS_MAX &&
        pthread_create(&workers->threads[workers->n], NULL, worker, workers) == 0)
        workers->n++;
    if (workers->n == 0) {
        pthread_mutex_unlock(&workers->lock);
        work->run(work);
        return;
    }
    *workers->last = work;
    workers->last = &work->next;
    workers->queued++;
    pthread_cond_signal(&workers->more);
    pthread_mutex_unlock(&workers->lock);
}

bool workers_stop(struct workers *workers, uint64_t limit_ns)
{
    uint64_t end = clock_mono_ns() + limit_ns;
    struct timespec until = {(time_t)(end / NS_PER_S), (long)(end % NS_PER_S)};

    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->more);
    pthread_mutex_unlock(&workers->lock);
    while (workers->n > 0 && pthread_clockjoin_np(workers->threads[workers->n - 1], NULL,
                                                  CLOCK_MONOTONIC, &until) == 0)
        workers->n--;
    return workers->n == 0;
}

void workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    pthread_cond_destroy(&workers->more);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
