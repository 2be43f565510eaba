/* OPEN: what is opened, by its kind and for reading or writing, and who does it.  Another kind is another row. */
#include "open.h"

#include "append.h"
#include "control.h"
#include "deferred.h"
#include "events.h"
#include "failure.h"
#include "file.h"
#include "kick.h"
#include "log.h"
#include "messages.h"
#include "patience.h"
#include "status.h"
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>

/* A finite file that should begin with a message that is lost, or about to be and therefore left out. */
static bool is_gap(const struct node *node)
{
    const struct place *place = &node->place;
    struct pool_bounds bounds;

    if (!place->strict || place->kind != PLACE_FROM || node->snapshot == NULL)
        return false;
    if (lens_is_plain(place->lens) && node->version.a > place->n)
        return true;
    return pool_bounds(node->pool->pool, &bounds, NULL) == 0 && bounds.oldest > place->n;
}

static int tell_gap(const struct opening *o)
{
    struct error err = ERROR_INIT;

    (void)fail(&err, PLSM_ERROR_RETENTION_GAP, "the messages from there on are not all retained");
    failure_note(o->m, &(struct failure){.node = o->node, .status = EPIPE, .err = &err});
    return EPIPE;
}

/* Something to look at: a file whose content was fixed at the look-up, or a stream of messages. */
static int open_shown(struct opening *o)
{
    if (is_gap(o->node))
        return tell_gap(o);
    if (!trust_look(o->req, o->node->place.lens)) /* the kernel knew the name, from somebody else */
        return failure_forbid(o->m, o->node, NULL, EINVAL, FORBIDDEN_EXPRESSION, NULL);
    return o->node->snapshot != NULL ? file_open(o) : messages_open(o);
}

/* Something to write to, by the mode bits; the daemon may not all the same when it is another user's. */
static int check_writable(struct opening *o)
{
    if (o->node->pool->writable)
        return 0;
    if (o->m->read_only)
        return EROFS;
    return failure_forbid(o->m, o->node, NULL, EACCES, "the mount may not write to the pool file",
                          "It is another user's, or lies on a read-only file system.");
}

static int open_writer(struct opening *o)
{
    int status = (o->flags & O_ACCMODE) == O_RDONLY ? 0 : check_writable(o);

    return status != 0 ? status : append_open(o);
}

static int open_control(struct opening *o)
{
    int status = check_writable(o);

    return status != 0 ? status : control_open(o);
}

/* Appending is all that can be done to a log; the thread that kicks only seems to write. */
static int open_log(struct opening *o)
{
    if ((o->flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY || kick_asks(o->m->kick, o->req))
        return log_open(o);
    if ((o->flags & (O_ACCMODE | O_APPEND | O_TRUNC)) != (O_WRONLY | O_APPEND))
        return failure_forbid(o->m, o->node, NULL, EPERM, "a log only grows at its end",
                              "Append with >>, or write to append.");
    return open_writer(o);
}

/* Who opens it for reading alone, and who for anything else; NULL: it cannot be done. */
static const struct {
    int (*read)(struct opening *o);
    int (*write)(struct opening *o);
} openers[] = {
    [PLACE_APPEND] = {open_writer, open_writer },
    [PLACE_LINES] = {open_writer, open_writer },
    [PLACE_LOG] = {open_log,    open_log    },
    [PLACE_SIZE] = {open_shown,  open_control},
    [PLACE_CTL] = {open_shown,  open_control},
    [PLACE_EVENTS] = {events_open, NULL        },
    [PLACE_VERSION] = {open_shown,  NULL        },
    [PLACE_STATS] = {open_shown,  NULL        },
    [PLACE_ERRORS] = {open_shown,  NULL        },
    [PLACE_README] = {open_shown,  NULL        },
    [PLACE_INFO] = {open_shown,  NULL        },
    [PLACE_TAGS] = {open_shown,  NULL        },
    [PLACE_VALUE] = {open_shown,  NULL        },
    [PLACE_LAST] = {open_shown,  NULL        },
    [PLACE_SINCE] = {open_shown,  NULL        },
    [PLACE_FROM] = {open_shown,  NULL        },
    [PLACE_SEQ] = {open_shown,  NULL        },
    [PLACE_NEXT] = {open_shown,  NULL        },
};

/* 0, or an errno. */
static int check_pool(const struct node *node)
{
    if (node->pool == NULL)
        return 0;
    if (node->pool->pool == NULL)
        return ESTALE; /* closed for want of descriptors */
    /* The kernel asks for the name once more, and gets what is there now. */
    return node->snapshot != NULL || mpool_alive(node->pool) ? 0 : ESTALE;
}

static int open_kind(struct opening *o)
{
    enum place_kind kind = o->node->place.kind;
    bool reads = (o->flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY;
    int (*open)(struct opening * o) = NULL;
    int status = check_pool(o->node);

    if (status != 0)
        return status;
    if (kind < sizeof openers / sizeof openers[0])
        open = reads ? openers[kind].read : openers[kind].write;
    if (open == NULL)
        return failure_forbid(o->m, o->node, NULL, EACCES, "this file is only for reading",
                              "Messages are written to append, lines of text to lines.");
    return open(o);
}

/* --- the answer --- */

/* 3.14's fuse_file_info lacks three of the flags, so the answer is made by hand. */
static void reply_open(fuse_req_t req, struct handle *h, uint32_t open_flags)
{
    struct fuse_open_out out = {.fh = (uint64_t)(uintptr_t)h, .open_flags = open_flags};

    if (fuse_reply_buf(req, (const char *)&out, sizeof out) != -ENOENT)
        return;
    if (h->ops->release != NULL)
        h->ops->release(h);
    handle_unref(h);
}

/* A worker has given up. */
static int too_late(struct mount *m, struct node *node)
{
    struct error err = ERROR_INIT;
    int status = patience_fail(&err);

    if (status == ETIMEDOUT)
        failure_note(m, &(struct failure){.node = node, .status = status, .err = &err, .at = FAILURE_NOWHERE});
    return status;
}

/* False when a worker has to do it. */
static bool try_open(fuse_req_t req, struct mount *m, struct node *node, int flags,
                     enum view_patience patience)
{
    struct opening o = {.req = req, .m = m, .node = node, .flags = flags, .patience = patience};
    int status = open_kind(&o);

    if (o.later && patience == VIEW_QUICK)
        return false;
    if (o.later)
        status = too_late(m, node);
    if (status != 0)
        fuse_reply_err(req, status);
    else
        reply_open(req, o.handle, o.open_flags);
    return true;
}

struct deferred_open {
    struct deferred deferred;
    int flags;
};

static void open_slowly(struct work *work)
{
    struct deferred_open *open = (struct deferred_open *)work;
    struct deferred *deferred = &open->deferred;

    (void)try_open(deferred->req, deferred->m, deferred->node, open->flags, VIEW_THOROUGH);
    deferred_done(deferred);
    free(open);
}

void open_node(fuse_req_t req, struct mount *m, struct node *node, int flags)
{
    struct deferred_open *open;

    if (atomic_load(&m->stopping)) {
        fuse_reply_err(req, ECONNABORTED);
        return;
    }
    if (try_open(req, m, node, flags, VIEW_QUICK))
        return;
    open = malloc(sizeof *open);
    if (open == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    deferred_init(&open->deferred, req, m, node);
    open->flags = flags;
    deferred_submit(&open->deferred, open_slowly);
}
