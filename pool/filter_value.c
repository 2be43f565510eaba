#include "filter_value.h"

#include "pool/json.h"

#include <stdio.h>
#include <stdlib.h>

/* Containers inside each other that comparing follows.  More than the gate lets in. */
#define DEPTH_MAX 256

/* What a step is worth: bytes skipped, copied or compared; looked for in each other; one by one. */
#define BYTES_PER_STEP 32
#define SEARCHED_PER_STEP 4
#define DIGITS_PER_STEP 8
#define STEPS_TO_SORT 8 /* for each member; limits the memory, too */

struct val val_of_json(struct bytes text)
{
    struct val v = {.kind = VAL_NULL, .text = text};

    if (text.n == 0)
        return v;
    switch (text.p[0]) {
    case '{':
        v.kind = VAL_OBJECT;
        break;
    case '[':
        v.kind = VAL_ARRAY;
        break;
    case '"':
        v.kind = VAL_STRING;
        v.text = (struct bytes){text.p + 1, text.n >= 2 ? text.n - 2 : 0};
        break;
    case 't':
        v.kind = VAL_TRUE;
        break;
    case 'f':
        v.kind = VAL_FALSE;
        break;
    case 'n':
        break;
    default:
        v.kind = VAL_NUMBER;
        break;
    }
    return v;
}

/* ---- strings ---- */

static bool has_escape(const struct val *v)
{
    return !v->plain && v->text.n > 0 && memchr(v->text.p, '\\', v->text.n) != NULL;
}

struct bytes val_plain(struct work *work, const struct val *v)
{
    auto_buf struct buf decoded = BUF_INIT;
    char *copy;

    (void)work_step(work, v->text.n / BYTES_PER_STEP);
    if (!has_escape(v))
        return v->text;
    /* with its quotes, which are there: the text was cut from between them */
    if (json_string_decode((struct bytes){v->text.p - 1, v->text.n + 2}, &decoded) < 0 ||
        (copy = arena_alloc(&work->arena, decoded.n + 1)) == NULL) {
        work->failed = WORK_NO_MEMORY;
        return (struct bytes){"", 0};
    }
    if (decoded.n > 0)
        memcpy(copy, decoded.p, decoded.n);
    (void)work_step(work, 16 + decoded.n); /* which limits the memory, too */
    return (struct bytes){copy, decoded.n};
}

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n == 0 ? 0 : memcmp(a.p, b.p, n);

    return r != 0 ? r : a.n < b.n ? -1 : a.n > b.n;
}

static int compare_strings(struct work *work, const struct val *a, const struct val *b)
{
    struct bytes x = val_plain(work, a), y = val_plain(work, b);

    (void)work_step(work, (x.n < y.n ? x.n : y.n) / BYTES_PER_STEP);
    return compare_bytes(x, y);
}

static size_t characters(struct bytes text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return n;
}

/* ---- containers ---- */

/* The value at walk->at, and over the comma behind it. */
static bool take_value(struct walk *walk, struct bytes *ret)
{
    size_t begin = walk->at == 0 ? 1 : walk->at, end;

    if (begin + 1 >= walk->in.n)
        return false;
    end = json_skip(walk->in, begin);
    if (end <= begin) /* not JSON at all */
        return false;
    if (!work_step(walk->work, 1 + (end - begin) / BYTES_PER_STEP))
        return false;
    *ret = (struct bytes){walk->in.p + begin, end - begin};
    walk->at = end + 1;
    return true;
}

bool walk_element(struct walk *walk, struct val *ret)
{
    struct bytes text;

    if (!take_value(walk, &text))
        return false;
    *ret = val_of_json(text);
    return true;
}

bool walk_member(struct walk *walk, struct val *ret_key, struct val *ret)
{
    struct bytes key;

    if (!take_value(walk, &key) || key.p[0] != '"')
        return false;
    *ret_key = val_of_json(key);
    return walk_element(walk, ret);
}

/* Is this key, as it stands in the text, the plain one? */
static bool is_key(struct work *work, const struct val *key, struct bytes plain)
{
    if (!has_escape(key))
        return bytes_equal(key->text, plain);
    (void)work_step(work, key->text.n);
    return json_string_equal((struct bytes){key->text.p - 1, key->text.n + 2}, plain);
}

struct val val_field(struct work *work, const struct val *object, struct bytes key, bool *ret_there)
{
    struct walk walk = {.work = work, .in = object->text};
    struct val found = val_null(), each_key, each;

    *ret_there = false;
    while (walk_member(&walk, &each_key, &each))
        if (is_key(work, &each_key, key)) {
            found = each;
            *ret_there = true;
        }
    return found;
}

struct val val_element(struct work *work, const struct val *array, int64_t index)
{
    struct walk walk = {.work = work, .in = array->text};
    struct val each;

