#include "filter_calls.h"

#include "filter_regex.h"

#include <limits.h>
#include <math.h>

/* A row's function; few need all that they are given. */
#define UNUSED __attribute__((unused))
#define APPLY(name)                                                                                \
    static enum flow name(struct work *work UNUSED, const struct node *node UNUSED,                \
                          const struct val *in UNUSED, const struct val *args UNUSED,              \
                          struct val *ret UNUSED)

static enum flow give(struct val *ret, struct val value)
{
    *ret = value;
    return FLOW_OK;
}

/* ---- steps ---- */

static enum flow field(struct work *work, const struct val *of, struct bytes key, struct val *ret)
{
    bool there;

    if (of->kind == VAL_NULL)
        return give(ret, val_null());
    if (of->kind != VAL_OBJECT)
        return FLOW_ERROR;
    return give(ret, val_field(work, of, key, &there));
}

/* A fraction names no element, and neither does what no array can reach. */
static enum flow element(struct work *work, const struct val *of, double index, struct val *ret)
{
    if (of->kind == VAL_NULL)
        return give(ret, val_null());
    if (of->kind != VAL_ARRAY)
        return FLOW_ERROR;
    if (!(fabs(index) <= INT_MAX) || index != (double)(int64_t)index)
        return give(ret, val_null());
    return give(ret, val_element(work, of, (int64_t)index));
}

APPLY(apply_field)
{
    return field(work, &args[0], node->value.text, ret);
}

APPLY(apply_index)
{
    return element(work, &args[0], val_double(&node->value), ret);
}

const struct call call_field = {".a", 1, apply_field};
const struct call call_index = {".[0]", 1, apply_index};

/* ---- comparisons ---- */

APPLY(apply_equal)
{
    return give(ret, val_bool(val_equal(work, &args[0], &args[1])));
}

APPLY(apply_unequal)
{
    return give(ret, val_bool(!val_equal(work, &args[0], &args[1])));
}

APPLY(apply_less)
{
    return give(ret, val_bool(val_compare(work, &args[0], &args[1]) < 0));
}

APPLY(apply_at_most)
{
    return give(ret, val_bool(val_compare(work, &args[0], &args[1]) <= 0));
}

APPLY(apply_greater)
{
    return give(ret, val_bool(val_compare(work, &args[0], &args[1]) > 0));
}

APPLY(apply_at_least)
{
    return give(ret, val_bool(val_compare(work, &args[0], &args[1]) >= 0));
}

/* ---- strings ---- */

static enum flow both_strings(struct work *work, const struct val *a, const struct val *b)
{
    (void)work_step(work, a->text.n / 16);
    return a->kind == VAL_STRING && b->kind == VAL_STRING ? FLOW_OK : FLOW_ERROR;
}

static bool starts(struct bytes text, struct bytes with)
{
    return text.n >= with.n && (with.n == 0 || memcmp(text.p, with.p, with.n) == 0);
}

static bool ends(struct bytes text, struct bytes with)
{
    return text.n >= with.n && starts((struct bytes){text.p + text.n - with.n, with.n}, with);
}

APPLY(apply_startswith)
{
    if (both_strings(work, in, &args[0]) != FLOW_OK)
        return FLOW_ERROR;
    return give(ret, val_bool(starts(val_plain(work, in), val_plain(work, &args[0]))));
}

APPLY(apply_endswith)
{
    if (both_strings(work, in, &args[0]) != FLOW_OK)
        return FLOW_ERROR;
    return give(ret, val_bool(ends(val_plain(work, in), val_plain(work, &args[0]))));
}

/* Both trims leave alone what does not fit, whatever its kind. */
APPLY(apply_ltrimstr)
{
    struct bytes text, with;

    *ret = *in;
    if (both_strings(work, in, &args[0]) != FLOW_OK)
        return FLOW_OK;
    text = val_plain(work, in);
    with = val_plain(work, &args[0]);
    if (starts(text, with))
        *ret = val_string((struct bytes){text.p + with.n, text.n - with.n});
    return FLOW_OK;
}

APPLY(apply_rtrimstr)
{
    struct bytes text, with;

    *ret = *in;
    if (both_strings(work, in, &args[0]) != FLOW_OK)
        return FLOW_OK;
    text = val_plain(work, in);
    with = val_plain(work, &args[0]);
    if (ends(text, with))
        *ret = val_string((struct bytes){text.p, text.n - with.n});
    return FLOW_OK;
}

static enum flow change_case(struct work *work, const struct val *in, char first, struct val *ret)
{
    struct bytes text;
    char *changed;

