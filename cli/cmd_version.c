#include "cli.h"

static int run(const void *values, void *program)
{
    struct cli *cli = program;
    auto_buf struct buf text = BUF_INIT;

    (void)values; /* there are no options */
    if (cli_form(cli) != FORM_PRETTY)
        return cli_report(cli,
                          BYTES("{\"name\":\"plasmite\",\"version\":\"" PLASMITE_VERSION "\"}"));
    buf_add_str(&text, "plasmite " PLASMITE_VERSION "\n");
    return cli_print(cli, &text);
}

const struct command_spec cmd_version = {
    .name = "version",
    .summary = "Print the version of this program",
    .usage = "[OPTIONS]",
    .details = "Prints human-readable version information on a terminal. When\n"
               "stdout is redirected or piped it prints machine-readable JSON.\n"
               "\n"
               "EXAMPLES\n"
               "  plasmite version | jq -r .version\n",
    .runs_bare = true,
    .run = run,
};
