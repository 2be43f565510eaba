#include "stale.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

extern char **environ;

/* realpath(), also of a mount whose daemon is dead: then its parent's path and its own name. */
static char *absolute(const char *point)
{
    char *path = realpath(point, NULL), *joined = NULL;
    auto_free char *for_dir = NULL, *for_base = NULL, *dir = NULL;

    if (path != NULL || errno != ENOTCONN)
        return path;
    for_dir = strdup(point);
    for_base = strdup(point);
    if (for_dir == NULL || for_base == NULL)
        return NULL;
    dir = realpath(dirname(for_dir), NULL);
    if (dir == NULL ||
        asprintf(&joined, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, basename(for_base)) < 0)
        return NULL;
    return joined;
}

/* mountinfo writes blanks and backslashes as three octal digits. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] != '\0' &&
            from[3] != '\0') {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

bool stale_is_ours(const char *point, dev_t *ret_device)
{
    auto_file FILE *file = fopen("/proc/self/mountinfo", "re");
    auto_free char *line = NULL;
    size_t cap = 0;
    bool ours = false;

    while (file != NULL && getline(&line, &cap, file) > 0) {
        auto_free char *at = NULL;
        const char *rest = strstr(line, " - ");
        unsigned major, minor;

        if (rest == NULL || sscanf(line, "%*s %*s %u:%u %*s %ms", &major, &minor, &at) != 3)
            continue;
        unescape(at);
        if (strcmp(at, point) != 0)
            continue;
        ours = strncmp(rest, " - fuse.plasmite ", 17) == 0;
        *ret_device = makedev(major, minor);
    }
    return ours;
}

static int let_go(const char *point, struct error *err)
{
    char name[] = "fusermount3", flags[] = "-uzq";
    char *argv[] = {name, flags, (char *)point, NULL};
    pid_t pid;
    int status;

    if (umount2(point, MNT_DETACH) == 0)
        return 0;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0 &&
        waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    (void)fail(err, PLSM_ERROR_IO, "the mount at '%s' cannot be unmounted", point);
    return fail_hint(err, "Try `fusermount3 -uz %s`.", point);
}

static int no_such_point(const char *point, int os_errno, struct error *err)
{
    if (os_errno != ENOENT && os_errno != ENOTDIR)
        return fail_os(err, PLSM_ERROR_IO, os_errno, "cannot look at the mount point '%s'", point);
    (void)fail(err, PLSM_ERROR_NOT_FOUND, "mount point '%s' does not exist", point);
    return fail_hint(err, "Create it with `mkdir %s`.", point);
}

/* stat() could be answered by the kernel from memory; this cannot. */
static bool is_alive(const char *path)
{
    struct statvfs answer;

    return statvfs(path, &answer) == 0 || errno != ENOTCONN;
}

static int already_mounted(const char *path, struct error *err)
{
    auto_buf struct buf command = BUF_INIT;

    (void)fail(err, PLSM_ERROR_ALREADY_EXISTS, "pools are already mounted at '%s'", path);
    buf_add_str(&command, "plasmite umount ");
    buf_add_shell_word(&command, path);
    return fail_hint_command(err, "Unmount it first with ", buf_str(&command),
                             ", or replace it with the mount option remount.",
                             "Unmount it first, or replace it with the mount option remount.");
}

int stale_find(const char *point, bool replace, char **ret_path, bool *ret_ours, struct error *err)
{
    auto_free char *path = absolute(point);
    dev_t device;
    bool ours;

    if (path == NULL)
        return no_such_point(point, errno, err);
    ours = stale_is_ours(path, &device);
    if (replace && !ours) {
        (void)fail(err, PLSM_ERROR_NOT_FOUND, "no pools are mounted at '%s': nothing to remount",
                   path);
        return fail_hint(err, "Mount them without the option remount.");
    }
    if (ours && !replace && is_alive(path))
        return already_mounted(path, err);
    *ret_ours = ours;
    *ret_path = path;
    path = NULL;
    return 0;
}

int stale_clear(const char *path, bool ours, struct error *err)
{
    struct stat st;

    if (ours && let_go(path, err) < 0)
        return -1;
    if (stat(path, &st) < 0)
        return no_such_point(path, errno, err);
    if (!S_ISDIR(st.st_mode))
        return fail(err, PLSM_ERROR_USAGE, "mount point '%s' is not a directory", path);
    return 0;
}
