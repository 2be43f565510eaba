#include "pool/store.h"

#include "base/cleanup.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX_LEN (sizeof POOL_SUFFIX - 1)

static bool has_suffix(const char *name, size_t n)
{
    return n >= SUFFIX_LEN && memcmp(name + n - SUFFIX_LEN, POOL_SUFFIX, SUFFIX_LEN) == 0;
}

int store_default_dir(struct buf *out)
{
    const char *home = getenv("HOME");
    const size_t start = out->n;
    bool is_known = home != NULL && home[0] != '\0';

    if ((!is_known || (buf_add_str(out, home) == 0 && buf_add_char(out, '/') == 0)) &&
        buf_add_str(out, ".plasmite/pools") == 0)
        return 0;
    out->n = start;
    return -1;
}

int store_resolve(const char *dir, const char *reference, struct buf *out, struct error *err)
{
    const size_t n = strlen(reference), start = out->n;
    bool is_path = strchr(reference, '/') != NULL;
    bool is_file = has_suffix(reference, n);

    if (!is_path && n - (is_file ? SUFFIX_LEN : 0) > POOL_NAME_MAX)
        return fail(err, PLSM_ERROR_USAGE, "pool name is longer than %d bytes", POOL_NAME_MAX);

    if (!is_path) {
        buf_add_str(out, dir);
        buf_add_char(out, '/');
    }
    buf_add(out, reference, n);
    if (!is_path && !is_file)
        buf_add_str(out, POOL_SUFFIX);
    if (buf_str(out) == NULL || buf_failed(out)) {
        out->n = start;
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    }
    return 0;
}

int store_check_name(struct bytes name, struct error *err)
{
    if (name.n == 0)
        return fail(err, PLSM_ERROR_USAGE, "pool name must not be empty");
    if (memchr(name.p, '/', name.n) != NULL)
        return fail(err, PLSM_ERROR_USAGE, "pool name must not contain path separators");
    if (name.n > POOL_NAME_MAX)
        return fail(err, PLSM_ERROR_USAGE, "pool name is longer than %d bytes", POOL_NAME_MAX);
    if (name.p[0] == '.')
        return fail(err, PLSM_ERROR_USAGE, "pool name must not start with a dot");
    if (bytes_equal(name, BYTES("README")))
        return fail(err, PLSM_ERROR_USAGE, "README is not a pool name");
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
            return fail(err, PLSM_ERROR_USAGE, "pool name must not contain control characters");
    return 0;
}

int store_make_dir(const char *dir, struct error *err)
{
    return file_make_dirs(dir, err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct stored *)a)->name, ((const struct stored *)b)->name);
}

static int list_add(struct store_list *list, size_t *room, const struct dirent *entry, size_t n)
{
    if (list->n == *room) {
        size_t more = *room == 0 ? 16 : 2 * *room;
        struct stored *pools = reallocarray(list->pools, more, sizeof *pools);

        if (pools == NULL)
            return -1;
        list->pools = pools;
        *room = more;
    }
    struct stored *pool = &list->pools[list->n];
    *pool = (struct stored){.name = strndup(entry->d_name, n),
                            .ino = entry->d_type == DT_REG ? entry->d_ino : 0};
    if (pool->name == NULL)
        return -1;
    list->n++;
    return 0;
}

static int list_read(DIR *dir, struct store_list *list, struct error *err)
{
    struct dirent *entry;
    size_t room = 0;

    while (errno = 0, (entry = readdir(dir)) != NULL) {
        size_t n = strlen(entry->d_name);

        /* A file called just ".plasmite" has no name to show. */
        if (n <= SUFFIX_LEN || !has_suffix(entry->d_name, n))
            continue;
        if (list_add(list, &room, entry, n - SUFFIX_LEN) < 0)
            return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    }
    if (errno != 0)
        return fail_os(err, PLSM_ERROR_IO, errno, "failed to read pool directory");
    return 0;
}

int store_list(const char *path, struct store_list *ret, struct error *err)
{
    auto_dir DIR *dir = opendir(path);
    struct store_list list = {0};

    if (dir == NULL && errno != ENOENT) {
        fail_os(err, errno == EACCES ? PLSM_ERROR_PERMISSION : PLSM_ERROR_IO, errno,
                "failed to read pool directory");
        return fail_path(err, path);
    }
    if (dir != NULL && list_read(dir, &list, err) < 0) {
        store_list_done(&list);
        return fail_path(err, path);
    }
    if (list.n > 1)
        qsort(list.pools, list.n, sizeof *list.pools, compare_names);
    *ret = list;
    return 0;
}

void store_list_done(struct store_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->pools[i].name);
    free(list->pools);
    *list = (struct store_list){0};
}
