/* What stat() says about a node, and for how long the kernel may believe it. */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include "node.h"

void attr_fill(struct mount *m, struct node *node, struct stat *st);
/* The kind and inode number alone, for readdir; `pool` NULL outside pools. */
void attr_fill_dirent(const struct place *place, const struct mpool *pool, struct stat *st);
/* The same for the directory of a pool that has this file. */
void attr_fill_pool_dirent(const struct place *place, ino_t file, struct stat *st);

/* Tells the kernel to ask again about all files of the pool.  Not from the loop. */
void attr_forget(struct mount *m, const struct mpool *pool);

double attr_timeout(const struct node *node);  /* seconds */
double entry_timeout(const struct node *node); /* seconds */

#endif
