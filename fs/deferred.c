#include "deferred.h"

void deferred_init(struct deferred *deferred, fuse_req_t req, struct mount *m, struct node *node)
{
    *deferred = (struct deferred){.m = m, .req = req, .node = node_ref(m->nodes, node)};
    if (node->pool != NULL)
        (void)mpool_use(node->pool);
}

void deferred_done(struct deferred *deferred)
{
    if (deferred->node->pool != NULL)
        mpool_unuse(deferred->node->pool);
    node_unref(deferred->m->nodes, deferred->node);
}

void deferred_submit(struct deferred *deferred, void (*run)(struct work *work))
{
    deferred->work.run = run;
    workers_submit_slow(deferred->m->workers, &deferred->work, fuse_req_ctx(deferred->req)->uid);
}
