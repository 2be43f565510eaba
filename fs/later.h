/* A request about a node that a worker is to answer; embedded, as the first field, in what else is to be known of it. */
#ifndef FS_LATER_H
#define FS_LATER_H

#include "node.h"
#include "work.h"

struct later {
    struct work work;
    struct mount *m;
    fuse_req_t req;
    struct node *node; /* with a reference, and its pool open */
};

/* The pool of the node, if any, is open; the caller has seen to that. */
void later_init(struct later *later, fuse_req_t req, struct mount *m, struct node *node);
void later_done(struct later *later);

/* `run` owns it from now on. */
void later_submit(struct later *later, void (*run)(struct work *work));

#endif
