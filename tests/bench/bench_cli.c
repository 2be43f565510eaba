/*
 * The command line, whole processes:
 *
 *     bench_cli one PLASMITE EMPTY DIR ROUNDS N      `feed POOL '{...}'`, from its start to its end; floor: EMPTY, which does nothing
 *     bench_cli first PLASMITE EMPTY DIR ROUNDS N    `follow POOL --tail 10` until its first byte; floor: EMPTY to its end
 *     bench_cli feed PLASMITE DIR ROUNDS N           `feed POOL < file` of N lines of 97 B; floor: the engine, which takes the same
 *                                                    bytes from the file in batches in this process
 *     bench_cli follow PLASMITE DIR ROUNDS           `follow POOL --no-follow` of a full pool into a pipe; floor: a process that
 *                                                    writes the same bytes from memory
 *
 * Of `one` and `first` the median of N runs is reported, of `feed` the time for a line, of `follow` that for a byte.
 */
#include "bench.h"

#include "pool/intake.h"
#include "pool/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define POOL_BYTES (64u << 20)
#define LINE_BYTES 97
#define READ_BYTES (256u << 10) /* at once, of files and pipes */
#define PIPE_BYTES (1 << 20)    /* the most a user may ask for */

extern char **environ;

/* Starts a program with these as stdin (-1: none) and stdout; spawning costs the same whatever this process holds. */
static pid_t start(const char *const argv[], int in, int out)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int failed;

    posix_spawn_file_actions_init(&actions);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    failed = posix_spawn(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        errno = failed;
        die_os(argv[0]);
    }
    return child;
}

static void finish(pid_t child, const char *name)
{
    int status;

    if (waitpid(child, &status, 0) < 0)
        die_os("waiting");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("%s ended with status %d", name, status);
}

static double whole_run(const char *const argv[], int out)
{
    uint64_t begin = clock_mono_ns();

    finish(start(argv, -1, out), argv[0]);
    return (double)(clock_mono_ns() - begin);
}

/* The time to the first byte; the rest is read and thrown away. */
static double first_byte(const char *const argv[])
{
    char text[4096];
    int fds[2];
    uint64_t begin = clock_mono_ns();
    double ns;
    pid_t child;

    if (pipe2(fds, O_CLOEXEC) < 0)
        die_os("pipe");
    child = start(argv, -1, fds[1]);
    close(fds[1]);
    if (read(fds[0], text, 1) != 1)
        die("%s says nothing", argv[0]);
    ns = (double)(clock_mono_ns() - begin);
    while (read(fds[0], text, sizeof text) > 0)
        ;
    close(fds[0]);
    finish(child, argv[0]);
    return ns;
}

static void compare_runs(const char *const ours[], const char *empty, bool until_first,
                         size_t rounds, size_t n)
{
    const char *const floor[] = {empty, NULL};
    double *samples = calloc(2 * n, sizeof *samples);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (samples == NULL || null < 0)
        die("no memory or no /dev/null");
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < n;
             i++) { /* in turn, so that what disturbs the machine disturbs both */
            samples[i] = whole_run(floor, null);
            samples[n + i] = until_first ? first_byte(ours) : whole_run(ours, null);
        }
        double least = bench_median(samples, n);
        bench_round(bench_median(samples + n, n), least);
    }
    close(null);
    free(samples);
}

/* ---- records from a file ---- */

static void make_lines(size_t n, struct buf *out)
{
    struct bench_docs docs;

    bench_docs_make(&docs, LINE_BYTES);
    for (size_t i = 0; i < n; i++) {
        buf_add_bytes(out, docs.docs[i % BENCH_DOCS]);
        buf_add_char(out, '\n');
    }
    buf_done(&docs.lines);
    if (buf_failed(out))
        die("out of memory");
}

