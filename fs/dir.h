/* Directories: listing them, making pools. */
#ifndef FS_DIR_H
#define FS_DIR_H

#include "node.h"

void dir_open(fuse_req_t req, struct mount *m, struct node *node, struct fuse_file_info *fi);
void dir_read(fuse_req_t req, size_t size, off_t off, const struct fuse_file_info *fi);
void dir_release(fuse_req_t req, const struct fuse_file_info *fi);

/* mkdir in the root; anywhere else it is EPERM. */
void dir_make_pool(fuse_req_t req, struct mount *m, struct node *parent, const char *name,
                   mode_t mode);

void dir_statfs(fuse_req_t req, struct mount *m);

#endif
