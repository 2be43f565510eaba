/*
 * Bytes: borrowed (struct bytes) and owned, growing (struct buf).
 *
 * struct buf b = BUF_INIT is ready for use; buf_done() releases.  The content is never followed by a NUL
 * unless buf_str() was asked for it.  Growing may move the content, so a struct bytes into a buf is good
 * until the next call that adds to it.
 *
 * Memory: every call that may grow returns 0, or -1 when memory is gone; the content is then unchanged.
 * A caller that cannot do anything about it may ignore single results and ask buf_failed() once.
 * Not for use by several threads at once.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct bytes {
    const char *p;
    size_t n;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const char *str)
{
    return (struct bytes){str, strlen(str)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct buf {
    char *p;
    size_t n;    /* bytes used */
    size_t cap;  /* bytes allocated */
    bool failed; /* an earlier call found no memory */
};

#define BUF_INIT ((struct buf){0})

void buf_done(struct buf *b);

/* Forgets the content, keeps the memory. */
static inline void buf_clear(struct buf *b)
{
    b->n = 0;
}

/* Makes room for `more` bytes behind the content.  buf_room() is the inlined form for hot paths. */
int buf_grow(struct buf *b, size_t more);

static inline int buf_room(struct buf *b, size_t more)
{
    return b->cap - b->n >= more ? 0 : buf_grow(b, more);
}

static inline int buf_add(struct buf *b, const void *p, size_t n)
{
    if (buf_room(b, n) < 0)
        return -1;
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}

static inline int buf_add_bytes(struct buf *b, struct bytes bytes)
{
    return buf_add(b, bytes.p, bytes.n);
}

static inline int buf_add_str(struct buf *b, const char *str)
{
    return buf_add(b, str, strlen(str));
}

static inline int buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Adds `n` in decimal; the fast form of "%" PRIu64. */
int buf_add_u64(struct buf *b, unsigned long long n);

/*
 * Adds the text as a JSON string, quotes included.  `text` may hold any byte; what is not UTF-8 (a file name can be
 * anything) becomes U+FFFD, one for each part that could have begun a character, or else each byte.
 */
int buf_add_json_string(struct buf *b, struct bytes text);

/* Adds the bytes as base64 (RFC 4648), padded, in one line. */
int buf_add_base64(struct buf *b, struct bytes bytes);

/*
 * Adds the text for people at a terminal, which nothing in it may steer: control characters (C0, DEL, C1) are shown as
 * \n, \t, \x1b, or as \n, \t, \u001b, which inside of a JSON string says the same; what is not UTF-8 likewise.  So are
 * those that change the direction of writing, as \u202e in both forms: text would look like another.
 */
enum plain_form { PLAIN_TEXT, PLAIN_JSON };
int buf_add_plain(struct buf *b, struct bytes text, enum plain_form form);

/*
 * Adds the word so that a shell reads it as one: in single quotes when it must.  Control characters, which could steer a
 * terminal, become $'\033', as bash, ksh and zsh read it.
 */
int buf_add_shell_word(struct buf *b, const char *word);

/* Is all of it UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF)? */
bool bytes_are_utf8(struct bytes text);

/* Removes the first n bytes. */
void buf_drop_front(struct buf *b, size_t n);

/* The content as a C string, owned by the buf; NULL when memory is gone. */
const char *buf_str(struct buf *b);

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->p, b->n};
}

static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}

#define auto_buf __attribute__((cleanup(buf_done)))

#endif