    if (index < 0) {
        while (walk_element(&walk, &each))
            index++;
        walk = (struct walk){.work = work, .in = array->text};
        if (index < 0)
            return val_null();
    }
    while (walk_element(&walk, &each))
        if (index-- == 0)
            return each;
    return val_null();
}

static int by_key(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int r = compare_bytes(x->key, y->key);

    return r != 0 ? r : x->place < y->place ? -1 : x->place > y->place;
}

static int by_place(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    return x->place < y->place ? -1 : x->place > y->place;
}

/* Of sorted members, the last of those with the same key, at the place of the first. */
static size_t keep_last(struct member *members, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && bytes_equal(members[kept - 1].key, members[i].key))
            members[kept - 1].value = members[i].value;
        else
            members[kept++] = members[i];
    }
    return kept;
}

struct member *val_members(struct work *work, const struct val *object, enum members_order order,
                           size_t *ret_n)
{
    struct walk walk = {.work = work, .in = object->text};
    struct val key, value;
    struct member *members;
    size_t n = 0;

    while (walk_member(&walk, &key, &value))
        n++;
    *ret_n = 0;
    if (!work_step(work, n * STEPS_TO_SORT) || work->failed != WORK_FINE)
        return NULL;
    members = arena_alloc(&work->arena, (n + 1) * sizeof *members);
    if (members == NULL) {
        work->failed = WORK_NO_MEMORY;
        return NULL;
    }
    walk = (struct walk){.work = work, .in = object->text};
    for (size_t i = 0; i < n && walk_member(&walk, &key, &value); i++)
        members[i] = (struct member){val_plain(work, &key), value, i};
    if (n > 1)
        qsort(members, n, sizeof *members, by_key);
    *ret_n = keep_last(members, n);
    if (order == MEMBERS_BY_PLACE && *ret_n > 1)
        qsort(members, *ret_n, sizeof *members, by_place);
    return members;
}

/* ---- order ---- */

static int compare(struct work *work, const struct val *a, const struct val *b, unsigned depth);

static int compare_arrays(struct work *work, const struct val *a, const struct val *b,
                          unsigned depth)
{
    struct walk in_a = {.work = work, .in = a->text}, in_b = {.work = work, .in = b->text};
    struct val x, y;

    for (;;) {
        bool more_a = walk_element(&in_a, &x), more_b = walk_element(&in_b, &y);
        int r;

        if (!more_a || !more_b)
            return (int)more_a - (int)more_b;
        r = compare(work, &x, &y, depth);
        if (r != 0)
            return r;
    }
}

/* First the keys, as sorted lists of strings, then the values in the order of keys. */
static int compare_objects(struct work *work, const struct val *a, const struct val *b,
                           unsigned depth)
{
    size_t n_a, n_b;
    struct member *x = val_members(work, a, MEMBERS_BY_KEY, &n_a);
    struct member *y = val_members(work, b, MEMBERS_BY_KEY, &n_b);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n_a && i < n_b; i++)
        r = compare_bytes(x[i].key, y[i].key);
    if (r == 0 && n_a != n_b)
        r = n_a < n_b ? -1 : 1;
    for (size_t i = 0; r == 0 && i < n_a; i++)
        r = compare(work, &x[i].value, &y[i].value, depth);
    return r;
}

static int compare(struct work *work, const struct val *a, const struct val *b, unsigned depth)
{
    if (!work_step(work, 1) || work->failed != WORK_FINE)
        return 0;
    if (a->kind != b->kind)
        return (int)a->kind - (int)b->kind;
    switch (a->kind) {
    case VAL_NUMBER:
        (void)work_step(work, (a->text.n + b->text.n) / DIGITS_PER_STEP);
        return val_compare_numbers(a, b);
    case VAL_STRING:
        return compare_strings(work, a, b);
    case VAL_ARRAY:
    case VAL_OBJECT:
        if (depth == DEPTH_MAX) { /* no gate let this in */
            work->failed = WORK_TOO_LONG;
            return 0;
        }
        return a->kind == VAL_ARRAY ? compare_arrays(work, a, b, depth + 1)
                                    : compare_objects(work, a, b, depth + 1);
    default:
        return 0;
    }
}

int val_compare(struct work *work, const struct val *a, const struct val *b)
{
    return compare(work, a, b, 0);
}

bool val_equal(struct work *work, const struct val *a, const struct val *b)
{
    return a->kind == b->kind && compare(work, a, b, 0) == 0;
}

/* ---- containment ---- */

static bool contains(struct work *work, const struct val *a, const struct val *b, unsigned depth);

