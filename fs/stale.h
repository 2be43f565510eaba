/* What is mounted at a path already. */
#ifndef FS_STALE_H
#define FS_STALE_H

#include "pool/error.h"

/*
 * Makes the mount point ready: checks that it is a directory, lets go of a mount of ours whose daemon is dead,
 * refuses a live one.  *ret_point is its absolute path, to be freed.  NotFound, AlreadyExists, Usage, Io.
 */
int stale_prepare(const char *point, char **ret_point, struct error *err);

#endif
