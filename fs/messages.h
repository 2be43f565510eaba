/*
 * Streams of messages: follow, next, live/...
 *
 * Where a stream begins is fixed when it is opened, and where it ends below replay/ but not live/.  Messages that were
 * overwritten before they could be read are passed over, or told of, below strict/.
 */
#ifndef FS_MESSAGES_H
#define FS_MESSAGES_H

#include "handle.h"

/* 0, or an errno. */
int messages_open(struct opening *o);

#endif