    if (in->kind != VAL_STRING)
        return FLOW_ERROR;
    text = val_plain(work, in);
    changed = arena_alloc(&work->arena, text.n + 1);
    if (changed == NULL) {
        work->failed = WORK_NO_MEMORY;
        return FLOW_STOP;
    }
    for (size_t i = 0; i < text.n; i++)
        changed[i] = text.p[i] >= first && text.p[i] < first + 26 ? text.p[i] ^ 0x20 : text.p[i];
    (void)work_step(work, 16 + text.n); /* limits the memory, too */
    return give(ret, val_string((struct bytes){changed, text.n}));
}

APPLY(apply_ascii_downcase)
{
    return change_case(work, in, 'A', ret);
}

APPLY(apply_ascii_upcase)
{
    return change_case(work, in, 'a', ret);
}

APPLY(apply_test)
{
    struct bytes text;

    if (in->kind != VAL_STRING)
        return FLOW_ERROR;
    text = val_plain(work, in);
    switch (regex_search(node->regex, text, work)) {
    case REGEX_FOUND:
        return give(ret, val_bool(true));
    case REGEX_FOUND_NOT:
        return give(ret, val_bool(false));
    case REGEX_GAVE_UP:
        break;
    }
    return FLOW_ERROR;
}

const struct call call_test = {"test", 0, apply_test};

/*
 * What jq's reader of JSON takes for blanks, the mark that some put before UTF-8, and the one that
 * ends a text of a sequence.
 */
static struct bytes trim(struct bytes text)
{
    if (starts(text, BYTES("\xef\xbb\xbf"))) {
        text.p += 3;
        text.n -= 3;
    }
    while (text.n > 0 && strchr(" \t\r\n", text.p[0]) != NULL && text.p[0] != '\0') {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && strchr(" \t\r\n\x1e", text.p[text.n - 1]) != NULL)
        text.n--;
    while (text.n > 0 && (text.p[0] == '\f' || text.p[0] == '\v')) { /* what strtod() skips */
        text.p++;
        text.n--;
    }
    return text;
}

APPLY(apply_tonumber)
{
    struct bytes text;

    if (in->kind == VAL_NUMBER)
        return give(ret, *in);
    if (in->kind != VAL_STRING)
        return FLOW_ERROR;
    text = val_plain(work, in);
    (void)work_step(work, text.n / 8);
    text.n = strnlen(text.p, text.n);
    return val_of_number(trim(text), ret) ? FLOW_OK : FLOW_ERROR;
}

/* ---- any value ---- */

APPLY(apply_not)
{
    return give(ret, val_bool(!val_true(in)));
}

APPLY(apply_empty)
{
    return FLOW_NOTHING;
}

APPLY(apply_length)
{
    switch (in->kind) {
    case VAL_NULL:
        return give(ret, val_number(0));
    case VAL_FALSE:
    case VAL_TRUE:
        return FLOW_ERROR;
    case VAL_NUMBER:
        *ret = *in;
        ret->number = fabs(ret->number);
        if (!in->computed && in->text.n > 0 && in->text.p[0] == '-')
            ret->text = (struct bytes){in->text.p + 1, in->text.n - 1};
        return FLOW_OK;
    default:
        return give(ret, val_number((double)val_length(work, in)));
    }
}

APPLY(apply_utf8bytelength)
{
    if (in->kind != VAL_STRING)
        return FLOW_ERROR;
    return give(ret, val_number((double)val_plain(work, in).n));
}

APPLY(apply_type)
{
    static const char *const names[] = {
        [VAL_NULL] = "null",     [VAL_FALSE] = "boolean", [VAL_TRUE] = "boolean",
        [VAL_NUMBER] = "number", [VAL_STRING] = "string", [VAL_ARRAY] = "array",
        [VAL_OBJECT] = "object",
    };

    return give(ret, val_string(bytes_of(names[in->kind])));
}

#define BIT(kind) (1u << (kind))

static enum flow only(const struct val *in, unsigned kinds, struct val *ret)
{
    *ret = *in;
    return (kinds & BIT(in->kind)) != 0 ? FLOW_OK : FLOW_NOTHING;
}

#define SELECTOR(name, kinds)                                                                      \
    APPLY(name)                                                                                    \
    {                                                                                              \
        return only(in, kinds, ret);                                                               \
    }

SELECTOR(apply_nulls, BIT(VAL_NULL))
SELECTOR(apply_values, ~BIT(VAL_NULL))
SELECTOR(apply_booleans, BIT(VAL_FALSE) | BIT(VAL_TRUE))
SELECTOR(apply_numbers, BIT(VAL_NUMBER))
SELECTOR(apply_strings, BIT(VAL_STRING))
SELECTOR(apply_arrays, BIT(VAL_ARRAY))
SELECTOR(apply_objects, BIT(VAL_OBJECT))
SELECTOR(apply_iterables, BIT(VAL_ARRAY) | BIT(VAL_OBJECT))
SELECTOR(apply_scalars, ~(BIT(VAL_ARRAY) | BIT(VAL_OBJECT)))

