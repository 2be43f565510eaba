#include "lookup.h"

#include "attr.h"
#include "base/units.h"
#include "deferred.h"
#include "failure.h"
#include "hash.h"
#include "instant.h"
#include "kick.h"
#include "log.h"
#include "patience.h"
#include "status.h"
#include "trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_TRIES 16               /* new looks at a view that is overwritten quickly */
#define OVERTAKEN_NS (5 * NS_PER_S) /* that a directory is known for files gone before their open */
#define KEY_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define NEGATIVE_S 1.0              /* seconds that a fixed name is known not to be there */

/* One LOOKUP, on its way to an answer. */
struct lookup {
    fuse_req_t req;
    struct mount *m;
    struct node *dir;
    const char *name;
    struct bytes wrong; /* what an error is about, when it is not the name as it stands */
    struct place place; /* of the name; once it is answered somebody else's, or nobody's */
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

static void reply_error(struct lookup *l, int status)
{
    path_done(&l->place);
    fuse_reply_err(l->req, status);
}

/* Does it read as a path in a message?  So do `.git` and the like. */
static bool is_json_path(const char *name)
{
    return name[0] == '.' && strchr("0123456789", name[1]) == NULL &&
           name[strspn(name, KEY_CHARS ".")] == '\0';
}

static bool begins_in_message(const char *path)
{
    static const char *const keys[] = {"data", "meta", "seq", "time"};
    size_t n = strspn(path + 1, KEY_CHARS);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i]) == n && strncmp(path + 1, keys[i], n) == 0)
            return true;
    return false;
}

/* Does it end with a path that something is compared with?  Few expressions do, but those that go on with a division. */
static bool compares_with_path(const char *expression)
{
    size_t end = strlen(expression), at = end;

    while (at > 0 && strchr(KEY_CHARS ".", expression[at - 1]) != NULL)
        at--;
    if (!is_json_path(expression + at))
        return false;
    while (at > 0 && expression[at - 1] == ' ')
        at--;
    return at > 0 && strchr("=<>+-*%", expression[at - 1]) != NULL;
}

/* The rest of an expression that was cut at a slash, where its first part is one, too.  Names that programs try hardly look so. */
static bool is_cut_expression(const struct lookup *l)
{
    if (!path_is_expression(&l->dir->place))
        return false;
    if (is_json_path(l->name))
        return begins_in_message(l->name) || compares_with_path(l->dir->name);
    return strpbrk(l->name, " =<>|()[]\"") != NULL ||
           l->name[strspn(l->name, "0123456789.")] == '\0';
}

static void note_cut_expression(struct lookup *l)
{
    struct error err = ERROR_INIT;

    (void)fail(&err, PLSM_ERROR_NOT_FOUND, "no such file");
    (void)fail_hint(&err, "If this is the rest of the expression: in a path, a slash is written "
                          "%%2F, as in .data.n %%2F 2 == 1.");
    failure_note(l->m, &(struct failure){.node = l->dir,
                                         .name = l->name,
                                         .status = ENOENT,
                                         .err = &err,
                                         .text = bytes_of(l->name),
                                         .at = FAILURE_NOWHERE});
}

static void reply_missing(struct lookup *l)
{
    struct fuse_entry_param none = {.entry_timeout = NEGATIVE_S};

    if (is_cut_expression(l))
        note_cut_expression(l);
    path_done(&l->place);
    if (path_negative_cached(&l->dir->place, l->name))
        fuse_reply_entry(l->req, &none);
    else
        fuse_reply_err(l->req, ENOENT);
}

/* Answers with an error, and keeps what it was about unless that is plain enough. */
static void refuse(struct lookup *l, int status, const struct error *err)
{
    struct failure failure = {.node = l->dir,
                              .name = l->name,
                              .status = status,
                              .err = err,
                              .text = l->wrong.n > 0 ? l->wrong : bytes_of(l->name),
                              .at = err->has_offset ? err->offset : FAILURE_NOWHERE};

    if (status == EINVAL || status == EIO || status == EUCLEAN || status == EACCES ||
        status == ETIMEDOUT)
        failure_note(l->m, &failure);
    reply_error(l, status);
}

static void reply_known(struct lookup *l, struct node *node)
{
    path_done(&l->place);
    lookup_reply(l->req, l->m, node);
}

/* Enters the node and answers; takes over the place and the snapshot. */
static void enter(struct lookup *l, struct node_version version, struct mpool *pool,
                  struct snapshot *snap)
{
    struct node *node = nodes_enter(l->m->nodes, l->dir, l->name, version, &l->place, pool, snap);

    if (node == NULL)
        fuse_reply_err(l->req, ENOMEM);
    else
        lookup_reply(l->req, l->m, node);
}

