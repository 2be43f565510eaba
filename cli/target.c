#include "target.h"

#include "base/nearest.h"
#include "pool/store.h"
#include "render.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int refuse_url(struct cli *cli, const char *reference)
{
    bool is_http = strncmp(reference, "http://", 7) == 0 || strncmp(reference, "https://", 8) == 0;

    if (!is_http)
        return fail(&cli->error, PLSM_ERROR_USAGE, "remote pool ref must use http or https scheme");
    fail(&cli->error, PLSM_ERROR_USAGE, "pools on a server cannot be reached by this version");
    return fail_hint(&cli->error,
                     "Name a local pool, or run the command on the machine of the pool.");
}

int target_path(struct cli *cli, const char *reference, struct buf *path)
{
    const char *dir = cli_dir(cli);

    if (strstr(reference, "://") != NULL)
        return refuse_url(cli, reference);
    if (dir == NULL)
        return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    return store_resolve(dir, reference, path, &cli->error);
}

int target_parse_mode(struct cli *cli, const char *text, mode_t *ret)
{
    size_t n = text != NULL ? strlen(text) : 0;

    if (text == NULL)
        return 0;
    if ((n == 3 || n == 4) && strspn(text, "01234567") == n) {
        *ret = (mode_t)strtoul(text, NULL, 8);
        return 0;
    }
    fail(&cli->error, PLSM_ERROR_USAGE, "invalid mode");
    return fail_hint(&cli->error, "Not `%.60s`: use three or four octal digits, like 640 or 0600.",
                     text);
}

int target_parse_durability(struct cli *cli, const char *text, enum append_flags *ret)
{
    static const char blanks[] = " \t\r\n";
    struct bytes word = text != NULL ? bytes_of(text + strspn(text, blanks)) : BYTES("fast");

    while (word.n > 0 && strchr(blanks, word.p[word.n - 1]) != NULL)
        word.n--;
    *ret = bytes_equal(word, BYTES("flush")) ? APPEND_FLUSH : 0;
    if (*ret == APPEND_FLUSH || bytes_equal(word, BYTES("fast")))
        return 0;
    fail(&cli->error, PLSM_ERROR_USAGE, "invalid durability");
    return fail_hint(&cli->error, "Not `%.60s`: use fast or flush.", text);
}

/* Why there is no number in front of a size. */
static const char *no_number(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    if (isdigit((unsigned char)*text))
        return "number too large to fit in target type";
    return *text == '\0' ? "cannot parse integer from empty string"
                         : "invalid digit found in string";
}

int target_parse_size(struct cli *cli, const char *text, uint64_t *ret)
{
    const char *why = NULL;

    *ret = 0;
    if (text == NULL || parse_size(text, ret, &why) == 0) {
        if (text == NULL || *ret > 0)
            return 0;
        why = "file_size must exceed header and index size"; /* 0 means the default further down */
    }
    fail(&cli->error, PLSM_ERROR_USAGE, "%s", why);
    if (strcmp(why, "invalid size") == 0)
        fail_cause(&cli->error, no_number(text));
    if (strcmp(why, "size overflow") == 0)
        return fail_hint(&cli->error, "Use a smaller size.");
    return fail_hint(&cli->error,
                     "Not `%.60s`: use a number of bytes, or one with K, M or G, like 64M; at "
                     "least 8K.",
                     text);
}

/* The nearest name of a directory's pools as a reference: a path as `reference` is one, or a name. */
static void find_similar(const char *dir, const char *reference, struct buf *ret)
{
    const char *slash = strrchr(reference, '/'), *base = slash != NULL ? slash + 1 : reference;
    size_t n = strlen(base), suffix = strlen(POOL_SUFFIX);
    bool is_file = n > suffix && strcmp(base + n - suffix, POOL_SUFFIX) == 0;
    auto_buf struct buf word = BUF_INIT;
    struct store_list list;
    const char *found = NULL;

    buf_add(&word, base, is_file ? n - suffix : n);
    if (buf_str(&word) == NULL || store_list(dir, &list, NULL) < 0)
        return;
    struct nearest nearest = nearest_to(word.p);
    for (size_t i = 0; i < list.n; i++)
        if (nearest_offer(&nearest, list.pools[i].name))
            found = list.pools[i].name;
    if (found != NULL) {
        buf_add(ret, reference, (size_t)(base - reference));
        buf_add_str(ret, found);
        buf_add_str(ret, is_file || slash != NULL ? POOL_SUFFIX : "");
    }
    store_list_done(&list);
}

