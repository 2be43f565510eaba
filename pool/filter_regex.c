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

enum regex_found regex_search(const struct regex *regex, struct bytes text)
{
    if (regex->compiled == NULL)
        return memmem(text.p, text.n, regex->plain.p, regex->plain.n) != NULL ? REGEX_FOUND
                                                                              : REGEX_FOUND_NOT;
    switch (regex->module->search(regex->compiled, text.p, text.n)) {
    case REGEX_YES:
        return REGEX_FOUND;
    case REGEX_NO:
        return REGEX_FOUND_NOT;
    case REGEX_FAILED:
        break;
    }
    return REGEX_GAVE_UP;
}
