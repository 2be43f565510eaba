#include "filter_scan.h"

#include "filter_mistake.h"
#include "filter_problem.h"

#include <stdlib.h>

struct nest {
    char close;  /* ')' ']' '}', 'e' for the end of an if, '"' for an interpolation */
    uint32_t at; /* of what opened it */
};

struct scan {
    struct words words;
    size_t cap;
    size_t at; /* the next byte */
    struct nest nests[SCAN_DEPTH_MAX];
    size_t depth;
    struct error *err;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* jq 1.6 takes no carriage return. */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* The byte `ahead` of the place, NUL behind the end. */
static char look(const struct scan *s, size_t ahead)
{
    return s->at + ahead < s->words.text.n ? s->words.text.p[s->at + ahead] : '\0';
}

static int add(struct scan *s, enum word_kind kind, size_t n)
{
    struct words *w = &s->words;

    if (w->n == s->cap) {
        size_t cap = s->cap == 0 ? 32 : 2 * s->cap;
        struct word *list = realloc(w->list, cap * sizeof *list);

        if (list == NULL)
            return fail(s->err, PLSM_ERROR_INTERNAL, "out of memory");
        w->list = list;
        s->cap = cap;
    }
    w->list[w->n] = (struct word){.kind = (uint8_t)kind, .at = (uint32_t)s->at, .n = (uint32_t)n};
    w->n += kind != WORD_END;
    s->at += n;
    return 0;
}

static int wrong(struct scan *s, size_t at, const char *what)
{
    return filter_problem(s->err, s->words.text, at, "%s", what);
}

static int open_nest(struct scan *s, char close)
{
    if (s->depth == SCAN_DEPTH_MAX)
        return wrong(s, s->at, "brackets nest too deeply");
    s->nests[s->depth++] = (struct nest){close, (uint32_t)s->at};
    return 0;
}

static char innermost(const struct scan *s)
{
    return s->depth > 0 ? s->nests[s->depth - 1].close : '\0';
}

/* ---- strings ---- */

/* From `at`, behind the opening quote or the `)` of an interpolation, up to what ends this part. */
static int scan_string(struct scan *s, bool goes_on)
{
    struct bytes text = s->words.text;
    size_t i = s->at + 1;

    while (i < text.n && text.p[i] != '"') {
        if (text.p[i] == '\\' && i + 1 < text.n && text.p[i + 1] == '(') {
            enum word_kind kind = goes_on ? WORD_STRING_MORE : WORD_STRING_HEAD;
            return open_nest(s, '"') < 0 ? -1 : add(s, kind, i + 2 - s->at);
        }
        i += text.p[i] == '\\' ? 2 : 1;
    }
    if (i >= text.n)
        return wrong(s, s->at, "the string that begins here has no end");
    return add(s, goes_on ? WORD_STRING_TAIL : WORD_STRING, i + 1 - s->at);
}

/* ---- names ---- */

static size_t name_length(const struct scan *s, size_t from)
{
    size_t n = from;

    while (is_letter(look(s, n)) || (n > from && is_digit(look(s, n))))
        n++;
    return n - from;
}

static bool previous_is(const struct scan *s, const char *text)
{
    return s->words.n > 0 && word_is(&s->words, s->words.n - 1, WORD_SIGN, text);
}

/* The next byte that is neither blank nor in a comment. */
static char behind(const struct scan *s, size_t ahead)
{
    while (is_blank(look(s, ahead)) || look(s, ahead) == '#') {
        if (look(s, ahead++) == '#')
            while (look(s, ahead) != '\n' && s->at + ahead < s->words.text.n)
                ahead++;
    }
    return look(s, ahead);
}

/* In {foo: 1, bar} foo and bar are keys. */
static bool is_key(const struct scan *s, size_t n)
{
    char next = behind(s, n);

    return innermost(s) == '}' && (previous_is(s, "{") || previous_is(s, ",")) &&
           (next == ':' || next == ',' || next == '}');
}

static int scan_name(struct scan *s)
{
    size_t n = name_length(s, 0), more;
    struct bytes name;

    while (look(s, n) == ':' && look(s, n + 1) == ':' && (more = name_length(s, n + 2)) > 0)
        n += 2 + more;
    name = (struct bytes){s->words.text.p + s->at, n};
    if (is_key(s, n))
        return add(s, WORD_KEY, n);
    if (!previous_is(s, "$")) {
        if (bytes_equal(name, BYTES("if")) && open_nest(s, 'e') < 0)
            return -1;
        if (bytes_equal(name, BYTES("end"))) {
            if (innermost(s) != 'e')
                return wrong(s, s->at, "there is no `if` for this `end`");
            s->depth--;
        }
    }
    return add(s, WORD_NAME, n);
}

/* ---- numbers and signs ---- */

/*
 * For jq any digits and dots are a number, also those that are none (1.2.3); an exponent makes one
 * of a dot (.e5).
 */
static size_t number_length(const struct scan *s)
{
    size_t n = 0, exponent;
    bool digit = false;

    for (; is_digit(look(s, n)) || look(s, n) == '.'; n++)
        digit |= is_digit(look(s, n));
    if (n == 0 || (look(s, n) != 'e' && look(s, n) != 'E'))
        return digit ? n : 0;
    exponent = n + 1;
    if (look(s, exponent) == '+' || look(s, exponent) == '-')
        exponent++;
    if (!is_digit(look(s, exponent)))
        return digit ? n : 0;
    while (is_digit(look(s, exponent)))
        exponent++;
    return exponent;
}

static int close_nest(struct scan *s, char c)
{
    static const char what[] = "there is nothing that this closes";

    if (s->depth == 0)
        return wrong(s, s->at, what);
    if (innermost(s) == '"' && c == ')') {
        s->depth--;
        return scan_string(s, true);
    }
    if (innermost(s) != c)
        return filter_problem(s->err, s->words.text, s->nests[s->depth - 1].at,
                              "what opens here is not closed");
    s->depth--;
    return add(s, WORD_SIGN, 1);
}

static int scan_sign(struct scan *s)
{
    static const char signs[][5] = {"?//=", "?//", "//=", "!=", "==", "|=", "+=", "-=",
                                    "*=",   "/=",  "%=",  "//", "<=", ">=", ".."};
    struct bytes rest = {s->words.text.p + s->at, s->words.text.n - s->at};
    char c = rest.p[0];

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t n = strlen(signs[i]);

        if (rest.n >= n && memcmp(rest.p, signs[i], n) == 0)
            return add(s, WORD_SIGN, n);
    }
    if (c == ')' || c == ']' || c == '}')
        return close_nest(s, c);
    if ((c == '(' || c == '[' || c == '{') && open_nest(s, c == '('   ? ')'
                                                           : c == '[' ? ']'
                                                                      : '}') < 0)
        return -1;
    if (c == '\0' || strchr(".?=;,:|+-*/%$<>([{", c) == NULL)
        return mistaken_character(s->words.text, s->at, s->err);
    return add(s, WORD_SIGN, 1);
}

