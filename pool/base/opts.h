/*
 * Command and option tables: one row for each option, from which parsing, help and completion come.
 *
 *     struct feed_options { const char *pool; struct opt_list tags; bool create; };
 *     #define OPTIONS struct feed_options
 *     static const struct option_spec feed_table[] = {
 *         ARG("POOL", pool, "name or path of the pool"),
 *         OPT(0, "tag", tags, "TAG", "give every message this tag; may be repeated"),
 *         OPT(0, "create", create, NULL, "make the pool when it is missing"),
 *         OPT_END,
 *     };
 *
 * The type of the field says what an option takes.  GNU style: `--opt value`, `--opt=value`, `-n5`, `-n 5`, `-n=5`,
 * clusters of letters, options and arguments in any order, `--` ends the options; no abbreviations.  A value that starts with `-`
 * must be attached (`--n=-1`); `-` alone is an ordinary word.
 */
#ifndef BASE_OPTS_H
#define BASE_OPTS_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

struct opt_u64 {
    bool given;
    uint64_t n;
};

struct opt_list {
    const char **items; /* owned; the texts are argv's */
    size_t n;
};

enum option_type {
    OPT_FLAG, /* bool */
    OPT_TEXT, /* const char *, NULL when not given */
    OPT_U64,  /* struct opt_u64: unsigned decimal */
    OPT_LIST, /* struct opt_list: may be repeated */
};

#define OPT_TYPE_OF(field)                                                                         \
    _Generic(((OPTIONS *)0)->field,                                                                \
        bool: OPT_FLAG,                                                                            \
        const char *: OPT_TEXT,                                                                    \
        struct opt_u64: OPT_U64,                                                                   \
        struct opt_list: OPT_LIST)

enum option_flags {
    OPT_ARGUMENT = 1 << 0, /* a word of its own, not an option */
    OPT_OPTIONAL = 1 << 1, /* an argument that may be missing */
    OPT_PATH = 1 << 2,     /* a file name: any bytes, but not none */
    OPT_AGAIN = 1 << 3,    /* may be given twice when both are equal */
    OPT_BEHIND = 1 << 4, /* an argument that takes all words behind `--`, and no other; any bytes */
};

struct option_spec {
    char letter;           /* -n, or 0 */
    const char *name;      /* --tail; of an argument the word that stands for it */
    enum option_type type; /* of the field at `offset` */
    size_t offset;         /* in the command's struct */
    const char *value;     /* stands for the value in the help */
    const char *help;      /* one line */
    enum option_flags flags;
    uint64_t max;               /* OPT_U64: the largest; 0: no limit */
    unsigned excludes;          /* options with a bit in common exclude each other */
    const char *const *choices; /* the texts allowed, NULL at the end; or NULL */
};

/* Further fields may follow: OPT('n', "tail", tail, "N", "...", .excludes = START). */
#define OPT(letter_, name_, field_, value_, help_, ...)                                            \
    {                                                                                              \
        .letter = letter_, .name = name_, .type = OPT_TYPE_OF(field_),                             \
        .offset = offsetof(OPTIONS, field_), .value = value_, .help = help_, __VA_ARGS__           \
    }
#define ARG(name_, field_, help_, ...)                                                             \
    OPT(0, name_, field_, NULL, help_, .flags = OPT_ARGUMENT, __VA_ARGS__)
#define ARG_OPTIONAL(name_, field_, help_, ...)                                                    \
    OPT(0, name_, field_, NULL, help_, .flags = OPT_ARGUMENT | OPT_OPTIONAL, __VA_ARGS__)
#define OPT_END                                                                                    \
    {                                                                                              \
        0                                                                                          \
    }

struct command_spec {
    const char *name;
    const char *summary;               /* one line, for lists */
    const char *usage;                 /* what follows the name in the usage line */
    const char *details;               /* text for the long help, with its newline; or NULL */
    const char *missing;               /* the hint when an argument is missing; or NULL */
    const struct option_spec *options; /* OPT_END at the end; or NULL */
    const struct command_spec *const *subcommands; /* NULL at the end; or NULL */
    size_t values_size;                            /* of the struct the options land in */
    bool runs_bare;                                /* does something when given nothing */
    int (*run)(const void *values,
               void *program); /* NULL with subcommands; returns the exit code */
};

#define OPTS_DEPTH_MAX 4
#define OPTS_HELP_SUMMARY "Explain a command" /* of `help`, which has no row */

enum opts_outcome {
    OPTS_RUN,
    OPTS_HELP,       /* --help, or the command help */
    OPTS_HELP_SHORT, /* -h */
    OPTS_BARE,       /* a command that needs arguments stands alone */
    OPTS_VERSION,    /* --version or -V of the program */
    OPTS_WRONG,      /* see the two below */
};

enum opts_problem {
    OPTS_PROBLEM_WORD,    /* something that should not be there, or not so */
    OPTS_PROBLEM_VALUE,   /* a value that is missing or wrong */
    OPTS_PROBLEM_CHOICE,  /* a value that is none of the choices */
    OPTS_PROBLEM_MISSING, /* an argument is missing */
};

struct opts {
    const struct command_spec *path[OPTS_DEPTH_MAX]; /* the program, the command, its subcommand */
    size_t depth;
    void *values; /* the struct of the last command in the path, filled */
    void *program_values;
    enum opts_problem problem;
    char why[256];  /* one line */
    char hint[192]; /* sentences that may help, like "Did you mean `--tail`?"; or empty */
};

/*
 * The program's own options may stand anywhere; they land in program_values.  The words `help` and
 * `--help`, `-h`, `--version`, `-V` are understood without a row.  *ret needs opts_done() whatever the outcome.
 * A program without subcommands has its options and arguments in `program` itself, values included.
 */
enum opts_outcome opts_parse(struct opts *ret, const struct command_spec *program,
                             void *program_values, int argc, char *const *argv);
void opts_done(struct opts *opts);

/* The help page of the last command in the path; with details when `is_long`. */
int opts_help(const struct opts *opts, bool is_long, struct buf *out);

/* "plasmite pool create": the words of the path. */
int opts_words(const struct opts *opts, struct buf *out);

/*
 * The command line again, for a shell: the words, the first argument, `insert` (may be NULL), the other arguments, the
 * options in the order of their tables.  For a command that was parsed (OPTS_RUN).
 */
int opts_again(const struct opts *opts, const char *insert, struct buf *out);

/* What is understood without a row, as tables: --help of every command, --version of the program. */
extern const struct option_spec opts_help_row[], opts_version_row[];

/* The rows of a table, OPT_END not counted; 0 for NULL. */
size_t opts_count(const struct option_spec *options);

#endif
