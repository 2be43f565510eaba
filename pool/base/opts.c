#include "base/opts.h"

#include "base/opts_hint.h"
#include "base/units.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

struct parser {
    struct opts *opts;
    char *const *argv; /* the next word */
    uint64_t seen[2];  /* rows met: of the program, of the command */
    size_t n_arguments;
    bool own;         /* the command was given something of its own */
    bool program_own; /* the program was given an option of its own */
    bool ended;       /* after -- */
    bool is_help;     /* after the word help: the other words name the page */
};

/* What an option or argument is called in an error. */
struct label {
    char text[96];
};

static const struct command_spec *current(const struct parser *p)
{
    return p->opts->path[p->opts->depth - 1];
}

__attribute__((format(printf, 3, 4))) static enum opts_outcome
wrong(struct parser *p, enum opts_problem problem, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->opts->why, sizeof p->opts->why, format, args);
    va_end(args);
    for (char *c = p->opts->why; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    p->opts->problem = problem;
    return OPTS_WRONG;
}

/* "--create-size <CREATE_SIZE>", "--json", "<POOL>", "[DATA]" */
static struct label label_of(const struct option_spec *spec)
{
    struct label label;
    int n;

    if (spec->flags & OPT_ARGUMENT) {
        snprintf(label.text, sizeof label.text, spec->flags & OPT_OPTIONAL ? "[%s]" : "<%s>",
                 spec->name);
        return label;
    }
    n = snprintf(label.text, sizeof label.text, "--%s", spec->name);
    if (spec->type != OPT_FLAG) {
        n += snprintf(label.text + n, sizeof label.text - (size_t)n, " <");
        for (const char *c = spec->name; *c != '\0' && n < (int)sizeof label.text - 2; c++)
            label.text[n++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        snprintf(label.text + n, sizeof label.text - (size_t)n, ">");
    }
    return label;
}

static void *field_of(const struct parser *p, const struct option_spec *spec, bool of_program)
{
    return (char *)(of_program ? p->opts->program_values : p->opts->values) + spec->offset;
}

static bool is_utf8(const char *text)
{
    return bytes_are_utf8(bytes_of(text));
}

static bool is_choice(const char *const *choices, const char *text)
{
    while (*choices != NULL && strcmp(*choices, text) != 0)
        choices++;
    return *choices != NULL;
}

static enum opts_outcome store_u64(struct parser *p, const struct option_spec *spec,
                                   struct opt_u64 *field, const char *text)
{
    const char *why = "number too large to fit in target type";
    uint64_t n;

    if (parse_u64(text, &n, &why) < 0 || (spec->max != 0 && n > spec->max))
        return wrong(p, OPTS_PROBLEM_VALUE, "invalid value '%s' for '%s': %s", text,
                     label_of(spec).text, why);
    *field = (struct opt_u64){.given = true, .n = n};
    return OPTS_RUN;
}

static enum opts_outcome store_list(struct parser *p, struct opt_list *field, const char *text)
{
    const char **items = reallocarray(field->items, field->n + 1, sizeof *items);

