#include "pool/json.h"

#include "json_random.h"
#include "json_state.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const scanner_names[] = {"plain", "sse2", "avx2"};

/* What a gate said to a text. */
struct verdict {
    enum json_status status;
    size_t at; /* of the wrong byte, or behind the value */
    const char *why;
    struct buf out;
};

/* Feeds p[0..n) in pieces that end at each of the cuts; each piece has its own memory, so that a sanitizer sees its ends. */
static struct verdict judge(const char *p, size_t n, const size_t *cuts, size_t n_cuts)
{
    struct verdict v = {.status = JSON_MORE};
    struct json_gate gate = JSON_GATE_INIT;
    size_t from = 0;

    for (size_t i = 0; i <= n_cuts && v.status == JSON_MORE; i++) {
        size_t to = i < n_cuts ? cuts[i] : n, used = 0;
        char *piece = malloc(to - from + 1);

        memcpy(piece, p + from, to - from);
        v.status = json_gate_feed(&gate, piece, to - from, &used, &v.out);
        free(piece);
        v.at = from + used;
        from = to;
    }
    if (v.status == JSON_MORE)
        v.status = json_gate_end(&gate);
    v.why = json_gate_why(&gate);
    return v;
}

static void verdicts_equal(const struct verdict *a, const struct verdict *b, const char *p,
                           size_t n, const char *what)
{
    bool same = a->status == b->status && a->at == b->at && strcmp(a->why, b->why) == 0 &&
                (a->status != JSON_VALUE || bytes_equal(buf_bytes(&a->out), buf_bytes(&b->out)));

    if (!same)
        fail_msg("%s: %d at %zu (%s) and %d at %zu (%s) for: %.*s", what, a->status, a->at, a->why,
                 b->status, b->at, b->why, (int)n, p);
}

static struct verdict judge_by_bytes(const char *p, size_t n)
{
    size_t *cuts = calloc(n + 1, sizeof *cuts);
    struct verdict v;

    for (size_t i = 0; i < n; i++)
        cuts[i] = i;
    v = judge(p, n, cuts, n);
    free(cuts);
    return v;
}

/* Every scanner, whole and in two pieces cut anywhere, says what the machine says byte by byte; *ret is that, to be released. */
static void judge_all_ways(const char *p, size_t n, struct verdict *ret)
{
    json_use_plain(true);
    *ret = judge_by_bytes(p, n);
    for (size_t i = 0; i < sizeof scanner_names / sizeof scanner_names[0]; i++) {
        if (!json_use_scanner(scanner_names[i]))
            continue; /* the processor has it not; "plain" always runs */
        for (size_t cut = 0; cut <= n; cut++) {
            struct verdict v = judge(p, n, &cut, 1);

            verdicts_equal(ret, &v, p, n, scanner_names[i]);
            buf_done(&v.out);
        }
    }
    json_use_plain(false);
}

static void accepts(const char *text, const char *compact)
{
    struct verdict v;

    judge_all_ways(text, strlen(text), &v);
    if (v.status != JSON_VALUE || !bytes_equal(buf_bytes(&v.out), bytes_of(compact)))
        fail_msg("%s: %d at %zu (%s), %.*s", text, v.status, v.at, v.why, (int)v.out.n, v.out.p);
    buf_done(&v.out);
}

static void keeps(const char *text)
{
    accepts(text, text);
}

/* Wrong at `at`, also when it lies deep inside a long text: before it a run of members that fills blocks. */
static void refuses(const char *text, size_t at, const char *why)
{
    for (size_t pad = 0; pad < 140; pad += pad < 70 ? 23 : 1) {
        auto_buf struct buf long_text = BUF_INIT;
        struct verdict v;

        if (pad > 0) {
            buf_add_str(&long_text, "[\"");
            for (size_t i = 0; i < pad; i++)
                buf_add_char(&long_text, 'x');
            buf_add_str(&long_text, "\", ");
        }
        at += long_text.n;
        buf_add_str(&long_text, text);
        judge_all_ways(long_text.p != NULL ? long_text.p : "", long_text.n, &v);
        at -= long_text.n - strlen(text);
        buf_done(&v.out);
        if (v.status != JSON_BAD || strcmp(v.why, why) != 0 ||
            v.at != at + long_text.n - strlen(text))
            fail_msg("%s: %d at %zu (%s)", long_text.p, v.status, v.at, v.why);
        if (pad >= 90)
            break;
    }
}

