/*
 * Descriptors 0, 1 and 2 belong to the standard streams, also in a program that was started without them (`>&-`): a file that got one
 * of these numbers would be written over by the first message to people.
 */
#ifndef BASE_FDS_H
#define BASE_FDS_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* First thing in main().  What was closed reads as empty and cannot be written to. */
static inline void fds_fill_standard(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDONLY); /* takes the lowest free number, which is fd */
}

/* For a library: gives a fresh descriptor a number above 2, or closes it and returns -1. */
static inline int fds_above_standard(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3), saved = errno;
    close(fd);
    errno = saved;
    return higher;
}

#endif
