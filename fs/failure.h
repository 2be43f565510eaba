/*
 * What went wrong, as the line of JSON that `errors` shows: where, which errno, why, and the place in the text.
 *
 * Any thread, with no lock held.
 */
#ifndef FS_FAILURE_H
#define FS_FAILURE_H

#include "node.h"

#define FAILURE_NOWHERE ((size_t)-1)

struct failure {
    const struct node *node; /* where */
    const char *name;        /* the name below it that was asked for; NULL: the node itself */
    int status;              /* errno */
    const struct error *err; /* why */
    bool rejected;           /* something that was to be appended: counted */
    struct bytes text;       /* what was wrong, as far as known; with a name: the name */
    size_t at;               /* the place in it, text.n for its end; FAILURE_NOWHERE */
};

/* Remembered (notes.h) for the pool that the node belongs to, if any, and for the mount. */
void failure_note(struct mount *m, const struct failure *failure);

/* The same for what the mount does not allow, in one step; returns `status`.  `name` and `hint` may be NULL. */
int failure_forbid(struct mount *m, const struct node *node, const char *name, int status,
                   const char *message, const char *hint);

/* What an expression of the lens answered that is no answer, once; told of the directory that the expression made. */
void failure_note_lens(struct mount *m, const struct node *node, const struct lens *lens);

#endif
