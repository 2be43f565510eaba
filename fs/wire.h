/* Between libfuse and the kernel: how requests come in and answers go out. */
#ifndef FS_WIRE_H
#define FS_WIRE_H

#include "mount.h"

/*
 * From now on requests and answers of the session take the quick way; it is mounted and has answered none yet.  Without memory
 * for that nothing changes but the speed.
 */
void wire_use(struct fuse_session *session);

/*
 * At the end, when the loop and the workers have ended.  libfuse keeps an interruption that came behind the answer until the
 * next request, beyond its own end if there is none; requests that do nothing free such ones.
 */
void wire_settle(struct fuse_session *session);

#endif
