/*
 * Locals that release themselves at the end of their scope.
 *
 * A value leaves the scope by assigning it elsewhere and clearing the local.  Each type of ours defines
 * its own auto_X beside the function that releases it; here are those for what libc gives us.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_dir(DIR **dir)
{
    if (*dir != NULL)
        closedir(*dir);
}

static inline void cleanup_file(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_fd __attribute__((cleanup(cleanup_fd)))
#define auto_dir __attribute__((cleanup(cleanup_dir)))
#define auto_file __attribute__((cleanup(cleanup_file)))

#endif
