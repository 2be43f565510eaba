#include "waiters.h"

#include "base/units.h"
#include "waitset.h"

#include <stdlib.h>

#define TICK_NS (250 * NS_PER_MS)   /* look again at least this often while anybody is parked */
#define LINGER_NS (250 * NS_PER_MS) /* keep watching: whoever was served will soon be back */

struct waiters {
    struct mount *mount;
    pthread_mutex_t lock;
    pthread_t thread;
    bool started;
    uint32_t control; /* changed to make the thread look at the lists again */
    atomic_uint_fast64_t last_id;
    size_t n_parked;
    uint64_t due_ns;     /* the earliest time that the thread knows somebody wants to be woken at */
    struct mpool *pools; /* those with waiters, or lingering; the list holds a reference to each */
    /* Of the thread alone: what it waits for. */
    struct waitset set; /* of struct mpool */
};

struct waiters *waiters_new(struct mount *m)
{
    struct waiters *waiters = calloc(1, sizeof *waiters);

    if (waiters == NULL)
        return NULL;
    waiters->mount = m;
    pthread_mutex_init(&waiters->lock, NULL);
    return waiters;
}

/* Under lock, as the next two. */
static bool is_ready(const struct waiter *waiter)
{
    return waiter->due_ns != 0 ? clock_mono_ns() >= waiter->due_ns
                               : mpool_ready(waiter->pool, waiter->pos);
}

/* The lock keeps others from counting at once; the fences are in waiters_park() and waiters_kick(). */
static void count_waiting(struct mpool *pool, int change)
{
    unsigned n = atomic_load_explicit(&pool->wait.n, memory_order_relaxed);

    atomic_store_explicit(&pool->wait.n, n + (unsigned)change, memory_order_relaxed);
}

static void insert(struct waiters *waiters, struct waiter *waiter)
{
    struct waiter **first = &waiter->pool->wait.first;

    waiter->next = *first;
    waiter->prev = first;
    waiter->interrupted = false;
    if (*first != NULL)
        (*first)->prev = &waiter->next;
    *first = waiter;
    waiter->parked = true;
    waiters->n_parked++;
    count_waiting(waiter->pool, 1);
}

static void take_out(struct waiters *waiters, struct waiter *waiter)
{
    waiters->n_parked--;
    count_waiting(waiter->pool, -1);
    *waiter->prev = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    waiter->parked = waiter->armed = false;
}

static struct waiter *find_id(const struct mpool *pool, uint64_t id)
{
    struct waiter *waiter = pool->wait.first;

    while (waiter != NULL && waiter->id != id)
        waiter = waiter->next;
    return waiter;
}

bool waiters_cancel(struct mount *m, struct waiter *waiter)
{
    struct waiters *waiters = m->waiters;
    bool parked;

    pthread_mutex_lock(&waiters->lock);
    parked = waiter->parked;
    if (parked)
        take_out(waiters, waiter);
    pthread_mutex_unlock(&waiters->lock);
    return parked;
}

/* Called by libfuse, see above: everything goes by the number. */
static void interrupted(fuse_req_t req, void *data)
{
    struct mount *m = fuse_req_userdata(req);
    struct waiters *waiters = m->waiters;
    struct waiter *waiter = NULL;

    pthread_mutex_lock(&waiters->lock);
    for (struct mpool *pool = waiters->pools; pool != NULL && waiter == NULL;
         pool = pool->wait.next)
        waiter = find_id(pool, (uint64_t)(uintptr_t)data);
    if (waiter != NULL && !waiter->armed) {
        waiter->interrupted = true; /* somebody is parking it and will see this */
        waiter = NULL;
    }
    if (waiter != NULL)
        take_out(waiters, waiter);
    pthread_mutex_unlock(&waiters->lock);
    if (waiter != NULL)
        waiter->wake(waiter, WAKE_INTERRUPT);
}

void waiters_interruptible(struct mount *m, struct waiter *waiter)
{
    waiter->id = atomic_fetch_add(&m->waiters->last_id, 1) + 1;
    /* When it is interrupted already, parking will notice; registering would answer it in here, under its own lock. */
    if (!fuse_req_interrupted(waiter->req))
        fuse_req_interrupt_func(waiter->req, interrupted, (void *)(uintptr_t)waiter->id);
}

/* Puts the pool on the list of those watched, which then holds a reference.  Under lock. */
static bool list_pool(struct waiters *waiters, struct mpool *pool)
{
    if (pool->wait.listed)
        return false;
    pool->wait.listed = true;
    (void)mpool_use(pool); /* a file of it is open */
    pool->wait.watched = false;
    pool->wait.next = waiters->pools;
    waiters->pools = pool;
    return true;
}

/*
 * Makes a parked waiter fair game.  Until then nobody takes it, so its request is still there to be asked; an
 * interrupt that came before the question shows in the answer, a later one finds the waiter and leaves a mark.
 */
