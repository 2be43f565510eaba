/*
 * Loading the shared objects that only some filters need.
 *
 * A module is looked for where it was installed, and beside the program or shared library that
 * holds this code, so that a build tree and a moved installation work.  Never in the working
 * directory or LD_LIBRARY_PATH; a program with more rights than its caller looks in the place of
 * installation alone.
 *
 * module_load() returns the address of `symbol` in it; the module stays loaded for the life of the
 * process, since libraries leave things behind in threads.  NULL: Internal, which names the Debian
 * package to install.  Any thread; callers keep the address, each call looks again.
 */
#ifndef FILTER_MODULE_H
#define FILTER_MODULE_H

#include "pool/error.h"

const void *module_load(const char *file, const char *symbol, const char *package,
                        struct error *err);

/* It was built for another version of this program.  Internal; returns -1. */
int module_fail_version(const char *file, struct error *err);

#endif
