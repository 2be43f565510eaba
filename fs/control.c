/*
 * `size`, open for writing: a number gives an empty pool another size.
 *
 * Each write() is one command, looked at as a whole before anything happens.  It is carried out by a worker, since a large file
 * takes its time.  The pool is another one afterwards, so whoever has a file of the old one open finds it gone; EBUSY
 * while it holds messages.
 */
#include "base/units.h"
#include "handle.h"
#include "status.h"
#include "work.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>

#define COMMAND_MAX 64 /* bytes: far more than any size needs */

struct resize {
    struct work work;
    struct handle *handle;
    fuse_req_t req;
    uint64_t bytes;
    size_t n; /* of the write */
};

/* 0, or EINVAL.  One line; its newline may be missing. */
static int read_size(const char *p, size_t n, uint64_t *ret)
{
    char text[COMMAND_MAX + 1];

    if (n > 0 && p[n - 1] == '\n')
        n--;
    if (n > COMMAND_MAX || memchr(p, '\n', n) != NULL || memchr(p, '\0', n) != NULL)
        return EINVAL;
    memcpy(text, p, n);
    text[n] = '\0';
    /* 0 would be the default size. */
    return parse_size(text, ret, NULL) < 0 || *ret == 0 ? EINVAL : 0;
}

static int resize(struct mpool *pool, uint64_t bytes)
{
    struct error err = ERROR_INIT;

    if (!mpool_alive(pool))
        return ESTALE;
    if (pool_resize(pool->pool, bytes, &err) < 0)
        return status_errno(&err, DOOR_WRITER);
    (void)mpool_alive(pool); /* marks it: the next look-up opens the new one */
    return 0;
}

static void resize_slowly(struct work *work)
{
    struct resize *job = (struct resize *)work;
    int status = resize(job->handle->node->pool, job->bytes);

    if (status != 0)
        fuse_reply_err(job->req, status);
    else
        fuse_reply_write(job->req, job->n);
    handle_unref(job->handle);
    free(job);
}

static void control_write(fuse_req_t req, struct handle *h, const char *p, size_t n,
                          const struct fuse_file_info *fi)
{
    struct resize *job;
    uint64_t bytes;
    int status = read_size(p, n, &bytes);

    (void)fi;
    if (status != 0) {
        fuse_reply_err(req, status);
        return;
    }
    job = malloc(sizeof *job);
    if (job == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    *job = (struct resize){{.run = resize_slowly}, handle_ref(h), req, bytes, n};
    workers_submit(h->m->workers, &job->work);
}

static void control_destroy(struct handle *h)
{
    free(h);
}

static const struct handle_ops control_ops = {
    .read = file_read,
    .write = control_write,
    .poll = file_poll,
    .destroy = control_destroy,
};

int control_open(struct mount *m, struct node *node, struct handle **ret, uint32_t *open_flags)
{
    struct handle *h;

    if (!node->pool->writable)
        return m->read_only ? EROFS : EACCES;
    h = calloc(1, sizeof *h);
    if (h == NULL)
        return ENOMEM;
    handle_init(h, &control_ops, m, node);
    *open_flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH;
    *ret = h;
    return 0;
}
