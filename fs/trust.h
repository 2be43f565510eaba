/* Whose request it is: a user who is not the one that runs the mount must not make it work hard. */
#ifndef FS_TRUST_H
#define FS_TRUST_H

#include "lens.h"
#include "mount.h"

#include <unistd.h>

#define FORBIDDEN_EXPRESSION "this expression is only for the user who runs the mount"

static inline bool trust_user(fuse_req_t req)
{
    uid_t uid = fuse_req_ctx(req)->uid;

    return uid == 0 || uid == geteuid();
}

/* May whoever asks look through that lens? */
static inline bool trust_look(fuse_req_t req, const struct lens *lens)
{
    return lens_is_harmless(lens) || trust_user(req);
}

#endif
