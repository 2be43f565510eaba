/* Directories: listing them, making and deleting pools. */
#ifndef FS_DIR_H
#define FS_DIR_H

#include "node.h"

void dir_open(fuse_req_t req, struct mount *m, struct node *node, struct fuse_file_info *fi);
void dir_read(fuse_req_t req, size_t size, off_t off, const struct fuse_file_info *fi);
void dir_release(fuse_req_t req, const struct fuse_file_info *fi);

/* mkdir and rmdir in the root; anywhere else they are EPERM. */
void dir_make_pool(fuse_req_t req, struct mount *m, struct node *parent, const char *name,
                   mode_t mode);
void dir_delete_pool(fuse_req_t req, struct mount *m, struct node *parent, const char *name);

/*
 * Deletes the pool and its messages, whoever has it open; its name is free when this returns.  Waits for a writer, and for the
 * kernel, a second at most: not from the loop.
 */
int dir_delete_now(struct mount *m, struct mpool *pool, struct error *err);

void dir_statfs(fuse_req_t req, struct mount *m);

#endif
