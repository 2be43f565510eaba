/* LOOKUP: from a name to a node.  What takes long is done by a worker. */
#ifndef FS_LOOKUP_H
#define FS_LOOKUP_H

#include "node.h"

void lookup_name(fuse_req_t req, struct mount *m, struct node *dir, const char *name);

/* Answers with the entry, and takes the look-up back when the kernel does not want the answer any more. */
void lookup_reply(fuse_req_t req, struct mount *m, struct node *node);

#endif
