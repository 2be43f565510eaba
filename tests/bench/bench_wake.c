/*
 * Waking another process:  bench_wake same|apart DIR ROUNDS N       N there-and-backs a round, on the same CPU or on different ones
 *
 *   ours   append to one pool, the other process waits for it, takes the message and answers through a second pool
 *   floor  the same with two futex words and nothing else
 *
 * Reported is the median of half a there-and-back: one wake.
 */
#include "bench.h"

#include "pool/cursor.h"
#include "pool/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POOL_BYTES (1u << 20)

/* One direction: a word that counts, or a pool that is appended to. */
struct line {
    _Atomic uint32_t *word;
    uint32_t seen;
    struct pool *pool;
    struct cursor cursor;
    struct buf store;
};

typedef void step(struct line *line);

static void word_send(struct line *line)
{
    atomic_fetch_add(line->word, 1);
    syscall(SYS_futex, line->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void word_receive(struct line *line)
{
    while (atomic_load(line->word) == line->seen)
        syscall(SYS_futex, line->word, FUTEX_WAIT, line->seen, NULL, NULL, 0);
    line->seen++;
}

static void pool_send(struct line *line)
{
    static const char data[] = "{\"status\":\"green\"}";
    struct payload payload = payload_make((struct bytes){NULL, 0}, 0, (struct bytes){data, sizeof data - 1});
    struct error err = ERROR_INIT;

    if (pool_append(line->pool, &payload, 1, 0, NULL, &err) < 0)
        die_error(&err);
}

static void pool_receive(struct line *line)
{
    struct message message;
    struct error err = ERROR_INIT;

    for (;;) {
        enum cursor_result result = cursor_next(line->pool, &line->cursor, &line->store, &message, &err);
        if (result == CURSOR_MESSAGE)
            return;
        if (result == CURSOR_FAILED)
            die_error(&err);
        (void)pool_wait(&line->pool, &line->cursor.pos, 1, UINT64_MAX, NULL, 0);
    }
}

/* Answers for ever. */
_Noreturn static void answer(struct line lines[2], step *send, step *receive, enum bench_place place)
{
    bench_pin(place);
    for (;;) {
        receive(&lines[0]);
        send(&lines[1]);
    }
}

static double measure(struct line lines[2], step *send, step *receive, double *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t start = clock_mono_ns();
        send(&lines[0]);
        receive(&lines[1]);
        samples[i] = (double)(clock_mono_ns() - start) / 2;
    }
    return bench_median(samples, n);
}

static void open_lines(struct line words[2], struct line pools[2], const char *dir)
{
    struct error err = ERROR_INIT;
    _Atomic uint32_t *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        die_os("mmap");
    for (size_t i = 0; i < 2; i++) {
        words[i] = (struct line){.word = shared + 64 * i};
        pools[i] = (struct line){
            .pool = bench_pool_open(dir, i == 0 ? "there" : "back", POOL_BYTES)};
        if (cursor_at_end(pools[i].pool, &pools[i].cursor, &err) < 0)
            die_error(&err);
    }
}

int main(int argc, char **argv)
{
    struct line words[2], pools[2];

    if (argc != 5)
        die("usage: bench_wake same|apart DIR ROUNDS N");
    enum bench_place place = bench_place(argv[1]);
    size_t rounds = bench_count(argv[3]), n = bench_count(argv[4]);
    double *samples = calloc(n, sizeof *samples);
    if (samples == NULL)
        die("out of memory");
    open_lines(words, pools, argv[2]);
    bench_pin(BENCH_SAME_CPU);

    pid_t children[2];
    if ((children[0] = bench_fork()) == 0)
        answer(words, word_send, word_receive, place);
    if ((children[1] = bench_fork()) == 0)
        answer(pools, pool_send, pool_receive, place);
    for (size_t i = 0; i < rounds; i++) {
        double floor = measure(words, word_send, word_receive, samples, n);
        bench_round(measure(pools, pool_send, pool_receive, samples, n), floor);
    }
    bench_reap(children[0]);
    bench_reap(children[1]);
    for (size_t i = 0; i < 2; i++) {
        buf_done(&pools[i].store);
        pool_close(pools[i].pool);
    }
    free(samples);
    return 0;
}
