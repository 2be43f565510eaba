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
 * The mount's `append` and `feed` both use it; `feed` asks for other rules with intake_frame().
 * One thread at a time.
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

/* Where values begin and end, and what an error spoils.  None of these: as described above. */
enum intake_framing {
    /* a value that is no object is read to its end (but for no more bytes than a message may have) and refused as a whole */
    INTAKE_WHOLE = 1 << 0,
    /*
     * Every refused record is told on its own.  It ends with the line on which its brackets close, or before a line that
     * begins with anything but a blank or a closing bracket, or at RS.  A line that begins with `{` always begins a record.
     */
    INTAKE_RECORDS = 1 << 1,
    /* one value at most up to intake_end(): whatever follows it is wrong; an error spoils the rest */
    INTAKE_ONE = 1 << 2,
    /* with the above: the value is complete at intake_end(), unless something followed it */
    INTAKE_LATE = 1 << 3,
};

/* Before the first push, or behind blanks. */
void intake_frame(struct intake *in, enum intake_framing framing);

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

/*
 * No more will come, or the next byte belongs to another record (INTAKE_ONE).  -1 (Usage) when a value is cut off, or is
 * complete only now and is refused; the rest is then discarded.
 */
int intake_end(struct intake *in, struct error *err);

/* Messages that are complete; borrowed until intake_taken() or the next push. */
const struct payload *intake_payloads(const struct intake *in, size_t *ret_n);
void intake_taken(struct intake *in);

/*
 * Bytes of the unfinished value held; 0 when between values.  intake_open(): a value has begun and is not complete.
 * intake_skipping(): looking for a place to resume after an error.
 */
size_t intake_held(const struct intake *in);
bool intake_open(const struct intake *in);
bool intake_skipping(const struct intake *in);

/*
 * Where the value that is unfinished, or was refused last, begins: bytes from the start of the
 * stream.
 */
uint64_t intake_value_offset(const struct intake *in);

/* Drops the unfinished value and any skipping: as new, but for what is complete. */
void intake_reset(struct intake *in);

static inline void intake_cleanup(struct intake **in)
{
    intake_free(*in);
}
#define auto_intake __attribute__((cleanup(intake_cleanup)))

#endif
