#include "dir.h"

#include "attr.h"
#include "base/cleanup.h"
#include "failure.h"
#include "handle.h"
#include "log.h"
#include "lookup.h"
#include "pool/store.h"
#include "status.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What one opendir() shows; made once, so that offsets stay true. */
struct listing {
    struct handle handle;
    struct buf names; /* each with its NUL */
    struct listed {
        size_t name_at;
        struct stat st;
    } * entries;
    size_t n, cap;
};

static int add(struct listing *list, const char *name, const struct stat *st)
{
    if (list->n == list->cap) {
        size_t cap = list->cap == 0 ? 32 : list->cap * 2;
        struct listed *entries = realloc(list->entries, cap * sizeof *entries);

        if (entries == NULL)
            return -1;
        list->entries = entries;
        list->cap = cap;
    }
    list->entries[list->n] = (struct listed){.name_at = list->names.n, .st = *st};
    if (buf_add(&list->names, name, strlen(name) + 1) < 0)
        return -1;
    list->n++;
    return 0;
}

static void listing_destroy(struct handle *h)
{
    struct listing *list = (struct listing *)h;

    buf_done(&list->names);
    free(list->entries);
    free(list);
}

static const struct handle_ops listing_ops = {.destroy = listing_destroy};

static int add_fixed(struct mount *m, const struct node *node, struct listing *list)
{
    const char *name;
    size_t i = 0;

    while ((name = path_list(&node->place, &i)) != NULL) {
        struct place place;
        struct stat st;
        int result = 0;

        if (path_step(&node->place, name, 0, &place, NULL) != 0)
            continue;
        if (place.kind == PLACE_LOG)
            (void)log_place(node->pool, &place, NULL); /* else it is shown with another number */
        attr_fill_dirent(&place, node->pool, &st);
        if (m->list_live || place.kind != PLACE_LINK || !place.link_live)
            result = add(list, name, &st);
        path_done(&place);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* Of the file of a pool.  0: it is gone. */
static ino_t file_of(const struct mount *m, const struct stored *pool)
{
    auto_free char *path = pool->ino != 0 ? NULL : pools_path(m, pool->name);
    struct stat st;

    if (pool->ino != 0)
        return pool->ino;
    return path != NULL && stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Pools, in the order of their names.  Files that no name can reach are not shown. */
static int add_pools(struct mount *m, const struct node *root, struct listing *list,
                     struct error *err)
{
    struct store_list stored;
    int result = 0;

    if (store_list(m->dir, &stored, err) < 0)
        return -1;
    for (size_t i = 0; i < stored.n && result == 0; i++) {
        const struct stored *pool = &stored.pools[i];
        struct place place;
        struct stat st;

        if (path_step(&root->place, pool->name, 0, &place, NULL) != 0)
            continue;
        attr_fill_pool_dirent(&place, file_of(m, pool), &st);
        if (place.in_pool)
            result = add(list, pool->name, &st);
        path_done(&place);
    }
    store_list_done(&stored);
    return result < 0 ? fail(err, PLSM_ERROR_INTERNAL, "out of memory") : 0;
}

static int fill(struct mount *m, const struct node *node, struct listing *list)
{
    struct error err = ERROR_INIT;

    if (add_fixed(m, node, list) < 0)
        return ENOMEM;
    if (node->place.kind == PLACE_ROOT && add_pools(m, node, list, &err) < 0)
        return status_errno(&err, DOOR_PATH);
    return 0;
}

void dir_open(fuse_req_t req, struct mount *m, struct node *node, struct fuse_file_info *fi)
{
    struct listing *list;
    int status;

    if (node->pool != NULL && node->pool->pool == NULL) {
        fuse_reply_err(req, ESTALE); /* closed for want of descriptors: walk again */
        return;
    }
    list = calloc(1, sizeof *list);
    if (list == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    handle_init(&list->handle, &listing_ops, m, node);
    status = fill(m, node, list);
    if (status != 0) {
        handle_unref(&list->handle);
        fuse_reply_err(req, status);
        return;
    }
    fi->fh = (uint64_t)(uintptr_t)list;
    fi->cache_readdir = fi->keep_cache = node->place.kind != PLACE_ROOT;
    if (fuse_reply_open(req, fi) == -ENOENT)
        handle_unref(&list->handle);
}

void dir_read(fuse_req_t req, size_t size, off_t off, const struct fuse_file_info *fi)
{
    const struct listing *list = (const struct listing *)(uintptr_t)fi->fh;
    size_t used = 0;
    char *out;

    if (size > 1024 * 1024)
        size = 1024 * 1024;
    out = malloc(size);
    if (out == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    for (size_t i = off < 0 ? 0 : (size_t)off; i < list->n; i++) {
        size_t n = fuse_add_direntry(req, out + used, size - used,
                                     list->names.p + list->entries[i].name_at, &list->entries[i].st,
                                     (off_t)i + 1);

        if (n > size - used)
            break;
        used += n;
    }
    fuse_reply_buf(req, out, used);
    free(out);
}

void dir_release(fuse_req_t req, const struct fuse_file_info *fi)
{
    handle_unref((struct handle *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

/* --- pools --- */

/* A daemon of root's gives the pool to who asked; one of an ordinary user makes pools for that user alone. */
static int create(struct mount *m, const char *path, mode_t mode, const struct fuse_ctx *ctx,
                  struct error *err)
{
    struct pool_options options = POOL_OPTIONS_INIT;

    if (geteuid() != 0 && ctx->uid != geteuid())
        return fail(err, PLSM_ERROR_PERMISSION, "only the owner of the mount makes pools in it");
    options.size = m->new_pool_bytes;
    options.mode = mode & 0666;
    if (pool_create(path, &options, err) < 0)
        return -1;
    if (geteuid() != 0 || (ctx->uid == 0 && ctx->gid == 0) || chown(path, ctx->uid, ctx->gid) == 0)
        return 0;
    int os_errno = errno;
    (void)unlink(path); /* nobody has seen it yet that matters */
    return fail_os(err, PLSM_ERROR_IO, os_errno, "failed to give the pool to its owner");
}

/* Names stand in JSON (info), so they are UTF-8, as tags are. */
static int check_new_name(const char *name, struct error *err)
{
    auto_buf struct buf tags = BUF_INIT;
    uint32_t raw = 0;

    if (store_check_name(bytes_of(name), err) < 0)
        return -1;
    return tags_add(&tags, &raw, bytes_of(name), err);
}

static void refuse_pool(fuse_req_t req, struct mount *m, struct node *parent, const char *name,
                        const struct error *err)
{
    int status = status_errno(err, DOOR_PATH);

    if (status != EEXIST)
        failure_note(m, &(struct failure){parent, name, status, err});
    fuse_reply_err(req, status);
}

void dir_make_pool(fuse_req_t req, struct mount *m, struct node *parent, const char *name,
                   mode_t mode)
{
    struct error err = ERROR_INIT;
    char *path;

    if (parent->place.kind != PLACE_ROOT) {
        fuse_reply_err(req, failure_forbid(m, parent, name, EPERM, "no directory can be made here",
                                           "Pools are made at the top of the mount."));
        return;
    }
    if (check_new_name(name, &err) < 0) {
        failure_note(m, &(struct failure){parent, name, EINVAL, &err, .text = bytes_of(name)});
        fuse_reply_err(req, EINVAL);
        return;
    }
    path = pools_path(m, name);
    if (path == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    if (create(m, path, mode, fuse_req_ctx(req), &err) < 0)
        refuse_pool(req, m, parent, name, &err);
    else
        lookup_name(req, m, parent, name);
    free(path);
}

/* What the files of all pools take: bytes, and how many there are. */
static uint64_t pools_size(const struct mount *m, uint64_t *ret_n)
{
    struct store_list stored;
    uint64_t bytes = 0;

    *ret_n = 0;
    if (store_list(m->dir, &stored, NULL) < 0)
        return 0;
    for (size_t i = 0; i < stored.n; i++) {
        auto_free char *path = pools_path(m, stored.pools[i].name);
        struct stat one;

        if (path == NULL || stat(path, &one) < 0)
            continue;
        bytes += (uint64_t)one.st_size;
        ++*ret_n;
    }
    store_list_done(&stored);
    return bytes;
}

/* df shows as used what is neither free nor there for root alone, so the whole is the pools and what the disk has left for more. */
void dir_statfs(fuse_req_t req, struct mount *m)
{
    struct statvfs below, st;
    uint64_t unit, bytes, n;

    if (statvfs(m->dir, &below) < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    unit = below.f_frsize > 0 ? below.f_frsize : below.f_bsize;
    bytes = pools_size(m, &n);
    st = (struct statvfs){.f_bsize = below.f_bsize,
                          .f_frsize = unit,
                          .f_blocks = below.f_bfree + (unit > 0 ? (bytes + unit - 1) / unit : 0),
                          .f_bfree = below.f_bfree,
                          .f_bavail = below.f_bavail,
                          .f_files = below.f_ffree + n,
                          .f_ffree = below.f_ffree,
                          .f_namemax = 255};
    fuse_reply_statfs(req, &st);
}
