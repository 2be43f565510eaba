/*
 * The gate's machine: a table of states over bytes that can stop and go on at any byte.  json_state.h says how the
 * quicker block scanners fit in.
 */
#include "pool/json.h"

#include "json_state.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

/* gate->substate in JSON_IN_STRING; gate->literal says whether the string is a key. */
enum string_part {
    STRING_PLAIN,
    STRING_TAIL_1, /* UTF-8: bytes still to come; gate->code holds the bounds of the next one */
    STRING_TAIL_2,
    STRING_TAIL_3,
    STRING_ESCAPE,
    STRING_HEX_1, /* digits still to come */
    STRING_HEX_2,
    STRING_HEX_3,
    STRING_HEX_4,
};

/* gate->substate in JSON_IN_NUMBER: what was last. */
enum number_part {
    NUMBER_MINUS,
    NUMBER_ZERO, /* the integer part is 0: no digit may follow */
    NUMBER_INT,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_E_SIGN,
    NUMBER_EXPONENT,
    NUMBER_OVER, /* the byte does not belong to the number, which is whole */
    NUMBER_BAD,
};

enum why {
    WHY_VALUE,
    WHY_FIRST_VALUE,
    WHY_KEY,
    WHY_FIRST_KEY,
    WHY_COLON,
    WHY_NEXT_MEMBER,
    WHY_NEXT_ELEMENT,
    WHY_DIGIT,
    WHY_ZERO,
    WHY_AFTER_NUMBER,
    WHY_LITERAL,
    WHY_CONTROL,
    WHY_ESCAPE,
    WHY_HEX,
    WHY_UTF8,
    WHY_DEPTH,
    WHY_UNFINISHED,
    WHY_TRAILING,
    WHY_MEMORY,
};

static const char *const why_texts[] = {
    [WHY_VALUE] = "expected a value",
    [WHY_FIRST_VALUE] = "expected a value or ']'",
    [WHY_KEY] = "expected a key in double quotes",
    [WHY_FIRST_KEY] = "expected a key in double quotes or '}'",
    [WHY_COLON] = "expected ':' after the key",
    [WHY_NEXT_MEMBER] = "expected ',' or '}'",
    [WHY_NEXT_ELEMENT] = "expected ',' or ']'",
    [WHY_DIGIT] = "expected a digit in the number",
    [WHY_ZERO] = "a number must not start with 0 and another digit",
    [WHY_AFTER_NUMBER] = "unexpected character after the number",
    [WHY_LITERAL] = "expected true, false or null",
    [WHY_CONTROL] = "control character in a string must be escaped",
    [WHY_ESCAPE] = "invalid escape in a string",
    [WHY_HEX] = "expected four hex digits after \\u",
    [WHY_UTF8] = "invalid UTF-8",
    [WHY_DEPTH] = "data nests deeper than 120",
    [WHY_UNFINISHED] = "unfinished value",
    [WHY_TRAILING] = "unexpected text after the value",
    [WHY_MEMORY] = "out of memory",
};

static_assert(JSON_DEPTH_MAX == 120, "the text above names the limit");
static_assert(JSON_DEPTH_MAX + 1 <= 128, "the stack of containers has 128 bits");

static const char *const literals[] = {"true", "false", "null"};

/* One call of json_gate_feed(). */
struct feed {
    struct json_gate *gate;
    const unsigned char *p;
    size_t at;
    size_t n;
    char *out; /* room for all of the input */
};

enum step {
    STEP_ON,
    STEP_MORE, /* the input is used up */
    STEP_DONE, /* the value is complete */
    STEP_BAD,
};

static enum step bad(struct feed *f, enum why why)
{
    f->gate->state = JSON_FAILED;
    f->gate->code = why;
    return STEP_BAD;
}

static inline void take(struct feed *f)
{
    *f->out++ = (char)f->p[f->at++];
}

static inline bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_hex(unsigned char c)
{
    unsigned char lower = c | 0x20;

    return is_digit(c) || (lower >= 'a' && lower <= 'f');
}

