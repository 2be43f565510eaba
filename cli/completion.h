/*
 * Completion scripts for shells, made from the command tables.
 *
 * A script is a file of completion/, which walks along the words of the line, with a table put into it: for each
 * command its subcommands, its options and what their values are, and its arguments.  The names of pools are not in it:
 * the script looks into the pool directory, that of --dir when the line has one.
 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "base/opts.h"

/* Adds the script for the program with this table. */
void completion_bash(const struct command_spec *program, struct buf *out);
void completion_fish(const struct command_spec *program, struct buf *out);
void completion_zsh(const struct command_spec *program, struct buf *out);

/* The rest is what those three share. */

/* Calls visit() for the program, whose words are "", and every command below it ("pool create"). */
typedef void completion_command(const struct command_spec *program,
                                const struct command_spec *command, const char *words,
                                struct buf *out);
void completion_commands(const struct command_spec *program, completion_command *visit,
                         struct buf *out);

/* Adds a script with the table, which add_table() adds, in place of its line `# TABLE`. */
void completion_script(const char *script, const struct command_spec *program,
                       void (*add_table)(const struct command_spec *program, struct buf *out),
                       struct buf *out);

/* The tables of options that may stand with a command: its own, the program's, those without a row.  How many. */
#define COMPLETION_TABLES_MAX 3
size_t completion_tables(const struct command_spec *program, const struct command_spec *command,
                         const struct option_spec *ret[COMPLETION_TABLES_MAX]);

/* The next row of a table, an option or an argument; NULL at the end.  Begin with *at = 0. */
const struct option_spec *completion_next_option(const struct option_spec *rows, size_t *at);
const struct option_spec *completion_next_argument(const struct option_spec *rows, size_t *at);

/*
 * Adds what a value or an argument is: pool, file, directory, command, `choice:` and the words with commas between
 * them, or COMPLETION_UNKNOWN.
 */
#define COMPLETION_UNKNOWN "-"
void completion_add_kind(const struct option_spec *row, struct buf *out);

/* Adds the options that take a value, letters too, each with its kind: `-f=file --file=file ` for between '='. */
void completion_add_takes(const struct option_spec *rows, char between, struct buf *out);

/* Adds the kinds of all arguments, each with a blank behind it; that of a list ends in `...`. */
void completion_add_arguments(const struct command_spec *command, struct buf *out);

#endif
