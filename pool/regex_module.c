#include "regex_module.h"

#include <oniguruma.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct compiled {
    regex_t *regex;
    OnigMatchParam *limits;
};

static void release(void *p)
{
    struct compiled *c = p;

    if (c == NULL)
        return;
    if (c->regex != NULL)
        onig_free(c->regex);
    if (c->limits != NULL)
        onig_free_match_param(c->limits);
    free(c);
}

static void begin(void)
{
    (void)onig_initialize((OnigEncoding[]){ONIG_ENCODING_UTF8}, 1); /* onig_new() does it again */
}

static OnigOptionType options_of(const char *flags)
{
    static const struct {
        char flag;
        OnigOptionType option;
    } known[] = {
        {'i', ONIG_OPTION_IGNORECASE                        },
        {'x', ONIG_OPTION_EXTEND                            },
        {'s', ONIG_OPTION_SINGLELINE                        },
        {'p', ONIG_OPTION_MULTILINE | ONIG_OPTION_SINGLELINE},
        {'l', ONIG_OPTION_FIND_LONGEST                      },
        {'n', ONIG_OPTION_FIND_NOT_EMPTY                    },
    };
    OnigOptionType options = ONIG_OPTION_CAPTURE_GROUP;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strchr(flags, known[i].flag) != NULL)
            options |= known[i].option;
    return options;
}

static OnigMatchParam *limits_new(void)
{
    OnigMatchParam *limits = onig_new_match_param();

    if (limits == NULL)
        return NULL;
    (void)onig_initialize_match_param(limits);
    (void)onig_set_match_stack_limit_size_of_match_param(limits, REGEX_STACK_MAX);
    return limits;
}

static void *compile(const char *pattern, size_t n, const char *flags, char *why, size_t why_size)
{
    static pthread_once_t begun = PTHREAD_ONCE_INIT;
    const OnigUChar *text = (const OnigUChar *)pattern;
    struct compiled *c = calloc(1, sizeof *c);
    OnigUChar what[ONIG_MAX_ERROR_MESSAGE_LEN] = "out of memory";
    OnigErrorInfo info;
    int rc = ONIGERR_MEMORY;

    pthread_once(&begun, begin);
    if (c != NULL && (c->limits = limits_new()) != NULL) {
        rc = onig_new(&c->regex, text, text + n, options_of(flags), ONIG_ENCODING_UTF8,
                      ONIG_SYNTAX_PERL_NG, &info);
        if (rc != ONIG_NORMAL)
            onig_error_code_to_str(what, rc, &info);
    }
    if (rc == ONIG_NORMAL)
        return c;
    snprintf(why, why_size, "%s", (const char *)what);
    release(c);
    return NULL;
}

static enum regex_outcome search(void *p, const char *text, size_t n, size_t from, size_t to,
                                 unsigned long max_retries)
{
    const struct compiled *c = p;
    const OnigUChar *begins = (const OnigUChar *)text, *ends = begins + n;
    int rc;

    (void)onig_set_retry_limit_in_match_of_match_param(c->limits, max_retries);
    (void)onig_set_retry_limit_in_search_of_match_param(c->limits, max_retries);
    rc = onig_search_with_param(c->regex, begins, ends, begins + from, begins + to, NULL,
                                ONIG_OPTION_NONE, c->limits);
    if (rc == ONIGERR_RETRY_LIMIT_IN_MATCH_OVER || rc == ONIGERR_RETRY_LIMIT_IN_SEARCH_OVER)
        return REGEX_UNDECIDED;
    return rc >= 0 ? REGEX_YES : rc == ONIG_MISMATCH ? REGEX_NO : REGEX_FAILED;
}

__attribute__((visibility("default"))) extern const struct regex_module plasmite_regex_module;

const struct regex_module plasmite_regex_module = {
    .version = REGEX_MODULE_VERSION,
    .compile = compile,
    .release = release,
    .search = search,
};
