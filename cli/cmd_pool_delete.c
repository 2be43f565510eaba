#include "cli.h"
#include "render.h"
#include "target.h"

#include "pool/error_text.h"
#include "pool/store.h"

#include <string.h>

struct delete_options {
    struct opt_list names;
};

#define OPTIONS struct delete_options
static const struct option_spec options[] = {
    ARG("POOL...", names, "names or paths of the pools"),
    OPT_END,
};

struct report {
    struct buf deleted, failed; /* the elements of the two arrays */
    struct buf text;            /* a line for each, for people */
    struct table table;
    size_t n_deleted, n_failed;
    int code; /* of the first failure */
};

static int not_found(struct cli *cli, const char *name, const char *path)
{
    auto_buf struct buf command = BUF_INIT;

    cli_add_command(cli, "pool list", NULL, &command);
    fail(&cli->error, PLSM_ERROR_NOT_FOUND, "pool not found");
    fail_path(&cli->error, path);
    fail_hint_command(&cli->error, "", buf_str(&command),
                      " shows what is there; --dir names another directory.",
                      "`plasmite pool list` with your --dir shows what is there.");
    target_hint_similar(cli, name);
    return -1;
}

/* A mistyped path must not cost somebody another file: what is not named like a pool must be one. */
static int check_is_pool(struct cli *cli, const char *path)
{
    auto_pool struct pool *pool = NULL;
    struct error why = ERROR_INIT;
    size_t n = strlen(path), suffix = strlen(POOL_SUFFIX);

    if ((n >= suffix && strcmp(path + n - suffix, POOL_SUFFIX) == 0) ||
        pool_open(path, POOL_READ, &pool, &why) == 0 || why.kind == PLSM_ERROR_NOT_FOUND ||
        why.kind == PLSM_ERROR_PERMISSION)
        return 0;
    fail(&cli->error, PLSM_ERROR_USAGE, "not a pool file");
    fail_path(&cli->error, path);
    return fail_hint(&cli->error, "It is no pool that can be opened, and its name does not end "
                                  "in " POOL_SUFFIX ". If it is to go nevertheless, use rm.");
}

/* Every name is tried; cli->error is used for each and cleared after. */
static int delete_one(struct cli *cli, const char *name, struct buf *path)
{
    if (strstr(name, "://") != NULL) {
        fail(&cli->error, PLSM_ERROR_USAGE, "pool delete accepts local pool names or paths only");
        return fail_hint(&cli->error, "Run the command on the machine that has the pool.");
    }
    if (target_path(cli, name, path) < 0 || check_is_pool(cli, path->p) < 0)
        return -1;
    if (pool_delete(path->p, &cli->error) == 0)
        return 0;
    if (cli->error.kind == PLSM_ERROR_NOT_FOUND)
        return not_found(cli, name, path->p);
    if (cli->error.kind == PLSM_ERROR_PERMISSION)
        cli->error.kind = PLSM_ERROR_IO; /* what scripts have always seen here */
    return -1;
}

static void note_deleted(struct cli *cli, const char *name, const char *path, struct report *r)
{
    buf_add_str(&r->deleted, r->n_deleted++ > 0 ? ",{\"path\":" : "{\"path\":");
    buf_add_json_string(&r->deleted, bytes_of(path));
    buf_add_str(&r->deleted, ",\"pool\":");
    buf_add_json_string(&r->deleted, bytes_of(name));
    buf_add_char(&r->deleted, '}');
    buf_add_str(&r->text, "  ✓ ");
    error_add_plain(name, &r->text);
    buf_add_char(&r->text, '\n');
    table_add(&r->table, name);
    table_add(&r->table, "OK");
    table_add(&r->table, render_short_path(cli_dir(cli), path));
    table_add(&r->table, "");
}

