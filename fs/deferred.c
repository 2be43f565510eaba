#include "deferred.h"

#include "patience.h"

void deferred_init(struct deferred *deferred, fuse_req_t req, struct mount *m, struct node *node)
{
    *deferred = (struct deferred){
        .m = m, .req = req, .node = node_ref(m->nodes, node), .end_ns = patience_end(m)};
    if (node->pool != NULL)
        (void)mpool_use(node->pool);
}

void deferred_done(struct deferred *deferred)
{
    if (deferred->node->pool != NULL)
        mpool_unuse(deferred->node->pool);
    node_unref(deferred->m->nodes, deferred->node);
}

/* `run` frees the item. */
static void run_for_somebody(struct work *work)
{
    struct deferred *deferred = (struct deferred *)work;

    patience_for(deferred->req, deferred->end_ns);
    deferred->run(work);
    patience_for(NULL, 0);
}

void deferred_submit(struct deferred *deferred, void (*run)(struct work *work))
{
    deferred->run = run;
    deferred->work.run = run_for_somebody;
    workers_submit_slow(deferred->m->workers, &deferred->work, fuse_req_ctx(deferred->req)->uid);
}
