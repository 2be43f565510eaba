/*
 * Every format is a row of `formats`: how the intake frames records (pool/intake.h), and the byte at which it is told that
 * a record has ended.  Event streams are taken line by line: what stands behind `data:` is pushed, an empty line
 * ends the record.
 *
 * The intake counts the bytes that are pushed to it.  A piece is a run of such bytes that is at hand; `offset`
 * fields are in the intake's count.
 */
#include "input.h"

#include "base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>

#define READ_BYTES (256 * 1024)
#define READ_FAILED "failed to read stdin" /* scripts know it, for files too */
#define RS '\x1e'

const char *const input_format_names[] = {"auto", "jsonl", "json", "seq", "jq", NULL};

struct format {
    const char *mode;
    enum intake_framing framing;
    char end; /* a record ends at this byte; 0: where its value ends */
    bool counts_lines;
};

#define INTAKE_UNIT (INTAKE_WHOLE | INTAKE_ONE | INTAKE_LATE)

static const struct format formats[] = {
    [INPUT_AUTO] = {"jsonl", INTAKE_WHOLE,              0,    true },
    [INPUT_JSONL] = {"jsonl", INTAKE_UNIT,               '\n', true },
    [INPUT_JSON] = {"json",  INTAKE_UNIT,               0,    false},
    [INPUT_SEQ] = {"seq",   INTAKE_WHOLE | INTAKE_ONE, RS,   false},
    [INPUT_JQ] = {"jq",    INTAKE_WHOLE,              0,    true },
    [INPUT_EVENTS] = {"event", INTAKE_UNIT,               0,    true },
};

/* Where an event stream is within its line. */
enum event_line {
    EVENT_NAME,  /* so far it is the beginning of `data:` */
    EVENT_BLANK, /* one blank is left out */
    EVENT_DATA,
    EVENT_OTHER,
};

struct reader {
    struct intake *in;
    const struct input_handler *handler;
    struct input_counts *counts;
    const struct format *format;
    bool skip;
    bool undecided; /* auto: nothing but blanks so far */

    const char *piece; /* the bytes at hand */
    size_t piece_n;
    uint64_t piece_offset; /* of its first byte */
    size_t line_at;        /* newlines of the piece before this place are counted */
    uint64_t lines;        /* all that are */

    /* The unfinished record that begins in an earlier piece. */
    uint64_t record_line;
    struct buf record_text; /* its first bytes */

    enum event_line event_line;
    size_t event_at;        /* bytes of the line that are the beginning of `data:` */
    struct error event_why; /* what is wrong with the event, which is told when it ends */
    struct buf event_text;  /* and its beginning */
};

/* ---- lines and snippets ---- */

/* Newlines, eight bytes at a time: a bit stands for each byte of `word` that is zero. */
static uint64_t count_lines(const char *p, size_t n)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7f, newlines = 0x0a0a0a0a0a0a0a0a;
    uint64_t count = 0;

    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;

        memcpy(&word, p, 8);
        word ^= newlines;
        count += (uint64_t)__builtin_popcountll(~(((word & low) + low) | word | low));
    }
    for (; n > 0; p++, n--)
        count += *p == '\n';
    return count;
}

/* The line that this place of the piece is on.  Places only grow. */
static uint64_t line_of(struct reader *r, size_t at)
{
    if (at > r->line_at) {
        r->lines += count_lines(r->piece + r->line_at, at - r->line_at);
        r->line_at = at;
    }
    return r->lines + 1;
}

/* At most INPUT_SNIPPET_MAX bytes, cut between characters. */
static struct bytes cut_snippet(struct bytes text, struct buf *out)
{
    size_t n = text.n;

    buf_clear(out);
    if (n > INPUT_SNIPPET_MAX) {
        n = INPUT_SNIPPET_MAX - 3;
        while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n--;
    }
    buf_add(out, text.p, n);
    if (n < text.n)
        buf_add_str(out, "...");
    return buf_bytes(out);
}

static struct bytes trim_end(struct bytes text)
{
    while (text.n > 0 && memchr(" \t\r\n", text.p[text.n - 1], 4) != NULL)
        text.n--;
    return text;
}

