#include "filter_libjq.h"

#include "filter_problem.h"
#include "jq_child.h"
#include "pool/json.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_SHOWN_MAX 40 /* bytes of a name */

/*
 * A message that jq failed on costs a process.  FILTER_FAILURES_MAX at first, and one more for each so
 * many answers; then it is not asked again.
 */
#define ANSWERS_PER_FAILURE 1000

struct libjq_filter {
    struct jq_child child;
    struct buf expression;
    struct filter_credit own, *credit;
    struct buf text;
    struct buf repaired;
    struct time_cache cache;
};

/* ---- what no filter may have ---- */

static bool is_among(struct bytes name, const char *const names[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes_equal(name, bytes_of(names[i])))
            return true;
    return false;
}

int words_refuse(const struct words *words, struct error *err)
{
    static const char *const names[] = {"env",
                                        "import",
                                        "include",
                                        "module",
                                        "input",
                                        "inputs",
                                        "debug",
                                        "stderr",
                                        "halt",
                                        "halt_error",
                                        "modulemeta",
                                        "input_filename",
                                        "input_line_number",
                                        "get_search_list",
                                        "get_jq_origin",
                                        "get_prog_origin"};
    static const char *const variables[] = {"ENV", "__prog_args"};

    for (size_t i = 0; i < words->n; i++) {
        struct bytes name = word_text(words, i);
        bool variable = i > 0 && word_is(words, i - 1, WORD_SIGN, "$");

        if (words->list[i].kind != WORD_NAME)
            continue;
        if (variable ? is_among(name, variables, sizeof variables / sizeof *variables)
                     : is_among(name, names, sizeof names / sizeof *names))
            return filter_problem(
                err, words->text, words->list[i].at,
                "`%s%.*s` is not for filters, which see the message and nothing else",
                variable ? "$" : "", (int)name.n, name.p);
        if (!variable && name.p[0] == '_')
            return filter_problem(err, words->text, words->list[i].at,
                                  "names that begin with `_`, like `%.*s`, are jq's own",
                                  name.n < NAME_SHOWN_MAX ? (int)name.n : NAME_SHOWN_MAX, name.p);
        if (memchr(name.p, ':', name.n) != NULL)
            return filter_problem(err, words->text, words->list[i].at,
                                  "there are no modules in filters");
    }
    return 0;
}

/* ---- compiling ---- */

static const char too_early[] = "syntax error, unexpected $end";

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/*
 * Could more words make a program of the first n?  Behind an open parenthesis they are not one yet,
 * which is quick.
 */
static bool could_go_on(struct jq_child *child, const struct words *words, size_t n)
{
    auto_buf struct buf part = BUF_INIT;
    const struct word *last = &words->list[n - 1];
    struct jq_answer answer;

    if (buf_add_char(&part, '(') < 0 || buf_add(&part, words->text.p, last->at + last->n) < 0 ||
        jq_child_ask(child, JQ_TRY, buf_bytes(&part), &answer) < 0)
        return false;
    return answer.outcome == JQ_COMPILED ||
           (answer.outcome == JQ_REFUSED && begins_with(answer.text, too_early));
}

/* jq tells the line; the word is the first that no program could have there. */
static size_t first_wrong_word(struct jq_child *child, const struct words *words)
{
    size_t good = 0, bad = words->n;

    while (bad - good > 1) {
        size_t middle = good + (bad - good) / 2;

        *(could_go_on(child, words, middle) ? &good : &bad) = middle;
    }
    return bad - 1;
}

static int syntax_problem(struct jq_child *child, const struct words *words, const char *why,
                          struct error *err)
{
    auto_buf struct buf wrong = BUF_INIT;
    size_t i;

