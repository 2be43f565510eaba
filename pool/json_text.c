/*
 * Walking JSON text that has passed the gate.  The bytes may come from a file that somebody else wrote, so nothing
 * here reads or loops past the end, whatever they are.
 */
#include "pool/json.h"

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Bytes from `at` on that are neither '"' nor '\'.  May stop early. */
static inline size_t string_run(struct bytes text, size_t at)
{
    size_t i = at;

#if defined(__SSE2__)
    for (; i + 16 <= text.n; i += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(text.p + i));
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
                                    _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
        unsigned mask = (unsigned)_mm_movemask_epi8(stop);

        if (mask != 0)
            return i + (size_t)__builtin_ctz(mask) - at;
    }
#endif
    while (i < text.n && text.p[i] != '"' && text.p[i] != '\\')
        i++;
    return i - at;
}

/* Behind the string whose opening quote is at `at`. */
static size_t string_skip(struct bytes text, size_t at)
{
    for (size_t i = at + 1; i < text.n;) {
        i += string_run(text, i);
        if (i < text.n && text.p[i] == '"')
            return i + 1;
        i += 2; /* a backslash and what it escapes */
    }
    return text.n;
}

/* Walking through a container: how deep, and whether in a string. */
struct inside {
    unsigned depth;
    bool in_string;
};

/* One byte, or two where a backslash escapes.  True behind the bracket that ends it all. */
static inline bool step(struct inside *in, struct bytes text, size_t *at)
{
    char c = text.p[(*at)++];

    if (c == '"') {
        in->in_string = !in->in_string;
    } else if (in->in_string) {
        *at += c == '\\';
    } else if (c == '{' || c == '[') {
        in->depth++;
    } else if (c == '}' || c == ']') {
        return --in->depth == 0;
    }
    return false;
}

#define BLOCK 64

#if defined(__SSE2__)

static inline uint64_t equal_bits(const __m128i quarters[4], char c)
{
    uint64_t bits = 0;

    for (int i = 0; i < 4; i++) {
        __m128i equal = _mm_cmpeq_epi8(quarters[i], _mm_set1_epi8(c));

        bits |= (uint64_t)(unsigned)_mm_movemask_epi8(equal) << (16 * i);
    }
    return bits;
}

/* Bit i: an odd number of bits in x up to and with i. */
static inline uint64_t prefix_xor(uint64_t x)
{
    for (unsigned shift = 1; shift < BLOCK; shift *= 2)
        x ^= x << shift;
    return x;
}

/*
 * Up to 64 bytes at once: how many, up to and with the bracket that ends it all.  0: there are escapes among them, which
 * must be walked one by one.
 */
