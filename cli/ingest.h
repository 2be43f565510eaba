/*
 * Records from a file or a pipe into a pool: what `feed` and the sending side of `duplex` share.
 *
 * A record is appended as soon as it is complete.  Refused records end the run, or with `skip` each gives one notice on
 * stderr and a summary at the end.  Uses nothing of cli that another thread writes: errors go to *err.
 */
#ifndef CLI_INGEST_H
#define CLI_INGEST_H

#include "cli.h"
#include "input.h"
#include "pool/pool.h"

struct ingest {
    struct cli *cli;      /* for notices */
    const char *pool_ref; /* as typed */
    struct pool *pool;
    enum input_format format;
    bool skip;
    bool as_data; /* messages are stored as they are, as data */
    enum append_flags flags;
    const struct opt_list *tags; /* for every message; NULL: none */
    uint64_t retries;            /* after Busy, or an Io that may pass */
    uint64_t retry_delay_ns;
    const char *advice; /* the second half of the hint when a bad record ends the run; may be NULL */

    /* After each append, with what was stored; may be NULL.  -1 with *err ends the run. */
    int (*stored)(void *user, const struct payload *payloads, size_t n,
                  const struct receipt *receipt, struct error *err);
    /* About to wait for more input, and again every idle_ms (0: never) while it waits; may be NULL. */
    int (*idle)(void *user, struct error *err);
    int idle_ms;
    /* About to write a notice to stderr; may be NULL. */
    void (*notice)(void *user);
    void *user;
};

/* Reads fd to its end.  0, or -1 with *err; *ret counts as it goes on, also then.  No record at all: Usage, `missing data input`. */
int ingest_run(struct ingest *ingest, int fd, struct input_counts *ret, struct error *err);

/* The same for a text that is one record.  What is wrong with it ends the run, whatever `skip` says. */
int ingest_text(struct ingest *ingest, struct bytes text, struct error *err);

/* Usage, `missing data input`, with the hint that says which ways there are.  -1 */
int ingest_no_input(struct error *err);

#endif
