#include "cli.h"
#include "completion.h"

struct completion_options {
    const char *shell;
};

static const struct {
    const char *name;
    void (*add)(const struct command_spec *program, struct buf *out);
} shells[] = {
    {"bash", completion_bash},
    {"fish", completion_fish},
    {"zsh",  completion_zsh },
};

static const char *const names[] = {"bash", "fish", "zsh", NULL};

#define OPTIONS struct completion_options
static const struct option_spec options[] = {
    ARG("SHELL", shell, "bash, fish or zsh", .choices = names),
    OPT_END,
};

static int run(const void *values, void *program)
{
    const struct completion_options *o = values;
    struct cli *cli = program;
    auto_buf struct buf text = BUF_INIT;

    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(shells[i].name, o->shell) == 0)
            shells[i].add(cli->opts->path[0], &text);
    return cli_print(cli, &text);
}

const struct command_spec cmd_completion = {
    .name = "completion",
    .summary = "Print a completion script for a shell",
    .usage = "<SHELL>",
    .options = options,
    .values_size = sizeof(struct completion_options),
    .run = run,
    .details =
        "The script completes commands, options, their values and the names of pools, also for\n"
        "`pls`. An installation has put it where the shells look for it; else:\n"
        "\n"
        "EXAMPLES\n"
        "  bash   eval \"$(plasmite completion bash)\"     in ~/.bashrc\n"
        "  zsh    eval \"$(plasmite completion zsh)\"      in ~/.zshrc, after compinit\n"
        "  fish   plasmite completion fish | source      in ~/.config/fish/config.fish\n"
        "\n"
        "There are none for elvish and powershell.\n",
};
