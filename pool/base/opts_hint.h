/*
 * What helps somebody whose command line was not understood: the nearest word that would have been.  For opts.c.
 *
 * Each call fills opts->hint with whole sentences, or leaves it empty when there is nothing to say.
 */
#ifndef BASE_OPTS_HINT_H
#define BASE_OPTS_HINT_H

#include "base/opts.h"

/* No command has this name: one that is nearly called so, also of another part of the tree. */
void opts_hint_command(struct opts *opts, const char *word);

/* No option has this name (dashes included, no value): one of the last command, the program, or another command. */
void opts_hint_option(struct opts *opts, const char *word);

/* The value of an option that begins with a dash and stands apart. */
void opts_hint_attached(struct opts *opts, const struct option_spec *spec, const char *word);

/* A word too many: perhaps it belongs behind `--`. */
void opts_hint_word(struct opts *opts);

/* The words to choose from. */
void opts_hint_choices(struct opts *opts, const struct option_spec *spec);

/* The argument that is missing. */
void opts_hint_missing(struct opts *opts, const struct option_spec *argument);

#endif
