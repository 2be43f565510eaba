#include "completion.h"

#include "completion_script_fish.h" /* made from completion/plasmite.fish */

#define NO_FILES " -f"
#define CHOICE "choice:"

static void add_quoted(const char *text, struct buf *out)
{
    buf_add_char(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
    buf_add_char(out, '\'');
}

/* What completes a value or an argument of the kind. */
static const struct {
    const char *kind, *source;
} sources[] = {
    {"file",             " -F"                                                     },
    {"directory",        " -f -a '(__fish_complete_directories (commandline -ct))'"},
    {"pool",             " -f -a '(__plasmite_pools)'"                             },
    {"command",          " -f -a '--'"                                             },
    {COMPLETION_UNKNOWN, NO_FILES                                                  },
};

static void add_source(const struct option_spec *row, struct buf *out)
{
    auto_buf struct buf kind = BUF_INIT;
    const char *text;

    completion_add_kind(row, &kind);
    text = buf_str(&kind);
    for (size_t i = 0; text != NULL && i < sizeof sources / sizeof sources[0]; i++)
        if (strcmp(sources[i].kind, text) == 0) {
            buf_add_str(out, sources[i].source);
            return;
        }
    if (text == NULL || strncmp(text, CHOICE, strlen(CHOICE)) != 0) {
        out->failed = true;
        return;
    }
    buf_add_str(out, " -f -a '");
    for (text += strlen(CHOICE); *text != '\0'; text++)
        buf_add_char(out, *text == ',' ? ' ' : *text);
    buf_add_char(out, '\'');
}

/* condition: when the options may stand, quoted; empty: always */
static void add_options(const char *condition, const struct option_spec *rows, struct buf *out)
{
    const struct option_spec *row;

    for (size_t at = 0; (row = completion_next_option(rows, &at)) != NULL;) {
        buf_printf(out, "complete -c plasmite%s", condition);
        if (row->letter != 0)
            buf_printf(out, " -s %c", row->letter);
        buf_printf(out, " -l %s -d ", row->name);
        add_quoted(row->help, out);
        if (row->type != OPT_FLAG) {
            buf_add_str(out, " -r");
            add_source(row, out);
        }
        buf_add_char(out, '\n');
    }
}

static void add_subcommand(const char *words, const char *name, const char *summary,
                           struct buf *out)
{
    buf_printf(out, "complete -c plasmite -n '__plasmite_at \"%s\"' -a %s -d ", words, name);
    add_quoted(summary, out);
    buf_add_char(out, '\n');
}

static void add_arguments(const struct command_spec *command, const char *words, struct buf *out)
{
    const struct option_spec *row;

    for (size_t at = 0, n = 0; (row = completion_next_argument(command->options, &at)) != NULL;
         n++) {
        auto_buf struct buf source = BUF_INIT;

        add_source(row, &source);
        if (bytes_equal(buf_bytes(&source), BYTES(NO_FILES)))
            continue;
        buf_printf(out, "complete -c plasmite -n '__plasmite_at \"%s\"", words);
        if (row->type != OPT_LIST || (row->flags & OPT_BEHIND))
            buf_printf(out, " %zu", n);
        buf_printf(out, "'%.*s\n", (int)source.n, source.p);
        if (row->flags & OPT_BEHIND)
            buf_printf(out,
                       "complete -c plasmite -n '__plasmite_at \"%s --\"'"
                       " -a '(__plasmite_wrapped)'\n",
                       words);
    }
}

static void add_command(const struct command_spec *program, const struct command_spec *command,
                        const char *words, struct buf *out)
{
    const struct command_spec *const *at = command->subcommands;
    auto_buf struct buf condition = BUF_INIT;
    const struct option_spec *tables[COMPLETION_TABLES_MAX];
    size_t n = completion_tables(program, command, tables);

    for (; at != NULL && *at != NULL; at++)
        add_subcommand(words, (*at)->name, (*at)->summary, out);
    if (command->subcommands != NULL)
        add_subcommand(words, "help", OPTS_HELP_SUMMARY, out);
    buf_printf(&condition, " -n '__plasmite_at \"%s\"'", words);
    if (buf_str(&condition) == NULL)
        out->failed = true;
    for (size_t i = 0; i < n && !out->failed; i++) /* the first two hold everywhere */
        if (i >= 2)
            add_options(condition.p, tables[i], out);
        else if (command == program)
            add_options("", tables[i], out);
    add_arguments(command, words, out);
}

static void add_path(const struct command_spec *program, const struct command_spec *command,
                     const char *words, struct buf *out)
{
    if (command != program)
        buf_printf(out, " '%s'", words);
}

static void add_takes(const struct command_spec *program, const struct command_spec *command,
                      const char *words, struct buf *out)
{
    const struct option_spec *row;

    for (size_t at = 0; (row = completion_next_option(command->options, &at)) != NULL;) {
        const char *blank = command == program ? "" : " ";

        if (row->type != OPT_FLAG)
            buf_printf(out, " '%s%s--%s'", words, blank, row->name);
        if (row->type != OPT_FLAG && row->letter != 0)
            buf_printf(out, " '%s%s-%c'", words, blank, row->letter);
    }
}

static void add_wrapping(const struct command_spec *program, const struct command_spec *command,
                         const char *words, struct buf *out)
{
    (void)program;
    for (size_t i = 0; i < opts_count(command->options); i++)
        if (command->options[i].flags & OPT_BEHIND)
            buf_printf(out, " '%s'", words);
}

static void add_table(const struct command_spec *program, struct buf *out)
{
    buf_add_str(out, "set -g __plasmite_commands");
    completion_commands(program, add_path, out);
    buf_add_str(out, "\nset -g __plasmite_takes");
    completion_commands(program, add_takes, out);
    buf_add_str(out, "\nset -g __plasmite_wrapping");
    completion_commands(program, add_wrapping, out);
    buf_add_char(out, '\n');
    completion_commands(program, add_command, out);
}

void completion_fish(const struct command_spec *program, struct buf *out)
{
    completion_script(fish_script, program, add_table, out);
}
