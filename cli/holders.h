/* The programs that hold a mount: those with a file of it open, or whose directory it is. */
#ifndef CLI_HOLDERS_H
#define CLI_HOLDERS_H

#include "base/buf.h"

/*
 * Adds "head (pid 12), bash (pid 34) and 2 more" to `text`; nothing when none is seen, as those of other users are not.
 * `place` is an absolute path.  Only links in /proc are read: the mount itself is asked nothing.
 */
void holders_add(const char *place, struct buf *text);

#endif
