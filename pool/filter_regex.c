#include "filter_regex.h"

#include "filter_module.h"
#include "regex_module.h"

#include <time.h>

#define WHOLE_MAX 1024    /* bytes of a text that is searched at once */
#define SPAN_MIN 64       /* places in a longer one from which it is searched at a time */
#define SPAN_NS 100000    /* what they may take before there are less of them */
#define NS_PER_STEP 5

static bool means_itself(struct bytes pattern, const char *flags)
{
    if (strspn(flags, "g") != strlen(flags))
        return false;
    for (size_t i = 0; i < pattern.n; i++)
        if (pattern.p[i] == '\0' || strchr("\\^$.|?*+()[]{}", pattern.p[i]) != NULL)
            return false;
    return true;
}

/* (?:...), (?i) and *? are harmless; anything else behind `(?`, *+, \1 and their like may not be. */
static bool may_be_endless(struct bytes pattern)
{
    for (size_t i = 0; i + 1 < pattern.n; i++) {
        char c = pattern.p[i], next = pattern.p[i + 1];

        if (c == '\\' && strchr("123456789kgGKXRyY", next) != NULL)
            return true;
        if (c == '\\')
            i++;
        else if (c == '(' && next == '?' &&
                 (i + 2 == pattern.n || strchr(":imsx-", pattern.p[i + 2]) == NULL))
            return true;
        else if (strchr("*+?}", c) != NULL && next == '+')
            return true;
    }
    return false;
}

int regex_init(struct regex *regex, struct bytes pattern, const char *flags, char *why,
               size_t why_size, struct error *err)
{
    const struct regex_module *module;

    regex->plain = pattern;
    if (means_itself(pattern, flags))
        return 0;
    module = module_load(REGEX_MODULE_FILE, REGEX_MODULE_SYMBOL, "libonig5", err);
    if (module == NULL)
        return -1;
    if (module->version != REGEX_MODULE_VERSION)
        return module_fail_version(REGEX_MODULE_FILE, err);
    regex->is_endless = may_be_endless(pattern);
    regex->module = module;
    regex->compiled = module->compile(pattern.p, pattern.n, flags, why, why_size);
    return regex->compiled != NULL ? 0 : 1;
}

void regex_done(struct regex *regex)
{
    if (regex->compiled != NULL)
        regex->module->release(regex->compiled);
}

/*
 * Oniguruma does not say how many retries it took, so it gets few at first, and what it was allowed
 * is paid before.
 */
static enum regex_outcome search_from(const struct regex *regex, struct bytes text, size_t from,
                                      size_t to, struct work *work)
{
    uint64_t limit = to - from + 64;

    for (;;) {
        enum regex_outcome outcome;

        limit = limit < REGEX_RETRIES_MAX ? limit : REGEX_RETRIES_MAX;
        if (!work_step(work, limit))
            return REGEX_UNDECIDED;
        outcome = regex->module->search(regex->compiled, text.p, text.n, from, to, limit);
        if (outcome != REGEX_UNDECIDED || limit == REGEX_RETRIES_MAX)
            return outcome;
        limit *= 8;
    }
}

static uint64_t used_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The next place behind `at` + `n` where a character begins. */
static size_t ahead(struct bytes text, size_t at, size_t n)
{
    if (text.n - at <= n)
        return text.n;
    for (at += n; at < text.n && ((unsigned char)text.p[at] & 0xc0) == 0x80;)
        at++;
    return at;
}

/*
 * Retries are not all that takes time: (?>a*)b goes from each place to the last a.  So a long text is
 * searched from some places at a time, and the time that it took is paid, too.
 */
static enum regex_found search(const struct regex *regex, struct bytes text, struct work *work)
{
    size_t span = text.n <= WHOLE_MAX ? text.n : SPAN_MIN, from = 0;
    uint64_t before = text.n <= WHOLE_MAX ? 0 : used_ns();

    for (;;) {
        size_t to = ahead(text, from, span);
        enum regex_outcome outcome = search_from(regex, text, from, to, work);
        uint64_t after;

        if (outcome != REGEX_NO)
            return outcome == REGEX_YES ? REGEX_FOUND : REGEX_GAVE_UP;
        if (to == text.n)
            return REGEX_FOUND_NOT;
        after = used_ns();
        if (!work_step(work, (after - before) / NS_PER_STEP))
            return REGEX_GAVE_UP;
        span = after - before < SPAN_NS ? 2 * span : span > SPAN_MIN ? span / 2 : span;
        before = after;
        from = to;
    }
}

enum regex_found regex_search(const struct regex *regex, struct bytes text, struct work *work)
{
    if (regex->compiled != NULL)
        return search(regex, text, work);
    (void)work_step(work, 4 + text.n / 4);
    return memmem(text.p, text.n, regex->plain.p, regex->plain.n) != NULL ? REGEX_FOUND
                                                                          : REGEX_FOUND_NOT;
}
