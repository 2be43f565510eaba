#include "waitset.h"

#include <stdlib.h>

#define CAP_FIRST 64

static bool grow(struct waitset *set)
{
    size_t cap = set->cap == 0 ? CAP_FIRST : set->cap * 2;
    void *pools = realloc(set->pools, cap * sizeof *set->pools);

    if (pools != NULL)
        set->pools = pools;
    void *seen = realloc(set->seen, cap * sizeof *set->seen);
    if (seen != NULL)
        set->seen = seen;
    void *owners = realloc(set->owners, cap * sizeof *set->owners);
    if (owners != NULL)
        set->owners = owners;
    if (pools == NULL || seen == NULL || owners == NULL)
        return false;
    set->cap = cap;
    return true;
}

bool waitset_add(struct waitset *set, struct pool *pool, uint64_t seen, void *owner)
{
    if (set->n == set->cap && !grow(set))
        return false;
    set->pools[set->n] = pool;
    set->seen[set->n] = seen;
    set->owners[set->n++] = owner;
    return true;
}

void waitset_done(struct waitset *set)
{
    free(set->pools);
    free(set->seen);
    free(set->owners);
    *set = (struct waitset){0};
}
