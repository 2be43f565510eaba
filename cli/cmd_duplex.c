#include "cli.h"
#include "ingest.h"
#include "target.h"
#include "watch.h"

#include "pool/filter.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 1024 /* of --me: it goes into every message */
#define READ_BYTES 4096     /* a terminal gives one line at a time, and no longer ones */

struct duplex_options {
    const char *pool;
    const char *me;
    struct target_creation creation;
    struct opt_u64 tail;
    const char *since;
    const char *timeout;
    bool echo_self;
};

enum { START = 1 }; /* where to start is said once */

#define OPTIONS struct duplex_options
static const struct option_spec options[] = {
    ARG("POOL", pool, "name or path of the pool"),
    OPT(0, "me", me, "NAME", "who sends; needed when you type on a terminal"),
    OPT(0, "echo-self", echo_self, NULL, "print also messages that are from NAME"),
    OPT('n', "tail", tail, "N", "start with the last N messages (default 0)", .excludes = START),
    OPT(0, "since", since, "WHEN",
        "start with messages of this time on; WHEN..WHEN also ends there", .excludes = START),
    OPT(0, "timeout", timeout, "DUR",
        "exit with 124 when nothing was printed for so long: 500ms, 5s, 1m, 2h"),
    TARGET_CREATION_ROWS,
    OPT_END,
};

/*
 * The sending side has a thread of its own.  When the command ends, that may be in read(2), or wait
 * for the writer lock, and nobody waits for it: so it is static, and uses nothing that is released
 * before the process has gone.
 */
static struct sender {
    struct ingest ingest;
    const char *me; /* lines of a terminal become messages of this name; NULL: records are read */
    bool is_cut;    /* the line was too long, its rest is passed over */
    uint32_t ended; /* control word of pool_wait(): 0 until result and error are there */
    int result;
    struct error error;
} sender;

static bool is_blank(struct bytes line)
{
    size_t i = 0;

    while (i < line.n && strchr(" \t\r\n\v\f", line.p[i]) != NULL && line.p[i] != '\0')
        i++;
    return i == line.n;
}

static int append_line(struct sender *s, struct bytes line, struct error *err)
{
    auto_buf struct buf json = BUF_INIT;

    if (!bytes_are_utf8(line))
        return fail(err, PLSM_ERROR_USAGE, "the line is not UTF-8");
    buf_add_str(&json, "{\"from\":");
    buf_add_json_string(&json, bytes_of(s->me));
    buf_add_str(&json, ",\"msg\":");
    buf_add_json_string(&json, line);
    buf_add_char(&json, '}');
    if (buf_failed(&json))
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return ingest_text(&s->ingest, buf_bytes(&json), err);
}

static void notice_unsent(const struct sender *s, const struct error *why)
{
    auto_buf struct buf details = BUF_INIT, text = BUF_INIT;
    const char *message = why->detail == ERROR_DETAIL_TOO_LARGE
                              ? "the line does not fit into a message of this pool"
                              : why->message;

    buf_printf(&details, "{\"error_kind\":\"%s\",\"pool_path\":", error_kind_name(why->kind));
    buf_add_json_string(&details, bytes_of(pool_path(s->ingest.pool)));
    buf_add_char(&details, '}');
    buf_printf(&text, "not sent: %s", message);
    if (buf_str(&text) != NULL)
        cli_notice(s->ingest.cli, "duplex", "unsent", s->ingest.pool_ref, text.p, text.p,
                   buf_bytes(&details));
}

/* A line that cannot be sent does not end a conversation: what is typed next would go to the shell. */
static int send_line(struct sender *s, struct bytes line, struct error *err)
{
    while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    if (is_blank(line) || append_line(s, line, err) == 0)
        return 0;
    if (err->kind != PLSM_ERROR_USAGE) /* not the line's fault */
        return -1;
    notice_unsent(s, err);
    *err = ERROR_INIT;
    return 0;
}

