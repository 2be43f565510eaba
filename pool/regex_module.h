/*
 * What plasmite-regex.so offers: Oniguruma, the regular expressions of jq, behind one table.  See
 * filter_libjq.h for why.
 */
#ifndef REGEX_MODULE_H
#define REGEX_MODULE_H

#include <stdbool.h>
#include <stddef.h>

#define REGEX_MODULE_FILE "plasmite-regex.so"
#define REGEX_MODULE_SYMBOL "plasmite_regex_module"
#define REGEX_MODULE_VERSION 3u

/* Of one search.  Oniguruma's own limit lets it run for minutes. */
#define REGEX_RETRIES_MAX 1000000
#define REGEX_STACK_MAX 100000 /* what a search remembers at a time */

enum regex_outcome {
    REGEX_NO,
    REGEX_YES,
    REGEX_UNDECIDED, /* it takes more retries than it may */
    REGEX_FAILED,    /* no memory, or another limit was reached */
};

struct regex_module {
    unsigned version;

    /*
     * NULL: `why` says what is wrong.  Flags are letters as in jq's test(); the caller has checked
     * them.
     */
    void *(*compile)(const char *pattern, size_t n, const char *flags, char *why, size_t why_size);
    void (*release)(void *compiled);
    /* Of matches that begin at `from` or behind, before `to`; at the end, too, when `to` is n. */
    enum regex_outcome (*search)(void *compiled, const char *text, size_t n, size_t from, size_t to,
                                 unsigned long max_retries);
};

#endif
