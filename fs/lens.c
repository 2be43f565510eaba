#include "lens.h"

#include "hash.h"

#include <stdlib.h>

struct lens *lens_new(void)
{
    struct lens *lens = calloc(1, sizeof *lens);

    if (lens == NULL)
        return NULL;
    atomic_init(&lens->refs, 1);
    lens->hash = HASH_START;
    return lens;
}

struct lens *lens_ref(struct lens *lens)
{
    atomic_fetch_add_explicit(&lens->refs, 1, memory_order_relaxed);
    return lens;
}

void lens_unref(struct lens *lens)
{
    if (lens == NULL || atomic_fetch_sub_explicit(&lens->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < lens->n_tags; i++)
        buf_done(&lens->tags[i]);
    free(lens->tags);
    for (size_t i = 0; i < lens->n_wheres; i++)
        where_unref(lens->wheres[i]);
    free(lens->wheres);
    buf_done(&lens->encoded);
    free(lens);
}

static int compare(struct bytes a, struct bytes b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Adds a quoted tag at its place in the order; one that is there already changes nothing. */
static int insert(struct lens *lens, struct bytes quoted)
{
    size_t at = 0;

    while (at < lens->n_tags && compare(buf_bytes(&lens->tags[at]), quoted) < 0)
        at++;
    if (at < lens->n_tags && bytes_equal(buf_bytes(&lens->tags[at]), quoted))
        return 0;

    struct buf *tags = realloc(lens->tags, (lens->n_tags + 1) * sizeof *tags);
    if (tags == NULL)
        return -1;
    lens->tags = tags;
    memmove(&tags[at + 1], &tags[at], (lens->n_tags - at) * sizeof *tags);
    tags[at] = BUF_INIT;
    lens->n_tags++;
    return buf_add_bytes(&tags[at], quoted);
}

/* Adds an expression at its place in the order; one that is there already changes nothing.  Takes the reference. */
static int insert_where(struct lens *lens, struct where *where)
{
    struct where **wheres = realloc(lens->wheres, (lens->n_wheres + 1) * sizeof(struct where *));
    size_t at = 0;

    if (wheres == NULL) {
        where_unref(where);
        return -1;
    }
    lens->wheres = wheres;
    while (at < lens->n_wheres &&
           compare(where_expression(wheres[at]), where_expression(where)) < 0)
        at++;
    if (at < lens->n_wheres && bytes_equal(where_expression(wheres[at]), where_expression(where))) {
        where_unref(where);
        return 0;
    }
    memmove(&wheres[at + 1], &wheres[at], (lens->n_wheres - at) * sizeof(struct where *));
    wheres[at] = where;
    lens->n_wheres++;
    return 0;
}

static void rehash(struct lens *lens)
{
    lens->hash = hash_u64(HASH_START, lens->data);
    for (size_t i = 0; i < lens->n_tags; i++)
        lens->hash = hash_bytes(lens->hash, buf_bytes(&lens->tags[i]));
    lens->hash = hash_u64(lens->hash, lens->n_wheres);
    for (size_t i = 0; i < lens->n_wheres; i++)
        lens->hash = hash_bytes(lens->hash, where_expression(lens->wheres[i]));
}

static struct lens *copy(const struct lens *from)
{
    struct lens *lens = lens_new();

    if (lens == NULL)
        return NULL;
    lens->data = from->data;
    lens->tags_raw = from->tags_raw;
    for (size_t i = 0; i < from->n_tags; i++)
        if (insert(lens, buf_bytes(&from->tags[i])) < 0)
            goto drop;
    for (size_t i = 0; i < from->n_wheres; i++)
        if (insert_where(lens, where_ref(from->wheres[i])) < 0)
            goto drop;
    if (buf_add_bytes(&lens->encoded, buf_bytes(&from->encoded)) < 0)
        goto drop;
    return lens;

drop:
    lens_unref(lens);
    return NULL;
}

static int narrow(struct lens *lens, struct bytes tag, struct error *err)
{
    auto_buf struct buf quoted = BUF_INIT;
    size_t before = lens->n_tags;

    if (buf_add_json_string(&quoted, tag) < 0 || insert(lens, buf_bytes(&quoted)) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (lens->n_tags == before)
        return 0;
    return tags_add(&lens->encoded, &lens->tags_raw, tag, err);
}

struct lens *lens_add_tag(const struct lens *from, struct bytes tag, struct error *err)
{
    struct lens *lens = copy(from);

    if (lens == NULL) {
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    if (narrow(lens, tag, err) < 0) {
        lens_unref(lens);
        return NULL;
    }
    rehash(lens);
    return lens;
}

struct lens *lens_add_where(const struct lens *from, struct bytes expression, struct error *err)
{
    struct lens *lens = copy(from);
    struct where *where = where_new(expression);

    if (lens == NULL || where == NULL || insert_where(lens, where) < 0) {
        if (lens == NULL)
            where_unref(where);
        lens_unref(lens);
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    rehash(lens);
    return lens;
}

struct lens *lens_add_data(const struct lens *from, struct error *err)
{
    struct lens *lens = copy(from);

    if (lens == NULL) {
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    lens->data = true;
    rehash(lens);
    return lens;
}

bool lens_equal(const struct lens *a, const struct lens *b)
{
    if (a->hash != b->hash || a->data != b->data || a->n_tags != b->n_tags ||
        a->n_wheres != b->n_wheres)
        return false;
    for (size_t i = 0; i < a->n_wheres; i++)
        if (!bytes_equal(where_expression(a->wheres[i]), where_expression(b->wheres[i])))
            return false;
    for (size_t i = 0; i < a->n_tags; i++)
        if (!bytes_equal(buf_bytes(&a->tags[i]), buf_bytes(&b->tags[i])))
            return false;
    return true;
}

int lens_compile(const struct lens *lens, bool trusted, struct bytes *ret_wrong, struct error *err)
{
    for (size_t i = 0; i < lens->n_wheres; i++)
        if (where_compile(lens->wheres[i], trusted, err) < 0) {
            *ret_wrong = where_expression(lens->wheres[i]);
            return -1;
        }
    return 0;
}

bool lens_is_harmless(const struct lens *lens)
{
    for (size_t i = 0; i < lens->n_wheres; i++)
        if (!where_is_native(lens->wheres[i]))
            return false;
    return true;
}

bool lens_sees_envelope(const struct lens *lens)
{
    for (size_t i = 0; i < lens->n_wheres; i++)
        if (where_sees_envelope(lens->wheres[i]))
            return true;
    return lens->n_tags > 0;
}

static bool has_tags(const struct lens *lens, struct bytes tags)
{
    for (size_t i = 0; i < lens->n_tags; i++)
        if (!tags_have(tags, buf_bytes(&lens->tags[i])))
            return false;
    return true;
}

bool lens_rules_out(const struct lens *lens, const struct message *message)
{
    bool out = !has_tags(lens, message->tags);

    for (size_t i = 0; i < lens->n_wheres && !out; i++)
        out = where_sees_envelope(lens->wheres[i]) && where_rules_out(lens->wheres[i], message);
    return out && tags_are_whole(message->tags);
}

bool lens_match(const struct lens *lens, const struct message *message)
{
    if (!has_tags(lens, message->tags))
        return false;
    for (unsigned cost = 0; cost < FILTER_COSTS; cost++) /* the cheap ones first */
        for (size_t i = 0; i < lens->n_wheres; i++)
            if (where_cost(lens->wheres[i]) == cost && !where_match(lens->wheres[i], message))
                return false;
    return true;
}

bool lens_problem(const struct lens *lens, struct error *err)
{
    for (size_t i = 0; i < lens->n_wheres; i++)
        if (where_problem(lens->wheres[i], err))
            return true;
    return false;
}

int lens_render(const struct lens *lens, const struct message *message, struct time_cache *cache,
                struct buf *out)
{
    if (!lens->data)
        return message_render(message, cache, out);
    if (buf_room(out, message->data.n + 1) < 0)
        return -1;
    (void)buf_add_bytes(out, message->data); /* there is room for both */
    return buf_add_char(out, '\n');
}

uint64_t lens_length(const struct lens *lens, uint64_t seq, size_t tags_len, size_t data_len)
{
    return lens->data ? data_len + 1 : message_length(seq, tags_len, data_len);
}
