#include "lookup.h"

#include "attr.h"
#include "base/units.h"
#include "failure.h"
#include "handle.h"
#include "hash.h"
#include "instant.h"
#include "kick.h"
#include "log.h"
#include "status.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <unistd.h>

#define KEEP_TRIES 16  /* new looks at a view that is overwritten quickly */
#define OVERTAKEN_NS (5 * NS_PER_S) /* that a directory is known for files that are gone before they are opened */
#define NEGATIVE_S 1.0 /* seconds that a fixed name is known not to be there */

/* A request that a worker is to answer. */
struct later {
    struct work work;
    struct mount *m;
    fuse_req_t req;
    struct node *node;  /* the directory, or what is opened; with a reference */
    struct place place; /* of the name */
    char *name;         /* NULL: an OPEN */
    int flags;
};

void lookup_reply(fuse_req_t req, struct mount *m, struct node *node)
{
    struct fuse_entry_param entry = {
        .ino = node->id, .attr_timeout = attr_timeout(node), .entry_timeout = entry_timeout(node)};

    attr_fill(m, node, &entry.attr);
    if (node->place.kind == PLACE_LOG)
        kick_watch(m->kick, node);
    if (fuse_reply_entry(req, &entry) == -ENOENT)
        nodes_forget(m->nodes, entry.ino, 1);
}

static void reply_missing(fuse_req_t req, const struct node *dir, const char *name)
{
    struct fuse_entry_param none = {.entry_timeout = NEGATIVE_S};

    if (path_negative_cached(&dir->place, name))
        fuse_reply_entry(req, &none);
    else
        fuse_reply_err(req, ENOENT);
}

/* Answers with an error, and keeps what it was about unless that is plain enough. */
static void refuse(fuse_req_t req, struct mount *m, const struct node *dir, const char *name,
                   int status, const struct error *err)
{
    struct failure failure = {.node = dir,
                              .name = name,
                              .status = status,
                              .err = err,
                              .text = err->has_offset ? bytes_of(name) : (struct bytes){0},
                              .at = err->offset};

    if (status == EINVAL || status == EIO || status == EUCLEAN)
        failure_note(m, &failure);
    fuse_reply_err(req, status);
}

/* Enters the node and answers; takes over *place and the snapshot. */
static void enter(fuse_req_t req, struct mount *m, struct node *dir, const char *name,
                  struct node_version version, struct place *place, struct mpool *pool,
                  struct snapshot *snap)
{
    struct node *node = nodes_enter(m->nodes, dir, name, version, place, pool, snap);

    if (node == NULL)
        fuse_reply_err(req, ENOMEM);
    else
        lookup_reply(req, m, node);
}

/* What could not be done at once is left to a worker (false); what a worker could not do ends with the mount. */
static bool put_off(fuse_req_t req, struct place *place, enum view_patience patience)
{
    if (patience == VIEW_QUICK)
        return false;
    path_done(place);
    fuse_reply_err(req, ECONNABORTED);
    return true;
}

/* --- files whose bytes are made here and now --- */

/* False when a worker has to do it; *place is then still the caller's. */
static bool enter_bytes(fuse_req_t req, struct mount *m, struct node *dir, const char *name,
                        struct place *place, enum view_patience patience)
{
    auto_buf struct buf bytes = BUF_INIT;
    struct error err = ERROR_INIT;
    struct snapshot *snap;
    uint64_t time_ns;

    switch (instant_make(m, place, dir->pool, patience, &bytes, &time_ns, &err)) {
    case VIEW_LATER:
        return put_off(req, place, patience);
    case VIEW_FAILED:
        path_done(place);
        refuse(req, m, dir, name, status_errno(&err, DOOR_PATH), &err);
        return true;
    case VIEW_OK:
        break;
    }
    struct node_version version = {hash_bytes(HASH_START, buf_bytes(&bytes)), bytes.n};
    snap = snapshot_of_bytes(&bytes, time_ns);
    if (snap == NULL) {
        path_done(place);
        fuse_reply_err(req, ENOMEM);
        return true;
    }
    enter(req, m, dir, name, version, place, dir->pool, snap);
    return true;
}

/* --- directories of expressions --- */

