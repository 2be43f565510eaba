#include "pool/intake.h"

#include "crc32c.h"
#include "json_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MAX (1 << 20)
#define RS '\x1e'

/* What went through an intake: one line for each message (tags TAB data) and each failure (! offset detail). */
struct transcript {
    struct buf lines;
    size_t n_messages;
};

static struct intake *new_intake(uint64_t max, enum intake_flags flags)
{
    struct intake *in;

    assert_int_equal(intake_new((struct bytes){0}, 0, max, flags, &in, NULL), 0);
    return in;
}

static void note_payloads(struct intake *in, struct transcript *t)
{
    size_t n;
    const struct payload *p = intake_payloads(in, &n);

    for (size_t i = 0; i < n; i++) {
        buf_add_bytes(&t->lines, p[i].tags);
        buf_add_char(&t->lines, '\t');
        buf_add_bytes(&t->lines, p[i].data);
        buf_add_char(&t->lines, '\n');
        assert_int_equal(p[i].body_crc,
                         crc32c(crc32c(0, p[i].tags.p, p[i].tags.n), p[i].data.p, p[i].data.n));
    }
    t->n_messages += n;
    if (n > 0)
        intake_taken(in);
}

static void note_failure(const struct error *err, struct transcript *t)
{
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    assert_true(err->has_offset);
    buf_printf(&t->lines, "!%llu %s\n", (unsigned long long)err->offset,
               err->detail == ERROR_DETAIL_TOO_LARGE ? "too large" : "bad");
}

/* Each piece has its own memory, so that a sanitizer sees its end. */
static void push_piece(struct intake *in, const char *p, size_t n, struct transcript *t)
{
    char *piece = malloc(n + 1);
    enum intake_status status;
    size_t at = 0, used;

    memcpy(piece, p, n);
    do {
        struct error err = ERROR_INIT;

        status = intake_push(in, piece + at, n - at, &used, NULL, &err);
        at += used;
        note_payloads(in, t);
        if (status == INTAKE_FAILED)
            note_failure(&err, t);
    } while (status != INTAKE_MORE);
    assert_int_equal(at, n);
    free(piece);
}

static void end(struct intake *in, struct transcript *t)
{
    struct error err = ERROR_INIT;

    if (intake_end(in, &err) < 0)
        note_failure(&err, t);
    note_payloads(in, t);
}

static void finish(struct intake *in, struct transcript *t)
{
    end(in, t);
    intake_free(in);
}

static struct transcript run(struct intake *in, const char *text, size_t n, size_t piece)
{
    struct transcript t = {0};

    for (size_t at = 0; at < n; at += piece)
        push_piece(in, text + at, n - at < piece ? n - at : piece, &t);
    finish(in, &t);
    return t;
}

/* With intake_end() before each `cut`, which is pushed as a blank of what follows. */
static struct transcript run_cut(struct intake *in, const char *text, size_t n, size_t piece,
                                 char cut)
{
    struct transcript t = {0};

    for (size_t at = 0, size; at < n; at += size) {
        const char *found = memchr(text + at + 1, cut, n - at - 1);

        size = n - at < piece ? n - at : piece;
        if (found != NULL && (size_t)(found - text) - at <= size)
            size = (size_t)(found - text) - at;
        push_piece(in, text + at, size, &t);
        if (at + size < n && text[at + size] == cut)
            end(in, &t);
    }
    finish(in, &t);
    return t;
}

/* The same however the text is cut.  A cut of 0: the records are not cut. */
static void framed_becomes(enum intake_framing framing, char cut, uint64_t max, const char *text,
                           const char *expected)
{
    size_t n = strlen(text);

    for (size_t piece = 1; piece <= n + 1; piece++) {
        struct intake *in = new_intake(max, INTAKE_RECOGNISE);
        struct transcript t;

        intake_frame(in, framing);
        t = cut != 0 ? run_cut(in, text, n, piece, cut) : run(in, text, n, piece);
        if (!bytes_equal(buf_bytes(&t.lines), bytes_of(expected)))
            fail_msg("pieces of %zu of %s\nbecame:\n%.*s\nexpected:\n%s", piece, text,
                     (int)t.lines.n, t.lines.p, expected);
        buf_done(&t.lines);
    }
}