APPLY(apply_first)
{
    return element(work, in, 0, ret);
}

APPLY(apply_last)
{
    return element(work, in, -1, ret);
}

/* ---- containment ---- */

static enum flow contains(struct work *work, const struct val *whole, const struct val *part,
                          struct val *ret)
{
    if (whole->kind != part->kind)
        return FLOW_ERROR;
    return give(ret, val_bool(val_contains(work, whole, part)));
}

APPLY(apply_contains)
{
    return contains(work, in, &args[0], ret);
}

APPLY(apply_inside)
{
    return contains(work, &args[0], in, ret);
}

static enum flow has(struct work *work, const struct val *in, const struct val *key,
                     struct val *ret)
{
    bool there;
    double index;

    if (in->kind == VAL_NULL)
        return give(ret, val_bool(false));
    if (in->kind == VAL_OBJECT && key->kind == VAL_STRING) {
        (void)val_field(work, in, val_plain(work, key), &there);
        return give(ret, val_bool(there));
    }
    if (in->kind != VAL_ARRAY || key->kind != VAL_NUMBER)
        return FLOW_ERROR;
    index = val_double(key);
    return give(ret, val_bool(index > -1 && index < (double)val_length(work, in)));
}

APPLY(apply_has)
{
    return has(work, in, &args[0], ret);
}

APPLY(apply_in)
{
    return has(work, &args[0], in, ret);
}

static enum flow index_of_element(struct work *work, const struct val *array,
                                  const struct val *wanted, struct val *ret)
{
    struct walk walk = {.work = work, .in = array->text};
    struct val each;

    for (double i = 0; walk_element(&walk, &each); i++)
        if (val_equal(work, &each, wanted))
            return give(ret, val_number(i));
    return give(ret, val_null());
}

/* In bytes, as jq 1.6 counts.  jq 1.6 looks for an empty string for ever. */
static enum flow index_of_part(struct work *work, const struct val *string, const struct val *part,
                               struct val *ret)
{
    struct bytes text = val_plain(work, string), wanted = val_plain(work, part);
    const char *at = wanted.n > 0 && work_step(work, (text.n + wanted.n) / 4)
                         ? memmem(text.p, text.n, wanted.p, wanted.n)
                         : NULL;

    return give(ret, at != NULL ? val_number((double)(at - text.p)) : val_null());
}

/* The argument is a constant string, as the parser has made sure. */
APPLY(apply_index_of)
{
    struct val found;

    if (in->kind == VAL_ARRAY)
        return index_of_element(work, in, &args[0], ret);
    if (in->kind == VAL_STRING)
        return index_of_part(work, in, &args[0], ret);
    if (field(work, in, val_plain(work, &args[0]), &found) != FLOW_OK)
        return FLOW_ERROR;
    return element(work, &found, 0, ret);
}

/* ---- tables ---- */

static const struct call calls[] = {
    {"not",            0, apply_not           },
    {"empty",          0, apply_empty         },
    {"length",         0, apply_length        },
    {"utf8bytelength", 0, apply_utf8bytelength},
    {"type",           0, apply_type          },
    {"ascii_downcase", 0, apply_ascii_downcase},
    {"ascii_upcase",   0, apply_ascii_upcase  },
    {"tonumber",       0, apply_tonumber      },
    {"nulls",          0, apply_nulls         },
    {"values",         0, apply_values        },
    {"booleans",       0, apply_booleans      },
    {"numbers",        0, apply_numbers       },
    {"strings",        0, apply_strings       },
    {"arrays",         0, apply_arrays        },
    {"objects",        0, apply_objects       },
    {"iterables",      0, apply_iterables     },
    {"scalars",        0, apply_scalars       },
    {"first",          0, apply_first         },
    {"last",           0, apply_last          },
    {"has",            1, apply_has           },
    {"in",             1, apply_in            },
    {"startswith",     1, apply_startswith    },
    {"endswith",       1, apply_endswith      },
    {"ltrimstr",       1, apply_ltrimstr      },
    {"rtrimstr",       1, apply_rtrimstr      },
    {"contains",       1, apply_contains      },
    {"inside",         1, apply_inside        },
    {"index",          1, apply_index_of      },
};

static const struct call comparisons[] = {
    {"==", 2, apply_equal   },
    {"!=", 2, apply_unequal },
    {"<",  2, apply_less    },
    {"<=", 2, apply_at_most },
    {">",  2, apply_greater },
    {">=", 2, apply_at_least},
};

const struct call *call_find(struct bytes name, unsigned n_args)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i].n_args == n_args && bytes_equal(bytes_of(calls[i].name), name))
            return &calls[i];
    return NULL;
}

const struct call *call_comparison(struct bytes sign)
{
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        if (bytes_equal(bytes_of(comparisons[i].name), sign))
            return &comparisons[i];
    return NULL;
}
