#include "status.h"

#include <errno.h>

static int usage_errno(enum error_detail detail)
{
    switch (detail) {
    case ERROR_DETAIL_BAD_JSON:
        return EBADMSG;
    case ERROR_DETAIL_TOO_LARGE:
        return EMSGSIZE;
    case ERROR_DETAIL_FORMAT:
        return EUCLEAN;
    case ERROR_DETAIL_NONE:
        break;
    }
    return EINVAL;
}

/* No `default`: a new kind stops the build here, where it must be decided. */
int status_errno(const struct error *err, enum door door)
{
    switch (err->kind) {
    case PLSM_ERROR_USAGE:
        return usage_errno(err->detail);
    case PLSM_ERROR_NOT_FOUND:
        return door == DOOR_PATH ? ENOENT : ESTALE;
    case PLSM_ERROR_ALREADY_EXISTS:
        return EEXIST;
    case PLSM_ERROR_BUSY:
        return EBUSY;
    case PLSM_ERROR_PERMISSION:
        return err->os_errno == EROFS ? EROFS : EACCES;
    case PLSM_ERROR_CORRUPT:
        return EUCLEAN;
    case PLSM_ERROR_IO:
        return err->os_errno != 0 ? err->os_errno : EIO;
    case PLSM_ERROR_RETENTION_GAP:
        return door == DOOR_PATH ? ENOENT : EPIPE;
    case PLSM_ERROR_INTERNAL:
    case PLSM_ERROR_NONE:
        break;
    }
    return EIO;
}
