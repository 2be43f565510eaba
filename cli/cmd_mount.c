/* mount and umount start other programs, as git starts its helpers. */
#include "cli.h"
#include "pool/store.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELPER "plasmite-fs"

struct mount_options {
    bool foreground;
    struct opt_list options;
    struct opt_list places;
};

#define OPTIONS struct mount_options
static const struct option_spec mount_table[] = {
    ARG("[SOURCE] MNT", places, "pool directory (default: --dir); directory to mount it on"),
    OPT('f', "foreground", foreground, NULL, "stay in the foreground"),
    OPT('o', "options", options, "OPTS", "mount options, separated by commas; may be repeated"),
    OPT_END,
};
#undef OPTIONS

/* The helper beside our own file: the build tree, or an installation that was moved as a whole. */
static int helper_beside(struct buf *path)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    const char *slash;

    if (n <= 0 || (slash = memrchr(self, '/', (size_t)n)) == NULL)
        return -1;
    buf_add(path, self, (size_t)(slash + 1 - self));
    buf_add_str(path, HELPER);
    return buf_str(path) != NULL && access(path->p, X_OK) == 0 ? 0 : -1;
}

/* Becomes the other program; returns only when that fails. */
static void become(const char *path, const char *const *argv)
{
    signal(SIGPIPE, SIG_DFL);
    execvp(path, (char *const *)argv); /* which it does not change */
}

static int start_helper(struct cli *cli, const char *const *argv)
{
    auto_buf struct buf path = BUF_INIT;

    if (helper_beside(&path) == 0)
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
    .details = "  plasmite mount ~/pools\n"
               "  echo '{\"status\":\"green\"}' > ~/pools/ci/append\n"
               "  head -n1 ~/pools/ci/follow\n"
               "  plasmite umount ~/pools\n",
};

struct umount_options {
    const char *place;
};

#define OPTIONS struct umount_options
static const struct option_spec umount_table[] = {
    ARG("MNT", place, "directory a pool directory is mounted on"),
    OPT_END,
};
#undef OPTIONS

static int run_umount(const void *values, void *program)
{
    const struct umount_options *o = values;
    struct cli *cli = program;

    become("fusermount3", (const char *const[]){"fusermount3", "-u", "--", o->place, NULL});
    fail_os(&cli->error, PLSM_ERROR_NOT_FOUND, errno, "fusermount3 cannot be started");
    return fail_hint(&cli->error, "Install it: `apt-get install fuse3`.");
}

const struct command_spec cmd_umount = {
    .name = "umount",
    .summary = "Unmount what `mount` has mounted",
    .usage = "<MNT>",
    .options = umount_table,
    .values_size = sizeof(struct umount_options),
    .run = run_umount,
};
