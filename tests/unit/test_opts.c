#include "base/opts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct program_options {
    const char *dir;
    bool json;
};
#define OPTIONS struct program_options
static const struct option_spec program_options[] = {
    OPT(0, "dir", dir, "DIR", "a directory", .flags = OPT_PATH | OPT_AGAIN),
    OPT(0, "json", json, NULL, "JSON", .flags = OPT_AGAIN),
    OPT_END,
};
#undef OPTIONS

struct read_options {
    const char *pool;
    struct opt_u64 tail;
    struct opt_u64 small;
    const char *since;
    struct opt_list tags;
    bool one, quiet;
    const char *mode;
};
static const char *const modes[] = {"fast", "slow", NULL};
#define OPTIONS struct read_options
static const struct option_spec read_options[] = {
    ARG("POOL", pool, "a pool"),
    OPT('n', "tail", tail, "N", "the last N", .excludes = 1),
    OPT(0, "small-number", small, "N", "up to 9", .max = 9),
    OPT(0, "since", since, "WHEN",
        "since a time, which may be said in many ways, so many that this text does not fit one "
        "line",
        .excludes = 1),
    OPT('t', "tag", tags, "TAG", "a tag"),
    OPT('1', "one", one, NULL, "one"),
    OPT('q', "quiet", quiet, NULL, "quiet"),
    OPT(0, "mode", mode, "MODE", "mode", .choices = modes),
    OPT_END,
};
#undef OPTIONS

struct make_options {
    struct opt_list names;
};
#define OPTIONS struct make_options
static const struct option_spec make_options[] = {ARG("NAME", names, "names"), OPT_END};
#undef OPTIONS

struct wrap_options {
    const char *pool;
    bool quiet;
    struct opt_list words;
};
#define OPTIONS struct wrap_options
static const struct option_spec wrap_options[] = {
    ARG("POOL", pool, "a pool"), OPT('q', "quiet", quiet, NULL, "quiet"),
    OPT(0, "COMMAND", words, NULL, "a command", .flags = OPT_ARGUMENT | OPT_BEHIND), OPT_END};
#undef OPTIONS

static const struct command_spec cmd_wrap = {.name = "wrap",
                                             .summary = "Wrap it",
                                             .usage = "<POOL> -- <COMMAND>...",
                                             .options = wrap_options,
                                             .values_size = sizeof(struct wrap_options)};
static const struct command_spec cmd_read = {.name = "read",
                                             .summary = "Read it",
                                             .usage = "<POOL>",
                                             .options = read_options,
                                             .details = "At length.\n",
                                             .values_size = sizeof(struct read_options)};
static const struct command_spec cmd_make = {.name = "make",
                                             .summary = "Make it",
                                             .usage = "<NAME>...",
                                             .options = make_options,
                                             .values_size = sizeof(struct make_options)};
static const struct command_spec cmd_show = {
    .name = "show", .summary = "Show it", .usage = "", .runs_bare = true};
static const struct command_spec *const pool_commands[] = {&cmd_make, &cmd_show, NULL};
static const struct command_spec cmd_pool = {
    .name = "pool", .summary = "Pools", .usage = "<COMMAND>", .subcommands = pool_commands};
static const struct command_spec *const commands[] = {&cmd_read, &cmd_wrap, &cmd_pool, NULL};
static const struct command_spec program = {.name = "prog",
                                            .summary = "A program",
                                            .usage = "[OPTIONS] <COMMAND>",
                                            .subcommands = commands,
                                            .options = program_options};

static struct program_options global;
static struct opts opts;

/* Parses words that are separated by one blank each. */
static enum opts_outcome parse(const char *line)
{
    static char text[512];
    char *argv[32], *word;
    int argc = 0;

    opts_done(&opts);
    memset(&global, 0, sizeof global);
    strcpy(text, line);
    for (word = text; word != NULL;)
        argv[argc++] = strsep(&word, " ");
    argv[argc] = NULL;
    return opts_parse(&opts, &program, &global, argc, argv);
}

