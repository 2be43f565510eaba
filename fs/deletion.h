/* Deleting pools: by rmdir, when they are empty and not in use, and by the command `delete`, whatever they are. */
#ifndef FS_DELETION_H
#define FS_DELETION_H

#include "node.h"

/* rmdir: in the root alone, elsewhere it is EPERM. */
void deletion_begin(fuse_req_t req, struct mount *m, struct node *parent, const char *name);

/*
 * Deletes the pool and its messages, whoever has it open; its name is free when this returns.  Waits for a writer, and for the
 * kernel, a second at most: not from the loop.
 */
int deletion_run(struct mount *m, struct mpool *pool, struct error *err);

/* Waits until the kernel was told by the watching thread that the pool is gone, a second at most: not from the loop. */
void deletion_await(struct mount *m, struct mpool *pool);

#endif