static enum step value_over(struct feed *f)
{
    f->gate->state = f->gate->depth > 0 ? JSON_WANT_NEXT : JSON_START;
    return f->gate->depth > 0 ? STEP_ON : STEP_DONE;
}

/* ---- strings ---- */

/* Bytes at the start of p[0..n) that need no look: not '"', '\', below 0x20 or above 0x7f.  May stop early. */
static inline size_t plain_run(const unsigned char *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t word, quote, slash;

        memcpy(&word, p + i, 8);
        quote = word ^ ones * '"';
        slash = word ^ ones * '\\';
        if ((((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
             ((word - ones * 0x20) & ~word) | word) &
            tops)
            break;
    }
    return i;
}

/* The first byte of a UTF-8 sequence: how many follow, and what the second one may be. */
static enum step utf8_lead(struct feed *f, unsigned char c)
{
    unsigned low = 0x80, high = 0xbf;

    if (c < 0xc2 || c > 0xf4)
        return bad(f, WHY_UTF8);
    if (c == 0xe0)
        low = 0xa0; /* shorter forms exist below */
    else if (c == 0xed)
        high = 0x9f; /* surrogates above */
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f; /* U+10FFFF is the last */
    f->gate->code = low | high << 8;
    f->gate->substate = c < 0xe0 ? STRING_TAIL_1 : c < 0xf0 ? STRING_TAIL_2 : STRING_TAIL_3;
    take(f);
    return STEP_ON;
}

static enum step utf8_tail(struct feed *f, unsigned char c)
{
    if (c < (f->gate->code & 0xff) || c > f->gate->code >> 8)
        return bad(f, WHY_UTF8);
    f->gate->code = 0x80 | 0xbf << 8;
    f->gate->substate--; /* STRING_TAIL_1 becomes STRING_PLAIN */
    take(f);
    return STEP_ON;
}

static enum step string_escape(struct feed *f, unsigned char c)
{
    if (f->gate->substate >= STRING_HEX_1) {
        if (!is_hex(c))
            return bad(f, WHY_HEX);
        f->gate->substate =
            f->gate->substate == STRING_HEX_1 ? STRING_PLAIN : f->gate->substate - 1;
    } else if (c == 'u') {
        f->gate->substate = STRING_HEX_4;
    } else if (c != 0 && strchr("\"\\/bfnrt", c) != NULL) {
        f->gate->substate = STRING_PLAIN;
    } else {
        return bad(f, WHY_ESCAPE);
    }
    take(f);
    return STEP_ON;
}

static enum step string_plain(struct feed *f)
{
    size_t run = plain_run(f->p + f->at, f->n - f->at);
    unsigned char c;

    memcpy(f->out, f->p + f->at, run);
    f->out += run;
    f->at += run;
    if (f->at == f->n)
        return STEP_MORE;
    c = f->p[f->at];
    if (c >= 0x80)
        return utf8_lead(f, c);
    if (c < 0x20)
        return bad(f, WHY_CONTROL);
    take(f);
    if (c == '\\')
        f->gate->substate = STRING_ESCAPE;
    if (c != '"')
        return STEP_ON;
    if (!f->gate->literal)
        return value_over(f);
    f->gate->state = JSON_WANT_COLON;
    return STEP_ON;
}

static enum step string_go(struct feed *f)
{
    enum step step = STEP_ON;

    while (step == STEP_ON && f->gate->state == JSON_IN_STRING && f->at < f->n) {
        if (f->gate->substate == STRING_PLAIN)
            step = string_plain(f);
        else if (f->gate->substate <= STRING_TAIL_3)
            step = utf8_tail(f, f->p[f->at]);
        else
            step = string_escape(f, f->p[f->at]);
    }
    return step;
}

static enum step string_begin(struct feed *f, bool is_key)
{
    f->gate->state = JSON_IN_STRING;
    f->gate->substate = STRING_PLAIN;
    f->gate->literal = is_key;
    take(f);
    return STEP_ON;
}

/* ---- numbers and literals ---- */

static enum number_part number_next(enum number_part part, unsigned char c)
{
    bool is_e = (c | 0x20) == 'e';

    switch (part) {
    case NUMBER_MINUS:
        return c == '0' ? NUMBER_ZERO : is_digit(c) ? NUMBER_INT : NUMBER_BAD;
    case NUMBER_ZERO:
        return c == '.' ? NUMBER_POINT : is_e ? NUMBER_E : is_digit(c) ? NUMBER_BAD : NUMBER_OVER;
    case NUMBER_INT:
        return is_digit(c) ? NUMBER_INT : c == '.' ? NUMBER_POINT : is_e ? NUMBER_E : NUMBER_OVER;
    case NUMBER_POINT:
        return is_digit(c) ? NUMBER_FRACTION : NUMBER_BAD;
    case NUMBER_FRACTION:
        return is_digit(c) ? NUMBER_FRACTION : is_e ? NUMBER_E : NUMBER_OVER;
    case NUMBER_E:
        return is_digit(c) ? NUMBER_EXPONENT : c == '+' || c == '-' ? NUMBER_E_SIGN : NUMBER_BAD;
    case NUMBER_E_SIGN:
        return is_digit(c) ? NUMBER_EXPONENT : NUMBER_BAD;
    case NUMBER_EXPONENT:
        return is_digit(c) ? NUMBER_EXPONENT : NUMBER_OVER;
    case NUMBER_OVER:
    case NUMBER_BAD:
        break;
    }
    return NUMBER_BAD;
}

static bool number_is_whole(enum number_part part)
{
    return part == NUMBER_ZERO || part == NUMBER_INT || part == NUMBER_FRACTION ||
           part == NUMBER_EXPONENT;
}

static enum step number_go(struct feed *f)
{
    enum number_part part = f->gate->substate, next = part;

    while (f->at < f->n) {
        next = number_next(part, f->p[f->at]);
        if (next >= NUMBER_OVER)
            break;
        part = next;
        take(f);
    }
    f->gate->substate = part;
    if (f->at == f->n)
        return STEP_MORE;
    if (next == NUMBER_BAD)
        return bad(f, part == NUMBER_ZERO ? WHY_ZERO : WHY_DIGIT);
    if (f->gate->depth == 0 && !is_blank(f->p[f->at]))
        return bad(f, WHY_AFTER_NUMBER);
    return value_over(f);
}

static enum step number_begin(struct feed *f, unsigned char c)
{
    f->gate->state = JSON_IN_NUMBER;
    f->gate->substate = c == '-' ? NUMBER_MINUS : c == '0' ? NUMBER_ZERO : NUMBER_INT;
    take(f);
    return STEP_ON;
}

static enum step literal_go(struct feed *f)
{
    const char *text = literals[f->gate->literal];

    while (f->at < f->n) {
        if (f->p[f->at] != (unsigned char)text[f->gate->substate])
            return bad(f, WHY_LITERAL);
        take(f);
        if (text[++f->gate->substate] == '\0')
            return value_over(f);
    }
    return STEP_MORE;
}

static enum step literal_begin(struct feed *f, unsigned char c)
{
    f->gate->state = JSON_IN_LITERAL;
    f->gate->literal = c == 't' ? 0 : c == 'f' ? 1 : 2;
    f->gate->substate = 1;
    take(f);
    return STEP_ON;
}

/* ---- between tokens ---- */

static enum step container_begin(struct feed *f, bool is_object)
{
    struct json_gate *gate = f->gate;

    if (gate->depth >= JSON_DEPTH_MAX + (gate->envelope ? 1 : 0))
        return bad(f, WHY_DEPTH);
    gate->depth++;
    if (gate->depth > JSON_DEPTH_MAX)
        gate->deep = true;
    json_kinds_set(gate, json_kinds_get(gate) << 1 | is_object);
    gate->state = is_object ? JSON_FIRST_KEY : JSON_FIRST_VALUE;
    take(f);
    return STEP_ON;
}

static enum step container_end(struct feed *f)
{
    f->gate->depth--;
    json_kinds_set(f->gate, json_kinds_get(f->gate) >> 1);
    take(f);
    return value_over(f);
}

static enum step value_begin(struct feed *f, unsigned char c, enum why why)
{
    switch (c) {
    case '{':
    case '[':
        return container_begin(f, c == '{');
    case '"':
        return string_begin(f, false);
    case 't':
    case 'f':
    case 'n':
        return literal_begin(f, c);
    default:
        return c == '-' || is_digit(c) ? number_begin(f, c) : bad(f, why);
    }
}

static enum step next_begin(struct feed *f, unsigned char c)
{
    bool in_object = f->gate->kinds[0] & 1;

    if (c == ',') {
        f->gate->state = in_object ? JSON_WANT_KEY : JSON_WANT_VALUE;
        take(f);
        return STEP_ON;
    }
    if (c == (in_object ? '}' : ']'))
        return container_end(f);
    return bad(f, in_object ? WHY_NEXT_MEMBER : WHY_NEXT_ELEMENT);
}

/* The byte at hand begins a token, if any. */
static enum step token_begin(struct feed *f)
{
    unsigned char c = f->p[f->at];

    switch (f->gate->state) {
    case JSON_START:
    case JSON_WANT_VALUE:
        return value_begin(f, c, WHY_VALUE);
    case JSON_FIRST_VALUE:
        return c == ']' ? container_end(f) : value_begin(f, c, WHY_FIRST_VALUE);
    case JSON_FIRST_KEY:
        return c == '}'   ? container_end(f)
               : c == '"' ? string_begin(f, true)
                          : bad(f, WHY_FIRST_KEY);
    case JSON_WANT_KEY:
        return c == '"' ? string_begin(f, true) : bad(f, WHY_KEY);
    case JSON_WANT_COLON:
        if (c != ':')
            return bad(f, WHY_COLON);
        f->gate->state = JSON_WANT_VALUE;
        take(f);
        return STEP_ON;
    default:
        return next_begin(f, c);
    }
}

static enum step token_go(struct feed *f)
{
    switch (f->gate->state) {
    case JSON_IN_STRING:
        return string_go(f);
    case JSON_IN_NUMBER:
        return number_go(f);
    case JSON_IN_LITERAL:
        return literal_go(f);
    case JSON_FAILED:
        return STEP_BAD;
    default:
        return token_begin(f);
    }
}

/* ---- the scanners ---- */

/* The best that runs here comes first. */
static const struct scanner {
    const char *name;
    json_scanner *scan;
} scanners[] = {
#if defined(__x86_64__)
    {"avx2",  json_scan_avx2},
    {"sse2",  json_scan_sse2},
#endif
    {"plain", NULL          },
};

#define N_SCANNERS ((int)(sizeof scanners / sizeof scanners[0]))

static atomic_int forced; /* row that is used, plus one; 0: the best */

#if defined(__x86_64__)
/* The first processors of AMD that have pext take hundreds of cycles for one. */
static bool has_quick_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
           __builtin_cpu_supports("pclmul") && !__builtin_cpu_is("znver1") &&
           !__builtin_cpu_is("znver2");
}
#endif

