#include "filter_regex.h"

#include "filter_module.h"
#include "regex_module.h"

static bool means_itself(struct bytes pattern, const char *flags)
{
    if (strspn(flags, "g") != strlen(flags))
        return false;
    for (size_t i = 0; i < pattern.n; i++)
        if (pattern.p[i] == '\0' || strchr("\\^$.|?*+()[]{}", pattern.p[i]) != NULL)
            return false;
    return true;
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
static enum regex_found search(const struct regex *regex, struct bytes text, struct work *work)
{
    uint64_t limit = text.n + 64;

    for (;;) {
        limit = limit < REGEX_RETRIES_MAX ? limit : REGEX_RETRIES_MAX;
        if (!work_step(work, limit))
            return REGEX_GAVE_UP;
        switch (regex->module->search(regex->compiled, text.p, text.n, limit)) {
        case REGEX_YES:
            return REGEX_FOUND;
        case REGEX_NO:
            return REGEX_FOUND_NOT;
        case REGEX_UNDECIDED:
            if (limit == REGEX_RETRIES_MAX)
                return REGEX_GAVE_UP;
            limit *= 8;
            break;
        case REGEX_FAILED:
            return REGEX_GAVE_UP;
        }
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
