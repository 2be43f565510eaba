/*
 * The constant part of the header page: make it, check it.
 */
#ifndef POOL_HEADER_H
#define POOL_HEADER_H

#include "layout.h"
#include "pool/error.h"
#include "pool/pool.h"

/* Plans a file of options->size; checks sizes and index.  Usage. */
int header_plan(const struct pool_options *options, struct header_fixed *ret, struct error *err);

/* Fills in what is random and the checksum. */
int header_seal(struct header_fixed *fixed, uint64_t now_ns, struct error *err);

/* Copies the header out of the map and checks all of it.  Corrupt, or Usage with detail FORMAT. */
int header_check(const void *map, uint64_t file_size, struct header_fixed *ret, struct error *err);

/*
 * This boot of this system: 16 bytes that differ from any other; zero when the system does not say.
 */
void header_boot_id(uint64_t ret[2]);

#endif
