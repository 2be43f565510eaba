/*
 * How long a call may look through messages, and what became of it.
 *
 * The loop is quick: it gives up with VIEW_LATER when something would hold it up, and leaves the same call to a worker, who
 * is thorough.  A worker meets VIEW_LATER only when nobody waits for the answer any more: the mount ends, or whoever asked is killed.
 */
#ifndef FS_PATIENCE_H
#define FS_PATIENCE_H

#include "mount.h"

enum view_patience { VIEW_QUICK, VIEW_THOROUGH };
enum view_result { VIEW_OK, VIEW_LATER, VIEW_FAILED };

#define VIEW_QUICK_MESSAGES 4096 /* what the loop looks at in one go: well under a millisecond */

/* The request that this thread, a worker, is at; NULL: none. */
void patience_for(fuse_req_t req);

/*
 * Does nobody wait for the answer any more?  To be asked every few milliseconds.  A process that is killed cannot end before it has one.
 * One that has another signal waits on: nothing but a stream may say EINTR.
 */
bool patience_lost(const struct mount *m);

#endif
