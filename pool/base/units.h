/*
 * Durations, sizes and points in time, as people write and read them.
 *
 * Times are nanoseconds since 1970 UTC in 64 unsigned bits (until 2554); values outside are clamped.
 * The parsers return 0, or -1 with *ret_why (when not NULL) a constant text that says what is wrong.
 * Thread-safe; none of them keeps anything.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/buf.h"

#include <stdint.h>

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

uint64_t clock_real_ns(void); /* wall clock */
uint64_t clock_mono_ns(void); /* for deadlines */

/* `500ms`, `5s`, `1m`, `2h`: DIGITS UNIT, nothing in between, blanks around it ignored. */
int parse_duration(const char *text, uint64_t *ret_ns, const char **ret_why);

/* `42`, `1K`, `8 M`, `4g`: powers of 1024.  *ret_why is "invalid size", "invalid size suffix" or "size overflow". */
int parse_size(const char *text, uint64_t *ret_bytes, const char **ret_why);

/* Plain unsigned decimal, all of the text. */
int parse_u64(const char *text, uint64_t *ret, const char **ret_why);

/*
 * A point in time, relative to now_ns: `90s` `5m` `1h` `2d` ago, RFC 3339, `@unix-seconds[.fraction]`, or local
 * `HH:MM[:SS]`, the latest one in the past.  parse_time_range() also takes WHEN..WHEN: from the first
 * on, before the second (an HH:MM there is the first one after the start); *ret_until_ns is UINT64_MAX
 * when no end is given.
 */
int parse_time(struct bytes text, uint64_t now_ns, uint64_t *ret_ns, const char **ret_why);
int parse_time_range(struct bytes text, uint64_t now_ns, uint64_t *ret_from_ns,
                     uint64_t *ret_until_ns, const char **ret_why);

/* RFC 3339, UTC, always nine fraction digits: "2026-03-04T05:06:07.000000005Z", not NUL-terminated. */
#define TIME_TEXT_LEN 30
void format_time(uint64_t time_ns, char out[TIME_TEXT_LEN]);

/*
 * The same for many times in a row: remembers the last second it wrote, and a time that comes again.  Zero-initialised is ready. 
 * One for each thread that renders.
 */
struct time_cache {
    uint64_t time_ns; /* the last one */
    uint64_t second;  /* plus one, so that zero means none */
    bool has_fraction; /* text is all of it, not only up to the second */
    char text[TIME_TEXT_LEN];
};
void format_time_cached(struct time_cache *cache, uint64_t time_ns, char out[TIME_TEXT_LEN]);

/* "956K", "1.5K", "1M", "42": largest unit not above the value, one decimal unless exact. */
int format_size(struct buf *b, uint64_t bytes);

/* "3m ago": whole seconds, at least 1, rounded down to s, m, h, d or w. */
int format_age(struct buf *b, uint64_t age_ns);

#endif
