#include "options.h"

#include "base/cleanup.h"
#include "base/nearest.h"
#include "base/opts.h"
#include "base/units.h"
#include "pool/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEARTBEAT_MAX_S 86400

struct command_line {
    bool foreground;
    struct opt_list options;
    const char *source, *point;
    bool fake, sloppy, quiet, verbose; /* of mount(8) */
    const char *type, *namespace;
};

#define OPTIONS struct command_line
static const struct option_spec table[] = {
    ARG("SOURCE", source, "directory that holds the pools"),
    ARG("MNT", point, "directory to mount it on"),
    OPT('f', "foreground", foreground, NULL, "stay in the foreground"),
    OPT('o', "options", options, "OPTS", "mount options, separated by commas; may be repeated"),
    OPT_END,
};
#undef OPTIONS

#define MOUNT_OPTIONS                                                                              \
    "  allow_other     let other users in, as far as the pools' permissions allow\n"               \
    "  ro, rw          read-only, or not, which is the default\n"                                  \
    "  size=SIZE       of pools made with mkdir (default 1M)\n"                                    \
    "  list_live=no    hide follow and next\n"                                                     \
    "  heartbeat=SEC   a blank line for a reader who has waited this long (default: none)\n"       \
    "  append_size=N   the size that append and lines show, in bytes (default 0)\n"                \
    "  auto_unmount    unmount when the program that serves the mount dies\n"                      \
    "  remount         take the place of the mount that is there\n"

static const struct command_spec program = {
    .name = "plasmite-fs",
    .summary = "Mount a directory of pools: every pool a directory of files",
    .usage = "[-f] [-o OPTIONS] SOURCE MNT",
    .options = table,
    .values_size = sizeof(struct command_line),
    .details = MOUNT_OPTIONS,
};

/* What mount(8) gives its helpers; it has entered the namespace itself. */
#define OPTIONS struct command_line
static const struct option_spec helper_table[] = {
    ARG("SOURCE", source, "directory that holds the pools"),
    ARG("MNT", point, "directory to mount it on"),
    OPT('o', "options", options, "OPTS", "mount options, separated by commas; may be repeated"),
    OPT('f', "fake", fake, NULL, "check the options, mount nothing"),
    OPT('s', "sloppy", sloppy, NULL, "ignored"),
    OPT('n', "no-mtab", quiet, NULL, "ignored"),
    OPT('v', "verbose", verbose, NULL, "ignored"),
    OPT('t', "types", type, "TYPE", "ignored"),
    OPT('N', "namespace", namespace, "NS", "ignored"),
    OPT_END,
};
#undef OPTIONS

static const struct command_spec helper = {
    .name = "mount.plasmite",
    .summary = "Mount a directory of pools, for mount(8) and fstab(5)",
    .usage = "SOURCE MNT [-sfnv] [-N NS] [-o OPTIONS] [-t TYPE]",
    .options = helper_table,
    .values_size = sizeof(struct command_line),
    .details = MOUNT_OPTIONS,
};

/* What fstab, mount(8) and systemd add for themselves. */
static const char *const ignored[] = {
    "defaults", "auto", "noauto", "nofail", "_netdev", "user", "users", "nouser", "nousers",
    "owner", "noowner", "group", "nogroup", "exec", "suid", "dev", "async", "relatime",
    "norelatime", "strictatime", "nostrictatime", "diratime", "nodiratime", "lazytime",
    "nolazytime", "iversion", "noiversion", "mand", "nomand", "silent", "loud", "symfollow",
    "default_permissions"};
/* The same with a value; `mount -o remount MNT` repeats what the list of mounts shows. */
static const char *const prefixes[] = {"x-",       "comment=",  "user=",   "user_id=",
                                       "group_id=", "max_read=", "blksize="};
