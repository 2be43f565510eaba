/*
 * Inside the JSON gate: what json.c (the machine that can stop at any byte) shares with the block scanners that
 * run ahead of it.
 *
 * The machine alone decides what JSON is.  A block scanner is only quicker: it starts between two tokens, takes whole
 * blocks of 64 bytes that it has proved valid, and stops between two tokens, in the state the machine would have been in
 * there.  Whatever it does not like (an error, the end of the piece, a depth it does not count) it leaves to the machine.
 */
#ifndef JSON_STATE_H
#define JSON_STATE_H

#include "pool/json.h"

enum json_state {
    JSON_START,       /* between values */
    JSON_WANT_VALUE,  /* after ':' or ',' */
    JSON_FIRST_VALUE, /* after '[': a value or ']' */
    JSON_FIRST_KEY,   /* after '{': a key or '}' */
    JSON_WANT_KEY,    /* after ',' in an object */
    JSON_WANT_COLON,  /* after a key */
    JSON_WANT_NEXT,   /* after a value in a container: ',' or its end */
    JSON_IN_STRING,   /* all below: inside a token */
    JSON_IN_NUMBER,
    JSON_IN_LITERAL,
    JSON_FAILED,
};

static inline bool json_between_tokens(uint8_t state)
{
    return state < JSON_IN_STRING;
}

/* The stack of containers: bit 0 is the innermost, 1 means object. */
typedef unsigned __int128 json_kinds;

static inline json_kinds json_kinds_get(const struct json_gate *gate)
{
    return (json_kinds)gate->kinds[1] << 64 | gate->kinds[0];
}

static inline void json_kinds_set(struct json_gate *gate, json_kinds kinds)
{
    gate->kinds[0] = (uint64_t)kinds;
    gate->kinds[1] = (uint64_t)(kinds >> 64);
}

/* Makes the error of a gate that is JSON_BAD; returns -1. */
int json_gate_fail(const struct json_gate *gate, uint64_t offset, struct error *err);

/* Was the last byte, or the one before the wrong one, inside a string? */
bool json_gate_in_string(const struct json_gate *gate);

/* Forces one by name until json_use_plain(false); false when it does not run here.  For tests. */
bool json_use_scanner(const char *name);

/* A scanner may write this many bytes behind the ones it means. */
#define JSON_OUT_SLACK 64

/*
 * Runs over p[at..n), which starts between two tokens of an open value or at the '{' or '[' of one, and adds the
 * compact form to out, which has room for n - at + JSON_OUT_SLACK.  Returns the offset to go on from; *ret_out is behind the last
 * byte added; gate->state is JSON_START when the value was completed.
 */
typedef size_t json_scanner(struct json_gate *gate, const char *p, size_t at, size_t n, char *out,
                            char **ret_out);

#if defined(__x86_64__)
json_scanner json_scan_sse2;
json_scanner json_scan_avx2;
#endif

#endif