/*
 * From the beginning of the refused record to the end of the line, or the record, that holds the wrong byte.  Where lines
 * can begin records, a wrong byte that begins one is not part of it.
 */
static struct bytes offending_text(struct reader *r, size_t at, struct buf *scratch)
{
    uint64_t begin = intake_value_offset(r->in);
    char end_byte = r->format->end != 0 ? r->format->end : '\n';
    const char *found = memchr(r->piece + at, end_byte, r->piece_n - at);
    size_t end = found != NULL ? (size_t)(found - r->piece) : r->piece_n;
    size_t from = begin > r->piece_offset ? (size_t)(begin - r->piece_offset) : 0;

    if (at > from && r->piece[at - 1] == '\n' && !(r->format->framing & INTAKE_ONE))
        end = at;
    if (begin >= r->piece_offset)
        return trim_end((struct bytes){r->piece + from, end > from ? end - from : 0});
    buf_add_bytes(scratch, buf_bytes(&r->record_text));
    if (scratch->n <= INPUT_SNIPPET_MAX)
        buf_add(scratch, r->piece, end < INPUT_SNIPPET_MAX ? end : INPUT_SNIPPET_MAX);
    return trim_end(buf_bytes(scratch));
}

static uint64_t bad_line(struct reader *r)
{
    uint64_t begin = intake_value_offset(r->in);

    if (!r->format->counts_lines)
        return 0;
    return begin >= r->piece_offset ? line_of(r, (size_t)(begin - r->piece_offset))
                                    : r->record_line;
}

/* ---- to the intake and from it ---- */

static int store(struct reader *r, struct error *err)
{
    size_t n;
    const struct payload *payloads = intake_payloads(r->in, &n);

    if (n == 0)
        return 0;
    r->counts->good += n;
    if (r->handler->batch(r->handler->user, payloads, n, err) < 0) {
        r->counts->good -= n;
        return -1;
    }
    intake_taken(r->in);
    return 0;
}

/* Says what is wrong with a record, once everything before it is stored. */
static int report(struct reader *r, uint64_t line, struct bytes text, struct error *why,
                  struct error *err)
{
    auto_buf struct buf snippet = BUF_INIT;
    struct input_bad bad = {.line = line, .mode = r->format->mode};

    if (store(r, err) < 0)
        return -1;
    bad.index = r->counts->good + r->counts->bad + 1;
    bad.snippet = cut_snippet(text, &snippet);
    r->counts->bad++;
    if (r->handler->bad(r->handler->user, &bad, why) == 0)
        return 0;
    *err = *why;
    return -1;
}

/* The byte at `at` of the piece is wrong; *why says how. */
static int refuse(struct reader *r, size_t at, struct error *why, struct error *err)
{
    auto_buf struct buf scratch = BUF_INIT;
    struct bytes text = offending_text(r, at, &scratch);

    if (r->format != &formats[INPUT_EVENTS])
        return report(r, bad_line(r), text, why, err);
    r->event_why = *why;
    r->event_why.has_offset = false; /* it counts what was pushed */
    buf_clear(&r->event_text);
    buf_add(&r->event_text, text.p, text.n <= INPUT_SNIPPET_MAX ? text.n : INPUT_SNIPPET_MAX + 1);
    return 0;
}

/* Pushes the bytes of the piece from `at` up to `end`. */
static int push(struct reader *r, size_t at, size_t end, struct error *err)
{
    enum intake_status status = INTAKE_FULL;

    while (status != INTAKE_MORE) {
        struct error why = ERROR_INIT;
        size_t used = 0;

        status = intake_push(r->in, r->piece + at, end - at, &used, NULL, &why);
        at += used;
        if (status == INTAKE_FULL && store(r, err) < 0)
            return -1;
        if (status == INTAKE_FAILED && refuse(r, at, &why, err) < 0)
            return -1;
    }
    return 0;
}

/* The record ends before `at`. */
static int end_record(struct reader *r, size_t at, struct error *err)
{
    struct error why = ERROR_INIT;

    return intake_end(r->in, &why) < 0 ? refuse(r, at, &why, err) : 0;
}

static void piece_begin(struct reader *r, const char *p, size_t n)
{
    r->piece = p;
    r->piece_n = n;
    r->line_at = 0;
}

