#include "cli.h"
#include "ingest.h"
#include "progress.h"
#include "render.h"
#include "target.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct feed_options {
    const char *pool;
    const char *data;
    const char *file;
    struct opt_list tags;
    struct target_creation creation;
    bool as_data;
    bool echo;
    const char *durability;
    const char *in;
    const char *errors;
    struct opt_u64 retry;
    const char *retry_delay;
};

static const char *const policies[] = {"stop", "skip", NULL};

enum { SOURCE = 1 }; /* DATA and --file exclude each other */

#define OPTIONS struct feed_options
static const struct option_spec options[] = {
    ARG("POOL", pool, "name or path of the pool"),
    ARG_OPTIONAL("DATA", data, "one JSON object; without it and --file, stdin is read",
                 .excludes = SOURCE),
    OPT('f', "file", file, "PATH", "read records from a file; - is stdin. Choose one input source",
        .excludes = SOURCE),
    OPT(0, "tag", tags, "TAG", "tag for every message; may be repeated"),
    TARGET_CREATION_ROWS,
    OPT(0, "data", as_data, NULL, "store messages (seq, time, meta, data) as they are, as data"),
    OPT(0, "echo", echo, NULL, "print whole messages in place of receipts"),
    OPT(0, "durability", durability, "fast|flush",
        "fast (the default), or on disk before the receipt"),
    OPT('i', "in", in, "FORMAT",
        "how records stand in a file or pipe: auto, jsonl, json, seq or jq (see below)",
        .choices = input_format_names),
    OPT('e', "errors", errors, "POLICY",
        "stop at the first bad record, or skip it (then feed exits 1)", .choices = policies),
    OPT(0, "retry", retry, "N", "try again up to N times when the pool is busy", .max = UINT32_MAX),
    OPT(0, "retry-delay", retry_delay, "DUR", "pause between tries (default 50ms)"),
    OPT_END,
};

#define RETRY_DELAY_NS (50 * NS_PER_MS) /* when --retry is given alone */

/* One run of the command. */
struct feed {
    struct cli *cli;
    const struct feed_options *o;
    enum form form;
    struct time_cache cache;
    struct progress progress;
    struct input_counts counts;
};

static void add_for_people(const struct message *message, struct buf *out)
{
    struct bytes tag;
    size_t at = 0;
    bool first = true;

    buf_printf(out, "fed seq=%" PRIu64 " at ", message->seq);
    render_seconds(message->time_ns, out);
    for (; tags_next(message->tags, &at, &tag); first = false) {
        buf_add_str(out, first ? "  tags: " : ",");
        buf_add_plain(out, (struct bytes){tag.p + 1, tag.n - 2}, PLAIN_JSON);
    }
    buf_add_char(out, '\n');
}

static void add_echo(struct feed *f, const struct message *message, struct buf *out)
{
    auto_buf struct buf line = BUF_INIT;

    if (f->form != FORM_PRETTY) {
        message_render(message, &f->cache, out);
        return;
    }
    message_render(message, &f->cache, &line);
    render_json((struct bytes){line.p, line.n > 0 ? line.n - 1 : 0}, cli_colour(f->cli), out);
}

static void add_receipt(struct feed *f, const struct message *message)
{
    struct buf *out = &f->cli->out.lines;

    if (f->o->echo)
        add_echo(f, message, out);
    else if (f->form == FORM_PRETTY)
        add_for_people(message, out);
    else
        message_receipt(message, &f->cache, out);
}

/* Receipts that cannot be written do not keep the rest from being stored; feed() looks at the end. */
static int add_receipts(void *user, const struct payload *payloads, size_t n,
                        const struct receipt *receipt, struct error *err)
{
    struct feed *f = user;
    struct out *out = &f->cli->out;

    (void)err;
    if (f->cli->stdout_tty)
        progress_hide(&f->progress); /* they may share a terminal */
    for (size_t i = 0; i < n && out->error == 0; i++) {
        struct message message = {.seq = receipt->first_seq + i,
                                  .time_ns = receipt->time_ns,
                                  .tags = payloads[i].tags,
                                  .data = payloads[i].data};

        add_receipt(f, &message);
        if (out->lines.n >= OUT_FLUSH_BYTES)
            (void)out_flush(out);
    }
    (void)(f->cli->stdout_tty ? out_flush(out) : out_lines_added(out));
    progress_step(&f->progress, &f->counts);
    return 0;
}

static int before_waiting(void *user, struct error *err)
{
    struct feed *f = user;

    (void)err;
    if (f->cli->out.lines.n > 0)
        (void)out_flush(&f->cli->out);
    progress_step(&f->progress, &f->counts);
    return 0;
}

static void before_notice(void *user)
{
    struct feed *f = user;

    progress_hide(&f->progress);
}

static int open_input(struct cli *cli, const char *path, int *ret_fd)
{
    if (path == NULL || strcmp(path, "-") == 0) {
        *ret_fd = STDIN_FILENO;
        return 0;
    }
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*ret_fd >= 0)
        return 0;
    fail_os(&cli->error, PLSM_ERROR_IO, errno, "failed to read data file");
    fail_hint(&cli->error, "Check the path of --file, and whether you may read it; - is stdin.");
    return fail_path(&cli->error, path);
}

