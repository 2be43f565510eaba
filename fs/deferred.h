/* A request about a node that a worker is to answer; embedded, as the first field, in what else is to be known of it. */
#ifndef FS_DEFERRED_H
#define FS_DEFERRED_H

#include "node.h"
#include "work.h"

struct deferred {
    struct work work;
    struct mount *m;
    fuse_req_t req;
    struct node *node; /* with a reference, and its pool open */
    uint64_t end_ns;   /* see patience_end() */
    void (*run)(struct work *work);
};

/* The pool of the node, if any, is open; the caller has seen to that. */
void deferred_init(struct deferred *deferred, fuse_req_t req, struct mount *m, struct node *node);
void deferred_done(struct deferred *deferred);

/* `run` owns it from now on. */
void deferred_submit(struct deferred *deferred, void (*run)(struct work *work));

#endif
