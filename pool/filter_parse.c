/*
 * Reads the part of jq that the native evaluator knows.  Precedence as in jq 1.6, loosest first:
 *
 *     |   ,   //   or   and   == != < <= > >= (once)   a term and its steps
 *
 * Whatever does not fit ends the reading, and the whole expression goes to libjq, which also knows
 * what is wrong with those that are.  So a rule here is either exactly jq's or missing.
 */
#include "filter_parse.h"

#include "filter_problem.h"
#include "filter_regex.h"

/* Expressions inside each other: what parsing may take of the stack. */
#define NEST_MAX 200

/* ---- functions ---- */

static struct node *parse_with_base(struct parse *p, int base)
{
    int outer = p->base;
    struct node *node;

    p->base = base;
    node = parse_pipe(p);
    p->base = outer;
    return node;
}

static int base_behind(const struct node *node)
{
    return node != NULL && node->kind == NODE_PATH ? node->path : PATH_NONE;
}

static struct node *node_each(struct parse *p, struct node *of)
{
    return node_of(p, NODE_EACH, NULL, &of, 1);
}

/* Behind the `(` of a call: is there a `;` before the `)` that closes it? */
static bool second_argument(const struct parse *p)
{
    int depth = 0;

    for (size_t i = p->at; i < p->words->n && depth >= 0; i++) {
        if (depth == 0 && word_is(p->words, i, WORD_SIGN, ";"))
            return true;
        depth += word_depth(p->words, i);
    }
    return false;
}

/* any is any(.[]; .), any(f) is any(.[]; f); `(` is behind us when there are arguments. */
static struct node *parse_any(struct parse *p, enum node_kind kind, bool arguments)
{
    struct node *args[2];

    if (arguments && second_argument(p)) {
        args[0] = parse_pipe(p);
        if (!take_sign(p, ";"))
            return NULL;
    } else {
        args[0] = node_each(p, node_here(p));
    }
    args[1] = arguments ? parse_with_base(p, base_behind(args[0])) : node_new(p, NODE_INPUT);
    return !arguments || take_sign(p, ")") ? node_of(p, kind, NULL, args, 2) : NULL;
}

/* IN(s): is an output of . == s true? */
static struct node *parse_in(struct parse *p)
{
    struct node *of = parse_pipe(p), *equal;

    if (of == NULL || !take_sign(p, ")"))
        return NULL;
    equal = node_apply(p, call_comparison(BYTES("==")), node_here(p), of);
    return node_of(p, NODE_SOME, NULL, &equal, 1);
}

/* select(f) is if f then . else empty end */
static struct node *parse_select(struct parse *p)
{
    struct node *args[2] = {parse_pipe(p), node_here(p)};

    return take_sign(p, ")") ? node_of(p, NODE_IF, NULL, args, 2) : NULL;
}

/*
 * A call looks at its input, which is at hand but at the top, where nobody has asked for the whole
 * message yet.
 */
static struct node *node_call(struct parse *p, const struct call *call, struct node *arg)
{
    struct node *node = node_apply(p, call, arg, NULL), *pipe;
    struct node **list;

    if (p->base != PATH_TOP || node == NULL)
        return node;
    pipe = node_new(p, NODE_PIPE);
    list = parse_allocate(p, 2 * sizeof(struct node *));
    if (pipe == NULL || list == NULL || (list[0] = node_here(p)) == NULL)
        return NULL;
    list[1] = node;
    pipe->list = list;
    pipe->n = 2;
    return pipe;
}

/* Adds it to the program's list, so that it is released with it. */
static struct regex *regex_new(struct parse *p, struct bytes pattern, const char *flags)
{
    struct regex *regex = parse_allocate(p, sizeof *regex);
    char why[128];

    if (regex == NULL)
        return NULL;
    switch (regex_init(regex, pattern, flags, why, sizeof why, p->err)) {
    case 0:
        regex->at = p->at;
        regex->next = p->program->regexes;
        p->program->regexes = regex;
        return regex;
    case 1:
        filter_problem(p->err, p->words->text, p->words->list[p->at].at,
                       "this regular expression is none: %s", why);
        break;
    default:
        break;
    }
    p->failed = true;
    return NULL;
}

/* test("..."), test("..."; "flags" or null) */
static struct node *parse_test(struct parse *p)
{
    struct bytes pattern, flags = BYTES("");
    size_t behind = p->at + 1;
    struct regex *regex;
    struct node *node;

    if (kind_here(p) != WORD_STRING || !parse_string(p, p->at, &pattern))
        return NULL;
    if (word_is(p->words, behind, WORD_SIGN, ";")) {
        if (!word_is(p->words, behind + 1, WORD_NAME, "null") &&
            (p->words->list[behind + 1].kind != WORD_STRING ||
             !parse_string(p, behind + 1, &flags)))
            return NULL;
        behind += 2;
    }
    if (!word_is(p->words, behind, WORD_SIGN, ")") || strspn(flags.p, REGEX_FLAGS) != flags.n)
        return NULL;
    regex = regex_new(p, pattern, flags.p);
    if (regex == NULL || (node = node_call(p, &call_test, NULL)) == NULL)
        return NULL;
    (node->kind == NODE_PIPE ? node->list[1] : node)->regex = regex;
    p->at = behind + 1;
    return node;
}

