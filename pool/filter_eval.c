/*
 * The evaluator.  Nearly every node has one output at most, and one() gives it.  all() is for the
 * others: it hands each output to a sink, and what follows in the expression happens in there, so
 * that jq's order of outputs, and its errors in between, come out by themselves.  Among the
 * arguments of a call the last one varies slowest, as in jq 1.6.
 */
#include "filter_eval.h"

#include "filter_problem.h"

#include <stdlib.h>

/*
 * For one message.  A quarter of a second, or a second when they are of the slowest kind; only a
 * product of long lists takes as many.
 */
#define STEPS_MAX 50000000
#define STEPS_FOREIGN 4000000 /* some 20 ms, and more for a large message */
#define STEPS_FOREIGN_PER_BYTE 4
#define ODD_TEXT_MAX 64 /* bytes of a value in an error */

struct evaluation {
    const struct program *program;
    struct paths paths;
    struct work work;
    uint64_t steps_max; /* for this message */
};

/* Takes one output; anything but FLOW_OK ends the evaluation that gave it. */
struct sink {
    enum flow (*take)(struct evaluation *e, const struct sink *sink, const struct val *value);
};

static enum flow one(struct evaluation *e, const struct node *node, const struct val *in,
                     struct val *ret);
static enum flow all(struct evaluation *e, const struct node *node, const struct val *in,
                     const struct sink *sink);

/* ---- nodes with one output at most ---- */

static enum flow swallow(const struct node *node, enum flow flow)
{
    return flow == FLOW_ERROR && node->optional ? FLOW_NOTHING : flow;
}

static enum flow apply(struct evaluation *e, const struct node *node, const struct val *in,
                       const struct val *args, struct val *ret)
{
    enum flow flow = node->call->apply(&e->work, node, in, args, ret);

    if (e->work.failed != WORK_FINE)
        return FLOW_STOP;
    return swallow(node, flow);
}

/* An error of the path before the last step is one even so. */
static enum flow get_path(struct evaluation *e, const struct node *node, struct val *ret)
{
    enum flow flow = paths_get(&e->paths, &e->work, node->path, ret);
    struct val ignored;

    if (flow != FLOW_ERROR || !node->optional)
        return flow;
    return paths_get(&e->paths, &e->work, e->program->paths[node->path].parent, &ignored) ==
                   FLOW_ERROR
               ? FLOW_ERROR
               : FLOW_NOTHING;
}

static enum flow one_apply(struct evaluation *e, const struct node *node, const struct val *in,
                           struct val *ret)
{
    struct val args[2];

    for (unsigned i = node->call->n_args; i > 0; i--) {
        enum flow flow = one(e, node->args[i - 1], in, &args[i - 1]);

        if (flow != FLOW_OK)
            return flow;
    }
    return apply(e, node, in, args, ret);
}

static enum flow one_pipe(struct evaluation *e, const struct node *node, const struct val *in,
                          struct val *ret)
{
    struct val value = *in;

    for (size_t i = 0; i < node->n; i++) {
        struct val next;
        enum flow flow = one(e, node->list[i], &value, &next);

        if (flow != FLOW_OK)
            return flow;
        value = next;
    }
    *ret = value;
    return FLOW_OK;
}

/* `and` ends at the first that is not true, `or` at the first that is. */
static enum flow one_logic(struct evaluation *e, const struct node *node, const struct val *in,
                           struct val *ret)
{
    bool ends_at = node->kind == NODE_OR, yes = !ends_at;

    for (size_t i = 0; i < node->n && yes != ends_at; i++) {
        enum flow flow = one(e, node->list[i], in, ret);

        if (flow != FLOW_OK)
            return flow;
        yes = val_true(ret);
    }
    *ret = val_bool(yes);
    return FLOW_OK;
}

static enum flow one_else(struct evaluation *e, const struct node *node, const struct val *in,
                          struct val *ret)
{
    enum flow flow = one(e, node->args[0], in, ret);

    if (flow == FLOW_NOTHING || (flow == FLOW_OK && !val_true(ret)))
        return one(e, node->args[1], in, ret);
    return flow;
}

static enum flow one_if(struct evaluation *e, const struct node *node, const struct val *in,
                        struct val *ret)
{
    struct val condition;
    enum flow flow = one(e, node->args[0], in, &condition);
    const struct node *branch;

