/*
 * The empty file system, the floor under the mount:  bench_fusefs MOUNTPOINT
 *
 * Directories `a` and `b` with four files each.  `all` is 64 MiB of nothing, out of the same few pages; `text` is 64 MiB that lie ready in
 * memory, as they must for any file system that has something to show.  `append` takes every write and throws it away, except that a
 * read of `follow` that waits is answered with it.  Node classes, flags and timeouts are those of our mount, so that the kernel does the
 * same work for both; one thread, as there.  Runs in the foreground until SIGTERM.
 */
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG_TIMEOUT 3600.0 /* seconds: these names never change */
#define STREAM_BYTES 4096   /* what a stream says its size is */
#define UNREAD_MAX 4096     /* bytes kept for a reader that is not back yet */

#define ALL_BYTES (64 << 20)

enum {
    NODE_ROOT = FUSE_ROOT_ID,
    NODE_A,
    NODE_B,
    NODE_APPEND_A,
    NODE_APPEND_B,
    NODE_FOLLOW_A,
    NODE_FOLLOW_B,
    NODE_ALL_A,
    NODE_ALL_B,
    NODE_TEXT_A,
    NODE_TEXT_B
};

/* One `follow`. */
struct line {
    unsigned readers;
    fuse_req_t parked; /* a read that waits; NULL: none */
    size_t n;          /* bytes not yet read */
    char unread[UNREAD_MAX];
};

static struct line lines[2];
static char *text; /* ALL_BYTES */

static struct line *line_of(fuse_ino_t node)
{
    return &lines[node == NODE_APPEND_B || node == NODE_FOLLOW_B];
}

static bool is_follow(fuse_ino_t node)
{
    return node == NODE_FOLLOW_A || node == NODE_FOLLOW_B;
}

static bool is_all(fuse_ino_t node)
{
    return node == NODE_ALL_A || node == NODE_ALL_B;
}

static bool is_text(fuse_ino_t node)
{
    return node == NODE_TEXT_A || node == NODE_TEXT_B;
}

static bool is_view(fuse_ino_t node)
{
    return is_all(node) || is_text(node);
}

static bool is_append(fuse_ino_t node)
{
    return node == NODE_APPEND_A || node == NODE_APPEND_B;
}

static struct stat attr_of(fuse_ino_t node)
{
    struct stat st = {.st_ino = node, .st_nlink = 1, .st_uid = getuid(), .st_gid = getgid()};

    st.st_mode = is_follow(node) || is_view(node) ? S_IFREG | 0444
                 : is_append(node)                ? S_IFREG | 0666
                                                  : S_IFDIR | 0755;
    if (is_follow(node)) {
        st.st_size = STREAM_BYTES;
        st.st_blocks = STREAM_BYTES / 512;
    }
    if (is_view(node)) {
        st.st_size = ALL_BYTES;
        st.st_blocks = ALL_BYTES / 512;
    }
    return st;
}

static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
    static const struct {
        fuse_ino_t parent;
        const char *name;
        fuse_ino_t node;
    } names[] = {
        {NODE_ROOT, "a", NODE_A},          {NODE_ROOT, "b", NODE_B},          {NODE_A, "append", NODE_APPEND_A},
        {NODE_B, "append", NODE_APPEND_B}, {NODE_A, "follow", NODE_FOLLOW_A}, {NODE_B, "follow", NODE_FOLLOW_B},
        {NODE_A, "all", NODE_ALL_A},       {NODE_B, "all", NODE_ALL_B},
        {NODE_A, "text", NODE_TEXT_A},     {NODE_B, "text", NODE_TEXT_B},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].parent == parent && strcmp(names[i].name, name) == 0)
            return names[i].node;
    return 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    fuse_ino_t node = find(parent, name);
    struct fuse_entry_param entry = {.ino = node, .attr_timeout = LONG_TIMEOUT};

    if (node == 0) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    entry.attr = attr_of(node);
    entry.entry_timeout = is_follow(node) ? 1 : LONG_TIMEOUT;
    fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
    struct stat st = attr_of(node);

    (void)fi;
    fuse_reply_attr(req, &st, LONG_TIMEOUT);
}

