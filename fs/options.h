/* plasmite-fs [-f] [-o OPTIONS] SOURCE MNT, or mount.plasmite SOURCE MNT [-sfnv] [-o OPTIONS], as mount(8) starts it. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include "mount.h"
#include "pool/error.h"

struct options {
    bool foreground;
    bool done; /* nothing else is to be done: the help was printed, or mount(8) only tries */
    bool version;
    bool by_mount; /* mount(8) asks, and knows other exit codes */
    char *kernel;  /* options for libfuse and the kernel, with commas; owned */
};

/*
 * Reads the command line into *options and *m (dir and point as they were given, owned).  Usage.  With done or version set
 * nothing else is to be done.
 */
int options_parse(int argc, char *const *argv, struct options *options, struct mount *m,
                  struct error *err);
void options_done(struct options *options);

#endif
