#include "cli.h"
#include "render.h"
#include "target.h"

#include <inttypes.h>

struct info_options {
    const char *pool;
};

#define OPTIONS struct info_options
static const struct option_spec options[] = {
    ARG("POOL", pool, "name or path of the pool"),
    OPT_END,
};

static void add_percent(const struct pool_info *info, struct buf *out)
{
    uint64_t hundredths =
        info->ring_size == 0
            ? 0
            : (uint64_t)((unsigned __int128)info->used_bytes * 10000 / info->ring_size);

    buf_printf(out, "%" PRIu64 ".%02u%%", hundredths / 100, (unsigned)(hundredths % 100));
}

static void add_time_line(const char *label, bool empty, uint64_t time_ns, struct buf *out)
{
    char time[TIME_TEXT_LEN];
    uint64_t now = clock_real_ns();

    if (empty) {
        buf_printf(out, "%s: - (-)\n", label);
        return;
    }
    format_time(time_ns, time);
    buf_printf(out, "%s: %.*s (", label, TIME_TEXT_LEN, time);
    format_age(out, now > time_ns ? now - time_ns : 0);
    buf_add_str(out, ")\n");
}

/* For scripts that read text: one fact per line. */
static void describe_plain(const char *name, const char *path, const struct pool_info *info,
                           struct buf *out)
{
    uint64_t count = pool_bounds_count(&info->bounds);

    render_name_line("Pool: ", name, out);
    render_name_line("Path: ", path, out);
    buf_printf(out,
               "Size: %" PRIu64 " bytes (index: offset=%" PRIu64 " slots=%" PRIu32 " bytes=%" PRIu64
               ", ring: offset=%" PRIu64 " size=%" PRIu64 ")\n",
               info->file_size, info->index_offset, info->index_capacity, info->index_size_bytes,
               info->ring_offset, info->ring_size);
    if (count == 0)
        buf_add_str(out, "Bounds: oldest=- newest=- count=0\n");
    else
        buf_printf(out, "Bounds: oldest=%" PRIu64 " newest=%" PRIu64 " count=%" PRIu64 "\n",
                   info->bounds.oldest, info->bounds.newest, count);
    buf_printf(out, "Utilization: used=%" PRIu64 "B free=%" PRIu64 "B (", info->used_bytes,
               info->ring_size - info->used_bytes);
    add_percent(info, out);
    buf_add_str(out, ")\n");
    add_time_line("Oldest", count == 0, info->oldest_time, out);
    add_time_line("Newest", count == 0, info->newest_time, out);
}

static void add_age(const char *label, bool empty, uint64_t time_ns, struct buf *out)
{
    uint64_t now = clock_real_ns();

    buf_printf(out, "  %-11s", label);
    if (empty) {
        buf_add_str(out, "—\n");
        return;
    }
    format_age(out, now > time_ns ? now - time_ns : 0);
    buf_add_str(out, " (");
    render_seconds(time_ns, out);
    buf_add_str(out, ")\n");
}

static void describe_pretty(const char *name, const char *path, const struct pool_info *info,
                            struct buf *out)
{
    uint64_t count = pool_bounds_count(&info->bounds);
    const char *slash = strrchr(path, '/');

    render_name_line("", name, out);
    render_name_line("  path:      ", slash != NULL ? slash + 1 : path, out);
    buf_printf(out, "  %-11s", "size:");
    format_size(out, info->file_size);
    buf_add_str(out, " (");
    format_size(out, info->used_bytes);
    buf_add_str(out, " used, ");
    add_percent(info, out);
    buf_printf(out, ")\n  %-11s", "messages:");
    if (count == 0)
        buf_add_str(out, "empty\n");
    else
        buf_printf(out, "%" PRIu64 " (seq %" PRIu64 "..%" PRIu64 ")\n", count, info->bounds.oldest,
                   info->bounds.newest);
    add_age("oldest:", count == 0, info->oldest_time, out);
    add_age("newest:", count == 0, info->newest_time, out);
    buf_printf(out, "  %-11s%" PRIu32 " slots (", "index:", info->index_capacity);
    format_size(out, info->index_size_bytes);
    buf_printf(out, ")\n  %-11s", "ring:");
    format_size(out, info->ring_size);
    buf_add_char(out, '\n');
}

/* What is missing has no path and no cause here: scripts rely on it. */
static int open_pool(struct cli *cli, const char *name, struct pool **ret)
{
    if (target_open(cli, name, POOL_READ, NULL, ret) == 0)
        return 0;
    if (cli->error.kind == PLSM_ERROR_NOT_FOUND) {
        cli->error.path[0] = '\0';
        cli->error.cause[0] = '\0';
    }
    return -1;
}

static int run(const void *values, void *program)
{
    const struct info_options *o = values;
    struct cli *cli = program;
    auto_buf struct buf text = BUF_INIT;
    auto_pool struct pool *pool = NULL;
    struct pool_info info;

    if (open_pool(cli, o->pool, &pool) < 0 || pool_info(pool, &info, &cli->error) < 0)
        return -1;
    if (cli_form(cli) != FORM_PRETTY) {
        if (pool_info_json(&info, o->pool, pool_path(pool), clock_real_ns(), &text) < 0)
            return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
        return cli_report(cli, buf_bytes(&text));
    }
    if (cli->stdout_tty)
        describe_pretty(o->pool, pool_path(pool), &info, &text);
    else
        describe_plain(o->pool, pool_path(pool), &info, &text);
    return cli_print(cli, &text);
}

const struct command_spec cmd_pool_info = {
    .name = "info",
    .summary = "Show size, bounds and use of a pool",
    .usage = "[OPTIONS] <POOL>",
    .options = options,
    .values_size = sizeof(struct info_options),
    .run = run,
    .details = "Shows how large the pool is, which messages it holds, from when they are, and how "
               "much of\n"
               "its ring they fill. A pool that does not exist is NotFound, exit status 3.\n"
               "\n"
               "EXAMPLES\n"
               "  plasmite pool info chat\n"
               "  plasmite pool info chat --json | jq .metrics.message_count\n",
};
