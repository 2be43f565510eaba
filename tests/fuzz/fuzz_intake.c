/*
 * A stream of anything, framed in any way: whole and cut in two, the same messages come out, and never too much is held.
 * The first byte of the input is where the rest is cut, the second one chooses the framing and the byte that ends a record.
 */
#include "pool/intake.h"

#include <stdlib.h>

#define MESSAGE_MAX 200

static void take(struct intake *in, struct buf *lines)
{
    size_t count;
    const struct payload *payloads = intake_payloads(in, &count);

    for (size_t i = 0; i < count; i++) {
        buf_add_bytes(lines, payloads[i].tags);
        buf_add_bytes(lines, payloads[i].data);
        buf_add_char(lines, '\n');
    }
    intake_taken(in);
}

static void push_all(struct intake *in, const char *p, size_t n, struct buf *lines)
{
    enum intake_status status;
    size_t at = 0;

    do {
        struct error err = ERROR_INIT;
        size_t used;

        status = intake_push(in, p + at, n - at, &used, NULL, &err);
        at += used;
        take(in, lines);
        if (status == INTAKE_FAILED)
            buf_printf(lines, "%llu %llu %s %s\n", (unsigned long long)intake_value_offset(in),
                       (unsigned long long)err.offset, err.message, err.cause);
        if (intake_held(in) > MESSAGE_MAX + 400000)
            abort();
    } while (status != INTAKE_MORE);
    if (at != n)
        abort();
}

static void end(struct intake *in, struct buf *lines)
{
    struct error err = ERROR_INIT;

    if (intake_end(in, &err) < 0)
        buf_printf(lines, "! %llu %s\n", (unsigned long long)err.offset, err.message);
    take(in, lines);
}

/* Pushes in pieces that end at `cut` and before each `end_byte`, where a record ends. */
static void run(const char *p, size_t n, size_t cut, unsigned framing, char end_byte,
                struct buf *lines)
{
    auto_intake struct intake *in = NULL;

    if (intake_new(BYTES("\"x\""), 1, MESSAGE_MAX, INTAKE_RECOGNISE, &in, NULL) < 0)
        abort();
    intake_frame(in, framing);
    for (size_t at = 0, stop; at < n; at = stop) {
        for (stop = at + 1; stop < n && stop != cut; stop++)
            if ((framing & INTAKE_ONE) && p[stop] == end_byte)
                break;
        push_all(in, p + at, stop - at, lines);
        if (stop < n && (framing & INTAKE_ONE) && p[stop] == end_byte)
            end(in, lines);
    }
    end(in, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    auto_buf struct buf whole = BUF_INIT, cut = BUF_INIT;
    unsigned framing;
    char end_byte;

    if (n < 3)
        return 0;
    framing = data[1] % 16;
    end_byte = data[1] & 16 ? '\n' : '\x1e';
    run((const char *)data + 2, n - 2, 0, framing, end_byte, &whole);
    run((const char *)data + 2, n - 2, data[0] % n, framing, end_byte, &cut);
    if (!bytes_equal(buf_bytes(&whole), buf_bytes(&cut)))
        abort();
    return 0;
}
