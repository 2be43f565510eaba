/*
 * Through the mount:  bench_mount echo|write|bulk|follow same|apart OURS FLOOR ROUNDS N
 *
 * OURS and FLOOR are mounts, of pools and of the empty file system, with `a` and `b` in them.  Their daemons run on the second
 * CPU; `same` puts us there too, `apart` on the first.
 *
 *   echo    open, write 100 B, close, as a shell does it; for one message
 *   write   100 B on an open descriptor
 *   bulk    128 KiB of lines of 100 B in one write; for one line
 *   follow  from before a write to a/append until a blocked reader of a/follow has the message: the median of half a
 *           there-and-back with a second process that answers through b
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_BYTES 100u /* the newline among them */
#define BULK_LINES (128u * 1024 / LINE_BYTES)

struct mount {
    const char *path;
    int fds[4]; /* as the lane needs them */
    pid_t child;
};

static struct bench_docs docs;

static char *path_in(const struct mount *m, const char *name)
{
    char *path;

    if (asprintf(&path, "%s/%s", m->path, name) < 0)
        die("out of memory");
    return path;
}

static int open_in(const struct mount *m, const char *name, int flags)
{
    char *path = path_in(m, name);
    int fd = open(path, flags | O_CLOEXEC, 0666);

    if (fd < 0)
        die_os(path);
    free(path);
    return fd;
}

static void write_all(int fd, const char *p, size_t n)
{
    ssize_t done = write(fd, p, n);

    if (done < 0)
        die_os("writing into the mount");
    if ((size_t)done != n)
        die("the mount took %zd bytes of %zu", done, n);
}

static const char *line(size_t i)
{
    return docs.docs[i % BENCH_DOCS].p;
}

static double echo(struct mount *m, size_t n)
{
    char *path = path_in(m, "a/append");
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
            die_os(path);
        write_all(fd, line(i), LINE_BYTES);
        if (close(fd) < 0)
            die_os(path);
    }
    free(path);
    return bench_each(start, n);
}

static double write_lines(struct mount *m, size_t n)
{
    int fd = open_in(m, "a/append", O_WRONLY);
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++)
        write_all(fd, line(i), LINE_BYTES);
    double each = bench_each(start, n);
    close(fd);
    return each;
}

static double bulk(struct mount *m, size_t n)
{
    static char lines[BULK_LINES * LINE_BYTES];
    int fd = open_in(m, "a/append", O_WRONLY);
    size_t writes = (n + BULK_LINES - 1) / BULK_LINES;

    for (size_t i = 0; i < BULK_LINES; i++)
        memcpy(lines + i * LINE_BYTES, line(i), LINE_BYTES);
    uint64_t start = clock_mono_ns();
    for (size_t i = 0; i < writes; i++)
        write_all(fd, lines, sizeof lines);
    double each = bench_each(start, writes * BULK_LINES);
    close(fd);
    return each;
}

static void read_one(int fd)
{
    char message[4096];
    ssize_t n = read(fd, message, sizeof message);

    if (n < 0)
        die_os("reading from follow");
    if (n == 0 || message[n - 1] != '\n')
        die("follow gave no whole message");
}

/* Two processes, each with a writer and a reader; ours has a child that answers for ever. */
static void follow_open(struct mount *m)
{
    m->fds[0] = open_in(m, "a/append", O_WRONLY);
    m->fds[1] = open_in(m, "a/follow", O_RDONLY);
    m->fds[2] = open_in(m, "b/append", O_WRONLY);
    m->fds[3] = open_in(m, "b/follow", O_RDONLY);
    m->child = bench_fork();
    if (m->child != 0)
        return;
    for (size_t i = 0;; i++) {
        read_one(m->fds[1]);
        write_all(m->fds[2], line(i), LINE_BYTES);
    }
}

static double follow(struct mount *m, size_t n)
{
    double *samples = calloc(n, sizeof *samples);

    if (samples == NULL)
        die("out of memory");
    if (m->child == 0)
        follow_open(m);
    for (size_t i = 0; i < n; i++) {
        uint64_t start = clock_mono_ns();
        write_all(m->fds[0], line(i), LINE_BYTES);
        read_one(m->fds[3]);
        samples[i] = (double)(clock_mono_ns() - start) / 2;
    }
    double median = bench_median(samples, n);
    free(samples);
    return median;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        double (*run)(struct mount *, size_t);
    } lanes[] = {{"echo", echo}, {"write", write_lines}, {"bulk", bulk}, {"follow", follow}};

    if (argc != 7)
        die("usage: bench_mount echo|write|bulk|follow same|apart OURS FLOOR ROUNDS N");
    struct mount ours = {.path = argv[3]}, floor = {.path = argv[4]};
    size_t rounds = bench_count(argv[5]), n = bench_count(argv[6]);
    bench_docs_make(&docs, LINE_BYTES - 1);
    bench_pin(bench_place(argv[2]) == BENCH_SAME_CPU ? BENCH_OTHER_CPU : BENCH_SAME_CPU);
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        if (strcmp(argv[1], lanes[i].name) != 0)
            continue;
        for (size_t round = 0; round < rounds; round++) {
            double least = lanes[i].run(&floor, n);
            bench_round(lanes[i].run(&ours, n), least);
        }
        if (ours.child > 0) {
            bench_reap(ours.child);
            bench_reap(floor.child);
        }
        return 0;
    }
    die("%s: no such lane", argv[1]);
}
