#include "filter_module.h"

#include "base/buf.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* The folder of the program or shared library that this code is in, without a slash at its end. */
static bool own_folder(char folder[PATH_MAX])
{
    struct link_map *map = NULL;
    Dl_info info;
    char *slash;
    ssize_t n;

    if (dladdr1((const void *)module_load, &info, (void **)&map, RTLD_DL_LINKMAP) == 0)
        return false;
    if (map->l_name[0] == '/') {
        n = snprintf(folder, PATH_MAX, "%s", map->l_name);
    } else if (map->l_name[0] == '\0') {
        n = readlink("/proc/self/exe", folder, PATH_MAX);
    } else {
        return false; /* loaded by a relative path: of which folder, nobody can say any more */
    }
    if (n < 0 || n >= PATH_MAX)
        return false;
    folder[n] = '\0';
    slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = '\0';
    return slash != NULL;
}

/*
 * The next place where it could be and something is, as an absolute path; false when there is none.
 * *at is 0 at first.
 */
static bool next_place(const char *file, size_t *at, struct buf *ret)
{
    /* from bin, from libexec/plasmite, and from the folder of shared libraries */
    static const char *const below[] = {"/../" PLASMITE_LIBDIR "/plasmite",
                                        "/../../" PLASMITE_LIBDIR "/plasmite", "/plasmite"};
    const size_t n = sizeof below / sizeof *below;
    char folder[PATH_MAX];
    bool known = getauxval(AT_SECURE) == 0 && own_folder(folder);

    for (size_t i = *at; i <= n; i++) {
        *at = i + 1;
        buf_clear(ret);
        if (i == n ? buf_printf(ret, "%s/%s", PLASMITE_MODULEDIR, file) < 0
                   : !known || buf_printf(ret, "%s%s/%s", folder, below[i], file) < 0)
            continue;
        if (buf_str(ret) != NULL && access(ret->p, F_OK) == 0)
            return true;
    }
    return false;
}

int fail_module(const char *file, const char *why, const char *package, struct error *err)
{
    fail(err, PLSM_ERROR_INTERNAL, "this filter needs %s, which cannot be loaded", file);
    if (why[0] != '\0') {
        fail_cause(err, why);
        return fail_hint(err, "On Debian it needs the package %s: sudo apt install %s", package,
                         package);
    }
    return fail_hint(
        err,
        "It belongs in %s: install plasmite again. Filters of paths, comparisons, and, or "
        "and not work without it.",
        PLASMITE_MODULEDIR);
}

const void *module_load(const char *file, const char *symbol, const char *package,
                        struct error *err)
{
    auto_buf struct buf path = BUF_INIT, why = BUF_INIT;
    const void *table = NULL;
    size_t at = 0;

    while (table == NULL && next_place(file, &at, &path)) {
        void *module = dlopen(path.p, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        const char *text = module == NULL ? dlerror() : NULL;

        buf_clear(&why);
        (void)buf_add_str(&why, text != NULL ? text : "unknown"); /* then it is told without */
        if (module != NULL)
            table = dlsym(module, symbol);
    }
    if (table == NULL)
        (void)fail_module(file, buf_str(&why) != NULL ? why.p : "", package, err);
    return table;
}

int module_find(const char *file, struct buf *ret, struct error *err)
{
    size_t at = 0;

    return next_place(file, &at, ret) ? 0 : fail_module(file, "", "", err);
}

int module_fail_version(const char *file, struct error *err)
{
    fail(err, PLSM_ERROR_INTERNAL, "%s belongs to another version of plasmite", file);
    return fail_hint(err, "Install plasmite again.");
}
