/*
 * Random documents and random expressions of the kind that the native evaluator knows, for
 * comparing it with libjq.
 *
 * Small alphabets, so that things meet: the same few keys, strings and numbers everywhere.  What is
 * left out on purpose is what differs on purpose (integers beyond 2^53) or ends libjq (index("")).
 */
#ifndef FILTER_RANDOM_H
#define FILTER_RANDOM_H

#include "pools.h"

#define PICK(r, list) (list)[random_below(r, sizeof(list) / sizeof *(list))]

/* ---- documents ---- */

static void random_value(struct random *r, struct buf *out, unsigned depth)
{
    static const char *const scalars[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "2",
        "5",
        "-3",
        "1.0",
        "2.5",
        "1e3",
        "1000",
        "-0.25",
        "9007199254740991",
        "1e400",
        "-1e400",
        "0.1",
        "1E+2",
        "12345678901234567.5",
        "\"\"",
        "\"a\"",
        "\"ab\"",
        "\"abc\"",
        "\"A\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\u00e9\"",
        "\"é\"",
        "\"5\"",
        "\" 7 \"",
        "\"+1\"",
        "\"\\f\\u000b1\"",
        "\"5\\u001e \"",
        "\"\\u001e5\"",
        "\"\\u000b 5\"",
        "\"1e3\"",
        "\"007\"",
        "\"nan\"",
        "\"null\"",
        "\"[1]\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"😀\"",
        "\"\\\"\\\\\"",
        "\"\\n\"",
        "\"a.b\"",
        "\"error\"",
        "\"ERROR\"",
    };
    static const char *const keys[] = {"\"a\"",       "\"b\"", "\"c\"", "\"a b\"",
                                       "\"\\u0061\"", "\"é\"", "\"\""};
    uint64_t n = random_below(r, 4), kind = random_below(r, 10);

    if (depth == 0 || kind < 6) {
        buf_add_str(out, PICK(r, scalars));
        return;
    }
    buf_add_char(out, kind < 8 ? '{' : '[');
    for (uint64_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        if (kind < 8) {
            buf_add_str(out, PICK(r, keys));
            buf_add_char(out, ':');
        }
        random_value(r, out, depth - 1);
    }
    buf_add_char(out, kind < 8 ? '}' : ']');
}

static void random_data(struct random *r, struct buf *out)
{
    static const char *const keys[] = {"\"a\"",   "\"b\"",       "\"c\"",
                                       "\"a b\"", "\"\\u0061\"", "\"list\""};
    uint64_t n = 2 + random_below(r, 6);

    buf_add_char(out, '{');
    for (uint64_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        buf_add_str(out, PICK(r, keys));
        buf_add_char(out, ':');
        random_value(r, out, 3);
    }
    buf_add_char(out, '}');
}

/* ---- expressions ---- */

static void random_pipe(struct random *r, struct buf *out, unsigned depth);

static void random_constant(struct random *r, struct buf *out)
{
    static const char *const constants[] = {
        "null",
        "true",
        "false",
        "0",
        "1",
        "2.5",
        "-3",
        "1000",
        ".5",
        "007",
        "1e400",
        "5",
        "\"a\"",
        "\"ab\"",
        "\"\"",
        "\"A\"",
        "\"é\"",
        "\"\\u0061\"",
        "\"5\"",
        "\"error\"",
        "[]",
        "[1]",
        "[1,2.5]",
        "[\"a\"]",
        "[[\"a\"],null]",
        "{}",
        "{a:1}",
        "{\"a\":\"a\",b:[]}",
        "{c:null}",
        "\"b\"",
    };

    buf_add_str(out, PICK(r, constants));
}

