/*
 * How long a call may look through messages, and what became of it.
 *
 * The loop is quick: it gives up with VIEW_LATER when something would hold it up, and leaves the same call to a worker, who
 * is thorough.  A worker meets VIEW_LATER only when the mount ends.
 */
#ifndef FS_PATIENCE_H
#define FS_PATIENCE_H

enum view_patience { VIEW_QUICK, VIEW_THOROUGH };
enum view_result { VIEW_OK, VIEW_LATER, VIEW_FAILED };

#define VIEW_QUICK_MESSAGES 4096 /* what the loop looks at in one go: well under a millisecond */

#endif