static void becomes(const char *text, uint64_t max, enum intake_flags flags, const char *expected)
{
    size_t n = strlen(text);

    for (size_t piece = 1; piece <= n + 1; piece++) {
        struct transcript t = run(new_intake(max, flags), text, n, piece);

        if (!bytes_equal(buf_bytes(&t.lines), bytes_of(expected)))
            fail_msg("pieces of %zu of %s\nbecame:\n%.*s\nexpected:\n%s", piece, text,
                     (int)t.lines.n, t.lines.p, expected);
        buf_done(&t.lines);
    }
}

static void intake__takes_values_as_they_come(void **state)
{
    (void)state;
    becomes("{\"a\":1}\n{\"b\":2}\n", MAX, 0, "\t{\"a\":1}\n\t{\"b\":2}\n");
    becomes("{\"a\":1}{\"b\":2} {}", MAX, 0, "\t{\"a\":1}\n\t{\"b\":2}\n\t{}\n");
    becomes("{\n  \"a\": [\n    1\n  ]\n}\n\n\r\n\t {\"b\":2}", MAX, 0,
            "\t{\"a\":[1]}\n\t{\"b\":2}\n");
    becomes("\x1e{\"a\":1}\n\x1e{\"b\":2}\n\x1e\x1e", MAX, 0, "\t{\"a\":1}\n\t{\"b\":2}\n");
    becomes(" \n ", MAX, 0, "");
}

static void intake__says_which_byte_is_wrong_and_goes_on_at_the_next_line(void **state)
{
    (void)state;
    becomes("{\"a\":1}\n{\"a\":x}\n{\"b\":2}\n", MAX, 0, "\t{\"a\":1}\n!13 bad\n\t{\"b\":2}\n");
    becomes("nonsense\n{\"b\":2}\n", MAX, 0, "!0 bad\n\t{\"b\":2}\n");
    becomes("[1]\n42\n\"x\"\n{\"b\":2}\n", MAX, 0, "!0 bad\n\t{\"b\":2}\n");
    becomes("{\"a\":01} {\"lost\":1}\n{\"b\":2}\n", MAX, 0, "!6 bad\n\t{\"b\":2}\n");
    /* the inside of a broken document stays out: indented lines are not resumed at */
    becomes("{\n  \"a\": x,\n  {\"inner\":1}\n}\n{\"b\":2}\n", MAX, 0, "!9 bad\n\t{\"b\":2}\n");
    /* the newline that is wrong begins the next line, and so does one before the wrong byte */
    becomes("{\"a\":\"cut\n{\"b\":2}\n", MAX, 0, "!9 bad\n\t{\"b\":2}\n");
    becomes("{\"a\":1,\n{\"b\":2}\n", MAX, 0, "!8 bad\n\t{\"b\":2}\n");
    becomes("{\"a\":1,\x1e{\"b\":2}", MAX, 0, "!7 bad\n\t{\"b\":2}\n");
    becomes("x\n y\x1e {\"b\":2}", MAX, 0, "!0 bad\n\t{\"b\":2}\n");
    becomes("{\"a\":\"\xff\"}\n{\"b\":\"\xc3\xa9\"}", MAX, 0, "!6 bad\n\t{\"b\":\"\xc3\xa9\"}\n");
}

static void intake__reads_what_is_no_object_to_its_end(void **state)
{
    (void)state;
    framed_becomes(INTAKE_WHOLE, 0, MAX, "[\n{\"a\":1},\n2]\n{\"b\":2}\n", "!0 bad\n\t{\"b\":2}\n");
    framed_becomes(INTAKE_WHOLE, 0, MAX, "42", "!0 bad\n");
    framed_becomes(INTAKE_WHOLE, 0, MAX, " [1", "!3 bad\n");
    framed_becomes(INTAKE_WHOLE, 0, 8, " [1, 2, 3, 4]\n{\"b\":2}\n", "!1 bad\n\t{\"b\":2}\n");
}

#define RECORDS (INTAKE_WHOLE | INTAKE_RECORDS)

