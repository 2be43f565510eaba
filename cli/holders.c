#include "holders.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMED_MAX 4

/* Does the link of /proc point to the place or below it? */
static bool is_there(int dir, const char *link, const char *place)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(dir, link, target, sizeof target - 1);
    size_t n = strlen(place);

    if (len < 0)
        return false;
    target[len] = '\0';
    return strncmp(target, place, n) == 0 && (target[n] == '/' || target[n] == '\0');
}

static bool has_open(int process, const char *place)
{
    int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    bool found = false;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (!found && (entry = readdir(dir)) != NULL)
        found = is_there(dirfd(dir), entry->d_name, place);
    closedir(dir);
    return found;
}

static bool holds(int process, const char *place)
{
    return is_there(process, "cwd", place) || is_there(process, "root", place) ||
           is_there(process, "exe", place) || has_open(process, place);
}

static void add_name(int process, const char *pid, struct buf *text)
{
    int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
    char name[64];
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof name);

    if (fd >= 0)
        close(fd);
    if (n > 0 && name[n - 1] == '\n')
        n--;
    for (ssize_t i = 0; i < n; i++) /* a process may call itself anything */
        if (!isprint((unsigned char)name[i]))
            name[i] = '?';
    if (n > 0)
        buf_add(text, name, (size_t)n);
    else
        buf_add_str(text, "a program");
    buf_add_str(text, " (pid ");
    buf_add_str(text, pid);
    buf_add_char(text, ')');
}

void holders_add(const char *place, struct buf *text)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    unsigned n = 0;

    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        int process;

        if (!isdigit((unsigned char)entry->d_name[0]) || atol(entry->d_name) == getpid())
            continue;
        process = openat(dirfd(proc), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (process < 0)
            continue;
        if (holds(process, place) && n++ < NAMED_MAX) {
            if (n > 1)
                buf_add_str(text, ", ");
            add_name(process, entry->d_name, text);
        }
        close(process);
    }
    if (proc != NULL)
        closedir(proc);
    if (n > NAMED_MAX) {
        char more[32];

        snprintf(more, sizeof more, " and %u more", n - NAMED_MAX);
        buf_add_str(text, more);
    }
}