static void json__keeps_values_as_sent(void **state)
{
    (void)state;
    keeps("{}");
    keeps("[]");
    keeps("\"\"");
    keeps("true");
    keeps("false");
    keeps("null");
    keeps("{\"a\":{\"b\":[1,true,null,\"x\"]},\"a\":2}");
    keeps("[[],{},[[]],[{}],{\"a\":[]}]");
    keeps("{\"zebra\":1,\"alpha\":2,\"zebra\":3}");
    keeps("[true,false,null,true,false,null,true,false,null,true,false,null,true,false,null,true,"
          "false,null]");
}

static void json__keeps_numbers_as_sent(void **state)
{
    static const char *const numbers[] = {
        "0",    "-0",   "1",       "-1",      "10",      "18446744073709551616",
        "0.0",  "3.10", "-0.5",    "1e400",   "1E400",   "1e+1",
        "1e-1", "0e0",  "0.1e007", "1.5E-00", "-0.0e-0", "123456789.987654321e12"};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        keeps(numbers[i]);
        for (int pad = 0; pad < 70;
             pad += pad < 50 ? 10 : 1) { /* at the end of a block, byte by byte */
            char text[256];

            snprintf(text, sizeof text, "[\"%.*s\",%s,%s]", pad,
                     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                     numbers[i], numbers[i]);
            keeps(text);
        }
    }
}

static void json__removes_blanks_between_tokens_only(void **state)
{
    (void)state;
    accepts(" \t\r\n{ \"a b\\t\" :\t1 ,\n\"c\" : [ 1 , 2 , { } , [ ] ] }",
            "{\"a b\\t\":1,\"c\":[1,2,{},[]]}");
    accepts("[\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
            "\n\n\n\n\n\n\n1]",
            "[1]");
    accepts("{\n    \"name\": \"pretty\",\n    \"list\": [\n        1,\n        2.5,\n        "
            "null\n    ],\n    \"o\": {\n        "
            "\"p\": \"q r s\"\n    }\n}",
            "{\"name\":\"pretty\",\"list\":[1,2.5,null],\"o\":{\"p\":\"q r s\"}}");
    accepts("\"  two  blanks  \"", "\"  two  blanks  \"");
    accepts("[\"  two  blanks  \" ]", "[\"  two  blanks  \"]");
    accepts("1 ", "1");
}

static void json__keeps_strings_as_sent(void **state)
{
    (void)state;
    keeps("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uD83D\\ude00\"");
    keeps(
        "[\"\\ud800\",\"\\udc00\",\"\\udc00\\ud800\",\"\\u0000\"]"); /* lone surrogates are grammar */
    keeps("[\"\x7f\",\"'\",\"/\",\"{}[]:,\"]");
    keeps("[\"\\\\\",\"\\\\\\\\\",\"\\\\\\\"\",\"a\\\\\"]");
    keeps("{\"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"
          "\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\":1}");
    keeps("[\"\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xef\xbf\xbf\xef\xbb\xbf\"]");
}

