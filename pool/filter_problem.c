#include "filter_problem.h"

#include <stdarg.h>

#define EXAMPLE ".data.level == \"error\""

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static size_t characters(struct bytes text, size_t end)
{
    size_t n = 0;

    for (size_t i = 0; i < end && i < text.n; i++)
        n += begins_character(text.p[i]);
    return n;
}

/* Control characters (a line break within an expression) would break the line. */
static int add_plain(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (buf_add_char(out, c < 0x20 || c == 0x7f ? ' ' : text.p[i]) < 0)
            return -1;
    }
    return 0;
}

int filter_excerpt(struct buf *out, struct bytes text, size_t at)
{
    size_t begin = 0, end = text.n;

    if (text.n > FILTER_EXCERPT_MAX) {
        if (at != FILTER_NOWHERE && at > FILTER_EXCERPT_MAX / 2)
            begin = at - FILTER_EXCERPT_MAX / 2;
        if (text.n - begin > FILTER_EXCERPT_MAX)
            end = begin + FILTER_EXCERPT_MAX;
        while (begin < text.n && !begins_character(text.p[begin]))
            begin++;
        while (end < text.n && end > begin && !begins_character(text.p[end]))
            end--;
    }
    if (buf_add_str(out, begin > 0 ? "`..." : "`") < 0 ||
        add_plain(out, (struct bytes){text.p + begin, end - begin}) < 0)
        return -1;
    return buf_add_str(out, end < text.n ? "...`" : "`");
}

int filter_problem(struct error *err, struct bytes text, size_t at, const char *format, ...)
{
    auto_buf struct buf excerpt = BUF_INIT, what = BUF_INIT, place = BUF_INIT;
    va_list args;

    fail(err, PLSM_ERROR_USAGE, "invalid filter expression");
    va_start(args, format);
    (void)buf_vprintf(&what, format, args);
    va_end(args);
    (void)filter_excerpt(&excerpt, text, at);
    if (at != FILTER_NOWHERE && at >= text.n)
        (void)buf_add_str(&place, ", at its end");
    else if (at != FILTER_NOWHERE)
        (void)buf_printf(&place, ", at character %zu", characters(text, at) + 1);
    if (buf_str(&excerpt) == NULL || buf_str(&what) == NULL || buf_str(&place) == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    fail_hint(err, "In %s%s: %.200s. An expression that works: " EXAMPLE, excerpt.p, place.p,
              what.p);
    return at == FILTER_NOWHERE ? -1 : fail_offset(err, at < text.n ? at : text.n);
}
