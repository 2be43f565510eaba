/*
 * The thread that tells the kernel to forget: pools that other programs deleted, attributes they changed, and names
 * below parameter directories that nobody uses any more.
 *
 * Such a notice may wait for a lock that a request of the mount holds, so no other thread may send one.  Nothing depends
 * on it: whoever meets a pool that is gone gets ESTALE, and the kernel walks the path again.
 */
#ifndef FS_WATCH_H
#define FS_WATCH_H

#include "mount.h"

struct watch *watch_new(struct mount *m); /* NULL when memory is gone */
int watch_start(struct watch *watch);
void watch_free(struct watch *watch); /* ends the thread */

#endif
