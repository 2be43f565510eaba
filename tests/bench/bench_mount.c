/*
 * Through the mount:  bench_mount LANE same|apart OURS FLOOR POOLS ROUNDS N
 *
 * OURS and FLOOR are mounts, of the pools in POOLS and of the empty file system, with `a` and `b` in them.  Their daemons run on the second
 * CPU; `same` puts us there too, `apart` on the first.
 *
 *   echo    open, write 100 B, close, as a shell does it; for one message
 *   write   100 B on an open descriptor
 *   bulk    64 KiB of lines of 100 B in one write; for one line
 *   view    a/all of a full pool, read as cat does after a message has come; for one byte
 *   text    the same; the floor's bytes lie ready in its memory, where `view` has it give nothing
 *   again   the same once more, nothing having come; for one byte
 *   follow  from before a write to a/append until a blocked reader of a/follow has the message: the median of half a
 *           there-and-back with a second process that answers through b
 *   other   the same for messages that programs append to the pools themselves; the floor is that of `follow` and one bare wake
 */
#include "bench.h"

#include "pool/pool.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE_BYTES 100u /* the newline among them */
#define BULK_LINES (64u * 1024 / LINE_BYTES)
#define FULL_BYTES (96u << 20) /* what fills a pool of 64 MiB, and more */
#define CAT_BYTES (128u * 1024)

struct mount {
    const char *path;
    const char *pools; /* NULL: the floor */
    struct pool *there, *back;
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

/* All of an open file, from its beginning; nanoseconds for one byte. */
static double read_all(int fd)
{
    static char part[CAT_BYTES];
    uint64_t start = clock_mono_ns();
    off_t done = 0;

    for (ssize_t n; (n = pread(fd, part, sizeof part, done)) != 0; done += n)
        if (n < 0)
            die_os("reading a view");
    if (done < 1 << 20)
        die("the view has %lld bytes only", (long long)done);
    return bench_each(start, (size_t)done);
}

/* Lets go of what the kernel keeps of it, also for the next round. */
static void forget_pages(int fd)
{
    if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        die("posix_fadvise failed");
}

static int open_full(struct mount *m, const char *name)
{
    static bool full;

    for (size_t i = 0; m->pools != NULL && !full && i < FULL_BYTES / (BULK_LINES * LINE_BYTES); i++)
        (void)bulk(m, BULK_LINES);
    full = full || m->pools != NULL;
    (void)write_lines(m, 1); /* so this is another version than that of the round before */
    return open_in(m, name, O_RDONLY);
}

static double cold(struct mount *m, const char *name)
{
    int fd = open_full(m, name);

    forget_pages(fd);
    double each = read_all(fd);
    forget_pages(fd);
    close(fd);
    return each;
}

static double view(struct mount *m, size_t n)
{
    (void)n;
    return cold(m, "a/all");
}

static double text(struct mount *m, size_t n)
{
    (void)n;
    return cold(m, m->pools != NULL ? "a/all" : "a/text");
}

static double again(struct mount *m, size_t n)
{
    int fd = open_full(m, "a/all");

    (void)n;
    (void)read_all(fd);
    double each = read_all(fd);
    forget_pages(fd);
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

/* --- messages of other programs --- */

static void append_line(struct pool *pool, size_t i)
{
    struct payload payload = payload_make((struct bytes){NULL, 0}, 0, (struct bytes){line(i), LINE_BYTES - 1});
    struct error err = ERROR_INIT;

    if (pool_append(pool, &payload, 1, 0, NULL, &err) < 0)
        die_error(&err);
}

static struct pool *open_pool(const struct mount *m, const char *name)
{
    struct error err = ERROR_INIT;
    struct pool *pool;
    char *path;

    if (asprintf(&path, "%s/%s.plasmite", m->pools, name) < 0)
        die("out of memory");
    if (pool_open(path, POOL_READ_WRITE, &pool, &err) < 0)
        die_error(&err);
    free(path);
    return pool;
}

static void other_open(struct mount *m)
{
    m->there = open_pool(m, "a");
    m->back = open_pool(m, "b");
    m->fds[1] = open_in(m, "a/follow", O_RDONLY);
    m->fds[3] = open_in(m, "b/follow", O_RDONLY);
    m->child = bench_fork();
    if (m->child != 0)
        return;
    for (size_t i = 0;; i++) {
        read_one(m->fds[1]);
        append_line(m->back, i);
    }
}

static void tell(_Atomic uint32_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void hear(_Atomic uint32_t *word, uint32_t seen)
{
    while (atomic_load(word) == seen)
        syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

/* A bare wake of another process: the median of half a there-and-back. */
static double bare_wake(size_t n)
{
    static _Atomic uint32_t *words; /* there and back, on lines of their own */
    double *samples = calloc(n, sizeof *samples);
    pid_t child;

    if (words == NULL)
        words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (words == MAP_FAILED || samples == NULL)
        die("out of memory");
    uint32_t there = atomic_load(&words[0]), back = atomic_load(&words[64]);
    child = bench_fork();
    if (child == 0) {
        bench_pin(BENCH_OTHER_CPU); /* where the mounts are */
        for (;; there++) {
            hear(&words[0], there);
            tell(&words[64]);
        }
    }
    for (size_t i = 0; i < n; i++, back++) {
        uint64_t start = clock_mono_ns();
        tell(&words[0]);
        hear(&words[64], back);
        samples[i] = (double)(clock_mono_ns() - start) / 2;
    }
    bench_reap(child);
    double median = bench_median(samples, n);
    free(samples);
    return median;
}

static double other(struct mount *m, size_t n)
{
    double *samples;

    if (m->pools == NULL)
        return follow(m, n) + bare_wake(n);
    if (m->child == 0)
        other_open(m);
    samples = calloc(n, sizeof *samples);
    if (samples == NULL)
        die("out of memory");
    for (size_t i = 0; i < n; i++) {
        uint64_t start = clock_mono_ns();
        append_line(m->there, i);
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
    } lanes[] = {{"echo", echo}, {"write", write_lines}, {"bulk", bulk},  {"view", view},
                 {"text", text}, {"again", again}, {"follow", follow}, {"other", other}};

    if (argc != 8)
        die("usage: bench_mount LANE same|apart OURS FLOOR POOLS ROUNDS N");
    struct mount ours = {.path = argv[3], .pools = argv[5]}, floor = {.path = argv[4]};
    size_t rounds = bench_count(argv[6]), n = bench_count(argv[7]);
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
