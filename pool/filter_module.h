/*
 * Finding the parts of Plasmite that only some filters need: a shared object, a program.
 *
 * One is looked for where it was installed, and beside the program or shared library that
 * holds this code, so that a build tree and a moved installation work.  Never in the working
 * directory or LD_LIBRARY_PATH; a program with more rights than its caller looks in the place of
 * installation alone.  Any thread.
 */
#ifndef FILTER_MODULE_H
#define FILTER_MODULE_H

#include "base/buf.h"
#include "pool/error.h"

/*
 * The address of `symbol` in a shared object, which stays loaded for the life of the process, since
 * libraries leave things behind in threads.  NULL: as fail_module().  Callers keep the address, each
 * call looks again.
 */
const void *module_load(const char *file, const char *symbol, const char *package,
                        struct error *err);

/* The path of a program, with a NUL behind. */
int module_find(const char *file, struct buf *ret, struct error *err);

/*
 * Internal, which names the Debian package to install when `why` is known, that is not "", and the place
 * where it belongs when it is not there.  Returns -1, like the next.
 */
int fail_module(const char *file, const char *why, const char *package, struct error *err);

/* It was built for another version of this program.  Internal. */
int module_fail_version(const char *file, struct error *err);

#endif
