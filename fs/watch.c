#include "watch.h"

#include "attr.h"
#include "base/units.h"
#include "events.h"
#include "matches.h"
#include "node.h"
#include "pool/store.h"

#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUND_MS 1000   /* between looks for idle names */
#define BATCH 1024      /* names told of at once */
#define LOST_ROUNDS 2   /* after a pool has gone; somebody may be just about to let go of it */
#define TRIM_NODES 256 /* so many fewer nodes are worth giving memory back: each can hold a page */

struct watch {
    struct mount *mount;
    pthread_t thread;
    bool started;
    int inotify, stop;
    int dir;       /* what inotify knows the pool directory by; -1: it is not watched */
    dev_t dir_dev; /* the directory that is watched */
    ino_t dir_ino;
    unsigned lost;     /* rounds in which what is left of pools that are gone is looked for */
    size_t most_nodes; /* that there were since memory was given back */
    size_t last_nodes; /* in the round before */
};

/* False when it is watched already. */
static bool watch_dir(struct watch *watch)
{
    const char *path = watch->mount->dir;
    struct stat st;

    if (watch->inotify < 0 || stat(path, &st) < 0 ||
        (watch->dir >= 0 && st.st_dev == watch->dir_dev && st.st_ino == watch->dir_ino))
        return false;
    if (watch->dir >= 0)
        (void)inotify_rm_watch(watch->inotify, watch->dir); /* it may be gone already */
    watch->dir = inotify_add_watch(watch->inotify, path,
                                   IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_ATTRIB |
                                       IN_ONLYDIR);
    watch->dir_dev = st.st_dev;
    watch->dir_ino = st.st_ino;
    return watch->dir >= 0;
}

struct watch *watch_new(struct mount *m)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        return NULL;
    watch->mount = m;
    watch->stop = eventfd(0, EFD_CLOEXEC);
    watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch->dir = -1;
    (void)watch_dir(watch);
    return watch;
}

static void forget_name(struct mount *m, uint64_t parent, const char *name)
{
    atomic_fetch_add(&m->notifications, 1);
    (void)fuse_lowlevel_notify_inval_entry(m->session, parent, name, strlen(name));
}

static void tell(struct mount *m, const char *name, uint32_t mask)
{
    if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0)
        events_add(m->events, "create", name);
    if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0)
        events_add(m->events, "delete", name);
}

/* Tells the kernel about a pool that is gone, or another one; drops the reference. */
static void check_pool(struct mount *m, struct node *dir, uint32_t mask)
{
    if (!mpool_in_place(dir->pool)) {
        forget_name(m, FUSE_ROOT_ID, dir->name);
        node_announce(m->nodes, dir);
    } else if ((mask & IN_ATTRIB) != 0) {
        attr_forget(m, dir->pool);
    }
    node_unref(m->nodes, dir);
}

