#include "stale.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mounts.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

extern char **environ;

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
    auto_free char *path = mounts_path(point);
    bool ours;

    if (path == NULL)
        return no_such_point(point, errno, err);
    ours = mounts_shows_pools(path, NULL);
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
