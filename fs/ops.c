#include "ops.h"

#include "attr.h"
#include "deletion.h"
#include "dir.h"
#include "failure.h"
#include "handle.h"
#include "kick.h"
#include "lookup.h"
#include "open.h"
#include "ready.h"
#include "waiters.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct mount *mount_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

/* Only the loop does, so it needs no more than a load and a store. */
static void count(struct mount *m)
{
    uint64_t n = atomic_load_explicit(&m->requests, memory_order_relaxed);

    atomic_store_explicit(&m->requests, n + 1, memory_order_relaxed);
}

/* The node, or NULL and ESTALE answered. */
static struct node *node_of(fuse_req_t req, fuse_ino_t ino)
{
    struct mount *m = mount_of(req);
    struct node *node = nodes_find(m->nodes, ino);

    count(m);
    if (node == NULL)
        fuse_reply_err(req, ESTALE);
    return node;
}

static struct handle *handle_of(const struct fuse_file_info *fi)
{
    struct handle *h = (struct handle *)(uintptr_t)fi->fh;

    count(h->m);
    return h;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    struct mount *m = userdata;

    m->protocol_major = conn->proto_major;
    m->protocol_minor = conn->proto_minor;
    conn->max_write = 1024 * 1024;
    conn->max_background = 1024;
    conn->congestion_threshold = 768;
    conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                              FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
                              FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_HANDLE_KILLPRIV);
    conn->want |= conn->capable & (FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_ATOMIC_O_TRUNC |
                                   FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_EXPLICIT_INVAL_DATA);
    ready_tell(m);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *dir = node_of(req, parent);

    if (dir == NULL)
        return;
    if (strlen(name) > PATH_NAME_MAX) /* some kernels let longer ones through */
        fuse_reply_err(req, ENAMETOOLONG);
    else
        lookup_name(req, mount_of(req), dir, name);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    nodes_forget(mount_of(req)->nodes, ino, nlookup);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        nodes_forget(mount_of(req)->nodes, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

static void reply_attr(fuse_req_t req, struct node *node)
{
    struct stat st;

    attr_fill(mount_of(req), node, &st);
    fuse_reply_attr(req, &st, attr_timeout(node));
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, ino);

    if (node == NULL)
        return;
    /* By name: walk again and find what is there now.  An open file goes on to show what it was. */
    if (fi == NULL && node->pool != NULL && node->snapshot == NULL && !mpool_alive(node->pool))
        fuse_reply_err(req, ESTALE);
    else
        reply_attr(req, node);
}

