/*
 * One growing text holds the compact data of what is complete and, behind it, the unfinished value.  Items remember
 * offsets; the payloads that callers see point into the text and are made anew when it has moved.
 */
#include "pool/intake.h"

#include "json_state.h"

#include <limits.h>
#include <stdlib.h>

#define RS 0x1e

/* What an envelope adds to its data: the fixed text, a number, and tags of six bytes for each of theirs. */
#define ENVELOPE_BYTES_MAX (256 + 6 * TAGS_BYTES_MAX + 3 * TAGS_COUNT_MAX)

#define ITEMS_FIRST 64    /* messages there is room for at first */
#define ITEMS_KEEP 65536u /* more room than this is given back when the messages are taken */

struct item {
    size_t data_at;
    size_t tags_at; /* in own_tags; unused without has_own_tags */
    bool has_own_tags;
};

/* What was refused, and goes on until a place to resume comes.  For INTAKE_RECORDS its brackets are counted. */
struct refused {
    bool skipping;
    bool in_string;
    bool escaped;
    unsigned depth; /* brackets still open; 0: it ends with the line */
};

#define DEPTH_UNKNOWN UINT_MAX /* only the first byte of a line tells */

struct intake {
    struct json_gate gate;
    enum intake_flags flags;
    enum intake_framing framing;
    struct refused refused;
    bool not_object; /* what is open is none: its text is not kept */
    bool has_one;    /* INTAKE_ONE: the value has been there */
    bool
        line_start; /* the byte before the next one ended a line; so does the start of the stream */
    uint64_t offset;       /* of the next byte, from the start of the stream */
    uint64_t value_offset; /* of the first byte of the unfinished value */
    uint64_t message_max;

    struct buf tags; /* of every message */
    uint32_t tags_raw;

    struct buf text;
    size_t text_done;    /* bytes of complete messages in it */
    struct buf own_tags; /* lists of recognised messages, with `tags` joined */
    struct buf scratch;

    struct item *items; /* n of `room`, as are the payloads */
    struct payload *payloads;
    size_t n, room;
    const char *text_p; /* where the payloads point */
    const char *own_tags_p;
};

int intake_new(struct bytes tags, uint32_t tags_raw, uint64_t message_max, enum intake_flags flags,
               struct intake **ret, struct error *err)
{
    auto_intake struct intake *in = calloc(1, sizeof *in);