static void records__are_refused_one_by_one(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
  /* a broken line is one record, whatever stands beside it */
        {"x\ny\n z\n{\"b\":2}\n",                             "!0 bad\n!2 bad\n!5 bad\n\t{\"b\":2}\n"},
        {"x\r\n\r\n {\"b\":2}\r\n",                           "!0 bad\n\t{\"b\":2}\n"                },
        {"{\"a\":01}\n {\"b\":2}\n",                          "!6 bad\n\t{\"b\":2}\n"                },
        {"{\"a\":\"}\n{\"b\":2}\n",                           "!7 bad\n\t{\"b\":2}\n"                },
        {"{\"a\":\"\\x}\"}\n {\"b\":2}\n",                    "!7 bad\n\t{\"b\":2}\n"                },
        {"{\"a\":\"\\x\\\"}\"}\n {\"b\":2}\n",                "!7 bad\n\t{\"b\":2}\n"                },
 /* a broken document ends where its brackets close; its inside stays out */
        {"{\n \"a\": x,\n {\"i\":1}\n}\n {\"b\":2}\n",        "!8 bad\n\t{\"b\":2}\n"                },
        {"{\n \"a\": x \"}}\",\n {\"i\":1}\n}\n {\"b\":2}\n", "!8 bad\n\t{\"b\":2}\n"                },
        {"{ \"a\": [x\n ]\n}{\"lost\":1}\n{\"b\":2}\n",       "!8 bad\n\t{\"b\":2}\n"                },
 /* or where a line begins that cannot be of it */
        {"{\"a\": [x\n {\"i\":1},\n\n{\"b\":2}\n",            "!7 bad\n\t{\"b\":2}\n"                },
        {"{\"a\": [x\ny\n{\"b\":2}\n",                        "!7 bad\n!9 bad\n\t{\"b\":2}\n"        },
        {"{\"a\": [x\x1e {\"b\":2}\n",                        "!7 bad\n\t{\"b\":2}\n"                },
 /* one that is cut off does not swallow the next */
        {"{\"a\":\n{\"b\":2}\n",                              "!6 bad\n\t{\"b\":2}\n"                },
        {"{\"a\":[1,\n{\"b\":2}\n{\"c\":3}\n",                "!9 bad\n\t{\"b\":2}\n\t{\"c\":3}\n"   },
        {"{\"a\":1,\n{\"b\":2}\n",                            "!8 bad\n\t{\"b\":2}\n"                },
        {"{\n\"a\":[\n {\"i\":1}\n]}\n{\"b\":2}",             "\t{\"a\":[{\"i\":1}]}\n\t{\"b\":2}\n" },
 /* whole values that are refused spoil nothing */
        {"[1] 2 {\"lost\":2}\n1\n{\"c\":3}",                  "!0 bad\n!17 bad\n\t{\"c\":3}\n"       },
        {"[\n{\"a\":1},\n2]\n{\"b\":2}\n",                    "!0 bad\n\t{\"b\":2}\n"                },
        {"",                                                  ""                                     },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        framed_becomes(RECORDS, 0, MAX, rows[i].text, rows[i].expected);
    framed_becomes(RECORDS, 0, 7, "{\"a\":\"}}{\",\n \"c\":[]}\n {\"b\":2}\n{}",
                   "!7 too large\n\t{\"b\":2}\n\t{}\n");
}

#define LINE (INTAKE_WHOLE | INTAKE_ONE | INTAKE_LATE)

static void lines__hold_one_value_each(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"{\"a\":1}\n\n \r\n {\"b\":2} \r\n{}", "\t{\"a\":1}\n\t{\"b\":2}\n\t{}\n"              },
        {"{\"a\":1}{\"b\":2}\n{\"c\":3}",       "!7 bad\n\t{\"c\":3}\n"                         },
        {"{\"a\":1} x\n{\"c\":3}\n",            "!8 bad\n\t{\"c\":3}\n"                         },
        {"{\n\"a\":1\n}\n{\"c\":3}\n",          "!1 bad\n!5 bad\n!8 bad\n\t{\"c\":3}\n"         },
        {"1\n[1]\n\"x\"\nnull\n{\"c\":3}",      "!0 bad\n!2 bad\n!6 bad\n!10 bad\n\t{\"c\":3}\n"},
        {"{\"a\":\"\n\"}\n{\"c\":3}",           "!6 bad\n!9 bad\n\t{\"c\":3}\n"                 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        framed_becomes(LINE, '\n', MAX, rows[i].text, rows[i].expected);
    framed_becomes(LINE, '\n', 7, "{\"a\":12}\n{\"c\":3}", "!7 too large\n\t{\"c\":3}\n");
}

