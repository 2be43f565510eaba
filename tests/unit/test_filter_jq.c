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

/* jq takes 20 ms to compile one; a sanitizer looks at our half of the work only. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EXPRESSIONS 400
#else
#define EXPRESSIONS 2000
#endif
#define MESSAGES 50
#define LEN(array) (sizeof(array) / sizeof *(array))

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
                                    .time_ns = 1700000000000000000 + seq,
                                    .tags = buf_bytes(&doc->tags),
                                    .data = buf_bytes(&doc->data)};
}

/* One expression, ready on both sides. */
struct both {
    struct words words;
    struct program program;
    struct evaluation *native;
    struct libjq_filter *libjq;
};

/* False when the native evaluator leaves it to libjq. */
static bool both_compile(struct both *both, struct bytes text)
{
    struct error err = ERROR_INIT;
    size_t at;

    *both = (struct both){0};
    must(words_scan(text, &both->words, &err) == 0, "%.*s: %s", (int)text.n, text.p, err.hint);
    if (program_parse(&both->words, &both->program, &at, &err) != 1)
        return false;
    both->native = evaluation_new(&both->program);
    must(both->native != NULL, "no memory");
    must(libjq_filter_new(&both->words, &both->libjq, &err) == 0,
         "taken natively, but by jq: %.*s: %s; %s", (int)text.n, text.p, err.message, err.hint);
    return true;
}

static void both_done(struct both *both)
{
    evaluation_free(both->native);
    program_done(&both->program);
    libjq_filter_free(both->libjq);
    words_done(&both->words);
}

static bool both_agree(struct both *both, const struct message *message,
                       enum filter_result *ret_native, enum filter_result *ret_libjq)
{
    auto_buf struct buf odd = BUF_INIT;
    struct error err = ERROR_INIT;

    *ret_native = evaluation_run(both->native, message, &odd, &err);
    *ret_libjq = libjq_filter_match(both->libjq, message, &odd, &err);
    return *ret_native == *ret_libjq;
}

static void compare(struct bytes text, struct doc *docs, uint64_t *counts)
{
    struct both both;

    if (both_compile(&both, text)) {
        for (size_t i = 0; i < MESSAGES; i++) {
            enum filter_result native, libjq;

            if (!both_agree(&both, &docs[i].message, &native, &libjq))
                fail_msg("%.*s\n  on %.*s tags %.*s seq %u: native %d, libjq %d", (int)text.n,
                         text.p, (int)docs[i].data.n, docs[i].data.p, (int)docs[i].tags.n,
                         docs[i].tags.p, (unsigned)docs[i].message.seq, (int)native, (int)libjq);
            counts[native]++;
        }
    }
    both_done(&both);
}

static void random_expressions__say_the_same(void **state)
{
    uint64_t seed = seed_from_env(), counts[4] = {0};
    struct random r = {seed};
    static struct doc docs[MESSAGES];

    (void)state;
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    for (uint64_t i = 0; i < expressions; i++) {
        auto_buf struct buf text = BUF_INIT;

        for (size_t k = 0; k < MESSAGES; k++)
            doc_make(&docs[k], &r, k + 1);
        random_expression(&r, &text);
        compare(buf_bytes(&text), docs, counts);
    }
    for (size_t k = 0; k < MESSAGES; k++) {
        buf_done(&docs[k].data);
        buf_done(&docs[k].tags);
    }
    printf("%llu no, %llu yes, %llu odd\n", (unsigned long long)counts[FILTER_NO],
           (unsigned long long)counts[FILTER_YES], (unsigned long long)counts[FILTER_ODD]);
    /* nearly all were native, and said all that can be said */
    assert_true(counts[FILTER_NO] + counts[FILTER_YES] + counts[FILTER_ODD] >
                expressions * MESSAGES * 9 / 10);
    assert_true(counts[FILTER_YES] > expressions && counts[FILTER_ODD] > expressions);
}

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
