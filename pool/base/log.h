/*
 * stderr: one write(2) for each line, so that the lines of several threads and processes do not mix.
 *
 * What cannot be written is lost: there is nobody left to tell.  Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/buf.h"

/* Writes the bytes as they are; they end with a newline. */
void log_write(struct bytes lines);

/* Formats one line and adds the newline. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