static void json__refuses_broken_structure(void **state)
{
    (void)state;
    refuses("}", 0, "expected a value");
    refuses("{1:2}", 1, "expected a key in double quotes or '}'");
    refuses("{'a':1}", 1, "expected a key in double quotes or '}'");
    refuses("{,}", 1, "expected a key in double quotes or '}'");
    refuses("{]", 1, "expected a key in double quotes or '}'");
    refuses("{\"a\":1,}", 7, "expected a key in double quotes");
    refuses("{\"a\":1,1:2}", 7, "expected a key in double quotes");
    refuses("{\"a\":1,,\"b\":2}", 7, "expected a key in double quotes");
    refuses("{\"a\"}", 4, "expected ':' after the key");
    refuses("{\"a\",\"b\":1}", 4, "expected ':' after the key");
    refuses("{\"a\" \"b\":1}", 5, "expected ':' after the key");
    refuses("{\"a\"::1}", 5, "expected a value");
    refuses("{\"a\":}", 5, "expected a value");
    refuses("{\"a\":,\"b\":1}", 5, "expected a value");
    refuses("{\"a\":1 \"b\":2}", 7, "expected ',' or '}'");
    refuses("{\"a\":1:2}", 6, "expected ',' or '}'");
    refuses("{\"a\":\"b\":2}", 8, "expected ',' or '}'");
    refuses("{\"a\":1]", 6, "expected ',' or '}'");
    refuses("{\"a\":{}{}}", 7, "expected ',' or '}'");
    refuses("{\"a\":[]\"b\"}", 7, "expected ',' or '}'");
    refuses("[1}", 2, "expected ',' or ']'");
    refuses("[1 2]", 3, "expected ',' or ']'");
    refuses("[\"a\" \"b\"]", 5, "expected ',' or ']'");
    refuses("[\"a\"\"b\"]", 4, "expected ',' or ']'");
    refuses("[\"a\":1]", 4, "expected ',' or ']'");
    refuses("[[][]]", 3, "expected ',' or ']'");
    refuses("[1,]", 3, "expected a value");
    refuses("[,1]", 1, "expected a value or ']'");
    refuses("[:1]", 1, "expected a value or ']'");
    refuses("[1,,2]", 3, "expected a value");
    refuses("[}", 1, "expected a value or ']'");
    refuses("[//comment\n1]", 1, "expected a value or ']'");
    refuses("\xef\xbb\xbf{}", 0, "expected a value");
    refuses("[\x0b]", 1, "expected a value or ']'");
    refuses("[\xc2\xa0]", 1, "expected a value or ']'");
    refuses("[1\xc2\xa0]", 2, "expected ',' or ']'");
    refuses("[1\\]", 2, "expected ',' or ']'");
    refuses("[\\\"a\"]", 1, "expected a value or ']'");
}

static void json__refuses_broken_numbers_and_literals(void **state)
{
    (void)state;
    refuses("[01]", 2, "a number must not start with 0 and another digit");
    refuses("[-01]", 3, "a number must not start with 0 and another digit");
    refuses("[00]", 2, "a number must not start with 0 and another digit");
    refuses("[00.5]", 2, "a number must not start with 0 and another digit");
    refuses("[-]", 2, "expected a digit in the number");
    refuses("[--1]", 2, "expected a digit in the number");
    refuses("[-a]", 2, "expected a digit in the number");
    refuses("[- 1]", 2, "expected a digit in the number");
    refuses("[+1]", 1, "expected a value or ']'");
    refuses("[.5]", 1, "expected a value or ']'");
    refuses("[1.]", 3, "expected a digit in the number");
    refuses("[1.e5]", 3, "expected a digit in the number");
    refuses("[1..5]", 3, "expected a digit in the number");
    refuses("[1.5.5]", 4, "expected ',' or ']'");
    refuses("[1e]", 3, "expected a digit in the number");
    refuses("[1e+]", 4, "expected a digit in the number");
    refuses("[1e+-5]", 4, "expected a digit in the number");
    refuses("[1ee5]", 3, "expected a digit in the number");
    refuses("[1e5e5]", 4, "expected ',' or ']'");
    refuses("[1e5.5]", 4, "expected ',' or ']'");
    refuses("[1e.5]", 3, "expected a digit in the number");
    refuses("[1-2]", 2, "expected ',' or ']'");
    refuses("[1+2]", 2, "expected ',' or ']'");
    refuses("[1e5-5]", 4, "expected ',' or ']'");
    refuses("[0x10]", 2, "expected ',' or ']'");
    refuses("[1_000]", 2, "expected ',' or ']'");
    refuses("[1 .5]", 3, "expected ',' or ']'");
    refuses("[NaN]", 1, "expected a value or ']'");
    refuses("[Infinity]", 1, "expected a value or ']'");
    refuses("[True]", 1, "expected a value or ']'");
    refuses("[tru]", 4, "expected true, false or null");
    refuses("[truE]", 4, "expected true, false or null");
    refuses("[tr ue]", 3, "expected true, false or null");
    refuses("[truefalse]", 5, "expected ',' or ']'");
    refuses("[true1]", 5, "expected ',' or ']'");
    refuses("[truee]", 5, "expected ',' or ']'");
    refuses("[1true]", 2, "expected ',' or ']'");
    refuses("[true\"a\"]", 5, "expected ',' or ']'");
    refuses("[nul\"l\"]", 4, "expected true, false or null");
    refuses("[falsy]", 5, "expected true, false or null");
}

