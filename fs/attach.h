/* The session with the kernel, and why there is none. */
#ifndef FS_ATTACH_H
#define FS_ATTACH_H

#include "mount.h"
#include "pool/error.h"

/* Mounts on m->point with these options; m->session and m->device are then there.  NotFound, Permission, Busy, Io. */
int attach(struct mount *m, char *options, struct error *err);

#endif
