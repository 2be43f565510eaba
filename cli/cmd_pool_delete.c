#include "cli.h"
#include "render.h"
#include "target.h"

#include "pool/error_text.h"

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
    struct buf text;
    struct table table;
    size_t n_deleted, n_failed;
    int code; /* of the first failure */
};

/* Every name is tried; cli->error is used for each and cleared after. */
static int delete_one(struct cli *cli, const char *name, struct buf *path)
{
    if (strstr(name, "://") != NULL)
        return fail(&cli->error, PLSM_ERROR_USAGE,
                    "pool delete accepts local pool names or paths only");
    if (target_path(cli, name, path) < 0)
        return -1;
    if (pool_delete(path->p, &cli->error) == 0)
        return 0;
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
    buf_printf(&r->text, "  ✓ %s\n", name);
    table_add(&r->table, name);
    table_add(&r->table, "OK");
    table_add(&r->table, render_short_path(cli_dir(cli), path));
    table_add(&r->table, "");
}

static void note_failed(struct cli *cli, const char *name, struct report *r)
{
    const struct error *err = &cli->error;
    const char *message = err->message[0] != '\0' ? err->message : error_kind_message(err->kind);

    if (r->code == 0)
        r->code = (int)err->kind;
    buf_add_str(&r->failed, r->n_failed++ > 0 ? ",{\"error\":" : "{\"error\":");
    error_add_json(err, &r->failed);
    buf_add_str(&r->failed, ",\"pool\":");
    buf_add_json_string(&r->failed, bytes_of(name));
    buf_add_char(&r->failed, '}');
    buf_printf(&r->text, "  ✗ %s — %s\n", name, message);
    table_add(&r->table, name);
    table_add(&r->table, "ERR");
    table_add(&r->table, err->path[0] != '\0' ? render_short_path(cli_dir(cli), err->path) : "-");
    table_add(&r->table, message);
}

static int print_text(struct cli *cli, const struct report *r)
{
    auto_buf struct buf text = BUF_INIT;

    if (!cli->stdout_tty) {
        table_render(&r->table, &text);
        return cli_print(cli, &text);
    }
    if (r->n_failed == 0)
        buf_printf(&text, "Deleted %zu:\n\n", r->n_deleted);
    else
        buf_printf(&text, "Deleted %zu of %zu:\n\n", r->n_deleted, r->n_deleted + r->n_failed);
    buf_add_bytes(&text, buf_bytes(&r->text));
    buf_add_str(&text, "\nPool directory: ");
    render_dir(cli_dir(cli), &text);
    buf_add_str(&text, r->n_failed > 0 ? "\n`plasmite pool list` shows what is there.\n" : "\n");
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
        "Programs that follow a deleted pool print what is left and end with NotFound (exit 3).\n",
};
