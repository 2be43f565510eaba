/*
 * What the mount remembers beyond open files: what failed lately and why, for `errors`, since errno alone says so little; how
 * many appends were refused; and what was set through `ctl`.
 *
 * The notes of a pool outlive its handles, so that `cat ci/errors` shows what an `echo` did a day ago.  They go when the pool
 * goes, or when the mount ends.  Any thread; under the table's lock nothing else is locked.
 */
#ifndef FS_NOTES_H
#define FS_NOTES_H

#include "mount.h"
#include "pool/error.h"

struct notes;
struct notes_table;

struct notes_table *notes_table_new(void); /* NULL when memory is gone */
void notes_table_free(struct notes_table *table);

/* The notes of a pool, by its identity; NULL when memory is gone.  Give back with notes_put(). */
struct notes *notes_get(struct mount *m, uint64_t identity);
void notes_put(struct mount *m, struct notes *notes, bool pool_is_gone);

/* A line that says what failed (failure.h): of a pool, or (NULL) outside pools; the mount remembers it in either case. */
void notes_add(struct mount *m, struct notes *notes, struct bytes line, uint64_t time_ns,
               bool rejected);

/*
 * The lines, the latest last, added to *out: of the pool, or of the mount (NULL).  *ret_time is that of
 * the last one, unchanged when there is none.
 */
int notes_failures(struct mount *m, struct notes *notes, struct buf *out, uint64_t *ret_time,
                   struct error *err);

/* Appends that were refused since the mount began; *ret_time is that of the last failure, unchanged when there is none. */
uint64_t notes_rejected(struct mount *m, struct notes *notes, uint64_t *ret_time);

/* Must a JSON value end with its line?  Of all who write to the pool through this mount. */
void notes_set_by_line(struct notes *notes, bool by_line);
bool notes_by_line(const struct notes *notes);

#endif