    if (flow != FLOW_OK)
        return flow;
    branch = node->args[val_true(&condition) ? 1 : 2];
    return branch != NULL ? one(e, branch, in, ret) : FLOW_NOTHING;
}

#define OUTER(type, member, sink)                                                                  \
    ((struct type *)((char *)(uintptr_t)(sink)-offsetof(struct type, member)))

/*
 * any and all, as jq 1.6 defines them: they ask their generator once more after they know enough,
 * and a condition with several outputs counts several times.  `holds` is the state of its foreach.
 */
struct quest {
    struct sink from_generator, from_condition;
    const struct node *node;
    bool holds;
    size_t decisive;
};

static enum flow decide(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    struct quest *quest = OUTER(quest, from_condition, sink);

    (void)e;
    quest->holds = val_true(value);
    quest->decisive += quest->holds == (quest->node->kind == NODE_ANY);
    return FLOW_OK;
}

static enum flow ask(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    struct quest *quest = OUTER(quest, from_generator, sink);

    if (quest->holds == (quest->node->kind == NODE_ANY))
        return FLOW_BREAK;
    quest->holds = false; /* and stays so where the condition has no output */
    return all(e, quest->node->args[1], value, &quest->from_condition);
}

static enum flow one_quest(struct evaluation *e, const struct node *node, const struct val *in,
                           struct val *ret)
{
    bool any = node->kind == NODE_ANY;
    struct quest quest = {{ask}, {decide}, node, !any, 0};
    enum flow flow = all(e, node->args[0], in, &quest.from_generator);

    if (flow != FLOW_OK && flow != FLOW_BREAK)
        return flow;
    *ret = val_bool(quest.decisive == any);
    return FLOW_OK;
}

static enum flow end_at_true(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    (void)e, (void)sink;
    return val_true(value) ? FLOW_BREAK : FLOW_OK;
}

static enum flow one_some(struct evaluation *e, const struct node *node, const struct val *in,
                          struct val *ret)
{
    const struct sink sink = {end_at_true};
    enum flow flow = all(e, node->args[0], in, &sink);

    if (flow != FLOW_OK && flow != FLOW_BREAK)
        return flow;
    *ret = val_bool(flow == FLOW_BREAK);
    return FLOW_OK;
}

static enum flow one(struct evaluation *e, const struct node *node, const struct val *in,
                     struct val *ret)
{
    if (!work_step(&e->work, 1))
        return FLOW_STOP;
    switch ((enum node_kind)node->kind) {
    case NODE_CONST:
        *ret = node->value;
        return FLOW_OK;
    case NODE_INPUT:
        *ret = *in;
        return FLOW_OK;
    case NODE_PATH:
        return get_path(e, node, ret);
    case NODE_APPLY:
        return one_apply(e, node, in, ret);
    case NODE_PIPE:
        return one_pipe(e, node, in, ret);
    case NODE_AND:
    case NODE_OR:
        return one_logic(e, node, in, ret);
    case NODE_ELSE:
        return one_else(e, node, in, ret);
    case NODE_IF:
        return one_if(e, node, in, ret);
    case NODE_ANY:
    case NODE_ALL:
        return one_quest(e, node, in, ret);
    case NODE_SOME:
        return one_some(e, node, in, ret);
    case NODE_EACH:
    case NODE_COMMA:
        break; /* not single */
    }
    return FLOW_STOP;
}

/* ---- nodes with any number of outputs ---- */

/* A node in the middle of its outputs: which operand is at work, on what input, for whom. */
struct stage {
    struct sink sink;
    const struct node *node;
    const struct val *in;
    const struct sink *out;
    size_t i;
    struct val args[2];
    bool found;
};

#define STAGE(sink) OUTER(stage, sink, sink)

static enum flow each_element(struct evaluation *e, const struct stage *stage,
                              const struct val *array)
{
    struct walk walk = {.work = &e->work, .in = array->text};
    struct val value;

    while (walk_element(&walk, &value)) {
        enum flow flow = stage->out->take(e, stage->out, &value);

        if (flow != FLOW_OK)
            return flow;
    }
    return e->work.failed == WORK_FINE ? FLOW_OK : FLOW_STOP;
}