/* What the kernel understands. */
static const char *const passed[] = {"ro",   "rw",      "nosuid",  "nodev", "noexec",
                                     "sync", "dirsync", "noatime", "atime", "auto_unmount"};

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static bool begins_as_one_of(const char *word, const char *const *begins, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(word, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static int take_bytes(const char *option, const char *text, uint64_t *bytes, struct error *err)
{
    const char *why;

    if (parse_size(text, bytes, &why) < 0)
        return fail(err, PLSM_ERROR_USAGE, "%s in mount option '%s=%s'", why, option, text);
    return 0;
}

static int take_size(const char *text, struct mount *m, struct error *err)
{
    if (take_bytes("size", text, &m->new_pool_bytes, err) < 0)
        return -1;
    if (m->new_pool_bytes < POOL_SIZE_MIN)
        return fail(err, PLSM_ERROR_USAGE, "mount option 'size=%s': a pool has at least %llu bytes",
                    text, POOL_SIZE_MIN);
    return 0;
}

static int take_append_size(const char *text, struct mount *m, struct error *err)
{
    if (take_bytes("append_size", text, &m->append_bytes, err) < 0)
        return -1;
    if (m->append_bytes > APPEND_SIZE_MAX)
        return fail(err, PLSM_ERROR_USAGE, "mount option 'append_size=%s': at most %dM", text,
                    APPEND_SIZE_MAX >> 20);
    return 0;
}

/* Seconds, or a duration as everywhere. */
static int take_heartbeat(const char *text, struct mount *m, struct error *err)
{
    bool bare = text[strspn(text, "0123456789")] == '\0';
    auto_free char *duration = NULL;
    const char *why;

    if (asprintf(&duration, "%s%s", text, bare ? "s" : "") < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (parse_duration(duration, &m->heartbeat_ns, &why) < 0)
        return fail(err, PLSM_ERROR_USAGE, "%s in mount option 'heartbeat=%s'", why, text);
    if (m->heartbeat_ns < NS_PER_S || m->heartbeat_ns > HEARTBEAT_MAX_S * NS_PER_S)
        return fail(err, PLSM_ERROR_USAGE, "mount option 'heartbeat=%s': from 1 to %d seconds",
                    text, HEARTBEAT_MAX_S);
    return 0;
}

static int take_list_live(const char *text, struct mount *m, struct error *err)
{
    m->list_live = strcmp(text, "yes") == 0;
    if (m->list_live || strcmp(text, "no") == 0)
        return 0;
    return fail(err, PLSM_ERROR_USAGE, "mount option 'list_live=%s': yes or no", text);
}

/* Those of ours that have a value. */
static const struct {
    const char *name;
    int (*take)(const char *text, struct mount *m, struct error *err);
    const char *example;
} valued[] = {
    {"size",        take_size,        "64M" },
    {"list_live",   take_list_live,   "no"  },
    {"heartbeat",   take_heartbeat,   "30"  },
    {"append_size", take_append_size, "4096"},
};
#define VALUED_N (sizeof valued / sizeof *valued)

/* 1: it is one of them, and taken. */
static int take_valued(const char *word, struct mount *m, struct error *err)
{
    size_t n = strcspn(word, "=");

    for (size_t i = 0; i < VALUED_N; i++) {
        if (strlen(valued[i].name) != n || strncmp(word, valued[i].name, n) != 0)
            continue;
        if (word[n] == '=' && word[n + 1] != '\0')
            return valued[i].take(word + n + 1, m, err) < 0 ? -1 : 1;
        (void)fail(err, PLSM_ERROR_USAGE, "mount option '%s' has no value", valued[i].name);
        return fail_hint(err, "Write it as %s=%s.", valued[i].name, valued[i].example);
    }
    return 0;
}

static int unknown(const char *word, struct error *err)
{
    static const char *const names[] = {"allow_other", "ro",          "rw",           "size",
                                        "list_live",   "heartbeat",   "append_size",
                                        "auto_unmount", "remount"};
    auto_free char *name = strndup(word, strcspn(word, "="));
    struct nearest nearest = nearest_to(name != NULL ? name : "");
    const char *meant = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (nearest_offer(&nearest, names[i]))
            meant = names[i];
    (void)fail(err, PLSM_ERROR_USAGE, "unknown mount option '%s'", word);
    if (meant != NULL && (name == NULL || strcmp(meant, name) != 0))
        return fail_hint(err, "Did you mean '%s'?", meant);
    return fail_hint(err, "Known are allow_other, ro, rw, size=SIZE, list_live=no, heartbeat=SEC, "
                          "append_size=N, auto_unmount and remount.");
}

static int pass(const char *word, struct buf *kernel, struct error *err)
{
    if (buf_add_char(kernel, ',') < 0 || buf_add_str(kernel, word) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return 0;
}

static int take_option(const char *word, struct mount *m, struct buf *kernel, struct error *err)
{
    if (*word == '\0' || is_one_of(word, ignored, sizeof ignored / sizeof *ignored) ||
        begins_as_one_of(word, prefixes, sizeof prefixes / sizeof *prefixes))
        return 0;
    switch (take_valued(word, m, err)) {
    case 0:
        break;
    case 1:
        return 0;
    default:
        return -1;
    }
    if (strcmp(word, "remount") == 0) {
        m->replace = true;
        return 0;
    }
    if (strcmp(word, "allow_other") == 0) {
        m->allow_other = true;
        return pass(word, kernel, err);
    }
    if (!is_one_of(word, passed, sizeof passed / sizeof *passed))
        return unknown(word, err);
    if (strcmp(word, "ro") == 0 || strcmp(word, "rw") == 0) /* the last one counts */
        m->read_only = word[1] == 'o';
    m->auto_unmount |= strcmp(word, "auto_unmount") == 0;
    return pass(word, kernel, err);
}

static int take_options(const struct opt_list *list, struct mount *m, struct buf *kernel,
                        struct error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        char *copy = strdup(list->items[i]), *rest = copy, *word;
        int result = copy == NULL ? fail(err, PLSM_ERROR_INTERNAL, "out of memory") : 0;

        while (result == 0 && (word = strsep(&rest, ",")) != NULL)
            result = take_option(word, m, kernel, err);
        free(copy);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int print_help(const struct opts *opts, bool is_long)
{
    auto_buf struct buf text = BUF_INIT;

    if (opts_help(opts, is_long, &text) < 0)
        return -1;
    return fwrite(text.p, 1, text.n, stdout) == text.n ? 0 : -1;
}

/* In the list of mounts: mount(8) finds out from the source whether a line of fstab is mounted already. */
static int name_source(const struct options *options, const char *dir, struct buf *kernel)
{
    if (!options->by_mount)
        return buf_add_str(kernel, "fsname=plasmite");
    if (buf_add_str(kernel, "fsname=") < 0)
        return -1;
    for (const char *p = dir; *p != '\0'; p++)
        if (((*p == ',' || *p == '\\') && buf_add_char(kernel, '\\') < 0) ||
            buf_add_char(kernel, *p) < 0)
            return -1;
    return 0;
}

static int take_line(const struct command_line *line, struct options *options, struct mount *m,
                     struct error *err)
{
    auto_buf struct buf kernel = BUF_INIT;

    options->foreground = line->foreground;
    options->done = line->fake;
    m->dir = strdup(line->source);
    m->point = strdup(line->point);
    if (m->dir == NULL || m->point == NULL || name_source(options, m->dir, &kernel) < 0 ||
        buf_add_str(&kernel, ",subtype=plasmite,default_permissions") < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (take_options(&line->options, m, &kernel, err) < 0)
        return -1;
    if (m->auto_unmount && !m->allow_other && geteuid() != 0) {
        (void)fail(err, PLSM_ERROR_USAGE,
                   "mount option 'auto_unmount' works for root only, or together with allow_other");
        return fail_hint(err,
                         "Leave it out: the next mount on the directory lets go of a dead one.");
    }
    options->kernel = buf_str(&kernel) == NULL ? NULL : strdup(kernel.p);
    return options->kernel == NULL ? fail(err, PLSM_ERROR_INTERNAL, "out of memory") : 0;
}

int options_parse(int argc, char *const *argv, struct options *options, struct mount *m,
                  struct error *err)
{
    const char *name = argc > 0 ? basename(argv[0]) : program.name;
    bool by_mount = strcmp(name, helper.name) == 0 || strcmp(name, "mount.fuse.plasmite") == 0;
    const struct command_spec *called = by_mount ? &helper : &program;
    struct command_line line = {0};
    struct opts opts;
    int result = 0;

    options->by_mount = by_mount;
    switch (opts_parse(&opts, called, &line, argc, argv)) {
    case OPTS_RUN:
        result = take_line(&line, options, m, err);
        break;
    case OPTS_HELP:
        options->done = true;
        result = print_help(&opts, true);
        break;
    case OPTS_HELP_SHORT:
        options->done = true;
        result = print_help(&opts, false);
        break;
    case OPTS_VERSION:
        options->version = true;
        break;
    case OPTS_BARE:
    case OPTS_WRONG:
        if (opts.why[0] != '\0' && opts.problem != OPTS_PROBLEM_MISSING)
            (void)fail(err, PLSM_ERROR_USAGE, "%s", opts.why);
        else
            (void)fail(err, PLSM_ERROR_USAGE,
                       line.source == NULL ? "SOURCE and MNT are missing" : "MNT is missing");
        result = fail_hint(err, "Usage: %s %s", called->name, called->usage);
        break;
    }
    free(line.options.items);
    opts_done(&opts);
    return result;
}

void options_done(struct options *options)
{
    free(options->kernel);
}
