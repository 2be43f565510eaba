/*
 * What an `append` that is open for both gives back: a line for each message stored, with its number and time.
 *
 * Any thread.
 */
#ifndef FS_RECEIPTS_H
#define FS_RECEIPTS_H

#include "handle.h"

struct receipt_line;

struct receipts {
    pthread_mutex_t lock; /* for what follows */
    struct receipt_line *first, **last;
    size_t n, bytes;
    struct fuse_pollhandle *ph;
};

void receipts_init(struct receipts *receipts);
void receipts_done(struct receipts *receipts);

/* The payloads were stored together.  Tells whoever polls; the oldest lines are dropped when nobody reads them. */
void receipts_add(struct receipts *receipts, struct mount *m, const struct payload *payloads,
                  size_t n, const struct receipt *receipt);

/* Both answer the request; there is never anything to wait for. */
void receipts_read(struct receipts *receipts, fuse_req_t req, size_t size);
void receipts_poll(struct receipts *receipts, fuse_req_t req, struct fuse_pollhandle *ph);

#endif
