/*
 * The native evaluator beside libjq: random expressions on random messages, both must say the same
 * of each.
 *
 *     test_filter_jq [EXPRESSIONS [TEST]]        PLASMITE_TEST_SEED repeats a run; TEST: '*parts' is one
 *
 * `ninja compare-filters` goes on for longer.  What differs on purpose is listed in pool/filter.h,
 * and shown to differ in test_filter.c.
 */
#include "filter_random.h"

#include "filter_eval.h"
#include "filter_libjq.h"
#include "filter_split.h"
#include "pool/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* jq takes 20 ms to start; a sanitizer looks at our half of the work only. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EXPRESSIONS 400
#else
#define EXPRESSIONS 2000
#endif
#define MESSAGES 50
#define TOGETHER 20 /* in one program for jq, at most 39: see their times */
#define FIRST_TIME_NS 1700000000000000000 /* 2023-11-14T22:13:20Z; a second later it is the next one's */
#define NEXT_TIME_NS 1000000000u

static uint64_t expressions = EXPRESSIONS;

struct doc {
    struct buf data, tags;
    struct message message;
};

static void doc_make(struct doc *doc, struct random *r, uint64_t seq)
{
    static const char *const tags[] = {"a", "b", "a b", "é", "error"};
    auto_buf struct buf text = BUF_INIT;
    uint32_t raw = 0;

    random_data(r, &text);
    buf_clear(&doc->data);
    buf_clear(&doc->tags);
    must(json_compact(buf_bytes(&text), &doc->data, NULL) == 0, "%.*s", (int)text.n, text.p);
    for (uint64_t n = random_below(r, 3); n > 0; n--)
        must(tags_add(&doc->tags, &raw, bytes_of(PICK(r, tags)), NULL) == 0, "no memory");
    doc->message = (struct message){.seq = seq,
                                    .time_ns = FIRST_TIME_NS + seq,
                                    .tags = buf_bytes(&doc->tags),
                                    .data = buf_bytes(&doc->data)};
}

/* ---- whole expressions ---- */

struct native {
    struct buf text;
    struct words words;
    struct program program;
    struct evaluation *evaluation;
};

/* Some expressions, ready on both sides: natively one by one; by jq all in one program, which asks the time of the message. */
struct batch {
    struct native natives[TOGETHER];
    size_t n;
    struct buf text;
    struct words words;
    struct libjq_filter *libjq;
};

static void native_done(struct native *native)
{
    evaluation_free(native->evaluation);
    program_done(&native->program);
    words_done(&native->words);
    buf_done(&native->text);
}

/* False when it is left to libjq. */
static bool native_compile(struct native *native, struct random *r)
{
    struct error err = ERROR_INIT;
    size_t at;

    *native = (struct native){.text = BUF_INIT};
    random_expression(r, &native->text);
    (void)buf_str(&native->text); /* which may move it: from here on it is borrowed */
    must(words_scan(buf_bytes(&native->text), &native->words, &err) == 0, "%s: %s",
         buf_str(&native->text), err.hint);
    if (program_parse(&native->words, &native->program, &at, &err) != 1) {
        native_done(native);
        return false;
    }
    native->evaluation = evaluation_new(&native->program);
    must(native->evaluation != NULL, "no memory");
    return true;
}

static void batch_compile(struct batch *batch, struct random *r, uint64_t n)
{
    struct error err = ERROR_INIT;

    *batch = (struct batch){.text = BUF_INIT};
    for (; n > 0; n--) {
        struct native *native = &batch->natives[batch->n];

        if (native_compile(native, r)) {
            batch->n++;
            must(buf_printf(&batch->text, "if .time < \"2023-11-14T22:13:%zu\" then (%s\n) else ",
                            20 + batch->n, buf_str(&native->text)) == 0,
                 "no memory");
        }
    }
    must(buf_add_str(&batch->text, "error") == 0, "no memory");
    for (size_t i = 0; i < batch->n; i++)
        must(buf_add_str(&batch->text, " end") == 0, "no memory");
    must(words_scan(buf_bytes(&batch->text), &batch->words, &err) == 0, "%s: %s",
         buf_str(&batch->text), err.hint);
    must(libjq_filter_new(&batch->words, &batch->libjq, &err) == 0,
         "taken natively, but by jq: %s: %s; %s", buf_str(&batch->text), err.message, err.hint);
}

static void batch_done(struct batch *batch)
{
    libjq_filter_free(batch->libjq);
    words_done(&batch->words);
    buf_done(&batch->text);
    for (size_t i = 0; i < batch->n; i++)
        native_done(&batch->natives[i]);
}

