/* mount and umount start other programs, as git starts its helpers. */
#include "base/cleanup.h"
#include "base/mounts.h"
#include "child.h"
#include "cli.h"
#include "holders.h"
#include "pool/store.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELPER "plasmite-fs"

struct mount_options {
    bool foreground;
    struct opt_list options;
    struct opt_list places;
};

#define OPTIONS struct mount_options
static const struct option_spec mount_table[] = {
    OPT(0, "[SOURCE] MNT", places, NULL,
        "pool directory (default: --dir); directory to mount it on",
        .flags = OPT_ARGUMENT | OPT_PATH),
    OPT('f', "foreground", foreground, NULL, "stay in the foreground"),
    OPT('o', "options", options, "OPTS", "mount options, separated by commas; may be repeated"),
    OPT_END,
};
#undef OPTIONS

/* The helper in a folder that is known from that of our own file. */
static int find_helper(const char *folder, struct buf *path)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    const char *slash;

    if (n <= 0 || (slash = memrchr(self, '/', (size_t)n)) == NULL)
        return -1;
    buf_clear(path);
    buf_add(path, self, (size_t)(slash + 1 - self));
    buf_add_str(path, folder);
    buf_add_str(path, HELPER);
    return buf_str(path) != NULL && access(path->p, X_OK) == 0 ? 0 : -1;
}

/* Becomes the other program; returns only when that fails. */
static void become(const char *path, const char *const *argv)
{
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    execvp(path, (char *const *)argv); /* which it does not change */
}

static int start_helper(struct cli *cli, const char *const *argv)
{
    /* the build tree; an installation, wherever `cmake --install --prefix` or a package has put it */
    static const char *const folders[] = {"", PLASMITE_LIBEXEC_FROM_BIN "/plasmite/"};
    auto_buf struct buf path = BUF_INIT;

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (find_helper(folders[i], &path) == 0)
            become(path.p, argv);
    become(PLASMITE_LIBEXECDIR "/plasmite/" HELPER, argv);
    fail_os(&cli->error, PLSM_ERROR_NOT_FOUND, errno, "the program " HELPER " cannot be started");
    fail_path(&cli->error, PLASMITE_LIBEXECDIR "/plasmite/" HELPER);
    return fail_hint(&cli->error, "Install it with plasmite; it needs libfuse3.");
}

static int run_mount(const void *values, void *program)
{
    const struct mount_options *o = values;
    struct cli *cli = program;
    const char *source = o->places.n > 1 ? o->places.items[0] : cli_dir(cli);
    const char **argv = calloc(2 * o->options.n + 5, sizeof *argv);
    size_t n = 0;
    int code;

    if (argv == NULL || source == NULL) {
        code = fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    } else if (o->places.n > 2) {
        code = fail(&cli->error, PLSM_ERROR_USAGE, "unexpected argument '%s' found",
                    o->places.items[2]);
        fail_hint(&cli->error, "Try `plasmite mount --help`.");
    } else if (o->places.n < 2 && store_make_dir(source, &cli->error) < 0) {
        code = -1;
    } else {
        argv[n++] = HELPER;
        if (o->foreground)
            argv[n++] = "-f";
        for (size_t i = 0; i < o->options.n; i++) {
            argv[n++] = "-o";
            argv[n++] = o->options.items[i];
        }
        argv[n++] = source;
        argv[n++] = o->places.items[o->places.n - 1];
        code = start_helper(cli, argv);
    }
    free(argv);
    return code;
}

const struct command_spec cmd_mount = {
    .name = "mount",
    .summary = "Mount a directory of pools: every pool a directory of files",
    .usage = "[OPTIONS] [SOURCE] <MNT>",
    .options = mount_table,
    .values_size = sizeof(struct mount_options),
    .run = run_mount,
    .details = "In the mount every pool is a directory: write JSON to its file append, read "
               "follow, tail,\n"
               "data and others; README there explains them.\n"
               "\n"
               "MOUNT OPTIONS\n"
               "  allow_other     let other users in, as far as the pools' permissions allow\n"
               "  ro, rw          read-only, or not, which is the default\n"
               "  size=SIZE       of pools made with mkdir (default 1M)\n"
               "  list_live=no    hide follow and next\n"
               "  heartbeat=SEC   a blank line for a reader who has waited this long (default: "
               "none)\n"
               "  append_size=N   the size that append and lines show, in bytes (default 0)\n"
               "  auto_unmount    unmount when the program that serves the mount dies\n"
               "  remount         take the place of the mount that is there\n"
               "\n"
               "EXAMPLES\n"
               "  mkdir ~/pools\n"
               "  plasmite mount ~/pools\n"
               "  echo '{\"status\":\"green\"}' > ~/pools/ci/append\n"
               "  head -n1 ~/pools/ci/follow\n"
               "  plasmite umount ~/pools\n",
};

struct umount_options {
    bool lazy;
    const char *place;
};

#define OPTIONS struct umount_options
static const struct option_spec umount_table[] = {
    OPT(0, "MNT", place, NULL, "directory a pool directory is mounted on",
        .flags = OPT_ARGUMENT | OPT_PATH),
    OPT('l', "lazy", lazy, NULL,
        "also while it is in use: whoever has files open there keeps them"),
    OPT_END,
};
#undef OPTIONS

#define BUSY "Device or resource busy"
#define BUSY_AGAIN 5
#define BUSY_PAUSE_NS 20000000