    if (items == NULL)
        return wrong(p, OPTS_PROBLEM_WORD, "out of memory");
    field->items = items;
    field->items[field->n++] = text;
    return OPTS_RUN;
}

/* Puts the value of an option or argument where it belongs. */
static enum opts_outcome store(struct parser *p, const struct option_spec *spec, bool of_program,
                               const char *text)
{
    void *field = field_of(p, spec, of_program);

    if (!(spec->flags & (OPT_PATH | OPT_BEHIND)) && text != NULL && !is_utf8(text))
        return wrong(p, OPTS_PROBLEM_WORD, "invalid UTF-8 was detected in one or more arguments");
    if ((spec->flags & OPT_PATH) && text[0] == '\0')
        return wrong(p, OPTS_PROBLEM_VALUE, "a value is required for '%s' but none was supplied",
                     label_of(spec).text);
    if (spec->choices != NULL && !is_choice(spec->choices, text)) {
        opts_hint_choices(p->opts, spec);
        return wrong(p, OPTS_PROBLEM_CHOICE, "invalid value '%s' for '%s'", text,
                     label_of(spec).text);
    }
    switch (spec->type) {
    case OPT_FLAG:
        *(bool *)field = true;
        return OPTS_RUN;
    case OPT_TEXT:
        *(const char **)field = text;
        return OPTS_RUN;
    case OPT_U64:
        return store_u64(p, spec, field, text);
    case OPT_LIST:
        return store_list(p, field, text);
    }
    return OPTS_RUN;
}

/* Another option of the same group that was met before. */
static const struct option_spec *excluded_by(const struct parser *p, const struct option_spec *spec)
{
    const struct option_spec *options = current(p)->options;

    for (size_t i = 0; i < opts_count(options); i++)
        if ((p->seen[1] >> i & 1) && (options[i].excludes & spec->excludes) && &options[i] != spec)
            return &options[i];
    return NULL;
}

/* Once only, unless it is a list, or says the same again where that is allowed. */
static bool is_repeated(const struct parser *p, const struct option_spec *spec, bool of_program,
                        size_t row, const char *text)
{
    if (spec->type == OPT_LIST || !(p->seen[!of_program] >> row & 1))
        return false;
    if (!(spec->flags & OPT_AGAIN))
        return true;
    return spec->type == OPT_TEXT &&
           strcmp(*(const char **)field_of(p, spec, of_program), text) != 0;
}

static enum opts_outcome take_option(struct parser *p, const struct option_spec *spec,
                                     bool of_program, const char *text)
{
    const struct option_spec *table = of_program ? p->opts->path[0]->options : current(p)->options;
    const struct option_spec *other = NULL;
    size_t row = (size_t)(spec - table);

    if (is_repeated(p, spec, of_program, row, text))
        return wrong(p, OPTS_PROBLEM_WORD, "the argument '%s' cannot be used multiple times",
                     label_of(spec).text);
    if (!of_program)
        other = excluded_by(p, spec);
    if (other != NULL)
        return wrong(p, OPTS_PROBLEM_WORD, "the argument '%s' cannot be used with '%s'",
                     label_of(other).text, label_of(spec).text);
    p->seen[!of_program] |= 1ULL << row;
    if (of_program)
        p->program_own = true;
    if (!of_program || p->opts->depth > 1)
        p->own = true;
    return store(p, spec, of_program, text);
}

/* The row of an option, by its long name (n bytes) or its letter. */
static const struct option_spec *find_in(const struct option_spec *options, const char *name,
                                         size_t n, char letter)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (options->flags & OPT_ARGUMENT)
            continue;
        if (name != NULL ? strlen(options->name) == n && memcmp(options->name, name, n) == 0
                         : options->letter == letter && letter != 0)
            return options;
    }
    return NULL;
}

static const struct option_spec *find(const struct parser *p, const char *name, size_t n,
                                      char letter, bool *ret_of_program)
{
    const struct option_spec *spec = NULL;

    *ret_of_program = false;
    if (p->opts->depth > 1 && !p->is_help)
        spec = find_in(current(p)->options, name, n, letter);
    if (spec == NULL) {
        spec = find_in(p->opts->path[0]->options, name, n, letter);
        *ret_of_program = true;
    }
    return spec;
}

static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

static bool is_known_option(const struct parser *p, const char *word)
{
    bool of_program;

    if (word[1] != '-')
        return word[1] == 'h' || find(p, NULL, 0, word[1], &of_program) != NULL;
    return word[2] == '\0' || strcmp(word, "--help") == 0 ||
           find(p, word + 2, strcspn(word + 2, "="), 0, &of_program) != NULL;
}

static enum opts_outcome unexpected(struct parser *p, const char *word)
{
    if (!is_utf8(word))
        return wrong(p, OPTS_PROBLEM_WORD, "invalid UTF-8 was detected in one or more arguments");
    return wrong(p, OPTS_PROBLEM_WORD, "unexpected argument '%s' found", word);
}

