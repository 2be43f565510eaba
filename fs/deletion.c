#include "deletion.h"

#include "base/units.h"
#include "pool/store.h"
#include "status.h"
#include "work.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define DELETE_LIMIT_NS NS_PER_S /* of waiting for a writer, while nobody else gets into the root */
#define FORGET_LIMIT_NS NS_PER_S /* of waiting until the kernel has forgotten a pool that is gone */

/* An errno when the pool may not be deleted now. */
static int check_deletable(struct mpool *pool)
{
    struct pool_bounds bounds;
    struct error err = ERROR_INIT;

    if (atomic_load(&pool->handles) > 0)
        return EBUSY;
    if (pool_bounds(pool->pool, &bounds, &err) < 0)
        return status_errno(&err, DOOR_PATH);
    return pool_bounds_count(&bounds) > 0 ? ENOTEMPTY : 0;
}

/* The kernel drops the name itself; the watcher need not tell it. */
static void mark_announced(struct mount *m, const char *name)
{
    struct node *dirs[8];
    size_t n = nodes_of_pool(m->nodes, name, dirs, 8);

    for (size_t i = 0; i < n; i++) {
        node_announce(m->nodes, dirs[i]);
        node_unref(m->nodes, dirs[i]);
    }
}

/* A pool to be deleted by a worker: its lock may be held by somebody who sleeps. */
struct deletion {
    struct work work;
    struct mount *m;
    fuse_req_t req;
    struct mpool *pool; /* with a reference */
};

static void delete_pool(struct work *work)
{
    struct deletion *job = (struct deletion *)work;
    struct error err = ERROR_INIT;
    int status = check_deletable(job->pool);

    if (status == 0 && pool_delete_within(job->pool->path, DELETE_LIMIT_NS, &err) < 0)
        status = status_errno(&err, DOOR_PATH);
    if (status == 0) {
        (void)mpool_alive(job->pool); /* marks it */
        mark_announced(job->m, job->pool->name);
    }
    fuse_reply_err(job->req, status);
    mpool_unuse(job->pool);
    mpool_unref(job->pool);
    free(job);
}

/* Is the directory known to the kernel, which was not yet told that it is gone? */
static bool is_remembered(struct mount *m, const struct mpool *pool)
{
    struct node *dirs[8];
    size_t n = nodes_of_pool(m->nodes, pool->name, dirs, 8);
    bool found = false;

    for (size_t i = 0; i < n; i++) {
        found |= dirs[i]->pool == pool;
        node_unref(m->nodes, dirs[i]);
    }
    return found;
}

void deletion_await(struct mount *m, struct mpool *pool)
{
    uint64_t limit = clock_mono_ns() + FORGET_LIMIT_NS;

    while (is_remembered(m, pool) && clock_mono_ns() < limit)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
}

int deletion_run(struct mount *m, struct mpool *pool, struct error *err)
{
    if (pool_delete_within(pool->path, DELETE_LIMIT_NS, err) < 0)
        return -1;
    (void)mpool_alive(pool); /* marks it */
    deletion_await(m, pool); /* else a mkdir of the same name would be EEXIST */
    return 0;
}

void deletion_begin(fuse_req_t req, struct mount *m, struct node *parent, const char *name)
{
    struct mpool *pool;
    struct error err = ERROR_INIT;
    struct deletion *job;

    if (parent->place.kind != PLACE_ROOT || store_check_name(bytes_of(name), NULL) < 0) {
        fuse_reply_err(req, EPERM);
        return;
    }
    if (pools_get(m->pools, name, &pool, &err) < 0) {
        fuse_reply_err(req, status_errno(&err, DOOR_PATH));
        return;
    }
    job = malloc(sizeof *job);
    if (job == NULL) {
        mpool_unref(pool);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    *job = (struct deletion){{.run = delete_pool}, m, req, pool};
    (void)mpool_use(pool); /* it was just opened */
    workers_submit(m->workers, &job->work);
}
