/*
 * `log`: the pool as an ordinary growing file, for tail -f, less +F, log shippers and whatever else knows offsets.
 *
 * Offsets follow from the pool alone.  Every message knows how many bytes of envelopes came before it in the life of the pool
 * (P).  With E, the epoch's size, a message belongs to epoch P / E and stands at LOG_HEADER + P % E of that epoch's file:
 *
 *     0           a line of LOG_HEADER bytes that says which pool and which epoch this is
 *     1024 ...    blanks and newlines where messages were overwritten (or belong to the epoch before)
 *     ...         the messages that are retained, to the end
 *
 * So the file grows and nothing in it ever moves; a restart changes nothing, and nothing is stored beside the pool.  When a message
 * begins a new epoch, `log` is another file, with another inode number, as when a log is rotated by renaming: the old one
 * can be read to its end by whoever has it open.
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include "handle.h"

#define LOG_HEADER 1024 /* bytes; log shippers tell files apart by that much of their beginning */

/* Makes the place of a `log` that of the present epoch. */
int log_place(struct mpool *pool, struct place *place, struct error *err);

/* Size and time of the file that a node stands for. */
void log_stat(struct node *node, uint64_t *ret_size, uint64_t *ret_time);

/* For reading.  0, or an errno. */
int log_open(struct opening *o);

#endif