static int best_scanner(void)
{
#if defined(__x86_64__)
    return has_quick_avx2() ? 0 : 1;
#else
    return 0;
#endif
}

static inline const struct scanner *scanner(void)
{
    int row = atomic_load_explicit(&forced, memory_order_relaxed);

    return &scanners[row > 0 ? row - 1 : best_scanner()];
}

const char *json_scanner_name(void)
{
    return scanner()->name;
}

bool json_use_scanner(const char *name)
{
    for (int row = best_scanner(); row < N_SCANNERS; row++) {
        if (strcmp(scanners[row].name, name) == 0) {
            atomic_store_explicit(&forced, row + 1, memory_order_relaxed);
            return true;
        }
    }
    return false;
}

void json_use_plain(bool plain)
{
    atomic_store_explicit(&forced, plain ? N_SCANNERS : 0, memory_order_relaxed);
}

/* Shorter texts are not worth the set-up. */
#define SCAN_MIN 16

/* Once in each call, at the first place where a scanner can start. */
static enum step scan_ahead(struct feed *f, json_scanner *scan)
{
    unsigned char c = f->p[f->at];
    size_t before = f->at;

    if (f->n - f->at < SCAN_MIN || (f->gate->state == JSON_START && c != '{' && c != '['))
        return STEP_ON;
    f->at = scan(f->gate, (const char *)f->p, f->at, f->n, f->out, &f->out);
    return f->at > before && f->gate->state == JSON_START ? STEP_DONE : STEP_ON;
}