static int feed_file(struct feed *f, struct ingest *ingest)
{
    struct cli *cli = f->cli;
    int fd, rc;

    if (open_input(cli, f->o->file, &fd) < 0)
        return -1;
    progress_start(&f->progress, cli->stderr_tty, fd);
    ingest->idle_ms = f->progress.on ? PROGRESS_STEP_MS : 0;
    rc = ingest_run(ingest, fd, &f->counts, &cli->error);
    if (rc < 0)
        progress_hide(&f->progress);
    else
        progress_done(&f->progress, &f->counts);
    if (fd != STDIN_FILENO) {
        close(fd);
        if (rc < 0 && cli->error.path[0] == '\0' && cli->error.kind == PLSM_ERROR_IO)
            fail_path(&cli->error, f->o->file);
    }
    if (rc < 0)
        return -1;
    return f->counts.bad > 0 ? EXIT_SKIPPED : 0;
}

static int parse_retry(struct feed *f, struct ingest *ingest)
{
    const struct feed_options *o = f->o;
    struct error *err = &f->cli->error;
    const char *why;

    ingest->retries = o->retry.n;
    ingest->retry_delay_ns = RETRY_DELAY_NS;
    if (o->retry_delay == NULL)
        return 0;
    if (o->retry.n == 0) {
        fail(err, PLSM_ERROR_USAGE, "--retry-delay requires --retry");
        return fail_hint(err, "Add --retry N, the number of tries after the first, or leave out "
                              "--retry-delay.");
    }
    if (parse_duration(o->retry_delay, &ingest->retry_delay_ns, &why) == 0)
        return 0;
    fail(err, PLSM_ERROR_USAGE, "%s", why);
    return fail_hint(err, "Use a number with ms, s, m or h, like --retry-delay 200ms.");
}

static int parse_format(struct feed *f, struct ingest *ingest)
{
    struct error *err = &f->cli->error;

    ingest->skip = f->o->errors != NULL && strcmp(f->o->errors, "skip") == 0;
    ingest->advice = "-e skip leaves bad records out; -i says how the records stand in the input.";
    while (f->o->in != NULL && strcmp(f->o->in, input_format_names[ingest->format]) != 0)
        ingest->format++;
    if (ingest->format != INPUT_JQ)
        return 0;
    ingest->advice = "With --in jsonl, -e skip can leave bad records out.";
    if (!ingest->skip)
        return 0;
    fail(err, PLSM_ERROR_USAGE, "skip is not supported with --in jq");
    return fail_hint(err,
                     "Use --in jsonl or --in auto, where it is known where a bad record ends.");
}

static int feed(struct feed *f, struct ingest *ingest)
{
    struct cli *cli = f->cli;
    int code;

    if (f->o->data != NULL)
        code = ingest_text(ingest, bytes_of(f->o->data), &cli->error);
    else if (f->o->file == NULL && isatty(STDIN_FILENO))
        return ingest_no_input(&cli->error);
    else
        code = feed_file(f, ingest);
    /* Receipts of what is stored come before the error. */
    (void)out_flush(&cli->out);
    if (code >= 0 && cli_output_failed(cli) < 0)
        return fail_hint(&cli->error, "The messages are stored, only the receipts are lost: is the "
                                      "disk full that stdout goes to?");
    return code;
}

static int run(const void *values, void *program)
{
    struct cli *cli = program;
    struct feed f = {.cli = cli, .o = values, .form = cli_form(cli)};
    auto_pool struct pool *pool = NULL;
    struct ingest ingest = {.cli = cli,
                            .pool_ref = f.o->pool,
                            .as_data = f.o->as_data,
                            .tags = &f.o->tags,
                            .stored = add_receipts,
                            .idle = before_waiting,
                            .notice = before_notice,
                            .user = &f};

    if (parse_retry(&f, &ingest) < 0 ||
        target_parse_durability(f.cli, f.o->durability, &ingest.flags) < 0 ||
        parse_format(&f, &ingest) < 0 ||
        target_open(cli, f.o->pool, POOL_READ_WRITE, &f.o->creation, &pool) < 0)
        return -1;
    ingest.pool = pool;
    return feed(&f, &ingest);
}

const struct command_spec cmd_feed = {
    .name = "feed",
    .summary = "Append JSON messages to a pool",
    .usage = "[OPTIONS] <POOL> [DATA]",
    .options = options,
    .values_size = sizeof(struct feed_options),
    .run = run,
    .details =
        "Appends each JSON object as soon as it is complete and prints a receipt for it: its "
        "number,\n"
        "time and tags. An object that is exactly a message (seq, time, meta, data), as `follow`\n"
        "prints them, is copied: its data and its tags. Other JSON values are bad records.\n"
        "With -e skip each bad record gives a notice, and feed exits 1. When the reader of the\n"
        "receipts goes away, the rest is stored without receipts. A file that takes longer than a\n"
        "second shows its progress on a terminal.\n"
        "\n"
        "FORMATS of -i\n"
        "  auto   objects on one line or many, several on a line, or with RS (0x1e) between\n"
        "         them; also an event stream (lines of data:, event:, id:)\n"
        "  jsonl  exactly one object on each line\n"
        "  json   one object that is all of the input\n"
        "  seq    one object behind each RS, as `journalctl -o json-seq` writes\n"
        "  jq     as auto, but nothing else than JSON; bad records cannot be skipped\n"
        "\n"
        "EXAMPLES\n"
        "  plasmite feed chat '{\"hello\":\"world\"}' --tag greeting\n"
        "  journalctl -o json -f | plasmite feed logs --create-size 64M\n"
        "  plasmite feed logs --create -f saved.jsonl -e skip\n"
        "  plasmite follow a | plasmite feed b\n",
};