/* The value of an option is the next word; one that looks like an option is not a value. */
static enum opts_outcome take_with_next(struct parser *p, const struct option_spec *spec,
                                        bool of_program)
{
    const char *word = *p->argv;

    if (word != NULL && looks_like_option(word) && !is_known_option(p, word)) {
        opts_hint_attached(p->opts, spec, word);
        return unexpected(p, word);
    }
    if (word == NULL || looks_like_option(word))
        return wrong(p, OPTS_PROBLEM_VALUE, "a value is required for '%s' but none was supplied",
                     label_of(spec).text);
    p->argv++;
    return take_option(p, spec, of_program, word);
}

static enum opts_outcome parse_long(struct parser *p, const char *word)
{
    const char *name = word + 2;
    size_t n = strcspn(name, "=");
    const char *value = name[n] == '=' ? name + n + 1 : NULL;
    bool of_program;
    const struct option_spec *spec;

    if (strcmp(name, "help") == 0)
        return p->is_help ? OPTS_RUN : OPTS_HELP;
    if (p->opts->depth == 1 && strcmp(name, "version") == 0)
        return OPTS_VERSION;
    spec = find(p, name, n, 0, &of_program);
    if (spec == NULL) {
        char shown[128];

        snprintf(shown, sizeof shown, "%.*s",
                 (int)(n + 2 < sizeof shown ? n + 2 : sizeof shown - 1), word);
        opts_hint_option(p->opts, shown);
        return unexpected(p, shown);
    }
    if (spec->type == OPT_FLAG && value != NULL)
        return wrong(p, OPTS_PROBLEM_VALUE,
                     "unexpected value '%s' for '%s' found; no more were expected", value,
                     label_of(spec).text);
    if (spec->type == OPT_FLAG || value != NULL)
        return take_option(p, spec, of_program, value);
    return take_with_next(p, spec, of_program);
}

/* -xyz: flags, and at the end perhaps one with a value, attached or not. */
static enum opts_outcome parse_letters(struct parser *p, const char *word)
{
    enum opts_outcome outcome = OPTS_RUN;

    for (const char *c = word + 1; *c != '\0' && outcome == OPTS_RUN; c++) {
        bool of_program;
        const struct option_spec *spec = find(p, NULL, 0, *c, &of_program);

        if (spec == NULL && *c == 'h')
            return OPTS_HELP_SHORT;
        if (spec == NULL && *c == 'V' && p->opts->depth == 1)
            return OPTS_VERSION;
        if (spec == NULL) {
            opts_hint_option(p->opts, word);
            return unexpected(p, (unsigned char)*c < 0x80 ? (char[]){'-', *c, '\0'} : word);
        }
        if (spec->type == OPT_FLAG)
            outcome = take_option(p, spec, of_program, NULL);
        else if (c[1] != '\0')
            return take_option(p, spec, of_program, c + 1 + (c[1] == '='));
        else
            return take_with_next(p, spec, of_program);
    }
    return outcome;
}

static const struct command_spec *find_command(const struct command_spec *in, const char *name)
{
    const struct command_spec *const *at = in->subcommands;

    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at++;
    return *at;
}

static enum opts_outcome enter(struct parser *p, const char *word)
{
    const struct command_spec *command = find_command(current(p), word);

    if (!is_utf8(word))
        return unexpected(p, word);
    if (command == NULL || p->opts->depth == OPTS_DEPTH_MAX) {
        opts_hint_command(p->opts, word);
        return wrong(p, OPTS_PROBLEM_WORD, "unrecognized subcommand '%s'", word);
    }
    p->opts->path[p->opts->depth++] = command;
    if (command->values_size > 0) {
        p->opts->values = calloc(1, command->values_size);
        if (p->opts->values == NULL)
            return wrong(p, OPTS_PROBLEM_WORD, "out of memory");
    }
    return OPTS_RUN;
}

