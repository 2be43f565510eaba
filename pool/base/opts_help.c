/* What the tables tell people: help pages, and the command line again. */
#include "base/opts.h"

#include <inttypes.h>

#define HELP_GAP 2 /* blanks between the columns of a help page */

size_t opts_count(const struct option_spec *options)
{
    size_t n = 0;

    while (options != NULL && options[n].name != NULL)
        n++;
    return n;
}

int opts_words(const struct opts *opts, struct buf *out)
{
    for (size_t i = 0; i < opts->depth; i++) {
        if (i > 0)
            buf_add_char(out, ' ');
        buf_add_str(out, opts->path[i]->name);
    }
    return buf_failed(out) ? -1 : 0;
}

/* "  -n, --tail N"; the width of it when out is NULL. */
static size_t option_column(const struct option_spec *option, struct buf *out)
{
    auto_buf struct buf text = BUF_INIT;

    if (option->flags & OPT_ARGUMENT)
        buf_printf(&text, "  %s", option->name);
    else if (option->letter != 0)
        buf_printf(&text, "  -%c, --%s", option->letter, option->name);
    else
        buf_printf(&text, "      --%s", option->name);
    if (option->value != NULL)
        buf_printf(&text, " %s", option->value);
    if (out != NULL)
        buf_add_bytes(out, buf_bytes(&text));
    return text.n;
}

static void pad(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_add_char(out, ' ');
}

/* The rows that are arguments, or those that are options, under a heading. */
static void help_rows(const struct option_spec *options, bool arguments, const char *heading,
                      struct buf *out)
{
    size_t width = 0;

    for (size_t i = 0; i < opts_count(options); i++)
        if (arguments == !!(options[i].flags & OPT_ARGUMENT) &&
            option_column(&options[i], NULL) > width)
            width = option_column(&options[i], NULL);
    if (width == 0)
        return;
    buf_printf(out, "\n%s\n", heading);
    for (size_t i = 0; i < opts_count(options); i++) {
        if (arguments != !!(options[i].flags & OPT_ARGUMENT))
            continue;
        pad(out, width + HELP_GAP - option_column(&options[i], out));
        buf_printf(out, "%s\n", options[i].help);
    }
}

static void help_commands(const struct command_spec *command, const char *heading, struct buf *out)
{
    size_t width = 0;

    if (command->subcommands == NULL)
        return;
    for (const struct command_spec *const *at = command->subcommands; *at != NULL; at++)
        if (strlen((*at)->name) > width)
            width = strlen((*at)->name);
    buf_printf(out, "\n%s\n", heading);
    for (const struct command_spec *const *at = command->subcommands; *at != NULL; at++)
        buf_printf(out, "  %-*s%s\n", (int)width + HELP_GAP, (*at)->name, (*at)->summary);
}

int opts_help(const struct opts *opts, bool is_long, struct buf *out)
{
    const struct command_spec *command = opts->path[opts->depth - 1];
    bool is_program = opts->depth == 1;

    buf_printf(out, "%s\n\n%s", command->summary, is_program ? "USAGE\n  " : "Usage: ");
    opts_words(opts, out);
    if (command->usage[0] != '\0')
        buf_printf(out, " %s", command->usage);
    buf_add_char(out, '\n');
    help_commands(command, is_program ? "COMMANDS" : "Commands:", out);
    help_rows(command->options, true, is_program ? "ARGUMENTS" : "Arguments:", out);
    help_rows(command->options, false, is_program ? "OPTIONS" : "Options:", out);
    if (!is_program)
        help_rows(opts->path[0]->options, false, "Options of every command:", out);
    if (is_long && command->details != NULL)
        buf_printf(out, "\n%s", command->details);
    return buf_failed(out) ? -1 : 0;
}

/* " --tag=-x", " --tag x": a value that begins with - must be attached. */
static void add_value(const struct option_spec *option, const char *value, struct buf *out)
{
    buf_printf(out, " --%s%c", option->name, value[0] == '-' ? '=' : ' ');
    buf_add_shell_word(out, value);
}

/* The option as often as it was given. */
static void add_again(const struct option_spec *option, const void *values, struct buf *out)
{
    const void *field = (const char *)values + option->offset;
    const struct opt_list *list = field;
    const struct opt_u64 *number = field;
    const char *text;

    switch (option->type) {
    case OPT_FLAG:
        if (*(const bool *)field)
            buf_printf(out, " --%s", option->name);
        return;
    case OPT_TEXT:
        text = *(const char *const *)field;
        if (text != NULL)
            add_value(option, text, out);
        return;
    case OPT_U64:
        if (number->given)
            buf_printf(out, " --%s %" PRIu64, option->name, number->n);
        return;
    case OPT_LIST:
        for (size_t i = 0; i < list->n; i++)
            add_value(option, list->items[i], out);
        return;
    }
}

static void add_options_again(const struct option_spec *options, const void *values,
                              struct buf *out)
{
    for (size_t i = 0; i < opts_count(options); i++)
        if (!(options[i].flags & OPT_ARGUMENT))
            add_again(&options[i], values, out);
}

/* The words of an argument; how many there are. */
static size_t words_of(const struct option_spec *argument, const void *values,
                       const char *const **ret)
{
    const void *field = (const char *)values + argument->offset;
    const struct opt_list *list = field;

    if (argument->type == OPT_LIST) {
        *ret = list->items;
        return list->n;
    }
    *ret = field;
    return **ret != NULL;
}

/* Words that cannot stand among options: those that look like one, and those that belong behind `--`. */
static bool belongs_behind(const struct option_spec *argument, const char *word)
{
    return (argument->flags & OPT_BEHIND) || (word[0] == '-' && word[1] != '\0');
}

/*
 * Arguments in their order: those before the first that belongs behind `--`, with `insert` after the first; or the rest.
 */
static void add_arguments_again(const struct option_spec *options, const void *values, bool behind,
                                const char *insert, struct buf *out)
{
    const char *const *words;
    bool ended = false;

    for (size_t i = 0; i < opts_count(options); i++) {
        size_t n = options[i].flags & OPT_ARGUMENT ? words_of(&options[i], values, &words) : 0;

        for (size_t k = 0; k < n; k++) {
            bool ends = !ended && belongs_behind(&options[i], words[k]);

            ended = ended || ends;
            if (ended != behind)
                continue;
            buf_add_str(out, ends ? " -- " : " ");
            buf_add_shell_word(out, words[k]);
            if (insert != NULL)
                buf_printf(out, " %s", insert);
            insert = NULL;
        }
    }
    if (insert != NULL)
        buf_printf(out, " %s", insert);
}

int opts_again(const struct opts *opts, const char *insert, struct buf *out)
{
    const struct option_spec *options = opts->path[opts->depth - 1]->options;

    opts_words(opts, out);
    add_arguments_again(options, opts->values, false, insert, out);
    add_options_again(options, opts->values, out);
    add_options_again(opts->path[0]->options, opts->program_values, out);
    add_arguments_again(options, opts->values, true, NULL, out);
    return buf_failed(out) ? -1 : 0;
}