static enum flow each_member(struct evaluation *e, const struct stage *stage,
                             const struct val *object)
{
    size_t n;
    struct member *members = val_members(&e->work, object, MEMBERS_BY_PLACE, &n);

    if (members == NULL)
        return FLOW_STOP;
    for (size_t i = 0; i < n; i++) {
        enum flow flow = stage->out->take(e, stage->out, &members[i].value);

        if (flow != FLOW_OK)
            return flow;
    }
    return FLOW_OK;
}

static enum flow take_each(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    const struct stage *stage = STAGE(sink);

    if (value->kind == VAL_ARRAY)
        return each_element(e, stage, value);
    if (value->kind == VAL_OBJECT)
        return each_member(e, stage, value);
    return stage->node->optional ? FLOW_OK : FLOW_ERROR;
}

/* One argument is there: on with the one before it, or to the call. */
static enum flow take_argument(struct evaluation *e, const struct sink *sink,
                               const struct val *value)
{
    const struct stage *before = STAGE(sink);
    struct stage stage = *before;
    struct val result;
    enum flow flow;

    stage.i--;
    stage.args[stage.i] = *value;
    if (stage.i > 0)
        return all(e, stage.node->args[stage.i - 1], stage.in, &stage.sink);
    flow = apply(e, stage.node, stage.in, stage.args, &result);
    if (flow != FLOW_OK)
        return flow == FLOW_NOTHING ? FLOW_OK : flow;
    return stage.out->take(e, stage.out, &result);
}

static enum flow take_piped(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    struct stage stage = *STAGE(sink);

    stage.i++;
    return all(e, stage.node->list[stage.i], value,
               stage.i + 1 < stage.node->n ? &stage.sink : stage.out);
}

static enum flow take_logic(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    struct stage stage = *STAGE(sink);
    bool yes = val_true(value);
    struct val result = val_bool(yes);

    stage.i++;
    if (yes == (stage.node->kind == NODE_OR) || stage.i == stage.node->n)
        return stage.out->take(e, stage.out, &result);
    return all(e, stage.node->list[stage.i], stage.in, &stage.sink);
}

static enum flow take_if(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    const struct stage *stage = STAGE(sink);
    const struct node *branch = stage->node->args[val_true(value) ? 1 : 2];

    return branch != NULL ? all(e, branch, stage->in, stage->out) : FLOW_OK;
}

static enum flow take_if_true(struct evaluation *e, const struct sink *sink,
                              const struct val *value)
{
    struct stage *stage = STAGE(sink);

    if (!val_true(value))
        return FLOW_OK;
    stage->found = true;
    return stage->out->take(e, stage->out, value);
}

static enum flow all_else(struct evaluation *e, struct stage *stage)
{
    enum flow flow;

    stage->sink.take = take_if_true;
    flow = all(e, stage->node->args[0], stage->in, &stage->sink);
    if (flow != FLOW_OK || stage->found)
        return flow;
    return all(e, stage->node->args[1], stage->in, stage->out);
}

static enum flow all_comma(struct evaluation *e, const struct stage *stage)
{
    for (size_t i = 0; i < stage->node->n; i++) {
        enum flow flow = all(e, stage->node->list[i], stage->in, stage->out);

        if (flow != FLOW_OK)
            return flow;
    }
    return FLOW_OK;
}

static enum flow all_single(struct evaluation *e, const struct node *node, const struct val *in,
                            const struct sink *sink)
{
    struct val value;
    enum flow flow = one(e, node, in, &value);

    if (flow == FLOW_OK)
        return sink->take(e, sink, &value);
    return flow == FLOW_NOTHING ? FLOW_OK : flow;
}

static enum flow begin(struct evaluation *e, struct stage *stage, const struct node *first,
                       enum flow (*take)(struct evaluation *, const struct sink *,
                                         const struct val *))
{
    stage->sink.take = take;
    return all(e, first, stage->in, &stage->sink);
}

