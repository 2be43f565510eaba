/* The command table; reports the error, sets the exit code. */
#include "cli.h"

#include "base/fds.h"
#include "base/log.h"
#include "base/units.h"
#include "pool/error_text.h"
#include "pool/pool.h"
#include "pool/store.h"
#include "render.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct command_spec *const pool_commands[] = {
    &cmd_pool_create, &cmd_pool_info, &cmd_pool_delete, &cmd_pool_list, NULL,
};

static const struct command_spec cmd_pool = {
    .name = "pool",
    .summary = "Manage pool files",
    .usage = "<COMMAND>",
    .subcommands = pool_commands,
};

static const struct command_spec *const commands[] = {
    &cmd_pool,  &cmd_feed,   &cmd_follow, &cmd_duplex,     &cmd_fetch,   &cmd_tap,
    &cmd_mount, &cmd_umount, &cmd_doctor, &cmd_completion, &cmd_version, NULL,
};

static const char *const colours[] = {"auto", "always", "never", NULL};
static const char *const forms[] = {"pretty", "json", "jsonl", NULL};

#define OPTIONS struct cli_options
static const struct option_spec program_options[] = {
    OPT(0, "dir", dir, "DIR", "pool directory (default ~/.plasmite/pools)",
        .flags = OPT_PATH | OPT_AGAIN),
    OPT(0, "color", color, "WHEN", "auto, always or never: colour for people, never in JSON lines",
        .flags = OPT_AGAIN, .choices = colours),
    OPT(0, "format", format, "FORM",
        "pretty, json or jsonl (default: pretty on a terminal, else JSON)", .flags = OPT_AGAIN,
        .choices = forms),
    OPT(0, "json", json, NULL, "the same as --format json", .flags = OPT_AGAIN),
    OPT(0, "jsonl", jsonl, NULL, "the same as --format jsonl: one document per line",
        .flags = OPT_AGAIN),
    OPT_END,
};
#undef OPTIONS

static const struct command_spec program = {
    .name = "plasmite",
    .summary = "A pool is a persistent, bounded stream of JSON messages in one file, shared by any "
               "number\n"
               "of programs. There is no daemon: `feed` appends, `follow` reads and waits.",
    .usage = "[OPTIONS] <COMMAND>",
    .subcommands = commands,
    .options = program_options,
    .details =
        "These options may stand before or after the command.\n"
        "\n"
        "FIRST STEPS\n"
        "  plasmite pool create chat                      make a pool of 1 MiB\n"
        "  plasmite follow chat                           wait for messages; Ctrl-C ends it\n"
        "  plasmite feed chat '{\"from\":\"me\"}' --tag hi    append one, in another terminal\n"
        "  plasmite follow chat --tail 10 --no-follow     the last ten, and no waiting\n"
        "  echo '{\"n\":1}' | plasmite feed chat            append what another program prints\n"
        "  mkdir ~/pools; plasmite mount ~/pools          pools as files: echo, cat, grep\n"
        "\n"
        "Results go to stdout, errors to stderr. In a pipe both are JSON, one document per line.\n"
        "Use --json or --format jsonl to have that on a terminal, --format pretty for text in a "
        "pipe.\n"
        "\n"
        "EXIT STATUS\n"
        "  0 fine, 1 internal, 2 usage, 3 not found, 4 exists, 5 busy, 6 permission, 7 corrupt,\n"
        "  8 input/output, 9 messages lost, 124 timed out\n"
        "\n"
        "`plasmite <command> --help` says more; so do `man plasmite` and `man plasmite-COMMAND`.\n",
};

const char *cli_dir(struct cli *cli)
{
    if (cli->options.dir != NULL)
        return cli->options.dir;
    if (cli->dir.n == 0 && store_default_dir(&cli->dir) < 0)
        return NULL;
    return buf_str(&cli->dir);
}

void cli_add_command(const struct cli *cli, const char *words, const char *argument,
                     struct buf *out)
{
    bool is_behind = argument != NULL && argument[0] == '-';

    buf_printf(out, "plasmite %s", words);
    if (argument != NULL && !is_behind) {
        buf_add_char(out, ' ');
        buf_add_shell_word(out, argument);
    }
    if (cli->options.dir != NULL) {
        buf_add_str(out, " --dir ");
        buf_add_shell_word(out, cli->options.dir);
    }
    if (is_behind) {
        buf_add_str(out, " -- ");
        buf_add_shell_word(out, argument);
    }
}

enum form cli_form(const struct cli *cli)
{
    const char *format = cli->options.format;

    if (cli->options.jsonl || (format != NULL && strcmp(format, "jsonl") == 0))
        return FORM_LINES;
    if (cli->options.json || (format != NULL && strcmp(format, "json") == 0))
        return FORM_JSON;
    if (format != NULL || cli->stdout_tty)
        return FORM_PRETTY;
    return FORM_JSON;
}

static bool is_coloured(const struct cli *cli, bool tty)
{
    const char *color = cli->options.color;

    if (color == NULL || strcmp(color, "auto") == 0)
        return tty;
    return strcmp(color, "always") == 0;
}

bool cli_colour(const struct cli *cli)
{
    return is_coloured(cli, cli->stdout_tty);
}

int cli_output_failed(struct cli *cli)
{
    if (cli->out.error == 0 || cli->out.error == EPIPE)
        return 0;
    fail_os(&cli->error, PLSM_ERROR_IO, cli->out.error, "failed to write output");
    return fail_hint(&cli->error, "Look at where stdout goes: is the disk full?");
}

int cli_print(struct cli *cli, const struct buf *text)
{
    if (buf_failed(text) || buf_add_bytes(&cli->out.lines, buf_bytes(text)) < 0)
        return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    (void)out_flush(&cli->out); /* looked at by the next line */
    return cli_output_failed(cli);
}

