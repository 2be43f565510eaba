#include "cli.h"
#include "render.h"
#include "target.h"

#include "pool/error_text.h"

#include <inttypes.h>

struct create_options {
    struct opt_list names;
    const char *size;
    struct opt_u64 index_capacity;
    const char *mode;
};

#define OPTIONS struct create_options
static const struct option_spec options[] = {
    ARG("NAME...", names, "names or paths of the pools"),
    OPT(0, "size", size, "SIZE", "bytes of the file, with K, M or G (default 1M, at least 8K)"),
    OPT(0, "index-capacity", index_capacity, "N",
        "index slots; 0 for no index; at most half the pool (default: by size)", .max = UINT32_MAX),
    OPT(0, "mode", mode, "OCTAL", "permissions of the file, the umask aside (default 600)"),
    OPT_END,
};

static void describe(struct cli *cli, const struct create_options *o, const char *name,
                     const char *path, const struct pool_info *info, struct buf *out)
{
    const char *short_path = render_short_path(cli_dir(cli), path);

    buf_add_str(out, o->names.n == 1 ? "Created " : "  - ");
    error_add_plain(name, out);
    buf_add_str(out, " (");
    if (o->names.n > 1) {
        error_add_plain(short_path, out);
        buf_add_str(out, ", ");
    }
    format_size(out, info->file_size);
    buf_printf(out, ", %" PRIu32 " index slots)\n", info->index_capacity);
    if (o->names.n == 1)
        render_name_line("  path: ", short_path, out);
}

static void add_row(struct cli *cli, const char *name, const char *path,
                    const struct pool_info *info, struct table *table)
{
    auto_buf struct buf size = BUF_INIT, slots = BUF_INIT;

    buf_add_u64(&size, info->file_size);
    buf_add_u64(&slots, info->index_capacity);
    table_add(table, name);
    table_add(table, buf_str(&size));
    table_add(table, buf_str(&slots));
    table_add(table, render_short_path(cli_dir(cli), path));
}

struct report {
    struct buf json, text;
    struct table table;
};

static int create_one(struct cli *cli, const struct create_options *o, const char *name,
                      const struct pool_options *create, struct report *report)
{
    auto_buf struct buf path = BUF_INIT;
    auto_pool struct pool *pool = NULL;
    struct pool_info info;

    if (target_path(cli, name, &path) < 0 ||
        pool_create_open(path.p, create, &pool, &cli->error) < 0 ||
        pool_info(pool, &info, &cli->error) < 0)
        return -1;
    if (report->json.n > sizeof "{\"created\":[" - 1)
        buf_add_char(&report->json, ',');
    pool_info_json(&info, name, path.p, clock_real_ns(), &report->json);
    describe(cli, o, name, path.p, &info, &report->text);
    add_row(cli, name, path.p, &info, &report->table);
    return 0;
}

static int print(struct cli *cli, const struct create_options *o, struct report *report)
{
    auto_buf struct buf text = BUF_INIT;

    buf_add_str(&report->json, "]}");
    if (buf_failed(&report->json))
        return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    if (cli_form(cli) != FORM_PRETTY)
        return cli_report(cli, buf_bytes(&report->json));
    if (!cli->stdout_tty)
        table_render(&report->table, &text);
    else if (o->names.n > 1)
        buf_printf(&text, "Created %zu pools:\n", o->names.n);
    if (cli->stdout_tty)
        buf_add_bytes(&text, buf_bytes(&report->text));
    return cli_print(cli, &text);
}

static int run(const void *values, void *program)
{
    const struct create_options *o = values;
    struct cli *cli = program;
    struct pool_options create = POOL_OPTIONS_INIT;
    struct report report = {.table = {.columns = 4}};
    const char *const heads[] = {"NAME", "SIZE", "INDEX", "PATH"};
    int code = 0;

    if (target_parse_size(cli, o->size, &create.size) < 0 ||
        target_parse_mode(cli, o->mode, &create.mode) < 0)
        return -1;
    if (o->index_capacity.given)
        create.index_capacity = (int64_t)o->index_capacity.n;
    for (size_t i = 0; i < 4; i++)
        table_add(&report.table, heads[i]);
    buf_add_str(&report.json, "{\"created\":[");
    for (size_t i = 0; i < o->names.n && code == 0; i++)
        code = create_one(cli, o, o->names.items[i], &create, &report);
    if (code == 0)
        code = print(cli, o, &report);
    buf_done(&report.json);
    buf_done(&report.text);
    table_done(&report.table);
    return code;
}

const struct command_spec cmd_pool_create = {
    .name = "create",
    .summary = "Make one or more pools",
    .usage = "[OPTIONS] <NAME>...",
    .options = options,
    .values_size = sizeof(struct create_options),
    .run = run,
    .details = "All of the space is taken at once; only an empty pool can be given another size.\n"
               "An existing pool is never touched (exit status 4).\n"
               "\n"
               "EXAMPLES\n"
               "  plasmite pool create chat\n"
               "  plasmite pool create logs metrics --size 64M\n"
               "  plasmite pool create /srv/pools/shared.plasmite --mode 660\n",
};
