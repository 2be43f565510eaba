/*
 * An open file: one table of functions for each kind.  The number the kernel knows it by is its address.
 *
 * Every function answers its request, at once or later; a function that a kind does not have is answered by ops.c.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include "node.h"

struct handle;

struct handle_ops {
    void (*read)(fuse_req_t req, struct handle *h, size_t size, off_t off,
                 const struct fuse_file_info *fi);
    void (*write)(fuse_req_t req, struct handle *h, const char *p, size_t n,
                  const struct fuse_file_info *fi);
    void (*flush)(fuse_req_t req, struct handle *h);
    void (*fsync)(fuse_req_t req, struct handle *h);
    void (*poll)(fuse_req_t req, struct handle *h, struct fuse_pollhandle *ph); /* owns ph */
    void (*release)(
        struct handle *h); /* the last close: let go of what would keep it alive; may be NULL */
    void (*abandon)(
        struct handle
            *h); /* still open when the mount ends, and no other thread runs; may be NULL */
    void (*destroy)(struct handle *h); /* nobody uses it any more */
};

struct handle {
    struct handle *next, **prev; /* of the mount's list, under its lock */
    const struct handle_ops *ops;
    struct mount *m;
    struct node *node; /* with a reference */
    atomic_uint refs;
};

static inline struct handle *handle_ref(struct handle *h)
{
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

/* An OPEN, on its way to an open file. */
struct opening {
    fuse_req_t req;
    struct mount *m;
    struct node *node;
    int flags; /* those of open(2) */
    enum view_patience patience;
    /* What came of it: */
    struct handle *handle;
    uint32_t open_flags; /* FOPEN_* */
    bool later;          /* no handle yet: a worker has to do it */
};

/* Fills the common part and counts the open file. */
void handle_init(struct handle *h, const struct handle_ops *ops, struct mount *m,
                 struct node *node);
void handle_unref(struct handle *h);

/* At the very end, when no other thread runs any more. */
void handles_free(struct mount *m);

/* Tells a poller that there is something, and lets go of it; NULL is nobody. */
void handle_notify(struct mount *m, struct fuse_pollhandle *ph);

/* Refuses a read, with an entry in `errors`. */
void handle_refuse_read(fuse_req_t req, struct handle *h, const struct error *err);

/* Leaves a read to a worker: there `make` answers it. */
typedef void handle_make(fuse_req_t req, struct handle *h, size_t size, off_t off);
void handle_read_later(fuse_req_t req, struct handle *h, size_t size, off_t off, handle_make *make);

#endif
