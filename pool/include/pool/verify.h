/*
 * Checks a whole pool file and changes nothing: the core of `doctor`.
 */
#ifndef POOL_VERIFY_H
#define POOL_VERIFY_H

#include "pool/error.h"

#include <stddef.h>
#include <stdint.h>

#define VERIFY_ISSUES_MAX 16 /* more are only counted */
#define VERIFY_STRETCHES_MAX 8

struct verify_issue {
    const char *code; /* "corrupt", "format", "flush" */
    char message[128];
    bool has_seq, has_offset;
    uint64_t seq;    /* the last good number before it */
    uint64_t offset; /* in the file, bytes */
};

/* Messages first..last are good; what stands between two stretches is damaged. */
struct verify_stretch {
    uint64_t first, last; /* seq */
};

struct verify_report {
    struct verify_issue issues[VERIFY_ISSUES_MAX];
    size_t n_issues; /* all of them, also those that found no room */
    struct verify_stretch stretches[VERIFY_STRETCHES_MAX];
    size_t n_stretches; /* all of them, too */
    uint64_t messages;  /* good ones */
    uint64_t last_good; /* seq of the one before the first damage; 0: none */
    bool is_pool;       /* the header says where things are: it can be opened */
    /*
     * Damaged, and opening it for writing changes that.  Then it holds n_mended messages that are
     * good, the first and the last of these numbers; 0: none, or it cannot be opened.
     */
    bool is_mended;
    uint64_t n_mended, mended_first, mended_last;
};

/*
 * 0 with the report, healthy or not; -1 only when the file cannot be looked at (NotFound,
 * Permission, Io). May run beside writers: what they overwrite meanwhile is not an issue.
 */
int verify_pool(const char *path, struct verify_report *ret, struct error *err);

#endif