static void json__refuses_broken_strings(void **state)
{
    (void)state;
    refuses("[\"\n\"]", 2, "control character in a string must be escaped");
    refuses("[\"a\x1f\"]", 3, "control character in a string must be escaped");
    refuses("[\"\t\"]", 2, "control character in a string must be escaped");
    refuses("[\"\\x41\"]", 3, "invalid escape in a string");
    refuses("[\"\\'\"]", 3, "invalid escape in a string");
    refuses("[\"\\\n\"]", 3, "invalid escape in a string");
    refuses("[\"\\u12\"]", 6, "expected four hex digits after \\u");
    refuses("[\"\\u12g4\"]", 6, "expected four hex digits after \\u");
    refuses("[\"\\U0041\"]", 3, "invalid escape in a string");
    refuses("[\"\x80\"]", 2, "invalid UTF-8");
    refuses("[\"\xc3\"]", 3, "invalid UTF-8");
    refuses("[\"\xc0\xaf\"]", 2, "invalid UTF-8");
    refuses("[\"\xe0\x9f\xbf\"]", 3, "invalid UTF-8");
    refuses("[\"\xed\xa0\x80\"]", 3, "invalid UTF-8");
    refuses("[\"\xf0\x8f\xbf\xbf\"]", 3, "invalid UTF-8");
    refuses("[\"\xf4\x90\x80\x80\"]", 3, "invalid UTF-8");
    refuses("[\"\xf5\x80\x80\x80\"]", 2, "invalid UTF-8");
    refuses("[\"\xff\"]", 2, "invalid UTF-8");
    refuses("[\"\xe6\xbc\"]", 4, "invalid UTF-8");
}

static void json__refuses_what_is_cut_off(void **state)
{
    static const char text[] = "{\"a\":[1,-2.5e3,true,\"\\u00e9\xc3\xa9\",{\"b\":null}],\"long\":"
                               "\"0123456789012345678901234567890\"}";

    (void)state;
    for (size_t n = 1; n < sizeof text - 1; n++) {
        struct verdict v;

        judge_all_ways(text, n, &v);
        assert_int_equal(v.status, JSON_BAD);
        assert_int_equal(v.at, n);
        assert_string_equal(v.why, "unfinished value");
        buf_done(&v.out);
    }
}

static void json__ends_a_number_at_a_blank_or_the_end(void **state)
{
    struct verdict v = judge("12 3", 4, NULL, 0);

    (void)state;
    assert_int_equal(v.status, JSON_VALUE);
    assert_int_equal(v.at, 2);
    buf_done(&v.out);
    v = judge("12x", 3, NULL, 0);
    assert_int_equal(v.status, JSON_BAD);
    assert_int_equal(v.at, 2);
    assert_string_equal(v.why, "unexpected character after the number");
    buf_done(&v.out);
    v = judge("  ", 2, NULL, 0);
    assert_int_equal(v.status, JSON_MORE);
    buf_done(&v.out);
}

static void json__takes_120_levels_and_no_more(void **state)
{
    (void)state;
    for (size_t depth = 118; depth <= 122; depth++) {
        for (int object = 0; object < 2; object++) {
            auto_buf struct buf text = BUF_INIT;
            size_t open_at = 0;
            struct verdict v;

            for (size_t i = 0; i < depth; i++) {
                if (i == 120)
                    open_at = text.n;
                buf_add_str(&text, object ? "{\"a\":" : "[");
            }
            buf_add_str(&text, "1");
            for (size_t i = 0; i < depth; i++)
                buf_add_char(&text, object ? '}' : ']');
            judge_all_ways(text.p, text.n, &v);
            assert_int_equal(v.status, depth <= 120 ? JSON_VALUE : JSON_BAD);
            if (depth > 120) {
                assert_string_equal(v.why, "data nests deeper than 120");
                assert_int_equal(v.at, open_at);
            }
            buf_done(&v.out);
        }
    }
}

