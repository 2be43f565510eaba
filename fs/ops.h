/* The table of FUSE operations.  Each is a few lines: find the node or the handle, hand over. */
#ifndef FS_OPS_H
#define FS_OPS_H

#include "mount.h"

extern const struct fuse_lowlevel_ops ops_table;

#endif
