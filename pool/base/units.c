#include "base/units.h"

#include <stdbool.h>
#include <time.h>

#define S_PER_DAY 86400

uint64_t clock_real_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Saturating arithmetic: a time or a length too large to hold is as large as can be held. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static int refuse(const char **ret_why, const char *why)
{
    if (ret_why != NULL)
        *ret_why = why;
    return -1;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct bytes trim(struct bytes text)
{
    while (text.n > 0 && is_blank(text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* Takes the digits at the front of *text.  How many; -1 when their number does not fit. */
static int take_digits(struct bytes *text, uint64_t *ret)
{
    uint64_t n = 0;
    int len = 0;

    for (; text->n > 0 && is_digit(text->p[0]); text->p++, text->n--, len++)
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (unsigned)(text->p[0] - '0'), &n))
            return -1;
    *ret = n;
    return len;
}

int parse_u64(const char *text, uint64_t *ret, const char **ret_why)
{
    struct bytes rest = bytes_of(text);
    uint64_t n;
    int len = take_digits(&rest, &n);

    if (len < 0)
        return refuse(ret_why, "number too large to fit in target type");
    if (rest.n > 0)
        return refuse(ret_why, "invalid digit found in string");
    if (len == 0)
        return refuse(ret_why, "cannot parse integer from empty string");
    *ret = n;
    return 0;
}

int parse_duration(const char *text, uint64_t *ret_ns, const char **ret_why)
{
    struct bytes rest = trim(bytes_of(text));
    uint64_t n, unit;

    if (take_digits(&rest, &n) <= 0)
        return refuse(ret_why, "invalid duration");
    if (bytes_equal(rest, BYTES("ms")))
        unit = NS_PER_MS;
    else if (bytes_equal(rest, BYTES("s")))
        unit = NS_PER_S;
    else if (bytes_equal(rest, BYTES("m")))
        unit = 60 * NS_PER_S;
    else if (bytes_equal(rest, BYTES("h")))
        unit = 3600 * NS_PER_S;
    else
        return refuse(ret_why, "invalid duration");
    *ret_ns = times(n, unit);
    return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes, const char **ret_why)
{
    struct bytes rest = trim(bytes_of(text));
    uint64_t n;
    int shift = 0;

    if (take_digits(&rest, &n) <= 0)
        return refuse(ret_why, "invalid size");
    rest = trim(rest);
    if (rest.n == 1 && (rest.p[0] | 0x20) == 'k')
        shift = 10;
    else if (rest.n == 1 && (rest.p[0] | 0x20) == 'm')
        shift = 20;
    else if (rest.n == 1 && (rest.p[0] | 0x20) == 'g')
        shift = 30;
    else if (rest.n > 0)
        return refuse(ret_why, "invalid size suffix");
    if (n > UINT64_MAX >> shift)
        return refuse(ret_why, "size overflow");
    *ret_bytes = n << shift;
    return 0;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, and back.  Years begin in March, so that
 * the leap day is the last one; eras are 400 years. */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + (int64_t)(of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719468;
}

static void date_from_days(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    unsigned z = (unsigned)days + 719468;
    unsigned era = z / 146097, of_era = z % 146097;
    unsigned y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
    unsigned m = (5 * of_year + 2) / 153;

    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Takes exactly `len` digits and the byte behind them (0: none, ' ': any). */
static bool take_field(struct bytes *text, int len, char behind, unsigned *ret)
{
    unsigned n = 0;

    if (text->n < (size_t)len + (behind != 0))
        return false;
    for (int i = 0; i < len; i++) {
        if (!is_digit(text->p[i]))
            return false;
        n = 10 * n + (unsigned)(text->p[i] - '0');
    }
    if (behind != 0 && behind != ' ' && text->p[len] != behind)
        return false;
    text->p += len + (behind != 0);
    text->n -= (size_t)len + (behind != 0);
    *ret = n;
    return true;
}

/* Takes ".digits"; the first nine count.  True also when there is no point. */
static bool take_fraction(struct bytes *text, uint64_t *ret_ns)
{
    uint64_t ns = 0, unit = NS_PER_S;
    size_t i = 1;

    *ret_ns = 0;
    if (text->n == 0 || text->p[0] != '.')
        return true;
    for (; i < text->n && is_digit(text->p[i]); i++) {
        unit /= 10;
        ns += unit * (uint64_t)(text->p[i] - '0');
    }
    if (i == 1)
        return false;
    text->p += i;
    text->n -= i;
    *ret_ns = ns;
    return true;
}

/* What is left is the offset, all of it: Z or +HH:MM; seconds east of Greenwich. */
static bool take_offset(struct bytes text, int *ret_seconds)
{
    unsigned hours, minutes;
    char sign;

    if (text.n == 1 && (text.p[0] | 0x20) == 'z') {
        *ret_seconds = 0;
        return true;
    }
    if (text.n != 6 || (text.p[0] != '+' && text.p[0] != '-'))
        return false;
    sign = text.p[0];
    text.p++;
    text.n--;
    if (!take_field(&text, 2, ':', &hours) || !take_field(&text, 2, 0, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *ret_seconds = (sign == '-' ? -1 : 1) * (int)(3600 * hours + 60 * minutes);
    return true;
}

static uint64_t clamp_ns(int64_t seconds, uint64_t ns)
{
    return seconds < 0 ? 0 : plus(times((uint64_t)seconds, NS_PER_S), ns);
}

static bool parse_rfc3339(struct bytes text, uint64_t *ret_ns)
{
    unsigned year, month, day, hour, minute, second;
    int64_t seconds;
    uint64_t ns;
    int offset;
    bool leap_second;

    if (!take_field(&text, 4, '-', &year) || !take_field(&text, 2, '-', &month) ||
        !take_field(&text, 2, ' ', &day) || !take_field(&text, 2, ':', &hour) ||
        !take_field(&text, 2, ':', &minute) || !take_field(&text, 2, 0, &second) ||
        !take_fraction(&text, &ns) || !take_offset(text, &offset))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    leap_second = second == 60;
    seconds = days_from_date(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second -
              leap_second - offset;
    if (leap_second) {
        /* Leap seconds end a month of UTC; the clock shows the second before for longer. */
        int64_t next = seconds + 1;
        unsigned next_year, next_month, next_day;

        if (next <= 0 || next % S_PER_DAY != 0)
            return false;
        date_from_days((uint64_t)(next / S_PER_DAY), &next_year, &next_month, &next_day);
        if (next_day != 1)
            return false;
        ns = NS_PER_S - 1;
    }
    *ret_ns = clamp_ns(seconds, ns);
    return true;
}

static bool parse_relative(struct bytes text, uint64_t now_ns, uint64_t *ret_ns)
{
    uint64_t n, ago;

    if (take_digits(&text, &n) <= 0 || text.n != 1)
        return false;
    switch (text.p[0] | 0x20) {
    case 's':
        ago = times(n, NS_PER_S);
        break;
    case 'm':
        ago = times(n, 60 * NS_PER_S);
        break;
    case 'h':
        ago = times(n, 3600 * NS_PER_S);
        break;
    case 'd':
        ago = times(n, S_PER_DAY * NS_PER_S);
        break;
    default:
        return false;
    }
    *ret_ns = ago > now_ns ? 0 : now_ns - ago;
    return true;
}

static bool parse_unix(struct bytes text, uint64_t *ret_ns)
{
    uint64_t seconds, ns;
    int len;

    if (text.n < 2 || text.p[0] != '@')
        return false;
    text.p++;
    text.n--;
    len = take_digits(&text, &seconds);
    if (len == 0)
        return false;
    if (len < 0) { /* a number past 64 bits: later than all times */
        while (text.n > 0 && is_digit(text.p[0])) {
            text.p++;
            text.n--;
        }
        seconds = UINT64_MAX;
    }
    if (!take_fraction(&text, &ns) || text.n > 0)
        return false;
    *ret_ns = plus(times(seconds, NS_PER_S), ns);
    return true;
}

/*
 * HH:MM[:SS] of the local day in which `near` lies; a day earlier or later to be at or before `near`
 * (days = -1) or behind it (days = +1).
 */
static bool parse_clock(struct bytes text, uint64_t near_ns, int days, uint64_t *ret_ns)
{
    unsigned hour, minute, second = 0;
    bool with_seconds = text.n == 8;
    time_t near = (time_t)(near_ns / NS_PER_S), at;
    struct tm day, local;

    if ((text.n != 5 && text.n != 8) || !take_field(&text, 2, ':', &hour) ||
        !take_field(&text, 2, with_seconds ? ':' : 0, &minute) ||
        (with_seconds && !take_field(&text, 2, 0, &second)) || hour > 23 || minute > 59 ||
        second > 59 || localtime_r(&near, &day) == NULL)
        return false;
    for (int moved = 0; moved <= 1; moved++) {
        local = day;
        local.tm_mday += moved * days;
        local.tm_hour = (int)hour;
        local.tm_min = (int)minute;
        local.tm_sec = (int)second;
        local.tm_isdst = -1;
        at = mktime(&local);
        *ret_ns = clamp_ns(at, 0);
        if (days < 0 ? *ret_ns <= near_ns : *ret_ns > near_ns)
            break;
    }
    return true;
}

static bool parse_point(struct bytes text, uint64_t now_ns, uint64_t *ret_ns)
{
    return parse_relative(text, now_ns, ret_ns) || parse_unix(text, ret_ns) ||
           parse_rfc3339(text, ret_ns);
}

static const char not_a_time[] =
    "expected 90s, 5m, 1h or 2d (ago), RFC 3339, @unix-seconds, or HH:MM[:SS]";

int parse_time(struct bytes text, uint64_t now_ns, uint64_t *ret_ns, const char **ret_why)
{
    uint64_t ns;

    text = trim(text);
    if (!parse_point(text, now_ns, &ns) && !parse_clock(text, now_ns, -1, &ns))
        return refuse(ret_why, not_a_time);
    *ret_ns = ns;
    return 0;
}

int parse_time_range(struct bytes text, uint64_t now_ns, uint64_t *ret_from_ns,
                     uint64_t *ret_until_ns, const char **ret_why)
{
    const char *dots = memmem(text.p, text.n, "..", 2);
    struct bytes first = {text.p, dots != NULL ? (size_t)(dots - text.p) : text.n};
    uint64_t from, until = UINT64_MAX;

    if (parse_time(first, now_ns, &from, ret_why) < 0)
        return -1;
    if (dots != NULL) {
        struct bytes second = trim((struct bytes){dots + 2, text.n - first.n - 2});

        if (!parse_point(second, now_ns, &until) && !parse_clock(second, from, +1, &until))
            return refuse(ret_why, not_a_time);
        if (until < from)
            return refuse(ret_why, "the end is before the start");
        /* neither of the values that stand for no end, in streams too */
        until = until == 0 ? 1 : until == UINT64_MAX ? UINT64_MAX - 1 : until;
    }
    *ret_from_ns = from;
    *ret_until_ns = until;
    return 0;
}

static const char pairs[] = "0001020304050607080910111213141516171819"
                            "2021222324252627282930313233343536373839"
                            "4041424344454647484950515253545556575859"
                            "6061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

static void put_pair(char *out, unsigned n)
{
    memcpy(out, pairs + 2 * (size_t)n, 2);
}

#define FRACTION_AT 20 /* where it begins in the text of a time */

static void put_fraction(char out[10], unsigned ns)
{
    out[0] = (char)('0' + ns / 100000000);
    put_pair(out + 1, ns / 1000000 % 100);
    put_pair(out + 3, ns / 10000 % 100);
    put_pair(out + 5, ns / 100 % 100);
    put_pair(out + 7, ns % 100);
    out[9] = 'Z';
}

/* "YYYY-MM-DDTHH:MM:SS." */
static void put_seconds(char out[FRACTION_AT], uint64_t seconds)
{
    unsigned year, month, day, of_day = (unsigned)(seconds % S_PER_DAY);

    date_from_days(seconds / S_PER_DAY, &year, &month, &day);
    put_pair(out, year / 100);
    put_pair(out + 2, year % 100);
    out[4] = '-';
    put_pair(out + 5, month);
    out[7] = '-';
    put_pair(out + 8, day);
    out[10] = 'T';
    put_pair(out + 11, of_day / 3600);
    out[13] = ':';
    put_pair(out + 14, of_day / 60 % 60);
    out[16] = ':';
    put_pair(out + 17, of_day % 60);
    out[19] = '.';
}

void format_time(uint64_t time_ns, char out[TIME_TEXT_LEN])
{
    put_seconds(out, time_ns / NS_PER_S);
    put_fraction(out + FRACTION_AT, (unsigned)(time_ns % NS_PER_S));
}

/* In a batch all have the same time; elsewhere none, and keeping the text would cost more than it saves. */
void format_time_cached(struct time_cache *cache, uint64_t time_ns, char out[TIME_TEXT_LEN])
{
    uint64_t second;

    if (time_ns == cache->time_ns && cache->second != 0) {
        if (!cache->has_fraction)
            put_fraction(cache->text + FRACTION_AT, (unsigned)(time_ns % NS_PER_S));
        cache->has_fraction = true;
        memcpy(out, cache->text, TIME_TEXT_LEN);
        return;
    }
    second = time_ns / NS_PER_S;
    if (cache->second != second + 1) {
        put_seconds(cache->text, second);
        cache->second = second + 1;
    }
    cache->time_ns = time_ns;
    cache->has_fraction = false;
    memcpy(out, cache->text, FRACTION_AT);
    put_fraction(out + FRACTION_AT, (unsigned)(time_ns % NS_PER_S));
}

int format_size(struct buf *b, uint64_t bytes)
{
    int shift = bytes >= 1u << 30 ? 30 : bytes >= 1u << 20 ? 20 : bytes >= 1u << 10 ? 10 : 0;

    if (shift == 0)
        return buf_add_u64(b, bytes);
    if ((bytes & ((1ULL << shift) - 1)) == 0)
        return buf_printf(b, "%llu%c", (unsigned long long)(bytes >> shift), " KMG"[shift / 10]);
    return buf_printf(b, "%.1f%c", (double)bytes / (double)(1ULL << shift), " KMG"[shift / 10]);
}

int format_age(struct buf *b, uint64_t age_ns)
{
    uint64_t s = age_ns / NS_PER_S;

    if (s < 1)
        s = 1;
    if (s < 60)
        return buf_printf(b, "%llus ago", (unsigned long long)s);
    if (s < 3600)
        return buf_printf(b, "%llum ago", (unsigned long long)(s / 60));
    if (s < S_PER_DAY)
        return buf_printf(b, "%lluh ago", (unsigned long long)(s / 3600));
    if (s < 7 * S_PER_DAY)
        return buf_printf(b, "%llud ago", (unsigned long long)(s / S_PER_DAY));
    return buf_printf(b, "%lluw ago", (unsigned long long)(s / (7 * S_PER_DAY)));
}
