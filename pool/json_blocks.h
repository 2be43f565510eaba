/*
 * The block scanner: 64 bytes at a time, one bit for each, no look at single bytes but for what is rare.
 *
 * Included by json_avx2.c and json_sse2.c, which bring the vector part: SCAN (attributes of a function), classify(),
 * equal_mask(), prefix_xor(), and compact() with CAN_COMPACT.
 *
 * A mask has bit i for byte i of the block.  Quotes that no backslash escapes, summed up from the left, tell the inside of
 * strings from the outside (`inside` holds the opening quote, not the closing one).  Outside, every token must be allowed behind the
 * one before it.  next_of() moves the last bytes of tokens of one kind to the first byte of whatever token follows, past
 * blanks, so each rule is an `and` of two masks:
 *
 *     behind ':', and ',' in an array    a value begins
 *     behind '['                         a value begins, or a container ends
 *     behind ',' in an object            a string begins: a key
 *     behind '{'                         a string begins: a key; or a container ends
 *     behind a key                       ':', and nowhere else
 *     behind a value                     ',' or the end of a container
 *
 * Only brackets are walked one by one; they say which commas lie in objects.  What a carry holds for the next block is
 * noted at the fields of struct scan.
 *
 * After each good block the last byte between tokens is remembered (struct mark): at the end of the piece, or in front of
 * a block that has something wrong in it, the scan goes back to the mark and the machine in json.c takes over.
 */
#include "json_state.h"

/* Where the six rules stand at the end of a block: bit 0 set when the next token is under the rule. */
struct pending {
    uint64_t value;
    uint64_t first_value;
    uint64_t key;
    uint64_t first_key;
    uint64_t colon;
    uint64_t next;
};

struct mark {
    size_t at;       /* offset of a bracket, comma or colon; SIZE_MAX: none yet */
    size_t base;     /* of its block */
    uint64_t blanks; /* of its block */
    size_t run;      /* as in struct scan, before its block was added to the output */
    char *out;
    json_kinds kinds;
    unsigned depth;
};

struct scan {
    const char *p;
    size_t n;
    size_t base; /* offset of the block */

    uint64_t inside;  /* all ones: the block begins inside a string */
    uint64_t escaped; /* 1: its first byte is escaped */
    uint64_t key;     /* 1: the string it begins in is a key */
    uint64_t utf8;    /* its first bytes that end a sequence already checked */
    struct pending pending;

    /* 1: the byte before the block was ... */
    uint64_t scalar; /* part of a number or literal */
    uint64_t digit;
    uint64_t sign; /* of a number */
    uint64_t zero; /* a whole integer part */
    uint64_t point;
    uint64_t e;
    uint64_t e_sign;
    uint64_t fraction;     /* digits of a fraction */
    uint64_t exponent;     /* digits of an exponent */
    uint64_t literal;      /* first bytes of the block that end a literal already checked */
    uint64_t literal_over; /* the byte behind such a literal */

    json_kinds kinds;
    unsigned depth;

    size_t run; /* bytes from here on are not in the output yet */
    char *out;
    struct mark mark;
};

/* What is at hand. */
struct block {
    struct masks m;
    const char *bytes; /* 64 readable ones that hold the block */
    unsigned shift;    /* where in them it begins */
    const char *p;     /* the block in the piece, which may end inside it */
    size_t left;       /* bytes from p to the end of the piece */
    uint64_t inside, string_start, string_end, outside;
    uint64_t open, close, comma, colon, blanks, escaped;
    uint64_t in_object; /* byte lies directly in an object */
    uint64_t valid;     /* bytes up to the end of the value */
    unsigned end;       /* bit of the value's last byte; 64: it goes on */
};

SCAN uint64_t mask_of(const struct block *b, char c)
{
    return equal_mask(b->bytes, c) >> b->shift;
}

SCAN uint64_t low_bits(unsigned n)
{
    return n >= 64 ? ~0ULL : (1ULL << n) - 1;
}

/* ends << 1 with what the last block left over; keeps what goes to the next one. */
SCAN uint64_t shift_in(uint64_t bits, uint64_t *carry)
{
    uint64_t shifted = bits << 1 | *carry;

    *carry = bits >> 63;
    return shifted;
}

