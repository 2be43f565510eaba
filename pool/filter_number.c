#include "filter_value.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* strtod() with a point, whatever the locale. */
static double double_of_any(struct bytes text)
{
    static locale_t c_locale;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char few[64], *digits = few;
    double number = NAN;

    pthread_mutex_lock(&lock);
    if (c_locale == NULL)
        c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    pthread_mutex_unlock(&lock);
    if (text.n >= sizeof few)
        digits = malloc(text.n + 1);
    if (digits == NULL || c_locale == NULL)
        return number;
    memcpy(digits, text.p, text.n);
    digits[text.n] = '\0';
    number = strtod_l(digits, NULL, c_locale);
    if (digits != few)
        free(digits);
    return number;
}

/*
 * Up to 15 digits and a small power of ten are exact as doubles, and so is one operation on them,
 * rounded once.
 */
static double double_of(struct bytes text)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool minus = text.n > 0 && text.p[0] == '-';
    uint64_t digits = 0;
    unsigned n = 0, fraction = 0;
    bool point = false;

    for (size_t i = minus; i < text.n; i++) {
        if (text.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(text.p[i]) || ++n > 15)
            return double_of_any(text);
        digits = digits * 10 + (uint64_t)(text.p[i] - '0');
        fraction += point;
    }
    return (minus ? -(double)digits : (double)digits) / powers[fraction];
}

double val_double(const struct val *v)
{
    return v->computed ? v->number : double_of(v->text);
}

/* A whole number as its digits, without leading zeros; zero has none and no sign. */
struct integer {
    bool minus;
    struct bytes digits;
};

static bool integer_of(const struct val *v, struct integer *ret)
{
    struct bytes text = v->text;

    if (v->computed)
        return false;
    ret->minus = text.n > 0 && text.p[0] == '-';
    for (size_t i = ret->minus; i < text.n; i++)
        if (!is_digit(text.p[i]))
            return false;
    text.p += ret->minus;
    text.n -= ret->minus;
    while (text.n > 0 && text.p[0] == '0') {
        text.p++;
        text.n--;
    }
    ret->digits = text;
    ret->minus &= text.n > 0;
    return true;
}

static int compare_integers(const struct integer *a, const struct integer *b)
{
    int by_size;

    if (a->minus != b->minus)
        return a->minus ? -1 : 1;
    if (a->digits.n != b->digits.n)
        by_size = a->digits.n < b->digits.n ? -1 : 1;
    else
        by_size = a->digits.n == 0 ? 0 : memcmp(a->digits.p, b->digits.p, a->digits.n);
    return a->minus ? -by_size : by_size;
}

/* Nearly all numbers are whole and fit 64 bits. */
static inline bool small_integer(const struct val *v, int64_t *ret)
{
    bool minus = v->text.n > 0 && v->text.p[0] == '-';
    int64_t n = 0;

    if (v->computed || v->text.n == 0 || v->text.n > 18)
        return false;
    for (size_t i = minus; i < v->text.n; i++) {
        if (!is_digit(v->text.p[i]))
            return false;
        n = n * 10 + (v->text.p[i] - '0');
    }
    *ret = minus ? -n : n;
    return true;
}

int val_compare_numbers(const struct val *a, const struct val *b)
{
    struct integer ia, ib;
    int64_t small_a, small_b;
    double x, y;

    if (small_integer(a, &small_a) && small_integer(b, &small_b))
        return small_a < small_b ? -1 : small_a > small_b;
    if (integer_of(a, &ia) && integer_of(b, &ib))
        return compare_integers(&ia, &ib);
    x = val_double(a);
    y = val_double(b);
    if (isnan(x))
        return -1; /* below everything, itself included */
    return x < y ? -1 : x == y ? 0 : 1;
}

static size_t skip_digits(struct bytes text, size_t at)
{
    while (at < text.n && is_digit(text.p[at]))
        at++;
    return at;
}

/* [+-] digits [. digits] or .digits, [e [+-] digits]; *ret_whole: digits alone. */
static bool is_number(struct bytes text, bool *ret_whole)
{
    size_t begin = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+'),
           at = skip_digits(text, begin);
    size_t digits = at - begin;

    *ret_whole = at == text.n;
    if (at < text.n && text.p[at] == '.') {
        size_t end = skip_digits(text, at + 1);

        digits += end - at - 1;
        at = end;
    }
    if (digits == 0)
        return false;
    if (at < text.n && (text.p[at] == 'e' || text.p[at] == 'E')) {
        at++;
        at += at < text.n && (text.p[at] == '-' || text.p[at] == '+');
        return at < text.n && skip_digits(text, at) == text.n;
    }
    return at == text.n;
}

static bool is_word(struct bytes text, const char *word)
{
    return text.n == strlen(word) && strncasecmp(text.p, word, text.n) == 0;
}

bool val_of_number(struct bytes text, struct val *ret)
{
    size_t sign = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+');
    struct bytes unsigned_text = {text.p + sign, text.n - sign};
    bool whole;

    if (is_word(unsigned_text, "inf") || is_word(unsigned_text, "infinity")) {
        *ret = val_number(text.p[0] == '-' ? -INFINITY : INFINITY);
        return true;
    }
    if (is_word(unsigned_text, "nan")) {
        *ret = val_number(NAN);
        return true;
    }
    if (!is_number(text, &whole))
        return false;
    *ret = (struct val){.kind = VAL_NUMBER, .text = text};
    if (text.p[0] == '+')
        ret->text = unsigned_text;
    if (!whole)
        *ret = val_number(double_of_any(ret->text));
    return true;
}
