#include "pool/filter.h"

#include "filter_eval.h"
#include "filter_libjq.h"
#include "filter_mistake.h"
#include "filter_problem.h"
#include "filter_regex.h"
#include "filter_split.h"

#include <stdlib.h>

/*
 * Usually one of the two does the work, and the other is NULL; of conditions joined by `and` the
 * native evaluator takes those it knows, and libjq the others.
 */
struct filter {
    struct buf expression, doubt;
    struct program program;
    struct evaluation *evaluation;
    struct libjq_filter *libjq;
};

static int native_only(const struct words *words, size_t at, struct error *err)
{
    auto_buf struct buf word = BUF_INIT;

    (void)buf_add_bytes(&word, word_text(words, at));
    if (at == words->n || buf_str(&word) == NULL)
        return filter_problem(err, words->text, words->text.n, "something is missing");
    return filter_problem(
        err, words->text, words->list[at].at,
        "`%.40s` is not among what filters may use here: paths, comparisons, and, or, "
        "not, //, if, any, all, select, test and their like",
        word.p);
}

static int refuse_endless(const struct program *program, const struct words *words,
                          struct error *err)
{
    for (const struct regex *regex = program->regexes; regex != NULL; regex = regex->next)
        if (regex->is_endless)
            return filter_problem(err, words->text, words->list[regex->at].at,
                                  "regular expressions here have no (?=, (?!, (?<, (?>, *+, \\1 "
                                  "and their like, which can take for ever");
    return 0;
}

/* 1: done, one part natively and the other by libjq.  0: there are no such parts. */
static int compile_parts(struct filter *filter, const struct words *words, struct error *err)
{
    auto_words struct words native = {0}, rest = {0};
    auto_buf struct buf rest_text = BUF_INIT;
    size_t at;
    int result = words_split(words, &native, &rest_text, err);

    if (result != 1)
        return result;
    result = program_parse(&native, &filter->program, &at, err);
    if (result == 1 && words_scan(buf_bytes(&rest_text), &rest, NULL) == 0 &&
        libjq_filter_new(&rest, &filter->libjq, NULL) == 0)
        return 1;
    program_done(&filter->program); /* what is wrong with it is told of the whole */
    return result < 0 ? -1 : 0;
}

static int compile_with_libjq(struct filter *filter, const struct words *words, struct error *err)
{
    switch (compile_parts(filter, words, err)) {
    case 1:
        filter->program.is_condition = true;
        filter->evaluation = evaluation_new(&filter->program);
        return filter->evaluation != NULL ? 0 : fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    case 0:
        return libjq_filter_new(words, &filter->libjq, err);
    default:
        return -1;
    }
}

/* *ret_stranger: as of program_parse(). */
static int compile(struct filter *filter, const struct words *words, enum filter_flags flags,
                   size_t *ret_stranger, struct error *err)
{
    size_t at;
    int result = program_parse(words, &filter->program, &at, err);

    *ret_stranger = filter->program.stranger;
    switch (result) {
    case 1:
        filter->program.is_foreign = flags & FILTER_NATIVE_ONLY;
        if (flags & FILTER_NATIVE_ONLY && refuse_endless(&filter->program, words, err) < 0)
            return -1;
        filter->evaluation = evaluation_new(&filter->program);
        return filter->evaluation != NULL ? 0 : fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    case 0:
        program_done(&filter->program);
        if (flags & FILTER_NATIVE_ONLY)
            return native_only(words, at, err);
        if (compile_with_libjq(filter, words, err) < 0)
            return -1;
        if (filter->evaluation != NULL && *ret_stranger == words->text.n)
            *ret_stranger = filter->program.stranger;
        return 0;
    default:
        return -1;
    }
}

static int compile_words(struct filter *filter, const struct words *words, enum filter_flags flags,
                         struct error *err)
{
    size_t stranger;

    if (words_refuse(words, err) < 0)
        return -1;
    if (compile(filter, words, flags, &stranger, err) < 0) {
        if (words->n <= LIBJQ_WORDS_MAX) /* beyond, looking for a mistake may take seconds */
            (void)mistaken_words(words, err);
        return -1;
    }
    if (mistaken_assignment(words, err) < 0)
        return -1;
    if (words_doubt(words, stranger, &filter->doubt) < 0 || buf_str(&filter->doubt) == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return 0;
}

int filter_new_with(struct bytes expression, enum filter_flags flags, struct filter **ret,
                    struct error *err)
{
    auto_filter struct filter *filter = calloc(1, sizeof *filter);
    auto_words struct words words = {0};

    if (filter == NULL || buf_add_bytes(&filter->expression, expression) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (words_scan(buf_bytes(&filter->expression), &words, err) < 0 ||
        compile_words(filter, &words, flags, err) < 0)
        return -1;
    *ret = filter;
    filter = NULL; /* handed to the caller */
    return 0;
}

int filter_new(struct bytes expression, struct filter **ret, struct error *err)
{
    return filter_new_with(expression, 0, ret, err);
}

void filter_free(struct filter *filter)
{
    if (filter == NULL)
        return;
    evaluation_free(filter->evaluation);
    program_done(&filter->program);
    libjq_filter_free(filter->libjq);
    buf_done(&filter->expression);
    buf_done(&filter->doubt);
    free(filter);
}

void filter_share(struct filter *filter, struct filter_credit *credit)
{
    if (filter->libjq != NULL)
        libjq_filter_share(filter->libjq, credit);
}

const char *filter_doubt(const struct filter *filter)
{
    return filter->doubt.n > 0 ? filter->doubt.p : NULL; /* it ends with a NUL */
}

bool filter_sees_envelope(const struct filter *filter)
{
    return filter->program.n_first > 0;
}

bool filter_rules_out(struct filter *filter, const struct message *message)
{
    return filter->evaluation != NULL && evaluation_rules_out(filter->evaluation, message);
}

enum filter_cost filter_cost(const struct filter *filter)
{
    if (filter->libjq != NULL)
        return FILTER_COST_LIBJQ;
    return filter->program.top->envelope ? FILTER_COST_ENVELOPE : FILTER_COST_PAYLOAD;
}

static enum filter_result fail_odd(const struct filter *filter, const struct message *message,
                                   struct buf *odd, struct error *err)
{
    auto_buf struct buf excerpt = BUF_INIT;

    (void)filter_excerpt(&excerpt, buf_bytes(&filter->expression), FILTER_NOWHERE);
    fail(err, PLSM_ERROR_USAGE, "filter expression must yield booleans");
    fail_seq(err, message->seq);
    if (buf_str(&excerpt) != NULL && buf_str(odd) != NULL)
        fail_hint(err, "%s gave %s. Compare it with something, as in `(...) != null`.", excerpt.p,
                  odd->p);
    return FILTER_ODD;
}

enum filter_result filter_match(struct filter *filter, const struct message *message,
                                struct error *err)
{
    auto_buf struct buf odd = BUF_INIT;
    enum filter_result result = FILTER_YES;

    if (filter->evaluation != NULL)
        result = evaluation_run(filter->evaluation, message, &odd, err);
    if (filter->libjq != NULL && result == FILTER_YES)
        result = libjq_filter_match(filter->libjq, message, &odd, err);
    return result == FILTER_ODD ? fail_odd(filter, message, &odd, err) : result;
}
