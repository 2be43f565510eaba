#include "base/mounts.h"

#include "base/cleanup.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

char *mounts_path(const char *point)
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

char *mounts_type(const char *path, dev_t *ret_dev)
{
    auto_file FILE *file = fopen("/proc/self/mountinfo", "re");
    auto_free char *line = NULL;
    size_t cap = 0;
    char *type = NULL;

    while (file != NULL && getline(&line, &cap, file) > 0) {
        auto_free char *root = NULL, *at = NULL;
        const char *rest = strstr(line, " - ");
        unsigned major, minor;

        if (rest == NULL ||
            sscanf(line, "%*s %*s %u:%u %ms %ms", &major, &minor, &root, &at) != 4)
            continue;
        unescape(at);
        if (strcmp(at, path) != 0)
            continue;
        free(type);
        if (ret_dev != NULL)
            *ret_dev = makedev(major, minor);
        type = strndup(rest + 3, strcspn(rest + 3, " \n"));
    }
    return type;
}

bool mounts_shows_pools(const char *path, dev_t *ret_dev)
{
    auto_free char *type = mounts_type(path, ret_dev);

    return type != NULL && strcmp(type, "fuse.plasmite") == 0;
}
