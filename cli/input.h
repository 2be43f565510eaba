/*
 * Records from a file or a pipe: every complete value is handed on as soon as it is there.
 *
 * Records are JSON objects, on one line or many, next to each other or apart, with RS (0x1e) between them or not.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "pool/intake.h"

#define INPUT_SNIPPET_MAX 200 /* bytes of an offending text that are shown */

enum input_format {
    INPUT_AUTO,
};

/* A record that was refused. */
struct input_bad {
    uint64_t index;       /* of the record, from 1, good and bad */
    uint64_t line;        /* on which it begins, from 1 */
    struct bytes snippet; /* its beginning; borrowed */
    bool is_json;         /* valid as far as its first line goes, only not an object */
};

struct input_handler {
    /* Stores what is complete.  0, or -1 with *err: reading ends. */
    int (*batch)(void *user, const struct payload *payloads, size_t n, struct error *err);
    /* 0: go on behind it; -1: reading ends with *err, which says what is wrong and may be changed. */
    int (*bad)(void *user, const struct input_bad *bad, struct error *err);
    /* About to wait for more. */
    int (*idle)(void *user, struct error *err);
    void *user;
};

struct input_counts {
    uint64_t good;
    uint64_t bad;
};

/* Reads the descriptor to its end.  0, or -1 with *err: Io, or what a handler said. */
int input_read(int fd, struct intake *in, const struct input_handler *handler,
               struct input_counts *ret, struct error *err);

/* Is the text one JSON value of any type, or the beginning of one? */
bool input_is_json(struct bytes text);

#endif
