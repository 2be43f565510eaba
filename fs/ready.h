/* Whoever started the mount and waits for it. */
#ifndef FS_READY_H
#define FS_READY_H

struct mount;

/*
 * Says that the mount answers: to the parent of a daemon, or in the foreground to the service manager that
 * NOTIFY_SOCKET names, as sd_notify(3) does.  Whoever waited and is gone is not missed.
 */
void ready_tell(const struct mount *m);

#endif