static enum step run(struct feed *f)
{
    json_scanner *scan = scanner()->scan;
    enum step step = STEP_ON;

    while (step == STEP_ON) {
        if (json_between_tokens(f->gate->state)) {
            while (f->at < f->n && is_blank(f->p[f->at]))
                f->at++;
            if (f->at < f->n && scan != NULL) {
                step = scan_ahead(f, scan);
                scan = NULL;
                continue;
            }
        }
        if (f->at == f->n)
            return STEP_MORE;
        step = token_go(f);
    }
    return step;
}

enum json_status json_gate_feed(struct json_gate *gate, const char *p, size_t n, size_t *ret_used,
                                struct buf *out)
{
    struct feed f = {.gate = gate, .p = (const unsigned char *)p, .n = n};
    enum step step;

    if (buf_room(out, n + JSON_OUT_SLACK) < 0) {
        *ret_used = 0;
        bad(&f, WHY_MEMORY);
        return JSON_BAD;
    }
    f.out = out->p + out->n;
    step = run(&f);
    out->n = (size_t)(f.out - out->p);
    *ret_used = f.at;
    return step == STEP_BAD ? JSON_BAD : step == STEP_DONE ? JSON_VALUE : JSON_MORE;
}

enum json_status json_gate_end(struct json_gate *gate)
{
    if (gate->state == JSON_START)
        return JSON_MORE;
    if (gate->state == JSON_IN_NUMBER && gate->depth == 0 && number_is_whole(gate->substate)) {
        gate->state = JSON_START;
        return JSON_VALUE;
    }
    if (gate->state != JSON_FAILED) {
        gate->state = JSON_FAILED;
        gate->code = WHY_UNFINISHED;
    }
    return JSON_BAD;
}