/* From the last bytes of tokens to the first byte of the token behind each; `also`: places already moved by one. */
SCAN uint64_t next_of(uint64_t ends, uint64_t also, uint64_t blanks, uint64_t *carry)
{
    uint64_t at = shift_in(ends, carry) | also, moved;

    if (blanks == 0)
        return at;
    /* an addition runs through the blanks, which are ones, to the first zero behind them */
    *carry |= __builtin_add_overflow(at & blanks, blanks, &moved);
    return (at | moved) & ~blanks;
}

/* The place behind each run of ones in `runs` that begins with one of `starts` (or with the carry). */
SCAN uint64_t behind_runs(uint64_t runs, uint64_t starts, uint64_t *carry)
{
    uint64_t sum;
    bool over = __builtin_add_overflow(runs, starts, &sum);

    over |= __builtin_add_overflow(sum, *carry, &sum);
    *carry = over;
    return sum & ~runs;
}

/* ---- strings ---- */

/* Bytes behind an odd number of backslashes. */
SCAN uint64_t find_escaped(uint64_t slashes, uint64_t *carry)
{
    const uint64_t even = 0x5555555555555555;
    uint64_t behind, odd_starts, on_even;

    if ((slashes | *carry) == 0)
        return 0;
    slashes &= ~*carry;
    behind = slashes << 1 | *carry;
    odd_starts = slashes & ~even & ~behind;
    *carry = __builtin_add_overflow(odd_starts, slashes, &on_even);
    return (even ^ on_even << 1) & behind;
}

SCAN void find_strings(struct scan *s, struct block *b)
{
    uint64_t quotes;

    b->escaped = find_escaped(b->m.slash, &s->escaped);
    quotes = b->m.quote & ~b->escaped;
    b->inside = prefix_xor(quotes) ^ s->inside;
    s->inside = (uint64_t)((int64_t)b->inside >> 63);
    b->string_start = quotes & b->inside;
    b->string_end = quotes & ~b->inside;
    b->outside = ~(b->inside | b->string_end);
}

SCAN bool is_hex4(const char *p)
{
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i], lower = c | 0x20;

        if (!(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'f'))
            return false;
    }
    return true;
}