static void assert_wrong(const char *line, enum opts_problem problem, const char *why)
{
    assert_int_equal(parse(line), OPTS_WRONG);
    assert_string_equal(opts.why, why);
    assert_int_equal(opts.problem, problem);
}

static const struct read_options *reading(const char *line)
{
    assert_int_equal(parse(line), OPTS_RUN);
    assert_ptr_equal(opts.path[1], &cmd_read);
    return opts.values;
}

static void values__come_in_every_form(void **state)
{
    static const char *const forms[] = {
        "prog read -n 5 p",     "prog read -n5 p",   "prog read -n=5 p",   "prog read --tail 5 p",
        "prog read p --tail=5", "prog read -q1n5 p", "prog read -n 5 -- p"};

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const struct read_options *o = reading(forms[i]);

        assert_true(o->tail.given && o->tail.n == 5);
        assert_string_equal(o->pool, "p");
    }
    assert_false(reading("prog read p")->tail.given);
    assert_string_equal(reading("prog read -")->pool, "-");
    assert_string_equal(reading("prog read -- --one")->pool, "--one");
    assert_string_equal(reading("prog read p --since=")->since, "");
    assert_string_equal(reading("prog read p --since=-1")->since, "-1");
}

static void lists__keep_their_order(void **state)
{
    const struct read_options *o = reading("prog read p -t a --tag b --tag= -ta");

    (void)state;
    assert_int_equal(o->tags.n, 4);
    assert_string_equal(o->tags.items[0], "a");
    assert_string_equal(o->tags.items[1], "b");
    assert_string_equal(o->tags.items[2], "");
    assert_string_equal(o->tags.items[3], "a");
    assert_int_equal(parse("prog pool make x y z"), OPTS_RUN);
    assert_int_equal(((const struct make_options *)opts.values)->names.n, 3);
}

static void program_options__stand_anywhere(void **state)
{
    (void)state;
    reading("prog --dir d read p --json");
    assert_string_equal(global.dir, "d");
    assert_true(global.json);
    reading("prog --dir d read p --dir d");
    assert_int_equal(parse("prog pool --dir=e make x --json --json"), OPTS_RUN);
    assert_string_equal(global.dir, "e");
    assert_wrong("prog --dir d read p --dir e", OPTS_PROBLEM_WORD,
                 "the argument '--dir <DIR>' cannot be used multiple times");
    assert_wrong("prog --dir= read p", OPTS_PROBLEM_VALUE,
                 "a value is required for '--dir <DIR>' but none was supplied");
}

static void mistakes__are_named(void **state)
{
    (void)state;
    assert_wrong("prog read p --nope", OPTS_PROBLEM_WORD, "unexpected argument '--nope' found");
    assert_wrong("prog read p --nope=1", OPTS_PROBLEM_WORD, "unexpected argument '--nope' found");
    assert_wrong("prog read p --tai 1", OPTS_PROBLEM_WORD, "unexpected argument '--tai' found");
    assert_wrong("prog read p -x", OPTS_PROBLEM_WORD, "unexpected argument '-x' found");
    assert_wrong("prog read p x", OPTS_PROBLEM_WORD, "unexpected argument 'x' found");
    assert_wrong("prog read p --since -5", OPTS_PROBLEM_WORD, "unexpected argument '-5' found");
    assert_wrong("prog read p --since --one", OPTS_PROBLEM_VALUE,
                 "a value is required for '--since <SINCE>' but none was supplied");
    assert_wrong("prog read p --since", OPTS_PROBLEM_VALUE,
                 "a value is required for '--since <SINCE>' but none was supplied");
    assert_wrong("prog read p --tail x", OPTS_PROBLEM_VALUE,
                 "invalid value 'x' for '--tail <TAIL>': invalid digit found in string");
    assert_wrong("prog read p --small-number 10", OPTS_PROBLEM_VALUE,
                 "invalid value '10' for '--small-number <SMALL_NUMBER>': number too large to fit "
                 "in target type");
    assert_wrong("prog read p --mode x", OPTS_PROBLEM_CHOICE,
                 "invalid value 'x' for '--mode <MODE>'");
    assert_wrong("prog read p --one=x", OPTS_PROBLEM_VALUE,
                 "unexpected value 'x' for '--one' found; no more were expected");
    assert_wrong("prog read p --one --one", OPTS_PROBLEM_WORD,
                 "the argument '--one' cannot be used multiple times");
    assert_wrong("prog read p --since a --tail 1", OPTS_PROBLEM_WORD,
                 "the argument '--since <SINCE>' cannot be used with '--tail <TAIL>'");
    assert_wrong("prog read --one", OPTS_PROBLEM_MISSING,
                 "the following required arguments were not provided:");
    assert_wrong("prog pool make --json", OPTS_PROBLEM_MISSING,
                 "the following required arguments were not provided:");
    assert_wrong("prog nope", OPTS_PROBLEM_WORD, "unrecognized subcommand 'nope'");
    assert_wrong("prog pool nope", OPTS_PROBLEM_WORD, "unrecognized subcommand 'nope'");
    assert_wrong("prog --json", OPTS_PROBLEM_VALUE,
                 "'prog' requires a subcommand but one was not provided");
    assert_wrong("prog read \xff", OPTS_PROBLEM_WORD,
                 "invalid UTF-8 was detected in one or more arguments");
    assert_wrong("prog read p a\nb", OPTS_PROBLEM_WORD, "unexpected argument 'a b' found");
}

