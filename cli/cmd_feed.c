#include "cli.h"
#include "input.h"
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
    bool create;
    const char *create_size;
    const char *mode;
    bool as_data;
    bool echo;
    const char *durability;
    const char *errors;
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
    OPT(0, "create", create, NULL, "make the pool when it is missing"),
    OPT(0, "create-size", create_size, "SIZE", "the same, with this size (default 1M)"),
    OPT(0, "mode", mode, "OCTAL", "permissions of a pool that is made (default 600)"),
    OPT(0, "data", as_data, NULL, "store messages (seq, time, meta, data) as they are, as data"),
    OPT(0, "echo", echo, NULL, "print whole messages in place of receipts"),
    OPT(0, "durability", durability, "MODE", "fast, or flush: on disk before the receipt"),
    OPT('e', "errors", errors, "POLICY",
        "stop at the first bad record, or skip it (then feed exits 1)", .choices = policies),
    OPT_END,
};

/* One run of the command. */
struct feed {
    struct cli *cli;
    const struct feed_options *o;
    struct pool *pool;
    enum append_flags flags;
    enum form form;
    bool skip;
    struct time_cache cache;
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
        buf_add(out, tag.p + 1, tag.n - 2);
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

/* A reader of the receipts that goes away does not keep the rest from being stored. */
static int printed(struct feed *f, int rc, struct error *err)
{
    if (rc == 0 || cli_output_failed(f->cli) == 0)
        return 0;
    *err = f->cli->error;
    return -1;
}

static int store_batch(void *user, const struct payload *payloads, size_t n, struct error *err)
{
    struct feed *f = user;
    struct receipt receipt;

    if (pool_append(f->pool, payloads, n, f->flags, &receipt, err) < 0)
        return -1;
    if (f->cli->out.error != 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct message message = {.seq = receipt.first_seq + i,
                                  .time_ns = receipt.time_ns,
                                  .tags = payloads[i].tags,
                                  .data = payloads[i].data};

        add_receipt(f, &message);
        if (f->cli->out.lines.n >= OUT_FLUSH_BYTES && printed(f, out_flush(&f->cli->out), err) < 0)
            return -1;
    }
    return printed(f, out_lines_added(&f->cli->out), err);
}

static int before_waiting(void *user, struct error *err)
{
    struct feed *f = user;

    if (f->cli->out.lines.n == 0)
        return 0;
    return printed(f, out_flush(&f->cli->out), err);
}

/* What is wrong, in the words scripts know. */
static void explain(const struct input_bad *bad, bool is_inline, struct error *err)
{
    bool not_object = strcmp(err->message, "data must be object") == 0;

    if (err->detail == ERROR_DETAIL_TOO_LARGE) {
        snprintf(err->cause, sizeof err->cause, "%s", err->message);
        snprintf(err->message, sizeof err->message, "record exceeds size limit");
    } else if (strcmp(err->message, "invalid json") == 0 || (not_object && !bad->is_json)) {
        if (not_object)
            snprintf(err->cause, sizeof err->cause, "expected a JSON object");
        snprintf(err->message, sizeof err->message,
                 is_inline ? "invalid json" : "invalid json input");
    }
}

static void notice_skipped(struct feed *f, const struct input_bad *bad, const struct error *err)
{
    auto_buf struct buf details = BUF_INIT, message = BUF_INIT, text = BUF_INIT;
    bool oversize = err->detail == ERROR_DETAIL_TOO_LARGE;

    buf_printf(&details,
               "{\"error_kind\":\"%s\",\"index\":%" PRIu64 ",\"line\":%" PRIu64
               ",\"mode\":\"jsonl\",\"pool_path\":",
               oversize ? "Oversize" : "Parse", bad->index, bad->line);
    buf_add_json_string(&details, bytes_of(pool_path(f->pool)));
    buf_add_str(&details, ",\"snippet\":");
    buf_add_json_string(&details, bad->snippet);
    buf_add_char(&details, '}');
    if (oversize)
        buf_add_str(&message, "Skipped oversized record.");
    else if (strcmp(err->message, "invalid json input") == 0)
        buf_add_str(&message, "Skipped invalid JSON.");
    else
        buf_printf(&message, "Skipped record: %s.", err->message);
    buf_printf(&text, "%s (record %" PRIu64 ", line %" PRIu64 ")", buf_str(&message), bad->index,
               bad->line);
    cli_notice(f->cli, "ingest_skip", f->o->pool, buf_str(&message), buf_str(&text),
               buf_bytes(&details));
}

static int refuse_record(void *user, const struct input_bad *bad, struct error *err)
{
    struct feed *f = user;

    if (err->kind != PLSM_ERROR_USAGE) /* no memory: not the record's fault */
        return -1;
    explain(bad, f->o->data != NULL, err);
    if (f->o->data != NULL) {
        if (err->detail == ERROR_DETAIL_BAD_JSON && err->hint[0] == '\0')
            fail_hint(err, "Supply a single JSON object, like '{\"hello\":\"world\"}'.");
        return -1;
    }
    if (f->skip) {
        notice_skipped(f, bad, err);
        return 0;
    }
    if (err->hint[0] == '\0')
        fail_hint(err,
                  "Record %" PRIu64 ", which begins on line %" PRIu64
                  ", is the first bad one; those "
                  "before it are stored. -e skip leaves bad records out.",
                  bad->index, bad->line);
    return -1;
}

static void notice_summary(struct feed *f, const struct input_counts *counts)
{
    auto_buf struct buf details = BUF_INIT, message = BUF_INIT;

    buf_printf(&details, "{\"failed\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"pool_path\":", counts->bad,
               counts->good);
    buf_add_json_string(&details, bytes_of(pool_path(f->pool)));
    buf_printf(&details, ",\"total\":%" PRIu64 "}", counts->good + counts->bad);
    buf_printf(&message, "Finished with %" PRIu64 " skipped record%s.", counts->bad,
               counts->bad == 1 ? "" : "s");
    cli_notice(f->cli, "ingest_summary", f->o->pool, buf_str(&message), buf_str(&message),
               buf_bytes(&details));
}

static int no_input(struct cli *cli)
{
    fail(&cli->error, PLSM_ERROR_USAGE, "missing data input");
    return fail_hint(&cli->error,
                     "Give a JSON object as DATA, name a file with --file, or pipe JSON in.");
}

static int feed_inline(struct feed *f, struct intake *in)
{
    struct error *err = &f->cli->error;
    struct bytes data = bytes_of(f->o->data);
    const struct payload *payloads;
    size_t n, used;
    enum intake_status status = intake_push(in, data.p, data.n, &used, NULL, err);

    payloads = intake_payloads(in, &n);
    if (status == INTAKE_MORE && intake_end(in, err) == 0 && n == 1)
        return store_batch(f, payloads, 1, err);
    if (n != 1) { /* nothing, or several values: then what else is wrong hardly matters */
        struct error found = *err;

        fail(err, PLSM_ERROR_USAGE, "invalid json");
        snprintf(err->cause, sizeof err->cause, "expected one JSON object");
        if (n == 0 && found.kind != PLSM_ERROR_NONE)
            *err = found;
    }
    return refuse_record(f, &(struct input_bad){.is_json = input_is_json(data)}, err);
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
    return fail_path(&cli->error, path);
}

static int feed_file(struct feed *f, struct intake *in)
{
    const struct input_handler handler = {
        .batch = store_batch, .bad = refuse_record, .idle = before_waiting, .user = f};
    struct input_counts counts;
    int fd, rc;

    if (open_input(f->cli, f->o->file, &fd) < 0)
        return -1;
    rc = input_read(fd, in, &handler, &counts, &f->cli->error);
    if (fd != STDIN_FILENO)
        close(fd);
    if (rc < 0 && f->o->file != NULL && f->cli->error.path[0] == '\0' &&
        f->cli->error.kind == PLSM_ERROR_IO && fd != STDIN_FILENO)
        fail_path(&f->cli->error, f->o->file);
    if (rc < 0)
        return -1;
    if (counts.bad > 0)
        notice_summary(f, &counts);
    else if (counts.good == 0)
        return no_input(f->cli);
    return counts.bad > 0 ? EXIT_SKIPPED : 0;
}

static int open_pool(struct feed *f)
{
    const struct target_creation creation = {
        .create = f->o->create, .size = f->o->create_size, .mode = f->o->mode};

    return target_open(f->cli, f->o->pool, POOL_READ_WRITE, &creation, &f->pool);
}

static int parse_durability(struct feed *f)
{
    const char *text = f->o->durability;
    size_t n;

    if (text == NULL)
        return 0;
    text += strspn(text, " \t\r\n");
    n = strcspn(text, " \t\r\n");
    if (text[n + strspn(text + n, " \t\r\n")] == '\0') {
        if (bytes_equal((struct bytes){text, n}, BYTES("fast")))
            return 0;
        if (bytes_equal((struct bytes){text, n}, BYTES("flush"))) {
            f->flags = APPEND_FLUSH;
            return 0;
        }
    }
    fail(&f->cli->error, PLSM_ERROR_USAGE, "invalid durability");
    return fail_hint(&f->cli->error, "Use fast or flush.");
}

static int feed(struct feed *f)
{
    const struct feed_options *o = f->o;
    auto_buf struct buf tags = BUF_INIT;
    auto_intake struct intake *in = NULL;
    uint32_t tags_raw = 0;
    int code;

    for (size_t i = 0; i < o->tags.n; i++)
        if (tags_add(&tags, &tags_raw, bytes_of(o->tags.items[i]), &f->cli->error) < 0)
            return -1;
    if (intake_new(buf_bytes(&tags), tags_raw, pool_message_max(f->pool),
                   o->as_data ? 0 : INTAKE_RECOGNISE, &in, &f->cli->error) < 0)
        return -1;
    code = o->data != NULL ? feed_inline(f, in) : feed_file(f, in);
    /* Receipts of what is stored come before the error. */
    if (out_flush(&f->cli->out) < 0 && code >= 0 && cli_output_failed(f->cli) < 0)
        return -1;
    return code;
}

static int run(const void *values, void *program)
{
    struct cli *cli = program;
    struct feed f = {.cli = cli, .o = values, .form = cli_form(cli)};
    int code;

    f.skip = f.o->errors != NULL && strcmp(f.o->errors, "skip") == 0;
    if (parse_durability(&f) < 0 || open_pool(&f) < 0)
        return -1;
    if (f.o->data == NULL && f.o->file == NULL && isatty(STDIN_FILENO))
        code = no_input(cli);
    else
        code = feed(&f);
    pool_close(f.pool);
    return code;
}

const struct command_spec cmd_feed = {
    .name = "feed",
    .summary = "Append JSON messages to a pool",
    .usage = "[OPTIONS] <POOL> [DATA]",
    .options = options,
    .values_size = sizeof(struct feed_options),
    .run = run,
    .details =
        "Appends each JSON object as soon as it is complete, on one line or many, and prints a\n"
        "receipt for it: its number, time and tags. An object that is exactly a message (seq, "
        "time,\n"
        "meta, data), as `follow` prints them, is copied: its data and its tags.\n"
        "With -e skip it exits 1 when it left a record out. When the reader of the receipts\n"
        "goes away, the rest is stored without receipts.\n"
        "\n"
        "  plasmite feed chat '{\"hello\":\"world\"}' --tag greeting\n"
        "  journalctl -o json -f | plasmite feed logs --create-size 64M\n"
        "  plasmite follow a | plasmite feed b\n",
};