static bool arm(struct waiters *waiters, struct waiter *waiter)
{
    bool interrupted_before = waiter->req != NULL && fuse_req_interrupted(waiter->req);
    enum wake_reason reason = WAKE_LOOK;

    pthread_mutex_lock(&waiters->lock);
    if (atomic_load(&waiters->mount->stopping))
        reason = WAKE_STOP;
    else if (interrupted_before || waiter->interrupted)
        reason = WAKE_INTERRUPT;
    if (reason == WAKE_LOOK)
        waiter->armed = true;
    else
        take_out(waiters, waiter);
    pthread_mutex_unlock(&waiters->lock);
    if (reason != WAKE_LOOK)
        waiter->wake(waiter, reason);
    return reason == WAKE_LOOK;
}

void waiters_park(struct mount *m, struct waiter *waiter)
{
    struct waiters *waiters = m->waiters;
    struct mpool *pool = mpool_ref(waiter->pool); /* for the list, or until we are done */
    uint64_t pos = waiter->pos, due_ns = waiter->due_ns;
    bool listed_now, unwatched;

    pthread_mutex_lock(&waiters->lock);
    if (waiter->id == 0)
        waiter->id = atomic_fetch_add(&waiters->last_id, 1) + 1;
    insert(waiters, waiter);
    listed_now = list_pool(waiters, pool);
    pool->wait.visited = true;
    unwatched =
        due_ns != 0 ? due_ns < waiters->due_ns : !pool->wait.watched || pool->wait.watch_pos > pos;
    pthread_mutex_unlock(&waiters->lock);

    if (arm(waiters, waiter)) {
        if (unwatched)
            pool_wake_control(&waiters->control);
        atomic_thread_fence(memory_order_seq_cst); /* see waiters_kick() */
        if (due_ns != 0 ? clock_mono_ns() >= due_ns : mpool_ready(pool, pos))
            waiters_kick(m, pool);
    }
    if (!listed_now)
        mpool_unref(pool);
}

size_t waiters_count(struct mount *m)
{
    size_t n;

    pthread_mutex_lock(&m->waiters->lock);
    n = m->waiters->n_parked;
    pthread_mutex_unlock(&m->waiters->lock);
    return n;
}

enum pick { PICK_READY, PICK_EXPIRED, PICK_ALL };

static bool picked(const struct waiter *waiter, enum pick pick)
{
    if (!waiter->armed)
        return false;
    switch (pick) {
    case PICK_READY:
        return is_ready(waiter);
    case PICK_EXPIRED:
        return waiter->expires_ns != 0 && clock_mono_ns() >= waiter->expires_ns;
    case PICK_ALL:
        break;
    }
    return true;
}

/* The list has the latest in front, and each one moved goes in front again: they are woken in the order they came. */
static void wake_some(struct waiters *waiters, struct mpool *pool, enum pick pick,
                      enum wake_reason reason)
{
    struct waiter *woken = NULL, *next;

    pthread_mutex_lock(&waiters->lock);
    for (struct waiter *waiter = pool->wait.first; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (!picked(waiter, pick))
            continue;
        take_out(waiters, waiter);
        waiter->next = woken;
        woken = waiter;
    }
    pthread_mutex_unlock(&waiters->lock);
    for (; woken != NULL; woken = next) {
        next = woken->next;
        woken->wake(woken, reason);
    }
}

/* An append comes before this look, and whoever parks counts itself before it looks for messages: one of the two sees the other. */
void waiters_kick(struct mount *m, struct mpool *pool)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&pool->wait.n) > 0)
        wake_some(m->waiters, pool, PICK_READY, WAKE_LOOK);
}

/* From where on news of this pool matter: the least of its waiters, or its end when it only lingers. */
static bool watch_from(const struct mpool *pool, uint64_t *ret)
{
    struct pool_bounds bounds;

    *ret = UINT64_MAX;
    for (const struct waiter *waiter = pool->wait.first; waiter != NULL; waiter = waiter->next)
        if (waiter->due_ns == 0 && waiter->pos < *ret)
            *ret = waiter->pos;
    if (pool->wait.first != NULL)
        return true;
    if (pool->pool == NULL || atomic_load(&pool->gone) ||
        pool_bounds(pool->pool, &bounds, NULL) < 0)
        return false;
    *ret = bounds.head;
    return true;
}

/* When the next of those who wait for a time is to be woken. */
static void note_due(struct waiters *waiters, const struct mpool *pool)
{
    for (const struct waiter *waiter = pool->wait.first; waiter != NULL; waiter = waiter->next)
        if (waiter->due_ns != 0 && waiter->due_ns < waiters->due_ns)
            waiters->due_ns = waiter->due_ns;
}

