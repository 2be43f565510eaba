/*
 * From the bytes that are written to an open file to messages ready to append: JSON values (pool/intake.h), or plain text in
 * which each line is one message, {"line":TEXT}.
 *
 *     framing_init(&f, FRAMING_LINES, lens, message_max, &err)
 *     framing_push(&f, p, n, &used, &end, &err)     again and again
 *     intake_payloads(f.in, &n) ... framing_taken(&f)
 *
 * A line ends with a newline; carriage returns in front of it are not part of it, empty lines are lines.  Bytes that
 * are not UTF-8 become U+FFFD.  A line that is too large for a message is refused, and what follows up to its end.
 * One thread at a time.
 */
#ifndef FS_FRAMING_H
#define FS_FRAMING_H

#include "lens.h"
#include "pool/intake.h"

enum framing_kind {
    FRAMING_JSON, /* an object that is a message is copied as one */
    FRAMING_DATA, /* every object is application data */
    FRAMING_LINES,
};

struct framing {
    enum framing_kind kind;
    const struct lens *lens; /* borrowed: its tags are given to every message */
    uint64_t message_max;
    struct intake *in;
    bool by_line;    /* JSON: a value must end with its line; may change between pushes */
    size_t peak;     /* most it ever held */
    struct buf line; /* FRAMING_LINES: the line that is not at its end */
    struct buf text; /* ... a line as JSON */
    size_t batch;    /* ... bytes that are complete in the intake */
    bool skipping;   /* ... the rest of a line that was refused */
};

int framing_init(struct framing *f, enum framing_kind kind, const struct lens *lens,
                 uint64_t message_max, struct error *err);
void framing_done(struct framing *f);

/* As intake_push(). */
enum intake_status framing_push(struct framing *f, const char *p, size_t n, size_t *ret_used,
                                size_t *ret_end, struct error *err);

/* No more will come: a last line without a newline is complete now.  JSON that is unfinished stays so. */
enum intake_status framing_end(struct framing *f, struct error *err);

/* What was complete is stored, or given up. */
void framing_taken(struct framing *f);

/* Bytes of unfinished text; is it looking for a place to resume after an error? */
size_t framing_held(const struct framing *f);
bool framing_skipping(const struct framing *f);

/* The writer begins anew, with a value or line. */
void framing_reset(struct framing *f);

/* Whatever comes next is the inside of something refused, whose last byte known is `last`. */
void framing_spoil(struct framing *f, char last);

/* The text that was refused goes on to here. */
void framing_skip(struct framing *f, char last);

/* Gives back the memory of a message that was unusually large, when nothing is held. */
void framing_shrink(struct framing *f);

#endif
