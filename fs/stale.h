/* What is mounted at a path already. */
#ifndef FS_STALE_H
#define FS_STALE_H

#include "pool/error.h"

/*
 * Looks at what is at the mount point.  *ret_path is its absolute path, to be freed; *ret_ours: a mount of ours is there,
 * whose daemon is dead, or which is to be replaced.  NotFound, AlreadyExists, Io.
 */
int stale_find(const char *point, bool replace, char **ret_path, bool *ret_ours, struct error *err);

/*
 * Lets go of such a mount (whoever has files open there keeps them) and checks that the place is a directory.
 * NotFound, Usage, Io.
 */
int stale_clear(const char *path, bool ours, struct error *err);

#endif
