/*
 * The way in: a stream of bytes becomes messages ready to append.
 *
 * Top-level values are complete when their last byte is there.  Separators are white space and RS
 * (0x1e).  A value may span pieces and lines, several may share a line.  A top-level value that
 * does not begin with `{` is wrong at its first byte.  After an error everything is skipped up to
 * the next line whose first byte is `{`, or to RS: the inside of a broken document must not enter
 * the pool.  The newline that ends what was refused begins such a line.
 *
 *     intake_push(in, p, n, &used)       -- again and again, until it says INTAKE_MORE
 *     intake_payloads(in, &n)            -- what is complete, for pool_append()
 *     intake_taken(in)                   -- they are stored: forget them
 *
 * The mount's `append` and `feed` both use it.  One thread at a time.
 */
#ifndef POOL_INTAKE_H
#define POOL_INTAKE_H

#include "pool/message.h"

struct intake;

enum intake_flags {
    /* an object that is exactly a message is copied: its data, its tags */
    INTAKE_RECOGNISE = 1 << 0,
};

/*
 * tags, tags_raw  encoded tags that every message gets (copied)
 * message_max     largest tags + data of one message, bytes; larger is Usage, TOO_LARGE
 */
int intake_new(struct bytes tags, uint32_t tags_raw, uint64_t message_max, enum intake_flags flags,
               struct intake **ret, struct error *err);
void intake_free(struct intake *in);

enum intake_status {
    INTAKE_MORE,   /* all bytes used */
    INTAKE_FULL,   /* INTAKE_BATCH_BYTES reached: append what is complete, then push the rest */
    INTAKE_FAILED, /* *err filled; *ret_used is the offset of the wrong byte (also when that is in an earlier piece: then 0).
                      The next push resumes as described above; push from *ret_used on */
};

/* a write() of the mount is at most that, so that each stays in one piece */
#define INTAKE_BATCH_BYTES (1u << 20)

/*
 * Takes p[0..n).  Complete messages gather until intake_taken(). *ret_used  bytes used; *ret_end
 * (may be NULL) the offset just behind the last value completed by this call, 0 if none.
 * err->offset  bytes from the start of the stream to the wrong byte.
 */
enum intake_status intake_push(struct intake *in, const char *p, size_t n, size_t *ret_used,
                               size_t *ret_end, struct error *err);

/* No more will come.  -1 (Usage, BAD_JSON) when a value is cut off; the rest is then discarded. */
int intake_end(struct intake *in, struct error *err);

/* Messages that are complete; borrowed until intake_taken() or the next push. */
const struct payload *intake_payloads(const struct intake *in, size_t *ret_n);
void intake_taken(struct intake *in);

/*
 * Bytes of the unfinished value held; 0 when between values.  intake_skipping(): looking for a
 * place to resume after an error.
 */
size_t intake_held(const struct intake *in);
bool intake_skipping(const struct intake *in);

/*
 * Where the value that is unfinished, or was refused last, begins: bytes from the start of the
 * stream.
 */
uint64_t intake_value_offset(const struct intake *in);

/* Drops the unfinished value and any skipping: as new. */
void intake_reset(struct intake *in);

static inline void intake_cleanup(struct intake **in)
{
    intake_free(*in);
}
#define auto_intake __attribute__((cleanup(intake_cleanup)))

#endif
