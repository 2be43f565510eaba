#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 64 /* bytes of the first allocation; most texts of ours fit */

void buf_done(struct buf *b)
{
    free(b->p);
    *b = BUF_INIT;
}

int buf_grow(struct buf *b, size_t more)
{
    size_t need, cap;
    char *p;

    if (__builtin_add_overflow(b->n, more, &need))
        goto no_memory;
    if (need <= b->cap)
        return 0;
    cap = b->cap > SIZE_MAX / 2 ? need : 2 * b->cap;
    if (cap < need)
        cap = need;
    if (cap < BUF_FIRST)
        cap = BUF_FIRST;
    p = realloc(b->p, cap);
    if (p == NULL)
        goto no_memory;
    b->p = p;
    b->cap = cap;
    return 0;

no_memory:
    b->failed = true;
    return -1;
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    int n;

    if (buf_room(b, 1) < 0)
        return -1;
    va_copy(again, args);
    n = vsnprintf(b->p + b->n, b->cap - b->n, format, again);
    va_end(again);
    if (n < 0) {
        b->failed = true;
        return -1;
    }
    if ((size_t)n >= b->cap - b->n) { /* vsnprintf() wants room for its NUL */
        if (buf_grow(b, (size_t)n + 1) < 0)
            return -1;
        vsnprintf(b->p + b->n, b->cap - b->n, format, args);
    }
    b->n += (size_t)n;
    return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int result;

    va_start(args, format);
    result = buf_vprintf(b, format, args);
    va_end(args);
    return result;
}

int buf_add_u64(struct buf *b, unsigned long long n)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return buf_add(b, digits + at, sizeof digits - at);
}

/* Length of the UTF-8 sequence at p[0..n), 0 when it is not one. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t code = len == 2 ? p[0] & 0x1fu : len == 3 ? p[0] & 0x0fu : p[0] & 0x07u;

    if (len <= 1)
        return len;
    if (len > n || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return len;
}

/*
 * How many of the bytes, which begin no character, are replaced by one U+FFFD: as many as could begin one, at least
 * one.  (Unicode, section 3.9: the maximal subpart.)
 */
static size_t utf8_bad_part(const unsigned char *p, size_t n)
{
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    size_t len = p[0] < 0xc2 || p[0] > 0xf4 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4, i;

    for (i = 1; i < len && i < n && p[i] >= low && p[i] <= high; i++) {
        low = 0x80; /* only the second byte depends on the first */
        high = 0xbf;
    }
    return i;
}

bool bytes_are_utf8(struct bytes text)
{
    size_t at = 0, len = 1;

    while (at < text.n && len > 0) {
        len = utf8_sequence((const unsigned char *)text.p + at, text.n - at);
        at += len;
    }
    return len > 0;
}

static int add_escape(struct buf *b, unsigned char c)
{
    static const char short_escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: byte, its letter */

    for (const char *at = short_escapes; *at != '\0'; at += 2)
        if ((unsigned char)at[0] == c)
            return buf_add(b, (char[]){'\\', at[1]}, 2);
    return buf_printf(b, "\\u%04x", c);
}

int buf_add_json_string(struct buf *b, struct bytes text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t start = b->n, plain = 0, at = 0;
    int result = buf_add_char(b, '"');

    while (at < text.n && result == 0) {
        size_t len = utf8_sequence(p + at, text.n - at);

        if (len > 0 && p[at] >= 0x20 && p[at] != '"' && p[at] != '\\') {
            at += len;
            continue;
        }
        result = buf_add(b, text.p + plain, at - plain);
        if (result == 0)
            result = len == 0 ? buf_add_str(b, "\xef\xbf\xbd") : add_escape(b, p[at]);
        at += len == 0 ? utf8_bad_part(p + at, text.n - at) : 1;
        plain = at;
    }
    if (result == 0)
        result = buf_add(b, text.p + plain, at - plain);
    if (result == 0)
        result = buf_add_char(b, '"');
    if (result < 0)
        b->n = start;
    return result;
}

/* Unicode's Bidi_Control: the text around one of these is shown in another order than it has. */
static bool turns_around(int c)
{
    return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

/* The character, or the byte that begins none, if it is not to reach a terminal; else -1. */
static int steering(const unsigned char *p, size_t len)
{
    int c = len == 2   ? (p[0] & 0x1f) << 6 | (p[1] & 0x3f)
            : len == 3 ? (p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f)
            : len == 4 ? 0x10000 /* nothing that high */
                       : p[0];

    /* C1: some terminals read U+009B as ESC [ */
    if (len == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || turns_around(c))
        return c;
    return -1;
}

int buf_add_plain(struct buf *b, struct bytes text, enum plain_form form)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t plain = 0, at = 0;

    while (at < text.n) {
        size_t len = utf8_sequence(p + at, text.n - at), n = len > 0 ? len : 1;
        int c = steering(p + at, len);

        if (c >= 0) {
            buf_add(b, text.p + plain, at - plain);
            if (c == '\n' || c == '\r' || c == '\t')
                buf_add_str(b, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
            else
                buf_printf(b, form == PLAIN_JSON || c > 0xff ? "\\u%04x" : "\\x%02x",
                           (unsigned)c);
            plain = at + n;
        }
        at += n;
    }
    return buf_add(b, text.p + plain, at - plain) < 0 || buf_failed(b) ? -1 : 0;
}

int buf_add_base64(struct buf *b, struct bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (buf_room(b, bytes.n / 3 * 4 + 4) < 0)
        return -1;
    for (size_t i = 0; i < bytes.n; i += 3) {
        const unsigned char *p = (const unsigned char *)bytes.p + i;
        size_t n = bytes.n - i < 3 ? bytes.n - i : 3;
        unsigned word = p[0] << 16 | (n > 1 ? p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        char group[4] = {digits[word >> 18], digits[word >> 12 & 63], '=', '='};

        if (n > 1)
            group[2] = digits[word >> 6 & 63];
        if (n > 2)
            group[3] = digits[word & 63];
        buf_add(b, group, sizeof group); /* for which there is room */
    }
    return 0;
}

void buf_drop_front(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

const char *buf_str(struct buf *b)
{
    if (buf_room(b, 1) < 0)
        return NULL;
    b->p[b->n] = '\0';
    return b->p;
}

static bool steers(const char *word)
{
    const unsigned char *p = (const unsigned char *)word;
    size_t n = strlen(word), at = 0;

    while (at < n) {
        size_t len = utf8_sequence(p + at, n - at);

        if (steering(p + at, len) >= 0)
            return true;
        at += len;
    }
    return false;
}

/* Between $' and ' a backslash means something. */
static int add_escaped_word(struct buf *b, const char *word)
{
    buf_add_str(b, "$'");
    for (; *word != '\0'; word++)
        if (*word < 0x20 || *word >= 0x7f)
            buf_printf(b, "\\%03o", (unsigned char)*word);
        else if (*word == '\'' || *word == '\\')
            buf_printf(b, "\\%c", *word);
        else
            buf_add_char(b, *word);
    return buf_add_char(b, '\'');
}

int buf_add_shell_word(struct buf *b, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@,+";

    /* zsh takes =word for the path of a program */
    if (word[0] != '\0' && word[0] != '=' && word[strspn(word, plain)] == '\0')
        return buf_add_str(b, word);
    if (steers(word))
        return add_escaped_word(b, word);
    buf_add_char(b, '\'');
    for (; *word != '\0'; word++)
        if (*word == '\'')
            buf_add_str(b, "'\\''");
        else
            buf_add_char(b, *word);
    return buf_add_char(b, '\'');
}