int cli_report(struct cli *cli, struct bytes json)
{
    auto_buf struct buf text = BUF_INIT;
    bool colour = cli_colour(cli);

    if (cli_form(cli) != FORM_LINES && (cli->stdout_tty || colour)) {
        render_json(json, colour, &text);
    } else {
        buf_add_bytes(&text, json);
        buf_add_char(&text, '\n');
    }
    return cli_print(cli, &text);
}

void cli_notice(struct cli *cli, const char *command, const char *kind, const char *pool,
                const char *message, const char *text, struct bytes details)
{
    auto_buf struct buf line = BUF_INIT;
    char time[TIME_TEXT_LEN];

    if (cli->stderr_tty) {
        bool colour = is_coloured(cli, true);

        buf_printf(&line, "%snotice:%s ", colour ? "\033[33m" : "", colour ? "\033[0m" : "");
        error_add_plain(text, &line);
        buf_add_char(&line, '\n');
        log_write(buf_bytes(&line));
        return;
    }
    format_time(clock_real_ns(), time);
    buf_printf(&line,
               "{\"notice\":{\"cmd\":\"%s\",\"details\":%.*s,\"kind\":\"%s\",\"message\":", command,
               (int)details.n, details.p, kind);
    buf_add_json_string(&line, bytes_of(message));
    buf_add_str(&line, ",\"pool\":");
    buf_add_json_string(&line, bytes_of(pool));
    buf_printf(&line, ",\"time\":\"%.*s\"}}\n", TIME_TEXT_LEN, time);
    log_write(buf_bytes(&line));
}

static int report_error(struct cli *cli)
{
    auto_buf struct buf text = BUF_INIT;

    error_default_hint(&cli->error);
    if (cli->stderr_tty)
        error_add_lines(&cli->error, is_coloured(cli, true), &text);
    else
        error_add_envelope(&cli->error, &text);
    log_write(buf_bytes(&text));
    return (int)cli->error.kind;
}

/*
 * Words that do not fit the tables: the hint names the help page that explains them.  Where it has the words to choose
 * from, the page of the command would say no more.
 */
static int parse_failed(struct cli *cli, const struct opts *opts)
{
    const struct command_spec *command = opts->path[opts->depth - 1];
    auto_buf struct buf words = BUF_INIT;

    fail(&cli->error, PLSM_ERROR_USAGE, "%s", opts->why);
    if (opts->problem == OPTS_PROBLEM_MISSING && command->missing != NULL)
        return fail_hint(&cli->error, "%s", command->missing);
    if (opts->problem == OPTS_PROBLEM_CHOICE)
        buf_add_str(&words, opts->path[0]->name);
    else
        opts_words(opts, &words);
    return fail_hint(&cli->error, "%s%sTry `%s --help`.", opts->hint,
                     opts->hint[0] != '\0' ? " " : "", buf_str(&words));
}

static int print_help(struct cli *cli, const struct opts *opts, bool is_long)
{
    auto_buf struct buf text = BUF_INIT;

    opts_help(opts, is_long, &text);
    return cli_print(cli, &text);
}

static int print_version(struct cli *cli)
{
    auto_buf struct buf text = BUF_INIT;

    buf_add_str(&text, "plasmite " PLASMITE_VERSION "\n");
    return cli_print(cli, &text);
}

/* Help in the place of a command that cannot run bare goes to stderr; `pls` alone was asked on purpose. */
static int bare(struct cli *cli, const struct opts *opts, const char *name)
{
    auto_buf struct buf text = BUF_INIT;
    const char *slash = name != NULL ? strrchr(name, '/') : NULL;

    if (name != NULL && opts->depth == 1 && strcmp(slash != NULL ? slash + 1 : name, "pls") == 0)
        return print_help(cli, opts, true);
    opts_help(opts, false, &text);
    log_write(buf_bytes(&text));
    return PLSM_ERROR_USAGE;
}

static int check_form(struct cli *cli)
{
    int n = (cli->options.format != NULL) + cli->options.json + cli->options.jsonl;

    if (n <= 1)
        return 0;
    fail(&cli->error, PLSM_ERROR_USAGE, "conflicting output options");
    return fail_hint(&cli->error, "Use one of --format jsonl, --format json, --jsonl and --json.");
}

static int run(struct cli *cli, const struct opts *opts)
{
    if (check_form(cli) < 0)
        return -1;
    return opts->path[opts->depth - 1]->run(opts->values, cli);
}

int main(int argc, char **argv)
{
    fds_fill_standard();
    struct opts opts;
    struct cli cli = {.opts = &opts,
                      .out = OUT_INIT(STDOUT_FILENO),
                      .stdout_tty = isatty(STDOUT_FILENO),
                      .stderr_tty = isatty(STDERR_FILENO)};
    int code = -1;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit (ulimit -f) is an error like a full disk */
    pool_guard_sigbus();
    switch (opts_parse(&opts, &program, &cli.options, argc, argv)) {
    case OPTS_RUN:
        code = run(&cli, &opts);
        break;
    case OPTS_HELP:
        code = print_help(&cli, &opts, true);
        break;
    case OPTS_HELP_SHORT:
        code = print_help(&cli, &opts, false);
        break;
    case OPTS_BARE:
        code = bare(&cli, &opts, argv[0]);
        break;
    case OPTS_VERSION:
        code = print_version(&cli);
        break;
    case OPTS_WRONG:
        cli.options.color = NULL; /* it may be what is wrong */
        code = parse_failed(&cli, &opts);
        break;
    }
    if (code < 0)
        code = report_error(&cli);
    opts_done(&opts);
    out_done(&cli.out);
    buf_done(&cli.dir);
    return code;
}