static void json__stops_behind_the_first_value(void **state)
{
    static const char text[] = "{\"a\":[1,2,3]}{\"b\":2}\n[\"next\"] 17 true\"x\"null";
    static const size_t ends[] = {13, 20, 29, 32, 37, 40, 44};

    (void)state;
    for (size_t i = 0; i < sizeof scanner_names / sizeof scanner_names[0]; i++) {
        struct json_gate gate = JSON_GATE_INIT;
        auto_buf struct buf out = BUF_INIT;
        size_t at = 0, used;

        if (!json_use_scanner(scanner_names[i]))
            continue;
        for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
            assert_int_equal(json_gate_feed(&gate, text + at, strlen(text) - at, &used, &out),
                             JSON_VALUE);
            at += used;
            assert_int_equal(at, ends[k]);
            assert_false(json_gate_open(&gate));
        }
        assert_true(bytes_equal(buf_bytes(&out),
                                BYTES("{\"a\":[1,2,3]}{\"b\":2}[\"next\"]17true\"x\"null")));
    }
    json_use_plain(false);
}

/* ---- UTF-8 ---- */

/* By the definition: decoded, the code point must need that many bytes and be no surrogate. */
static bool utf8_by_definition(const unsigned char *p, size_t n)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    unsigned head = n == 1 ? 0 : n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0;
    unsigned head_mask = n == 1 ? 0x80 : n == 2 ? 0xe0 : n == 3 ? 0xf0 : 0xf8;

    if ((p[0] & head_mask) != head)
        return false;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return false;
        code = code << 6 | (p[i] & 0x3f);
    }
    return code >= least[n] && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
}

/* Whether all of p is text by that definition, cut greedily. */
static bool text_by_definition(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = 1;

        while (len <= 4 && (i + len > n || !utf8_by_definition(p + i, len)))
            len++;
        if (len > 4)
            return false;
        i += len;
    }
    return true;
}

/* A string that holds the n bytes at offset `at` of the text. */
static void check_utf8(const unsigned char *bytes, size_t n, size_t at)
{
    char text[256], out_text[512];
    struct buf out = {.p = out_text, .cap = sizeof out_text}; /* large enough: it never grows */
    struct json_gate gate = JSON_GATE_INIT;
    size_t used, len = at + n;
    bool expected = text_by_definition(bytes, n);

    memset(text, 'x', sizeof text);
    memcpy(text, "[\"", 2);
    memcpy(text + at, bytes, n);
    memcpy(text + len, "xxxxxxxxxxxxxxxxxxxx\"]", 22);
    if ((json_gate_feed(&gate, text, len + 22, &used, &out) == JSON_VALUE) != expected)
        fail_msg("%s: %02x %02x %02x %02x at %zu: should be %s", json_scanner_name(), bytes[0],
                 bytes[1], bytes[2], bytes[3], at, expected ? "good" : "bad");
}

static bool needs_no_look(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\'; /* these end or break the string by themselves */
}

/* All sequences of one to three bytes, those of four with bytes from the edges. */
static void check_all_utf8(size_t at, bool all_thirds)
{
    static const unsigned char edges[] = {0x20, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbe,
                                          0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff};
    const unsigned n_edges = sizeof edges;

    for (unsigned a = 0x80; a < 0x100; a++) {
        for (unsigned b = 0; b < 0x100; b++) {
            unsigned char bytes[4] = {(unsigned char)a, (unsigned char)b, 'x', 'x'};

            if (needs_no_look((unsigned char)b))
                continue;
            check_utf8(bytes, 2, at);
            for (unsigned c = 0; a >= 0xe0 && b >= 0x80 && c < (all_thirds ? 0x100 : n_edges);
                 c++) {
                bytes[2] = all_thirds ? (unsigned char)c : edges[c];
                if (needs_no_look(bytes[2]))
                    continue;
                check_utf8(bytes, 3, at);
                for (unsigned d = 0; a >= 0xf0 && (c < n_edges || c % 31 == 0) && d < n_edges;
                     d++) {
                    bytes[3] = edges[d];
                    check_utf8(bytes, 4, at);
                }
            }
        }
    }
}

