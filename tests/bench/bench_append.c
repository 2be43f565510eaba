/*
 * Appends:  bench_append single|batch DIR ROUNDS N BYTES      N messages a round
 *           bench_append feed-floor DIR FILE BYTES            the floor of `feed < FILE`, run once and timed from outside
 *
 * Ours is the whole way of a user's text: gate, checksum, append.  The floor is the sum of what it consists of, each part
 * measured alone: our gate over the same text, copy and checksum into a ring of the same size, a free lock, a clock reading.
 * A batch pays lock and clock once.
 */
#include "bench.h"
#include "floor.h"

#include "pool/intake.h"
#include "pool/json.h"
#include "pool/pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POOL_BYTES (64u << 20)
#define LAPS 3 /* before measuring: every page is there, and the ring has been lapped */
#define PIECE_BYTES (1u << 20) /* of reading a file */

struct lane {
    struct bench_docs docs;
    size_t bytes; /* of one document */
    struct pool *pool;
    struct intake *intake;
    struct floor floor;
    struct buf text;
};

static void append(struct lane *lane, const struct payload *payloads, size_t n)
{
    struct error err = ERROR_INIT;

    if (n > 0 && pool_append(lane->pool, payloads, n, 0, NULL, &err) < 0)
        die_error(&err);
}

static void gate_one(struct lane *lane, size_t i)
{
    struct error err = ERROR_INIT;

    buf_clear(&lane->text);
    if (json_compact(lane->docs.docs[i % BENCH_DOCS], &lane->text, &err) < 0)
        die_error(&err);
}

static double single(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++) {
        gate_one(lane, i);
        struct payload payload = payload_make((struct bytes){NULL, 0}, 0, buf_bytes(&lane->text));
        append(lane, &payload, 1);
    }
    return bench_each(start, n);
}

static void append_complete(struct lane *lane)
{
    size_t n;
    const struct payload *payloads = intake_payloads(lane->intake, &n);

    append(lane, payloads, n);
    intake_taken(lane->intake);
}

/* n messages, all documents in one piece after the other, as a program with a large buffer would write them. */
static double batch(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i += BENCH_DOCS) {
        const char *p = lane->docs.lines.p;
        size_t left = lane->docs.lines.n, used;
        struct error err = ERROR_INIT;
        enum intake_status status;
        while ((status = intake_push(lane->intake, p, left, &used, NULL, &err)) == INTAKE_FULL) {
            append_complete(lane);
            p += used;
            left -= used;
        }
        if (status == INTAKE_FAILED)
            die_error(&err);
    }
    append_complete(lane);
    return bench_each(start, n);
}

static double floor_gate_single(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++)
        gate_one(lane, i);
    return bench_each(start, n);
}

/* Gates values that stand in p[0..n), calling put() with each if it is given. */
static void gate_lines(struct json_gate *gate, const char *p, size_t n, struct buf *text,
                       struct floor *floor)
{
    size_t used;

    while (n > 0) {
        enum json_status status = json_gate_feed(gate, p, n, &used, text);
        if (status == JSON_BAD)
            die("%s", json_gate_why(gate));
        p += used;
        n -= used;
        if (status != JSON_VALUE)
            continue;
        if (floor != NULL)
            floor_put(floor, text->p);
        buf_clear(text);
    }
}

static double floor_gate_batch(struct lane *lane, size_t n)
{
    struct json_gate gate = JSON_GATE_INIT;
    uint64_t start = clock_mono_ns();

    buf_clear(&lane->text);
    for (size_t i = 0; i < n; i += BENCH_DOCS)
        gate_lines(&gate, lane->docs.lines.p, lane->docs.lines.n, &lane->text, NULL);
    return bench_each(start, n);
}

static double floor_copy(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++)
        floor_put(&lane->floor, lane->docs.docs[i % BENCH_DOCS].p);
    return bench_each(start, n);
}

static double floor_locks(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++)
        floor_lock(&lane->floor);
    return bench_each(start, n);
}

static double floor_clocks(size_t n)
{
    uint64_t start = clock_mono_ns(), sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += floor_clock();
    if (sum == 0)
        die("there is no clock");
    return bench_each(start, n);
}

static void run(struct lane *lane, bool is_batch, size_t rounds, size_t n)
{
    n = (n + BENCH_DOCS - 1) / BENCH_DOCS * BENCH_DOCS;
    size_t lap = LAPS * (size_t)POOL_BYTES / lane->bytes / BENCH_DOCS * BENCH_DOCS;
    double gate = 0, copy = 0, lock = 0, clock = 0;

    batch(lane, lap);
    floor_copy(lane, lap);
    for (size_t i = 0; i < rounds; i++) {
        gate = is_batch ? floor_gate_batch(lane, n) : floor_gate_single(lane, n);
        copy = floor_copy(lane, n);
        lock = is_batch ? 0 : floor_locks(lane, n);
        clock = is_batch ? 0 : floor_clocks(n);
        bench_round(is_batch ? batch(lane, n) : single(lane, n), gate + copy + lock + clock);
    }
    printf("note floor of the last round, ns: gate %.1f, copy and checksum %.1f, lock %.1f, clock %.1f\n", gate, copy,
           lock, clock);
}

static void feed_floor(const char *dir, const char *file, size_t bytes)
{
    struct floor floor;
    struct json_gate gate = JSON_GATE_INIT;
    struct buf text = BUF_INIT;
    static char piece[PIECE_BYTES];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        die_os(file);
    floor_open(&floor, dir, POOL_BYTES, bytes);
    while ((n = read(fd, piece, sizeof piece)) > 0) {
        gate_lines(&gate, piece, (size_t)n, &text, &floor);
        floor_lock(&floor);
        (void)floor_clock();
    }
    if (n < 0)
        die_os(file);
    close(fd);
    buf_done(&text);
    floor_close(&floor);
}

int main(int argc, char **argv)
{
    static struct lane lane; /* documents and all */
    struct error err = ERROR_INIT;

    if (argc == 5 && strcmp(argv[1], "feed-floor") == 0) {
        feed_floor(argv[2], argv[3], bench_count(argv[4]));
        return 0;
    }
    if (argc != 6 || (strcmp(argv[1], "single") != 0 && strcmp(argv[1], "batch") != 0))
        die("usage: bench_append single|batch DIR ROUNDS N BYTES");
    lane.bytes = bench_count(argv[5]);
    bench_docs_make(&lane.docs, lane.bytes);
    lane.pool = bench_pool_open(argv[2], "append", POOL_BYTES);
    if (intake_new((struct bytes){NULL, 0}, 0, pool_message_max(lane.pool), 0, &lane.intake, &err) < 0)
        die_error(&err);
    floor_open(&lane.floor, argv[2], POOL_BYTES, lane.bytes);
    run(&lane, strcmp(argv[1], "batch") == 0, bench_count(argv[3]), bench_count(argv[4]));
    intake_free(lane.intake);
    pool_close(lane.pool);
    return 0;
}