static enum flow all(struct evaluation *e, const struct node *node, const struct val *in,
                     const struct sink *sink)
{
    struct stage stage = {.node = node, .in = in, .out = sink};

    if (node->single)
        return all_single(e, node, in, sink);
    if (!work_step(&e->work, 1))
        return FLOW_STOP;
    switch ((enum node_kind)node->kind) {
    case NODE_EACH:
        return begin(e, &stage, node->args[0], take_each);
    case NODE_COMMA:
        return all_comma(e, &stage);
    case NODE_PIPE:
        return begin(e, &stage, node->list[0], take_piped);
    case NODE_APPLY:
        stage.i = node->call->n_args;
        return begin(e, &stage, node->args[stage.i - 1], take_argument);
    case NODE_AND:
    case NODE_OR:
        return begin(e, &stage, node->list[0], take_logic);
    case NODE_ELSE:
        return all_else(e, &stage);
    case NODE_IF:
        return begin(e, &stage, node->args[0], take_if);
    case NODE_CONST:
    case NODE_INPUT:
    case NODE_PATH:
    case NODE_ANY:
    case NODE_ALL:
    case NODE_SOME:
        break; /* single */
    }
    return FLOW_STOP;
}

/* ---- a message ---- */

struct verdict {
    struct sink sink;
    bool yes;
    bool odd;
    struct buf *text;
};

static enum flow judge(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    struct verdict *verdict = OUTER(verdict, sink, sink);

    if (value->kind > VAL_TRUE) {
        verdict->odd = true;
        (void)val_show(&e->work, value, ODD_TEXT_MAX, verdict->text); /* then it is told without */
        return FLOW_STOP;
    }
    verdict->yes |= value->kind == VAL_TRUE;
    return FLOW_OK;
}

/* Of a condition, whatever is neither false nor null is true. */
static enum flow note_true(struct evaluation *e, const struct sink *sink, const struct val *value)
{
    struct verdict *verdict = OUTER(verdict, sink, sink);

    (void)e;
    verdict->yes |= val_true(value);
    return FLOW_OK;
}

static enum filter_result give_up(const struct evaluation *e, const struct message *message,
                                  struct error *err)
{
    if (e->work.failed == WORK_TOO_LONG) {
        fail(err, PLSM_ERROR_USAGE, "the filter takes too many steps on a message");
        fail_hint(
            err,
            "It goes through long lists or texts again and again; a message may take %llu steps.",
            (unsigned long long)e->steps_max);
    } else {
        fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    }
    fail_seq(err, message->seq);
    return FILTER_FAILED;
}

static void evaluation_begin(struct evaluation *e, const struct message *message)
{
    uint64_t foreign = STEPS_FOREIGN + STEPS_FOREIGN_PER_BYTE * (uint64_t)message->data.n;

    e->steps_max = e->program->is_foreign && foreign < STEPS_MAX ? foreign : STEPS_MAX;
    arena_reset(&e->work.arena);
    e->work.steps = e->steps_max;
    e->work.failed = WORK_FINE;
    paths_begin(&e->paths, message);
}

enum filter_result evaluation_run(struct evaluation *e, const struct message *message,
                                  struct buf *odd, struct error *err)
{
    struct verdict verdict = {.sink = {e->program->is_condition ? note_true : judge}, .text = odd};
    struct val nothing = val_null(); /* the top is a path */
    enum flow flow;

    evaluation_begin(e, message);
    flow = all(e, e->program->top, &nothing, &verdict.sink);
    if (e->work.failed != WORK_FINE)
        return give_up(e, message, err);
    if (verdict.odd)
        return FILTER_ODD;
    return flow == FLOW_OK && verdict.yes ? FILTER_YES : FILTER_NO;
}

bool evaluation_rules_out(struct evaluation *e, const struct message *message)
{
    const struct program *program = e->program;
    auto_buf struct buf odd = BUF_INIT;
    struct val nothing = val_null();

    if (program->top->envelope)
        return evaluation_run(e, message, &odd, NULL) == FILTER_NO;
    if (program->n_first == 0)
        return false;
    evaluation_begin(e, message);
    for (size_t i = 0; i < program->n_first; i++) {
        struct verdict verdict = {.sink = {note_true}};
        enum flow flow = all(e, program->first[i], &nothing, &verdict.sink);

        if (e->work.failed != WORK_FINE)
            return false;
        if (flow != FLOW_OK || !verdict.yes)
            return true;
    }
    return false;
}

struct evaluation *evaluation_new(const struct program *program)
{
    struct evaluation *e = calloc(1, sizeof *e);

    if (e == NULL || paths_init(&e->paths, program) < 0) {
        free(e);
        return NULL;
    }
    e->program = program;
    return e;
}

void evaluation_free(struct evaluation *e)
{
    if (e == NULL)
        return;
    paths_done(&e->paths);
    arena_done(&e->work.arena);
    free(e);
}
