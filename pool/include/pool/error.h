/*
 * What went wrong: one of nine kinds, a sentence, and where they apply the path, number and offset.
 *
 * A call that can fail takes `struct error *err` last and returns 0, or -1 with *err filled.  The
 * struct holds no pointers: it needs no release, can be copied, and works when memory is gone.
 *  `err` may be NULL where the caller does not care.
 */
#ifndef POOL_ERROR_H
#define POOL_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers are the exit codes of the command line and the codes of the C library. */
enum plsm_error_kind {
    PLSM_ERROR_NONE = 0,
    PLSM_ERROR_INTERNAL = 1,
    PLSM_ERROR_USAGE = 2,
    PLSM_ERROR_NOT_FOUND = 3,
    PLSM_ERROR_ALREADY_EXISTS = 4,
    PLSM_ERROR_BUSY = 5,
    PLSM_ERROR_PERMISSION = 6,
    PLSM_ERROR_CORRUPT = 7,
    PLSM_ERROR_IO = 8,
    PLSM_ERROR_RETENTION_GAP = 9,
};

/* A closer look at a Usage error, for those who must tell them apart (errno of the mount). */
enum error_detail {
    ERROR_DETAIL_NONE = 0,
    ERROR_DETAIL_BAD_JSON,  /* not JSON, not UTF-8, too deep, or not an object */
    ERROR_DETAIL_TOO_LARGE, /* can never fit this pool */
    ERROR_DETAIL_FORMAT,    /* a pool file of another format */
};

struct error {
    enum plsm_error_kind kind;
    enum error_detail detail;
    int os_errno; /* 0 when the system had no part in it */
    bool has_seq;
    bool has_offset;
    uint64_t seq;
    uint64_t offset; /* bytes */
    char message[256];
    char hint[512];  /* empty when there is none */
    char path[512];  /* empty when there is none */
    char cause[256]; /* the underlying error: "TEXT (os error ERRNO)"; empty when there is none */
};

#define ERROR_INIT ((struct error){0})

/* The same on the way of short calls: only what is looked at is written, not 1.5 KB. */
static inline struct error *error_clear(struct error *err)
{
    err->kind = PLSM_ERROR_NONE;
    err->detail = ERROR_DETAIL_NONE;
    err->os_errno = 0;
    err->has_seq = err->has_offset = false;
    err->seq = err->offset = 0;
    err->message[0] = err->hint[0] = err->path[0] = err->cause[0] = '\0';
    return err;
}

/* "NotFound", "Usage", ... as the envelope names them. */
const char *error_kind_name(enum plsm_error_kind kind);

/* The message of a kind when nothing more is known: "not found", "usage error", ... */
const char *error_kind_message(enum plsm_error_kind kind);

/*
 * Fills *err and returns -1.  `format` makes the message; fail_os() adds `os_errno` as the cause.
 */
int fail(struct error *err, enum plsm_error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int fail_os(struct error *err, enum plsm_error_kind kind, int os_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Details, added to a filled error; each returns -1 so that `return fail_path(...)` reads on. */
int fail_path(struct error *err, const char *path);
int fail_seq(struct error *err, uint64_t seq);
int fail_offset(struct error *err, uint64_t offset);
int fail_hint(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fail_cause(struct error *err, const char *cause);

/* The hint BEFORE`COMMAND`AFTER, or `instead` when that is too long (half a command does something else) or NULL. */
int fail_hint_command(struct error *err, const char *before, const char *command, const char *after,
                      const char *instead);
int fail_detail(struct error *err, enum error_detail detail);

#endif