static struct node *parse_call(struct parse *p)
{
    struct bytes name = word_text(p->words, p->at++);
    bool arguments = take_sign(p, "(");
    const struct call *call = call_find(name, arguments);
    struct node *arg = NULL;

    if (bytes_equal(name, BYTES("any")))
        return parse_any(p, NODE_ANY, arguments);
    if (bytes_equal(name, BYTES("all")))
        return parse_any(p, NODE_ALL, arguments);
    if (arguments && bytes_equal(name, BYTES("IN")))
        return parse_in(p);
    if (arguments && bytes_equal(name, BYTES("select")))
        return parse_select(p);
    if (arguments && bytes_equal(name, BYTES("test")))
        return parse_test(p);
    if (call == NULL) {
        p->at -= arguments ? 2 : 1;
        return NULL;
    }
    if (arguments && ((arg = parse_pipe(p)) == NULL || !take_sign(p, ")")))
        return NULL;
    if (bytes_equal(name, BYTES("index")) &&
        (arg->kind != NODE_CONST || arg->value.kind != VAL_STRING))
        return NULL;
    return node_call(p, call, arg);
}

/* if a then b elif c then d else e end; `if` is behind us */
static struct node *parse_if(struct parse *p)
{
    struct node *args[3] = {parse_pipe(p), NULL, NULL};

    if (args[0] != NULL && take_name(p, "then"))
        args[1] = parse_pipe(p);
    if (args[1] == NULL)
        return NULL;
    if (take_name(p, "elif")) {
        if (++p->depth > NEST_MAX)
            return NULL;
        args[2] = parse_if(p);
        p->depth--;
    } else if (take_name(p, "else")) {
        args[2] = parse_pipe(p);
        if (!take_name(p, "end"))
            return NULL;
    }
    return args[2] != NULL ? node_of(p, NODE_IF, NULL, args, 3) : NULL;
}

/* ---- steps ---- */

/* Behind a step: `?` once.  A second one is another thing. */
static struct node *with_question(struct parse *p, struct node *node)
{
    if (node == NULL || !take_sign(p, "?"))
        return node;
    node->optional = true;
    return sign_is(p, "?") ? NULL : node;
}

static struct node *step_field(struct parse *p, struct node *of, struct bytes key)
{
    struct node *node;

    if (of != NULL && of->kind == NODE_PATH && !of->optional)
        return with_question(p, node_path(p, path_child(p, of->path, key)));
    node = node_apply(p, &call_field, of, NULL);
    if (node != NULL)
        node->value = val_string(key);
    return with_question(p, node);
}

/* Behind `[`: `]`, "key" or a number. */
static struct node *step_bracket(struct parse *p, struct node *of)
{
    struct bytes key;
    struct node *node;
    bool minus;

    if (take_sign(p, "]"))
        return with_question(p, node_each(p, of));
    if (kind_here(p) == WORD_STRING && parse_string(p, p->at, &key)) {
        p->at++;
        return take_sign(p, "]") ? step_field(p, of, key) : NULL;
    }
    minus = take_sign(p, "-");
    node = node_apply(p, &call_index, of, NULL);
    if (node == NULL || kind_here(p) != WORD_NUMBER || !parse_number(p, minus, &node->value) ||
        !take_sign(p, "]"))
        return NULL;
    return with_question(p, node);
}

static bool step_follows(const struct parse *p)
{
    return kind_here(p) == WORD_FIELD || sign_is(p, "[") ||
           (sign_is(p, ".") && p->words->list[p->at + 1].kind == WORD_STRING);
}

static struct node *parse_step(struct parse *p, struct node *of)
{
    struct bytes key = word_text(p->words, p->at);

    if (kind_here(p) == WORD_FIELD) {
        p->at++;
        return step_field(p, of, (struct bytes){key.p + 1, key.n - 1});
    }
    if (take_sign(p, "["))
        return step_bracket(p, of);
    p->at++; /* the dot of ."key" */
    if (!parse_string(p, p->at, &key))
        return NULL;
    p->at++;
    return step_field(p, of, key);
}

static struct node *parse_name(struct parse *p)
{
    struct val literal;

    if (take_name(p, "if"))
        return parse_if(p);
    return parse_literal(p, &literal) ? node_const(p, literal) : parse_call(p);
}

static struct node *parse_number_term(struct parse *p, bool minus)
{
    struct val value;

    return kind_here(p) == WORD_NUMBER && parse_number(p, minus, &value) ? node_const(p, value)
                                                                         : NULL;
}

static struct node *parse_plain_term(struct parse *p)
{
    struct node *node;
    struct bytes text;