static int scan_word(struct scan *s)
{
    char c = look(s, 0);
    size_t n = number_length(s), name = c == '.' ? name_length(s, 1) : 0;

    if (c == '"')
        return scan_string(s, false);
    if (is_letter(c))
        return scan_name(s);
    if (name > 0 && name + 1 > n)
        return add(s, WORD_FIELD, name + 1);
    if (n > 0)
        return add(s, WORD_NUMBER, n);
    if (c == '@') {
        for (n = 1; is_letter(look(s, n)) || is_digit(look(s, n));)
            n++;
        if (n > 1)
            return add(s, WORD_FORMAT, n);
    }
    return scan_sign(s);
}

static int scan_all(struct scan *s)
{
    struct bytes text = s->words.text;

    while (s->at < text.n) {
        if (is_blank(text.p[s->at])) {
            s->at++;
        } else if (text.p[s->at] == '#') {
            while (s->at < text.n && text.p[s->at] != '\n')
                s->at++;
        } else if (scan_word(s) < 0) {
            return -1;
        }
    }
    if (s->depth > 0)
        return wrong(s, s->nests[s->depth - 1].at, "what opens here is not closed");
    return add(s, WORD_END, 0);
}

int words_scan(struct bytes text, struct words *ret, struct error *err)
{
    struct scan s = {.words = {.text = text}, .err = err};

    if (text.n > FILTER_EXPRESSION_MAX)
        return filter_problem(err, text, FILTER_NOWHERE, "it is longer than %u bytes",
                              FILTER_EXPRESSION_MAX);
    if (text.n == 0)
        return filter_problem(err, text, FILTER_NOWHERE, "it is empty");
    if (!bytes_are_utf8(text))
        return filter_problem(err, BYTES("..."), FILTER_NOWHERE, "it is not UTF-8");
    if (memchr(text.p, '\0', text.n) != NULL)
        return wrong(&s, FILTER_NOWHERE, "it has a NUL byte");
    if (scan_all(&s) < 0) {
        words_done(&s.words);
        return -1;
    }
    *ret = s.words;
    return 0;
}

void words_done(struct words *words)
{
    free(words->list);
    words->list = NULL;
}

bool word_is(const struct words *words, size_t i, enum word_kind kind, const char *text)
{
    return words->list[i].kind == kind && bytes_equal(word_text(words, i), bytes_of(text));
}

int word_depth(const struct words *words, size_t i)
{
    const struct word *word = &words->list[i];
    char c = words->text.p[word->at];

    switch ((enum word_kind)word->kind) {
    case WORD_SIGN:
        return (c == '(' || c == '[' || c == '{') - (c == ')' || c == ']' || c == '}');
    case WORD_STRING_HEAD:
        return 1;
    case WORD_STRING_TAIL:
        return -1;
    case WORD_NAME:
        if (i > 0 && word_is(words, i - 1, WORD_SIGN, "$"))
            return 0;
        return word_is(words, i, WORD_NAME, "if") - word_is(words, i, WORD_NAME, "end");
    default:
        return 0;
    }
}
