#include "cli.h"
#include "render.h"
#include "target.h"

struct fetch_options {
    const char *pool;
    struct opt_u64 seq;
};

#define OPTIONS struct fetch_options
static const struct option_spec options[] = {
    ARG("POOL", pool, "name or path of the pool"),
    ARG("SEQ", seq, "number of the message"),
    OPT_END,
};

static int print_message(struct cli *cli, const struct message *message)
{
    auto_buf struct buf line = BUF_INIT, text = BUF_INIT;
    struct time_cache cache = {0};

    message_render(message, &cache, &line);
    if (cli_form(cli) != FORM_PRETTY)
        return cli_print(cli, &line);
    render_json((struct bytes){line.p, line.n - 1}, cli_colour(cli), &text);
    return cli_print(cli, &text);
}

static int not_there(struct cli *cli, const char *pool)
{
    auto_buf struct buf hint = BUF_INIT;

    buf_add_char(&hint, '`');
    cli_add_command(cli, "pool info", pool, &hint);
    buf_add_str(&hint, "` shows which messages there are, `");
    cli_add_command(cli, "follow --tail 10 --no-follow", pool, &hint);
    buf_add_str(&hint, "` the newest.");
    if (buf_str(&hint) == NULL || hint.n >= sizeof cli->error.hint)
        return fail_hint(&cli->error, "`plasmite pool info` shows which messages there are.");
    return fail_hint(&cli->error, "%s", hint.p);
}

static int run(const void *values, void *program)
{
    const struct fetch_options *o = values;
    struct cli *cli = program;
    auto_buf struct buf store = BUF_INIT;
    auto_pool struct pool *pool = NULL;
    struct message message;

    if (target_open(cli, o->pool, POOL_READ, NULL, &pool) < 0)
        return -1;
    if (pool_get(pool, o->seq.n, &store, &message, &cli->error) < 0) {
        if (cli->error.kind == PLSM_ERROR_NOT_FOUND && cli->error.has_seq)
            return not_there(cli, o->pool);
        return -1;
    }
    return print_message(cli, &message);
}

const struct command_spec cmd_fetch = {
    .name = "fetch",
    .summary = "Fetch one message by its number",
    .usage = "[OPTIONS] <POOL> <SEQ>",
    .options = options,
    .values_size = sizeof(struct fetch_options),
    .run = run,
    .details = "Exit status 3 when the message is not there, or no longer.\n"
               "\n"
               "EXAMPLES\n"
               "  plasmite fetch chat 42 | jq .data\n",
};