void target_add_similar(struct cli *cli, const char *reference, struct buf *out)
{
    const char *slash = strrchr(reference, '/'), *dir = cli_dir(cli);
    auto_buf struct buf above = BUF_INIT, similar = BUF_INIT;

    buf_add(&above, reference, slash != NULL ? (size_t)(slash - reference) + 1 : 0);
    if (slash != NULL)
        dir = buf_str(&above);
    if (dir != NULL)
        find_similar(dir, reference, &similar);
    if (similar.n == 0 || buf_str(&similar) == NULL)
        return;
    buf_add_str(out, "Did you mean `");
    buf_add_shell_word(out, similar.p);
    buf_add_str(out, "`?");
}

void target_hint_similar(struct cli *cli, const char *reference)
{
    auto_buf struct buf text = BUF_INIT;

    target_add_similar(cli, reference, &text);
    if (text.n == 0)
        return;
    buf_printf(&text, " %s", cli->error.hint);
    if (buf_str(&text) != NULL && text.n < sizeof cli->error.hint)
        fail_hint(&cli->error, "%s", text.p);
}

void target_hint_missing(struct cli *cli, const char *reference, bool can_create)
{
    auto_buf struct buf again = BUF_INIT;

    if (can_create && opts_again(cli->opts, "--create", &again) == 0 &&
        again.n + 80 < sizeof cli->error.hint) {
        fail_hint(&cli->error,
                  "The pool is missing. To make it on the way, use this exact command: %s",
                  buf_str(&again));
    } else if (can_create) {
        fail_hint(&cli->error, "The pool is missing. The same command with --create makes it.");
    } else if (strchr(reference, '/') != NULL) {
        fail_hint(
            &cli->error,
            "Nothing is at this path: check it, or name a pool and its directory with --dir.");
    } else {
        cli_add_command(cli, "pool create", reference, &again);
        fail_hint_command(&cli->error, "Create it first with ", buf_str(&again),
                          ", or point --dir at the directory that holds it.",
                          "Create it first with `plasmite pool create`, or point --dir at the "
                          "directory that holds it.");
    }
    target_hint_similar(cli, reference);
}

/* Somebody else may make it at the same moment: then theirs is as good. */
static int create(struct cli *cli, const char *path, enum pool_access access,
                  const struct target_creation *creation, struct pool **ret_pool)
{
    struct pool_options options = POOL_OPTIONS_INIT;

    if (target_parse_size(cli, creation->size, &options.size) < 0 ||
        target_parse_mode(cli, creation->mode, &options.mode) < 0)
        return -1;
    if (pool_create_open(path, &options, ret_pool, &cli->error) == 0)
        return 0;
    return cli->error.kind == PLSM_ERROR_ALREADY_EXISTS
               ? pool_open(path, access, ret_pool, &cli->error)
               : -1;
}

int target_open(struct cli *cli, const char *reference, enum pool_access access,
                const struct target_creation *creation, struct pool **ret_pool)
{
    auto_buf struct buf path = BUF_INIT;
    uint64_t size;
    mode_t mode;

    if (target_path(cli, reference, &path) < 0)
        return -1;
    if (creation != NULL && (target_parse_size(cli, creation->size, &size) < 0 ||
                             target_parse_mode(cli, creation->mode, &mode) < 0))
        return -1;
    if (pool_open(path.p, access, ret_pool, &cli->error) == 0)
        return 0;
    if (cli->error.kind != PLSM_ERROR_NOT_FOUND)
        return -1;
    if (creation == NULL || (!creation->create && creation->size == NULL)) {
        target_hint_missing(cli, reference, creation != NULL);
        return -1;
    }
    return create(cli, path.p, access, creation, ret_pool);
}