/* The row for all words behind `--`, if the command has one. */
static const struct option_spec *behind_row(const struct command_spec *command)
{
    for (size_t i = 0; i < opts_count(command->options); i++)
        if (command->options[i].flags & OPT_BEHIND)
            return &command->options[i];
    return NULL;
}

/* The row of the n-th argument; the last one takes all further ones if it is a list. */
static const struct option_spec *argument_row(const struct command_spec *command, size_t n)
{
    const struct option_spec *last = NULL;

    for (size_t i = 0; i < opts_count(command->options); i++) {
        if (!(command->options[i].flags & OPT_ARGUMENT) || (command->options[i].flags & OPT_BEHIND))
            continue;
        last = &command->options[i];
        if (n == 0)
            return last;
        n--;
    }
    return last != NULL && last->type == OPT_LIST ? last : NULL;
}

static enum opts_outcome parse_word(struct parser *p, const char *word)
{
    const struct option_spec *row;

    if (current(p)->subcommands != NULL) {
        if (strcmp(word, "help") != 0)
            return enter(p, word);
        p->is_help = true;
        return OPTS_RUN;
    }
    if (p->is_help)
        return unexpected(p, word);
    row = p->ended ? behind_row(current(p)) : NULL;
    if (row == NULL)
        row = argument_row(current(p), p->n_arguments++);
    if (row == NULL) {
        opts_hint_word(p->opts);
        return unexpected(p, word);
    }
    return take_option(p, row, p->opts->depth == 1, word);
}

static enum opts_outcome parse_words(struct parser *p)
{
    enum opts_outcome outcome = OPTS_RUN;

    while (outcome == OPTS_RUN && *p->argv != NULL) {
        const char *word = *p->argv++;

        if (p->ended || !looks_like_option(word))
            outcome = parse_word(p, word);
        else if (strcmp(word, "--") == 0)
            p->ended = true;
        else if (strcmp(word, "---help") == 0 || strcmp(word, "---version") == 0)
            outcome = parse_long(p, word + 1);
        else if (word[1] == '-')
            outcome = parse_long(p, word);
        else
            outcome = parse_letters(p, word);
    }
    return outcome;
}

static enum opts_outcome check_complete(struct parser *p)
{
    const struct command_spec *command = current(p);
    const struct option_spec *row;
    auto_buf struct buf words = BUF_INIT;
    bool of_program = p->opts->depth == 1;

    if (command->subcommands != NULL) {
        if (!of_program || !p->program_own)
            return OPTS_BARE;
        opts_words(p->opts, &words);
        return wrong(p, OPTS_PROBLEM_VALUE, "'%s' requires a subcommand but one was not provided",
                     buf_str(&words));
    }
    if (!command->runs_bare && !(of_program ? p->program_own : p->own))
        return OPTS_BARE;
    row = argument_row(command, p->n_arguments);
    if (row != NULL && !(row->flags & OPT_OPTIONAL) &&
        !(p->seen[!of_program] >> (row - command->options) & 1)) {
        opts_hint_missing(p->opts, row);
        return wrong(p, OPTS_PROBLEM_MISSING,
                     "the following required arguments were not provided:");
    }
    return OPTS_RUN;
}

enum opts_outcome opts_parse(struct opts *ret, const struct command_spec *program,
                             void *program_values, int argc, char *const *argv)
{
    struct parser p = {.opts = ret, .argv = argv + (argc > 0)};
    enum opts_outcome outcome;

    *ret = (struct opts){.path = {program}, .depth = 1, .program_values = program_values};
    outcome = parse_words(&p);
    if (outcome == OPTS_RUN && p.is_help)
        return OPTS_HELP;
    return outcome == OPTS_RUN ? check_complete(&p) : outcome;
}

void opts_done(struct opts *opts)
{
    const struct option_spec *options =
        opts->values != NULL ? opts->path[opts->depth - 1]->options : NULL;

    for (size_t i = 0; i < opts_count(options); i++)
        if (options[i].type == OPT_LIST)
            free(((struct opt_list *)(void *)((char *)opts->values + options[i].offset))->items);
    free(opts->values);
    opts->values = NULL;
}
