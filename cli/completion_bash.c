#include "completion.h"

#include "completion_script_bash.h" /* made from completion/plasmite.bash */

static void add_words(const struct option_spec *rows, struct buf *out)
{
    const struct option_spec *row;

    for (size_t at = 0; (row = completion_next_option(rows, &at)) != NULL;) {
        if (row->letter != 0)
            buf_printf(out, "-%c ", row->letter);
        buf_printf(out, "--%s ", row->name);
    }
}

static void add_command(const struct command_spec *program, const struct command_spec *command,
                        const char *words, struct buf *out)
{
    const struct command_spec *const *at = command->subcommands;
    const struct option_spec *tables[COMPLETION_TABLES_MAX];
    size_t n = completion_tables(program, command, tables);

    buf_printf(out, "    '%s')\n        commands='", words);
    for (; at != NULL && *at != NULL; at++)
        buf_printf(out, "%s ", (*at)->name);
    buf_add_str(out, "'\n        options='");
    for (size_t i = 0; i < n; i++)
        add_words(tables[i], out);
    buf_add_str(out, "'\n        takes='");
    for (size_t i = 0; i < n; i++)
        completion_add_takes(tables[i], '=', out);
    buf_add_str(out, "'\n        arguments='");
    completion_add_arguments(command, out);
    buf_add_str(out, "'\n        ;;\n");
}

static void add_table(const struct command_spec *program, struct buf *out)
{
    completion_commands(program, add_command, out);
}

void completion_bash(const struct command_spec *program, struct buf *out)
{
    completion_script(bash_script, program, add_table, out);
}
