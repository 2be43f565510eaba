#include "pool/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *error_kind_name(enum plsm_error_kind kind)
{
    switch (kind) {
    case PLSM_ERROR_NONE:
        return "None";
    case PLSM_ERROR_INTERNAL:
        return "Internal";
    case PLSM_ERROR_USAGE:
        return "Usage";
    case PLSM_ERROR_NOT_FOUND:
        return "NotFound";
    case PLSM_ERROR_ALREADY_EXISTS:
        return "AlreadyExists";
    case PLSM_ERROR_BUSY:
        return "Busy";
    case PLSM_ERROR_PERMISSION:
        return "Permission";
    case PLSM_ERROR_CORRUPT:
        return "Corrupt";
    case PLSM_ERROR_IO:
        return "Io";
    case PLSM_ERROR_RETENTION_GAP:
        return "RetentionGap";
    }
    return "Internal";
}

const char *error_kind_message(enum plsm_error_kind kind)
{
    switch (kind) {
    case PLSM_ERROR_NONE:
        return "no error";
    case PLSM_ERROR_INTERNAL:
        return "internal error";
    case PLSM_ERROR_USAGE:
        return "usage error";
    case PLSM_ERROR_NOT_FOUND:
        return "not found";
    case PLSM_ERROR_ALREADY_EXISTS:
        return "already exists";
    case PLSM_ERROR_BUSY:
        return "resource is busy";
    case PLSM_ERROR_PERMISSION:
        return "permission denied";
    case PLSM_ERROR_CORRUPT:
        return "corrupt data";
    case PLSM_ERROR_IO:
        return "i/o error";
    case PLSM_ERROR_RETENTION_GAP:
        return "retention gap";
    }
    return "internal error";
}

/* Only what is read is written: the struct is large and failing may be frequent (a full ring, a busy lock). */
static void fill(struct error *err, enum plsm_error_kind kind, int os_errno, const char *format,
                 va_list args)
{
    err->kind = kind;
    err->detail = ERROR_DETAIL_NONE;
    err->os_errno = os_errno;
    err->has_seq = false;
    err->has_offset = false;
    err->seq = 0;
    err->offset = 0;
    err->hint[0] = '\0';
    err->path[0] = '\0';
    err->cause[0] = '\0';
    vsnprintf(err->message, sizeof err->message, format, args);
    for (char *p = err->message; *p != '\0'; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
}

int fail(struct error *err, enum plsm_error_kind kind, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return -1;
    va_start(args, format);
    fill(err, kind, 0, format, args);
    va_end(args);
    return -1;
}

int fail_os(struct error *err, enum plsm_error_kind kind, int os_errno, const char *format, ...)
{
    const char *text = strerrordesc_np(os_errno);
    va_list args;

    if (err == NULL)
        return -1;
    va_start(args, format);
    fill(err, kind, os_errno, format, args);
    va_end(args);
    snprintf(err->cause, sizeof err->cause, "%s (os error %d)",
             text != NULL ? text : "Unknown error", os_errno);
    return -1;
}

/* A path that is too long keeps its end, which says more than its beginning. */
int fail_path(struct error *err, const char *path)
{
    size_t n;

    if (err == NULL)
        return -1;
    n = strlen(path);
    if (n < sizeof err->path)
        memcpy(err->path, path, n + 1);
    else
        snprintf(err->path, sizeof err->path, "...%s", path + n - (sizeof err->path - 4));
    return -1;
}

int fail_seq(struct error *err, uint64_t seq)
{
    if (err != NULL) {
        err->has_seq = true;
        err->seq = seq;
    }
    return -1;
}

int fail_offset(struct error *err, uint64_t offset)
{
    if (err != NULL) {
        err->has_offset = true;
        err->offset = offset;
    }
    return -1;
}

int fail_hint(struct error *err, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return -1;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return -1;
}

int fail_hint_command(struct error *err, const char *before, const char *command, const char *after,
                      const char *instead)
{
    if (command == NULL ||
        strlen(before) + strlen(command) + strlen(after) + strlen("``") >= sizeof err->hint)
        return fail_hint(err, "%s", instead);
    return fail_hint(err, "%s`%s`%s", before, command, after);
}

int fail_cause(struct error *err, const char *cause)
{
    if (err != NULL)
        snprintf(err->cause, sizeof err->cause, "%s", cause);
    return -1;
}

int fail_detail(struct error *err, enum error_detail detail)
{
    if (err != NULL)
        err->detail = detail;
    return -1;
}