static void sequences__give_a_value_out_at_once(void **state)
{
    struct intake *in = new_intake(MAX, 0);
    struct transcript t = {0};

    (void)state;
    framed_becomes(INTAKE_WHOLE | INTAKE_ONE, RS, MAX,
                   "\x1e{\"a\":\n1}\n\x1e{\"b\"\n\x1e{\"c\":3} {\"d\":4}\x1e\x1e 5\x1e{}",
                   "\t{\"a\":1}\n!16 bad\n\t{\"c\":3}\n!25 bad\n!35 bad\n\t{}\n");
    intake_frame(in, INTAKE_WHOLE | INTAKE_ONE);
    push_piece(in, "{\"a\":1}", 7, &t);
    assert_int_equal(t.n_messages, 1);
    intake_frame(in, LINE);
    intake_reset(in);
    push_piece(in, "{\"a\":2}", 7, &t);
    assert_int_equal(t.n_messages, 1);
    assert_true(intake_open(in));
    end(in, &t);
    assert_int_equal(t.n_messages, 2);
    assert_false(intake_open(in));
    intake_free(in);
    buf_done(&t.lines);
}

static void intake__refuses_what_is_cut_off(void **state)
{
    (void)state;
    becomes("{\"a\":1}\n{\"a\":", MAX, 0, "\t{\"a\":1}\n!13 bad\n");
    becomes("{\"a\":1}\nx", MAX, 0, "\t{\"a\":1}\n!8 bad\n");
}

static void intake__refuses_what_is_too_large(void **state)
{
    (void)state;
    /* blanks do not count; {"a":"4567"} has 12 bytes */
    becomes("{ \"a\" : \"4567\" }\n{\"b\":2}\n", 12, 0, "\t{\"a\":\"4567\"}\n\t{\"b\":2}\n");
    becomes("{ \"a\" : \"4567\" }\n{\"b\":2}\n", 11, 0, "!15 too large\n\t{\"b\":2}\n");
    becomes("{\"a\":\"0123456789012345678901234567890123456789\"}\n{\"b\":2}\n", 12, 0,
            "!12 too large\n\t{\"b\":2}\n");
    becomes("{\"a\":\"0123456789012345678901234567890123456789\"}\n{\"b\":2}\n", 12,
            INTAKE_RECOGNISE, "!12 too large\n\t{\"b\":2}\n");
}

static void intake__holds_little_of_what_is_too_large(void **state)
{
    struct intake *in = new_intake(1000, 0);
    struct transcript t = {0};
    char text[4096];

    (void)state;
    memset(text, 'x', sizeof text);
    push_piece(in, "{\"a\":\"", 6, &t);
    for (int i = 0; i < 1000; i++) {
        push_piece(in, text, sizeof text, &t);
        assert_true(intake_held(in) <= 1000);
        assert_true(intake_skipping(in));
    }
    push_piece(in, "\n{\"b\":1}", 8, &t);
    assert_false(intake_skipping(in));
    finish(in, &t);
    assert_true(bytes_equal(buf_bytes(&t.lines), BYTES("!1000 too large\n\t{\"b\":1}\n")));
    buf_done(&t.lines);
}

#define ENVELOPE(seq, tags, data)                                                                  \
    "{\"seq\":" seq ",\"time\":\"2026-03-04T05:06:07Z\",\"meta\":{\"tags\":[" tags                 \
    "]},\"data\":" data "}"

static void intake__recognises_messages_only_when_asked(void **state)
{
    static const char text[] = ENVELOPE("1", "\"k\"", "{\"n\":1}") "\n{\"n\":2}\n";

    (void)state;
    becomes(text, MAX, INTAKE_RECOGNISE, "\"k\"\t{\"n\":1}\n\t{\"n\":2}\n");
    becomes(text, MAX, 0, "\t" ENVELOPE("1", "\"k\"", "{\"n\":1}") "\n\t{\"n\":2}\n");
    becomes(ENVELOPE("1.5", "", "{}") "\n{\"n\":2}\n", MAX, INTAKE_RECOGNISE,
            "!0 bad\n\t{\"n\":2}\n");
    /* only what is stored counts: the envelope may be larger than the limit */
    becomes(ENVELOPE("1", "", "{\"n\":1}"), 7, INTAKE_RECOGNISE, "\t{\"n\":1}\n");
    becomes(ENVELOPE("1", "", "{\"n\":1}"), 6, INTAKE_RECOGNISE, "!0 too large\n");
}

static void intake__gives_its_tags_to_every_message(void **state)
{
    static const char text[] =
        ENVELOPE("1", "\"k\"", "{\"n\":1}") "{\"n\":2}" ENVELOPE("1", "", "{\"n\":3}");
    struct intake *in;
    struct transcript t;

    (void)state;
    assert_int_equal(intake_new(BYTES("\"x\",\"y\""), 2, MAX, INTAKE_RECOGNISE, &in, NULL), 0);
    t = run(in, text, strlen(text), 7);
    assert_true(bytes_equal(
        buf_bytes(&t.lines),
        BYTES("\"k\",\"x\",\"y\"\t{\"n\":1}\n\"x\",\"y\"\t{\"n\":2}\n\"x\",\"y\"\t{\"n\":3}\n")));
    buf_done(&t.lines);
}

