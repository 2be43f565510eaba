/* What is mounted where, as the kernel lists it. */
#ifndef BASE_MOUNTS_H
#define BASE_MOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * realpath(), also of a mount whose daemon is dead: then its parent's path and its own name.
 * To be freed; NULL with errno.
 */
char *mounts_path(const char *point);

/*
 * The type of what was mounted last at this absolute path, to be freed; NULL: nothing, or it cannot be seen.
 * *ret_dev, unless NULL, is its device, as stat() would say; but who calls stat() is in the way of unmounting.
 */
char *mounts_type(const char *path, dev_t *ret_dev);

/* Is a mount of pools what was mounted last there?  *ret_dev as above. */
bool mounts_shows_pools(const char *path, dev_t *ret_dev);

#endif