/* Keeps what an error would have to say about the record that goes on in the next piece. */
static void piece_done(struct reader *r)
{
    uint64_t begin = intake_value_offset(r->in);
    size_t from = 0;

    if (intake_open(r->in) && begin >= r->piece_offset) {
        from = (size_t)(begin - r->piece_offset);
        r->record_line = line_of(r, from);
        buf_clear(&r->record_text);
    }
    if (intake_open(r->in) && r->record_text.n <= INPUT_SNIPPET_MAX) {
        size_t n = r->piece_n - from;

        buf_add(&r->record_text, r->piece + from,
                n <= INPUT_SNIPPET_MAX ? n : INPUT_SNIPPET_MAX + 1);
    }
    line_of(r, r->piece_n);
    r->piece_offset += r->piece_n;
}

/* ---- formats ---- */

static int take_records(struct reader *r, const char *p, size_t n, struct error *err)
{
    char end_byte = r->format->end;

    piece_begin(r, p, n);
    /* An end byte goes to the intake as the first byte of the next record: a blank. */
    for (size_t at = 0, from = 0; at < n; from = at + 1) {
        const char *found = end_byte != 0 ? memchr(p + from, end_byte, n - from) : NULL;
        size_t end = found != NULL ? (size_t)(found - p) : n;

        if (push(r, at, end, err) < 0 || (found != NULL && end_record(r, end, err) < 0))
            return -1;
        at = end;
    }
    piece_done(r);
    return 0;
}

/* A run of bytes of the data of an event; they are a piece of their own. */
static int take_data(struct reader *r, const char *p, size_t n, struct error *err)
{
    uint64_t lines = r->lines;

    piece_begin(r, p, n);
    if (push(r, 0, n, err) < 0)
        return -1;
    piece_done(r);
    r->lines = lines; /* those of the input are what counts */
    return 0;
}

/* The first bytes of a line: is it `data:`?  Returns how many it took. */
static size_t take_field_name(struct reader *r, const char *p, size_t n)
{
    static const char name[] = "data:";
    size_t i;

    for (i = 0; i < n && r->event_line == EVENT_NAME; i++) {
        if (p[i] == '\r' && r->event_at == 0)
            continue;
        r->event_line = p[i] != name[r->event_at] ? EVENT_OTHER : EVENT_NAME;
        if (r->event_line == EVENT_NAME && ++r->event_at == sizeof name - 1)
            r->event_line = EVENT_BLANK;
    }
    if (i < n && r->event_line == EVENT_BLANK) {
        i += p[i] == ' ';
        r->event_line = EVENT_DATA;
    }
    return i;
}

static int end_event(struct reader *r, struct error *err)
{
    struct error why;

    piece_begin(r, "", 0);
    if (end_record(r, 0, err) < 0)
        return -1;
    why = r->event_why;
    r->event_why = ERROR_INIT;
    if (why.kind == PLSM_ERROR_NONE)
        return 0;
    return report(r, r->lines + 1, buf_bytes(&r->event_text), &why, err);
}

static bool in_event_line(const struct reader *r)
{
    return r->event_line != EVENT_NAME || r->event_at > 0;
}

static int end_event_line(struct reader *r, struct error *err)
{
    int rc = 0;

    if (!in_event_line(r))
        rc = end_event(r, err);
    else if (r->event_line == EVENT_BLANK || r->event_line == EVENT_DATA)
        rc = take_data(r, "\n", 1, err); /* lines of data are joined by it */
    r->event_line = EVENT_NAME;
    r->event_at = 0;
    r->lines++;
    return rc;
}

static int take_events(struct reader *r, const char *p, size_t n, struct error *err)
{
    for (size_t at = 0; at < n;) {
        const char *newline = memchr(p + at, '\n', n - at);
        size_t end = newline != NULL ? (size_t)(newline - p) : n;

        at += take_field_name(r, p + at, end - at);
        if (at < end && r->event_line == EVENT_DATA && take_data(r, p + at, end - at, err) < 0)
            return -1;
        if (newline != NULL && end_event_line(r, err) < 0)
            return -1;
        at = newline != NULL ? end + 1 : n;
    }
    return 0;
}

