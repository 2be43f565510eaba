#include "filter_parse.h"

void *parse_allocate(struct parse *p, size_t n)
{
    void *memory = arena_alloc(&p->program->arena, n);

    if (memory != NULL) {
        memset(memory, 0, n);
    } else if (!p->failed) {
        p->failed = true;
        fail(p->err, PLSM_ERROR_INTERNAL, "out of memory");
    }
    return memory;
}

struct node *node_new(struct parse *p, enum node_kind kind)
{
    struct node *node = parse_allocate(p, sizeof *node);

    if (node != NULL) {
        node->kind = (uint8_t)kind;
        node->path = PATH_NONE;
    }
    return node;
}

struct node *node_const(struct parse *p, struct val value)
{
    struct node *node = node_new(p, NODE_CONST);

    if (node != NULL)
        node->value = value;
    return node;
}

/* NULL when an argument is. */
struct node *node_of(struct parse *p, enum node_kind kind, const struct call *call,
                     struct node *const *args, size_t n)
{
    struct node *node = node_new(p, kind);

    for (size_t i = 0; i < n && node != NULL; i++) {
        if (args[i] == NULL)
            return NULL;
        node->args[i] = args[i];
    }
    if (node != NULL) {
        node->call = call;
        node->n = n;
    }
    return node;
}

struct node *node_apply(struct parse *p, const struct call *call, struct node *a, struct node *b)
{
    struct node *const args[] = {a, b};

    return node_of(p, NODE_APPLY, call, args, call->n_args);
}

/* ---- paths from the top ---- */

/* The slot that has this child, or where it belongs. */
static int *slot_of(const struct parse *p, int parent, struct bytes key)
{
    const struct path *paths = p->program->paths;
    size_t at = (size_t)parent * 0x9e3779b9u;

    for (size_t i = 0; i < key.n; i++)
        at = (at ^ (unsigned char)key.p[i]) * 0x100000001b3u;
    for (at ^= at >> 29;; at++) {
        int *slot = &p->slots[at & (p->n_slots - 1)];

        if (*slot == 0 || (paths[*slot].parent == parent && bytes_equal(paths[*slot].key, key)))
            return slot;
    }
}

bool paths_index(struct parse *p)
{
    p->n_slots = 16;
    while (p->n_slots < 2 * (PATHS_FIXED + p->words->n) && p->n_slots < 2 * PATHS_MAX)
        p->n_slots *= 2;
    p->slots = parse_allocate(p, p->n_slots * sizeof *p->slots);
    if (p->slots == NULL)
        return false;
    for (int i = PATH_TOP + 1; i < PATHS_FIXED; i++)
        *slot_of(p, p->program->paths[i].parent, p->program->paths[i].key) = i;
    return true;
}

int path_child(struct parse *p, int parent, struct bytes key)
{
    struct program *program = p->program;
    int *slot = slot_of(p, parent, key), i;
    unsigned depth = 0;

    if (*slot != 0)
        return *slot;
    for (i = parent; i != PATH_TOP; i = program->paths[i].parent)
        depth++;
    if (program->n_paths == PATHS_MAX || depth >= PATH_DEPTH_MAX)
        return PATH_NONE;
    if (parent == PATH_TOP && program->stranger == p->words->text.n)
        program->stranger = p->words->list[p->at - 1].at;
    *slot = i = (int)program->n_paths++;
    program->paths[i] =
        (struct path){key, parent, PATH_NONE, program->paths[parent].first_child, 0};
    program->paths[parent].first_child = i;
    program->paths[parent].n_below++;
    return i;
}

struct node *node_path(struct parse *p, int path)
{
    struct node *node = path == PATH_NONE ? NULL : node_new(p, NODE_PATH);

    if (node != NULL)
        node->path = path;
    return node;
}

struct node *node_here(struct parse *p)
{
    return p->base != PATH_NONE ? node_path(p, p->base) : node_new(p, NODE_INPUT);
}