SCAN bool escapes_ok(const struct block *b)
{
    for (uint64_t rest = b->escaped & b->valid; rest != 0; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctzll(rest);

        switch (b->p[i]) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
            break;
        case 'u':
            if (b->left < i + 5 || !is_hex4(b->p + i + 1))
                return false;
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Length of the UTF-8 sequence of two bytes or more at p, 0 when it is wrong or goes past the piece. */
SCAN unsigned utf8_length(const unsigned char *p, size_t left)
{
    if (left < 2 || p[0] < 0xc2 || p[0] > 0xf4 || (p[1] & 0xc0) != 0x80)
        return 0;
    if (p[0] < 0xe0)
        return 2;
    if (left < 3 || (p[2] & 0xc0) != 0x80)
        return 0;
    if (p[0] < 0xf0)
        return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ? 0 : 3;
    if (left < 4 || (p[3] & 0xc0) != 0x80)
        return 0;
    return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

SCAN bool utf8_ok(struct scan *s, const struct block *b)
{
    uint64_t rest = b->m.high & b->valid & ~s->utf8;

    s->utf8 = 0;
    while (rest != 0) {
        unsigned i = (unsigned)__builtin_ctzll(rest);
        unsigned len = utf8_length((const unsigned char *)b->p + i, b->left - i);

        if (len == 0)
            return false;
        rest &= ~(low_bits(len) << i);
        if (i + len > 64)
            s->utf8 = low_bits(i + len - 64);
    }
    return true;
}

/* ---- brackets ---- */

/* Follows the brackets to the end of the block or of the value. */
SCAN bool follow_brackets(struct scan *s, struct block *b)
{
    uint64_t brackets = b->open | b->close, flips = 0, was_object = (uint64_t)s->kinds & 1,
             is_object;
    uint64_t at_start = was_object;

    b->end = 64;
    b->valid = ~0ULL;
    for (; brackets != 0; brackets &= brackets - 1) {
        unsigned i = (unsigned)__builtin_ctzll(brackets);
        uint64_t opens = b->open >> i & 1, mismatch;

        /* no branch on what the bracket is: nobody could foretell it */
        is_object = b->m.object >> i & 1;
        mismatch = (opens ^ 1) & ((uint64_t)s->kinds ^ is_object);
        s->kinds = opens ? s->kinds << 1 | is_object : s->kinds >> 1;
        s->depth += 2 * (unsigned)opens - 1;
        if ((mismatch & 1) != 0 || s->depth > JSON_DEPTH_MAX)
            return false;
        if (s->depth == 0) {
            b->end = i;
            b->valid = low_bits(i + 1);
            break;
        }
        is_object = (uint64_t)s->kinds & 1;
        flips |= (was_object ^ is_object) << i;
        was_object = is_object;
    }
    b->in_object = prefix_xor(flips) ^ (0 - at_start);
    return true;
}

/* ---- numbers and literals ---- */

/* Literals that begin in the block; false when one of them is none. */
SCAN bool find_literals(struct scan *s, const struct block *b, uint64_t starts, uint64_t *ret_bytes,
                        uint64_t *ret_over)
{
    *ret_bytes = s->literal;
    *ret_over = s->literal_over;
    s->literal = s->literal_over = 0;
    for (starts &= b->valid; starts != 0; starts &= starts - 1) {
        unsigned i = (unsigned)__builtin_ctzll(starts), len;
        bool is_false;

        if (b->left < i + 5) /* what ends a container follows, at the least */
            return false;
        is_false = (memcmp(b->p + i, "fals", 4) == 0) & (b->p[i + 4] == 'e');
        if (!(is_false | (memcmp(b->p + i, "true", 4) == 0) | (memcmp(b->p + i, "null", 4) == 0)))
            return false;
        len = 4 + is_false;
        *ret_bytes |= low_bits(len) << i;
        if (i + len < 64) {
            *ret_over |= 1ULL << (i + len);
        } else {
            s->literal = low_bits(i + len - 64);
            s->literal_over = 1ULL << (i + len - 64);
        }
    }
    return true;
}

/* Numbers with more than digits and a minus, and literals. */
SCAN bool rare_scalars_ok(struct scan *s, const struct block *b, uint64_t scalars, uint64_t starts,
                          uint64_t *ret_wrong)
{
    uint64_t digits = b->m.digit & scalars, literals, over, points, es, signs, e_signs, behind_e,
             behind_sign;
    uint64_t behind_e_sign, behind_point, wrong;

    if (!find_literals(s, b, starts & ~(b->m.digit | b->m.minus), &literals, &over))
        return false;
    points = mask_of(b, '.') & scalars;
    es = (mask_of(b, 'e') | mask_of(b, 'E')) & scalars & ~literals;
    signs = (b->m.minus | mask_of(b, '+')) & scalars;
    behind_e = shift_in(es, &s->e);
    e_signs = signs & behind_e;
    wrong = (scalars & ~(digits | literals | points | es | signs)) | (over & scalars);
    wrong |= signs & ~(e_signs | (b->m.minus & starts));
    signs &= ~e_signs;
    behind_sign = shift_in(signs, &s->sign);
    behind_e_sign = shift_in(e_signs, &s->e_sign);
    behind_point = shift_in(points, &s->point);
    wrong |= (behind_sign | behind_e_sign | behind_point | (behind_e & ~e_signs)) & ~digits;
    wrong |= (points | es) & ~shift_in(digits, &s->digit);
    wrong |= shift_in(b->m.zero & scalars & (starts | behind_sign), &s->zero) & digits;
    wrong |= behind_runs(digits, behind_point & digits, &s->fraction) & points;
    wrong |= behind_runs(digits, (behind_e | behind_e_sign) & digits, &s->exponent) & (points | es);
    *ret_wrong = wrong;
    return true;
}

SCAN bool scalars_ok(struct scan *s, const struct block *b, uint64_t scalars, uint64_t starts,
                     uint64_t *ret_wrong)
{
    uint64_t digits = b->m.digit & scalars, signs = b->m.minus & scalars, behind_sign;

    if ((scalars & ~(digits | signs)) | s->point | s->e | s->e_sign | s->fraction | s->exponent |
        s->literal_over)
        return rare_scalars_ok(s, b, scalars, starts, ret_wrong);
    behind_sign = shift_in(signs, &s->sign);
    *ret_wrong = (signs & ~starts) | (behind_sign & ~digits) |
                 (shift_in(b->m.zero & scalars & (starts | behind_sign), &s->zero) & digits);
    s->digit = digits >> 63;
    return true;
}

/* ---- the grammar ---- */

/* The six rules, and the numbers. */
SCAN bool tokens_ok(struct scan *s, const struct block *b)
{
    struct pending *pending = &s->pending;
    uint64_t scalars = b->outside & ~(b->blanks | b->open | b->close | b->comma | b->colon);
    uint64_t behind = shift_in(scalars, &s->scalar), starts = scalars & ~behind;
    uint64_t values = b->string_start | starts | b->open, blanks = b->blanks;
    uint64_t key, first_key, key_ends, wrong, wrong_scalars;

    if (!scalars_ok(s, b, scalars, starts, &wrong_scalars))
        return false;
    key = next_of(b->comma & b->in_object, 0, blanks, &pending->key);
    first_key = next_of(b->open & b->m.object, 0, blanks, &pending->first_key);
    key_ends = behind_runs(b->inside, b->string_start & (key | first_key), &s->key) & b->string_end;

    wrong = next_of(b->colon | (b->comma & ~b->in_object), 0, blanks, &pending->value) & ~values;
    wrong |=
        next_of(b->open & ~b->m.object, 0, blanks, &pending->first_value) & ~(values | b->close);
    wrong |= key & ~b->string_start;
    wrong |= first_key & ~(b->string_start | b->close);
    wrong |= next_of(key_ends, 0, blanks, &pending->colon) ^ b->colon;
    wrong |=
        next_of((b->string_end & ~key_ends) | b->close, behind & ~scalars, blanks, &pending->next) &
        ~(b->comma | b->close);
    wrong |= b->m.control & b->inside;
    return ((wrong | wrong_scalars) & b->valid) == 0;
}

SCAN bool block_ok(struct scan *s, struct block *b)
{
    find_strings(s, b);
    b->open = b->m.open & b->outside;
    b->close = b->m.close & b->outside;
    if (!follow_brackets(s, b) || (b->end == 64 && b->left < 64))
        return false;
    b->comma = b->m.comma & b->outside;
    b->colon = b->m.colon & b->outside;
    b->blanks = b->m.space & b->outside;
    if (b->m.control & b->outside)
        b->blanks |= (mask_of(b, '\n') | mask_of(b, '\r') | mask_of(b, '\t')) & b->outside;
    if (b->escaped != 0 && !escapes_ok(b))
        return false;
    if ((b->m.high | s->utf8) != 0 && !utf8_ok(s, b))
        return false;
    return tokens_ok(s, b);
}

/* ---- output ---- */

SCAN void flush_run(struct scan *s, size_t end)
{
    size_t len = end - s->run;

    if (len <= 32 && s->n - s->run >= 32)
        memcpy(s->out, s->p + s->run, 32); /* the slack behind the output takes what is too much */
    else
        memcpy(s->out, s->p + s->run, len);
    s->out += len;
}

/*
 * Adds the first n bytes of a block without the blanks; what follows the last blank may wait for flush_run().
 */
SCAN void add_block(struct scan *s, size_t base, unsigned n, uint64_t blanks)
{
    blanks &= low_bits(n);
    if (CAN_COMPACT && blanks != 0 && s->run <= base && s->n - base >= 64) {
        flush_run(s, base);
        s->out = compact(s->p + base, ~blanks & low_bits(n), s->out);
        s->run = base + n;
        return;
    }
    while (blanks != 0) {
        unsigned i = (unsigned)__builtin_ctzll(blanks);
        uint64_t rest = ~(blanks >> i);
        unsigned len = rest != 0 ? (unsigned)__builtin_ctzll(rest) : 64;

        if (base + i > s->run)
            flush_run(s, base + i);
        s->run = base + i + len;
        blanks &= ~(low_bits(len) << i);
    }
}

/* ---- the scan ---- */

SCAN void set_mark(struct scan *s, const struct block *b)
{
    uint64_t between = b->open | b->close | b->comma | b->colon;

    if (between == 0)
        return;
    s->mark = (struct mark){
        .at = s->base + 63 - (size_t)__builtin_clzll(between),
        .base = s->base,
        .blanks = b->blanks,
        .run = s->run,
        .out = s->out,
        .kinds = s->kinds,
        .depth = s->depth,
    };
}

/* The state behind the byte at the mark. */
SCAN enum json_state state_behind(char c, bool in_object)
{
    switch (c) {
    case ',':
        return in_object ? JSON_WANT_KEY : JSON_WANT_VALUE;
    case ':':
        return JSON_WANT_VALUE;
    case '{':
        return JSON_FIRST_KEY;
    case '[':
        return JSON_FIRST_VALUE;
    default:
        return JSON_WANT_NEXT;
    }
}

/* Back to the mark, if there is one. */
SCAN size_t stop_at_mark(struct scan *s, struct json_gate *gate, size_t begin, char **ret_out)
{
    const struct mark *mark = &s->mark;

    if (mark->at == SIZE_MAX)
        return begin;
    s->run = mark->run;
    s->out = mark->out;
    add_block(s, mark->base, (unsigned)(mark->at - mark->base) + 1, mark->blanks);
    flush_run(s, mark->at + 1);
    gate->state = state_behind(s->p[mark->at], (uint64_t)mark->kinds & 1);
    gate->depth = (uint8_t)mark->depth;
    json_kinds_set(gate, mark->kinds);
    *ret_out = s->out;
    return mark->at + 1;
}

SCAN void begin(struct scan *s, const struct json_gate *gate)
{
    s->kinds = json_kinds_get(gate);
    s->depth = gate->depth;
    s->pending.value = gate->state == JSON_WANT_VALUE;
    s->pending.first_value = gate->state == JSON_FIRST_VALUE;
    s->pending.key = gate->state == JSON_WANT_KEY;
    s->pending.first_key = gate->state == JSON_FIRST_KEY;
    s->pending.colon = gate->state == JSON_WANT_COLON;
    s->pending.next = gate->state == JSON_WANT_NEXT;
    s->mark.at = SIZE_MAX;
}

SCAN void shift_masks(struct masks *m, unsigned shift)
{
    m->quote >>= shift;
    m->slash >>= shift;
    m->high >>= shift;
    m->control >>= shift;
    m->space >>= shift;
    m->open >>= shift;
    m->close >>= shift;
    m->object >>= shift;
    m->comma >>= shift;
    m->colon >>= shift;
    m->digit >>= shift;
    m->minus >>= shift;
    m->zero >>= shift;
}

/* The block at s->base.  At the end of a piece the 64 bytes that end there are looked at, or a copy of a short one. */
SCAN void load_block(const struct scan *s, struct block *b, char copy[64])
{
    b->p = s->p + s->base;
    b->left = s->n - s->base;
    b->bytes = b->p;
    b->shift = 0;
    if (b->left < 64 && s->n >= 64) {
        b->shift = 64 - (unsigned)b->left;
        b->bytes = b->p - b->shift;
    } else if (b->left < 64) {
        memset(copy, 0, 64);
        memcpy(copy, b->p, b->left);
        b->bytes = copy;
    }
    classify(b->bytes, &b->m);
    if (b->shift != 0)
        shift_masks(&b->m, b->shift);
}

SCAN size_t scan_blocks(struct json_gate *gate, const char *p, size_t at, size_t n, char *out,
                        char **ret_out)
{
    struct scan s = {.p = p, .n = n, .base = at, .run = at, .out = out};
    struct block b;
    char copy[64];

    *ret_out = out;
    for (begin(&s, gate); s.base < n; s.base += 64) {
        load_block(&s, &b, copy);
        if (!block_ok(&s, &b))
            break;
        if (b.end < 64) {
            size_t end = s.base + b.end + 1;

            add_block(&s, s.base, b.end + 1, b.blanks);
            flush_run(&s, end);
            gate->state = JSON_START;
            gate->depth = 0;
            *ret_out = s.out;
            return end;
        }
        set_mark(&s, &b);
        add_block(&s, s.base, 64, b.blanks);
    }
    return stop_at_mark(&s, gate, at, ret_out);
}