static void assert_hint(const char *line, const char *hint)
{
    assert_int_equal(parse(line), OPTS_WRONG);
    assert_string_equal(opts.hint, hint);
}

static void hint__is_the_nearest_word(void **state)
{
    (void)state;
    assert_hint("prog raed p", "Did you mean `prog read`?");
    assert_hint("prog re p", "Did you mean `prog read`?");
    assert_hint("prog poool", "Did you mean `prog pool`?");
    assert_hint("prog pool mak", "Did you mean `prog pool make`?");
    assert_hint("prog make x", "Did you mean `prog pool make`?");
    assert_hint("prog pool read", "Did you mean `prog read`?");
    assert_hint("prog append", "");
    assert_hint("prog aVeryLongWordWhoseLengthNobodyWouldTypeByMistake", "");
    assert_hint("prog read p --tial 3", "Did you mean `--tail`?");
    assert_hint("prog read p --smal=3", "Did you mean `--small-number`?");
    assert_hint("prog read p --jsn", "Did you mean `--json`?");
    assert_hint("prog read p --nope", "");
    assert_hint("prog --tail 3 read p",
                "It belongs to a command and stands behind it, as in `prog read --tail`.");
}

static void hint__says_what_to_write(void **state)
{
    (void)state;
    assert_hint("prog read -x", "");
    assert_hint("prog read -xyz", "A name that begins with - stands behind `--`.");
    assert_hint("prog read p --since -5", "A value that begins with - is attached: `--since=-5`.");
    assert_hint("prog read p -t -$(x)", "A value that begins with - is attached: `--tag='-$(x)'`.");
    assert_hint("prog read p --tail -5", "--tail takes a number from 0 on.");
    assert_hint("prog read p --mode x", "Use fast or slow.");
    assert_hint("prog wrap p ls", "COMMAND stands behind `--`.");
    assert_hint("prog read --one", "Missing: POOL, a pool.");
}

static void help__is_found_where_it_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(parse("prog --help"), OPTS_HELP);
    assert_int_equal(parse("prog help"), OPTS_HELP);
    assert_int_equal(opts.depth, 1);
    assert_int_equal(parse("prog read p --help"), OPTS_HELP);
    assert_int_equal(parse("prog read ---help"), OPTS_HELP);
    assert_int_equal(parse("prog read -qh"), OPTS_HELP_SHORT);
    assert_int_equal(parse("prog help pool make"), OPTS_HELP);
    assert_ptr_equal(opts.path[2], &cmd_make);
    assert_int_equal(parse("prog pool help show"), OPTS_HELP);
    assert_ptr_equal(opts.path[2], &cmd_show);
    assert_int_equal(parse("prog help nope"), OPTS_WRONG);
    assert_int_equal(parse("prog -V"), OPTS_VERSION);
    assert_int_equal(parse("prog --version"), OPTS_VERSION);
    assert_int_equal(parse("prog"), OPTS_BARE);
    assert_int_equal(parse("prog pool"), OPTS_BARE);
    assert_int_equal(parse("prog --dir d pool"), OPTS_BARE);
    assert_int_equal(parse("prog --dir d read"), OPTS_BARE);
    assert_int_equal(parse("prog pool show"), OPTS_RUN);
}

