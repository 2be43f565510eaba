#include "filter_mistake.h"

#include "filter_problem.h"

#define SHOWN_MAX 60 /* bytes of a word in a hint */
#define LEN(array) (sizeof(array) / sizeof *(array))

static int shown(struct bytes text)
{
    return (int)(text.n < SHOWN_MAX ? text.n : SHOWN_MAX);
}

/* ---- characters ---- */

/* From an apostrophe to the next one. */
static int mistaken_quote(struct bytes text, size_t at, struct error *err)
{
    const char *begin = text.p + at + 1, *end = memchr(begin, '\'', text.n - at - 1);
    struct bytes inside = {begin, end != NULL ? (size_t)(end - begin) : 0};

    if (inside.n == 0 || inside.n > SHOWN_MAX || memchr(begin, '"', inside.n) != NULL)
        return filter_problem(err, text, at, "strings stand between double quotes: \"text\"");
    return filter_problem(err, text, at, "strings stand between double quotes: \"%.*s\"",
                          (int)inside.n, inside.p);
}

int mistaken_character(struct bytes text, size_t at, struct error *err)
{
    static const struct {
        const char *text, *what;
    } known[] = {
        {"&&", "`&&` is `and` in jq"                                         },
        {"!",  "`!` is `not` in jq, behind a pipe, as in `(.data.ok | not)`" },
        {"~",  "`~` is `test` in jq, as in `(.data.name | test(\"^a\"))`"    },
        {"&",  "`&` has no meaning in jq; `and` joins conditions"            },
    };

    if (text.p[at] == '\'')
        return mistaken_quote(text, at, err);
    for (size_t i = 0; i < LEN(known); i++)
        if (text.n - at >= strlen(known[i].text) &&
            memcmp(text.p + at, known[i].text, strlen(known[i].text)) == 0)
            return filter_problem(err, text, at, "%s", known[i].what);
    return filter_problem(err, text, at, "this character has no meaning here");
}

/* ---- words ---- */

/* Without a blank between them. */
static bool touches_next(const struct words *words, size_t i)
{
    return words->list[i].at + words->list[i].n == words->list[i + 1].at;
}

static int mistaken_sign(const struct words *words, size_t i, struct error *err)
{
    static const struct {
        const char *first, *second, *meant;
    } pairs[] = {
        {"|",  "|", "or"}, {"==", "=", "=="}, {"!=", "=", "!="},
        {"=",  "<", "<="}, {"=",  ">", ">="}, {"<",  ">", "!="},
    };

    for (size_t k = 0; k < LEN(pairs); k++)
        if (word_is(words, i, WORD_SIGN, pairs[k].first) &&
            word_is(words, i + 1, WORD_SIGN, pairs[k].second) && touches_next(words, i))
            return filter_problem(err, words->text, words->list[i].at, "`%s%s` is `%s` in jq",
                                  pairs[k].first, pairs[k].second, pairs[k].meant);
    return 0;
}

static bool is_defined(const struct words *words, struct bytes name)
{
    for (size_t i = 0; i < words->n; i++)
        if (word_is(words, i, WORD_NAME, "def") && bytes_equal(word_text(words, i + 1), name))
            return true;
    return false;
}

static int mistaken_name(const struct words *words, size_t i, struct error *err)
{
    static const struct {
        const char *typed, *meant;
    } names[] = {
        {"AND",   "and"  },
        {"OR",    "or"   },
        {"NOT",   "not"  },
        {"True",  "true" },
        {"TRUE",  "true" },
        {"False", "false"},
        {"FALSE", "false"},
        {"None",  "null" },
        {"NULL",  "null" },
        {"nil",   "null" },
    };

    if (i > 0 && word_is(words, i - 1, WORD_SIGN, "$"))
        return 0;
    for (size_t k = 0; k < LEN(names); k++)
        if (word_is(words, i, WORD_NAME, names[k].typed) &&
            !is_defined(words, bytes_of(names[k].typed)))
            return filter_problem(err, words->text, words->list[i].at, "`%s` is `%s` in jq",
                                  names[k].typed, names[k].meant);
    return 0;
}

/* `.data.["a b"]`, which newer versions of jq take. */
static int mistaken_dot(const struct words *words, size_t i, struct error *err)
{
    bool steps = i > 0 && (words->list[i - 1].kind == WORD_FIELD ||
                           word_is(words, i - 1, WORD_SIGN, "]") ||
                           word_is(words, i - 1, WORD_SIGN, "?"));

    if (!steps || !word_is(words, i, WORD_SIGN, ".") || !word_is(words, i + 1, WORD_SIGN, "["))
        return 0;
    return filter_problem(err, words->text, words->list[i].at,
                          "no dot stands before `[`, as in `.data[\"a b\"]`");
}