static int make_file(const char *dir, size_t n, struct bench_path *path)
{
    struct buf text = BUF_INIT;
    int fd;

    (void)snprintf(path->text, sizeof path->text, "%s/lines", dir);
    make_lines(n, &text);
    fd = open(path->text, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        die_os(path->text);
    for (size_t at = 0; at < text.n;) {
        ssize_t done = write(fd, text.p + at, text.n - at);
        if (done < 0)
            die_os(path->text);
        at += (size_t)done;
    }
    buf_done(&text);
    return fd;
}

static void append_complete(struct pool *pool, struct intake *in)
{
    struct error err = ERROR_INIT;
    size_t n;
    const struct payload *payloads = intake_payloads(in, &n);

    if (n > 0 && pool_append(pool, payloads, n, 0, NULL, &err) < 0)
        die_error(&err);
    intake_taken(in);
}

static void engine_takes(struct pool *pool, int fd)
{
    static char piece[READ_BYTES];
    auto_intake struct intake *in = NULL;
    struct error err = ERROR_INIT;
    ssize_t got;

    if (intake_new((struct bytes){NULL, 0}, 0, pool_message_max(pool), INTAKE_RECOGNISE, &in,
                   &err) < 0)
        die_error(&err);
    while ((got = read(fd, piece, sizeof piece)) > 0) {
        size_t used, left = (size_t)got;
        enum intake_status status;
        while ((status = intake_push(in, piece + got - left, left, &used, NULL, &err)) ==
               INTAKE_FULL) {
            left -= used;
            append_complete(pool, in);
        }
        if (status == INTAKE_FAILED)
            die_error(&err);
        append_complete(pool, in);
    }
    if (got < 0)
        die_os("reading the lines");
}

static void feed(const char *program, const char *dir, size_t rounds, size_t n)
{
    struct pool *pool = bench_pool_open(dir, "engine", POOL_BYTES);
    struct bench_path path = bench_pool_make(dir, "feed", POOL_BYTES), lines;
    const char *const argv[] = {program, "feed", path.text, NULL};
    int fd = make_file(dir, n, &lines), null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (size_t round = 0; round <= rounds; round++) { /* the first makes the pages */
        lseek(fd, 0, SEEK_SET);
        uint64_t begin = clock_mono_ns();
        engine_takes(pool, fd);
        double least = bench_each(begin, n);
        lseek(fd, 0, SEEK_SET);
        begin = clock_mono_ns();
        finish(start(argv, fd, null), "feed");
        if (round > 0)
            bench_round(bench_each(begin, n), least);
    }
    close(fd);
    close(null);
    unlink(lines.text);
    pool_close(pool);
}

/* ---- a full pool into a pipe ---- */

static void fill(const char *dir, const char *name, size_t n)
{
    struct pool *pool = bench_pool_open(dir, name, POOL_BYTES);
    struct bench_path lines;
    int fd = make_file(dir, n, &lines);

    lseek(fd, 0, SEEK_SET);
    engine_takes(pool, fd);
    close(fd);
    unlink(lines.text);
    pool_close(pool);
}

static int open_pipe(int *ret_in)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        die_os("pipe");
    (void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);
    *ret_in = fds[1];
    return fds[0];
}

/* Reads to the end; how many bytes there were.  Closes it. */
static uint64_t drain(int fd)
{
    static char text[READ_BYTES];
    uint64_t sum = 0;
    ssize_t n;

    while ((n = read(fd, text, sizeof text)) > 0)
        sum += (uint64_t)n;
    if (n < 0)
        die_os("reading the pipe");
    close(fd);
    return sum;
}

_Noreturn static void write_all(int fd, uint64_t n)
{
    static char text[64u << 10]; /* as much at once as a follower writes */

    memset(text, 'x', sizeof text);
    while (n > 0) {
        ssize_t done = write(fd, text, n < sizeof text ? (size_t)n : sizeof text);
        if (done < 0)
            _exit(1);
        n -= (uint64_t)done;
    }
    _exit(0);
}

static double floor_bytes(uint64_t n)
{
    int in, out = open_pipe(&in);
    uint64_t begin = clock_mono_ns();
    pid_t child = bench_fork();

    if (child == 0)
        write_all(in, n);
    close(in);
    if (drain(out) != n)
        die("the floor wrote too little");
    finish(child, "the floor");
    return bench_each(begin, n);
}

static void follow(const char *program, const char *dir, size_t rounds)
{
    struct bench_path path = {""};
    (void)snprintf(path.text, sizeof path.text, "%s/full.plasmite", dir);
    const char *const argv[] = {program, "follow", "--jsonl", "--no-follow", path.text, NULL};

    fill(dir, "full", POOL_BYTES / LINE_BYTES); /* more than it holds */
    for (size_t round = 0; round <= rounds; round++) {
        int in, out = open_pipe(&in);
        uint64_t begin = clock_mono_ns();
        pid_t child = start(argv, -1, in);
        close(in);
        uint64_t n = drain(out);
        finish(child, "follow");
        double ours = bench_each(begin, n);
        if (round > 0)
            bench_round(ours, floor_bytes(n));
    }
}

/* ---- */

static void one(const char *program, const char *empty, const char *dir, size_t rounds, size_t n)
{
    struct bench_path path = bench_pool_make(dir, "one", 1u << 20);
    const char *const argv[] = {program, "feed", path.text, "{\"hello\":\"world\"}", NULL};

    compare_runs(argv, empty, false, rounds, n);
}

static void first(const char *program, const char *empty, const char *dir, size_t rounds, size_t n)
{
    struct bench_path path = {""};
    (void)snprintf(path.text, sizeof path.text, "%s/full.plasmite", dir);
    const char *const argv[] = {program, "follow", "--no-follow", path.text, "--tail", "10", NULL};

    fill(dir, "full", POOL_BYTES / LINE_BYTES);
    compare_runs(argv, empty, true, rounds, n);
}

int main(int argc, char **argv)
{
    const char *lane = argc > 1 ? argv[1] : "";

    if (argc == 7 && strcmp(lane, "one") == 0)
        one(argv[2], argv[3], argv[4], bench_count(argv[5]), bench_count(argv[6]));
    else if (argc == 7 && strcmp(lane, "first") == 0)
        first(argv[2], argv[3], argv[4], bench_count(argv[5]), bench_count(argv[6]));
    else if (argc == 6 && strcmp(lane, "feed") == 0)
        feed(argv[2], argv[3], bench_count(argv[4]), bench_count(argv[5]));
    else if (argc == 5 && strcmp(lane, "follow") == 0)
        follow(argv[2], argv[3], bench_count(argv[4]));
    else
        die("usage: bench_cli one|first PLASMITE EMPTY DIR ROUNDS N, feed PLASMITE DIR ROUNDS N, "
            "follow PLASMITE DIR ROUNDS");
    return 0;
}
