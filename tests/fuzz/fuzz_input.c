/*
 * The formats of `feed`: a pipe that brings anything, at once or in pieces, gives the same messages and the same refusals.
 * The first byte of the input is the size of the pieces, the second one the format and the policy.
 */
#include "input.h"

#include <stdlib.h>
#include <unistd.h>

#define MESSAGE_MAX 200

struct run {
    int in; /* where the pieces are written, -1 when all are */
    const char *p;
    size_t n;
    size_t piece;
    uint64_t good, bad;
    struct buf lines;
};

static int take(void *user, const struct payload *payloads, size_t n, struct error *err)
{
    struct run *r = user;

    (void)err;
    for (size_t i = 0; i < n; i++) {
        buf_add_bytes(&r->lines, payloads[i].data);
        buf_add_char(&r->lines, '\n');
    }
    r->good += n;
    return 0;
}

static int refuse(void *user, const struct input_bad *bad, struct error *err)
{
    struct run *r = user;

    if (bad->index != r->good + ++r->bad || bad->snippet.n > INPUT_SNIPPET_MAX ||
        err->kind == PLSM_ERROR_NONE)
        abort();
    buf_printf(&r->lines, "%s %llu %s %s\n", bad->mode, (unsigned long long)bad->line, err->message,
               err->cause);
    return 0;
}

/* Nothing to read: the next piece. */
static int feed(void *user, struct error *err)
{
    struct run *r = user;
    size_t n = r->n < r->piece ? r->n : r->piece;

    (void)err;
    if (n > 0 && write(r->in, r->p, n) != (ssize_t)n)
        abort();
    r->p += n;
    r->n -= n;
    if (n == 0)
        close(r->in);
    return 0;
}

static struct buf run(const char *p, size_t n, size_t piece, unsigned choice)
{
    struct run r = {.p = p, .n = n, .piece = piece};
    const struct input_handler handler = {
        .batch = take, .bad = refuse, .idle = feed, .idle_ms = -1, .user = &r};
    auto_intake struct intake *in = NULL;
    struct input_counts counts;
    struct error err = ERROR_INIT;
    int fds[2];

    if (pipe(fds) < 0 || intake_new(BYTES(""), 0, MESSAGE_MAX, INTAKE_RECOGNISE, &in, &err) < 0)
        abort();
    r.in = fds[1];
    if (input_read(fds[0], in, (enum input_format)(choice % INPUT_EVENTS), choice & 8, &handler,
                   &counts, &err) < 0)
        abort();
    if (counts.good != r.good || counts.bad != r.bad || counts.bytes != n)
        abort();
    close(fds[0]);
    return r.lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf whole, cut;

    if (n < 3 || n > 4096) /* a pipe holds that */
        return 0;
    whole = run((const char *)data + 2, n - 2, n, data[1]);
    cut = run((const char *)data + 2, n - 2, data[0] % 16 + 1u, data[1]);
    if (!bytes_equal(buf_bytes(&whole), buf_bytes(&cut)))
        abort();
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
