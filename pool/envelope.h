/*
 * The envelope around tags and data that are copied straight from the ring to where they are shown, which is what makes
 * reading fast: what was copied once is not copied again.
 *
 *     at = envelope_head(out, ...)            {"seq":7,"time":"...","meta":{"tags":[
 *     tags and data, at + ENVELOPE_GAP on     one behind the other, as a frame holds them
 *     end = envelope_close(at, ...)           the tags move to `at`, ]},"data": goes between, }\n behind
 *
 * `out` has room for ENVELOPE_ROOM bytes besides tags and data.
 */
#ifndef POOL_ENVELOPE_H
#define POOL_ENVELOPE_H

#include "base/units.h"

#include <stddef.h>
#include <stdint.h>

#define ENVELOPE_GAP 10
#define ENVELOPE_ROOM 96

char *envelope_head(char *out, uint64_t seq, uint64_t time_ns, struct time_cache *cache);
char *envelope_close(char *at, size_t tags_len, size_t data_len);

#endif
