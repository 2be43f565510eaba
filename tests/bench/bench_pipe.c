/*
 * A line into the stdin of `feed` until it comes out of `follow`:  bench_pipe PLASMITE DIR ROUNDS N
 *
 *   ours   PLASMITE feed POOL and PLASMITE follow POOL, a pipe into the one and one out of the other
 *   floor  two processes that do nothing else: the first reads the pipe and wakes the second, which writes the other pipe
 *
 * Reported is the median of N lines, one at a time.  The kernel chooses the CPUs.
 */
#include "bench.h"

#include "pool/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POOL_BYTES (1u << 20)
#define LINE_MAX_BYTES 4096
#define START_TRIES 1000 /* lines sent, 20 ms apart, before a follower counts as one that does not start */

struct chain {
    int in, out; /* our ends */
    pid_t children[2];
    unsigned number; /* of the last line sent */
    char text[LINE_MAX_BYTES];
    size_t n; /* bytes of text read and not yet looked at */
};

static void make_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) < 0)
        die_os("pipe");
}

static void send_line(struct chain *chain)
{
    char line[64];
    int n = snprintf(line, sizeof line, "{\"number\":%u}\n", ++chain->number);

    if (write(chain->in, line, (size_t)n) != n)
        die_os("writing a line");
}

/* Reads what is there; true when the line last sent has come out. */
static bool receive(struct chain *chain)
{
    char want[64];
    int want_n = snprintf(want, sizeof want, "{\"number\":%u}", chain->number);
    ssize_t n = read(chain->out, chain->text + chain->n, sizeof chain->text - 1 - chain->n);

    if (n < 0)
        die_os("reading a line");
    if (n == 0)
        die("the chain of programs has ended");
    chain->n += (size_t)n;
    chain->text[chain->n] = '\0';
    bool here = chain->text[chain->n - 1] == '\n' && strstr(chain->text, want) != NULL && want_n > 0;
    char *last = strrchr(chain->text, '\n');
    if (last != NULL) {
        chain->n -= (size_t)(last + 1 - chain->text);
        memmove(chain->text, last + 1, chain->n);
    }
    if (chain->n == sizeof chain->text - 1)
        die("a line of more than %zu bytes came out", chain->n);
    return here;
}

/* A follower sees what comes after its start, which nothing announces: lines are sent until one comes out. */
static void wait_until_ready(struct chain *chain)
{
    struct pollfd out = {.fd = chain->out, .events = POLLIN};

    for (int i = 0; i < START_TRIES; i++) {
        send_line(chain);
        int ready = poll(&out, 1, 20);
        if (ready < 0 && errno != EINTR)
            die_os("poll");
        if (ready <= 0)
            continue;
        while (!receive(chain))
            ;
        return;
    }
    die("no line came out of the chain");
}

static double measure(struct chain *chain, double *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t start = clock_mono_ns();
        send_line(chain);
        while (!receive(chain))
            ;
        samples[i] = (double)(clock_mono_ns() - start);
    }
    return bench_median(samples, n);
}

static pid_t start_program(const char *const argv[], int in, int out)
{
    pid_t child = bench_fork();

    if (child != 0)
        return child;
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        die_os("dup2");
    execv(argv[0], (char *const *)(uintptr_t)argv); /* which changes nothing in it */
    die_os(argv[0]);
}

static void start_ours(struct chain *chain, const char *program, const char *dir)
{
    struct bench_path path = bench_pool_make(dir, "pipe", POOL_BYTES);
    const char *feed[] = {program, "feed", path.text, NULL};
    const char *follow[] = {program, "follow", "--jsonl", path.text, NULL};
    int in[2], out[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        die_os("/dev/null");
    make_pipe(in);
    make_pipe(out);
    *chain = (struct chain){.in = in[1], .out = out[0]};
    chain->children[0] = start_program(feed, in[0], null);
    chain->children[1] = start_program(follow, null, out[1]);
    close(in[0]);
    close(out[1]);
    close(null);
}

/* What the two processes of the floor share. */
struct shared {
    _Atomic uint32_t word; /* bytes ever */
    char text[1u << 16];   /* at that number of bytes, modulo its size */
};

_Noreturn static void floor_feed(struct shared *shared, int in)
{
    char text[LINE_MAX_BYTES];
    ssize_t n;

    while ((n = read(in, text, sizeof text)) > 0) {
        uint32_t at = atomic_load(&shared->word);
        for (ssize_t i = 0; i < n; i++)
            shared->text[(at + (uint32_t)i) % sizeof shared->text] = text[i];
        atomic_store(&shared->word, at + (uint32_t)n);
        syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
    _exit(0);
}

_Noreturn static void floor_follow(struct shared *shared, int out)
{
    char text[sizeof shared->text];
    uint32_t seen = 0;

    for (;;) {
        uint32_t end = atomic_load(&shared->word), n = end - seen;
        if (n == 0) {
            syscall(SYS_futex, &shared->word, FUTEX_WAIT, seen, NULL, NULL, 0);
            continue;
        }
        for (uint32_t i = 0; i < n; i++)
            text[i] = shared->text[(seen + i) % sizeof shared->text];
        if (write(out, text, n) != (ssize_t)n)
            _exit(1);
        seen = end;
    }
}

static void start_floor(struct chain *chain)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int in[2], out[2];

    if (shared == MAP_FAILED)
        die_os("mmap");
    make_pipe(in);
    make_pipe(out);
    *chain = (struct chain){.in = in[1], .out = out[0]};
    if ((chain->children[0] = bench_fork()) == 0)
        floor_feed(shared, in[0]);
    if ((chain->children[1] = bench_fork()) == 0)
        floor_follow(shared, out[1]);
    close(in[0]);
    close(out[1]);
}

int main(int argc, char **argv)
{
    static struct chain ours, floor;

    if (argc != 5)
        die("usage: bench_pipe PLASMITE DIR ROUNDS N");
    size_t rounds = bench_count(argv[3]), n = bench_count(argv[4]);
    double *samples = calloc(n, sizeof *samples);
    if (samples == NULL)
        die("out of memory");
    start_floor(&floor);
    start_ours(&ours, argv[1], argv[2]);
    wait_until_ready(&floor);
    wait_until_ready(&ours);
    for (size_t i = 0; i < rounds; i++) {
        double least = measure(&floor, samples, n);
        bench_round(measure(&ours, samples, n), least);
    }
    for (size_t i = 0; i < 2; i++) {
        bench_reap(ours.children[i]);
        bench_reap(floor.children[i]);
    }
    free(samples);
    return 0;
}