static void compare(struct batch *batch, size_t which, struct doc *doc, uint64_t *counts)
{
    struct native *native = &batch->natives[which];
    auto_buf struct buf odd = BUF_INIT;
    struct error err = ERROR_INIT;
    enum filter_result ours, theirs;

    doc->message.time_ns += which * NEXT_TIME_NS;
    ours = evaluation_run(native->evaluation, &doc->message, &odd, &err);
    theirs = libjq_filter_match(batch->libjq, &doc->message, &odd, &err);
    if (ours != theirs)
        fail_msg("%s\n  on %.*s tags %.*s seq %u: native %d, libjq %d", buf_str(&native->text),
                 (int)doc->data.n, doc->data.p, (int)doc->tags.n, doc->tags.p,
                 (unsigned)doc->message.seq, (int)ours, (int)theirs);
    counts[ours]++;
}

static void random_expressions__say_the_same(void **state)
{
    uint64_t seed = seed_from_env(), counts[4] = {0};
    struct random r = {seed};
    static struct batch batch;
    static struct doc doc;

    (void)state;
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    for (uint64_t left = expressions; left > 0; left -= left < TOGETHER ? left : TOGETHER) {
        batch_compile(&batch, &r, left < TOGETHER ? left : TOGETHER);
        for (size_t i = 0; i < batch.n; i++)
            for (size_t k = 0; k < MESSAGES; k++) {
                doc_make(&doc, &r, k + 1);
                compare(&batch, i, &doc, counts);
            }
        batch_done(&batch);
    }
    buf_done(&doc.data);
    buf_done(&doc.tags);
    printf("%llu no, %llu yes, %llu odd\n", (unsigned long long)counts[FILTER_NO],
           (unsigned long long)counts[FILTER_YES], (unsigned long long)counts[FILTER_ODD]);
    /* nearly all were native, and said all that can be said */
    assert_true(counts[FILTER_NO] + counts[FILTER_YES] + counts[FILTER_ODD] >
                expressions * MESSAGES * 9 / 10);
    /* some seeds give a few expressions with many odd answers, and some many with none: one in 40 is usual */
    assert_true(counts[FILTER_YES] > expressions && counts[FILTER_ODD] > expressions / 20);
}

/* ---- conditions, a part of which is native ---- */

/* The whole by libjq beside what filter_new() makes of it: a part natively and the rest by libjq. */
static bool compare_parts(struct bytes text, struct doc *docs, uint64_t *counts)
{
    auto_words struct words words = {0}, native = {0};
    auto_buf struct buf rest = BUF_INIT, odd = BUF_INIT;
    auto_filter struct filter *filter = NULL;
    struct libjq_filter *whole = NULL;
    struct error err = ERROR_INIT;
    bool is_split;

    must(words_scan(text, &words, &err) == 0, "%.*s: %s", (int)text.n, text.p, err.hint);
    is_split = words_split(&words, &native, &rest, &err) == 1;
    if (!is_split)
        return false;
    if (libjq_filter_new(&words, &whole, &err) < 0) { /* then no part of it is a filter, either */
        must(filter_new(text, &filter, &err) < 0, "no filter as a whole: %.*s: %s", (int)text.n,
             text.p, err.hint);
        return false;
    }
    must(filter_new(text, &filter, &err) == 0, "%.*s: %s", (int)text.n, text.p, err.hint);
    for (size_t i = 0; i < MESSAGES; i++) {
        enum filter_result parts = filter_match(filter, &docs[i].message, &err);
        enum filter_result expected = libjq_filter_match(whole, &docs[i].message, &odd, &err);

        if (parts != expected)
            fail_msg("%.*s\n  on %.*s tags %.*s seq %u: in parts %d, whole %d", (int)text.n, text.p,
                     (int)docs[i].data.n, docs[i].data.p, (int)docs[i].tags.n, docs[i].tags.p,
                     (unsigned)docs[i].message.seq, (int)parts, (int)expected);
        counts[parts]++;
    }
    libjq_filter_free(whole);
    return true;
}

static void random_conditions__say_the_same_in_parts(void **state)
{
    uint64_t seed = seed_from_env(), counts[4] = {0}, n_split = 0;
    struct random r = {seed};
    static struct doc docs[MESSAGES];

    (void)state;
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    for (size_t k = 0; k < MESSAGES; k++)
        doc_make(&docs[k], &r, k + 1);
    while (n_split < expressions / 10) {
        auto_buf struct buf text = BUF_INIT;

        random_conditions(&r, &text);
        n_split += compare_parts(buf_bytes(&text), docs, counts);
    }
    for (size_t k = 0; k < MESSAGES; k++) {
        buf_done(&docs[k].data);
        buf_done(&docs[k].tags);
    }
    printf("%llu no, %llu yes\n", (unsigned long long)counts[FILTER_NO],
           (unsigned long long)counts[FILTER_YES]);
    assert_true(counts[FILTER_YES] > n_split && counts[FILTER_NO] > n_split);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_expressions__say_the_same),
        cmocka_unit_test(random_conditions__say_the_same_in_parts),
    };

    if (argc > 1)
        expressions = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
