/*
 * An error as programs tell it: a JSON object for programs, lines for people.
 *
 * All calls add to *out; ask buf_failed() once at the end.
 */
#ifndef POOL_ERROR_TEXT_H
#define POOL_ERROR_TEXT_H

#include "base/buf.h"
#include "pool/error.h"

/* The inner object of the envelope: {"causes":[...],"hint":...,"kind":...,"message":...,...}. */
void error_add_json(const struct error *err, struct buf *out);

/* {"error":{...}} and a newline. */
void error_add_envelope(const struct error *err, struct buf *out);

/* `error: MESSAGE`, `hint: ...`, `path: ...` and so on, a line for each thing that is known. */
void error_add_lines(const struct error *err, bool colour, struct buf *out);

/* "MESSAGE", or "MESSAGE: CAUSE": for a cell of a table. */
void error_add_short(const struct error *err, struct buf *out);

/* buf_add_plain() of a C string: a message, or a path, which can be anything. */
void error_add_plain(const char *text, struct buf *out);

/* Gives an error that has no hint the one of its kind. */
void error_default_hint(struct error *err);

#endif
