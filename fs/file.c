#include "file.h"

#include "base/units.h"
#include "status.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>

static enum view_result answer_read(fuse_req_t req, struct handle *h, size_t size, off_t off,
                                    enum view_patience patience)
{
    struct snapshot *snap = h->node->snapshot;
    struct error err = ERROR_INIT;
    struct part part;
    enum view_result result = snapshot_read(snap, (uint64_t)off, size, patience, &part, &err);

    switch (result) {
    case VIEW_OK:
        fuse_reply_buf(req, part.bytes.p, part.bytes.n);
        snapshot_part_done(snap, &part);
        break;
    case VIEW_FAILED:
        handle_refuse_read(req, h, &err);
        break;
    case VIEW_LATER:
        break;
    }
    return result;
}

static void read_thoroughly(fuse_req_t req, struct handle *h, size_t size, off_t off)
{
    (void)answer_read(req, h, size, off, VIEW_THOROUGH);
}

void file_read(fuse_req_t req, struct handle *h, size_t size, off_t off,
               const struct fuse_file_info *fi)
{
    (void)fi;
    if (answer_read(req, h, size, off, VIEW_QUICK) == VIEW_LATER)
        handle_read_later(req, h, size, off, read_thoroughly);
}

void file_poll(fuse_req_t req, struct handle *h, struct fuse_pollhandle *ph)
{
    (void)h;
    fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    if (ph != NULL)
        fuse_pollhandle_destroy(ph);
}

static void file_destroy(struct handle *h)
{
    snapshot_close(h->node->snapshot);
    free(h);
}

static const struct handle_ops file_ops = {
    .read = file_read,
    .poll = file_poll,
    .destroy = file_destroy,
};

int file_open(struct opening *o)
{
    struct node *node = o->node;
    struct error err = ERROR_INIT;

    switch (snapshot_open(node->snapshot, o->patience, &err)) {
    case VIEW_LATER:
        o->later = true;
        return 0;
    case VIEW_FAILED:
        /* ESTALE makes the kernel look the name up once more, and once only: that version must last. */
        atomic_store(&node->parent->overtaken_ns, clock_mono_ns());
        return status_errno(&err, DOOR_READER);
    case VIEW_OK:
        break;
    }
    o->handle = calloc(1, sizeof *o->handle);
    if (o->handle == NULL) {
        snapshot_close(node->snapshot);
        return ENOMEM;
    }
    handle_init(o->handle, &file_ops, o->m, node);
    o->open_flags = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH;
    return 0;
}
