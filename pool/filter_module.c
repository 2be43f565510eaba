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

/* Loads it from there; remembers in *why what stood against a file that exists. */
static void *try_folder(const char *folder, const char *below, const char *file, struct buf *why)
{
    auto_buf struct buf path = BUF_INIT;
    void *module;

    if (buf_printf(&path, "%s%s/%s", folder, below, file) < 0 || buf_str(&path) == NULL ||
        access(path.p, F_OK) < 0)
        return NULL;
    module = dlopen(path.p, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module == NULL) {
        const char *text = dlerror();

        buf_clear(why);
        (void)buf_add_str(why, text != NULL ? text : "unknown"); /* then it is told without */
    }
    return module;
}

static void *open_module(const char *file, struct buf *why)
{
    /* from bin, from libexec/plasmite, and from the folder of shared libraries */
    static const char *const below[] = {"/../" PLASMITE_LIBDIR "/plasmite",
                                        "/../../" PLASMITE_LIBDIR "/plasmite", "/plasmite"};
    char folder[PATH_MAX];
    void *module = NULL;

    if (getauxval(AT_SECURE) == 0 && own_folder(folder))
        for (size_t i = 0; module == NULL && i < sizeof below / sizeof *below; i++)
            module = try_folder(folder, below[i], file, why);
    return module != NULL ? module : try_folder(PLASMITE_MODULEDIR, "", file, why);
}

const void *module_load(const char *file, const char *symbol, const char *package,
                        struct error *err)
{
    auto_buf struct buf why = BUF_INIT;
    void *module = open_module(file, &why);
    const void *table = module != NULL ? dlsym(module, symbol) : NULL;

    if (table != NULL)
        return table;
    fail(err, PLSM_ERROR_INTERNAL, "this filter needs %s, which cannot be loaded", file);
    if (why.n > 0 && err != NULL && buf_str(&why) != NULL)
        snprintf(err->cause, sizeof err->cause, "%s", why.p);
    if (why.n > 0)
        fail_hint(err, "On Debian it needs the package %s: sudo apt install %s", package, package);
    else
        fail_hint(
            err,
            "It belongs in %s: install plasmite again. Filters of paths, comparisons, and, or "
            "and not work without it.",
            PLASMITE_MODULEDIR);
    return NULL;
}

int module_fail_version(const char *file, struct error *err)
{
    fail(err, PLSM_ERROR_INTERNAL, "%s belongs to another version of plasmite", file);
    return fail_hint(err, "Install plasmite again.");
}