static void json__knows_every_utf8_sequence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scanner_names / sizeof scanner_names[0]; i++) {
        if (!json_use_scanner(scanner_names[i]))
            continue;
        check_all_utf8(20, true);
        check_all_utf8(62, true);
    }
    json_use_plain(false);
}

static void json__knows_utf8_at_every_place_in_a_block(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scanner_names / sizeof scanner_names[0]; i++) {
        if (!json_use_scanner(scanner_names[i]))
            continue;
        for (size_t at = 2; at < 2 + 66; at++) {
            static const char *const samples[] = {"\xc2\x80",
                                                  "\xdf\xbf",
                                                  "\xe0\xa0\x80",
                                                  "\xe0\x9f\xbf",
                                                  "\xed\x9f\xbf",
                                                  "\xed\xa0\x80",
                                                  "\xef\xbf\xbf",
                                                  "\xf0\x90\x80\x80",
                                                  "\xf0\x8f\xbf\xbf",
                                                  "\xf4\x8f\xbf\xbf",
                                                  "\xf4\x90\x80\x80",
                                                  "\x80",
                                                  "\xc3",
                                                  "\xe6\xbc",
                                                  "\xf0\x9f\x98",
                                                  "\xff",
                                                  "\xc3\xa9\xc3",
                                                  "\xf0\x9f\x98\x80\x80"};

            for (size_t k = 0; k < sizeof samples / sizeof samples[0]; k++) {
                unsigned char bytes[8] = {0};

                memcpy(bytes, samples[k], strlen(samples[k]));
                check_utf8(bytes, strlen(samples[k]), at);
            }
        }
    }
    json_use_plain(false);
}

/* ---- random texts ---- */

static void json__says_the_same_by_every_way(void **state)
{
    struct random r = {random_seed()};

    (void)state;
    print_message("PLASMITE_SEED=%llu\n", (unsigned long long)r.state);
    for (int i = 0; i < 1500; i++) {
        auto_buf struct buf text = BUF_INIT;
        struct verdict v;

        random_document(&r, &text);
        if (i % 2 == 1)
            random_damage(&r, &text);
        if (text.n > 700)
            continue; /* every cut is tried: time grows with the square */
        judge_all_ways(text.p, text.n, &v);
        if (i % 2 == 0 && v.status != JSON_VALUE)
            fail_msg("refused at %zu: %.*s", v.at, (int)text.n, text.p);
        buf_done(&v.out);
    }
}

static void json__says_the_same_in_many_pieces(void **state)
{
    struct random r = {random_seed()};

    (void)state;
    print_message("PLASMITE_SEED=%llu\n", (unsigned long long)r.state);
    for (int i = 0; i < 30000; i++) {
        auto_buf struct buf text = BUF_INIT;
        size_t cuts[8], n_cuts = random_below(&r, 8);
        struct verdict by_bytes, v;

        random_document(&r, &text);
        if (i % 4 != 0)
            random_damage(&r, &text);
        if (text.n == 0)
            continue;
        for (size_t k = 0; k < n_cuts; k++) {
            cuts[k] = (k > 0 ? cuts[k - 1] : 0);
            cuts[k] += random_next(&r) % (text.n - cuts[k] + 1) / (k < 7 ? 2 : 1);
        }
        json_use_plain(true);
        by_bytes = judge_by_bytes(text.p, text.n);
        for (size_t k = 0; k < sizeof scanner_names / sizeof scanner_names[0]; k++) {
            if (!json_use_scanner(scanner_names[k]))
                continue;
            v = judge(text.p, text.n, cuts, n_cuts);
            verdicts_equal(&by_bytes, &v, text.p, text.n, scanner_names[k]);
            buf_done(&v.out);
        }
        json_use_plain(false);
        buf_done(&by_bytes.out);
    }
}

static bool jansson_differs(const char *p, size_t n)
{
    return memchr(p, 0, n) != NULL || memmem(p, n, "\\ud", 3) != NULL ||
           memmem(p, n, "\\uD", 3) != NULL || memmem(p, n, "\\u0000", 6) != NULL;
}

