#include "attr.h"

#include "base/units.h"
#include "log.h"

#include <string.h>
#include <unistd.h>

#define CONSTANT 3600.0 /* seconds: until somebody says otherwise */
#define FORGET_MAX 1024 /* files of a pool told of at once */
#define STREAM_BYTES                                                                               \
    4096 /* splice programs read nothing at all from a file of size 0; sysfs does the same */

static mode_t type_of(const struct place *place)
{
    if (path_is_dir(place))
        return S_IFDIR;
    return place->kind == PLACE_LINK ? S_IFLNK : S_IFREG;
}

/* x for each class that has r or w: who may only write must be able to enter. */
static mode_t directory_mode(mode_t mode)
{
    return (mode & 0666) | (mode & 0444) >> 2 | (mode & 0222) >> 1;
}

static mode_t mode_of(const struct place *place, mode_t mode)
{
    switch (place->kind) {
    case PLACE_ROOT:
        return mode & 07777;
    case PLACE_VIEW:
    case PLACE_PARAM:
    case PLACE_SYSTEM:
    case PLACE_STAT:
        return directory_mode(mode);
    case PLACE_LINK:
        return 0777;
    case PLACE_APPEND:
    case PLACE_LINES:
    case PLACE_LOG:
        return mode & 0666;
    case PLACE_SIZE:
    case PLACE_CTL:
        return mode & 0600;
    default:
        return mode & 0444;
    }
}

static void set_time(struct stat *st, uint64_t time_ns)
{
    st->st_mtim.tv_sec = (time_t)(time_ns / NS_PER_S);
    st->st_mtim.tv_nsec = (long)(time_ns % NS_PER_S);
    st->st_atim = st->st_ctim = st->st_mtim;
}

static uint64_t time_of(const struct mount *m, const struct node *node)
{
    if (node->place.kind == PLACE_README)
        return m->start_ns;
    if (node->snapshot != NULL)
        return snapshot_time(node->snapshot);
    if (node->pool != NULL && path_is_dir(&node->place))
        return node->pool->created_ns;
    return m->start_ns;
}

static void describe_log(struct node *node, struct stat *st)
{
    uint64_t size, time_ns;

    log_stat(node, &size, &time_ns);
    st->st_size = (off_t)size;
    st->st_blocks = (st->st_size + 511) / 512; /* full: a hole would be copied as NULs */
    set_time(st, time_ns);
}

static void set_size(const struct mount *m, const struct node *node, struct stat *st)
{
    if (node->snapshot != NULL)
        st->st_size = (off_t)snapshot_size(node->snapshot);
    else if (path_is_stream(&node->place))
        st->st_size = STREAM_BYTES;
    else if (node->place.kind == PLACE_LINK)
        st->st_size = (off_t)strlen(node->place.link);
    else if (node->place.kind == PLACE_APPEND || node->place.kind == PLACE_LINES)
        st->st_size = (off_t)m->append_bytes;
    st->st_blocks = S_ISREG(st->st_mode) ? (st->st_size + 511) / 512 : 0;
}

void attr_fill_dirent(const struct place *place, const struct mpool *pool, struct stat *st)
{
    *st = (struct stat){.st_mode = type_of(place), .st_ino = node_ino(pool, place)};
}

void attr_fill_pool_dirent(const struct place *place, ino_t file, struct stat *st)
{
    *st = (struct stat){.st_mode = type_of(place), .st_ino = node_pool_ino(file, place)};
}

void attr_fill(struct mount *m, struct node *node, struct stat *st)
{
    struct stat owner = {.st_mode = 0700, .st_uid = getuid(), .st_gid = getgid()};

    if (node->pool != NULL)
        mpool_stat(node->pool, &owner);
    else
        (void)stat(m->dir, &owner); /* the directory may be gone: then it is ours */
    *st = (struct stat){.st_ino = node->ino,
                        .st_mode = type_of(&node->place) | mode_of(&node->place, owner.st_mode),
                        .st_nlink = 1,
                        .st_uid = owner.st_uid,
                        .st_gid = owner.st_gid,
                        .st_blksize = 128 * 1024};
    set_size(m, node, st);
    set_time(st, time_of(m, node));
    if (node->place.kind == PLACE_LOG)
        describe_log(node, st);
}

double attr_timeout(const struct node *node)
{
    switch (node->place.kind) {
    case PLACE_ROOT:
        return 1;
    case PLACE_LOG:
        return 0;
    case PLACE_VIEW:
        return path_is_pool(&node->place) ? CONSTANT : 1;
    default:
        return CONSTANT;
    }
}

double entry_timeout(const struct node *node)
{
    switch (node->place.kind) {
    case PLACE_VIEW:
        return path_is_pool(&node->place) ? CONSTANT : 1;
    case PLACE_README:
    case PLACE_VERSION:
    case PLACE_SYSTEM:
    case PLACE_PARAM:
    case PLACE_STAT:
    case PLACE_APPEND:
    case PLACE_LINES:
    case PLACE_LINK:
        return CONSTANT;
    default:
        return path_is_stream(&node->place) || node->place.kind == PLACE_LOG ? 1 : 0;
    }
}

/* An offset below zero leaves the cached content. */
void attr_forget(struct mount *m, const struct mpool *pool)
{
    uint64_t ids[FORGET_MAX];
    size_t n = nodes_below(m->nodes, pool, ids, FORGET_MAX);

    atomic_fetch_add(&m->notifications, n);
    for (size_t i = 0; i < n; i++)
        (void)fuse_lowlevel_notify_inval_inode(m->session, ids[i], -1, 0);
}