/* A user who is not the one that runs the mount must not make it work hard. */
static bool is_trusted(fuse_req_t req)
{
    uid_t uid = fuse_req_ctx(req)->uid;

    return uid == 0 || uid == geteuid();
}

static bool may_look(fuse_req_t req, const struct lens *lens)
{
    return lens_is_harmless(lens) || is_trusted(req);
}

/* where/EXPR; false when a worker has to do it. */
static bool enter_where(fuse_req_t req, struct mount *m, struct node *dir, const char *name,
                        struct place *place, enum view_patience patience)
{
    struct node *node = nodes_reenter(m->nodes, dir, name, (struct node_version){0});
    struct error err = ERROR_INIT;

    if (node != NULL) { /* it compiled before */
        path_done(place);
        lookup_reply(req, m, node);
        return true;
    }
    if (patience == VIEW_QUICK)
        return false;
    if (lens_compile(place->lens, is_trusted(req), &err) == 0) {
        enter(req, m, dir, name, (struct node_version){0}, place, dir->pool, NULL);
        return true;
    }
    path_done(place);
    refuse(req, m, dir, name, status_errno(&err, DOOR_PATH), &err);
    return true;
}

/* --- views --- */

/* What a finite view shows now: a node that is known, or a snapshot for a new one. */
struct found {
    struct range range;
    struct node *node;
    struct snapshot *snap;
};

/* Writers were quicker here a moment ago than anybody had reckoned. */
static bool was_overtaken(const struct node *dir)
{
    uint64_t at_ns = atomic_load(&dir->overtaken_ns);

    return at_ns != 0 && clock_mono_ns() - at_ns < OVERTAKEN_NS;
}

static enum view_result find_view(struct mount *m, struct node *dir, const char *name,
                                  const struct place *place, enum view_patience patience,
                                  unsigned overtaken, struct found *found, struct error *err)
{
    enum view_result result = view_range(m, dir->pool, place, patience, overtaken, &found->range, err);

    found->node = NULL;
    if (result != VIEW_OK)
        return result;
    if (was_overtaken(dir))
        found->range.lasts_ns = 0;
    found->node = nodes_reenter(m->nodes, dir, name,
                                (struct node_version){found->range.first, found->range.last});
    if (found->node != NULL)
        return VIEW_OK;
    if (patience == VIEW_QUICK && snapshot_is_brief(&found->range))
        return VIEW_LATER;
    found->snap = snapshot_of_range(dir->pool, place->lens, &found->range);
    if (found->snap != NULL)
        return VIEW_OK;
    (void)fail_os(err, PLSM_ERROR_IO, ENOMEM, "out of memory");
    return VIEW_FAILED;
}

/* The same, until its content is safe from writers, if they are that quick. */
static enum view_result find_lasting_view(struct mount *m, struct node *dir, const char *name,
                                          const struct place *place, enum view_patience patience,
                                          struct found *found, struct error *err)
{
    for (unsigned i = 0;; i++) {
        enum view_result result = find_view(m, dir, name, place, patience, i, found, err);

        if (result != VIEW_OK || found->node != NULL || !snapshot_is_brief(&found->range) ||
            snapshot_keep(found->snap, err) == 0 || i == KEEP_TRIES)
            return result;
        snapshot_unref(found->snap);
    }
}

/* False when a worker has to do it; *place is then still the caller's. */
static bool enter_view(fuse_req_t req, struct mount *m, struct node *dir, const char *name,
                       struct place *place, enum view_patience patience)
{
    struct error err = ERROR_INIT;
    struct found found = {0};

    switch (find_lasting_view(m, dir, name, place, patience, &found, &err)) {
    case VIEW_LATER:
        return put_off(req, place, patience);
    case VIEW_FAILED:
        path_done(place);
        refuse(req, m, dir, name, status_errno(&err, DOOR_PATH), &err);
        return true;
    case VIEW_OK:
        break;
    }
    failure_note_lens(m, dir, place->lens);
    if (found.node == NULL) {
        enter(req, m, dir, name, (struct node_version){found.range.first, found.range.last}, place,
              dir->pool, found.snap);
        return true;
    }
    path_done(place);
    lookup_reply(req, m, found.node);
    return true;
}