/*
 * jansson's parser with JSON_DECODE_ANY and JSON_ALLOW_NUL.  Known differences, left out of the comparison:
 *  - lone surrogates in escapes: it refuses them, for us they are grammar; and it refuses "\u0000" in keys
 *  - numbers: it refuses integers beyond 64 bits and reals beyond a double, so only those it can hold are compared
 *  - a NUL byte right behind a number: it does not see it
 *  - a duplicate key: it keeps the last (verdicts are the same)
 */
static void json__agrees_with_jansson(void **state)
{
    struct random r = {random_seed()};
    int good = 0, bad = 0;

    (void)state;
    print_message("PLASMITE_SEED=%llu\n", (unsigned long long)r.state);
    for (int i = 0; i < 20000; i++) {
        auto_buf struct buf text = BUF_INIT, out = BUF_INIT;
        json_error_t error;
        json_t *theirs;
        int ours;

        random_document(&r, &text);
        if (i % 3 != 0)
            random_damage(&r, &text);
        if (text.n == 0 || jansson_differs(text.p, text.n))
            continue;
        ours = json_compact(buf_bytes(&text), &out, NULL);
        theirs = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        if ((ours == 0) != (theirs != NULL) &&
            json_error_code(&error) != json_error_numeric_overflow)
            fail_msg("ours %d, theirs %s: %.*s", ours, theirs != NULL ? "good" : error.text,
                     (int)text.n, text.p);
        if (theirs != NULL) {
            json_t *again = json_loadb(out.p, out.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

            assert_true(json_equal(theirs, again));
            json_decref(again);
        }
        json_decref(theirs);
        ours == 0 ? good++ : bad++;
    }
    assert_true(good > 3000 && bad > 3000); /* else the texts test nothing */
}

/* ---- whole texts ---- */

static void compact_fails(const char *text, size_t offset, const char *message, const char *cause)
{
    auto_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    buf_add_str(&out, "before");
    assert_int_equal(json_compact(bytes_of(text), &out, &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_int_equal(err.detail, ERROR_DETAIL_BAD_JSON);
    assert_true(err.has_offset);
    assert_int_equal(err.offset, offset);
    assert_string_equal(err.message, message);
    assert_string_equal(err.cause, cause);
    assert_true(bytes_equal(buf_bytes(&out), BYTES("before")));
}

static void json_compact__wants_one_value_and_nothing_else(void **state)
{
    auto_buf struct buf out = BUF_INIT;
    auto_buf struct buf deep = BUF_INIT;

    (void)state;
    assert_int_equal(json_compact(BYTES(" { \"a\" : 1 } \n"), &out, NULL), 0);
    assert_true(bytes_equal(buf_bytes(&out), BYTES("{\"a\":1}")));
    assert_int_equal(json_compact(BYTES("17"), &out, NULL), 0);
    assert_true(bytes_equal(buf_bytes(&out), BYTES("{\"a\":1}17")));
    compact_fails("", 0, "invalid json", "expected a value");
    compact_fails("  ", 2, "invalid json", "expected a value");
    compact_fails("{} {}", 3, "invalid json", "unexpected text after the value");
    compact_fails("{\"a\":", 5, "invalid json", "unfinished value");
    compact_fails("{\"a\":x}", 5, "invalid json", "expected a value");
    for (int i = 0; i < 121; i++)
        buf_add_char(&deep, '[');
    compact_fails(buf_str(&deep), 120, "data nests deeper than 120", "");
}

static void json_skip__finds_the_end_of_each_value(void **state)
{
    static const char *const values[] = {"{}",
                                         "[]",
                                         "\"\"",
                                         "\"a\\\"b\\\\\"",
                                         "-1.5e3",
                                         "true",
                                         "{\"a\":[1,{\"]\":\"}\"}],\"b\":\"\\\\\"}",
                                         "\"a string that is longer than a vector \\\" and on\""};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[128];

        snprintf(text, sizeof text, "[%s,1]", values[i]);
        assert_int_equal(json_skip(bytes_of(text), 1), 1 + strlen(values[i]));
        for (size_t n = 0; n < strlen(text); n++) /* cut off: never past the end */
            assert_true(json_skip((struct bytes){text, n}, 1) <= n);
    }
}

/* Random documents, so large that blocks of them are skipped at once; what is behind them is other JSON. */
static void json_skip__takes_large_documents(void **state)
{
    uint64_t seed = random_seed();
    struct random r = {seed};

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct buf text = BUF_INIT, compact = BUF_INIT;
        size_t n;

        buf_add_char(&text, '[');
        random_document(&r, &text);
        for (unsigned k = random_below(&r, 8); k > 0; k--) {
            buf_add_char(&text, ',');
            random_document(&r, &text);
        }
        buf_add_char(&text, ']');
        assert_int_equal(json_compact(buf_bytes(&text), &compact, NULL), 0);
        n = compact.n;
        buf_add_str(&compact,
                    ",[\"}]\\\\\"],[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
        if (json_skip(buf_bytes(&compact), 0) != n)
            fail_msg("seed %llu: %zu instead of %zu in %.*s", (unsigned long long)seed,
                     json_skip(buf_bytes(&compact), 0), n, (int)n, compact.p);
        assert_true(json_skip((struct bytes){compact.p, n / 2}, 0) <= n / 2);
        buf_done(&text);
        buf_done(&compact);
    }
}

static void json_string__resolves_escapes(void **state)
{
    static const struct {
        const char *string, *plain;
    } rows[] = {
        {"\"\"",                             ""                                    },
        {"\"abc\"",                          "abc"                                 },
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",   "\"\\/\b\f\n\r\t"                     },
        {"\"\\u0073eq\"",                    "seq"                                 },
        {"\"\\u00e9\\u6f22\\ud83d\\ude00\"", "\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80"},
        {"\"\\ud800\"",                      "\xef\xbf\xbd"                        },
        {"\"\\ud800\\u0041\"",               "\xef\xbf\xbd"
                               "A"                   },
        {"\"\\udc00\\ud83d\\uDE00\"",        "\xef\xbf\xbd\xf0\x9f\x98\x80"        },
        {"\"\\ud83d\\ud83d\\uDE00\"",        "\xef\xbf\xbd\xf0\x9f\x98\x80"        },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        auto_buf struct buf out = BUF_INIT;

        assert_int_equal(json_string_decode(bytes_of(rows[i].string), &out), 0);
        assert_true(bytes_equal(buf_bytes(&out), bytes_of(rows[i].plain)));
        assert_true(json_string_equal(bytes_of(rows[i].string), bytes_of(rows[i].plain)));
        assert_false(json_string_equal(bytes_of(rows[i].string), bytes_of("other")));
        assert_false(json_string_equal(BYTES("\"abcd\""), bytes_of(rows[i].plain)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json__keeps_values_as_sent),
        cmocka_unit_test(json__keeps_numbers_as_sent),
        cmocka_unit_test(json__removes_blanks_between_tokens_only),
        cmocka_unit_test(json__keeps_strings_as_sent),
        cmocka_unit_test(json__refuses_broken_structure),
        cmocka_unit_test(json__refuses_broken_numbers_and_literals),
        cmocka_unit_test(json__refuses_broken_strings),
        cmocka_unit_test(json__refuses_what_is_cut_off),
        cmocka_unit_test(json__ends_a_number_at_a_blank_or_the_end),
        cmocka_unit_test(json__takes_120_levels_and_no_more),
        cmocka_unit_test(json__stops_behind_the_first_value),
        cmocka_unit_test(json__knows_every_utf8_sequence),
        cmocka_unit_test(json__knows_utf8_at_every_place_in_a_block),
        cmocka_unit_test(json__says_the_same_by_every_way),
        cmocka_unit_test(json__says_the_same_in_many_pieces),
        cmocka_unit_test(json__agrees_with_jansson),
        cmocka_unit_test(json_compact__wants_one_value_and_nothing_else),
        cmocka_unit_test(json_skip__finds_the_end_of_each_value),
        cmocka_unit_test(json_skip__takes_large_documents),
        cmocka_unit_test(json_string__resolves_escapes),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