static void help_page__has_a_line_for_each_row(void **state)
{
    auto_buf struct buf page = BUF_INIT;

    (void)state;
    parse("prog read --help");
    assert_int_equal(opts_help(&opts, true, &page), 0);
    assert_string_equal(
        buf_str(&page),
        "Read it\n\nUsage: prog read <POOL>\n\nArguments:\n  POOL  a pool\n\nOptions:\n"
        "  -n, --tail N          the last N\n"
        "      --small-number N  up to 9\n"
        "      --since WHEN      since a time, which may be said in many ways, so many that this "
        "text does\n"
        "                        not fit one line\n"
        "  -t, --tag TAG         a tag\n"
        "  -1, --one             one\n"
        "  -q, --quiet           quiet\n"
        "      --mode MODE       mode\n"
        "\nOptions of every command:\n"
        "      --dir DIR  a directory\n"
        "      --json     JSON\n"
        "  -h, --help     explain, and do nothing else; -h is shorter\n"
        "\nAt length.\n");
}

static void words_behind_dashes__are_the_wrapped_command(void **state)
{
    const struct wrap_options *o;

    (void)state;
    assert_int_equal(parse("prog wrap p -q -- ls -l -- --dir"), OPTS_RUN);
    o = opts.values;
    assert_true(o->quiet);
    assert_string_equal(o->pool, "p");
    assert_int_equal(o->words.n, 4);
    assert_string_equal(o->words.items[1], "-l");
    assert_string_equal(o->words.items[2], "--");
    assert_wrong("prog wrap p ls", OPTS_PROBLEM_WORD, "unexpected argument 'ls' found");
    assert_wrong("prog wrap -- ls", OPTS_PROBLEM_MISSING,
                 "the following required arguments were not provided:");
    assert_int_equal(parse("prog wrap p"), OPTS_RUN);
    assert_int_equal(((const struct wrap_options *)opts.values)->words.n, 0);
}

static void assert_again(const char *line, const char *again)
{
    auto_buf struct buf text = BUF_INIT;

    assert_int_equal(parse(line), OPTS_RUN);
    assert_int_equal(opts_again(&opts, "--make", &text), 0);
    assert_string_equal(buf_str(&text), again);
}

static void the_command_line__can_be_said_again(void **state)
{
    (void)state;
    assert_again("prog read p", "prog read p --make");
    assert_again("prog --dir d read -n5 p -q -t=-x -t it's",
                 "prog read p --make --tail 5 --tag=-x --tag 'it'\\''s' --quiet --dir d");
    assert_again("prog read --since= p", "prog read p --make --since ''");
    assert_again("prog read --json -- -p", "prog read --make --json -- -p");
    assert_again("prog wrap -q p -- ls -l", "prog wrap p --make --quiet -- ls -l");
    assert_again("prog pool make x -- -y z", "prog pool make x --make -- -y z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values__come_in_every_form),
        cmocka_unit_test(lists__keep_their_order),
        cmocka_unit_test(program_options__stand_anywhere),
        cmocka_unit_test(mistakes__are_named),
        cmocka_unit_test(hint__is_the_nearest_word),
        cmocka_unit_test(hint__says_what_to_write),
        cmocka_unit_test(help__is_found_where_it_is_asked_for),
        cmocka_unit_test(words_behind_dashes__are_the_wrapped_command),
        cmocka_unit_test(the_command_line__can_be_said_again),
        cmocka_unit_test(help_page__has_a_line_for_each_row),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);

    opts_done(&opts);
    return result;
}
