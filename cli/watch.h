/*
 * Printing the messages of a pool as they come: what `follow`, its replay and the receiving side of
 * `duplex` share.
 *
 *     struct watch w = {.cli = cli, .pool = pool, .pool_ref = ref, .timeout_ns = UINT64_MAX};
 *     watch_parse_since(cli, since, &start)
 *     watch_open(&w, &start)
 *     code = watch_run(&w)
 *     watch_close(&w)
 *
 * Messages that were overwritten before they could be read are told of in notices; see drops.h.
 * One thread.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "cli.h"
#include "drops.h"
#include "pool/stream.h"

struct watch {
    /* filled in by the caller */
    struct cli *cli;
    struct pool *pool;    /* borrowed */
    const char *pool_ref; /* as typed */
    bool data_only;
    bool quiet_drops;
    bool no_notify;      /* look again at intervals in place of sleeping until woken */
    uint64_t only;       /* of all matches print this one, counted from 1, and end; 0: print all */
    uint64_t timeout_ns; /* UINT64_MAX: none */
    const char *timeout_text; /* told to people when it has passed; NULL: nothing is */
    const uint32_t
        *control; /* see pool_wait(); not 0: print what is there, then end; may be NULL */

    /* by watch_open() */
    struct stream *stream;
    enum form form;
    bool is_finite;

    /* of watch.c */
    struct time_cache cache;
    struct buf line;
    struct drops drops;
    uint64_t deadline_ns; /* on clock_mono_ns(); UINT64_MAX: none */
    uint64_t n_matches;
    uint64_t nap_ns;  /* of the last sleep without being woken */
    bool is_told;     /* the control word has changed */
    bool is_finished; /* there is nothing more to print: WHEN..WHEN is over */
    uint64_t end_pos;
};

/* What watch_run() returns when the control word ended it. */
#define WATCH_TOLD (-2)

/* --since: WHEN or WHEN..WHEN into *ret.  0 for NULL, too.  -1 with cli->error. */
int watch_parse_since(struct cli *cli, const char *text, struct stream_options *ret);

/* --timeout; UINT64_MAX for NULL.  -1 with cli->error. */
int watch_parse_timeout(struct cli *cli, const char *text, uint64_t *ret_ns);

/* Does it start at a time yet to come?  Nobody means to wait so long: it ends at once, with 0. */
bool watch_is_in_future(const struct stream_options *start);

int watch_open(struct watch *w, const struct stream_options *start);
void watch_close(struct watch *w);

/* Until it ends: the exit code, -1 with cli->error, or WATCH_TOLD. */
int watch_run(struct watch *w);

/*
 * The parts of it, for whoever reads w->stream in another rhythm.
 *
 * watch_json     the message, or its data, as compact JSON; good until the next call
 * watch_add      adds such a text to the output in the form that was asked for
 * watch_gap      after STREAM_GAP
 * watch_pause    sleeps until `until_ns`; false when whoever read our output has gone
 * watch_finish   after STREAM_DONE, everything being written: the exit code, or -1
 * watch_failed   after STREAM_FAILED: -1, all that waits being written
 */
struct bytes watch_json(struct watch *w, const struct message *message);
void watch_add(struct watch *w, struct bytes json);
void watch_gap(struct watch *w);
bool watch_pause(const struct watch *w, uint64_t until_ns);
int watch_finish(struct watch *w);
int watch_failed(struct watch *w);

#endif