static void add_nested(struct buf *b, const char *head, int levels, const char *tail)
{
    buf_add_str(b, head);
    for (int i = 0; i < levels; i++)
        buf_add_str(b, i == 0 ? "{\"a\":" : "[");
    buf_add_str(b, "1");
    for (int i = 0; i < levels; i++)
        buf_add_str(b, i == levels - 1 ? "}" : "]");
    buf_add_str(b, tail);
}

/* Data nests 120 deep at most; in an envelope it still may. */
/* As an append does: tags count with the bytes they had before encoding, without quotes, commas and escapes. */
static void intake__counts_tags_as_an_append_does(void **state)
{
    static const char text[] = "{\"a\":\"4567\"}\n{\"b\":2}\n"; /* 12 bytes of data, then 7 */
    struct buf tags = {0};
    uint32_t raw = 0;

    (void)state;
    assert_int_equal(tags_add(&tags, &raw, BYTES("\n\n"), NULL), 0);
    assert_int_equal(tags_add(&tags, &raw, BYTES("k"), NULL), 0);
    assert_int_equal(raw, 3);
    assert_true(tags.n > 8);
    for (enum intake_flags flags = 0; flags <= INTAKE_RECOGNISE; flags++)
        for (uint64_t max = 14; max <= 15; max++) {
            struct intake *in;
            assert_int_equal(intake_new(buf_bytes(&tags), raw, max, flags, &in, NULL), 0);
            struct transcript t = run(in, text, strlen(text), 5);
            assert_int_equal(t.n_messages, max == 15 ? 2 : 1);
            buf_done(&t.lines);
        }
    buf_done(&tags);
}

static void intake__counts_depth_in_the_data(void **state)
{
    static const struct {
        int levels;
        bool wrapped;
        size_t messages;
    } rows[] = {
        {120, false, 1},
        {121, false, 0},
        {120, true,  1},
        {121, true,  0}
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        auto_buf struct buf text = BUF_INIT;
        struct transcript t;

        if (rows[i].wrapped)
            add_nested(
                &text,
                "{\"seq\":1,\"time\":\"2026-03-04T05:06:07Z\",\"meta\":{\"tags\":[]},\"data\":",
                rows[i].levels, "}");
        else
            add_nested(&text, "", rows[i].levels, "");
        for (size_t piece = 1; piece < 700; piece += 97) {
            t = run(new_intake(MAX, INTAKE_RECOGNISE), text.p, text.n, piece);
            assert_int_equal(t.n_messages, rows[i].messages);
            buf_done(&t.lines);
        }
    }
}

static void intake__gathers_a_batch(void **state)
{
    struct intake *in = new_intake(MAX, 0);
    struct error err;
    size_t used, end, n;
    auto_buf struct buf text = BUF_INIT;
    const struct payload *p;

    (void)state;
    size_t fits = 0;
    for (unsigned i = 0, bytes = 0; i < fits + 10 || fits == 0; i++) {
        size_t before = text.n;
        buf_printf(&text, "{\"n\":%u}\n", i);
        bytes += (unsigned)(text.n - before - 1);
        if (fits == 0 && bytes >= INTAKE_BATCH_BYTES)
            fits = i + 1;
    }
    assert_int_equal(intake_push(in, text.p, text.n, &used, &end, &err), INTAKE_FULL);
    p = intake_payloads(in, &n);
    assert_int_equal(n, fits);
    assert_int_equal(used, end);
    for (size_t i = 0; i < n; i++) { /* the text has moved many times: the pointers went with it */
        char expected[32];

        snprintf(expected, sizeof expected, "{\"n\":%zu}", i);
        assert_true(bytes_equal(p[i].data, bytes_of(expected)));
    }
    assert_int_equal(intake_push(in, text.p + used, text.n - used, &n, &end, &err), INTAKE_FULL);
    assert_int_equal(n, 0);
    intake_taken(in);
    assert_int_equal(intake_push(in, text.p + used, text.n - used, &n, &end, &err), INTAKE_MORE);
    assert_int_equal(used + n, text.n);
    assert_int_equal(end, n - 1);
    intake_payloads(in, &n);
    assert_int_equal(n, 10);
    intake_free(in);
}

