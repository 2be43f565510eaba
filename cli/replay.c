#include "replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    struct watch *w;
    double speed;
    struct buf ahead; /* messages read and not yet printed: a struct ahead and its text each */
    size_t at;        /* of the first of them */
    enum stream_result ended; /* STREAM_MESSAGE until the stream has given everything or failed */
    uint64_t time_ns,
        printed_ns; /* of the message before: its own, and when its turn was; 0: none yet */
};

struct ahead {
    uint64_t time_ns;
    size_t n;
};

static int invalid(struct cli *cli, const char *message)
{
    fail(&cli->error, PLSM_ERROR_USAGE, "%s", message);
    return fail_hint(&cli->error, "Use --replay 1 for the pace at which messages came, 2 for twice "
                                  "as fast, 0.5 for half, 0 for no pauses.");
}

int replay_parse_speed(struct cli *cli, const char *text, double *ret)
{
    char *end;

    /* strtod() would also take blanks and hexadecimal digits */
    *ret = strtod(text, &end);
    if (end == text || *end != '\0' || strpbrk(text, " \t\r\n\v\fxX(") != NULL) {
        fail(&cli->error, PLSM_ERROR_USAGE,
             "invalid value '%s' for '--replay <REPLAY>': invalid float literal", text);
        return fail_hint(&cli->error, "Use a number, as in --replay 1 for the pace at which "
                                      "messages came. Try `plasmite follow --help`.");
    }
    if (*ret < 0)
        return invalid(cli, "--replay speed must be non-negative");
    if (!isfinite(*ret))
        return invalid(cli, "--replay speed must be a finite number");
    return 0;
}

static bool is_waiting(const struct replay *r)
{
    return r->at < r->ahead.n;
}

static bool may_read_ahead(const struct replay *r)
{
    return r->ended == STREAM_MESSAGE && r->ahead.n - r->at < REPLAY_AHEAD_BYTES;
}

static void keep(struct replay *r, const struct message *message)
{
    struct bytes json = watch_json(r->w, message);
    const struct ahead ahead = {.time_ns = message->time_ns, .n = json.n};

    if (r->at > REPLAY_AHEAD_BYTES) {
        buf_drop_front(&r->ahead, r->at);
        r->at = 0;
    }
    if (buf_add(&r->ahead, &ahead, sizeof ahead) < 0 || buf_add_bytes(&r->ahead, json) < 0) {
        fail(&r->w->cli->error, PLSM_ERROR_INTERNAL, "out of memory");
        r->ended = STREAM_FAILED;
    }
}

static void read_one(struct replay *r)
{
    struct message message;
    enum stream_result result = stream_next(r->w->stream, &message, &r->w->cli->error);

    switch (result) {
    case STREAM_MESSAGE:
        keep(r, &message);
        return;
    case STREAM_GAP:
        watch_gap(r->w);
        return;
    case STREAM_WAIT: /* never for long: what is selected is there */
        return;
    case STREAM_DONE:
    case STREAM_FAILED:
        r->ended = result;
        return;
    }
}

/* When a message of this time has its turn. */
static uint64_t due_ns(const struct replay *r, uint64_t time_ns)
{
    double pause;

    if (r->printed_ns == 0 || time_ns <= r->time_ns)
        return 0;
    pause = (double)(time_ns - r->time_ns) / r->speed;
    return pause < (double)(UINT64_MAX / 2) ? r->printed_ns + (uint64_t)pause : UINT64_MAX;
}

/* Reads ahead, then sleeps.  False when whoever read our output has gone. */
static bool wait_for_turn(struct replay *r, uint64_t due)
{
    while (clock_mono_ns() < due) {
        if (may_read_ahead(r))
            read_one(r);
        else if (!watch_pause(r->w, due))
            return false;
    }
    return true;
}

/* The first message read ahead, when it has its turn.  False when the output is at its end. */
static bool print_next(struct replay *r)
{
    struct ahead ahead;

    memcpy(&ahead, r->ahead.p + r->at, sizeof ahead);
    if (!wait_for_turn(r, due_ns(r, ahead.time_ns)))
        return false;
    r->time_ns = ahead.time_ns;
    r->printed_ns = clock_mono_ns();
    watch_add(r->w, (struct bytes){r->ahead.p + r->at + sizeof ahead, ahead.n});
    r->at += sizeof ahead + ahead.n;
    if (!is_waiting(r)) {
        r->at = 0;
        buf_clear(&r->ahead);
    }
    return out_flush(&r->w->cli->out) == 0;
}

int replay_run(struct watch *w, double speed)
{
    struct replay r = {.w = w, .speed = speed, .ended = STREAM_MESSAGE};
    bool goes_on = true;

    while (goes_on && (is_waiting(&r) || r.ended == STREAM_MESSAGE)) {
        if (is_waiting(&r))
            goes_on = print_next(&r);
        else
            read_one(&r);
    }
    buf_done(&r.ahead);
    if (!goes_on)
        return cli_output_failed(w->cli);
    return r.ended == STREAM_DONE ? watch_finish(w) : watch_failed(w);
}