/* Something happened to the file of a pool. */
static void look_at(struct watch *watch, const char *name, uint32_t mask)
{
    struct mount *m = watch->mount;
    struct node *dirs[8];
    size_t n = nodes_of_pool(m->nodes, name, dirs, 8);

    for (size_t i = 0; i < n; i++)
        check_pool(m, dirs[i], mask);
    if ((mask & (IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) != 0)
        watch->lost = LOST_ROUNDS;
    tell(m, name, mask); /* whoever looks after an event finds things as it says */
}

/* Something happened to some pools: more than the kernel had room to tell, or to another directory. */
static void look_at_all(struct watch *watch)
{
    struct mount *m = watch->mount;
    size_t n;
    struct node **dirs = nodes_pools(m->nodes, &n);

    for (size_t i = 0; i < n; i++)
        check_pool(m, dirs[i], IN_ATTRIB);
    free(dirs);
    watch->lost = LOST_ROUNDS;
    events_add(m->events, "lost", NULL);
}

static void take_events(struct watch *watch)
{
    char buffer[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n;

    while ((n = read(watch->inotify, buffer, sizeof buffer)) > 0) {
        const struct inotify_event *event;

        for (char *p = buffer; p < buffer + n; p += sizeof *event + event->len) {
            size_t length;

            event = (const struct inotify_event *)p;
            if ((event->mask & IN_Q_OVERFLOW) != 0)
                look_at_all(watch);
            if ((event->mask & IN_IGNORED) != 0 && event->wd == watch->dir)
                watch->dir = -1; /* the directory was deleted */
            length = event->len == 0 ? 0 : strlen(event->name);
            if (length <= sizeof POOL_SUFFIX - 1 ||
                length > POOL_NAME_MAX + sizeof POOL_SUFFIX - 1 ||
                strcmp(event->name + length - (sizeof POOL_SUFFIX - 1), POOL_SUFFIX) != 0)
                continue;
            char name[POOL_NAME_MAX + 1];
            memcpy(name, event->name, length - (sizeof POOL_SUFFIX - 1));
            name[length - (sizeof POOL_SUFFIX - 1)] = '\0';
            look_at(watch, name, event->mask);
        }
    }
}

static void forget_idle_names(struct watch *watch)
{
    struct mount *m = watch->mount;
    struct node *stale[BATCH];
    size_t at = 0, n = BATCH;
    bool lost = watch->lost > 0;

    if (lost) {
        watch->lost--;
        matches_forget_lost(m);
    }
    while (!atomic_load(&m->stopping) &&
           nodes_stale(m->nodes, clock_mono_ns(), lost, &at, stale, &n)) {
        for (size_t i = 0; i < n; i++) {
            /*
             * The kernel would let us wait for a look-up in the same directory; killed meanwhile, we could not end, nor
             * could whoever waits for the look-up.  The name has its turn later.
             */
            if (atomic_load(&stale[i]->parent->slow_lookups) == 0)
                forget_name(m, stale[i]->parent->id, stale[i]->name);
            else if (lost)
                watch->lost = LOST_ROUNDS;
            node_unref(m->nodes, stale[i]);
        }
        n = BATCH;
    }
}

/*
 * The allocator keeps what the nodes of forgotten names took, and they may have been a million.  The
 * kernel lets go of them over several rounds; what goes after the last trim would stay.
 */
static void give_back_memory(struct watch *watch)
{
    size_t n = nodes_count(watch->mount->nodes);
    bool falling = n < watch->last_nodes;

    watch->last_nodes = n;
    if (n > watch->most_nodes)
        watch->most_nodes = n;
    if (falling || watch->most_nodes - n < TRIM_NODES)
        return;
    watch->most_nodes = n;
    (void)malloc_trim(0);
}

static void tidy(struct watch *watch)
{
    if (watch_dir(watch)) /* another one has taken its place */
        look_at_all(watch);
    forget_idle_names(watch);
    give_back_memory(watch);
}

static void *run(void *arg)
{
    struct watch *watch = arg;
    struct pollfd fds[2] = {
        {.fd = watch->stop,    .events = POLLIN},
        {.fd = watch->inotify, .events = POLLIN}
    };
    uint64_t tidied_ns = clock_mono_ns();

    for (;;) {
        int n = poll(fds, 2, ROUND_MS);

        if (n > 0 && fds[0].revents != 0)
            return NULL;
        if (n > 0 && fds[1].revents != 0)
            take_events(watch);
        if (clock_mono_ns() - tidied_ns < ROUND_MS * NS_PER_MS)
            continue; /* events that never end must not keep it from its other work */
        tidy(watch);
        tidied_ns = clock_mono_ns();
    }
}

int watch_start(struct watch *watch)
{
    watch->started = pthread_create(&watch->thread, NULL, run, watch) == 0;
    return watch->started ? 0 : -1;
}

void watch_free(struct watch *watch)
{
    uint64_t one = 1;

    if (watch == NULL)
        return;
    if (watch->started && write(watch->stop, &one, sizeof one) == sizeof one)
        pthread_join(watch->thread, NULL);
    if (watch->inotify >= 0)
        close(watch->inotify);
    if (watch->stop >= 0)
        close(watch->stop);
    free(watch);
}
