#include "base/opts_hint.h"

#include "base/nearest.h"

#include <stdio.h>

/* The nearest word so far. */
struct guess {
    struct nearest nearest;
    char shown[96];
};

static void offer(struct guess *guess, const char *word, const char *before, const char *shown)
{
    if (nearest_offer(&guess->nearest, word))
        snprintf(guess->shown, sizeof guess->shown, "%s%s", before, shown);
}

static void did_you_mean(struct opts *opts, const struct guess *guess)
{
    if (guess->shown[0] != '\0')
        snprintf(opts->hint, sizeof opts->hint, "Did you mean `%s`?", guess->shown);
}

/* Commands below the one whose words are `before`, with a blank at the end. */
static void offer_commands(struct guess *guess, const struct command_spec *command,
                           const char *before)
{
    const struct command_spec *const *at = command->subcommands;

    for (; at != NULL && *at != NULL; at++) {
        auto_buf struct buf words = BUF_INIT;

        offer(guess, (*at)->name, before, (*at)->name);
        buf_printf(&words, "%s%s ", before, (*at)->name);
        if (buf_str(&words) != NULL)
            offer_commands(guess, *at, words.p);
    }
}

void opts_hint_command(struct opts *opts, const char *word)
{
    struct guess guess = {.nearest = nearest_to(word)};
    auto_buf struct buf words = BUF_INIT;

    if (opts_words(opts, &words) < 0 || buf_add_char(&words, ' ') < 0 || buf_str(&words) == NULL)
        return;
    offer_commands(&guess, opts->path[opts->depth - 1], words.p);
    buf_clear(&words);
    buf_printf(&words, "%s ", opts->path[0]->name);
    if (buf_str(&words) != NULL)
        offer_commands(&guess, opts->path[0], words.p);
    did_you_mean(opts, &guess);
}

static void offer_options(struct guess *guess, const struct option_spec *rows)
{
    for (size_t i = 0; i < opts_count(rows); i++)
        if (!(rows[i].flags & OPT_ARGUMENT))
            offer(guess, rows[i].name, "--", rows[i].name);
}

static bool has_option(const struct command_spec *command, const char *name)
{
    for (size_t i = 0; i < opts_count(command->options); i++)
        if (!(command->options[i].flags & OPT_ARGUMENT) &&
            strcmp(command->options[i].name, name) == 0)
            return true;
    return false;
}

/* An option of a command, before it. */
static void belongs_behind(struct opts *opts, const char *name)
{
    const struct command_spec *const *at = opts->path[0]->subcommands;

    for (; at != NULL && *at != NULL; at++)
        if (has_option(*at, name)) {
            snprintf(opts->hint, sizeof opts->hint,
                     "It belongs to a command and stands behind it, as in `%s %s --%s`.",
                     opts->path[0]->name, (*at)->name, name);
            return;
        }
}

void opts_hint_option(struct opts *opts, const char *word)
{
    struct guess guess = {.nearest = nearest_to(word + 2)};

    if (strncmp(word, "--", 2) != 0) { /* a letter has no neighbours; more than one may be a name */
        if (word[1] != '\0' && word[2] != '\0')
            snprintf(opts->hint, sizeof opts->hint,
                     "A name that begins with - stands behind `--`.");
        return;
    }
    if (opts->depth == 1)
        belongs_behind(opts, word + 2);
    if (opts->hint[0] != '\0')
        return;
    if (opts->depth > 1)
        offer_options(&guess, opts->path[opts->depth - 1]->options);
    offer_options(&guess, opts->path[0]->options);
    did_you_mean(opts, &guess);
}

void opts_hint_attached(struct opts *opts, const struct option_spec *spec, const char *word)
{
    auto_buf struct buf text = BUF_INIT;

    if (spec->type == OPT_U64) {
        buf_printf(&text, "--%s takes a number from 0 on.", spec->name);
    } else {
        buf_printf(&text, "A value that begins with - is attached: `--%s=", spec->name);
        buf_add_shell_word(&text, word);
        buf_add_str(&text, "`.");
    }
    if (buf_str(&text) != NULL && text.n < sizeof opts->hint)
        snprintf(opts->hint, sizeof opts->hint, "%s", text.p);
}

void opts_hint_word(struct opts *opts)
{
    const struct option_spec *rows = opts->path[opts->depth - 1]->options;

    for (size_t i = 0; i < opts_count(rows); i++)
        if (rows[i].flags & OPT_BEHIND)
            snprintf(opts->hint, sizeof opts->hint, "%s stands behind `--`.", rows[i].name);
}

void opts_hint_choices(struct opts *opts, const struct option_spec *spec)
{
    auto_buf struct buf text = BUF_INIT;

    for (size_t i = 0; spec->choices[i] != NULL; i++)
        buf_printf(&text, "%s%s",
                   i == 0                         ? "Use "
                   : spec->choices[i + 1] != NULL ? ", "
                                                  : " or ",
                   spec->choices[i]);
    snprintf(opts->hint, sizeof opts->hint, "%.*s.", (int)text.n, text.n > 0 ? text.p : "");
}

void opts_hint_missing(struct opts *opts, const struct option_spec *argument)
{
    snprintf(opts->hint, sizeof opts->hint, "Missing: %s, %s.", argument->name, argument->help);
}
