/*
 * The program around a command: its global options, where its output goes and in which form, its error.
 *
 * A command's run function returns its exit code, or -1 with cli->error filled; main() reports that, once.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/opts.h"
#include "base/out.h"
#include "pool/error.h"

struct cli_options {
    const char *dir;
    const char *color;
    const char *format;
    bool json;
    bool jsonl;
};

enum form {
    FORM_PRETTY, /* for people: text, and messages as indented JSON */
    FORM_JSON,   /* reports are one document, indented on a terminal; messages are lines */
    FORM_LINES,  /* one compact JSON document per line, never coloured */
};

struct cli {
    struct cli_options options;
    const struct opts *opts; /* the words of the command and its table */
    struct error error;
    struct out out; /* stdout */
    struct buf dir; /* see cli_dir() */
    bool stdout_tty;
    bool stderr_tty;
};

enum cli_exit {
    EXIT_SKIPPED = 1, /* `feed --errors skip` refused something */
    EXIT_CORRUPT = 7, /* `doctor` found damage */
    EXIT_TIMED_OUT = 124,
};

/* The pool directory: --dir, else ~/.plasmite/pools.  NULL when memory is gone. */
const char *cli_dir(struct cli *cli);

/*
 * Adds a command for people to paste into a shell: "plasmite pool create 'a b' --dir d".  words: "pool create";
 * argument: may be NULL.
 */
void cli_add_command(const struct cli *cli, const char *words, const char *argument,
                     struct buf *out);

/* The form of results: what was asked for, else by where stdout goes. */
enum form cli_form(const struct cli *cli);

/* May stdout be coloured? */
bool cli_colour(const struct cli *cli);

/* Writes text to stdout now.  0, or -1 with cli->error; a reader that went away is no error. */
int cli_print(struct cli *cli, const struct buf *text);

/* Writes a compact JSON document as a report: compact, or indented, with its newline. */
int cli_report(struct cli *cli, struct bytes json);

/* Makes cli->out.error the error of the command; 0 when it is none (EPIPE: the reader has gone). */
int cli_output_failed(struct cli *cli);

/*
 * One notice on stderr: a line of JSON, or `notice: TEXT` on a terminal.  command: whose notice it is, which may be a
 * part of the one that runs; details: a compact JSON object.
 */
void cli_notice(struct cli *cli, const char *command, const char *kind, const char *pool,
                const char *message, const char *text, struct bytes details);

/* The commands; each is in its own file. */
extern const struct command_spec cmd_completion, cmd_doctor, cmd_duplex, cmd_feed, cmd_fetch,
    cmd_follow, cmd_mount, cmd_tap, cmd_umount, cmd_version, cmd_pool_create, cmd_pool_delete,
    cmd_pool_info, cmd_pool_list;

#endif