    if (in == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    in->gate = JSON_GATE_INIT;
    in->gate.envelope = (flags & INTAKE_RECOGNISE) != 0;
    in->flags = flags;
    in->line_start = true;
    in->message_max = message_max < MESSAGE_BYTES_MAX ? message_max : MESSAGE_BYTES_MAX;
    in->tags_raw = tags_raw;
    if (buf_add_bytes(&in->tags, tags) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    *ret = in;
    in = NULL; /* handed to the caller */
    return 0;
}

void intake_free(struct intake *in)
{
    if (in == NULL)
        return;
    buf_done(&in->tags);
    buf_done(&in->text);
    buf_done(&in->own_tags);
    buf_done(&in->scratch);
    free(in->items);
    free(in->payloads);
    free(in);
}

void intake_frame(struct intake *in, enum intake_framing framing)
{
    in->framing = framing;
}

/* One piece, while it is taken. */
struct piece {
    const char *p;
    size_t n;
    size_t at;
    size_t line_open; /* where the next line begins with '{', if that is known: not before `at` */
};

static void gate_reset(struct intake *in)
{
    in->gate = JSON_GATE_INIT;
    in->gate.envelope = (in->flags & INTAKE_RECOGNISE) != 0;
    in->text.n = in->text_done;
    in->not_object = false;
    in->has_one = false;
}

/* ---- after an error ---- */

static bool at_line_start(const struct intake *in, const struct piece *piece)
{
    return piece->at > 0 ? piece->p[piece->at - 1] == '\n' : in->line_start;
}

static bool resumes_here(const struct intake *in, const struct piece *piece)
{
    char c = piece->p[piece->at];

    if (!at_line_start(in, piece) || in->offset + piece->at <= in->value_offset)
        return false;
    return c == '{' || ((in->framing & INTAKE_RECORDS) && strchr(" \t\r\n}],", c) == NULL);
}

/* The brackets of a text that may be anything; strings end with their line at the latest. */
static void count_brackets(struct refused *r, const char *p, size_t n)
{
    for (size_t i = 0; i < n && r->depth > 0; i++) {
        if (p[i] == '\n')
            r->in_string = r->escaped = false;
        else if (r->escaped)
            r->escaped = false;
        else if (r->in_string)
            r->escaped = p[i] == '\\', r->in_string = p[i] != '"';
        else if (p[i] == '"')
            r->in_string = true;
        else if (p[i] == '{' || p[i] == '[')
            r->depth++;
        else if (p[i] == '}' || p[i] == ']')
            r->depth--;
    }
}

/* Goes on to the end of the line, to RS, or to the end of the piece. */
static void skip_line(struct intake *in, struct piece *piece)
{
    const char *from = piece->p + piece->at;
    size_t left = piece->n - piece->at;
    const char *line_end = memchr(from, '\n', left);
    const char *rs = memchr(from, RS, line_end != NULL ? (size_t)(line_end - from) : left);

    if (rs != NULL)
        left = (size_t)(rs - from);
    else if (line_end != NULL)
        left = (size_t)(line_end + 1 - from);
    if (in->refused.depth != DEPTH_UNKNOWN)
        count_brackets(&in->refused, from, left);
    piece->at += left;
    if (rs != NULL || (line_end != NULL && in->refused.depth == 0))
        in->refused.skipping = false;
}

/* Goes on to the place to resume at, or to the end. */
static void skip(struct intake *in, struct piece *piece)
{
    if (in->refused.skipping && (in->framing & INTAKE_ONE))
        piece->at = piece->n;
    while (in->refused.skipping && piece->at < piece->n) {
        if (resumes_here(in, piece))
            in->refused.skipping = false;
        else
            skip_line(in, piece);
    }
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == RS;
}

/* After an error at the byte at hand. */
static enum intake_status failed(struct intake *in)
{
    in->refused = (struct refused){
        .skipping = true,
        .in_string = json_gate_in_string(&in->gate),
        .depth = in->framing & INTAKE_RECORDS ? in->gate.depth : DEPTH_UNKNOWN,
    };
    gate_reset(in);
    return INTAKE_FAILED;
}

static enum intake_status bad_json(struct intake *in, const struct piece *piece, struct error *err)
{
    json_gate_fail(&in->gate, in->offset + piece->at, err);
    return failed(in);
}

static void too_large(const struct intake *in, struct error *err)
{
    fail(err, PLSM_ERROR_USAGE, "message too large: tags and data together may take %llu bytes",
         (unsigned long long)in->message_max);
    fail_detail(err, ERROR_DETAIL_TOO_LARGE);
}

/* About the whole value, which has been taken. */
static enum intake_status refused(struct intake *in, struct error *err)
{
    fail_offset(err, in->value_offset);
    return failed(in);
}

static enum intake_status not_an_object(struct intake *in, struct error *err)
{
    fail(err, PLSM_ERROR_USAGE, "data must be object");
    fail_detail(err, ERROR_DETAIL_BAD_JSON);
    fail_offset(err, in->value_offset);
    return failed(in);
}

/* ---- values that are complete ---- */

/* Takes the message out of its envelope: its data replaces it in the text.  1: done, 0: it is no message. */
static int unwrap(struct intake *in, struct bytes *value, uint32_t *raw, struct error *err)
{
    struct bytes data;
    int is_message;

    buf_clear(&in->scratch);
    is_message = message_recognise(*value, &in->scratch, raw, &data, err);
    if (is_message <= 0)
        return is_message;
    if (tags_join(&in->scratch, raw, buf_bytes(&in->tags), in->tags_raw, err) < 0)
        return fail_detail(err, ERROR_DETAIL_BAD_JSON);
    memmove(in->text.p + in->text_done, data.p, data.n);
    in->text.n = in->text_done + data.n;
    value->n = data.n;
    return 1;
}

static struct bytes keep_tags(struct intake *in, struct item *item)
{
    item->tags_at = in->own_tags.n;
    item->has_own_tags = true;
    (void)buf_add_bytes(&in->own_tags, buf_bytes(&in->scratch)); /* the caller made room */
    return (struct bytes){in->own_tags.p + item->tags_at, in->scratch.n};
}

static int items_room(struct intake *in)
{
    if (in->n < in->room)
        return 0;
    size_t room = in->room == 0 ? ITEMS_FIRST : in->room * 2;
    struct item *items = realloc(in->items, room * sizeof *items);
    if (items == NULL)
        return -1;
    in->items = items;
    struct payload *payloads = realloc(in->payloads, room * sizeof *payloads);
    if (payloads == NULL)
        return -1;
    in->payloads = payloads;
    in->room = room;
    return 0;
}

static enum intake_status add_item(struct intake *in, struct bytes data, struct bytes tags,
                                   uint32_t raw, bool own_tags, struct error *err)
{
    if (data.n + raw > in->message_max) {
        too_large(in, err);
        return refused(in, err);
    }
    if (items_room(in) < 0) {
        fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        return refused(in, err);
    }
    struct item *item = &in->items[in->n];
    *item = (struct item){.data_at = in->text_done};
    if (own_tags) {
        if (buf_room(&in->own_tags, tags.n) < 0) {
            fail(err, PLSM_ERROR_INTERNAL, "out of memory");
            return refused(in, err);
        }
        tags = keep_tags(in, item);
    }
    in->payloads[in->n++] = payload_make(tags, raw, data);
    in->text_done = in->text.n;
    return INTAKE_MORE;
}

static enum intake_status value_done(struct intake *in, struct error *err)
{
    struct bytes value = {in->text.p + in->text_done, in->text.n - in->text_done};
    struct bytes tags = buf_bytes(&in->tags);
    uint32_t raw = in->tags_raw, own_raw = 0;
    bool deep = in->gate.deep;
    int is_message = 0;

    if (in->not_object)
        return not_an_object(in, err);
    in->gate.deep = false;
    if (in->flags & INTAKE_RECOGNISE)
        is_message = unwrap(in, &value, &own_raw, err);
    if (is_message < 0)
        return refused(in, err);
    if (is_message == 0 && deep) {
        fail(err, PLSM_ERROR_USAGE, "data nests deeper than %d", JSON_DEPTH_MAX);
        fail_detail(err, ERROR_DETAIL_BAD_JSON);
        return refused(in, err);
    }
    if (is_message > 0) {
        tags = in->scratch.n > 0 ? buf_bytes(&in->scratch) : (struct bytes){0};
        raw = own_raw;
    }
    return add_item(in, value, tags, raw, is_message > 0 && tags.n > 0, err);
}

/* Is there a value that waits for its end? */
static bool is_late(const struct intake *in)
{
    return in->has_one && (in->framing & INTAKE_LATE);
}

/* The last byte of a value has been taken. */
static enum intake_status value_there(struct intake *in, struct error *err)
{
    in->has_one = (in->framing & INTAKE_ONE) != 0;
    return is_late(in) ? INTAKE_MORE : value_done(in, err);
}

/* ---- the stream ---- */

/* The most that the text of the unfinished value may have; an envelope may be larger than what is in it. */
static uint64_t held_max(const struct intake *in)
{
    uint64_t data_max = in->message_max > in->tags_raw ? in->message_max - in->tags_raw : 0;
    size_t held = intake_held(in);

    if (held > data_max && (in->flags & INTAKE_RECOGNISE) &&
        message_may_begin((struct bytes){in->text.p + in->text_done, held}))
        return in->message_max + ENVELOPE_BYTES_MAX;
    return data_max;
}

/* Begins a value at the byte at hand, or refuses it. */
static enum intake_status value_begin(struct intake *in, const struct piece *piece,
                                      struct error *err)
{
    if (!is_late(in)) /* else the record began with the value that was there */
        in->value_offset = in->offset + piece->at;
    if (in->has_one) {
        fail(err, PLSM_ERROR_USAGE, "invalid json");
        fail_cause(err, "unexpected text after the value");
        fail_detail(err, ERROR_DETAIL_BAD_JSON);
        fail_offset(err, in->offset + piece->at);
        return failed(in);
    }
    in->not_object = piece->p[piece->at] != '{';
    if (in->not_object && !(in->framing & INTAKE_WHOLE))
        return not_an_object(in, err);
    return INTAKE_MORE;
}

/* What is taken of the unfinished value as the limit counts it; see value_go(). */
static uint64_t value_taken(const struct intake *in, const struct piece *piece)
{
    return in->not_object ? in->offset + piece->at - in->value_offset : intake_held(in);
}

/* INTAKE_RECORDS: an object goes on to the next line that begins with '{'. */
static size_t value_left(struct intake *in, struct piece *piece)
{
    const char *found;

    if (!(in->framing & INTAKE_RECORDS) || in->not_object)
        return piece->n - piece->at;
    if (piece->line_open <= piece->at) {
        found = memmem(piece->p + piece->at, piece->n - piece->at, "\n{", 2);
        piece->line_open = found != NULL ? (size_t)(found + 1 - piece->p) : piece->n;
    }
    return piece->line_open - piece->at;
}

/*
 * Feeds the gate.  Each byte adds one at most to what is held, so never more than one byte too many is, and where
 * the limit is passed does not depend on the pieces.
 */
static enum intake_status value_go(struct intake *in, struct piece *piece, bool *ret_done,
                                   struct error *err)
{
    uint64_t room = held_max(in) + 1 - value_taken(in, piece);
    size_t left = value_left(in, piece), used;
    enum json_status status = json_gate_feed(&in->gate, piece->p + piece->at,
                                             left < room ? left : (size_t)room, &used, &in->text);

    piece->at += used;
    if (in->not_object)
        in->text.n = in->text_done;
    if (status == JSON_BAD)
        return bad_json(in, piece, err);
    if (value_taken(in, piece) > held_max(in)) {
        piece->at--;
        if (in->not_object)
            return not_an_object(in, err);
        too_large(in, err);
        fail_offset(err, in->offset + piece->at);
        return failed(in);
    }
    *ret_done = status == JSON_VALUE;
    return status == JSON_VALUE ? value_there(in, err) : INTAKE_MORE;
}

/* Does the byte at hand begin another record, so that the open one is cut off? */
static bool is_cut_off(const struct intake *in, const struct piece *piece)
{
    return (in->framing & INTAKE_RECORDS) && !in->not_object && piece->p[piece->at] == '{' &&
           at_line_start(in, piece) && in->offset + piece->at > in->value_offset;
}

static enum intake_status cut_off(struct intake *in, const struct piece *piece, struct error *err)
{
    (void)json_gate_end(&in->gate); /* it is, as it must be for an object */
    return bad_json(in, piece, err);
}

static bool is_full(const struct intake *in)
{
    return in->text_done >= INTAKE_BATCH_BYTES;
}

/* Goes on to the next value, and begins it; at the end of the piece there may be none. */
static enum intake_status value_find(struct intake *in, struct piece *piece, struct error *err)
{
    skip(in, piece);
    while (piece->at < piece->n && is_separator(piece->p[piece->at]))
        piece->at++;
    return piece->at < piece->n ? value_begin(in, piece, err) : INTAKE_MORE;
}

static enum intake_status take_piece(struct intake *in, struct piece *piece, size_t *ret_end,
                                     struct error *err)
{
    enum intake_status status = INTAKE_MORE;
    bool done;

    while (status == INTAKE_MORE) {
        if (is_full(in))
            return INTAKE_FULL;
        if (!json_gate_open(&in->gate))
            status = value_find(in, piece, err);
        else if (piece->at < piece->n && is_cut_off(in, piece))
            status = cut_off(in, piece, err);
        if (piece->at == piece->n || status != INTAKE_MORE)
            break;
        done = false;
        status = value_go(in, piece, &done, err);
        if (done && status == INTAKE_MORE)
            *ret_end = piece->at;
    }
    return status;
}

/* The text moves when it grows, perhaps several times in one push, and not always to a new place. */
static void payloads_follow(struct intake *in, size_t first_new)
{
    bool moved = in->text.p != in->text_p || in->own_tags.p != in->own_tags_p;

    for (size_t i = moved ? 0 : first_new; i < in->n; i++) {
        in->payloads[i].data.p = in->text.p + in->items[i].data_at;
        if (in->items[i].has_own_tags)
            in->payloads[i].tags.p = in->own_tags.p + in->items[i].tags_at;
    }
    in->text_p = in->text.p;
    in->own_tags_p = in->own_tags.p;
}

enum intake_status intake_push(struct intake *in, const char *p, size_t n, size_t *ret_used,
                               size_t *ret_end, struct error *err)
{
    struct piece piece = {.p = p, .n = n};
    size_t end = 0, n_before = in->n;
    enum intake_status status = take_piece(in, &piece, &end, err);

    payloads_follow(in, n_before);
    in->line_start = at_line_start(in, &piece);
    in->offset += piece.at;
    *ret_used = piece.at;
    if (ret_end != NULL)
        *ret_end = end;
    return status;
}

/* What an unfinished value is when nothing follows: wrong, or a number that is complete. */
static enum intake_status value_end(struct intake *in, struct error *err)
{
    if (json_gate_end(&in->gate) == JSON_VALUE)
        return value_there(in, err);
    json_gate_fail(&in->gate, in->offset, err);
    return INTAKE_FAILED;
}

int intake_end(struct intake *in, struct error *err)
{
    enum intake_status status = INTAKE_MORE;
    size_t n_before = in->n;

    if (json_gate_open(&in->gate))
        status = value_end(in, err);
    if (status == INTAKE_MORE && is_late(in))
        status = value_done(in, err);
    payloads_follow(in, n_before);
    intake_reset(in);
    return status == INTAKE_FAILED ? -1 : 0;
}

const struct payload *intake_payloads(const struct intake *in, size_t *ret_n)
{
    *ret_n = in->n;
    return in->payloads;
}

void intake_taken(struct intake *in)
{
    buf_drop_front(&in->text, in->text_done);
    buf_clear(&in->own_tags);
    in->text_done = 0;
    in->n = 0;
    if (in->room > ITEMS_KEEP) {
        free(in->items);
        free(in->payloads);
        in->items = NULL;
        in->payloads = NULL;
        in->room = 0;
    }
}

size_t intake_held(const struct intake *in)
{
    return in->text.n - in->text_done;
}

uint64_t intake_value_offset(const struct intake *in)
{
    return in->value_offset;
}

bool intake_open(const struct intake *in)
{
    return json_gate_open(&in->gate) || is_late(in);
}

bool intake_skipping(const struct intake *in)
{
    return in->refused.skipping;
}

void intake_reset(struct intake *in)
{
    gate_reset(in);
    in->refused = (struct refused){0};
    in->line_start = true;
}