static void random_path(struct random *r, struct buf *out)
{
    static const char *const starts[] = {
        ".data",      ".data", ".data",    ".data.a", ".data.b",   ".data.list",
        ".meta.tags", ".meta", ".seq",     ".time",   ".",         ".a",
        ".b",         ".foo",  ".data?.a", ".seq.x",  ".data.a.b",
    };
    static const char *const steps[] = {
        ".a",   ".b", ".c",  ".a?", ".b?",   "[\"a b\"]", ".\"a\"", "[0]",  "[1]?",
        "[-1]", "[]", "[]?", "[2]", "[1.5]", "[\"a\"]?",  ".list",  "[0]?",
    };
    const char *start = PICK(r, starts);

    buf_add_str(out, start);
    for (uint64_t i = random_below(r, 3); i > 0; i--) {
        const char *step = PICK(r, steps);

        if (strcmp(start, ".") == 0 && step[0] == '.')
            continue; /* jq 1.6 takes it for something else */
        buf_add_str(out, step);
    }
}

/* A function with its arguments; what it is applied to comes from the pipe. */
static void random_call(struct random *r, struct buf *out, unsigned depth)
{
    static const char *const calls[] = {
        "not",
        "length",
        "type",
        "ascii_downcase",
        "ascii_upcase",
        "tonumber",
        "empty",
        "values",
        "nulls",
        "booleans",
        "numbers",
        "strings",
        "arrays",
        "objects",
        "iterables",
        "scalars",
        "first",
        "last",
        "any",
        "all",
        "has(\"a\")",
        "has(0)",
        "has(\"zz\")",
        "startswith(\"a\")",
        "endswith(\"b\")",
        "ltrimstr(\"a\")",
        "rtrimstr(\"b\")",
        "contains(\"a\")",
        "contains([\"a\"])",
        "contains({a:1})",
        "contains([[]])",
        "inside([\"a\",\"b\",1])",
        "inside(\"abc\")",
        "index(\"a\")",
        "index(\"b\")",
        "test(\"a\")",
        "test(\"A\";\"i\")",
        "test(\"^a.*b$\";\"x\")",
        "test(\"[^a]\";null)",
        "test(\"\\\\d+\")",
        "test(\"a.b\")",
        "any(. == 1)",
        "all(. != null)",
        "IN(1,\"a\",null)",
        "IN(.[]?)",
        "utf8bytelength",
        "inside({a:1,b:2})",
        "in({a:1})",
    };
    static const char *const takers[] = {
        "any(",      "all(",      "select(", "has(", "startswith(",
        "endswith(", "contains(", "inside(", "IN(",
    };

    if (depth == 0 || random_below(r, 3) > 0) {
        buf_add_str(out, PICK(r, calls));
        return;
    }
    buf_add_str(out, PICK(r, takers));
    random_pipe(r, out, depth - 1);
    if (out->p[out->n - 1] != ')' && random_below(r, 4) == 0 &&
        memmem(out->p, out->n, "zzz", 3) == NULL) {
        size_t open = out->n;

        while (open > 0 && out->p[open - 1] != '(')
            open--;
        if (open >= 4 && (memcmp(out->p + open - 4, "any(", 4) == 0 ||
                          memcmp(out->p + open - 4, "all(", 4) == 0)) {
            buf_add_str(out, "; ");
            random_pipe(r, out, depth - 1);
        }
    }
    buf_add_char(out, ')');
}

static void random_term(struct random *r, struct buf *out, unsigned depth)
{
    switch (random_below(r, depth == 0 ? 5 : 8)) {
    case 0:
        random_constant(r, out);
        break;
    case 1:
    case 2:
    case 3:
        random_path(r, out);
        break;
    case 4:
        random_call(r, out, depth);
        break;
    case 5:
        buf_add_str(out, "if ");
        random_pipe(r, out, depth - 1);
        buf_add_str(out, " then ");
        random_pipe(r, out, depth - 1);
        buf_add_str(out, " else ");
        random_pipe(r, out, depth - 1);
        buf_add_str(out, " end");
        break;
    default:
        buf_add_char(out, '(');
        random_pipe(r, out, depth - 1);
        buf_add_char(out, ')');
        break;
    }
}