/* What fusermount3 says, by its end, and what it means. */
static const struct {
    const char *says;
    enum plsm_error_kind kind;
    const char *message, *hint;
} refusals[] = {
    {"Invalid argument",          PLSM_ERROR_NOT_FOUND,  "nothing is mounted at '%s'",
     "`mount -t fuse.plasmite` shows what is."                                                    },
    {"/etc/mtab",                 PLSM_ERROR_NOT_FOUND,  "nothing is mounted at '%s'",
     "`mount -t fuse.plasmite` shows what is."                                                    },
    {"No such file or directory", PLSM_ERROR_NOT_FOUND,  "there is no '%s'",
     "`mount -t fuse.plasmite` shows what is."                                                    },
    {BUSY,                        PLSM_ERROR_BUSY,       "'%s' is in use",
     "Close what is open there and leave the directory (root sees who is there with `fuser -vm`), "
     "or use --lazy: then it goes when they are done."                                            },
    {"Operation not permitted",   PLSM_ERROR_PERMISSION, "'%s' was mounted by somebody else",
     "Only who mounted it, or root, can unmount it."                                              },
    {"",                          PLSM_ERROR_IO,         "'%s' cannot be unmounted",          NULL},
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);

    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* Says who uses the place, if that can be seen. */
static void name_holders(struct error *err, const char *place)
{
    auto_free char *path = realpath(place, NULL);
    auto_buf struct buf names = BUF_INIT;

    if (path != NULL)
        holders_add(path, &names);
    if (names.n == 0 || buf_str(&names) == NULL)
        return;
    fail(err, PLSM_ERROR_BUSY, "'%s' is in use by %s", place, names.p);
    fail_hint(err, "Have them close their files and leave the directory, or use --lazy: then it "
                   "goes when they are done.");
}

/* fusermount3 looks among the mounts of its caller, and finds none. */
static bool is_of_another(const char *text, const char *place)
{
    auto_free char *path = mounts_path(place);

    return ends_with(text, "/etc/mtab") && path != NULL && mounts_shows_pools(path, NULL);
}

/* What was said, without the end of its line. */
static const char *text_of(struct buf *said)
{
    while (said->n > 0 && said->p[said->n - 1] == '\n')
        said->n--;
    return buf_str(said) != NULL ? said->p : "";
}

static bool is_busy(struct buf *said)
{
    return ends_with(text_of(said), BUSY);
}

static int refused(struct error *err, const char *place, struct buf *said)
{
    const char *text = text_of(said), *meant;
    size_t i = 0;

    meant = is_of_another(text, place) ? "Operation not permitted" : text;
    while (!ends_with(meant, refusals[i].says))
        i++;
    fail(err, refusals[i].kind, refusals[i].message, place);
    if (refusals[i].hint != NULL)
        fail_hint(err, "%s", refusals[i].hint);
    if (refusals[i].kind == PLSM_ERROR_BUSY)
        name_holders(err, place);
    snprintf(err->cause, sizeof err->cause, "%s", text);
    return fail_path(err, place);
}

/* Reads what the child has to say to the end of it, or as much as is of use. */
static void hear(int fd, struct buf *said)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char piece[256];

    while (said->n < sizeof((struct error *)0)->cause) {
        ssize_t n = poll(&ready, 1, -1) < 0 ? -1 : read(fd, piece, sizeof piece);

        if (n == 0)
            return;
        if (n > 0)
            buf_add(said, piece, (size_t)n);
    }
}

/* fusermount3 lets root unmount anything, /proc included. */
static int check_is_ours(const char *place, struct error *err)
{
    auto_free char *path = mounts_path(place);
    auto_free char *type = path == NULL ? NULL : mounts_type(path, NULL);

    if (type == NULL || mounts_shows_pools(path, NULL))
        return 0; /* of what is not there it knows more */
    fail(err, PLSM_ERROR_NOT_FOUND, "no pools are mounted at '%s', but something else (%s)", place,
         type);
    fail_hint(err, "`mount -t fuse.plasmite` shows where pools are; umount(8) unmounts the rest.");
    return fail_path(err, place);
}

static int no_fusermount3(struct error *err)
{
    char cause[sizeof err->cause];

    snprintf(cause, sizeof cause, "%s", err->cause);
    fail(err, PLSM_ERROR_NOT_FOUND, "fusermount3, which unmounts, cannot be started");
    if (cause[0] != '\0')
        fail_cause(err, cause);
    return fail_hint(err, "Install it: `apt-get install fuse3`.");
}

static int run_umount(const void *values, void *program)
{
    const struct umount_options *o = values;
    struct error *err = &((struct cli *)program)->error;
    auto_buf struct buf said = BUF_INIT;
    const char *const argv[] = {"fusermount3", o->lazy ? "-uz" : "-u", "--", o->place, NULL};
    struct child child;
    int status;

    if (check_is_ours(o->place, err) < 0)
        return -1;
    /* The mount itself is in the way for a moment when it tells of a change of `log`, and others may be who just end. */
    for (int again = BUSY_AGAIN; again >= 0; again--) {
        buf_clear(&said);
        if (child_start(argv, &child, err) < 0)
            return no_fusermount3(err);
        hear(child.err, &said);
        status = child_wait(&child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return 0;
        if (!is_busy(&said))
            break;
        nanosleep(&(struct timespec){.tv_nsec = BUSY_PAUSE_NS}, NULL);
    }
    return refused(err, o->place, &said);
}

const struct command_spec cmd_umount = {
    .name = "umount",
    .summary = "Unmount what `mount` has mounted",
    .usage = "[OPTIONS] <MNT>",
    .options = umount_table,
    .values_size = sizeof(struct umount_options),
    .run = run_umount,
    .details = "EXAMPLES\n"
               "  plasmite umount ~/pools\n",
};