/* The whole lines in *held; at the end of the input, or when it is too long, also the rest. */
static int send_lines(struct sender *s, struct buf *held, bool is_end, struct error *err)
{
    size_t at = 0;
    const char *newline;

    while (at < held->n) {
        newline = memchr(held->p + at, '\n', held->n - at);
        if (newline == NULL && !is_end && held->n - at <= pool_message_max(s->ingest.pool))
            break;
        size_t n = newline != NULL ? (size_t)(newline + 1 - (held->p + at)) : held->n - at;
        if (!s->is_cut && send_line(s, (struct bytes){held->p + at, n}, err) < 0)
            return -1;
        s->is_cut = newline == NULL && !is_end;
        at += n;
    }
    buf_drop_front(held, at);
    return 0;
}

static ssize_t read_terminal(char *space, struct error *err)
{
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n;

    while ((n = read(STDIN_FILENO, space, READ_BYTES)) < 0) {
        if (errno == EAGAIN) /* somebody made the shared descriptor non-blocking */
            poll(&ready, 1, -1);
        else if (errno != EINTR)
            return fail_os(err, PLSM_ERROR_IO, errno, "failed to read stdin");
    }
    return n;
}

static int chat(struct sender *s, struct error *err)
{
    auto_buf struct buf held = BUF_INIT;
    char space[READ_BYTES];
    ssize_t n;

    do {
        n = read_terminal(space, err);
        if (n < 0)
            return -1;
        if (buf_add(&held, space, (size_t)n) < 0)
            return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        if (send_lines(s, &held, n == 0, err) < 0)
            return -1;
    } while (n > 0);
    return 0;
}

static int take_records(struct sender *s, struct error *err)
{
    struct input_counts counts;
    int rc = ingest_run(&s->ingest, STDIN_FILENO, &counts, err);

    if (rc < 0 && err->kind == PLSM_ERROR_USAGE && counts.good + counts.bad == 0)
        fail_hint(err, "Nothing came in: pipe JSON to it, or run it on a terminal with --me NAME.");
    return rc;
}

static void *send_all(void *user)
{
    struct sender *s = user;

    if (s->me != NULL)
        s->result = chat(s, &s->error);
    else
        s->result = take_records(s, &s->error);
    pool_wake_control(&s->ended);
    return NULL;
}

struct duplex {
    const struct duplex_options *o;
    struct watch watch;
    struct stream_options start;
    struct filter *not_me;
};

/* The message of the side that ended first counts; see WATCH_TOLD. */
static int take_result(struct duplex *d, const struct sender *s, int code)
{
    if (s->result == 0)
        return code == WATCH_TOLD ? 0 : code;
    d->watch.cli->error = s->error;
    return -1;
}

static void prepare_sender(const struct duplex *d)
{
    sender.me = isatty(STDIN_FILENO) ? d->o->me : NULL;
    sender.ingest = (struct ingest){.cli = d->watch.cli,
                                    .pool_ref = d->o->pool,
                                    .pool = d->watch.pool,
                                    .as_data = sender.me != NULL};
}

/* All that was to be printed comes too late: records are sent all the same, nobody chats with the future. */
static int send_only(struct duplex *d)
{
    if (sender.me != NULL)
        return 0;
    send_all(&sender);
    return take_result(d, &sender, 0);
}

/* Both sides at once.  A range that has been printed ends a conversation, but loses no records. */
static int run_both(struct duplex *d)
{
    struct watch *w = &d->watch;
    pthread_t thread;
    int code;

    w->control = &sender.ended;
    errno = pthread_create(&thread, NULL, send_all, &sender);
    if (errno != 0) {
        fail_os(&w->cli->error, PLSM_ERROR_IO, errno, "failed to start a thread");
        return fail_hint(&w->cli->error, "A limit of memory or of processes: look at `ulimit -a`.");
    }
    code = watch_run(w);
    if (w->is_told || (w->is_finished && code == 0 && sender.me == NULL)) {
        pthread_join(thread, NULL);
        return take_result(d, &sender, code);
    }
    pthread_detach(thread);
    w->pool = NULL; /* it may still be used: the process closes it */
    return code;
}

