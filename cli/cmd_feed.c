#include "cli.h"
#include "ingest.h"
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
    enum form form;
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

static int add_receipts(void *user, const struct payload *payloads, size_t n,
                        const struct receipt *receipt, struct error *err)
{
    struct feed *f = user;

    if (f->cli->out.error != 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct message message = {.seq = receipt->first_seq + i,
                                  .time_ns = receipt->time_ns,
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

static int feed_file(struct ingest *ingest, const char *path)
{
    struct cli *cli = ingest->cli;
    struct input_counts counts;
    int fd, rc;

    if (open_input(cli, path, &fd) < 0)
        return -1;
    rc = ingest_run(ingest, fd, &counts, &cli->error);
    if (fd != STDIN_FILENO) {
        close(fd);
        if (rc < 0 && cli->error.path[0] == '\0' && cli->error.kind == PLSM_ERROR_IO)
            fail_path(&cli->error, path);
    }
    if (rc < 0)
        return -1;
    return counts.bad > 0 ? EXIT_SKIPPED : 0;
}

static int open_pool(struct feed *f, struct pool **ret)
{
    const struct target_creation creation = {
        .create = f->o->create, .size = f->o->create_size, .mode = f->o->mode};

    return target_open(f->cli, f->o->pool, POOL_READ_WRITE, &creation, ret);
}

static int parse_durability(struct feed *f, enum append_flags *ret)
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
            *ret = APPEND_FLUSH;
            return 0;
        }
    }
    fail(&f->cli->error, PLSM_ERROR_USAGE, "invalid durability");
    return fail_hint(&f->cli->error, "Use fast or flush.");
}

static int feed(const struct feed *f, struct ingest *ingest)
{
    struct cli *cli = f->cli;
    int code;

    if (f->o->data != NULL)
        code = ingest_text(ingest, bytes_of(f->o->data), &cli->error);
    else if (f->o->file == NULL && isatty(STDIN_FILENO))
        return ingest_no_input(&cli->error);
    else
        code = feed_file(ingest, f->o->file);
    /* Receipts of what is stored come before the error. */
    if (out_flush(&cli->out) < 0 && code >= 0 && cli_output_failed(cli) < 0)
        return -1;
    return code;
}

static int run(const void *values, void *program)
{
    struct cli *cli = program;
    struct feed f = {.cli = cli, .o = values, .form = cli_form(cli)};
    auto_pool struct pool *pool = NULL;
    struct ingest ingest = {.cli = cli,
                            .pool_ref = f.o->pool,
                            .skip = f.o->errors != NULL && strcmp(f.o->errors, "skip") == 0,
                            .as_data = f.o->as_data,
                            .tags = &f.o->tags,
                            .advice = "-e skip leaves bad records out.",
                            .stored = add_receipts,
                            .idle = before_waiting,
                            .user = &f};

    if (parse_durability(&f, &ingest.flags) < 0 || open_pool(&f, &pool) < 0)
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
