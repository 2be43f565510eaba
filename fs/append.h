/*
 * `append` and `lines`: text in, messages out; receipts back where `append` is open for both.
 *
 * Each open file has its own framing, so that values and lines may span writes and never mix with those of another
 * writer.  What one write() completes goes to the engine as a batch.  The loop only tries the pool's lock; when that
 * is busy the request goes to the pool's queue, and so does every later one until the queue is empty: order is kept, and
 * a framing is used by one thread at a time, the loop or the worker that drains the queue.
 */
#ifndef FS_APPEND_H
#define FS_APPEND_H

#include "handle.h"

/* 0, or an errno. */
int append_open(struct opening *o);

#endif