/* Fills the set; pools that nobody needs any more go to *ret_done.  Returns when to look again. */
static uint64_t gather(struct waiters *waiters, struct mpool **ret_done)
{
    struct mpool **at = &waiters->pools, *pool;
    uint64_t now = clock_mono_ns(), deadline = UINT64_MAX, from;

    waitset_clear(&waiters->set);
    waiters->due_ns = UINT64_MAX;
    while ((pool = *at) != NULL) {
        if (pool->wait.visited || pool->wait.first != NULL)
            pool->wait.linger_ns = now + LINGER_NS;
        pool->wait.visited = false;
        if ((pool->wait.first == NULL && now > pool->wait.linger_ns) || !watch_from(pool, &from)) {
            *at = pool->wait.next;
            pool->wait.listed = false;
            pool->wait.done_next =
                *ret_done; /* `next` may be used again as soon as the lock is free */
            *ret_done = pool;
            continue;
        }
        at = &pool->wait.next;
        deadline = now + TICK_NS;
        note_due(waiters, pool);
        if (pool->pool == NULL)
            continue; /* whoever has news kicks */
        if (!waitset_add(&waiters->set, pool->pool, from, pool))
            continue; /* looked at with every tick all the same */
        pool->wait.watched = true;
        pool->wait.watch_pos = from;
    }
    return deadline < waiters->due_ns ? deadline : waiters->due_ns;
}

static void unref_all(struct mpool *done)
{
    while (done != NULL) {
        struct mpool *next = done->wait.done_next;

        mpool_unuse(done);
        mpool_unref(done);
        done = next;
    }
}

/*
 * The slow round: everything that a wake-up alone would miss.  Only this thread takes pools off the list, and new ones
 * come in front, so the walk needs the lock only to begin.
 */
static void tick(struct waiters *waiters)
{
    struct mpool *pool;

    pthread_mutex_lock(&waiters->lock);
    pool = waiters->pools;
    pthread_mutex_unlock(&waiters->lock);
    for (; pool != NULL; pool = pool->wait.next) {
        (void)mpool_alive(pool); /* marks it when it is not; those who wait then find out */
        wake_some(waiters, pool, PICK_READY, WAKE_LOOK);
        wake_some(waiters, pool, PICK_EXPIRED, WAKE_EXPIRED);
    }
}

/* Those whose time has come.  The walk as in tick(). */
static void serve_due(struct waiters *waiters)
{
    struct mpool *pool;

    if (clock_mono_ns() < waiters->due_ns)
        return;
    pthread_mutex_lock(&waiters->lock);
    pool = waiters->pools;
    pthread_mutex_unlock(&waiters->lock);
    for (; pool != NULL; pool = pool->wait.next)
        wake_some(waiters, pool, PICK_READY, WAKE_LOOK);
}

static void serve_ready(struct waiters *waiters)
{
    for (size_t i = 0; i < waiters->set.n; i++)
        if (waitset_ready(&waiters->set, i))
            wake_some(waiters, waiters->set.owners[i], PICK_READY, WAKE_LOOK);
}

static void unwatch(struct waiters *waiters)
{
    pthread_mutex_lock(&waiters->lock);
    for (size_t i = 0; i < waiters->set.n; i++)
        ((struct mpool *)waiters->set.owners[i])->wait.watched = false;
    pthread_mutex_unlock(&waiters->lock);
}

static void *wait_for_all(void *arg)
{
    struct waiters *waiters = arg;
    uint64_t last_tick = clock_mono_ns();

    while (!atomic_load(&waiters->mount->stopping)) {
        struct mpool *done = NULL;
        uint32_t control = __atomic_load_n(&waiters->control, __ATOMIC_ACQUIRE);
        uint64_t deadline;

        pthread_mutex_lock(&waiters->lock);
        deadline = gather(waiters, &done);
        pthread_mutex_unlock(&waiters->lock);
        unref_all(done);
        (void)pool_wait_served(waiters->set.pools, waiters->set.seen, waiters->set.n, deadline,
                               &waiters->control, control);
        unwatch(waiters);
        serve_ready(waiters);
        serve_due(waiters);
        if (clock_mono_ns() - last_tick >= TICK_NS) {
            tick(waiters);
            last_tick = clock_mono_ns();
        }
    }
    return NULL;
}

int waiters_start(struct waiters *waiters)
{
    waiters->started = pthread_create(&waiters->thread, NULL, wait_for_all, waiters) == 0;
    return waiters->started ? 0 : -1;
}

void waiters_stop(struct waiters *waiters)
{
    struct mpool *pool;

    pool_wake_control(&waiters->control);
    if (waiters->started)
        pthread_join(waiters->thread, NULL);
    waiters->started = false;
    pthread_mutex_lock(&waiters->lock);
    pool = waiters->pools;
    pthread_mutex_unlock(&waiters->lock);
    for (; pool != NULL; pool = pool->wait.next)
        wake_some(waiters, pool, PICK_ALL, WAKE_STOP);
}

void waiters_free(struct waiters *waiters)
{
    if (waiters == NULL)
        return;
    for (struct mpool *pool = waiters->pools, *next; pool != NULL; pool = next) {
        next = pool->wait.next;
        pool->wait.listed = false;
        mpool_unref(pool);
    }
    waitset_done(&waiters->set);
    pthread_mutex_destroy(&waiters->lock);
    free(waiters);
}
