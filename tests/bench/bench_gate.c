/*
 * The gate beside jansson:  bench_gate compact|pretty ROUNDS N BYTES      N documents a round
 *
 * jansson stands in the floor's column although it is none: it is what the gate has to leave behind.
 */
#include "bench.h"

#include "pool/json.h"

#include <jansson.h>
#include <stdio.h>

struct lane {
    struct bytes docs[BENCH_DOCS];
    struct buf out;
};

static double gate(struct lane *lane, size_t n)
{
    struct error err = ERROR_INIT;
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++) {
        buf_clear(&lane->out);
        if (json_compact(lane->docs[i % BENCH_DOCS], &lane->out, &err) < 0)
            die_error(&err);
    }
    return bench_each(start, n);
}

static double jansson(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++) {
        json_error_t err;
        json_t *json = json_loadb(lane->docs[i % BENCH_DOCS].p, lane->docs[i % BENCH_DOCS].n, 0, &err);
        if (json == NULL)
            die("jansson: %s", err.text);
        json_decref(json);
    }
    return bench_each(start, n);
}

int main(int argc, char **argv)
{
    static struct lane lane;
    static struct bench_docs docs;
    static struct buf pretty[BENCH_DOCS];

    if (argc != 5 || (strcmp(argv[1], "compact") != 0 && strcmp(argv[1], "pretty") != 0))
        die("usage: bench_gate compact|pretty ROUNDS N BYTES");
    size_t rounds = bench_count(argv[2]), n = bench_count(argv[3]);
    bench_docs_make(&docs, bench_count(argv[4]));
    for (size_t i = 0; i < BENCH_DOCS; i++) {
        lane.docs[i] = docs.docs[i];
        if (strcmp(argv[1], "pretty") == 0) {
            bench_pretty(docs.docs[i], &pretty[i]);
            lane.docs[i] = buf_bytes(&pretty[i]);
        }
    }
    size_t n_jansson = (n + 19) / 20; /* it would take most of the time otherwise */
    gate(&lane, n);
    for (size_t i = 0; i < rounds; i++) {
        double other = jansson(&lane, n_jansson);
        bench_round(gate(&lane, n), other);
    }
    printf("note scanner %s; %.2f GB/s in the documents of %zu bytes\n", json_scanner_name(),
           (double)lane.docs[0].n / gate(&lane, n), lane.docs[0].n);
    return 0;
}
