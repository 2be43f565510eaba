/*
 * Regular expressions of filters.  A pattern that means itself is looked for as it is; the others
 * load Oniguruma.
 */
#ifndef FILTER_REGEX_H
#define FILTER_REGEX_H

#include "filter_value.h"
#include "pool/error.h"

struct regex {
    struct regex *next; /* the program's list */
    struct bytes plain; /* borrowed; used when compiled is NULL */
    /*
     * It looks around, gives nothing back or repeats what it found: then one match alone can take
     * the square of the text
     */
    bool is_endless;
    size_t at; /* the word that is the pattern */
    const struct regex_module *module;
    void *compiled;
};

/* Letters that test() knows. */
#define REGEX_FLAGS "gimxspln"

/*
 * Fills *regex; the pattern is borrowed for its life.  -1: Internal (the module cannot be loaded);
 * 1: `why` says what is wrong with the pattern.
 */
int regex_init(struct regex *regex, struct bytes pattern, const char *flags, char *why,
               size_t why_size, struct error *err);
void regex_done(struct regex *regex);

enum regex_found { REGEX_FOUND_NOT, REGEX_FOUND, REGEX_GAVE_UP };

/* Its steps are taken from work. */
enum regex_found regex_search(const struct regex *regex, struct bytes text, struct work *work);

#endif
