/* OPEN: from a node to an open file. */
#ifndef FS_OPEN_H
#define FS_OPEN_H

#include "node.h"

void open_node(fuse_req_t req, struct mount *m, struct node *node, int flags);

#endif