static inline unsigned step_block(struct inside *in, const char *p)
{
    const __m128i bit = _mm_set1_epi8(0x20); /* '[' and ']' become '{' and '}' */
    uint64_t strings, open, both;
    __m128i quarters[4];

    for (int i = 0; i < 4; i++)
        quarters[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    if (equal_bits(quarters, '\\') != 0)
        return 0;
    strings = prefix_xor(equal_bits(quarters, '"')) ^ (in->in_string ? ~0ULL : 0);
    for (int i = 0; i < 4; i++)
        quarters[i] = _mm_or_si128(quarters[i], bit);
    open = equal_bits(quarters, '{') & ~strings;
    both = (equal_bits(quarters, '}') & ~strings) | open;
    for (; both != 0; both &= both - 1) {
        if ((both & -both & open) != 0)
            in->depth++;
        else if (--in->depth == 0)
            return (unsigned)__builtin_ctzll(both) + 1;
    }
    in->in_string = strings >> 63;
    return BLOCK;
}

/* Goes on by as many bytes as can be taken at once.  True when there were any. */
static inline bool step_quickly(struct inside *in, struct bytes text, size_t *at)
{
    unsigned taken = text.n - *at >= BLOCK ? step_block(in, text.p + *at) : 0;

    *at += taken;
    return taken > 0;
}

#else

static inline bool step_quickly(struct inside *in, struct bytes text, size_t *at)
{
    (void)in, (void)text, (void)at;
    return false;
}

#endif

/* What begins with a bracket; bytes that are no JSON at all end with the text. */
static size_t container_skip(struct bytes text, size_t at)
{
    struct inside in = {.depth = 1};

    at++;
    while (at < text.n) {
        size_t stop = text.n - at >= BLOCK ? at + BLOCK : text.n;

        if (step_quickly(&in, text, &at)) {
            if (in.depth == 0)
                return at;
            continue;
        }
        while (at < stop)
            if (step(&in, text, &at))
                return at;
    }
    return text.n;
}

size_t json_skip(struct bytes text, size_t at)
{
    if (at >= text.n)
        return text.n;
    if (text.p[at] == '"')
        return string_skip(text, at);
    if (text.p[at] == '{' || text.p[at] == '[')
        return container_skip(text, at);
    while (at < text.n && text.p[at] != ',' && text.p[at] != '}' && text.p[at] != ']')
        at++;
    return at;
}

/* ---- the text of a string ---- */

/* A place inside a JSON string, quotes excluded. */
struct cursor {
    const char *p;
    const char *end;
};

static struct cursor string_inside(struct bytes string)
{
    if (string.n < 2)
        return (struct cursor){string.p, string.p};
    return (struct cursor){string.p + 1, string.p + string.n - 1};
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* Takes four hex digits; 0 when the string ends before them. */
static unsigned take_hex(struct cursor *at)
{
    unsigned code = 0;

    if (at->end - at->p < 4) {
        at->p = at->end;
        return 0;
    }
    for (int i = 0; i < 4; i++)
        code = code << 4 | (hex_digit(*at->p++) & 15);
    return code;
}

static bool is_high(unsigned code)
{
    return code >= 0xd800 && code < 0xdc00;
}

static bool is_low(unsigned code)
{
    return code >= 0xdc00 && code < 0xe000;
}

/* The digits after \u and, for a high surrogate, the \uXXXX that completes it.  Alone it is U+FFFD. */
static unsigned take_code(struct cursor *at)
{
    unsigned code = take_hex(at);

    if (is_high(code) && at->end - at->p >= 6 && at->p[0] == '\\' && at->p[1] == 'u') {
        struct cursor ahead = {at->p + 2, at->end};
        unsigned low = take_hex(&ahead);

        if (is_low(low)) {
            at->p = ahead.p;
            return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return is_high(code) || is_low(code) ? 0xfffd : code;
}

static size_t utf8_encode(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* Takes the escape at hand (a backslash) and says what it means, in UTF-8. */
static size_t take_escape(struct cursor *at, char out[4])
{
    char c;

    at->p++;
    if (at->p == at->end)
        return 0;
    c = *at->p++;
    switch (c) {
    case 'b':
        return utf8_encode('\b', out);
    case 'f':
        return utf8_encode('\f', out);
    case 'n':
        return utf8_encode('\n', out);
    case 'r':
        return utf8_encode('\r', out);
    case 't':
        return utf8_encode('\t', out);
    case 'u':
        return utf8_encode(take_code(at), out);
    default:
        out[0] = c; /* '"', '\' and '/' mean themselves */
        return 1;
    }
}

bool json_string_equal(struct bytes string, struct bytes plain)
{
    struct cursor at = string_inside(string);
    size_t i = 0;

    while (at.p < at.end) {
        char meaning[4];
        size_t n;

        if (*at.p != '\\') {
            if (i == plain.n || plain.p[i++] != *at.p++)
                return false;
            continue;
        }
        n = take_escape(&at, meaning);
        if (plain.n - i < n || (n > 0 && memcmp(plain.p + i, meaning, n) != 0))
            return false;
        i += n;
    }
    return i == plain.n;
}

int json_string_decode(struct bytes string, struct buf *out)
{
    struct cursor at = string_inside(string);
    size_t before = out->n;

    while (at.p < at.end) {
        const char *stop = memchr(at.p, '\\', (size_t)(at.end - at.p));
        size_t run = (size_t)((stop != NULL ? stop : at.end) - at.p), n = 0;
        char meaning[4];
        int rc = buf_add(out, at.p, run);

        at.p += run;
        if (stop != NULL)
            n = take_escape(&at, meaning);
        if (rc < 0 || buf_add(out, meaning, n) < 0) {
            out->n = before;
            return -1;
        }
    }
    return 0;
}
