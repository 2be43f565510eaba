/*
 * The thread that makes inotify events for `log`.
 *
 * FUSE raises none for changes made elsewhere; but opening one's own file, truncating it to the size it has and closing it does:
 * IN_MODIFY and IN_CLOSE_WRITE.  That is done for each pool whose `log` the kernel knows, at once after a change and then at
 * most every 10 ms.  It is the only thread that ever touches the own mount.
 */
#ifndef FS_KICK_H
#define FS_KICK_H

#include "node.h"

struct kick;

struct kick *kick_new(struct mount *m); /* NULL when memory is gone */
int kick_start(struct kick *kick);
/* While the loop still answers, or the connection has ended. */
void kick_stop(struct kick *kick);
void kick_free(struct kick *kick);

/* The kernel knows this `log` now.  From the loop. */
void kick_watch(struct kick *kick, struct node *node);

/* Does this request come from the thread itself? */
bool kick_asks(struct kick *kick, fuse_req_t req);

#endif
