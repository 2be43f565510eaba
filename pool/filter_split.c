#include "filter_split.h"

#include "filter_program.h"

#include <stdlib.h>

/* What binds looser than `and`, or reaches to the end of the expression. */
static bool is_looser(const struct words *words, size_t i)
{
    static const char *const signs[] = {"|",  ",",  ";",  "=",  "|=", "+=",  "-=",
                                        "*=", "/=", "%=", "//", "//=", "?//", "?//="};
    static const char *const names[] = {"or", "def", "as", "label", "try"};
    enum word_kind kind = words->list[i].kind;

    for (size_t k = 0; kind == WORD_SIGN && k < sizeof signs / sizeof *signs; k++)
        if (word_is(words, i, WORD_SIGN, signs[k]))
            return true;
    for (size_t k = 0; kind == WORD_NAME && k < sizeof names / sizeof *names; k++)
        if (word_is(words, i, WORD_NAME, names[k]))
            return true;
    return false;
}

/* The word behind the condition that begins at `from`; 0 when there are no conditions. */
static size_t condition_end(const struct words *words, size_t from)
{
    int depth = 0;
    size_t i;

    for (i = from; i < words->n; i++) {
        if (depth == 0 && is_looser(words, i))
            return 0;
        if (depth == 0 && word_is(words, i, WORD_NAME, "and"))
            return i;
        depth += word_depth(words, i);
    }
    return i;
}

/* Does the `?` at `i` belong to a step into a value, .a? or .a[0]? */
static bool is_of_step(const struct words *words, size_t i)
{
    int depth = 0;

    if (i == 0 || words->list[--i].kind == WORD_FIELD)
        return i > 0 || words->list[0].kind == WORD_FIELD;
    if (!word_is(words, i, WORD_SIGN, "]"))
        return false;
    do
        depth += word_depth(words, i);
    while (depth < 0 && i-- > 0);
    return i > 0 &&
           (words->list[i - 1].kind == WORD_FIELD || word_is(words, i - 1, WORD_SIGN, ".") ||
            word_is(words, i - 1, WORD_SIGN, "]"));
}

/* $__loc__ is the line that it stands in, of the whole. */
static bool tells_lines(const struct words *words)
{
    for (size_t i = 0; i < words->n; i++)
        if (word_is(words, i, WORD_NAME, "__loc__"))
            return true;
    return false;
}

/*
 * In jq 1.6 `try`, `?` behind anything but a step, and all but the last pattern of `?//` swallow the errors of what comes
 * later, too: of the other conditions.
 */
static bool swallows_errors(const struct words *words)
{
    for (size_t i = 0; i < words->n; i++)
        if (word_is(words, i, WORD_NAME, "try") || word_is(words, i, WORD_NAME, "isvalid") ||
            word_is(words, i, WORD_SIGN, "?//") ||
            (word_is(words, i, WORD_SIGN, "?") && !is_of_step(words, i)))
            return true;
    return false;
}

static void append_words(struct words *to, const struct words *from, size_t begin, size_t end)
{
    memcpy(to->list + to->n, from->list + begin, (end - begin) * sizeof *to->list);
    to->n += end - begin;
    to->list[to->n] = (struct word){.kind = WORD_END, .at = (uint32_t)from->text.n};
}

/* As program_parse() of some of the words. */
static int is_native(const struct words *words, size_t begin, size_t end, struct error *err)
{
    auto_words struct words part = {.text = words->text};
    struct program program = {0};
    size_t at;
    int result;

    part.list = calloc(end - begin + 1, sizeof *part.list);
    if (part.list == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    append_words(&part, words, begin, end);
    result = program_parse(&part, &program, &at, err);
    program_done(&program);
    return result;
}

static int add_rest(struct buf *rest, const struct words *words, size_t begin, size_t end)
{
    const struct word *first = &words->list[begin], *last = &words->list[end - 1];

    if (buf_add_str(rest, rest->n == 0 ? "true\nand " : "\nand ") < 0)
        return -1;
    return buf_add(rest, words->text.p + first->at, last->at + last->n - first->at);
}

static int split(const struct words *words, struct words *native, struct buf *rest,
                 struct error *err)
{
    for (size_t begin = 0, end; begin <= words->n; begin = end + 1) {
        int result;

        end = condition_end(words, begin);
        if (end <= begin) /* which libjq knows how to judge */
            return 0;
        result = is_native(words, begin, end, err);
        if (result < 0)
            return -1;
        if (result == 0 && add_rest(rest, words, begin, end) < 0)
            return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        if (result > 0)
            append_words(native, words, begin - (native->n > 0), end); /* with its `and` */
    }
    return native->n > 0 && rest->n > 0;
}

int words_split(const struct words *words, struct words *ret_native, struct buf *ret_rest,
                struct error *err)
{
    auto_words struct words native = {.text = words->text};
    int result;

    if (words->n == 0 || condition_end(words, 0) == words->n || swallows_errors(words) ||
        tells_lines(words))
        return 0;
    native.list = calloc(words->n + 1, sizeof *native.list);
    if (native.list == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    buf_clear(ret_rest);
    result = split(words, &native, ret_rest, err);
    if (result == 1) {
        *ret_native = native;
        native.list = NULL; /* handed to the caller */
    }
    return result;
}
