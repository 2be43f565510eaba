/*
 * What the bench programs share: documents, clocks, places on CPUs, and how a round is reported.
 *
 * Each program measures one lane: `ROUNDS` times its floor and ours in turn, so that whatever disturbs the machine disturbs both.
 * Each round is one line on stdout, `ours floor`, in nanoseconds for one operation (or, for density, in messages);
 * further lines begin with `note`.  bench.py makes the table.  What fails ends the program with a sentence and status 1.
 */
#ifndef BENCH_H
#define BENCH_H

#include "base/buf.h"
#include "base/units.h"
#include "pool/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die_os(const char *what);
_Noreturn void die_error(const struct error *err);

/* A count from the command line, at least 1. */
size_t bench_count(const char *text);

/*
 * Documents of n bytes each, all different but for their shape, so that neither side learns one by heart.  Small ones are a log
 * line; larger ones hold a list of small objects.  The texts have no white space between tokens.
 */
#define BENCH_DOCS 256
#define BENCH_DOC_MIN 80
struct bench_docs {
    struct bytes docs[BENCH_DOCS];
    struct buf lines; /* all of them, a newline behind each; docs point into it */
};
void bench_docs_make(struct bench_docs *docs, size_t n);

/* The same document, its tokens on lines of their own and indented. */
void bench_pretty(struct bytes doc, struct buf *out);

/* Nanoseconds for each of n operations since start_ns (clock_mono_ns). */
double bench_each(uint64_t start_ns, size_t n);

void bench_round(double ours, double floor);

/* The median of n samples, which are sorted. */
double bench_median(double *samples, size_t n);

/* The two CPUs of a lane, of those this process may use; `first` for the one, else the other.  die() when there is only one. */
enum bench_place { BENCH_SAME_CPU, BENCH_OTHER_CPU };
enum bench_place bench_place(const char *text); /* "same" or "apart" */
void bench_pin(enum bench_place place);

/* A child that ends with its parent; 0 in the child. */
pid_t bench_fork(void);
void bench_reap(pid_t child);

/* A fresh pool at DIR/NAME.plasmite: its path; or opened for appending. */
struct bench_path {
    char text[4096];
};
struct bench_path bench_pool_make(const char *dir, const char *name, uint64_t size);
struct pool;
struct pool *bench_pool_open(const char *dir, const char *name, uint64_t size);

#endif
