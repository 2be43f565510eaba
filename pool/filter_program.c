#include "filter_parse.h"
#include "filter_regex.h"

/*
 * Nodes inside each other, and those with several outputs: all of these may be on the stack at
 * once.
 */
#define DEEP_MAX 500
#define SEVERAL_MAX 500

/*
 * Marks what has one output at most, and what needs no payload.  False when it is too much for the
 * stack.
 */
static bool mark(struct node *node, unsigned depth, unsigned *several)
{
    struct node **below = node->list != NULL ? node->list : node->args;
    bool single = node->kind != NODE_EACH && node->kind != NODE_COMMA;

    if (depth == DEEP_MAX)
        return false;
    node->envelope = node->kind != NODE_PATH || (node->path != PATH_TOP && node->path < PATH_DATA);
    for (size_t i = 0; i < node->n; i++) {
        if (!mark(below[i], depth + 1, several))
            return false;
        single &= below[i]->single;
        node->envelope &= below[i]->envelope;
    }
    node->single =
        single || node->kind == NODE_ANY || node->kind == NODE_ALL || node->kind == NODE_SOME;
    if (!single) /* the stages of a pipe wait for each other, those of a list take turns */
        *several += node->list != NULL && node->kind != NODE_COMMA ? (unsigned)node->n : 1;
    return *several <= SEVERAL_MAX;
}

/*
 * `a and b` is true when both are, in whatever order they are asked, and what is not true does not
 * match, errors included.  So at the top those that need no payload come first.
 */
static void order_conjunction(struct program *program)
{
    struct node *top = program->top;
    size_t first = 0;

    if (top->kind != NODE_AND) {
        program->first = &program->top;
        program->n_first = top->envelope;
        return;
    }
    for (size_t i = 0; i < top->n; i++) {
        struct node *each = top->list[i];

        if (!each->envelope)
            continue;
        memmove(&top->list[first + 1], &top->list[first], (i - first) * sizeof *top->list);
        top->list[first++] = each;
    }
    program->first = top->list;
    program->n_first = first;
}

static bool paths_begin(struct parse *p)
{
    static const struct {
        const char *key;
        int parent;
    } fixed[PATHS_FIXED] = {
        [PATH_TOP] = {"",     PATH_NONE},
          [PATH_SEQ] = {"seq",  PATH_TOP },
        [PATH_TIME] = {"time", PATH_TOP },
          [PATH_META] = {"meta", PATH_TOP },
        [PATH_TAGS] = {"tags", PATH_META},
          [PATH_DATA] = {"data", PATH_TOP },
    };
    struct program *program = p->program;

    /* no expression names more than it has words */
    program->paths = parse_allocate(p, (PATHS_FIXED + p->words->n) * sizeof *program->paths);
    if (program->paths == NULL)
        return false;
    for (int i = 0; i < PATHS_FIXED; i++) {
        int parent = fixed[i].parent;

        program->paths[i] =
            (struct path){bytes_of(fixed[i].key), parent, PATH_NONE,
                          parent == PATH_NONE ? PATH_NONE : program->paths[parent].first_child, 0};
        if (parent != PATH_NONE)
            program->paths[parent].first_child = i;
    }
    program->n_paths = PATHS_FIXED;
    return paths_index(p);
}

int program_parse(const struct words *words, struct program *ret, size_t *ret_at, struct error *err)
{
    struct parse p = {.words = words, .program = ret, .base = PATH_TOP, .err = err};
    unsigned several = 0;

    ret->stranger = words->text.n;
    if (paths_begin(&p))
        ret->top = parse_pipe(&p);
    *ret_at = p.at;
    if (p.failed)
        return -1;
    if (ret->top == NULL || kind_here(&p) != WORD_END || !mark(ret->top, 0, &several))
        return 0;
    order_conjunction(ret);
    return 1;
}

void program_done(struct program *program)
{
    for (struct regex *regex = program->regexes; regex != NULL; regex = regex->next)
        regex_done(regex);
    arena_done(&program->arena);
    *program = (struct program){0};
}