/* Messages of one's own are passed over, in the history too, where they do not count. */
static int hide_self(struct duplex *d)
{
    struct error *err = &d->watch.cli->error;
    auto_buf struct buf expression = BUF_INIT;

    if (d->o->me == NULL || d->o->echo_self)
        return 0;
    buf_add_str(&expression, ".data.from != ");
    buf_add_json_string(&expression, bytes_of(d->o->me)); /* jq reads it as it reads JSON */
    if (buf_failed(&expression))
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (filter_new(buf_bytes(&expression), &d->not_me, err) < 0)
        return -1;
    d->start.filters = &d->not_me;
    d->start.n_filters = 1;
    return 0;
}

static int check_name(struct cli *cli, const char *me)
{
    if (me != NULL && strlen(me) > NAME_MAX_BYTES)
        return fail(&cli->error, PLSM_ERROR_USAGE, "the name of --me is too long");
    if (me != NULL || !isatty(STDIN_FILENO))
        return 0;
    fail(&cli->error, PLSM_ERROR_USAGE, "TTY input requires --me for duplex");
    return fail_hint(&cli->error,
                     "Say who you are with --me NAME: each line you type becomes a message "
                     "{\"from\":NAME,\"msg\":LINE}. Or pipe JSON in.");
}

static int parse_options(struct duplex *d)
{
    const struct duplex_options *o = d->o;
    struct watch *w = &d->watch;

    if (check_name(w->cli, o->me) < 0 || watch_parse_since(w->cli, o->since, &d->start) < 0 ||
        watch_parse_timeout(w->cli, o->timeout, &w->timeout_ns) < 0 || hide_self(d) < 0)
        return -1;
    if (o->since == NULL)
        d->start.start = o->tail.given ? STREAM_TAIL : STREAM_LIVE;
    d->start.tail = o->tail.n;
    w->pool_ref = o->pool;
    return 0;
}

static int duplex(struct duplex *d)
{
    const struct duplex_options *o = d->o;

    if (parse_options(d) < 0 ||
        target_open(d->watch.cli, o->pool, POOL_READ_WRITE, &o->creation, &d->watch.pool) < 0)
        return -1;
    prepare_sender(d);
    if (watch_is_in_future(&d->start))
        return send_only(d);
    if (watch_open(&d->watch, &d->start) < 0)
        return -1;
    return run_both(d);
}

static int run(const void *values, void *program)
{
    struct duplex d = {.o = values, .watch = {.cli = program}};
    int code = duplex(&d);

    watch_close(&d.watch);
    pool_close(d.watch.pool);
    filter_free(d.not_me);
    return code;
}

const struct command_spec cmd_duplex = {
    .name = "duplex",
    .summary = "Send and follow from one command",
    .usage = "[OPTIONS] <POOL>",
    .options = options,
    .values_size = sizeof(struct duplex_options),
    .run = run,
    .details =
        "On a terminal every line you type is sent as {\"from\":NAME,\"msg\":LINE}, until Ctrl-D.\n"
        "From a pipe JSON is read as `feed` reads it, and sent as it is. Messages of others are\n"
        "printed as `follow` prints them, those whose data.from is NAME are not. When the input\n"
        "ends, what is in the pool by then is still printed. A bad record ends it with status 2; "
        "a\n"
        "typed line that cannot be sent gives a notice. When WHEN..WHEN has been printed, or WHEN "
        "is\n"
        "yet to come, a terminal's duplex ends, and one that reads a pipe sends on to its end.\n"
        "Status 0 means that everything was sent, unless the reader of stdout went away before.\n"
        "\n"
        "EXAMPLES\n"
        "  plasmite duplex chat --me alice --tail 10\n"
        "  ./agent < prompts | plasmite duplex agents --me worker | ./log\n",
};
