/*
 * The JSON gate: the only way text becomes the data of a message.
 *
 * Strict RFC 8259 and strict UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF);
 * white space between tokens is removed, every other byte is kept as it came.  Escaped lone
 * surrogates (\ud800) are grammar and pass.  No tree is built.  How the input is cut into pieces
 * never matters.
 *
 *     struct json_gate gate = JSON_GATE_INIT;
 *     while (have a piece)
 *         switch (json_gate_feed(&gate, p, n, &used, &out)) ...
 *     json_gate_end(&gate)        -- a number at the end of the input is complete only now
 *
 * One thread at a time for each gate; the struct holds no pointers and can be copied.
 */
#ifndef POOL_JSON_H
#define POOL_JSON_H

#include "base/buf.h"
#include "pool/error.h"

#include <stdint.h>

/*
 * Containers inside each other, `data` itself being the first.  jq 1.6 gives up at 256 and counts
 * objects twice.
 */
#define JSON_DEPTH_MAX 120

enum json_status {
    JSON_MORE,  /* all input used, the value (or the blank before it) goes on */
    JSON_VALUE, /* one whole value has been added to `out`; its last byte is the last one used */
    /* the byte at *ret_used is wrong; json_gate_why() says how.  Reset before feeding again */
    JSON_BAD,
};

struct json_gate {
    uint8_t state;       /* what may come next; 0: between values */
    uint8_t substate;    /* inside an escape, a UTF-8 sequence, a number or a literal */
    uint8_t literal;     /* which literal; whether a string is a key */
    uint8_t depth;       /* open containers */
    /* set by the caller: one level more is allowed, that of a message around its data */
    bool envelope;
    bool deep;           /* that level was used; cleared by the caller */
    /* why, after JSON_BAD; bounds of the next byte in a UTF-8 sequence otherwise */
    uint16_t code;
    uint64_t kinds[2];   /* bits of the open containers, the innermost lowest: 1 is an object */
};

#define JSON_GATE_INIT ((struct json_gate){0})

/*
 * Takes bytes from p[0..n) until the first top-level value is complete, a byte is wrong, or all are
 * used. Compacted bytes are added to *out, which therefore holds a part of a value after JSON_MORE
 * and rubbish after JSON_BAD.  *ret_used: bytes taken; after JSON_BAD the offset of the offending
 * byte. A top-level number followed by anything but white space or the end is JSON_BAD, as "1x" is.
 * When memory is gone: JSON_BAD with json_gate_why() saying so.
 */
enum json_status json_gate_feed(struct json_gate *gate, const char *p, size_t n, size_t *ret_used,
                                struct buf *out);

/* No more input will come.  JSON_VALUE when a number was waiting for its end, JSON_MORE when nothing was open, JSON_BAD
 * when a value was cut off. */
enum json_status json_gate_end(struct json_gate *gate);

/* True while a value has begun and is not complete. */
static inline bool json_gate_open(const struct json_gate *gate)
{
    return gate->state != 0;
}

/* After JSON_BAD: a constant text such as "expected a value" or "data nests deeper than 120". */
const char *json_gate_why(const struct json_gate *gate);

/*
 * The whole of `text` is one JSON value: adds its compact form to *out.
 * Usage with detail BAD_JSON, offset and a cause otherwise ("invalid json"; too deep: "data nests
 * deeper than 120"); *out then keeps the content it had.
 */
int json_compact(struct bytes text, struct buf *out, struct error *err);

/*
 * Walking text that has passed the gate (compact, valid).  All offsets are relative to text.p.
 * json_skip() returns the offset just behind the value that starts at `at`.
 * json_string_equal() compares a JSON string (quotes included) with plain UTF-8, escapes resolved.
 * json_string_decode() adds the plain UTF-8 of a JSON string; lone surrogates become U+FFFD.
 */
size_t json_skip(struct bytes text, size_t at);
bool json_string_equal(struct bytes string, struct bytes plain);
int json_string_decode(struct bytes string, struct buf *out);

/*
 * Which implementation of the scanner runs: "avx2", "sse2", "plain".  json_use_plain() is for tests
 * and benches.
 */
const char *json_scanner_name(void);
void json_use_plain(bool plain);

#endif