const char *json_gate_why(const struct json_gate *gate)
{
    return gate->state == JSON_FAILED ? why_texts[gate->code] : "";
}

bool json_gate_in_string(const struct json_gate *gate)
{
    if (gate->state != JSON_FAILED)
        return gate->state == JSON_IN_STRING;
    return gate->code == WHY_CONTROL || gate->code == WHY_ESCAPE || gate->code == WHY_HEX ||
           gate->code == WHY_UTF8;
}

int json_gate_fail(const struct json_gate *gate, uint64_t offset, struct error *err)
{
    if (gate->state == JSON_FAILED && gate->code == WHY_MEMORY)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (gate->state == JSON_FAILED && gate->code == WHY_DEPTH) {
        fail(err, PLSM_ERROR_USAGE, "%s", json_gate_why(gate));
    } else {
        fail(err, PLSM_ERROR_USAGE, "invalid json");
        fail_cause(err, json_gate_why(gate));
    }
    fail_detail(err, ERROR_DETAIL_BAD_JSON);
    return fail_offset(err, offset);
}

/* ---- whole texts ---- */

static int compact_failed(struct json_gate *gate, enum why why, size_t offset, struct error *err)
{
    if (gate->state != JSON_FAILED) {
        gate->state = JSON_FAILED;
        gate->code = why;
    }
    return json_gate_fail(gate, offset, err);
}

int json_compact(struct bytes text, struct buf *out, struct error *err)
{
    struct json_gate gate = JSON_GATE_INIT;
    size_t before = out->n, used = 0;
    enum json_status status = json_gate_feed(&gate, text.p, text.n, &used, out);

    if (status == JSON_MORE && json_gate_end(&gate) == JSON_VALUE)
        return 0;
    while (status == JSON_VALUE && used < text.n && is_blank((unsigned char)text.p[used]))
        used++;
    if (status == JSON_VALUE && used == text.n)
        return 0;
    out->n = before;
    return compact_failed(&gate, status == JSON_VALUE ? WHY_TRAILING : WHY_VALUE, used, err);
}