static enum view_result no_memory(struct error *err)
{
    (void)fail_os(err, PLSM_ERROR_IO, ENOMEM, "out of memory");
    return VIEW_FAILED;
}

/*
 * What follows takes more than a look at the name.  VIEW_OK: it is answered.
 */

/* --- files whose bytes are made here and now --- */

static enum view_result enter_bytes(struct lookup *l, enum view_patience patience,
                                    struct error *err)
{
    auto_buf struct buf bytes = BUF_INIT;
    struct snapshot *snap;
    uint64_t time_ns;
    enum view_result result =
        instant_make(l->m, &l->place, l->dir->pool, patience, &bytes, &time_ns, err);

    if (result != VIEW_OK)
        return result;
    struct node_version version = {hash_bytes(HASH_START, buf_bytes(&bytes)), bytes.n};
    snap = snapshot_of_bytes(&bytes, time_ns);
    if (snap == NULL)
        return no_memory(err);
    enter(l, version, l->dir->pool, snap);
    return VIEW_OK;
}

/* --- directories of expressions: where/EXPR --- */

/* One that ends within a string or brackets may have been cut at a slash. */
static void hint_slash(struct error *err, const char *expression)
{
    bool in_string = false;
    size_t n = strlen(err->hint);
    long depth = 0;

    for (const char *p = expression; *p != '\0'; p++) {
        in_string ^= *p == '"';
        if (!in_string)
            depth += (strchr("([{", *p) != NULL) - (strchr(")]}", *p) != NULL);
    }
    if (in_string || depth > 0)
        snprintf(err->hint + n, sizeof err->hint - n, " In a path, a slash is written %%2F.");
}

static enum view_result enter_where(struct lookup *l, enum view_patience patience,
                                    struct error *err)
{
    struct node_version version = {0};
    struct node *node = nodes_reenter(l->m->nodes, l->dir, l->name, version);

    if (node != NULL) { /* it compiled before */
        reply_known(l, node);
        return VIEW_OK;
    }
    if (patience == VIEW_QUICK)
        return VIEW_LATER;
    if (lens_compile(l->place.lens, trust_user(l->req), &l->wrong, err) < 0) {
        hint_slash(err, l->name);
        return VIEW_FAILED;
    }
    enter(l, version, l->dir->pool, NULL);
    return VIEW_OK;
}

/* --- finite views --- */

/* What one shows now: a node that is known, or a snapshot for a new one. */
struct found {
    struct range range;
    struct node *node;
    struct snapshot *snap;
};

static struct node_version version_of(const struct range *range)
{
    return (struct node_version){range->first, range->last};
}

/* Writers were quicker here a moment ago than anybody had reckoned. */
static bool was_overtaken(const struct node *dir)
{
    uint64_t at_ns = atomic_load(&dir->overtaken_ns);

    return at_ns != 0 && clock_mono_ns() - at_ns < OVERTAKEN_NS;
}

static enum view_result find_view(const struct lookup *l, enum view_patience patience,
                                  unsigned overtaken, struct found *found, struct error *err)
{
    enum view_result result =
        view_range(l->m, l->dir->pool, &l->place, patience, overtaken, &found->range, err);

    found->node = NULL;
    if (result != VIEW_OK)
        return result;
    if (was_overtaken(l->dir))
        found->range.lasts_ns = 0;
    found->node = nodes_reenter(l->m->nodes, l->dir, l->name, version_of(&found->range));
    if (found->node != NULL)
        return VIEW_OK;
    if (patience == VIEW_QUICK && snapshot_is_brief(&found->range))
        return VIEW_LATER;
    found->snap = snapshot_of_range(l->dir->pool, l->place.lens, &found->range);
    return found->snap != NULL ? VIEW_OK : no_memory(err);
}

/* The same, until its content is safe from writers, if they are that quick. */
static enum view_result find_lasting_view(const struct lookup *l, enum view_patience patience,
                                          struct found *found, struct error *err)
{
    for (unsigned i = 0;; i++) {
        enum view_result result = find_view(l, patience, i, found, err);

        if (result != VIEW_OK || found->node != NULL || !snapshot_is_brief(&found->range) ||
            snapshot_keep(found->snap, err) == 0 || i == KEEP_TRIES)
            return result;
        snapshot_unref(found->snap);
    }
}

static enum view_result enter_view(struct lookup *l, enum view_patience patience, struct error *err)
{
    struct found found = {0};
    enum view_result result = find_lasting_view(l, patience, &found, err);

