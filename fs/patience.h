/*
 * How long a call may look through messages, and what became of it.
 *
 * The loop is quick: it gives up with VIEW_LATER when something would hold it up, and leaves the same call to a worker, who
 * is thorough.  A worker meets VIEW_LATER only when nobody waits for the answer any more: the mount ends, whoever asked is killed, or
 * the kernel is about to end the mount because a request takes too long (m->park_limit_ns).
 */
#ifndef FS_PATIENCE_H
#define FS_PATIENCE_H

#include "mount.h"
#include "pool/error.h"

enum view_patience { VIEW_QUICK, VIEW_THOROUGH };
enum view_result { VIEW_OK, VIEW_LATER, VIEW_FAILED };

#define VIEW_QUICK_MESSAGES 4096 /* what the loop looks at in one go: well under a millisecond */

/* Until when a request that has just come is to be answered, by clock_mono_ns(); 0: whenever. */
uint64_t patience_end(const struct mount *m);

/* The request that this thread, a worker, is at, and its end; NULL: none. */
void patience_for(fuse_req_t req, uint64_t end_ns);

/*
 * Does nobody wait for the answer any more?  To be asked every few milliseconds.  A process that is killed cannot end before it has one.
 * One that has another signal waits on: nothing but a stream may say EINTR.
 */
bool patience_lost(const struct mount *m);

/* What to answer then: the errno, and why in *err. */
int patience_fail(struct error *err);

#endif
