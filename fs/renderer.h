/*
 * The lines of a finite view, made from the ring as somebody reads along.
 *
 * What was made stays until it is read: the rest of a line that a read cut, and what renderer_settle() made while the reader was busy
 * with the part before.  Reading on goes on from there; a reader that jumps begins anew.
 *
 * One thread at a time.  The list of matches, if there is one, is locked by the caller.
 */
#ifndef FS_RENDERER_H
#define FS_RENDERER_H

#include "view.h"

/* The lines.  Constant while a renderer is at it; holds no references. */
struct lines {
    struct mpool *pool;
    struct lens *lens;
    struct range range;
    struct matches *list; /* of a lens that needs it, else NULL */
    uint64_t base;        /* where the first line begins in the sum of all lines */
};

struct renderer {
    struct cursor at; /* behind what was made */
    struct time_cache cache;
    struct buf store; /* a message as stored */
    struct buf made;  /* whole lines ... */
    size_t used;      /* ... of which so many bytes are read */
    uint64_t off;     /* where the rest begins in the file */
    size_t counted;   /* bytes of memory that others know of */
    bool reads_on;    /* the last read went on where the one before had ended */
    size_t last_n;    /* bytes it asked for */
};

/* Bytes off .. off+n at *ret, good until the next call.  They lie within the file.  NotFound when they were overwritten. */
int renderer_read(struct renderer *r, const struct lines *lines, uint64_t off, size_t n,
                  struct bytes *ret, struct error *err);

/*
 * After a renderer_read(), when its bytes are no longer needed: gives back what is too much to keep, and makes as much again, for
 * who reads on.
 */
void renderer_settle(struct renderer *r, const struct lines *lines);

void renderer_done(struct renderer *r, const struct lines *lines);

/* Fails with NotFound: a message that is needed was overwritten. */
int renderer_overtaken(uint64_t seq, struct error *err);

#endif
