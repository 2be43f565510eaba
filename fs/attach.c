#include "attach.h"

#include "base/cleanup.h"
#include "base/mounts.h"
#include "ops.h"
#include "wire.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What libfuse and fusermount3 say, and what that means to the user. */
static const struct {
    const char *says;
    enum plsm_error_kind kind;
    const char *message; /* of the mount point */
    const char *hint;
} reasons[] = {
    {"'user_allow_other'",                    PLSM_ERROR_PERMISSION,
     "cannot mount on '%s': only root may use the mount option allow_other",                                           "Leave it out, or have root put the line user_allow_other in /etc/fuse.conf."},
    {"failed to exec fusermount3",            PLSM_ERROR_NOT_FOUND,
     "cannot mount on '%s': fusermount3, which mounts for other users than root, is missing",                          "Install it: `apt-get install fuse3`."                                       },
    {"failed to open /dev/fuse: Permission",  PLSM_ERROR_PERMISSION,
     "cannot mount on '%s': you may not open /dev/fuse",                                                               "Have root allow it: `chmod 666 /dev/fuse`, as is usual."                    },
    {"device not found",                      PLSM_ERROR_NOT_FOUND,  "cannot mount on '%s': the kernel has no FUSE",
     "Load the module with `modprobe fuse`; a container needs --device /dev/fuse."                                                                                                                  },
    {"no write access to mountpoint",         PLSM_ERROR_PERMISSION,
     "cannot mount on '%s': you may not write in it",                                                                  "Mount on a directory of your own: `mkdir ~/pools`."                         },
    {"not owned by user",                     PLSM_ERROR_PERMISSION, "cannot mount on '%s': it is not your directory",
     "Mount on a directory of your own: `mkdir ~/pools`."                                                                                                                                           },
    {"mounting over filesystem type",         PLSM_ERROR_PERMISSION,
     "cannot mount on '%s': other users than root may not mount on a file system of its kind",                         "Mount on a directory of your own: `mkdir ~/pools`."                         },
    {"too many FUSE filesystems mounted",     PLSM_ERROR_BUSY,
     "cannot mount on '%s': too many FUSE file systems are mounted",                                                   "Unmount one, or have root raise mount_max in /etc/fuse.conf."               },
    {"mount failed: Operation not permitted", PLSM_ERROR_PERMISSION,
     "cannot mount on '%s': not permitted",                                                                            "fusermount3 has to be set-uid root; a container needs --cap-add SYS_ADMIN." },
    {"",                                      PLSM_ERROR_IO,         "cannot mount on '%s'",
     "Mounting needs fusermount3 (package fuse3) and access to /dev/fuse."                                                                                                                          },
};

/* They write to the standard error output; what they say is kept in a file instead. */
struct ear {
    int kept, file; /* -1 when there is none: then they are heard by everybody */
};

static struct ear ear_open(void)
{
    struct ear ear = {.kept = -1, .file = memfd_create("said", MFD_CLOEXEC)};

    if (ear.file >= 0)
        ear.kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (ear.kept >= 0)
        (void)dup2(ear.file, STDERR_FILENO);
    return ear;
}

/* The standard error output is what it was.  `text` is what was said, on one line. */
static void ear_close(struct ear *ear, char *text, size_t size)
{
    ssize_t n = 0;

    if (ear->kept >= 0) {
        (void)dup2(ear->kept, STDERR_FILENO);
        close(ear->kept);
    }
    if (ear->file >= 0) {
        n = pread(ear->file, text, size - 1, 0);
        close(ear->file);
    }
    text[n < 0 ? 0 : n] = '\0';
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    for (char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        *p = ';';
}

static int refused(const struct mount *m, const char *said, struct error *err)
{
    size_t i = 0;

    while (strstr(said, reasons[i].says) == NULL)
        i++;
    (void)fail(err, reasons[i].kind, reasons[i].message, m->point);
    if (*said != '\0')
        (void)fail_cause(err, said);
    return fail_hint(err, "%s", reasons[i].hint);
}

int attach(struct mount *m, char *options, struct error *err)
{
    char name[] = "plasmite-fs", flag[] = "-o", said[512];
    char *argv[] = {name, flag, options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    struct ear ear = ear_open();
    int mounted = -1;

    m->session = fuse_session_new(&args, &ops_table, sizeof ops_table, m);
    fuse_opt_free_args(&args);
    if (m->session != NULL)
        mounted = fuse_session_mount(m->session, m->point);
    ear_close(&ear, said, sizeof said);
    if (m->session == NULL) {
        (void)fail(err, PLSM_ERROR_IO, "libfuse refused the mount options '%s'", options);
        return *said != '\0' ? fail_cause(err, said) : -1;
    }
    if (mounted == 0) {
        if (!mounts_shows_pools(m->point, &m->device))
            m->device = 0;
        wire_use(m->session);
        return 0;
    }
    fuse_session_destroy(m->session);
    return refused(m, said, err);
}