static void op_setattr(fuse_req_t req, fuse_ino_t node, struct stat *attr, int to_set,
                       struct fuse_file_info *fi)
{
    (void)attr;
    (void)to_set;
    op_getattr(req, node, fi);
}

/* The flags are newer than libfuse 3.14's fuse_file_info, so the reply is made by hand. */
static void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
    struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO};

    (void)fi;
    if (is_view(node)) {
        out.open_flags = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH;
    } else if (is_append(node)) {
        out.open_flags |= FOPEN_STREAM | FOPEN_NONSEEKABLE | FOPEN_PARALLEL_DIRECT_WRITES;
    } else {
        out.open_flags |= FOPEN_NOFLUSH;
        line_of(node)->readers++;
    }
    fuse_reply_buf(req, (const char *)&out, sizeof out);
}

static void op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
    (void)fi;
    if (is_follow(node) && --line_of(node)->readers == 0)
        line_of(node)->n = 0;
    fuse_reply_err(req, 0);
}

static void op_flush(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
    (void)node;
    (void)fi;
    fuse_reply_err(req, 0);
}

static void op_write(fuse_req_t req, fuse_ino_t node, const char *p, size_t n, off_t off,
                     struct fuse_file_info *fi)
{
    struct line *line = line_of(node);
    fuse_req_t reader = line->parked;

    (void)off;
    (void)fi;
    if (reader != NULL) {
        line->parked = NULL;
        fuse_reply_buf(reader, p, n);
    } else if (line->readers > 0 && line->n + n <= UNREAD_MAX) {
        memcpy(line->unread + line->n, p, n);
        line->n += n;
    }
    fuse_reply_write(req, n);
}

/* A reader that is interrupted leaves; called in the one thread there is. */
static void interrupted(fuse_req_t req, void *data)
{
    struct line *line = data;

    if (line->parked == req) {
        line->parked = NULL;
        fuse_reply_err(req, EINTR);
    }
}

static void op_read(fuse_req_t req, fuse_ino_t node, size_t n, off_t off, struct fuse_file_info *fi)
{
    static const char nothing[1 << 20];
    struct line *line = line_of(node);

    (void)fi;
    if (is_view(node)) {
        if (n > sizeof nothing)
            n = sizeof nothing;
        if (off + (off_t)n > ALL_BYTES)
            n = off < ALL_BYTES ? (size_t)(ALL_BYTES - off) : 0;
        fuse_reply_buf(req, is_text(node) ? text + off : nothing, n);
    } else if (is_append(node)) {
        fuse_reply_buf(req, NULL, 0);
    } else if (line->n > 0 && line->n <= n) {
        fuse_reply_buf(req, line->unread, line->n);
        line->n = 0;
    } else if (line->n > 0) {
        fuse_reply_err(req, EINVAL); /* more than is asked for: nobody here reads so little */
    } else if (line->parked != NULL) {
        fuse_reply_err(req, EBUSY); /* one reader at a time is all that is measured */
    } else {
        line->parked = req;
        fuse_req_interrupt_func(req, interrupted, line);
    }
}

static const struct fuse_lowlevel_ops ops = {
    .lookup = op_lookup,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .open = op_open,
    .release = op_release,
    .flush = op_flush,
    .write = op_write,
    .read = op_read,
};

int main(int argc, char **argv)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);

    if (argc != 2) {
        fprintf(stderr, "usage: bench_fusefs MOUNTPOINT\n");
        return 2;
    }
    text = malloc(ALL_BYTES);
    if (text == NULL)
        return 1;
    memset(text, 'x', ALL_BYTES);
    if (fuse_opt_add_arg(&args, argv[0]) != 0 || fuse_opt_add_arg(&args, "-o") != 0 ||
        fuse_opt_add_arg(&args, "fsname=bench,subtype=bench,default_permissions") != 0)
        return 1;
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, NULL);
    if (session == NULL || fuse_set_signal_handlers(session) != 0)
        return 1;
    if (fuse_session_mount(session, argv[1]) != 0)
        return 1;
    int result = fuse_session_loop(session);
    for (size_t i = 0; i < 2; i++)
        if (lines[i].parked != NULL)
            fuse_reply_err(lines[i].parked, ECONNABORTED);
    fuse_session_unmount(session);
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    free(text);
    return result < 0 ? 1 : 0; /* a signal that ended the loop is its number */
}