static void set_format(struct reader *r, enum input_format format)
{
    enum intake_framing framing = formats[format].framing;

    r->format = &formats[format];
    /* With an end byte, or one value, it is known where an error ends. */
    if (r->skip && !(framing & INTAKE_ONE))
        framing |= INTAKE_RECORDS;
    intake_frame(r->in, framing);
}

/* What the first bytes that are not blank say; false: nothing yet. */
static bool decide(struct reader *r, const char *p, size_t n, bool is_all)
{
    static const char *const fields[] = {"data:", "event:", "id:", ":"};
    enum input_format format = p[0] == RS ? INPUT_SEQ : INPUT_AUTO;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        size_t len = strlen(fields[i]);

        if (memcmp(p, fields[i], n < len ? n : len) != 0)
            continue;
        if (n < len && !is_all)
            return false;
        if (n >= len)
            format = INPUT_EVENTS;
    }
    r->undecided = false;
    set_format(r, format);
    return true;
}

static int take_piece(struct reader *r, const char *p, size_t n, struct error *err)
{
    return r->format == &formats[INPUT_EVENTS] ? take_events(r, p, n, err)
                                               : take_records(r, p, n, err);
}

/* Takes what is there.  Returns how many bytes it took: all but a few at the beginning that decide nothing yet; or -1. */
static ssize_t take(struct reader *r, const char *p, size_t n, bool is_all, struct error *err)
{
    size_t blanks = 0;

    if (r->undecided) {
        while (blanks < n && memchr(" \t\r\n", p[blanks], 4) != NULL)
            blanks++;
        if (take_piece(r, p, blanks, err) < 0)
            return -1;
        if (blanks == n || !decide(r, p + blanks, n - blanks, is_all))
            return (ssize_t)blanks;
    }
    if (take_piece(r, p + blanks, n - blanks, err) < 0 || store(r, err) < 0)
        return -1;
    return (ssize_t)n;
}

static int take_end(struct reader *r, struct error *err)
{
    bool events = r->format == &formats[INPUT_EVENTS];

    if (events && !in_event_line(r) && r->lines > 0)
        r->lines--; /* it ends with the last line */
    piece_begin(r, "", 0);
    if ((events ? end_event(r, err) : end_record(r, 0, err)) < 0)
        return -1;
    return store(r, err);
}

/* ---- the descriptor ---- */

/* Waits for something to read; says so first when there is nothing yet. */
static int wait_for_more(struct reader *r, int fd, struct error *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int patience_ms = 0;

    while (poll(&ready, 1, patience_ms) == 0) {
        if (r->handler->idle(r->handler->user, err) < 0)
            return -1;
        patience_ms = r->handler->idle_ms;
    }
    return 0;
}

static ssize_t read_piece(struct reader *r, int fd, char *space, size_t n, struct error *err)
{
    ssize_t got;

    do {
        if (wait_for_more(r, fd, err) < 0)
            return -1;
        got = read(fd, space, n);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    return got >= 0 ? got : fail_os(err, PLSM_ERROR_IO, errno, READ_FAILED);
}

static int read_all(struct reader *r, int fd, char *space, struct error *err)
{
    size_t kept = 0; /* bytes that wait for more */
    ssize_t got, taken;

    do {
        got = read_piece(r, fd, space + kept, READ_BYTES - kept, err);
        if (got < 0)
            return -1;
        r->counts->bytes += (size_t)got;
        kept += (size_t)got;
        taken = take(r, space, kept, got == 0, err);
        if (taken < 0)
            return -1;
        kept -= (size_t)taken;
        memmove(space, space + taken, kept);
    } while (got > 0);
    return take_end(r, err);
}

int input_read(int fd, struct intake *in, enum input_format format, bool skip,
               const struct input_handler *handler, struct input_counts *counts, struct error *err)
{
    struct reader r = {.in = in,
                       .handler = handler,
                       .counts = counts,
                       .skip = skip,
                       .undecided = format == INPUT_AUTO};
    auto_free char *space = malloc(READ_BYTES);
    int rc;

    *counts = (struct input_counts){0};
    if (space == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    set_format(&r, format);
    rc = read_all(&r, fd, space, err);
    buf_done(&r.record_text);
    buf_done(&r.event_text);
    return rc;
}
