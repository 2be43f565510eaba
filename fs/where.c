#include "where.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define IDLE_MAX 8 /* compiled filters that are kept: as many as there are workers */

enum problem { PROBLEM_NONE, PROBLEM_THERE, PROBLEM_TOLD };

struct where {
    atomic_uint refs;
    struct buf expression;
    atomic_bool compiled, native, sees_envelope;
    struct filter_credit credit; /* of all that are compiled from it */
    atomic_uint cost;
    pthread_mutex_t lock; /* for what follows */
    struct filter *idle[IDLE_MAX];
    size_t n;
    enum problem problem;
    struct error error;
};

struct where *where_new(struct bytes expression)
{
    struct where *where = calloc(1, sizeof *where);

    if (where == NULL)
        return NULL;
    atomic_init(&where->refs, 1);
    atomic_init(&where->cost, FILTER_COST_LIBJQ);
    where->credit = (struct filter_credit)FILTER_CREDIT_INIT;
    pthread_mutex_init(&where->lock, NULL);
    if (buf_add_bytes(&where->expression, expression) == 0)
        return where;
    where_unref(where);
    return NULL;
}

struct where *where_ref(struct where *where)
{
    atomic_fetch_add_explicit(&where->refs, 1, memory_order_relaxed);
    return where;
}

void where_unref(struct where *where)
{
    if (where == NULL || atomic_fetch_sub_explicit(&where->refs, 1, memory_order_acq_rel) > 1)
        return;
    while (where->n > 0)
        filter_free(where->idle[--where->n]);
    pthread_mutex_destroy(&where->lock);
    buf_done(&where->expression);
    free(where);
}

struct bytes where_expression(const struct where *where)
{
    return buf_bytes(&where->expression);
}

enum filter_cost where_cost(const struct where *where)
{
    return (enum filter_cost)atomic_load(&where->cost);
}

bool where_is_native(const struct where *where)
{
    return atomic_load(&where->native);
}

static void give(struct where *where, struct filter *filter)
{
    pthread_mutex_lock(&where->lock);
    if (where->n < IDLE_MAX) {
        where->idle[where->n++] = filter;
        filter = NULL;
    }
    pthread_mutex_unlock(&where->lock);
    filter_free(filter);
}

/* One that nobody uses, or a new one; NULL when it does not compile (any more). */
static struct filter *take(struct where *where, struct error *err)
{
    struct filter *filter = NULL;

    pthread_mutex_lock(&where->lock);
    if (where->n > 0)
        filter = where->idle[--where->n];
    pthread_mutex_unlock(&where->lock);
    if (filter == NULL &&
        filter_new_with(where_expression(where), where_is_native(where) ? FILTER_NATIVE_ONLY : 0,
                        &filter, err) < 0)
        return NULL;
    filter_share(filter, &where->credit);
    return filter;
}

int where_compile(struct where *where, bool trusted, struct error *err)
{
    struct filter *filter;

    if (atomic_load(&where->compiled))
        return 0;
    if (filter_new_with(where_expression(where), FILTER_NATIVE_ONLY, &filter, err) == 0)
        atomic_store(&where->native, true);
    else if (!trusted || filter_new_with(where_expression(where), 0, &filter, err) < 0)
        return -1;
    atomic_store(&where->cost, filter_cost(filter));
    atomic_store(&where->sees_envelope, filter_sees_envelope(filter));
    give(where, filter);
    atomic_store(&where->compiled, true);
    return 0;
}

static void keep_problem(struct where *where, const struct error *err)
{
    pthread_mutex_lock(&where->lock);
    if (where->problem == PROBLEM_NONE) {
        where->problem = PROBLEM_THERE;
        where->error = *err;
    }
    pthread_mutex_unlock(&where->lock);
}

bool where_sees_envelope(const struct where *where)
{
    return atomic_load(&where->sees_envelope);
}

bool where_rules_out(struct where *where, const struct message *message)
{
    struct filter *filter = take(where, NULL);
    bool out = filter != NULL && filter_rules_out(filter, message);

    if (filter != NULL)
        give(where, filter);
    return out;
}

bool where_match(struct where *where, const struct message *message)
{
    struct error err = ERROR_INIT;
    struct filter *filter = take(where, &err);
    enum filter_result result =
        filter == NULL ? FILTER_FAILED : filter_match(filter, message, &err);

    if (filter != NULL)
        give(where, filter);
    if (result == FILTER_ODD || result == FILTER_FAILED)
        keep_problem(where, &err);
    return result == FILTER_YES;
}

bool where_problem(struct where *where, struct error *err)
{
    bool there;

    pthread_mutex_lock(&where->lock);
    there = where->problem == PROBLEM_THERE;
    if (there) {
        where->problem = PROBLEM_TOLD;
        *err = where->error;
    }
    pthread_mutex_unlock(&where->lock);
    return there;
}
