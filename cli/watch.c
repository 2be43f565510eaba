#include "watch.h"

#include "base/log.h"
#include "render.h"

#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define READER_CHECK_NS NS_PER_S   /* between looks whether the reader of an idle pipe has gone */
#define NAP_MIN_NS (1 * NS_PER_MS) /* --no-notify: between looks for messages, doubled each time */
#define NAP_MAX_NS (50 * NS_PER_MS)
/* Larger pieces are no faster into a pipe, and a slow reader would learn later what it lost. */
#define RENDER_BYTES (32 * 1024)

#define GO_ON (-3) /* of the steps of watch_run(), beside what it returns */

static uint64_t later(uint64_t ns)
{
    uint64_t now = clock_mono_ns();

    return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

static void tell_drops(struct watch *w)
{
    if (w->drops.count > 0)
        drops_tell(&w->drops, w->cli, w->pool, w->pool_ref, w->quiet_drops);
}

static void tell_drops_if_due(struct watch *w)
{
    if (w->drops.count > 0 && drops_due_ns(&w->drops) <= clock_mono_ns())
        tell_drops(w);
}

void watch_gap(struct watch *w)
{
    uint64_t first, next;

    stream_gap(w->stream, &first, &next);
    drops_add(&w->drops, first, next);
    tell_drops_if_due(w);
}

struct bytes watch_json(struct watch *w, const struct message *message)
{
    if (w->data_only)
        return message->data;
    buf_clear(&w->line);
    message_render(message, &w->cache, &w->line);
    return (struct bytes){w->line.p, w->line.n > 0 ? w->line.n - 1 : 0};
}

void watch_add(struct watch *w, struct bytes json)
{
    struct buf *out = &w->cli->out.lines;

    if (w->form == FORM_PRETTY) {
        render_json(json, cli_colour(w->cli), out);
        return;
    }
    buf_add_bytes(out, json);
    buf_add_char(out, '\n');
}

/* Takes one message, or many where they all are printed as they are. */
static enum stream_result take(struct watch *w)
{
    struct message message;
    enum stream_result result;

    if (w->form != FORM_PRETTY && w->only == 0 && !w->data_only)
        return stream_render(w->stream, RENDER_BYTES, &w->cache, &w->cli->out.lines,
                             &w->cli->error);
    result = stream_next(w->stream, &message, &w->cli->error);
    if (result == STREAM_MESSAGE && (w->only == 0 || ++w->n_matches == w->only))
        watch_add(w, watch_json(w, &message));
    return result;
}

/* Waits on the output, which becomes ready by itself only when its reader has gone. */
bool watch_pause(const struct watch *w, uint64_t until_ns)
{
    struct pollfd out = {.fd = w->cli->out.fd};
    uint64_t now = clock_mono_ns(), ns = until_ns > now ? until_ns - now : 0;
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    return ppoll(&out, 1, &t, NULL) <= 0 || (out.revents & (POLLERR | POLLHUP)) == 0;
}

/* --no-notify: naps that grow while nothing comes.  False when the reader has gone. */
static bool nap(struct watch *w, uint64_t until_ns)
{
    uint64_t end;

    w->nap_ns = w->nap_ns == 0 ? NAP_MIN_NS : w->nap_ns * 2;
    if (w->nap_ns >= NAP_MAX_NS) {
        w->nap_ns = NAP_MAX_NS;
        (void)pool_check_alive(w->pool, NULL); /* marks the handle; the stream reports it */
    }
    end = later(w->nap_ns);
    return watch_pause(w, end < until_ns ? end : until_ns);
}

/* Until woken.  False when the reader has gone. */
static bool sleep_until_woken(struct watch *w, uint64_t until_ns)
{
    uint64_t seen = stream_pos(w->stream), check = later(READER_CHECK_NS);

    if (pool_wait(&w->pool, &seen, 1, until_ns < check ? until_ns : check, w->control, 0) ==
        POOL_WAIT_READY)
        return true;
    return watch_pause(w, 0);
}

static int timed_out(const struct watch *w)
{
    if (w->timeout_text != NULL && w->cli->stderr_tty)
        log_line("No messages received (timed out after %s).", w->timeout_text);
    return EXIT_TIMED_OUT;
}

/* Everything has been looked at, and written. */
static int wait_for_more(struct watch *w)
{
    uint64_t due, until;

    tell_drops_if_due(w);
    if (clock_mono_ns() >= w->deadline_ns)
        return timed_out(w);
    due = drops_due_ns(&w->drops);
    until = w->deadline_ns < due ? w->deadline_ns : due;
    return (w->no_notify ? nap(w, until) : sleep_until_woken(w, until)) ? GO_ON : 0;
}

/* A finite read is over: fine, unless the pool went, or something that it was to print. */
int watch_finish(struct watch *w)
{
    struct error *err = &w->cli->error;

    tell_drops(w);
    if (!w->is_finite)
        return 0;
    if (pool_check_alive(w->pool, err) < 0)
        return -1;
    if (stream_damage(w->stream) != NULL) {
        *err = *stream_damage(w->stream);
        return -1;
    }
    if (!stream_lost(w->stream))
        return 0;
    fail(err, PLSM_ERROR_RETENTION_GAP, "messages were lost before they could be printed");
    fail_seq(err, w->drops.first_lost);
    return fail_hint(err, "They were overwritten by newer ones: a larger pool keeps more.");
}

int watch_failed(struct watch *w)
{
    (void)out_flush(&w->cli->out); /* the stream's own error is the one to report */
    tell_drops(w);
    return -1;
}

/* What a call on the output has returned: GO_ON, or the code to end with. */
static int written(struct watch *w, int rc)
{
    return rc == 0 ? GO_ON : cli_output_failed(w->cli);
}

static void restart_timeout(struct watch *w)
{
    /* a finite read never waits for what is yet to come */
    w->deadline_ns = w->is_finite ? UINT64_MAX : later(w->timeout_ns);
}

static int end(struct watch *w, int (*how)(struct watch *))
{
    int code = written(w, out_flush(&w->cli->out));

    return code == GO_ON ? how(w) : code;
}

static int told(struct watch *w)
{
    tell_drops(w);
    return WATCH_TOLD;
}

/* Told to end, and beyond all that was in the pool when it was noticed? */
static bool has_enough(struct watch *w)
{
    const _Atomic uint32_t *control = (const _Atomic uint32_t *)w->control;
    struct pool_bounds bounds;

    if (control == NULL || atomic_load_explicit(control, memory_order_seq_cst) == 0)
        return false;
    if (!w->is_told) {
        w->is_told = true;
        w->end_pos = pool_bounds(w->pool, &bounds, NULL) == 0 ? bounds.head : 0;
    }
    return stream_pos(w->stream) >= w->end_pos;
}

/* Output that waits is written before anything that may take long. */
static int step(struct watch *w)
{
    struct out *out = &w->cli->out;
    size_t before = out->lines.n;

    if (has_enough(w))
        return end(w, told);
    switch (take(w)) {
    case STREAM_MESSAGE:
        w->nap_ns = 0;
        tell_drops_if_due(w);
        if (out->lines.n == before && !buf_failed(&out->lines))
            return GO_ON;
        restart_timeout(w);
        return w->only > 0 ? end(w, watch_finish) : written(w, out_lines_added(out));
    case STREAM_GAP:
        watch_gap(w);
        return GO_ON;
    case STREAM_WAIT:
        return end(w, wait_for_more);
    case STREAM_DONE:
        w->is_finished = true;
        return end(w, watch_finish);
    case STREAM_FAILED:
        return watch_failed(w);
    }
    return GO_ON;
}

int watch_run(struct watch *w)
{
    int code = GO_ON;

    restart_timeout(w);
    while (code == GO_ON)
        code = step(w);
    return code;
}

/* The last N messages begin behind damage: not with what the reader may expect. */
static void tell_damage(struct watch *w)
{
    const struct error *damage = stream_damage(w->stream);
    auto_buf struct buf details = BUF_INIT, message = BUF_INIT, text = BUF_INIT;

    if (damage == NULL || w->quiet_drops)
        return;
    buf_printf(&details, "{\"seq\":%" PRIu64 ",\"offset\":%" PRIu64 ",\"pool_path\":", damage->seq,
               damage->offset);
    buf_add_json_string(&details, bytes_of(pool_path(w->pool)));
    buf_add_char(&details, '}');
    buf_printf(&message, "message %" PRIu64 " is damaged: the last ones begin behind it",
               damage->seq);
    buf_add_bytes(&text, buf_bytes(&message));
    buf_printf(&text, " (pool: %s)", w->pool_ref);
    if (buf_str(&message) != NULL && buf_str(&text) != NULL)
        cli_notice(w->cli, "follow", "damage", w->pool_ref, message.p, text.p, buf_bytes(&details));
}

int watch_open(struct watch *w, const struct stream_options *start)
{
    bool has_end = start->until_ns != 0 && start->until_ns != UINT64_MAX;

    w->form = cli_form(w->cli);
    w->is_finite = start->finite || has_end;
    if (stream_open(w->pool, start, &w->stream, &w->cli->error) < 0)
        return -1;
    tell_damage(w);
    return 0;
}

void watch_close(struct watch *w)
{
    stream_close(w->stream);
    buf_done(&w->line);
}

bool watch_is_in_future(const struct stream_options *start)
{
    return start->since_ns > clock_real_ns();
}

int watch_parse_since(struct cli *cli, const char *text, struct stream_options *ret)
{
    const char *why = NULL;

    if (text == NULL)
        return 0;
    ret->start = STREAM_SINCE;
    if (parse_time_range(bytes_of(text), clock_real_ns(), &ret->since_ns, &ret->until_ns, &why) ==
        0)
        return 0;
    fail(&cli->error, PLSM_ERROR_USAGE, "invalid --since value");
    snprintf(cli->error.cause, sizeof cli->error.cause, "%s", why);
    return fail_hint(&cli->error,
                     "Not `%.60s`: use a time like 2026-03-04T05:06:07Z, 5m (ago), 14:30, or two "
                     "of them with .. between.",
                     text);
}

int watch_parse_timeout(struct cli *cli, const char *text, uint64_t *ret_ns)
{
    *ret_ns = UINT64_MAX;
    if (text == NULL || parse_duration(text, ret_ns, NULL) == 0)
        return 0;
    fail(&cli->error, PLSM_ERROR_USAGE, "invalid duration");
    return fail_hint(&cli->error, "Not `%.60s`: use a number and ms, s, m or h, like 500ms or 5s.",
                     text);
}
