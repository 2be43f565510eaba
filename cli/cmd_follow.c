#include "cli.h"
#include "replay.h"
#include "target.h"
#include "watch.h"

#include "pool/filter.h"

#include <stdlib.h>

struct follow_options {
    const char *pool;
    struct target_creation creation;
    struct opt_u64 tail;
    bool one;
    const char *timeout;
    bool data_only;
    const char *since;
    struct opt_u64 from;
    struct opt_list where;
    struct opt_list tags;
    bool no_follow;
    bool quiet_drops;
    bool no_notify;
    const char *replay;
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
    OPT(0, "where", where, "EXPR",
        "only messages for which this jq expression is true; may be repeated"),
    OPT(0, "tag", tags, "TAG", "only messages with this tag; may be repeated, all must be there"),
    OPT(0, "no-follow", no_follow, NULL, "print what is there, then exit; alone: everything"),
    OPT(0, "replay", replay, "SPEED",
        "the same at the pace of the past: finite SPEED >= 0; requires --tail or --since, or "
        "--from"),
    OPT(0, "one", one, NULL, "exit after one matching message; with --tail N after the N-th"),
    OPT(0, "timeout", timeout, "DUR",
        "exit with 124 when nothing was printed for so long: 500ms, 5s, 1m, 2h"),
    OPT(0, "data-only", data_only, NULL, "print the data of messages only"),
    TARGET_CREATION_ROWS,
    OPT(0, "quiet-drops", quiet_drops, NULL, "say nothing when messages were lost unread"),
    OPT(0, "no-notify", no_notify, NULL, "look for messages every 1 to 50 ms, never be woken"),
    OPT_END,
};

struct follow {
    const struct follow_options *o;
    struct watch watch;
    struct stream_options start;
    struct filter **filters;
    double speed; /* of a replay */
};

static int parse_filters(struct follow *f)
{
    const struct opt_list *where = &f->o->where;
    struct error *err = &f->watch.cli->error;

    f->filters = calloc(where->n + 1, sizeof(struct filter *));
    if (f->filters == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    for (size_t i = 0; i < where->n; i++)
        if (filter_new(bytes_of(where->items[i]), &f->filters[i], err) < 0) {
            err->has_offset = false; /* the hint tells the place */
            return -1;
        }
    f->start.filters = f->filters;
    f->start.n_filters = where->n;
    return 0;
}

static int parse_replay(struct follow *f)
{
    const struct follow_options *o = f->o;
    struct error *err = &f->watch.cli->error;

    if (o->replay == NULL)
        return 0;
    if (replay_parse_speed(f->watch.cli, o->replay, &f->speed) < 0)
        return -1;
    if (o->since != NULL || o->from.given || o->tail.n > 0)
        return 0;
    fail(err, PLSM_ERROR_USAGE, "--replay requires --tail or --since");
    return fail_hint(err, "Say which messages: --tail N with N >= 1, --since WHEN, or --from "
                          "SEQ. For everything: --since @0.");
}

/* Which match --one waits for: with --tail N the N-th, stored or new; in a replay the first. */
static uint64_t only(const struct follow_options *o)
{
    if (!o->one)
        return 0;
    return o->tail.n > 0 && o->replay == NULL ? o->tail.n : 1;
}

static int parse_options(struct follow *f)
{
    const struct follow_options *o = f->o;
    struct watch *w = &f->watch;

    if (watch_parse_since(w->cli, o->since, &f->start) < 0 ||
        watch_parse_timeout(w->cli, o->timeout, &w->timeout_ns) < 0 || parse_filters(f) < 0 ||
        parse_replay(f) < 0)
        return -1;
    if (o->since == NULL)
        f->start.start = o->from.given   ? STREAM_FROM
                         : o->tail.given ? STREAM_TAIL
                         : o->no_follow  ? STREAM_ALL
                                         : STREAM_LIVE;
    f->start.tail = o->tail.n;
    f->start.from_seq = o->from.n;
    f->start.finite = o->no_follow || o->replay != NULL;
    w->pool_ref = o->pool;
    w->data_only = o->data_only;
    w->quiet_drops = o->quiet_drops;
    w->no_notify = o->no_notify;
    w->only = only(o);
    w->timeout_text = o->timeout;
    return 0;
}

static int parse_tags(struct follow *f, struct bytes **ret)
{
    const struct opt_list *tags = &f->o->tags;

    *ret = calloc(tags->n + 1, sizeof **ret);
    if (*ret == NULL)
        return fail(&f->watch.cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    for (size_t i = 0; i < tags->n; i++)
        (*ret)[i] = bytes_of(tags->items[i]);
    f->start.tags = *ret;
    f->start.n_tags = tags->n;
    return 0;
}

static int open_stream(struct follow *f)
{
    struct bytes *tags;
    int rc;

    if (parse_tags(f, &tags) < 0)
        return -1;
    rc = watch_open(&f->watch, &f->start);
    free(tags);
    return rc;
}

/* For people alone: a program that generates expressions knows what it does. */
static void tell_doubts(struct follow *f)
{
    struct cli *cli = f->watch.cli;

    for (size_t i = 0; i < f->o->where.n && cli->stderr_tty; i++) {
        const char *doubt = filter_doubt(f->filters[i]);

        if (doubt != NULL)
            cli_notice(cli, "follow", "filter", f->o->pool, doubt, doubt, BYTES("{}"));
    }
}

static int follow(struct follow *f)
{
    const struct follow_options *o = f->o;

    if (parse_options(f) < 0 ||
        target_open(f->watch.cli, o->pool, POOL_READ, &o->creation, &f->watch.pool) < 0)
        return -1;
    if (watch_is_in_future(&f->start))
        return 0;
    if (open_stream(f) < 0)
        return -1;
    tell_doubts(f);
    return f->speed > 0 && !o->one ? replay_run(&f->watch, f->speed) : watch_run(&f->watch);
}

static int run(const void *values, void *program)
{
    struct follow f = {.o = values, .watch = {.cli = program}};
    int code = follow(&f);

    watch_close(&f.watch);
    pool_close(f.watch.pool);
    for (size_t i = 0; f.filters != NULL && i < f.o->where.n; i++)
        filter_free(f.filters[i]);
    free(f.filters);
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
        "EXPR sees the whole message: .seq, .time, .meta.tags and .data. Where it fails, or gives\n"
        "null, the message is passed over; a result that is neither true nor false ends follow.\n"
        "When messages are overwritten before they were read, a notice on stderr tells how many;\n"
        "the exit status of --no-follow, --replay and WHEN..WHEN is 9 then.\n"
        "\n"
        "EXAMPLES\n"
        "  plasmite follow ci --tag green --one       wait until something happens\n"
        "  plasmite follow chat --tail 10\n"
        "  plasmite follow chat --since 14:00..15:00\n"
        "  plasmite follow logs --since 1h --where '.data.level == \"error\"' --no-follow\n"
        "  plasmite follow temperature --since 1h --replay 60\n",
};
