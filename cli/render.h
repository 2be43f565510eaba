/*
 * Texts for people and machines: indented JSON, tables.
 *
 * All calls add to *out; ask buf_failed() once at the end.
 */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include "base/buf.h"

#include <stdint.h>

/* Compact JSON, indented by two blanks, with a newline at the end. */
void render_json(struct bytes json, bool colour, struct buf *out);

/* "2026-03-04T05:06:07Z": cut to whole seconds. */
void render_seconds(uint64_t time_ns, struct buf *out);

/* The path relative to `dir` when it is under it, else its last component. */
const char *render_short_path(const char *dir, const char *path);

/* "LABEL NAME" as a line of its own; what in a name could steer a terminal is shown as \xNN. */
void render_name_line(const char *label, const char *name, struct buf *out);

/* A directory for people: ./REL/, ~/REL/ or itself, with a slash at the end. */
void render_dir(const char *dir, struct buf *out);

/* A header line and rows, every column as wide as its widest cell. */
struct table {
    size_t columns;
    size_t indent;    /* blanks before each row */
    size_t gap;       /* blanks between columns; 0: two */
    bool ragged;      /* the last column is not padded */
    struct buf cells; /* NUL-terminated, one after the other */
};

#define TABLE_COLUMNS_MAX 8

void table_add(struct table *table, const char *cell);
void table_render(const struct table *table, struct buf *out);
void table_done(struct table *table);

#endif
