/*
 * Files and their mappings: create, map, sync, unmap; what SIGBUS means.  The only caller of mmap.
 *
 * A mapped file that is cut short by somebody kills the process that touches the missing part with
 * SIGBUS.  Our handler puts a private zero page there and marks the file as dead; every call of the
 * engine looks at the mark before it acknowledges.
 */
#ifndef POOL_FILE_H
#define POOL_FILE_H

#include "pool/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct file {
    int fd;
    uint8_t *map; /* NULL: not mapped */
    size_t size;  /* bytes mapped */
    bool writable;
    bool is_private; /* what is written to the mapping stays in it */
    atomic_bool dead;      /* a part of it is missing; set by the signal handler */
    struct region *region; /* what the handler knows of the mapping */
};

#define FILE_INIT ((struct file){.fd = -1})

/* FILE_PRIVATE: opened for reading; the mapping may be written to, which changes no file. */
enum file_access { FILE_READ_ONLY, FILE_READ_WRITE, FILE_READ_WRITE_IF_ALLOWED, FILE_PRIVATE };

/* NotFound, Permission, Corrupt (shorter than a header), Io.  Not a regular file: Io. */
int file_map(struct file *file, const char *path, enum file_access access, struct error *err);
/* The same with what is open for reading and writing already; takes fd, also when it fails. */
int file_map_fd_take(struct file *file, int fd, const char *path, struct error *err);
void file_unmap(struct file *file);

/*
 * Makes a file that nobody sees until file_publish(): allocated, zero, mapped for writing.
 * Permission or Io; file_unmap() before file_publish() leaves nothing behind.
 */
struct new_file {
    struct file file;
    /* name of the temporary file where unnamed ones are not supported; else empty */
    char temp[4096];
};
int file_make(struct new_file *new, const char *path, size_t size, mode_t mode, struct error *err);
/* Flushes it and gives it its name.  AlreadyExists when there is one. */
int file_publish(struct new_file *new, const char *path, struct error *err);
void file_abandon(struct new_file *new);

/*
 * Writes the pages that hold [off, off + n) and waits for them; file_sync_barrier() makes all such
 * writes, and the first page, durable.
 */
int file_sync_range(struct file *file, uint64_t off, uint64_t n);
int file_sync_barrier(struct file *file);

/* fork() does not matter to a mapping, but see lock.c. */
void file_guard_sigbus(void);

/* Make a directory, or that above `path`, and what is missing above it (0700).  Permission, Io. */
int file_make_dirs(const char *dir, struct error *err);
int file_make_parents(const char *path, struct error *err);

#endif