static bool enter_made(fuse_req_t req, struct mount *m, struct node *dir, const char *name,
                       struct place *place, enum view_patience patience)
{
    if (place->kind == PLACE_VIEW)
        return enter_where(req, m, dir, name, place, patience);
    return instant_is(place) ? enter_bytes(req, m, dir, name, place, patience)
                             : enter_view(req, m, dir, name, place, patience);
}

static void drop_later(struct later *later)
{
    if (later->node->pool != NULL)
        mpool_unuse(later->node->pool);
    node_unref(later->m->nodes, later->node);
    free(later->name);
    free(later);
}

static void lookup_slowly(struct work *work)
{
    struct later *later = (struct later *)work;

    (void)enter_made(later->req, later->m, later->node, later->name, &later->place, VIEW_THOROUGH);
    drop_later(later);
}

static struct later *later_new(fuse_req_t req, struct mount *m, struct node *node)
{
    struct later *later = calloc(1, sizeof *later);

    if (later == NULL)
        return NULL;
    later->m = m;
    later->req = req;
    later->node = node_ref(m->nodes, node);
    if (node->pool != NULL)
        (void)mpool_use(node->pool); /* the caller has seen that it is open */
    return later;
}

static void enter_made_later(fuse_req_t req, struct mount *m, struct node *dir, const char *name,
                             struct place *place)
{
    struct later *later = later_new(req, m, dir);

    if (later != NULL)
        later->name = strdup(name);
    if (later == NULL || later->name == NULL) {
        if (later != NULL)
            drop_later(later);
        path_done(place);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    later->place = *place;
    later->work.run = lookup_slowly;
    workers_submit(m->workers, &later->work);
}

/* --- everything --- */

static void enter_pool(fuse_req_t req, struct mount *m, struct node *root, const char *name,
                       struct place *place)
{
    auto_mpool struct mpool *pool = NULL;
    struct error err = ERROR_INIT;

    if (pools_get(m->pools, name, &pool, &err) < 0) {
        path_done(place);
        refuse(req, m, root, name, status_errno(&err, DOOR_PATH), &err);
        return;
    }
    enter(req, m, root, name, (struct node_version){pool->identity, pool->serial}, place, pool, NULL);
}

static void enter_log(fuse_req_t req, struct mount *m, struct node *dir, const char *name,
                      struct place *place)
{
    struct error err = ERROR_INIT;

