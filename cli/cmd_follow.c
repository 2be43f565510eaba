#include "cli.h"
#include "render.h"
#include "target.h"

#include "base/log.h"
#include "pool/stream.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DROP_NOTICE_NS NS_PER_S  /* between two notices of lost messages; later ones are merged */
#define READER_CHECK_NS NS_PER_S /* between looks whether the reader of an idle pipe has gone */
#define RENDER_BYTES (256 * 1024)

struct follow_options {
    const char *pool;
    struct opt_u64 tail;
    const char *since;
    struct opt_u64 from;
    struct opt_list tags;
    bool no_follow;
    bool one;
    bool data_only;
    const char *timeout;
    bool create;
    const char *create_size;
    const char *mode;
    bool quiet_drops;
};

enum { START = 1 }; /* where to start is said once */

#define OPTIONS struct follow_options
static const struct option_spec options[] = {
    ARG("POOL", pool, "name or path of the pool"),
    OPT('n', "tail", tail, "N", "start with the last N matching messages (default 0)",
        .excludes = START),
    OPT(0, "since", since, "WHEN",
        "start with messages of this time on; WHEN..WHEN also ends there", .excludes = START),
    OPT(0, "from", from, "SEQ", "start with the message of this number", .excludes = START),
    OPT(0, "tag", tags, "TAG", "only messages with this tag; may be repeated, all must be there"),
    OPT(0, "no-follow", no_follow, NULL, "print what is there, then exit; alone: everything"),
    OPT(0, "one", one, NULL, "exit after one matching message; with --tail N after the N-th"),
    OPT(0, "data-only", data_only, NULL, "print the data of messages only"),
    OPT(0, "timeout", timeout, "DUR",
        "Exit 124 when nothing was printed for so long: 500ms, 5s, 1m, 2h"),
    OPT(0, "create", create, NULL, "make the pool when it is missing"),
    OPT(0, "create-size", create_size, "SIZE", "the same, with this size (default 1M)"),
    OPT(0, "mode", mode, "OCTAL", "permissions of a pool that is made (default 600)"),
    OPT(0, "quiet-drops", quiet_drops, NULL, "say nothing when messages were lost unread"),
    OPT_END,
};

/* Lost messages not yet told of. */
struct drops {
    bool pending;
    uint64_t last_seen, next_seen;
    uint64_t told_ns; /* when the last notice was given; 0: never */
    uint64_t first_lost;
};

struct follow {
    struct cli *cli;
    const struct follow_options *o;
    struct pool *pool;
    struct stream *stream;
    enum form form;
    struct time_cache cache;
    struct buf line;
    struct drops drops;
    uint64_t timeout_ns;  /* UINT64_MAX: none */
    uint64_t deadline_ns; /* on clock_mono_ns(); UINT64_MAX: none */
    uint64_t n_matches;
};

