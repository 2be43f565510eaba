#include "later.h"

void later_init(struct later *later, fuse_req_t req, struct mount *m, struct node *node)
{
    *later = (struct later){.m = m, .req = req, .node = node_ref(m->nodes, node)};
    if (node->pool != NULL)
        (void)mpool_use(node->pool);
}

void later_done(struct later *later)
{
    if (later->node->pool != NULL)
        mpool_unuse(later->node->pool);
    node_unref(later->m->nodes, later->node);
}

void later_submit(struct later *later, void (*run)(struct work *work))
{
    later->work.run = run;
    workers_submit(later->m->workers, &later->work);
}