    if (result != VIEW_OK)
        return result;
    failure_note_lens(l->m, l->dir, l->place.lens);
    if (found.node != NULL)
        reply_known(l, found.node);
    else
        enter(l, version_of(&found.range), l->dir->pool, found.snap);
    return VIEW_OK;
}

/* --- by the loop or by a worker --- */

static bool is_where(const struct lookup *l)
{
    return l->place.kind == PLACE_VIEW && l->dir->place.kind == PLACE_PARAM &&
           l->dir->place.modifier == MODIFY_WHERE;
}

/* Does it take more than a look at the name? */
static bool is_made(const struct lookup *l)
{
    return is_where(l) || instant_is(&l->place) ||
           (path_is_view(&l->place) && !path_is_stream(&l->place));
}

/* False when a worker has to do it. */
static bool enter_made(struct lookup *l, enum view_patience patience)
{
    struct error err = ERROR_INIT;
    enum view_result result;

    if (is_where(l))
        result = enter_where(l, patience, &err);
    else if (instant_is(&l->place))
        result = enter_bytes(l, patience, &err);
    else
        result = enter_view(l, patience, &err);
    switch (result) {
    case VIEW_OK:
        break;
    case VIEW_FAILED:
        refuse(l, status_errno(&err, DOOR_PATH), &err);
        break;
    case VIEW_LATER:
        if (patience == VIEW_QUICK)
            return false;
        refuse(l, patience_fail(&err), &err);
        break;
    }
    return true;
}

struct deferred_lookup {
    struct deferred deferred;
    struct lookup lookup;
    char name[];
};

static void lookup_slowly(struct work *work)
{
    struct deferred_lookup *slow = (struct deferred_lookup *)work;

    (void)enter_made(&slow->lookup, VIEW_THOROUGH);
    atomic_fetch_sub(&slow->deferred.node->slow_lookups, 1);
    deferred_done(&slow->deferred);
    free(slow);
}

static void enter_made_later(struct lookup *l)
{
    size_t n = strlen(l->name) + 1;
    struct deferred_lookup *slow = malloc(sizeof *slow + n);

    if (slow == NULL) {
        reply_error(l, ENOMEM);
        return;
    }
    deferred_init(&slow->deferred, l->req, l->m, l->dir);
    slow->lookup = *l;
    slow->lookup.name = memcpy(slow->name, l->name, n);
    atomic_fetch_add(&l->dir->slow_lookups, 1);
    deferred_submit(&slow->deferred, lookup_slowly);
}

/* --- everything --- */

static void enter_pool(struct lookup *l)
{
    auto_mpool struct mpool *pool = NULL;
    struct error err = ERROR_INIT;

    if (pools_get(l->m->pools, l->name, &pool, &err) < 0)
        refuse(l, status_errno(&err, DOOR_PATH), &err);
    else
        enter(l, (struct node_version){pool->identity, pool->serial}, pool, NULL);
}

static void enter_log(struct lookup *l)
{
    struct error err = ERROR_INIT;

    if (log_place(l->dir->pool, &l->place, &err) < 0)
        refuse(l, status_errno(&err, DOOR_PATH), &err);
    else
        enter(l, (struct node_version){l->place.n, 0}, l->dir->pool, NULL);
}

static void enter_place(struct lookup *l)
{
    if (l->place.kind == PLACE_LOG)
        enter_log(l);
    else if (!is_made(l))
        enter(l, (struct node_version){0}, l->dir->pool, NULL);
    else if (!enter_made(l, VIEW_QUICK))
        enter_made_later(l);
}

static bool is_hidden(const struct lookup *l)
{
    return l->place.kind == PLACE_LINK && l->place.link_live && !l->m->list_live;
}

static void forbid(struct lookup *l)
{
    struct error err = ERROR_INIT;

    (void)fail(&err, PLSM_ERROR_USAGE, FORBIDDEN_EXPRESSION);
    refuse(l, EINVAL, &err);
}

void lookup_name(fuse_req_t req, struct mount *m, struct node *dir, const char *name)
{
    struct lookup l = {.req = req, .m = m, .dir = dir, .name = name};
    struct error err = ERROR_INIT;
    int status = path_step(&dir->place, name, clock_real_ns(), &l.place, &err);

    if (status == ENOENT || (status == 0 && is_hidden(&l)))
        reply_missing(&l);
    else if (status != 0)
        refuse(&l, status, &err);
    else if (dir->place.kind == PLACE_ROOT && l.place.in_pool)
        enter_pool(&l);
    else if (dir->pool != NULL && !mpool_alive(dir->pool))
        reply_error(&l, ESTALE); /* the kernel walks once more and finds what is there now */
    else if (path_is_view(&l.place) && !trust_look(req, l.place.lens))
        forbid(&l);
    else
        enter_place(&l);
}
