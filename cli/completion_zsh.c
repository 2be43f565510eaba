#include "completion.h"

#include "completion_script_zsh.h" /* made from completion/plasmite.zsh */

static void add_quoted(const char *text, struct buf *out)
{
    for (; *text != '\0'; text++)
        if (*text == '\'')
            buf_add_str(out, "'\\''");
        else
            buf_add_char(out, *text);
}

/* 'name:what it is' */
static void add_described(const char *dashes, const char *name, const char *help, struct buf *out)
{
    buf_printf(out, "\n            '%s%s:", dashes, name);
    add_quoted(help, out);
    buf_add_char(out, '\'');
}

static void add_words(const struct option_spec *rows, struct buf *out)
{
    const struct option_spec *row;

    for (size_t at = 0; (row = completion_next_option(rows, &at)) != NULL;) {
        const char letter[] = {row->letter, '\0'};

        if (row->letter != 0)
            add_described("-", letter, row->help, out);
        add_described("--", row->name, row->help, out);
    }
}

static void add_command(const struct command_spec *program, const struct command_spec *command,
                        const char *words, struct buf *out)
{
    const struct command_spec *const *at = command->subcommands;
    const struct option_spec *tables[COMPLETION_TABLES_MAX];
    size_t n = completion_tables(program, command, tables);

    buf_printf(out, "    '%s')\n        subcommands=(", words);
    for (; at != NULL && *at != NULL; at++)
        add_described("", (*at)->name, (*at)->summary, out);
    if (command->subcommands != NULL)
        add_described("", "help", OPTS_HELP_SUMMARY, out);
    buf_add_str(out, ")\n        flags=(");
    for (size_t i = 0; i < n; i++)
        add_words(tables[i], out);
    buf_add_str(out, ")\n        takes=(");
    for (size_t i = 0; i < n; i++)
        completion_add_takes(tables[i], ' ', out);
    buf_add_str(out, ")\n        arguments=(");
    completion_add_arguments(command, out);
    buf_add_str(out, ")\n        ;;\n");
}

static void add_table(const struct command_spec *program, struct buf *out)
{
    completion_commands(program, add_command, out);
}

void completion_zsh(const struct command_spec *program, struct buf *out)
{
    completion_script(zsh_script, program, add_table, out);
}