static void random_comparison(struct random *r, struct buf *out, unsigned depth)
{
    static const char *const signs[] = {" == ", " == ", " != ", " < ", " <= ", " > ", " >= "};

    random_term(r, out, depth);
    if (random_below(r, 2) == 0)
        return;
    buf_add_str(out, PICK(r, signs));
    random_term(r, out, depth);
}

static void random_pipe(struct random *r, struct buf *out, unsigned depth)
{
    static const char *const joints[] = {" | ",  " | ", " and ", " or ",
                                         " // ", ", ",  " and ", " | "};

    random_comparison(r, out, depth);
    for (uint64_t n = random_below(r, 3); n > 0; n--) {
        const char *joint = PICK(r, joints);

        buf_add_str(out, joint);
        if (strcmp(joint, " | ") == 0 && random_below(r, 2) == 0)
            random_call(r, out, depth > 0 ? depth - 1 : 0);
        else
            random_comparison(r, out, depth);
    }
}

/* Conditions joined by `and`, for libjq or not, and now and then something that is none. */
static void random_conditions(struct random *r, struct buf *out)
{
    static const char *const for_libjq[] = {
        ".data.a + 1 == 2",
        "(true, error)",
        "(null, true)",
        "(.data.list | map(. == 1) | any)",
        "([.data[]?] | length > 3)",
        "(.data.b | [.] != [null])",
        "(try error(1) catch true)",
        "(try (true, error(1)))",
        "error",
        "(1 as $x | $x == 1)",
        "(.seq | . % 2 == 0)",
        "(def f: true; f)",
        "reduce .data.list[]? as $x (true; . and $x != 5)",
        "(.data | keys != [])",
        "-1 != .data.a",
        ".data.a - 1 < 0",
        "\"\\(.seq)\" != \"3\"",
        "if .seq == 2 then (.seq | . + 1) else true end",
        "[.seq, 1 | . + 1] != []",
        "{and: .seq} != {or: (.seq + 1)}",
        "(.seq, .data.a.b.c) + 0 > 1",
        "(.data.a | floor)?",
        "[.data.a + 1]?",
        "[.data.a.b? + 1, .data.list[0]?] != []",
        "(. as {seq: $s} ?// $s | $s == 1)",
        "(.data | isvalid(.a.b, .list))",
        "(first(.data[]?, error) | . != 3)",
        "(label $f | .seq, .data.a, break $f | . != 2)",
        "(.seq | IN(1, 2, 3))",
        "([limit(2; .data[]?)] != [])",
        "(.data | with_entries(.) != {})",
        "((.data.b | floor) // false)",
        "(.data | tostream | length == 2)",
        "(.data.a |= 1 | true)",
        "(.data | walk(.) != null)",
        "(.seq | until(. > 3; . + 1) == 4)",
    };
    static const char *const joints[] = {" and ", " and ", " and ", " and ", "\tand #,\n",
                                         " or ",  " // ",  " | ",   ", "};

    buf_add_str(out, random_below(r, 20) == 0 ? "try " : "");
    for (uint64_t n = 2 + random_below(r, 4); n > 0; n--) {
        switch (random_below(r, 5)) {
        case 0:
        case 1:
            buf_add_str(out, PICK(r, for_libjq));
            break;
        case 2:
            random_comparison(r, out, 1);
            break;
        default: /* true often enough that the others matter */
            random_path(r, out);
            buf_add_str(out, " != [[]]");
        }
        if (n > 1)
            buf_add_str(out, random_below(r, 8) > 0 ? " and " : PICK(r, joints));
    }
}

/* Half of them end in something that is true more often than not. */
static void random_expression(struct random *r, struct buf *out)
{
    static const char *const ends[] = {"not",
                                       ". != null",
                                       "type != \"string\"",
                                       "[1] != .",
                                       ". // true | not | not",
                                       "length >= 0",
                                       "select(. == null or . == false) | not"};

    if (random_below(r, 2) == 0) {
        random_pipe(r, out, 2);
        return;
    }
    buf_add_char(out, '(');
    random_pipe(r, out, 2);
    buf_add_str(out, ") | ");
    buf_add_str(out, PICK(r, ends));
}

#endif
