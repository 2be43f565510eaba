/*
 * Records from a file or a pipe: every complete value is handed on as soon as it is there.
 *
 * The formats differ in where a record ends and in what an error spoils; the rest is the same for all:
 *
 *     auto    JSON objects, on one line or many, next to each other or apart.  RS as the first byte that is not blank
 *             makes it seq; `data:`, `event:`, `id:` or `:` there make it an event stream (server-sent events)
 *     jsonl   each line that is not blank is one object
 *     json    all of the input is one object
 *     seq     one object behind each RS (0x1e)
 *     jq      as auto, but never anything else than JSON
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "pool/intake.h"

#define INPUT_SNIPPET_MAX 200 /* bytes of an offending text that are shown */

enum input_format {
    INPUT_AUTO,
    INPUT_JSONL,
    INPUT_JSON,
    INPUT_SEQ,
    INPUT_JQ,
    INPUT_EVENTS, /* what auto may find; has no name */
};

/* Names of the first five, in this order; NULL at the end. */
extern const char *const input_format_names[];

/* A record that was refused. */
struct input_bad {
    uint64_t index;       /* of the record, from 1, good and bad */
    uint64_t line;        /* on which it begins (an event: ends), from 1; 0 where lines mean nothing */
    const char *mode;     /* jsonl, json, seq, jq or event */
    struct bytes snippet; /* its beginning; borrowed */
};

/* What has been read so far. */
struct input_counts {
    uint64_t good;
    uint64_t bad;
    uint64_t bytes;
};

struct input_handler {
    /* Stores what is complete, and already counted.  0, or -1 with *err: reading ends. */
    int (*batch)(void *user, const struct payload *payloads, size_t n, struct error *err);
    /* 0: go on behind it; -1: reading ends with *err, which says what is wrong and may be changed. */
    int (*bad)(void *user, const struct input_bad *bad, struct error *err);
    /* About to wait for more. */
    int (*idle)(void *user, struct error *err);
    int idle_ms; /* how often idle() is called again while nothing comes; -1: never */
    void *user;
};

/*
 * Reads the descriptor to its end.  0, or -1 with *err: Io, or what a handler said.
 *
 * skip    bad() will let records pass: those that stand around them are then found with more care
 * counts  filled as reading goes on
 */
int input_read(int fd, struct intake *in, enum input_format format, bool skip,
               const struct input_handler *handler, struct input_counts *counts,
               struct error *err);

#endif
