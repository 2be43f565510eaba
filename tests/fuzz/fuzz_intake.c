/*
 * A stream of anything: whole and cut in two, the same messages come out, and never too much is held.  The first byte of
 * the input is where the rest is cut.
 */
#include "pool/intake.h"

#include <stdlib.h>

#define MESSAGE_MAX 200

static void push_all(struct intake *in, const char *p, size_t n, struct buf *lines)
{
    enum intake_status status;
    size_t at = 0;

    do {
        struct error err = ERROR_INIT;
        size_t used, count;
        const struct payload *payloads;

        status = intake_push(in, p + at, n - at, &used, NULL, &err);
        at += used;
        payloads = intake_payloads(in, &count);
        for (size_t i = 0; i < count; i++) {
            buf_add_bytes(lines, payloads[i].tags);
            buf_add_bytes(lines, payloads[i].data);
            buf_add_char(lines, '\n');
        }
        intake_taken(in);
        if (status == INTAKE_FAILED)
            buf_printf(lines, "%llu %s %s\n", (unsigned long long)err.offset, err.message,
                       err.cause);
    } while (status != INTAKE_MORE);
    if (at != n)
        abort();
}

static void run(const char *p, size_t n, size_t cut, struct buf *lines)
{
    auto_intake struct intake *in = NULL;

    if (intake_new(BYTES("\"x\""), 1, MESSAGE_MAX, INTAKE_RECOGNISE, &in, NULL) < 0)
        abort();
    push_all(in, p, cut, lines);
    push_all(in, p + cut, n - cut, lines);
    buf_add_char(lines, intake_end(in, NULL) < 0 ? '!' : '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    auto_buf struct buf whole = BUF_INIT, cut = BUF_INIT;

    if (n < 2)
        return 0;
    run((const char *)data + 1, n - 1, 0, &whole);
    run((const char *)data + 1, n - 1, data[0] % n, &cut);
    if (!bytes_equal(buf_bytes(&whole), buf_bytes(&cut)))
        abort();
    return 0;
}
