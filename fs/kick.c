#include "kick.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "waitset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE_NS (10 * NS_PER_MS) /* between two kicks of one pool */
#define MAX_LEAST 64              /* pools, when nobody says how many files may be open */
#define ROUND_NS NS_PER_S         /* between looks for what the kernel has forgotten */

/* A pool whose `log` is known. */
struct known {
    struct known *next;
    struct node *node; /* with a reference */
    uint64_t seen;     /* what the last kick told of */
    uint64_t next_ns;  /* not before */
};

struct kick {
    struct mount *mount;
    pthread_t thread;
    bool started;
    atomic_int tid;
    uint32_t control;     /* changed to make the thread look at the list again */
    pthread_mutex_t lock; /* for the list; only the thread takes something off it */
    struct known *first;
    /* Of the thread alone: */
    size_t max;         /* pools: each is kept open */
    struct waitset set; /* of struct known */
};

struct kick *kick_new(struct mount *m)
{
    struct kick *kick = calloc(1, sizeof *kick);
    struct rlimit limit;

    if (kick == NULL)
        return NULL;
    kick->mount = m;
    kick->max = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? MAX_LEAST : limit.rlim_cur / 8;
    pthread_mutex_init(&kick->lock, NULL);
    return kick;
}

static uint64_t head_of(struct mpool *pool)
{
    struct pool_bounds bounds;

    return pool_bounds(pool->pool, &bounds, NULL) < 0 ? 0 : bounds.head;
}

static struct known *known_new(struct kick *kick, struct node *node)
{
    struct known *known = malloc(sizeof *known);

    if (known == NULL)
        return NULL;             /* then there are no events: a watcher falls back to looking */
    (void)mpool_use(node->pool); /* the loop has just looked at it */
    *known = (struct known){.next = kick->first,
                            .node = node_ref(kick->mount->nodes, node),
                            .seen = head_of(node->pool)};
    return known;
}

void kick_watch(struct kick *kick, struct node *node)
{
    struct known *known;
    struct node *replaced = NULL;
    bool added = false;

    pthread_mutex_lock(&kick->lock);
    known = kick->first;
    while (known != NULL && known->node->pool != node->pool)
        known = known->next;
    if (known == NULL) {
        known = known_new(kick, node);
        added = known != NULL;
        if (added)
            kick->first = known;
    } else if (known->node != node) { /* of another epoch */
        replaced = known->node;
        known->node = node_ref(kick->mount->nodes, node);
    }
    pthread_mutex_unlock(&kick->lock);
    if (replaced != NULL)
        node_unref(kick->mount->nodes, replaced);
    if (added)
        pool_wake_control(&kick->control);
}

bool kick_asks(struct kick *kick, fuse_req_t req)
{
    return fuse_req_ctx(req)->pid == atomic_load(&kick->tid);
}

/* Through the mount point, but only while the mount is what is there: another file must never be truncated. */
static void kick_one(const struct kick *kick, const struct mpool *pool)
{
    auto_fd int root = open(kick->mount->point, O_PATH | O_DIRECTORY | O_CLOEXEC), log = -1;
    auto_free char *name = NULL;
    struct stat st;

    if (root < 0 || fstat(root, &st) < 0 || st.st_dev != kick->mount->device ||
        asprintf(&name, "%s/log", pool->name) < 0)
        return;
    log = openat(root, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (log < 0 || fstat(log, &st) < 0 || st.st_dev != kick->mount->device)
        return;
    (void)ftruncate(log, st.st_size); /* nothing depends on it */
}

static bool is_over(const struct kick *kick, const struct known *known)
{
    return atomic_load(&known->node->pool->gone) || !node_is_known(kick->mount->nodes, known->node);
}

/* Fills the set with those that may be kicked now; what the kernel has forgotten goes to *ret_done.  When to look again. */
static uint64_t gather(struct kick *kick, struct known **ret_done)
{
    uint64_t now = clock_mono_ns(), deadline = UINT64_MAX;
    struct known **at = &kick->first, *known;
    size_t n = 0;

    waitset_clear(&kick->set);
    while ((known = *at) != NULL) {
        if (is_over(kick, known) || ++n > kick->max) { /* the latest are in front */
            *at = known->next;
            known->next = *ret_done;
            *ret_done = known;
            continue;
        }
        at = &known->next;
        if (deadline > now + ROUND_NS)
            deadline = now + ROUND_NS;
        if (known->next_ns <= now)
            (void)waitset_add(&kick->set, known->node->pool->pool, known->seen, known);
        else if (known->next_ns < deadline)
            deadline = known->next_ns;
    }
    return deadline;
}

static void drop_all(struct kick *kick, struct known *done)
{
    for (struct known *next; done != NULL; done = next) {
        next = done->next;
        mpool_unuse(done->node->pool);
        node_unref(kick->mount->nodes, done->node);
        free(done);
    }
}

static void kick_ready(struct kick *kick)
{
    for (size_t i = 0; i < kick->set.n && !atomic_load(&kick->mount->stopping); i++) {
        struct known *known = kick->set.owners[i];

        if (!waitset_ready(&kick->set, i))
            continue;
        known->seen = head_of(known->node->pool);
        known->next_ns = clock_mono_ns() + PAUSE_NS;
        kick_one(kick, known->node->pool);
    }
}

static void *run(void *arg)
{
    struct kick *kick = arg;

    atomic_store(&kick->tid, gettid());
    while (!atomic_load(&kick->mount->stopping)) {
        struct known *done = NULL;
        uint32_t control = __atomic_load_n(&kick->control, __ATOMIC_ACQUIRE);
        uint64_t deadline;

        pthread_mutex_lock(&kick->lock);
        deadline = gather(kick, &done);
        pthread_mutex_unlock(&kick->lock);
        drop_all(kick, done);
        (void)pool_wait(kick->set.pools, kick->set.seen, kick->set.n, deadline, &kick->control,
                        control);
        kick_ready(kick);
    }
    return NULL;
}

int kick_start(struct kick *kick)
{
    kick->started = pthread_create(&kick->thread, NULL, run, kick) == 0;
    return kick->started ? 0 : -1;
}

void kick_stop(struct kick *kick)
{
    pool_wake_control(&kick->control);
    if (kick->started)
        pthread_join(kick->thread, NULL);
    kick->started = false;
}

void kick_free(struct kick *kick)
{
    if (kick == NULL)
        return;
    drop_all(kick, kick->first);
    waitset_done(&kick->set);
    pthread_mutex_destroy(&kick->lock);
    free(kick);
}
