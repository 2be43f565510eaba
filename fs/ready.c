#include "ready.h"

#include "mount.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void tell_manager(const char *path)
{
    static const char text[] = "READY=1";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    int fd;

    if ((path[0] != '/' && path[0] != '@') || n >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, n);
    if (path[0] == '@') /* of the abstract namespace */
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    close(fd);
}

void ready_tell(const struct mount *m)
{
    const char *manager = getenv("NOTIFY_SOCKET");

    if (m->ready_fd >= 0 && write(m->ready_fd, "", 1) != 1)
        return;
    if (m->ready_fd < 0 && manager != NULL)
        tell_manager(manager);
}
