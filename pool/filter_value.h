/*
 * Values as filters see them: pieces of the message's own JSON text, looked into only as far as a
 * question needs.
 *
 * Order, equality, containment and length are jq 1.6's, but for integers, which are compared
 * exactly whatever their size. What needs memory or many steps draws on a struct work, which
 * belongs to one message and one thread; once work->failed is set the answers mean nothing.  Texts
 * may come from a file that somebody else wrote: nothing reads past their end, whatever they are.
 */
#ifndef FILTER_VALUE_H
#define FILTER_VALUE_H

#include "base/buf.h"
#include "filter_arena.h"

#include <stdint.h>

/* In the order in which jq sorts them. */
enum val_kind { VAL_NULL = 1, VAL_FALSE, VAL_TRUE, VAL_NUMBER, VAL_STRING, VAL_ARRAY, VAL_OBJECT };

struct val {
    uint8_t kind;
    /* a string: text is UTF-8 as meant, without escapes.  Else as it stands between its quotes */
    bool plain;
    bool computed;     /* a number: in `number`, not in text */
    struct bytes text; /* of a number, array or object: its JSON text */
    double number;
};

enum work_failure {
    WORK_FINE,
    WORK_NO_MEMORY,
    WORK_TOO_LONG, /* steps are used up */
};

struct work {
    struct arena arena; /* decoded strings */
    uint64_t steps;     /* that are left */
    enum work_failure failed;
};

/*
 * A step is what takes some 10 ns: a node of the expression, a comparison, an element walked past,
 * a few dozen bytes looked through.  False when they are used up.
 */
static inline bool work_step(struct work *work, uint64_t n)
{
    if (work->steps >= n) {
        work->steps -= n;
        return true;
    }
    work->steps = 0;
    work->failed = WORK_TOO_LONG;
    return false;
}

/*
 * From the text of one whole JSON value, compact and valid (or anything at all: then a value of
 * some kind).
 */
struct val val_of_json(struct bytes text);

static inline struct val val_bool(bool yes)
{
    return (struct val){.kind = yes ? VAL_TRUE : VAL_FALSE};
}

static inline struct val val_null(void)
{
    return (struct val){.kind = VAL_NULL};
}

static inline struct val val_number(double number)
{
    return (struct val){.kind = VAL_NUMBER, .computed = true, .number = number};
}

static inline struct val val_string(struct bytes plain)
{
    return (struct val){.kind = VAL_STRING, .plain = true, .text = plain};
}

static inline bool val_true(const struct val *v)
{
    return v->kind != VAL_NULL && v->kind != VAL_FALSE;
}

/*
 * As jq reads numbers in programs and in tonumber: also `+1`, `.5`, `5.`, `007`.  False when it is
 * none.
 */
bool val_of_number(struct bytes text, struct val *ret);

double val_double(const struct val *v);

/* -1, 0, 1; whole numbers exactly, nan below everything.  Whoever calls counts the steps. */
int val_compare_numbers(const struct val *a, const struct val *b);

/* The string without escapes; lone surrogates as U+FFFD. */
struct bytes val_plain(struct work *work, const struct val *v);

int val_compare(struct work *work, const struct val *a, const struct val *b);
bool val_equal(struct work *work, const struct val *a, const struct val *b);

/* Both of the same kind, as jq asks; a string contains its parts, up to a NUL. */
bool val_contains(struct work *work, const struct val *a, const struct val *b);

/* Characters, elements or keys; not for other kinds. */
size_t val_length(struct work *work, const struct val *v);

/* The value of a key in an object, the last of several; null when there is none. */
struct val val_field(struct work *work, const struct val *object, struct bytes key,
                     bool *ret_there);

/* An element, counted from the end when negative; null when there is none. */
struct val val_element(struct work *work, const struct val *array, int64_t index);

/* Goes through an array or object, from a zeroed struct walk but for these two; ends when work does. */
struct walk {
    struct work *work;
    struct bytes in; /* text of the container */
    size_t at;
};

bool walk_element(struct walk *walk, struct val *ret);
bool walk_member(struct walk *walk, struct val *ret_key, struct val *ret);

/*
 * The members of an object as jq has them: each key once with its last value, at the place of its
 * first.
 */
struct member {
    struct bytes key; /* plain */
    struct val value;
    size_t place;
};
enum members_order { MEMBERS_BY_KEY, MEMBERS_BY_PLACE };
struct member *val_members(struct work *work, const struct val *object, enum members_order order,
                           size_t *ret_n);

/* Adds it as JSON text, cut to about `max` bytes. */
int val_show(struct work *work, const struct val *v, size_t max, struct buf *out);

#endif
