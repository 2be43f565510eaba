/*
 * Files that are told what to do: `size`, where a number gives an empty pool another size, and `ctl`, which takes commands.
 *
 * Each write() is looked at as a whole before anything happens; every line of it is a command, and the newline of the last
 * may be missing.  It is carried out by a worker, since a large file takes its time.  A pool of another size is another
 * pool, so whoever has a file of the old one open finds it gone.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include "handle.h"

/* 0, or an errno. */
int control_open(struct opening *o);

#endif
