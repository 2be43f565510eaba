#include "completion.h"

#define TABLE_MARK "# TABLE\n"

size_t completion_tables(const struct command_spec *program, const struct command_spec *command,
                         const struct option_spec *ret[COMPLETION_TABLES_MAX])
{
    size_t n = 0;

    ret[n++] = program->options;
    ret[n++] = opts_help_row;
    ret[n++] = command == program ? opts_version_row : command->options;
    return n;
}

/* What the words stand for that name a value in the tables. */
static const struct {
    const char *word, *kind;
} kinds[] = {
    {"POOL",       "pool"     },
    {"POOL...",    "pool"     },
    {"PATH",       "file"     },
    {"FILE",       "file"     },
    {"DIR",        "directory"},
    {"MNT",        "directory"},
    {"COMMAND...", "command"  },
};

/* Of several words, like those of mount, the last one says it. */
static const char *kind_of(const char *word)
{
    const char *blank = word != NULL ? strrchr(word, ' ') : NULL;

    word = blank != NULL ? blank + 1 : word;
    for (size_t i = 0; word != NULL && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].word, word) == 0)
            return kinds[i].kind;
    return COMPLETION_UNKNOWN;
}

void completion_add_kind(const struct option_spec *row, struct buf *out)
{
    const char *word = row->flags & OPT_ARGUMENT ? row->name : row->value;

    if (row->choices != NULL) {
        for (size_t i = 0; row->choices[i] != NULL; i++)
            buf_printf(out, "%s%s", i == 0 ? "choice:" : ",", row->choices[i]);
    } else if (word != NULL && strchr(word, '|') != NULL) { /* fast|flush */
        buf_add_str(out, "choice:");
        for (; *word != '\0'; word++)
            buf_add_char(out, *word == '|' ? ',' : *word);
    } else {
        buf_add_str(out, kind_of(word));
    }
}

void completion_add_takes(const struct option_spec *rows, char between, struct buf *out)
{
    const struct option_spec *row;

    for (size_t at = 0; (row = completion_next_option(rows, &at)) != NULL;) {
        if (row->type == OPT_FLAG)
            continue;
        if (row->letter != 0) {
            buf_printf(out, "-%c%c", row->letter, between);
            completion_add_kind(row, out);
            buf_add_char(out, ' ');
        }
        buf_printf(out, "--%s%c", row->name, between);
        completion_add_kind(row, out);
        buf_add_char(out, ' ');
    }
}

void completion_add_arguments(const struct command_spec *command, struct buf *out)
{
    const struct option_spec *row;

    for (size_t at = 0; (row = completion_next_argument(command->options, &at)) != NULL;) {
        completion_add_kind(row, out);
        buf_add_str(out, row->type == OPT_LIST && !(row->flags & OPT_BEHIND) ? "... " : " ");
    }
}

static const struct option_spec *next(const struct option_spec *rows, unsigned flags, size_t *at)
{
    while (*at < opts_count(rows)) {
        const struct option_spec *row = &rows[(*at)++];

        if ((row->flags & OPT_ARGUMENT) == flags)
            return row;
    }
    return NULL;
}

const struct option_spec *completion_next_option(const struct option_spec *rows, size_t *at)
{
    return next(rows, 0, at);
}

const struct option_spec *completion_next_argument(const struct option_spec *rows, size_t *at)
{
    return next(rows, OPT_ARGUMENT, at);
}

static void commands_below(const struct command_spec *program, const struct command_spec *command,
                           const char *words, completion_command *visit, struct buf *out)
{
    const struct command_spec *const *at = command->subcommands;

    visit(program, command, words, out);
    for (; at != NULL && *at != NULL; at++) {
        auto_buf struct buf below = BUF_INIT;

        buf_printf(&below, "%s%s%s", words, words[0] != '\0' ? " " : "", (*at)->name);
        if (buf_str(&below) != NULL)
            commands_below(program, *at, below.p, visit, out);
        else
            out->failed = true;
    }
}

void completion_commands(const struct command_spec *program, completion_command *visit,
                         struct buf *out)
{
    commands_below(program, program, "", visit, out);
}

void completion_script(const char *script, const struct command_spec *program,
                       void (*add_table)(const struct command_spec *program, struct buf *out),
                       struct buf *out)
{
    const char *mark = strstr(script, TABLE_MARK);

    while (mark > script && mark[-1] == ' ')
        mark--;
    buf_add(out, script, (size_t)(mark - script));
    add_table(program, out);
    buf_add_str(out, strchr(mark, '\n') + 1);
}