static int change_owner(struct mpool *pool, const struct stat *attr, int to_set)
{
    uid_t uid = (to_set & FUSE_SET_ATTR_UID) != 0 ? attr->st_uid : (uid_t)-1;
    gid_t gid = (to_set & FUSE_SET_ATTR_GID) != 0 ? attr->st_gid : (gid_t)-1;

    if ((to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0 && chown(pool->path, uid, gid) < 0)
        return errno;
    return 0;
}

static bool is_pool(const struct node *node)
{
    return node->place.kind == PLACE_VIEW && node->place.depth == 0;
}

static int change_pool(struct mpool *pool, const struct stat *attr, int to_set)
{
    int status;

    if (!mpool_alive(pool))
        return ESTALE;
    status = change_owner(pool, attr, to_set);
    if (status != 0)
        return status;
    if ((to_set & FUSE_SET_ATTR_MODE) != 0 && chmod(pool->path, attr->st_mode & 0666) < 0)
        return errno;
    return 0;
}

/* What writers do to any file besides writing: truncating it and setting its times means nothing here. */
static int change_written(int to_set)
{
    return (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0 ? EPERM : 0;
}

/* It only ever grows at its end; the thread that kicks truncates it to the size it has. */
static int change_log(fuse_req_t req, int to_set)
{
    if ((to_set & FUSE_SET_ATTR_SIZE) != 0 && !kick_asks(mount_of(req)->kick, req))
        return EPERM;
    return change_written(to_set);
}

/* Whoever copies a file sets mode and owner too: what they are already can be asked for. */
static int without_what_is(fuse_req_t req, struct node *node, const struct stat *attr, int to_set)
{
    struct stat st;

    attr_fill(mount_of(req), node, &st);
    if (((attr->st_mode ^ st.st_mode) & 07777) == 0)
        to_set &= ~FUSE_SET_ATTR_MODE;
    if (attr->st_uid == st.st_uid)
        to_set &= ~FUSE_SET_ATTR_UID;
    if (attr->st_gid == st.st_gid)
        to_set &= ~FUSE_SET_ATTR_GID;
    return to_set;
}

static int change(fuse_req_t req, struct node *node, const struct stat *attr, int to_set)
{
    const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME |
                      FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;

    if (is_pool(node))
        return (to_set & times) != 0 ? EPERM : change_pool(node->pool, attr, to_set);
    if (node->place.kind == PLACE_LOG)
        return change_log(req, to_set);
    if (path_is_written(&node->place))
        return change_written(without_what_is(req, node, attr, to_set));
    return (to_set & FUSE_SET_ATTR_SIZE) != 0 ? EACCES : EPERM;
}

/* A pool has other attributes: whoever asks about a file of it after the answer shall see them. */
struct changed {
    struct work work;
    fuse_req_t req;
    struct node *node; /* with a reference */
};

static void tell_of_change(struct work *work)
{
    struct changed *changed = (struct changed *)work;
    struct mount *m = mount_of(changed->req);

    attr_forget(m, changed->node->pool);
    reply_attr(changed->req, changed->node);
    node_unref(m->nodes, changed->node);
    free(changed);
}

static void reply_changed(fuse_req_t req, struct node *node)
{
    struct mount *m = mount_of(req);
    struct changed *changed = is_pool(node) ? malloc(sizeof *changed) : NULL;

    if (changed == NULL) { /* the watching thread tells of it, too, a little later */
        reply_attr(req, node);
        return;
    }
    *changed = (struct changed){{.run = tell_of_change}, req, node_ref(m->nodes, node)};
    workers_submit(m->workers, &changed->work);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                       struct fuse_file_info *fi)
{
    struct node *node = node_of(req, ino);
    int status;

    (void)fi;
    if (node == NULL)
        return;
    status = change(req, node, attr, to_set);
    if (status != 0)
        fuse_reply_err(req, status);
    else
        reply_changed(req, node);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct node *node = node_of(req, ino);

    if (node == NULL)
        return;
    if (node->place.kind == PLACE_LINK)
        fuse_reply_readlink(req, node->place.link);
    else
        fuse_reply_err(req, EINVAL);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct node *dir = node_of(req, parent);

    if (dir != NULL)
        dir_make_pool(req, mount_of(req), dir, name, mode);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *dir = node_of(req, parent);

    if (dir != NULL)
        deletion_begin(req, mount_of(req), dir, name);
}

/* Everything that would change the shape of the tree is EPERM; ENOSYS would read "Function not implemented". */
static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
    (void)parent, (void)name, (void)mode, (void)dev;
    fuse_reply_err(req, EPERM);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    struct mount *m = mount_of(req);
    struct node *dir = node_of(req, parent);

    (void)mode, (void)fi;
    if (dir != NULL)
        fuse_reply_err(req, failure_forbid(m, dir, name, EPERM, "no file can be made here",
                                           dir->pool != NULL
                                               ? "Messages go into `append` of the pool, lines of text into `lines`."
                                               : "`mkdir ci` makes a pool; messages go into ci/append."));
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
    (void)link, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
    (void)ino, (void)newparent, (void)newname;
    fuse_reply_err(req, EPERM);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
                      const char *newname, unsigned flags)
{
    (void)parent, (void)name, (void)newparent, (void)newname, (void)flags;
    fuse_reply_err(req, EPERM);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, ino);

    if (node != NULL)
        open_node(req, mount_of(req), node, fi->flags);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);

    (void)ino;
    if (off < 0)
        fuse_reply_err(req, EINVAL);
    else
        h->ops->read(req, h, size, off, fi);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *p, size_t n, off_t off,
                     struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);

    (void)ino, (void)off;
    if (h->ops->write == NULL)
        fuse_reply_err(req, EBADF);
    else
        h->ops->write(req, h, p, n, fi);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);

    (void)ino;
    if (h->ops->flush == NULL)
        fuse_reply_err(req, 0);
    else
        h->ops->flush(req, h);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);

    (void)ino, (void)datasync;
    if (h->ops->fsync == NULL)
        fuse_reply_err(req, 0);
    else
        h->ops->fsync(req, h);
}

static void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
                    struct fuse_pollhandle *ph)
{
    struct handle *h = handle_of(fi);

    (void)ino;
    h->ops->poll(req, h, ph);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);

    (void)ino;
    if (h->ops->release != NULL)
        h->ops->release(h);
    handle_unref(h);
    fuse_reply_err(req, 0);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, ino);

    if (node != NULL)
        dir_open(req, mount_of(req), node, fi);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                       struct fuse_file_info *fi)
{
    (void)ino;
    dir_read(req, size, off, fi);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    dir_release(req, fi);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino, (void)datasync, (void)fi;
    fuse_reply_err(req, 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    dir_statfs(req, mount_of(req));
}

/* Not here on purpose: xattr, lseek, locks (ENOSYS once, then the kernel answers itself); readdirplus (ls must not stat). */
const struct fuse_lowlevel_ops ops_table = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .flush = op_flush,
    .release = op_release,
    .fsync = op_fsync,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_releasedir,
    .fsyncdir = op_fsyncdir,
    .statfs = op_statfs,
    .create = op_create,
    .poll = op_poll,
};
