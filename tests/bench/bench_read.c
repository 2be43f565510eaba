/*
 * Reads:  bench_read read|get|seek DIR ROUNDS N BYTES SIZE    a full pool of SIZE with messages of BYTES
 *         bench_read density DIR ROUNDS N BYTES SIZE          messages of BYTES that a pool of SIZE keeps, for each MiB
 *
 *   read   a cursor from the oldest message on      floor: a checked copy of each frame, in order
 *   get    random messages by number                floor: a checked copy of a random frame
 *   seek   a cursor at a random time, its message   floor: the same
 *
 * The floor knows where a frame is.  Of density the floor is the bytes of the messages and nothing else.
 */
#include "bench.h"
#include "floor.h"

#include "pool/cursor.h"
#include "pool/pool.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH 64 /* messages: a batch has one time, so that many times stay apart */

struct lane {
    struct bench_docs docs;
    size_t bytes;
    struct pool *pool;
    struct pool_bounds bounds;
    uint64_t oldest_ns;
    struct floor floor;
    struct buf store;
    uint64_t random;
};

/* xorshift: the same places in every round and on both sides. */
static uint64_t next_random(struct lane *lane)
{
    lane->random ^= lane->random << 13;
    lane->random ^= lane->random >> 7;
    lane->random ^= lane->random << 17;
    return lane->random;
}

/* Until the first messages are lost. */
static void fill(struct lane *lane)
{
    struct error err = ERROR_INIT;
    struct payload payloads[BATCH];
    size_t at = 0;

    do {
        for (size_t i = 0; i < BATCH; i++)
            payloads[i] = payload_make((struct bytes){NULL, 0}, 0, lane->docs.docs[at++ % BENCH_DOCS]);
        if (pool_append(lane->pool, payloads, BATCH, 0, NULL, &err) < 0 ||
            pool_bounds(lane->pool, &lane->bounds, &err) < 0)
            die_error(&err);
    } while (lane->bounds.oldest <= BATCH);
}

static void fill_floor(struct lane *lane)
{
    for (size_t i = 0; i < lane->floor.frames; i++)
        floor_put(&lane->floor, lane->docs.docs[i % BENCH_DOCS].p);
}

/* n messages in order, from the oldest again when the end is reached. */
static double read_on(struct lane *lane, size_t n)
{
    struct error err = ERROR_INIT;
    struct cursor cursor;
    struct message message;
    uint64_t start = clock_mono_ns(), sum = 0;

    if (cursor_at_oldest(lane->pool, &cursor, &err) < 0)
        die_error(&err);
    for (size_t i = 0; i < n;) {
        switch (cursor_next(lane->pool, &cursor, &lane->store, &message, &err)) {
        case CURSOR_MESSAGE:
            sum += message.data.n;
            i++;
            break;
        case CURSOR_END:
            if (cursor_at_oldest(lane->pool, &cursor, &err) == 0)
                break;
            die_error(&err);
        case CURSOR_GAP:
            die("a gap, and nobody appends");
        case CURSOR_FAILED:
            die_error(&err);
        }
    }
    if (sum != n * lane->bytes)
        die("read something else than was appended");
    return bench_each(start, n);
}

static double get(struct lane *lane, size_t n)
{
    struct error err = ERROR_INIT;
    struct message message;
    uint64_t start = clock_mono_ns(), count = pool_bounds_count(&lane->bounds);

    for (size_t i = 0; i < n; i++) {
        buf_clear(&lane->store);
        if (pool_get(lane->pool, lane->bounds.oldest + next_random(lane) % count, &lane->store, &message, &err) < 0)
            die_error(&err);
    }
    return bench_each(start, n);
}

static double seek(struct lane *lane, size_t n)
{
    struct error err = ERROR_INIT;
    struct cursor cursor;
    struct message message;
    uint64_t start = clock_mono_ns(), span = lane->bounds.newest_time - lane->oldest_ns;

    for (size_t i = 0; i < n; i++) {
        uint64_t time = lane->oldest_ns + next_random(lane) % span;
        if (cursor_at_time(lane->pool, time, &cursor, &err) < 0 ||
            cursor_next(lane->pool, &cursor, &lane->store, &message, &err) != CURSOR_MESSAGE)
            die_error(&err);
        if (message.time_ns < time)
            die("a seek by time ended before it");
    }
    return bench_each(start, n);
}

static double floor_in_order(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (!floor_get(&lane->floor, at, lane->store.p))
            die("the floor reads something else than was written");
        at = at + 1 < lane->floor.frames ? at + 1 : 0;
    }
    return bench_each(start, n);
}

static double floor_random(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++)
        if (!floor_get(&lane->floor, next_random(lane) % lane->floor.frames, lane->store.p))
            die("the floor reads something else than was written");
    return bench_each(start, n);
}

static void density(struct lane *lane, size_t rounds, uint64_t size)
{
    double mib = (double)size / (1 << 20);

    for (size_t i = 0; i < rounds; i++)
        bench_round((double)pool_bounds_count(&lane->bounds) / mib, (double)(1 << 20) / (double)lane->bytes);
}

static void open_lane(struct lane *lane, const char *dir, uint64_t size, size_t bytes)
{
    struct error err = ERROR_INIT;
    struct message message;

    lane->bytes = bytes;
    lane->random = 88172645463325252u;
    bench_docs_make(&lane->docs, bytes);
    lane->pool = bench_pool_open(dir, "read", size);
    fill(lane);
    if (buf_grow(&lane->store, bytes) < 0 ||
        pool_get(lane->pool, lane->bounds.oldest, &lane->store, &message, &err) < 0)
        die_error(&err);
    lane->oldest_ns = message.time_ns;
}

static void run(struct lane *lane, const char *name, size_t rounds, size_t n)
{
    static const struct {
        const char *name;
        double (*ours)(struct lane *, size_t), (*floor)(struct lane *, size_t);
    } lanes[] = {{"read", read_on, floor_in_order}, {"get", get, floor_random}, {"seek", seek, floor_random}};

    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        if (strcmp(name, lanes[i].name) != 0)
            continue;
        lanes[i].ours(lane, n); /* every page is mapped then */
        for (size_t round = 0; round < rounds; round++) {
            double floor = lanes[i].floor(lane, n);
            bench_round(lanes[i].ours(lane, n), floor);
        }
        return;
    }
    die("%s: no such lane", name);
}

int main(int argc, char **argv)
{
    static struct lane lane;

    if (argc != 7)
        die("usage: bench_read read|get|seek|density DIR ROUNDS N BYTES SIZE");
    size_t rounds = bench_count(argv[3]), n = bench_count(argv[4]), size = bench_count(argv[6]);
    open_lane(&lane, argv[2], size, bench_count(argv[5]));
    if (strcmp(argv[1], "density") == 0) {
        density(&lane, rounds, size);
    } else {
        floor_open(&lane.floor, argv[2], size, lane.bytes);
        fill_floor(&lane);
        run(&lane, argv[1], rounds, n);
    }
    pool_close(lane.pool);
    return 0;
}