static void intake__tells_where_the_last_value_ended(void **state)
{
    struct intake *in = new_intake(MAX, 0);
    struct error err = ERROR_INIT;
    size_t used, end, n;

    (void)state;
    assert_int_equal(intake_push(in, "{}\n{\"a\":1} {\"b", 14, &used, &end, &err), INTAKE_MORE);
    assert_int_equal(used, 14);
    assert_int_equal(end, 10);
    assert_int_equal(intake_held(in), 3);
    assert_int_equal(intake_push(in, "\":x}", 4, &used, &end, &err), INTAKE_FAILED);
    assert_int_equal(used, 2);
    assert_int_equal(end, 0);
    assert_int_equal(err.offset, 16);
    assert_int_equal(intake_held(in), 0);
    intake_payloads(in, &n);
    assert_int_equal(n, 2); /* what was complete stays */
    intake_reset(in);
    assert_false(intake_skipping(in));
    intake_free(in);
}

static void add_random_record(struct random *r, struct buf *text)
{
    auto_buf struct buf line = BUF_INIT;

    buf_add_str(&line, random_below(r, 3) == 0 ? "{\"seq\":1,\"data\":" : "{\"data\":");
    random_value(r, &line, random_below(r, 4));
    buf_add_char(&line, '}');
    if (random_below(r, 3) == 0)
        random_damage(r, &line);
    buf_add_bytes(text, buf_bytes(&line));
    buf_add_char(text, "\n\n\n \x1e"[random_below(r, 5)]);
}

/* Random lines, some damaged: however they are cut, the same comes out. */
static void intake__does_not_depend_on_the_pieces(void **state)
{
    static const enum intake_framing framings[] = {0, INTAKE_WHOLE, RECORDS,
                                                   INTAKE_WHOLE | INTAKE_ONE, LINE};
    struct random r = {random_seed()};

    (void)state;
    print_message("PLASMITE_SEED=%llu\n", (unsigned long long)r.state);
    for (int i = 0; i < 500; i++) {
        enum intake_framing framing = framings[i % 5];
        uint64_t max = random_below(&r, 3) == 0 ? 60 : MAX;
        char cut = i % 5 == 3 ? RS : i % 5 == 4 ? '\n' : 0;
        auto_buf struct buf text = BUF_INIT;
        auto_buf struct buf whole = BUF_INIT;

        for (unsigned k = random_below(&r, 6) + 1; k > 0; k--)
            add_random_record(&r, &text);
        for (size_t piece = text.n; piece > 0; piece -= piece > 70 ? 13 : 1) {
            struct intake *in = new_intake(max, INTAKE_RECOGNISE);
            struct transcript t;

            intake_frame(in, framing);
            t = cut != 0 ? run_cut(in, text.p, text.n, piece, cut) : run(in, text.p, text.n, piece);
            if (piece == text.n)
                buf_add_bytes(&whole, buf_bytes(&t.lines));
            if (!bytes_equal(buf_bytes(&t.lines), buf_bytes(&whole)))
                fail_msg("pieces of %zu of:\n%.*s\nbecame:\n%.*s\nwhole:\n%.*s", piece, (int)text.n,
                         text.p, (int)t.lines.n, t.lines.p, (int)whole.n, whole.p);
            buf_done(&t.lines);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intake__takes_values_as_they_come),
        cmocka_unit_test(intake__says_which_byte_is_wrong_and_goes_on_at_the_next_line),
        cmocka_unit_test(intake__reads_what_is_no_object_to_its_end),
        cmocka_unit_test(records__are_refused_one_by_one),
        cmocka_unit_test(lines__hold_one_value_each),
        cmocka_unit_test(sequences__give_a_value_out_at_once),
        cmocka_unit_test(intake__refuses_what_is_cut_off),
        cmocka_unit_test(intake__refuses_what_is_too_large),
        cmocka_unit_test(intake__holds_little_of_what_is_too_large),
        cmocka_unit_test(intake__recognises_messages_only_when_asked),
        cmocka_unit_test(intake__gives_its_tags_to_every_message),
        cmocka_unit_test(intake__counts_tags_as_an_append_does),
        cmocka_unit_test(intake__counts_depth_in_the_data),
        cmocka_unit_test(intake__gathers_a_batch),
        cmocka_unit_test(intake__tells_where_the_last_value_ended),
        cmocka_unit_test(intake__does_not_depend_on_the_pieces),
    };

    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
