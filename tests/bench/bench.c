#include "bench.h"

#include "pool/pool.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

_Noreturn void die_os(const char *what)
{
    die("%s: %s", what, strerror(errno));
}

_Noreturn void die_error(const struct error *err)
{
    die("%s: %s %s %s", error_kind_name(err->kind), err->message, err->path, err->cause);
}

size_t bench_count(const char *text)
{
    uint64_t n;
    const char *why;

    if (parse_u64(text, &n, &why) < 0 || n == 0)
        die("%s is not a count", text);
    return n;
}

/* Adds one document of exactly n bytes; what is left after whole items is filled up in a string. */
static void add_doc(struct buf *out, size_t n, unsigned number)
{
    size_t start = out->n, end = start + n;

    buf_printf(out, "{\"id\":%u,\"at\":17%08u.%03u,\"level\":\"%s\",\"ok\":%s", 100000 + number, number * 7919,
               number % 1000, number % 2 == 0 ? "info" : "warn", number % 3 == 0 ? "true" : "false");
    if (n > 300) {
        buf_add_str(out, ",\"items\":[");
        for (unsigned i = 0; out->n + 120 < end; i++)
            buf_printf(out, "%s{\"sku\":\"A-%u\",\"qty\":%u,\"price\":%u.%02u,\"gift\":false}", i == 0 ? "" : ",",
                       1000 + (number + i * 31) % 9000, 1 + i % 9, 10 + (number + i) % 90, number % 100);
        buf_add_str(out, "]");
    }
    buf_add_str(out, ",\"msg\":\"");
    static const char text[] = "request served from cache after retry ";
    for (unsigned i = number; out->n < end - 2; i++)
        buf_add_char(out, text[i % (sizeof text - 1)]);
    buf_add_str(out, "\"}");
}

void bench_docs_make(struct bench_docs *docs, size_t n)
{
    if (n < BENCH_DOC_MIN)
        die("a document of %zu bytes is too small: %d at least", n, BENCH_DOC_MIN);
    docs->lines = BUF_INIT;
    for (unsigned i = 0; i < BENCH_DOCS; i++) {
        add_doc(&docs->lines, n, i);
        buf_add_char(&docs->lines, '\n');
    }
    if (buf_failed(&docs->lines) || docs->lines.n != (n + 1) * BENCH_DOCS)
        die("could not make documents of %zu bytes", n);
    for (size_t i = 0; i < BENCH_DOCS; i++)
        docs->docs[i] = (struct bytes){docs->lines.p + i * (n + 1), n};
}

static void new_line(struct buf *out, unsigned depth)
{
    buf_add_char(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        buf_add_str(out, "  ");
}

void bench_pretty(struct bytes doc, struct buf *out)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < doc.n; i++) { /* the documents have no escapes */
        char c = doc.p[i];
        in_string ^= c == '"';
        if (!in_string && (c == '}' || c == ']'))
            new_line(out, --depth);
        buf_add_char(out, c);
        if (in_string)
            continue;
        if (c == '{' || c == '[')
            new_line(out, ++depth);
        else if (c == ',')
            new_line(out, depth);
        else if (c == ':')
            buf_add_char(out, ' ');
    }
    if (buf_failed(out))
        die("out of memory");
}

double bench_each(uint64_t start_ns, size_t n)
{
    return (double)(clock_mono_ns() - start_ns) / (double)n;
}

void bench_round(double ours, double floor)
{
    printf("%.3f %.3f\n", ours, floor);
    fflush(stdout);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *samples, size_t n)
{
    qsort(samples, n, sizeof *samples, compare);
    return n % 2 == 1 ? samples[n / 2] : (samples[n / 2 - 1] + samples[n / 2]) / 2;
}

enum bench_place bench_place(const char *text)
{
    if (strcmp(text, "same") == 0)
        return BENCH_SAME_CPU;
    if (strcmp(text, "apart") == 0)
        return BENCH_OTHER_CPU;
    die("%s is not a place: same or apart", text);
}

void bench_pin(enum bench_place place)
{
    static cpu_set_t usable; /* before the first pinning */
    int skip = place == BENCH_OTHER_CPU ? 1 : 0;

    if (CPU_COUNT(&usable) == 0 && sched_getaffinity(0, sizeof usable, &usable) < 0)
        die_os("asking for the CPUs");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &usable) || skip-- > 0)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) < 0)
            die_os("choosing a CPU");
        return;
    }
    die("two CPUs are needed to run on different ones");
}

pid_t bench_fork(void)
{
    pid_t parent = getpid(), child = fork();

    if (child < 0)
        die_os("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return child;
}

void bench_reap(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

struct bench_path bench_pool_make(const char *dir, const char *name, uint64_t size)
{
    struct pool_options options = POOL_OPTIONS_INIT;
    struct error err = ERROR_INIT;
    struct bench_path path;

    if ((size_t)snprintf(path.text, sizeof path.text, "%s/%s.plasmite", dir, name) >= sizeof path.text)
        die("%s: a path too long", dir);
    options.size = size;
    (void)unlink(path.text); /* of an earlier run */
    if (pool_create(path.text, &options, &err) < 0)
        die_error(&err);
    return path;
}

struct pool *bench_pool_open(const char *dir, const char *name, uint64_t size)
{
    struct bench_path path = bench_pool_make(dir, name, size);
    struct error err = ERROR_INIT;
    struct pool *pool;

    if (pool_open(path.text, POOL_READ_WRITE, &pool, &err) < 0)
        die_error(&err);
    return pool;
}