    if (words->n == 0 || begins_with(why, too_early))
        return filter_problem(err, words->text, words->text.n, "something is missing");
    i = first_wrong_word(child, words);
    if (buf_add_bytes(&wrong, word_text(words, i)) < 0 || buf_str(&wrong) == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return filter_problem(err, words->text, words->list[i].at, "`%.40s` does not belong here",
                          wrong.p);
}

/* "foo/1 is not defined", "$x is not defined" */
static size_t place_of_undefined(const struct words *words, const char *why)
{
    bool variable = why[0] == '$';
    struct bytes name = {why + variable, strcspn(why + variable, "/ ")};

    for (size_t i = 0; i < words->n; i++)
        if (words->list[i].kind == WORD_NAME && bytes_equal(word_text(words, i), name) &&
            (i > 0 && word_is(words, i - 1, WORD_SIGN, "$")) == variable)
            return words->list[i].at;
    return FILTER_NOWHERE;
}

/* A name alone that jq does not know was hardly meant to call something. */
static int undefined_problem(const struct words *words, const char *why, struct error *err)
{
    size_t at = place_of_undefined(words, why);
    int n = (int)strcspn(why, "/");

    if (why[0] == '$' || !begins_with(why + n, "/0 is not defined") || n > NAME_SHOWN_MAX)
        return filter_problem(err, words->text, at, "%s", why);
    return filter_problem(err, words->text, at, "%s; a key is `.%.*s`, a string `\"%.*s\"`", why, n,
                          why, n, why);
}

static int problem(struct jq_child *child, const struct words *words, const char *why,
                   struct error *err)
{
    if (begins_with(why, "syntax error"))
        return syntax_problem(child, words, why, err);
    return undefined_problem(words, why, err);
}

static int compile(struct libjq_filter *filter, const struct words *words, struct error *err)
{
    struct jq_answer answer;
    bool fresh;

    if (jq_child_take(&filter->child, &fresh, err) < 0)
        return -1;
    if (jq_child_ask(&filter->child, JQ_COMPILE, buf_bytes(&filter->expression), &answer) == 0) {
        if (answer.outcome == JQ_COMPILED) {
            jq_child_give(&filter->child);
            return 0;
        }
        if (answer.outcome == JQ_REFUSED)
            return problem(&filter->child, words, answer.text, err);
    }
    return filter_problem(err, words->text, FILTER_NOWHERE,
                          answer.stuck ? "the process that compiles it was stopped"
                                       : "it is too much for jq");
}

int libjq_filter_new(const struct words *words, struct libjq_filter **ret, struct error *err)
{
    struct libjq_filter *filter;

    if (words->n > LIBJQ_WORDS_MAX)
        return filter_problem(err, words->text, FILTER_NOWHERE,
                              "it has %zu words, and jq takes %u at most", words->n,
                              LIBJQ_WORDS_MAX);
    filter = calloc(1, sizeof *filter);
    if (filter == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    filter->child = JQ_CHILD_INIT;
    filter->own = (struct filter_credit)FILTER_CREDIT_INIT;
    filter->credit = &filter->own;
    if (buf_add_bytes(&filter->expression, words->text) < 0)
        fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    else if (compile(filter, words, err) == 0) {
        *ret = filter;
        return 0;
    }
    libjq_filter_free(filter);
    return -1;
}

void libjq_filter_share(struct libjq_filter *filter, struct filter_credit *credit)
{
    filter->credit = credit;
}

void libjq_filter_free(struct libjq_filter *filter)
{
    if (filter == NULL)
        return;
    jq_child_stop(&filter->child);
    buf_done(&filter->expression);
    buf_done(&filter->text);
    buf_done(&filter->repaired);
    free(filter);
}

/* ---- matching ---- */

/* The 16 bits of the \uXXXX at p; 0 when there is none. */
static unsigned escaped_code(const char *p, const char *end)
{
    char digits[5] = "";

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return 0;
    memcpy(digits, p + 2, 4);
    return (unsigned)strtoul(digits, NULL, 16);
}

/* Bytes of the escape at p, and whether it is half a character. */
static size_t escape_length(const char *p, const char *end, bool *ret_lone)
{
    unsigned code = escaped_code(p, end);

    *ret_lone = false;
    if (end - p < 6 || p[1] != 'u')
        return end - p < 2 ? 1 : 2;
    if (code < 0xd800 || code > 0xdfff)
        return 6;
    if (code < 0xdc00 && (escaped_code(p + 6, end) & 0xfc00) == 0xdc00)
        return 12;
    *ret_lone = true;
    return 6;
}

/* jq takes no lone surrogates.  Those of the text become U+FFFD; *ret is what jq may see. */
static int repair(struct libjq_filter *filter, struct bytes *ret)
{
    const struct bytes text = buf_bytes(&filter->text);
    const char *p = text.p, *const end = text.p + text.n;
    struct buf *out = &filter->repaired;

    *ret = text;
    if (memmem(p, text.n, "\\ud", 3) == NULL && memmem(p, text.n, "\\uD", 3) == NULL)
        return 0;
    buf_clear(out);
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((escape != NULL ? escape : end) - p), n;
        bool lone;

        if (buf_add(out, p, plain) < 0)
            return -1;
        p += plain;
        if (escape == NULL)
            break;
        n = escape_length(p, end, &lone);
        if (lone ? buf_add_str(out, "\\ufffd") < 0 : buf_add(out, p, n) < 0)
            return -1;
        p += n;
    }
    *ret = buf_bytes(out);
    return 0;
}

/* -1: it ended, or has to. */
static int ask(struct libjq_filter *filter, bool fresh, struct bytes text, struct jq_answer *ret)
{
    if (fresh &&
        (jq_child_ask(&filter->child, JQ_COMPILE, buf_bytes(&filter->expression), ret) < 0 ||
         ret->outcome != JQ_COMPILED))
        return -1;
    return jq_child_ask(&filter->child, JQ_MATCH, text, ret) < 0 || ret->outcome == JQ_TOO_LARGE
               ? -1
               : 0;
}

/*
 * 1: answered.  0: jq failed on it.  A process that was there before can have ended for another
 * reason: libjq had lost too much memory, or somebody ended it.  So a fresh one has the last word.
 */
static int ask_about(struct libjq_filter *filter, struct bytes text, struct jq_answer *ret,
                     struct error *err)
{
    bool fresh;