static bool string_contains(struct work *work, const struct val *a, const struct val *b)
{
    struct bytes text = val_plain(work, a), part = val_plain(work, b);

    text.n = strnlen(text.p, text.n);
    part.n = strnlen(part.p, part.n);
    return work_step(work, (text.n + part.n) / SEARCHED_PER_STEP) &&
           memmem(text.p, text.n, part.p, part.n) != NULL;
}

/* Each element of b in some element of a. */
static bool array_contains(struct work *work, const struct val *a, const struct val *b,
                           unsigned depth)
{
    struct walk in_b = {.work = work, .in = b->text};
    struct val part, each;

    while (walk_element(&in_b, &part)) {
        struct walk in_a = {.work = work, .in = a->text};
        bool found = false;

        while (!found && walk_element(&in_a, &each))
            found = contains(work, &each, &part, depth);
        if (!found)
            return false;
    }
    return true;
}

static bool object_contains(struct work *work, const struct val *a, const struct val *b,
                            unsigned depth)
{
    size_t n;
    struct member *parts = val_members(work, b, MEMBERS_BY_KEY, &n);

    for (size_t i = 0; i < n; i++) {
        bool there;
        struct val in_a = val_field(work, a, parts[i].key, &there);

        if (!there || !contains(work, &in_a, &parts[i].value, depth))
            return false;
    }
    return true;
}

static bool contains(struct work *work, const struct val *a, const struct val *b, unsigned depth)
{
    if (!work_step(work, 1) || work->failed != WORK_FINE)
        return true; /* ends all searching */
    if (depth == DEPTH_MAX) {
        work->failed = WORK_TOO_LONG;
        return true;
    }
    if (a->kind == b->kind && a->kind == VAL_OBJECT)
        return object_contains(work, a, b, depth + 1);
    if (a->kind == b->kind && a->kind == VAL_ARRAY)
        return array_contains(work, a, b, depth + 1);
    if (a->kind == b->kind && a->kind == VAL_STRING)
        return string_contains(work, a, b);
    return val_equal(work, a, b);
}

bool val_contains(struct work *work, const struct val *a, const struct val *b)
{
    return contains(work, a, b, 0);
}

static int by_bytes(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;

    return compare_bytes(*x, *y);
}

/* As many as val_members(), for a fraction of the memory. */
static size_t count_keys(struct work *work, const struct val *object)
{
    struct walk walk = {.work = work, .in = object->text};
    struct val key, value;
    struct bytes *keys;
    size_t n = 0, distinct = 0, i;

    while (walk_member(&walk, &key, &value))
        n++;
    if (!work_step(work, n * STEPS_TO_SORT) || work->failed != WORK_FINE)
        return 0;
    keys = arena_alloc(&work->arena, (n + 1) * sizeof *keys);
    if (keys == NULL) {
        work->failed = WORK_NO_MEMORY;
        return 0;
    }
    walk = (struct walk){.work = work, .in = object->text};
    for (i = 0; i < n && walk_member(&walk, &key, &value); i++)
        keys[i] = val_plain(work, &key);
    n = i;
    if (n > 1)
        qsort(keys, n, sizeof *keys, by_bytes);
    for (i = 0; i < n; i++)
        distinct += i == 0 || !bytes_equal(keys[i - 1], keys[i]);
    return distinct;
}

size_t val_length(struct work *work, const struct val *v)
{
    struct walk walk = {.work = work, .in = v->text};
    struct val each;
    size_t n = 0;

    switch (v->kind) {
    case VAL_STRING:
        (void)work_step(work, v->text.n / DIGITS_PER_STEP);
        return characters(val_plain(work, v));
    case VAL_OBJECT:
        return count_keys(work, v);
    default:
        while (walk_element(&walk, &each))
            n++;
        return n;
    }
}

/* ---- as text ---- */

int val_show(struct work *work, const struct val *v, size_t max, struct buf *out)
{
    static const char *const words[] = {
        [VAL_NULL] = "null", [VAL_FALSE] = "false", [VAL_TRUE] = "true"};
    struct bytes text = v->text;

    switch (v->kind) {
    case VAL_NULL:
    case VAL_FALSE:
    case VAL_TRUE:
        return buf_add_str(out, words[v->kind]);
    case VAL_NUMBER:
        if (v->computed)
            return buf_printf(out, "%.17g", v->number);
        break;
    case VAL_STRING:
        text = val_plain(work, v);
        break;
    default:
        break;
    }
    if (text.n > max) {
        text.n = max;
        while (text.n > 0 && ((unsigned char)text.p[text.n] & 0xc0) == 0x80)
            text.n--;
    }
    if (v->kind == VAL_STRING ? buf_add_json_string(out, text) < 0 : buf_add_bytes(out, text) < 0)
        return -1;
    return text.n < v->text.n ? buf_add_str(out, "...") : 0;
}