static uint64_t later(uint64_t ns)
{
    uint64_t now = clock_mono_ns();

    return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

static void tell_drops(struct follow *f)
{
    struct drops *d = &f->drops;
    uint64_t dropped = d->next_seen - d->last_seen - 1;
    auto_buf struct buf details = BUF_INIT, message = BUF_INIT, text = BUF_INIT;

    d->pending = false;
    d->told_ns = clock_mono_ns();
    if (f->o->quiet_drops)
        return;
    buf_printf(&details,
               "{\"dropped_count\":%" PRIu64 ",\"last_seen_seq\":%" PRIu64
               ",\"next_seen_seq\":%" PRIu64 ",\"pool_path\":",
               dropped, d->last_seen, d->next_seen);
    buf_add_json_string(&details, bytes_of(pool_path(f->pool)));
    buf_add_char(&details, '}');
    buf_printf(&message, "dropped %" PRIu64 " message%s", dropped, dropped == 1 ? "" : "s");
    buf_printf(&text, "%s (pool: %s)", buf_str(&message), f->o->pool);
    cli_notice(f->cli, "drop", f->o->pool, buf_str(&message), buf_str(&text), buf_bytes(&details));
}

static uint64_t drops_due_ns(const struct drops *d)
{
    return !d->pending ? UINT64_MAX : d->told_ns == 0 ? 0 : d->told_ns + DROP_NOTICE_NS;
}

static void note_gap(struct follow *f)
{
    struct drops *d = &f->drops;
    uint64_t first, next;

    stream_gap(f->stream, &first, &next);
    if (d->first_lost == 0)
        d->first_lost = first;
    if (!d->pending)
        d->last_seen = first - 1;
    d->next_seen = next;
    d->pending = true;
    if (drops_due_ns(d) <= clock_mono_ns())
        tell_drops(f);
}

/* With `--tail N --one` it is the N-th match that is wanted, stored or new; the others are passed over. */
static bool is_wanted(struct follow *f)
{
    uint64_t which = f->o->tail.given && f->o->tail.n > 0 ? f->o->tail.n : 1;

    f->n_matches++;
    return !f->o->one || f->n_matches == which;
}

static void add_message(struct follow *f, const struct message *message)
{
    struct buf *out = &f->cli->out.lines;
    struct bytes json = message->data;

    if (!f->o->data_only) {
        buf_clear(&f->line);
        message_render(message, &f->cache, &f->line);
        json = (struct bytes){f->line.p, f->line.n > 0 ? f->line.n - 1 : 0};
    }
    if (f->form == FORM_PRETTY) {
        render_json(json, cli_colour(f->cli), out);
        return;
    }
    buf_add_bytes(out, json);
    buf_add_char(out, '\n');
}

/* Takes one message, or many where they all are printed as they are. */
static enum stream_result take(struct follow *f)
{
    struct message message;
    enum stream_result result;

    if (f->form != FORM_PRETTY && !f->o->one && !f->o->data_only)
        return stream_render(f->stream, RENDER_BYTES, &f->cache, &f->cli->out.lines,
                             &f->cli->error);
    result = stream_next(f->stream, &message, &f->cli->error);
    if (result == STREAM_MESSAGE && is_wanted(f))
        add_message(f, &message);
    return result;
}

/* Has whoever read our pipe gone?  A wait for messages would never find out. */
static bool reader_has_gone(const struct follow *f)
{
    struct pollfd out = {.fd = f->cli->out.fd};

    return poll(&out, 1, 0) > 0 && (out.revents & POLLERR);
}

enum waited { WAITED, WAITED_TOO_LONG, WAITED_FOR_NOBODY };

static enum waited wait_for_more(struct follow *f)
{
    uint64_t seen = stream_pos(f->stream), due = drops_due_ns(&f->drops);
    uint64_t until = f->deadline_ns < due ? f->deadline_ns : due;
    uint64_t check = later(READER_CHECK_NS);

    if (pool_wait(&f->pool, &seen, 1, until < check ? until : check, NULL, 0) == POOL_WAIT_READY)
        return WAITED;
    if (f->drops.pending && drops_due_ns(&f->drops) <= clock_mono_ns())
        tell_drops(f);
    if (clock_mono_ns() >= f->deadline_ns)
        return WAITED_TOO_LONG;
    return reader_has_gone(f) ? WAITED_FOR_NOBODY : WAITED;
}

static int timed_out(struct follow *f)
{
    if (f->cli->stderr_tty)
        log_line("No messages received (timed out after %s).", f->o->timeout);
    return EXIT_TIMED_OUT;
}

/* A finite read is over: fine, unless it lost something it was to print. */
static int finish(struct follow *f)
{
    if (f->drops.pending)
        tell_drops(f);
    if (!stream_lost(f->stream) || !f->o->no_follow)
        return 0;
    fail(&f->cli->error, PLSM_ERROR_RETENTION_GAP,
         "messages were lost before they could be printed");
    fail_seq(&f->cli->error, f->drops.first_lost);
    return fail_hint(&f->cli->error,
                     "They were overwritten by newer ones: a larger pool keeps more.");
}

/* What was added goes out when it is time; the code to end with, or -2 to go on. */
enum { GO_ON = -2 };

static int printed(struct follow *f, int rc)
{
    if (rc == 0)
        return GO_ON;
    return cli_output_failed(f->cli);
}

/* After one step.  Output that waits is written before anything that may take long. */
static int react(struct follow *f, enum stream_result result, bool added)
{
    struct out *out = &f->cli->out;
    int code;

    switch (result) {
    case STREAM_MESSAGE:
        if (added)
            f->deadline_ns = f->timeout_ns == UINT64_MAX ? UINT64_MAX : later(f->timeout_ns);
        if (added && f->o->one)
            return printed(f, out_flush(out)) == GO_ON ? 0 : cli_output_failed(f->cli);
        return added ? printed(f, out_lines_added(out)) : GO_ON;
    case STREAM_GAP:
        note_gap(f);
        return GO_ON;
    case STREAM_WAIT:
        code = printed(f, out_flush(out));
        if (code != GO_ON)
            return code;
        switch (wait_for_more(f)) {
        case WAITED:
            return GO_ON;
        case WAITED_TOO_LONG:
            return timed_out(f);
        case WAITED_FOR_NOBODY:
            return 0;
        }
        return GO_ON;
    case STREAM_DONE:
        code = printed(f, out_flush(out));
        return code == GO_ON ? finish(f) : code;
    case STREAM_FAILED:
        (void)out_flush(out); /* the stream's own error is the one to report */
        if (f->drops.pending)
            tell_drops(f);
        return -1;
    }
    return GO_ON;
}

static int follow(struct follow *f)
{
    int code = GO_ON;

    f->deadline_ns = f->timeout_ns == UINT64_MAX ? UINT64_MAX : later(f->timeout_ns);
    while (code == GO_ON) {
        size_t before = f->cli->out.lines.n;
        enum stream_result result = take(f);

        code = react(f, result, f->cli->out.lines.n > before);
    }
    return code;
}

static int parse_since(struct cli *cli, const char *text, struct stream_options *ret)
{
    const char *why = NULL;

    if (parse_time_range(bytes_of(text), clock_real_ns(), &ret->since_ns, &ret->until_ns, &why) ==
        0)
        return 0;
    fail(&cli->error, PLSM_ERROR_USAGE, "invalid --since value");
    snprintf(cli->error.cause, sizeof cli->error.cause, "%s", why);
    return fail_hint(&cli->error,
                     "Use a time like 2026-03-04T05:06:07Z, 5m (ago), 14:30, or two of them "
                     "with .. between.");
}

static int parse_options(struct follow *f, struct stream_options *ret)
{
    const struct follow_options *o = f->o;

    f->timeout_ns = UINT64_MAX;
    if (o->since != NULL && parse_since(f->cli, o->since, ret) < 0)
        return -1;
    if (o->timeout != NULL && parse_duration(o->timeout, &f->timeout_ns, NULL) < 0) {
        fail(&f->cli->error, PLSM_ERROR_USAGE, "invalid duration");
        return fail_hint(&f->cli->error, "Use a number and ms, s, m or h, like 500ms or 5s.");
    }
    ret->start = o->since != NULL ? STREAM_SINCE
                 : o->from.given  ? STREAM_FROM
                 : o->tail.given  ? STREAM_TAIL
                 : o->no_follow   ? STREAM_ALL
                                  : STREAM_LIVE;
    ret->tail = o->tail.n;
    ret->from_seq = o->from.n;
    ret->finite = o->no_follow;
    return 0;
}

static int open_pool(struct follow *f)
{
    const struct target_creation creation = {
        .create = f->o->create, .size = f->o->create_size, .mode = f->o->mode};

    return target_open(f->cli, f->o->pool, POOL_READ, &creation, &f->pool);
}

static int open_stream(struct follow *f, struct stream_options *start)
{
    struct bytes *tags = calloc(f->o->tags.n + 1, sizeof *tags);
    int rc;

    if (tags == NULL)
        return fail(&f->cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    for (size_t i = 0; i < f->o->tags.n; i++)
        tags[i] = bytes_of(f->o->tags.items[i]);
    start->tags = tags;
    start->n_tags = f->o->tags.n;
    rc = stream_open(f->pool, start, &f->stream, &f->cli->error);
    free(tags);
    return rc;
}

static int run(const void *values, void *program)
{
    struct cli *cli = program;
    struct follow f = {.cli = cli, .o = values, .form = cli_form(cli)};
    struct stream_options start = {0};
    int code;

    if (parse_options(&f, &start) < 0 || open_pool(&f) < 0)
        return -1;
    if (start.since_ns > clock_real_ns())
        code = 0; /* nothing can be printed before that time, and nobody means to wait so long */
    else if (open_stream(&f, &start) < 0)
        code = -1;
    else
        code = follow(&f);
    stream_close(f.stream);
    pool_close(f.pool);
    buf_done(&f.line);
    return code;
}

const struct command_spec cmd_follow = {
    .name = "follow",
    .summary = "Print messages of a pool as they come",
    .usage = "[OPTIONS] <POOL>",
    .options = options,
    .values_size = sizeof(struct follow_options),
    .run = run,
    .missing = "Name the pool: follow needs a pool ref, as in `plasmite follow chat -n 1`.",
    .details =
        "Starts behind the newest message unless --tail, --since or --from say otherwise.\n"
        "WHEN is 90s, 5m, 1h or 2d (ago), 2026-03-04T05:06:07Z, @seconds, or HH:MM[:SS].\n"
        "When messages are overwritten before they were read, a notice on stderr tells how many;\n"
        "with --no-follow the exit status is 9 then.\n"
        "\n"
        "  plasmite follow ci --tag green --one       wait until something happens\n"
        "  plasmite follow chat --tail 10\n"
        "  plasmite follow chat --since 14:00..15:00\n",
};