    if (log_place(dir->pool, place, &err) < 0) {
        path_done(place);
        refuse(req, m, dir, name, status_errno(&err, DOOR_PATH), &err);
        return;
    }
    enter(req, m, dir, name, (struct node_version){place->n, 0}, place, dir->pool, NULL);
}

/* Does it take more than a look at the name? */
static bool is_made(const struct node *dir, const struct place *place)
{
    if (dir->place.kind == PLACE_PARAM && dir->place.modifier == MODIFY_WHERE &&
        place->kind == PLACE_VIEW)
        return true;
    return instant_is(place) || (path_is_view(place) && !path_is_stream(place));
}

static void enter_place(fuse_req_t req, struct mount *m, struct node *dir, const char *name,
                        struct place *place)
{
    if (place->kind == PLACE_LOG)
        enter_log(req, m, dir, name, place);
    else if (!is_made(dir, place))
        enter(req, m, dir, name, (struct node_version){0}, place, dir->pool, NULL);
    else if (!enter_made(req, m, dir, name, place, VIEW_QUICK))
        enter_made_later(req, m, dir, name, place);
}

void lookup_name(fuse_req_t req, struct mount *m, struct node *dir, const char *name)
{
    struct error err = ERROR_INIT;
    struct place place;
    int status = path_step(&dir->place, name, clock_real_ns(), &place, &err);

    if (status == ENOENT) {
        reply_missing(req, dir, name);
        return;
    }
    if (status != 0) {
        refuse(req, m, dir, name, status, &err);
        return;
    }
    if (place.kind == PLACE_LINK && place.link_live && !m->list_live) {
        path_done(&place);
        reply_missing(req, dir, name);
        return;
    }
    if (dir->place.kind == PLACE_ROOT && place.in_pool) {
        enter_pool(req, m, dir, name, &place);
        return;
    }
    if (dir->pool != NULL && !mpool_alive(dir->pool)) {
        path_done(&place);
        fuse_reply_err(
            req, ESTALE); /* the kernel walks the path once more and finds what is there now */
        return;
    }
    if (path_is_view(&place) && !may_look(req, place.lens)) {
        (void)fail(&err, PLSM_ERROR_USAGE,
                   "this expression is only for the user who runs the mount");
        path_done(&place);
        refuse(req, m, dir, name, EINVAL, &err);
        return;
    }
    enter_place(req, m, dir, name, &place);
}

/* --- OPEN --- */

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

/* Appending is all that can be done to a log; the thread that kicks only seems to write. */
static int open_log(fuse_req_t req, struct mount *m, struct node *node, int flags,
                    struct handle **ret, uint32_t *open_flags)
{
    if ((flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY || kick_asks(m->kick, req))
        return log_open(m, node, ret, open_flags);
    if ((flags & (O_ACCMODE | O_APPEND | O_TRUNC)) != (O_WRONLY | O_APPEND))
        return EPERM;
    return append_open(m, node, flags, ret, open_flags);
}

static int open_node(fuse_req_t req, struct mount *m, struct node *node, int flags,
                     enum view_patience patience, struct handle **ret, uint32_t *open_flags,
                     bool *later)
{
    struct error err = ERROR_INIT;
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;

    if (node->pool != NULL && node->pool->pool == NULL)
        return ESTALE; /* closed for want of descriptors */
    if (node->snapshot == NULL && node->pool != NULL &&
        pool_check_alive(node->pool->pool, &err) < 0) {
        (void)mpool_alive(node->pool); /* marks it when it is gone */
        return status_errno(&err, DOOR_WRITER);
    }
    if (node->place.kind == PLACE_APPEND || node->place.kind == PLACE_LINES)
        return append_open(m, node, flags, ret, open_flags);
    if (node->place.kind == PLACE_LOG)
        return open_log(req, m, node, flags, ret, open_flags);
    if (writes && path_is_written(&node->place))
        return control_open(m, node, ret, open_flags);
    if (writes)
        return EACCES;
    if (is_gap(node)) {
        (void)fail(&err, PLSM_ERROR_RETENTION_GAP,
                   "the messages from there on are not all retained");
        failure_note(m, &(struct failure){.node = node, .status = EPIPE, .err = &err});
        return EPIPE;
    }
    if (!may_look(req, node->place.lens)) /* the kernel knew the name, from somebody else */
        return EINVAL;
    if (node->snapshot != NULL)
        return file_open(m, node, patience, ret, open_flags, later);
    if (node->place.kind == PLACE_EVENTS)
        return events_open(m, node, ret, open_flags);
    return messages_open(m, node, patience, ret, open_flags, later);
}

/* False when a worker has to do it. */
static bool try_open(fuse_req_t req, struct mount *m, struct node *node, int flags,
                     enum view_patience patience)
{
    struct handle *h = NULL;
    uint32_t open_flags = 0;
    bool later = false;
    int status = open_node(req, m, node, flags, patience, &h, &open_flags, &later);

    if (later && patience == VIEW_QUICK)
        return false;
    if (later)
        status = ECONNABORTED; /* the mount is ending */
    if (status != 0)
        fuse_reply_err(req, status);
    else
        reply_open(req, h, open_flags);
    return true;
}

static void open_slowly(struct work *work)
{
    struct later *later = (struct later *)work;

    (void)try_open(later->req, later->m, later->node, later->flags, VIEW_THOROUGH);
    drop_later(later);
}

void lookup_open(fuse_req_t req, struct mount *m, struct node *node,
                 const struct fuse_file_info *fi)
{
    struct later *later;

    if (atomic_load(&m->stopping)) {
        fuse_reply_err(req, ECONNABORTED);
        return;
    }
    if (try_open(req, m, node, fi->flags, VIEW_QUICK))
        return;
    later = later_new(req, m, node);
    if (later == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    later->flags = fi->flags;
    later->work.run = open_slowly;
    workers_submit(m->workers, &later->work);
}
