#include "input.h"

#include "base/cleanup.h"
#include "pool/json.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>

#define READ_BYTES (256 * 1024)
#define READ_FAILED "failed to read input"

struct reader {
    struct intake *in;
    const struct input_handler *handler;
    struct input_counts counts;
    const char *piece; /* the bytes at hand */
    size_t piece_n;
    uint64_t piece_offset; /* of its first byte in the input */
    uint64_t lines_before; /* newlines before it */

    /* The unfinished record that begins in an earlier piece. */
    uint64_t record_line;
    struct buf record_text; /* its first bytes */
};

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

bool input_is_json(struct bytes text)
{
    struct json_gate gate = JSON_GATE_INIT;
    auto_buf struct buf scratch = BUF_INIT;
    size_t used;
    enum json_status status = json_gate_feed(&gate, text.p, text.n, &used, &scratch);

    while (status == JSON_VALUE && used < text.n && memchr(" \t\r\n", text.p[used], 4) != NULL)
        used++;
    return status == JSON_MORE || (status == JSON_VALUE && used == text.n);
}

/* From the beginning of the refused record to the end of the line that holds the wrong byte. */
static struct bytes offending_text(struct reader *r, size_t at, struct buf *scratch)
{
    uint64_t begin = intake_value_offset(r->in);
    const char *newline = memchr(r->piece + at, '\n', r->piece_n - at);
    size_t end = newline != NULL ? (size_t)(newline - r->piece) : r->piece_n;
    size_t from = begin > r->piece_offset ? (size_t)(begin - r->piece_offset) : 0;

    if (begin >= r->piece_offset)
        return (struct bytes){r->piece + from, end > from ? end - from : 0};
    buf_add_bytes(scratch, buf_bytes(&r->record_text));
    if (scratch->n <= INPUT_SNIPPET_MAX)
        buf_add(scratch, r->piece, end < INPUT_SNIPPET_MAX ? end : INPUT_SNIPPET_MAX);
    return buf_bytes(scratch);
}

/* The byte at `at` of the piece is wrong; *err says how. */
static int refuse(struct reader *r, size_t at, struct error *err)
{
    auto_buf struct buf scratch = BUF_INIT, snippet = BUF_INIT;
    uint64_t begin = intake_value_offset(r->in);
    struct bytes text = offending_text(r, at, &scratch);
    struct input_bad bad = {
        .index = r->counts.good + r->counts.bad + 1,
        .line = r->record_line,
        .is_json = input_is_json(text),
        .snippet = cut_snippet(text, &snippet),
    };

    if (begin >= r->piece_offset)
        bad.line = r->lines_before + 1 + count_lines(r->piece, (size_t)(begin - r->piece_offset));
    r->counts.bad++;
    return r->handler->bad(r->handler->user, &bad, err);
}

static int store(struct reader *r, struct error *err)
{
    size_t n;
    const struct payload *payloads = intake_payloads(r->in, &n);

    if (n == 0)
        return 0;
    if (r->handler->batch(r->handler->user, payloads, n, err) < 0)
        return -1;
    r->counts.good += n;
    intake_taken(r->in);
    return 0;
}

/* Keeps what an error would have to say about the record that goes on in the next piece. */
static void remember_unfinished(struct reader *r)
{
    uint64_t begin = intake_value_offset(r->in);
    size_t from;

    if (intake_held(r->in) > 0 && begin >= r->piece_offset) {
        from = (size_t)(begin - r->piece_offset);
        r->record_line = r->lines_before + 1 + count_lines(r->piece, from);
        buf_clear(&r->record_text);
    } else {
        from = 0;
    }
    if (intake_held(r->in) > 0 && r->record_text.n <= INPUT_SNIPPET_MAX) {
        size_t n = r->piece_n - from;

        buf_add(&r->record_text, r->piece + from, n < INPUT_SNIPPET_MAX ? n : INPUT_SNIPPET_MAX);
    }
    r->lines_before += count_lines(r->piece, r->piece_n);
    r->piece_offset += r->piece_n;
}

static int take_piece(struct reader *r, const char *p, size_t n, struct error *err)
{
    r->piece = p;
    r->piece_n = n;
    for (size_t at = 0; at < n;) {
        struct error why = ERROR_INIT;
        size_t used = 0;
        enum intake_status status = intake_push(r->in, p + at, n - at, &used, NULL, &why);

        at += used;
        /* What came before the wrong byte is stored before anything is said of it. */
        if (store(r, err) < 0)
            return -1;
        if (status == INTAKE_FAILED && refuse(r, at, &why) < 0) {
            *err = why;
            return -1;
        }
    }
    remember_unfinished(r);
    return 0;
}

static int take_end(struct reader *r, struct error *err)
{
    struct error why = ERROR_INIT;

    r->piece = "";
    r->piece_n = 0;
    if (intake_end(r->in, &why) < 0 && refuse(r, 0, &why) < 0) {
        *err = why;
        return -1;
    }
    return 0;
}

/* The next piece; says so first when there is nothing to read yet. */
static ssize_t read_piece(struct reader *r, int fd, char *space, struct error *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t n;

    for (;;) {
        if (poll(&ready, 1, 0) == 0 && r->handler->idle(r->handler->user, err) < 0)
            return -1;
        n = read(fd, space, READ_BYTES);
        if (n >= 0)
            return n;
        if (errno == EAGAIN)
            poll(&ready, 1, -1);
        else if (errno != EINTR)
            return fail_os(err, PLSM_ERROR_IO, errno, READ_FAILED);
    }
}

int input_read(int fd, struct intake *in, const struct input_handler *handler,
               struct input_counts *ret, struct error *err)
{
    struct reader r = {.in = in, .handler = handler};
    auto_free char *space = malloc(READ_BYTES);
    ssize_t n = 1;
    int rc = 0;

    if (space == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    while (rc == 0 && n > 0) {
        n = read_piece(&r, fd, space, err);
        if (n < 0)
            rc = -1;
        else if (n > 0)
            rc = take_piece(&r, space, (size_t)n, err);
        else
            rc = take_end(&r, err);
    }
    buf_done(&r.record_text);
    *ret = r.counts;
    return rc;
}
