/* What the tables tell people: help pages, and the command line again. */
#include "base/opts.h"

#include <inttypes.h>

/* Columns of a help page. */
#define HELP_INDENT 2
#define HELP_GAP 2
#define HELP_WIDTH 100

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

const struct option_spec opts_help_row[] = {
    {.letter = 'h', .name = "help", .help = "explain, and do nothing else; -h is shorter"},
    OPT_END,
};
const struct option_spec opts_version_row[] = {
    {.letter = 'V', .name = "version", .help = "print the version, and do nothing else"},
    OPT_END,
};

/* "-n, --tail N" */
static void add_name(const struct option_spec *row, struct buf *out)
{
    if (row->flags & OPT_ARGUMENT)
        buf_add_str(out, row->name);
    else if (row->letter != 0)
        buf_printf(out, "-%c, --%s", row->letter, row->name);
    else
        buf_printf(out, "    --%s", row->name);
    if (row->value != NULL)
        buf_printf(out, " %s", row->value);
}

static void pad(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_add_char(out, ' ');
}

/* Adds the text, broken between words at HELP_WIDTH; its first line begins at `column`, where the others begin, too. */
static void add_wrapped(const char *text, size_t column, struct buf *out)
{
    size_t at = column;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        if (at > column && at + 1 + n > HELP_WIDTH) {
            buf_add_char(out, '\n');
            pad(out, column);
            at = column;
        } else if (at > column) {
            buf_add_char(out, ' ');
            at++;
        }
        buf_add(out, text, n);
        at += n;
        text += n + strspn(text + n, " ");
    }
    buf_add_char(out, '\n');
}

/* Both columns of a row: "  NAME    what it is"; `width` is that of the widest name. */
static void add_row(const struct buf *name, size_t width, const char *text, struct buf *out)
{
    pad(out, HELP_INDENT);
    buf_add_bytes(out, buf_bytes(name));
    pad(out, width - name->n + HELP_GAP);
    add_wrapped(text, HELP_INDENT + width + HELP_GAP, out);
}

static size_t widest(const struct option_spec *rows, unsigned kind)
{
    size_t width = 0;

    for (size_t i = 0; i < opts_count(rows); i++) {
        auto_buf struct buf name = BUF_INIT;

        add_name(&rows[i], &name);
        if ((rows[i].flags & OPT_ARGUMENT) == kind && name.n > width)
            width = name.n;
    }
    return width;
}

/* The rows that are arguments (OPT_ARGUMENT), or options (0). */
static void add_rows(const struct option_spec *rows, unsigned kind, size_t width, struct buf *out)
{
    for (size_t i = 0; i < opts_count(rows); i++) {
        auto_buf struct buf name = BUF_INIT;

        add_name(&rows[i], &name);
        if ((rows[i].flags & OPT_ARGUMENT) == kind)
            add_row(&name, width, rows[i].help, out);
    }
}

static void help_rows(const struct option_spec *rows, unsigned kind, const char *heading,
                      struct buf *out)
{
    size_t width = widest(rows, kind);

    if (width == 0)
        return;
    buf_printf(out, "\n%s\n", heading);
    add_rows(rows, kind, width, out);
}

/* Options of the program, with those that have no row; of a page for a command (`version` is NULL) or the program. */
static void help_program_rows(const struct command_spec *program, const char *heading,
                              const struct option_spec *version, struct buf *out)
{
    size_t width = widest(program->options, 0);

    if (width < widest(opts_version_row, 0))
        width = widest(opts_version_row, 0);
    buf_printf(out, "\n%s\n", heading);
    add_rows(program->options, 0, width, out);
    add_rows(opts_help_row, 0, width, out);
    add_rows(version, 0, width, out);
}

static void add_command(const char *name, size_t width, const char *summary, struct buf *out)
{
    auto_buf struct buf text = BUF_INIT;

    buf_add_str(&text, name);
    add_row(&text, width, summary, out);
}

static void help_commands(const struct command_spec *command, const char *heading, struct buf *out)
{
    const struct command_spec *const *at;
    size_t width = strlen("help");

    if (command->subcommands == NULL)
        return;
    for (at = command->subcommands; *at != NULL; at++)
        if (strlen((*at)->name) > width)
            width = strlen((*at)->name);
    buf_printf(out, "\n%s\n", heading);
    for (at = command->subcommands; *at != NULL; at++)
        add_command((*at)->name, width, (*at)->summary, out);
    add_command("help", width, OPTS_HELP_SUMMARY, out);
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
    help_rows(command->options, OPT_ARGUMENT, is_program ? "ARGUMENTS" : "Arguments:", out);
    if (is_program)
        help_program_rows(command, "OPTIONS", opts_version_row, out);
    else
        help_rows(command->options, 0, "Options:", out);
    if (!is_program)
        help_program_rows(opts->path[0], "Options of every command:", NULL, out);
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