static bool is_dash_and_name(const struct words *words, size_t i)
{
    return word_is(words, i, WORD_SIGN, "-") && words->list[i + 1].kind == WORD_NAME &&
           touches_next(words, i - 1) && touches_next(words, i);
}

/* `.data.a-b` is `.data.a - b`, which nobody writes like that.  What was meant is added to *ret. */
static int add_dash(const struct words *words, size_t i, struct buf *ret)
{
    size_t begin = i, end = i;
    struct bytes before = BYTES("."), key;

    if (words->list[i].kind != WORD_FIELD || !is_dash_and_name(words, i + 1))
        return 0;
    while (is_dash_and_name(words, end + 1))
        end += 2;
    if (word_is(words, end + 1, WORD_SIGN, "(") || is_defined(words, word_text(words, i + 2)))
        return 0;
    while (begin > 0 && words->list[begin - 1].kind == WORD_FIELD && touches_next(words, begin - 1))
        begin--;
    if (begin < i)
        before = (struct bytes){words->text.p + words->list[begin].at,
                                words->list[i].at - words->list[begin].at};
    key = word_text(words, i);
    key.n = words->list[end].at + words->list[end].n - words->list[i].at;
    return buf_printf(ret,
                      "a key with a dash is written `%.*s[\"%.*s\"]`; a minus has blanks around it",
                      shown(before), before.p, shown(key) - 1, key.p + 1);
}

static int mistaken_dash(const struct words *words, size_t i, struct error *err)
{
    auto_buf struct buf what = BUF_INIT;

    (void)add_dash(words, i, &what);
    if (what.n == 0 || buf_str(&what) == NULL)
        return 0;
    return filter_problem(err, words->text, words->list[i + 1].at, "%s", what.p);
}

/* Of the `(` of the closing word at `i`, the name of the call; `(` itself when there is none. */
static struct bytes call_of(const struct words *words, size_t i)
{
    int depth = 0;

    do
        depth += word_depth(words, i);
    while (depth < 0 && i-- > 0);
    return word_text(words, i > 0 && words->list[i - 1].kind == WORD_NAME ? i - 1 : i);
}

/* A parenthesis whose value is the answer, or a condition of it. */
static bool asks(const struct words *words, size_t close)
{
    static const char *const asking[] = {"(", "select", "any", "all", "and", "or", "if", "elif"};
    static const char *const behind[] = {"", ")", "and", "or", "then"};
    struct bytes call = call_of(words, close);
    bool called = false, ends = false;

    for (size_t i = 0; i < LEN(asking); i++)
        called |= bytes_equal(call, bytes_of(asking[i]));
    for (size_t i = 0; i < LEN(behind); i++)
        ends |= bytes_equal(word_text(words, close + 1), bytes_of(behind[i]));
    return word_is(words, close, WORD_SIGN, ")") && called && ends;
}

/* Does something go on with the value before this word? */
static bool goes_on(const struct words *words, size_t i)
{
    static const char *const texts[] = {"|", ",", ";", "=", "as", "else", "elif"};

    for (size_t k = 0; k < LEN(texts); k++)
        if (bytes_equal(word_text(words, i), bytes_of(texts[k])))
            return true;
    return false;
}

/* Is the value of the assignment at `i` an answer? */
static bool answers(const struct words *words, size_t i)
{
    int depth = 0;

    for (i++; i < words->n; i++) {
        if (depth == 0 && word_is(words, i, WORD_NAME, "then"))
            return true;
        if (depth == 0 && goes_on(words, i))
            return false;
        depth += word_depth(words, i);
        if (depth >= 0)
            continue;
        if (!asks(words, i))
            return false;
        depth = 0;
    }
    return true;
}

static bool is_assignment(const struct words *words, size_t i)
{
    bool behind_term = i > 0 && (words->list[i - 1].kind != WORD_SIGN ||
                                 strchr(")]}?.", words->text.p[words->list[i - 1].at]) != NULL);

    return behind_term && word_is(words, i, WORD_SIGN, "=");
}