    do {
        if (jq_child_take(&filter->child, &fresh, err) < 0)
            return -1;
        *ret = (struct jq_answer){.outcome = JQ_OUTCOMES};
        if (ask(filter, fresh, text, ret) == 0 && ret->outcome <= JQ_ODD) {
            jq_child_give(&filter->child);
            return 1;
        }
        jq_child_stop(&filter->child);
    } while (!fresh && ret->outcome != JQ_TOO_LONG);
    return 0;
}

/* One less, unless another thread was quicker and none is left. */
static void take_credit(struct filter_credit *credit)
{
    unsigned left = atomic_load(&credit->failures);

    while (left > 0 && !atomic_compare_exchange_weak(&credit->failures, &left, left - 1))
        continue;
    atomic_store(&credit->answers, 0);
}

static void give_credit(struct filter_credit *credit)
{
    unsigned left = atomic_load(&credit->failures);

    if (atomic_fetch_add(&credit->answers, 1) + 1 < ANSWERS_PER_FAILURE)
        return;
    atomic_store(&credit->answers, 0);
    while (left < FILTER_FAILURES_MAX &&
           !atomic_compare_exchange_weak(&credit->failures, &left, left + 1))
        continue;
}

static enum filter_result fail_on(struct libjq_filter *filter, const struct message *message,
                                  const struct jq_answer *answer, struct error *err)
{
    take_credit(filter->credit);
    if (answer->stuck) {
        fail(err, PLSM_ERROR_USAGE, "the process that evaluates the filter was stopped");
        fail_hint(err, "%s was killed, since it did not go on. It is started again for the next message.",
                  JQ_PROGRAM_FILE);
    } else if (answer->outcome == JQ_TOO_LONG || answer->outcome == JQ_TOO_LARGE) {
        fail(err, PLSM_ERROR_USAGE, "the filter takes too much time or memory on a message");
    } else {
        fail(err, PLSM_ERROR_USAGE, "the filter made jq crash on a message");
        fail_hint(err, "jq crashes on values that nest very deeply, among others. Make the "
                       "expression simpler.");
    }
    fail_seq(err, message->seq);
    return FILTER_FAILED;
}

static enum filter_result give_up(const struct message *message, struct error *err)
{
    fail(err, PLSM_ERROR_USAGE, "the filter failed on too many messages");
    fail_seq(err, message->seq);
    fail_hint(err, "It is not evaluated any more. Make the expression simpler.");
    return FILTER_FAILED;
}

static enum filter_result result_of(struct libjq_filter *filter, const struct jq_answer *answer,
                                    struct buf *odd)
{
    give_credit(filter->credit);
    if (answer->outcome == JQ_ODD)
        (void)buf_add_str(odd, answer->text); /* then it is told without */
    return answer->outcome == JQ_ODD   ? FILTER_ODD
           : answer->outcome == JQ_YES ? FILTER_YES
                                       : FILTER_NO;
}

enum filter_result libjq_filter_match(struct libjq_filter *filter, const struct message *message,
                                      struct buf *odd, struct error *err)
{
    struct jq_answer answer;
    struct bytes text;

    if (atomic_load(&filter->credit->failures) == 0)
        return give_up(message, err);
    buf_clear(&filter->text);
    if (message_render(message, &filter->cache, &filter->text) < 0 || repair(filter, &text) < 0) {
        fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        return FILTER_FAILED;
    }
    switch (ask_about(filter, text, &answer, err)) {
    case 1:
        return result_of(filter, &answer, odd);
    case 0:
        return fail_on(filter, message, &answer, err);
    default:
        return FILTER_FAILED;
    }
}
