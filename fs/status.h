/*
 * From the engine's kinds of error to errno, in one place.
 *
 * The same kind means different things at different doors: a pool that is not there is ENOENT for a
 * path, and ESTALE for somebody who had it open.
 */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include "pool/error.h"

enum door {
    DOOR_PATH,   /* looking something up, or a directory operation */
    DOOR_WRITER, /* an open `append` */
    DOOR_READER, /* an open stream or finite file */
};

/* The errno (positive) that tells a user of this door what went wrong. */
int status_errno(const struct error *err, enum door door);

#endif