/* Is it one of the words of which the left side of a comparison of paths consists? */
static bool is_plain(const struct words *words, size_t i)
{
    static const char *const texts[] = {"==", "!=", "<", "<=", ">", ">=", "and", "or", "|"};
    enum word_kind kind = words->list[i].kind;

    for (size_t k = 0; k < LEN(texts); k++)
        if (bytes_equal(word_text(words, i), bytes_of(texts[k])))
            return true;
    if (word_is(words, i, WORD_SIGN, "("))
        return i == 0 || word_is(words, i - 1, WORD_SIGN, "(") ||
               word_is(words, i - 1, WORD_SIGN, "|");
    if (word_is(words, i, WORD_SIGN, "."))
        return word_is(words, i + 1, WORD_SIGN, "[");
    return kind == WORD_FIELD || kind == WORD_STRING || kind == WORD_NUMBER;
}

/*
 * Steps into values, comparisons of them and pipes, none of which gives a value to go on with unless
 * it is an object or a list, or the next step fails.
 */
static bool is_plain_until(const struct words *words, size_t end)
{
    for (size_t i = 0; i < end; i++) {
        int depth = 0;

        if (word_is(words, i, WORD_SIGN, "[")) {
            if (i == 0 || (words->list[i - 1].kind != WORD_FIELD &&
                           !word_is(words, i - 1, WORD_SIGN, ".") &&
                           !word_is(words, i - 1, WORD_SIGN, "]")))
                return false;
            while ((depth += word_depth(words, i)) > 0 && i < end)
                i++;
        } else if (!is_plain(words, i)) {
            return false;
        }
    }
    return true;
}

/* Is what the assignment at `i` gives all that comes out?  The parentheses before it are plain ones. */
static bool is_last(const struct words *words, size_t i)
{
    int depth = 0;

    for (i++; i < words->n; i++) {
        if (depth == 0 && (goes_on(words, i) || word_is(words, i, WORD_SIGN, "//")))
            return false;
        depth += word_depth(words, i);
        if (depth >= 0)
            continue;
        if (i + 1 < words->n && !word_is(words, i + 1, WORD_SIGN, ")"))
            return false;
        depth = 0;
    }
    return true;
}

#define ASSIGNMENT "`=` sets a value; `==` compares"

int mistaken_assignment(const struct words *words, struct error *err)
{
    for (size_t i = 0; i < words->n; i++)
        if (is_assignment(words, i) && is_plain_until(words, i) && is_last(words, i))
            return filter_problem(err, words->text, words->list[i].at, ASSIGNMENT);
    return 0;
}

/* ---- what does not compile ---- */

int mistaken_words(const struct words *words, struct error *err)
{
    static int (*const looks[])(const struct words *, size_t, struct error *) = {
        mistaken_sign, mistaken_name, mistaken_dot, mistaken_dash};

    for (size_t i = 0; i < words->n; i++)
        for (size_t k = 0; k < LEN(looks); k++)
            if (looks[k](words, i, err) < 0)
                return -1;
    return mistaken_assignment(words, err);
}

/* ---- doubts ---- */

static bool assigns(const struct words *words)
{
    for (size_t i = 0; i < words->n; i++) {
        struct bytes sign = word_text(words, i);

        if (words->list[i].kind == WORD_SIGN && sign.p[sign.n - 1] == '=' &&
            (sign.n == 1 || strchr("=!<>", sign.p[0]) == NULL))
            return true;
    }
    return false;
}

static int doubt_key(const struct words *words, size_t i, struct buf *ret)
{
    struct bytes field = word_text(words, i);
    bool is_tags = bytes_equal(field, BYTES(".tags"));

    if (words->list[i].kind != WORD_FIELD || word_is(words, i + 1, WORD_SIGN, "?") ||
        word_is(words, i + 1, WORD_SIGN, "//") ||
        (i > 0 && word_is(words, i - 1, WORD_SIGN, "//")) || assigns(words))
        return 0;
    return buf_printf(ret, "no message has `%.*s` at its top; did you mean `%s%.*s`?", (int)field.n,
                      field.p, is_tags ? ".meta" : ".data", (int)field.n, field.p);
}

int words_doubt(const struct words *words, size_t stranger, struct buf *ret)
{
    for (size_t i = 0; i < words->n && ret->n == 0; i++) {
        int rc = 0;

        if (is_assignment(words, i) && answers(words, i))
            rc = buf_add_str(ret, ASSIGNMENT);
        else if (words->list[i].at == stranger)
            rc = doubt_key(words, i, ret);
        if (rc == 0 && ret->n == 0)
            rc = add_dash(words, i, ret);
        if (rc < 0)
            return -1;
    }
    return 0;
}
