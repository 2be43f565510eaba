#include "cli.h"
#include "render.h"
#include "target.h"

#include "pool/error_text.h"
#include "pool/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is known of one pool; err.kind is set when it cannot be opened. */
struct row {
    const char *name;
    char *path;
    struct pool_info info;
    uint64_t mtime_ns; /* 0: not known */
    struct error err;
};

static bool has_error(const struct row *row)
{
    return row->err.kind != PLSM_ERROR_NONE;
}

static void look_at(struct row *row)
{
    auto_pool struct pool *pool = NULL;
    struct stat st;

    if (stat(row->path, &st) == 0 && st.st_mtim.tv_sec >= 0)
        row->mtime_ns = (uint64_t)st.st_mtim.tv_sec * NS_PER_S + (uint64_t)st.st_mtim.tv_nsec;
    if (pool_open(row->path, POOL_READ, &pool, &row->err) < 0 ||
        pool_info(pool, &row->info, &row->err) < 0)
        error_default_hint(&row->err);
}

static void add_time(uint64_t time_ns, struct buf *out)
{
    char time[TIME_TEXT_LEN];

    format_time(time_ns, time);
    buf_add(out, time, TIME_TEXT_LEN);
}

static void add_mtime_json(const struct row *row, struct buf *out)
{
    if (row->mtime_ns == 0) {
        buf_add_str(out, "null");
        return;
    }
    buf_add_char(out, '"');
    add_time(row->mtime_ns, out);
    buf_add_char(out, '"');
}

static void add_json(const struct row *row, struct buf *out)
{
    const struct pool_bounds *bounds = &row->info.bounds;

    if (has_error(row)) {
        buf_add_str(out, "{\"error\":{\"error\":");
        error_add_json(&row->err, out);
        buf_add_str(out, "},\"name\":");
    } else {
        buf_add_str(out, "{\"bounds\":{");
        if (pool_bounds_count(bounds) > 0)
            buf_printf(out, "\"newest\":%" PRIu64 ",\"oldest\":%" PRIu64, bounds->newest,
                       bounds->oldest);
        buf_printf(out, "},\"file_size\":%" PRIu64 ",\"mtime\":", row->info.file_size);
        add_mtime_json(row, out);
        buf_add_str(out, ",\"name\":");
    }
    buf_add_json_string(out, bytes_of(row->name));
    buf_add_str(out, ",\"path\":");
    buf_add_json_string(out, bytes_of(row->path));
    buf_add_char(out, '}');
}

static int report_json(struct cli *cli, const struct row *rows, size_t n)
{
    auto_buf struct buf json = BUF_INIT;

    buf_add_str(&json, "{\"pools\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(&json, ',');
        add_json(&rows[i], &json);
    }
    buf_add_str(&json, "]}");
    if (buf_failed(&json))
        return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    return cli_report(cli, buf_bytes(&json));
}

static void add_size(const struct row *row, bool human, struct table *table)
{
    auto_buf struct buf text = BUF_INIT;

    if (has_error(row))
        buf_add_char(&text, '-');
    else if (human)
        format_size(&text, row->info.file_size);
    else
        buf_add_u64(&text, row->info.file_size);
    table_add(table, buf_str(&text));
}

static void add_seq(const struct row *row, uint64_t seq, struct table *table)
{
    auto_buf struct buf text = BUF_INIT;

    if (has_error(row) || pool_bounds_count(&row->info.bounds) == 0)
        buf_add_char(&text, '-');
    else
        buf_add_u64(&text, seq);
    table_add(table, buf_str(&text));
}

static void add_mtime(const struct row *row, bool human, struct table *table)
{
    auto_buf struct buf text = BUF_INIT;
    uint64_t now = clock_real_ns();

    if (has_error(row) || row->mtime_ns == 0)
        buf_add_char(&text, '-');
    else if (human)
        format_age(&text, now > row->mtime_ns ? now - row->mtime_ns : 0);
    else
        add_time(row->mtime_ns, &text);
    table_add(table, buf_str(&text));
}

static void add_full_row(struct cli *cli, const struct row *row, struct table *table)
{
    auto_buf struct buf detail = BUF_INIT;
    bool human = cli->stdout_tty;

    table_add(table, row->name);
    table_add(table, has_error(row) ? "ERR" : "OK");
    add_size(row, human, table);
    add_seq(row, row->info.bounds.oldest, table);
    add_seq(row, row->info.bounds.newest, table);
    add_mtime(row, human, table);
    table_add(table, render_short_path(cli_dir(cli), row->path));
    if (has_error(row))
        error_add_short(&row->err, &detail);
    table_add(table, buf_str(&detail));
}