static void note_failed(struct cli *cli, const char *name, struct report *r)
{
    const struct error *err = &cli->error;
    auto_buf struct buf why = BUF_INIT, similar = BUF_INIT;

    if (r->code == 0)
        r->code = (int)err->kind;
    buf_add_str(&r->failed, r->n_failed++ > 0 ? ",{\"error\":" : "{\"error\":");
    error_add_json(err, &r->failed);
    buf_add_str(&r->failed, ",\"pool\":");
    buf_add_json_string(&r->failed, bytes_of(name));
    buf_add_char(&r->failed, '}');
    error_add_short(err, &why);
    buf_add_str(&r->text, "  ✗ ");
    error_add_plain(name, &r->text);
    buf_printf(&r->text, " — %s", buf_str(&why));
    if (err->kind == PLSM_ERROR_NOT_FOUND)
        target_add_similar(cli, name, &similar);
    if (similar.n > 0) {
        buf_add_str(&r->text, ". ");
        error_add_plain(buf_str(&similar), &r->text);
    }
    buf_add_char(&r->text, '\n');
    table_add(&r->table, name);
    table_add(&r->table, "ERR");
    table_add(&r->table, err->path[0] != '\0' ? render_short_path(cli_dir(cli), err->path) : "-");
    table_add(&r->table, buf_str(&why));
}

/* One name: a sentence.  Several: how many, and each on a line. */
static void add_for_people(struct cli *cli, const struct report *r, struct buf *out)
{
    auto_buf struct buf command = BUF_INIT;
    size_t n = r->n_deleted + r->n_failed;

    if (n > 1 && r->n_failed == 0)
        buf_printf(out, "Deleted %zu pools:\n\n", n);
    else if (n > 1)
        buf_printf(out, "Deleted %zu of %zu pools:\n\n", r->n_deleted, n);
    else
        buf_add_str(out, r->n_failed == 0 ? "Deleted:\n" : "Not deleted:\n");
    buf_add_bytes(out, buf_bytes(&r->text));
    if (n > 1 || r->n_failed > 0) {
        buf_add_str(out, "\nPool directory: ");
        render_dir(cli_dir(cli), out);
        buf_add_char(out, '\n');
    }
    if (r->n_failed > 0) {
        cli_add_command(cli, "pool list", NULL, &command);
        buf_printf(out, "`%s` shows what is there.\n", buf_str(&command));
    }
}

static int print_text(struct cli *cli, const struct report *r)
{
    auto_buf struct buf text = BUF_INIT;

    if (cli->stdout_tty)
        add_for_people(cli, r, &text);
    else
        table_render(&r->table, &text);
    return cli_print(cli, &text);
}

static int print(struct cli *cli, const struct report *r)
{
    auto_buf struct buf json = BUF_INIT;

    if (cli_form(cli) == FORM_PRETTY)
        return print_text(cli, r);
    buf_printf(&json, "{\"deleted\":[%.*s],\"failed\":[%.*s]}", (int)r->deleted.n,
               r->n_deleted > 0 ? r->deleted.p : "", (int)r->failed.n,
               r->n_failed > 0 ? r->failed.p : "");
    return cli_report(cli, buf_bytes(&json));
}

static int run(const void *values, void *program)
{
    const struct delete_options *o = values;
    struct cli *cli = program;
    struct report r = {.table = {.columns = 4}};
    const char *const heads[] = {"NAME", "STATUS", "PATH", "DETAIL"};
    int code;

    for (size_t i = 0; i < 4; i++)
        table_add(&r.table, heads[i]);
    for (size_t i = 0; i < o->names.n; i++) {
        auto_buf struct buf path = BUF_INIT;

        if (delete_one(cli, o->names.items[i], &path) == 0)
            note_deleted(cli, o->names.items[i], path.p, &r);
        else
            note_failed(cli, o->names.items[i], &r);
        cli->error = ERROR_INIT;
    }
    code = print(cli, &r);
    buf_done(&r.deleted);
    buf_done(&r.failed);
    buf_done(&r.text);
    table_done(&r.table);
    return code < 0 ? code : r.code;
}

const struct command_spec cmd_pool_delete = {
    .name = "delete",
    .summary = "Delete one or more pools",
    .usage = "[OPTIONS] <POOL>...",
    .options = options,
    .values_size = sizeof(struct delete_options),
    .run = run,
    .details =
        "Every name is tried; the exit status is that of the first failure.\n"
        "Programs that follow a deleted pool print what is left and end with NotFound (exit 3).\n"
        "\n"
        "EXAMPLES\n"
        "  plasmite pool delete chat\n"
        "  plasmite pool delete build-1 build-2 /srv/pools/old.plasmite\n",
};
