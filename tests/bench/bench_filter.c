/*
 * Filters beside the gate, or beside libjq:  bench_filter LANE gate|libjq ROUNDS N BYTES      N
 * messages a round
 *
 * The gate reads every byte of a document once, which is what a filter may cost at most; it stands
 * in the floor's column.  Beside libjq the same expression runs in both, and what is native has to
 * leave it behind. LANE `first` is another thing: from the text of an expression to its first
 * answer, beside reading the clock.
 */
#include "bench.h"

#include "filter_libjq.h"
#include "pool/filter.h"
#include "pool/json.h"

#include <stdio.h>

static const struct {
    const char *name, *expression;
} lanes[] = {
    {"tag",      ".meta.tags[]? == \"b\""                                     },
    {"equal",    ".data.id == 100005"                                         },
    {"logic",    ".data.level == \"info\" and (.data.ok or .data.id > 100100)"},
    {"string",   ".data.msg | startswith(\"request\")"                        },
    {"regex",    ".data.msg | test(\"retry|cache$\")"                         },
    {"fallback", ".data.id % 2 == 0"                                          },
    {"first",    ".data.level == \"info\" and (.data.ok or .data.id > 100100)"},
};

struct lane {
    struct bytes expression;
    struct message messages[BENCH_DOCS];
    struct filter *filter;
    struct words words;
    struct libjq_filter *libjq;
    struct buf out;
};

static double filter(struct lane *lane, size_t n)
{
    struct error err = ERROR_INIT;
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++)
        if (filter_match(lane->filter, &lane->messages[i % BENCH_DOCS], &err) > FILTER_YES)
            die_error(&err);
    return bench_each(start, n);
}

static double first(struct lane *lane, size_t n)
{
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++) {
        struct error err = ERROR_INIT;
        auto_filter struct filter *fresh = NULL;

        if (filter_new(lane->expression, &fresh, &err) < 0 ||
            filter_match(fresh, &lane->messages[i % BENCH_DOCS], &err) > FILTER_YES)
            die_error(&err);
    }
    return bench_each(start, n);
}

static double gate(struct lane *lane, size_t n)
{
    struct error err = ERROR_INIT;
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++) {
        buf_clear(&lane->out);
        if (json_compact(lane->messages[i % BENCH_DOCS].data, &lane->out, &err) < 0)
            die_error(&err);
    }
    return bench_each(start, n);
}

static double libjq(struct lane *lane, size_t n)
{
    struct error err = ERROR_INIT;
    uint64_t start = clock_mono_ns();

    for (size_t i = 0; i < n; i++)
        if (libjq_filter_match(lane->libjq, &lane->messages[i % BENCH_DOCS], &lane->out, &err) >
            FILTER_YES)
            die_error(&err);
    return bench_each(start, n);
}

static void choose(struct lane *lane, const char *name)
{
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++)
        if (strcmp(lanes[i].name, name) == 0)
            lane->expression = bytes_of(lanes[i].expression);
    if (lane->expression.p == NULL)
        die("%s is no lane", name);
}

int main(int argc, char **argv)
{
    static struct lane lane;
    static struct bench_docs docs;
    struct error err = ERROR_INIT;

    if (argc != 6 || (strcmp(argv[2], "gate") != 0 && strcmp(argv[2], "libjq") != 0))
        die("usage: bench_filter LANE gate|libjq ROUNDS N BYTES");
    bool beside_libjq = strcmp(argv[2], "libjq") == 0, is_first = strcmp(argv[1], "first") == 0;
    size_t rounds = bench_count(argv[3]), n = bench_count(argv[4]);
    bench_docs_make(&docs, bench_count(argv[5]));
    choose(&lane, argv[1]);
    for (size_t i = 0; i < BENCH_DOCS; i++)
        lane.messages[i] = (struct message){.seq = i + 1,
                                            .time_ns = 1700000000000000000 + i,
                                            .tags = BYTES("\"a\",\"b\""),
                                            .data = docs.docs[i]};
    if (filter_new(lane.expression, &lane.filter, &err) < 0)
        die_error(&err);
    if (beside_libjq && (words_scan(lane.expression, &lane.words, &err) < 0 ||
                         libjq_filter_new(&lane.words, &lane.libjq, &err) < 0))
        die_error(&err);
    filter(&lane, n);
    for (size_t i = 0; i < rounds; i++) {
        double floor = beside_libjq ? libjq(&lane, (n + 19) / 20) : gate(&lane, n);
        bench_round(is_first ? first(&lane, n) : filter(&lane, n), floor);
    }
    return 0;
}