static void add_short_row(struct cli *cli, const struct row *row, struct table *table)
{
    auto_buf struct buf count = BUF_INIT;

    buf_add_u64(&count, pool_bounds_count(&row->info.bounds));
    table_add(table, row->name);
    add_size(row, true, table);
    table_add(table, buf_str(&count));
    add_mtime(row, true, table);
    table_add(table, render_short_path(cli_dir(cli), row->path));
}

static int report_table(struct cli *cli, const struct row *rows, size_t n, bool full)
{
    static const char *const full_heads[] = {"NAME",   "STATUS", "SIZE", "OLDEST",
                                             "NEWEST", "MTIME",  "PATH", "DETAIL"};
    static const char *const short_heads[] = {"NAME", "SIZE", "MSGS", "MODIFIED", "PATH"};
    auto_buf struct buf text = BUF_INIT;
    struct table table = {.columns = full ? 8 : 5};

    for (size_t i = 0; i < table.columns; i++)
        table_add(&table, full ? full_heads[i] : short_heads[i]);
    for (size_t i = 0; i < n; i++)
        if (full)
            add_full_row(cli, &rows[i], &table);
        else
            add_short_row(cli, &rows[i], &table);
    if (buf_failed(&table.cells))
        text.failed = true;
    else
        table_render(&table, &text);
    table_done(&table);
    return cli_print(cli, &text);
}

static int report_none(struct cli *cli)
{
    auto_buf struct buf text = BUF_INIT;

    buf_add_str(&text, "No pools in ");
    render_dir(cli_dir(cli), &text);
    buf_add_str(&text, "\n\nMake one with `");
    cli_add_command(cli, "pool create", "chat", &text);
    buf_add_str(&text, "`.\n");
    return cli_print(cli, &text);
}

static int report(struct cli *cli, const struct row *rows, size_t n)
{
    bool full = !cli->stdout_tty;

    if (cli_form(cli) != FORM_PRETTY)
        return report_json(cli, rows, n);
    if (n == 0 && cli->stdout_tty)
        return report_none(cli);
    for (size_t i = 0; i < n; i++)
        full = full || has_error(&rows[i]);
    return report_table(cli, rows, n, full);
}

/* A directory that cannot be read is shown as one row, so that the command never fails. */
static int report_unreadable(struct cli *cli)
{
    struct row row = {.name = "pools", .path = (char *)cli_dir(cli), .err = cli->error};

    row.err.kind = PLSM_ERROR_IO;
    error_default_hint(&row.err);
    return report(cli, &row, 1);
}

static int run(const void *values, void *program)
{
    struct cli *cli = program;
    struct store_list list;
    struct row *rows;
    int code = 0;

    (void)values; /* there are no options */
    if (cli_dir(cli) == NULL)
        return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    if (store_list(cli_dir(cli), &list, &cli->error) < 0)
        return report_unreadable(cli);
    rows = calloc(list.n + 1, sizeof *rows);
    if (rows == NULL)
        code = fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    for (size_t i = 0; i < list.n && code == 0; i++) {
        rows[i].name = list.pools[i].name;
        if (asprintf(&rows[i].path, "%s/%s" POOL_SUFFIX, cli_dir(cli), list.pools[i].name) < 0) {
            rows[i].path = NULL;
            code = fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
        } else {
            look_at(&rows[i]);
        }
    }
    if (code == 0)
        code = report(cli, rows, list.n);
    for (size_t i = 0; rows != NULL && i < list.n; i++)
        free(rows[i].path);
    free(rows);
    store_list_done(&list);
    return code;
}

const struct command_spec cmd_pool_list = {
    .name = "list",
    .summary = "List pools in the pool directory",
    .usage = "[OPTIONS]",
    .runs_bare = true,
    .run = run,
    .details =
        "Lists the files of the pool directory that end in .plasmite, by name. One that cannot be\n"
        "opened is listed with the reason. The exit status is 0, also when there are none.\n"
        "\n"
        "EXAMPLES\n"
        "  plasmite pool list\n"
        "  plasmite pool list --json | jq -r '.pools[].name'\n",
};