    switch (kind_here(p)) {
    case WORD_FIELD:
        return node_here(p); /* the step itself comes next */
    case WORD_NUMBER:
        return parse_number_term(p, false);
    case WORD_STRING:
        if (!parse_string(p, p->at, &text))
            return NULL;
        p->at++;
        return node_const(p, val_string(text));
    case WORD_NAME:
        return parse_name(p);
    default:
        break;
    }
    if (sign_is(p, "[") || sign_is(p, "{"))
        return parse_container(p);
    if (sign_is(p, ".")) {
        p->at += p->words->list[p->at + 1].kind != WORD_STRING;
        return node_here(p);
    }
    if (take_sign(p, "-"))
        return parse_number_term(p, true);
    if (!take_sign(p, "("))
        return NULL;
    node = parse_pipe(p);
    return take_sign(p, ")") ? node : NULL;
}

/*
 * In jq 1.6 an `if` and a negative number take no steps, and `.` takes none that begins with a dot.
 */
static bool takes_steps(const struct parse *p, size_t first)
{
    if (word_is(p->words, first, WORD_NAME, "if") || word_is(p->words, first, WORD_SIGN, "-"))
        return false;
    return !word_is(p->words, first, WORD_SIGN, ".") || p->at == first || sign_is(p, "[");
}

static struct node *parse_term(struct parse *p)
{
    size_t first = p->at, steps = 0;
    struct node *node = parse_plain_term(p);

    if (!takes_steps(p, first))
        return node != NULL && !step_follows(p) ? node : NULL;
    while (node != NULL && step_follows(p)) {
        if (++steps > PATH_DEPTH_MAX)
            return NULL;
        node = parse_step(p, node);
    }
    return node;
}

/* ---- operators ---- */

static struct node *parse_comparison(struct parse *p)
{
    struct node *left = parse_term(p), *right;
    const struct call *call =
        kind_here(p) == WORD_SIGN ? call_comparison(word_text(p->words, p->at)) : NULL;

    if (left == NULL || call == NULL)
        return left;
    p->at++;
    right = parse_term(p);
    if (right == NULL ||
        (kind_here(p) == WORD_SIGN && call_comparison(word_text(p->words, p->at)) != NULL))
        return NULL;
    return node_apply(p, call, left, right);
}

/*
 * One operand alone is itself; two or more become a list.  `base` follows the operand before in a
 * pipe.
 */
struct operands {
    struct node **list;
    size_t n, cap;
};

static bool operands_add(struct parse *p, struct operands *o, struct node *node)
{
    if (node == NULL)
        return false;
    if (o->n == o->cap) {
        size_t cap = o->cap == 0 ? 4 : 2 * o->cap;
        struct node **list = parse_allocate(p, cap * sizeof(struct node *));

        if (list == NULL)
            return false;
        if (o->n > 0)
            memcpy(list, o->list, o->n * sizeof(struct node *));
        o->list = list;
        o->cap = cap;
    }
    o->list[o->n++] = node;
    return true;
}

static struct node *operands_node(struct parse *p, const struct operands *o, enum node_kind kind)
{
    struct node *node;

    if (o->n == 1)
        return o->list[0];
    node = node_new(p, kind);
    if (node != NULL) {
        node->list = o->list;
        node->n = o->n;
    }
    return node;
}

static struct node *parse_and(struct parse *p)
{
    struct operands o = {0};

    do {
        if (!operands_add(p, &o, parse_comparison(p)))
            return NULL;
    } while (take_name(p, "and"));
    return operands_node(p, &o, NODE_AND);
}

static struct node *parse_or(struct parse *p)
{
    struct operands o = {0};

    do {
        if (!operands_add(p, &o, parse_and(p)))
            return NULL;
    } while (take_name(p, "or"));
    return operands_node(p, &o, NODE_OR);
}

static struct node *parse_else(struct parse *p)
{
    struct node *args[2] = {parse_or(p), NULL};

    if (args[0] == NULL || !take_sign(p, "//"))
        return args[0];
    if (++p->depth > NEST_MAX)
        return NULL;
    args[1] = parse_else(p);
    p->depth--;
    return node_of(p, NODE_ELSE, NULL, args, 2);
}

static struct node *parse_comma(struct parse *p)
{
    struct operands o = {0};

    do {
        if (!operands_add(p, &o, parse_else(p)))
            return NULL;
    } while (take_sign(p, ","));
    return operands_node(p, &o, NODE_COMMA);
}

static bool gives_its_input(const struct node *node)
{
    return node->kind == NODE_IF && node->args[2] == NULL;
}

struct node *parse_pipe(struct parse *p)
{
    struct operands o = {0};
    int outer = p->base;
    bool more = true;

    if (++p->depth > NEST_MAX)
        return NULL;
    while (more) {
        struct node *node = parse_comma(p);

        if (!operands_add(p, &o, node)) {
            p->base = outer;
            return NULL;
        }
        if (!gives_its_input(node))
            p->base = base_behind(node);
        more = take_sign(p, "|");
    }
    p->base = outer;
    p->depth--;
    return operands_node(p, &o, NODE_PIPE);
}
