/*
 * What the mount remembers beyond open files: what failed lately and why, for `errors`, since errno alone says so little; how
 * many appends were refused; and what was set through `ctl`.
 *
 * The notes of a pool outlive its handles, so that `cat ci/errors` shows what an `echo` did a day ago.  They go when the pool
 * goes, or when the mount ends.  Any thread; under the table's lock nothing else is locked.
 */
#ifndef FS_NOTES_H
#define FS_NOTES_H

#include "node.h"

struct notes;
struct notes_table;

struct notes_table *notes_table_new(void); /* NULL when memory is gone */
void notes_table_free(struct notes_table *table);

/* The notes of a pool, by its identity; NULL when memory is gone.  Give back with notes_put(). */
struct notes *notes_get(struct mount *m, uint64_t identity);
void notes_put(struct mount *m, struct notes *notes, bool pool_is_gone);

struct failure {
    const struct node *node; /* where */
    const char *name;        /* the name below it that was asked for; NULL: the node itself */
    int status;              /* errno */
    const struct error *err; /* why */
    bool rejected;           /* something that was to be appended: counted */
    struct bytes text;       /* what was wrong, as far as known; with a name: the name */
    size_t at;               /* the place in it */
};

/* Remembered for the pool that the node belongs to, if any, and for the mount. */
void notes_fail(struct mount *m, const struct failure *failure);

/* What an expression of the lens answered that is no answer, once. */
void notes_problem(struct mount *m, const struct node *node, const struct lens *lens);

/*
 * One JSON line for each failure, the latest last, added to *out: of the pool, or of the mount (NULL).  *ret_time is that of
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
