/* Open files with a fixed content (snapshot.h). */
#ifndef FS_FILE_H
#define FS_FILE_H

#include "handle.h"

/* 0, or an errno. */
int file_open(struct opening *o);

/* What they do; also the reading side of those that take commands, and how ready `log` is. */
void file_read(fuse_req_t req, struct handle *h, size_t size, off_t off,
               const struct fuse_file_info *fi);
void file_poll(fuse_req_t req, struct handle *h, struct fuse_pollhandle *ph);

#endif
