/*
 * The messages of `tap`: what a program prints, line by line, between its start and its end.
 *
 *     {"kind":"start","cmd":["make","-j4"]}                            tags: lifecycle
 *     {"kind":"line","stream":"stdout","line":"cc -c a.c"}             tags: those of the user
 *     {"kind":"exit","code":0,"elapsed_ms":1520}                       tags: lifecycle
 *     {"kind":"exit","signal":"SIGTERM","elapsed_ms":1520}
 *
 * Nothing of a line is lost.  What is not UTF-8 reads as U+FFFD in `line`, and the message has the original in
 * `bytes`, as base64.  A line that does not fit one message (see CAPTURE_LINE_MAX) becomes several in a row, all but
 * the last with "more":true; their texts joined are the line.
 *
 * Calls return 0, or -1 with *err: what pool_append() says.
 */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include "base/opts.h"
#include "pool/pool.h"

#define CAPTURE_LINE_MAX                                                                           \
    (16u << 20)           /* bytes of a line kept in one message, and held while it is unfinished */
#define CAPTURE_BATCH 256 /* messages appended together at most */

enum capture_stream { CAPTURE_STDOUT, CAPTURE_STDERR, CAPTURE_STREAMS };

struct capture {
    struct pool *pool; /* borrowed */
    enum append_flags flags;
    uint64_t n_lines; /* recorded so far */
    size_t line_max;
    struct buf tags; /* of lines, encoded */
    uint32_t tags_raw;
    struct buf held[CAPTURE_STREAMS]; /* the unfinished line of each stream */
    struct buf text;                  /* messages not yet appended, one behind the other */
    size_t ends[CAPTURE_BATCH];       /* where each of them ends in text */
    size_t n;
};

/* Usage: the tags are not UTF-8 or too many.  Release with capture_done(). */
int capture_init(struct capture *capture, struct pool *pool, enum append_flags flags,
                 const struct opt_list *tags, struct error *err);
void capture_done(struct capture *capture);

/* Before the program is started: Usage when its words do not fit one message, or the tags leave no room for lines. */
int capture_check_start(struct capture *capture, const struct opt_list *words, struct error *err);
int capture_start(struct capture *capture, const struct opt_list *words, struct error *err);

/* What was read from one of its streams: every line that is complete is in the pool afterwards. */
int capture_bytes(struct capture *capture, enum capture_stream stream, struct bytes bytes,
                  struct error *err);

/* No more will come from it: a last line without a newline is one, too. */
int capture_end(struct capture *capture, enum capture_stream stream, struct error *err);

/* It has ended, with this status of waitpid(2). */
int capture_exit(struct capture *capture, int status, uint64_t elapsed_ns, struct error *err);

/* "SIGTERM", "SIG6": as messages and people are told, added to *out. */
void capture_add_signal(int number, struct buf *out);

#endif
