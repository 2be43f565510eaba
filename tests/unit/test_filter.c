/*
 * Filters as their callers see them: what an expression says about a message, what is refused,
 * where errors are.
 */
#include "pools.h"

#include "pool/filter.h"
#include "pool/json.h"
#include "pool/stream.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN(array) (sizeof(array) / sizeof *(array))

static struct filter *filter_of(const char *expression)
{
    struct error err = ERROR_INIT;
    struct filter *filter = NULL;

    if (filter_new(bytes_of(expression), &filter, &err) < 0)
        fail_msg("%s: %s; %s; %s", expression, err.message, err.hint, err.cause);
    return filter;
}

/* Number 7, tags a and b c, one second and 5 ns after 2023-11-14T22:13:20Z. */
static enum filter_result match(struct filter *filter, const char *data, struct error *err)
{
    auto_buf struct buf compact = BUF_INIT;
    struct message message = {
        .seq = 7,
        .time_ns = 1700000001000000005,
        .tags = BYTES("\"a\",\"b c\""),
    };

    must(json_compact(bytes_of(data), &compact, NULL) == 0, "%s", data);
    message.data = buf_bytes(&compact);
    return filter_match(filter, &message, err);
}

static void says(const char *expression, const char *data, enum filter_result expected)
{
    auto_filter struct filter *filter = filter_of(expression);
    struct error err = ERROR_INIT;
    enum filter_result result = match(filter, data, &err);

    if (result != expected)
        fail_msg("%s on %s: %d instead of %d (%s; %s)", expression, data, (int)result,
                 (int)expected, err.message, err.hint);
}

static void fails_with(const char *expression, const char *hint)
{
    struct error err = ERROR_INIT;
    struct filter *filter = NULL;

    if (filter_new(bytes_of(expression), &filter, &err) == 0) {
        filter_free(filter);
        fail_msg("%s is taken", expression);
    }
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_string_equal(err.message, "invalid filter expression");
    if (strstr(err.hint, hint) == NULL)
        fail_msg("%s: `%s` is not in: %s", expression, hint, err.hint);
    assert_non_null(strstr(err.hint, ".data.level == \"error\""));
}

/* ---- alone in a process, before anything was loaded ---- */

static bool is_loaded(const char *library)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1024];
    bool found = false;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, library) != NULL;
    fclose(maps);
    return found;
}

static void plain_filters__load_nothing(void **state)
{
    (void)state;
    says(".data.level == \"error\" and (.meta.tags | any(. == \"a\"))", "{\"level\":\"error\"}",
         FILTER_YES);
    says(".data.level | test(\"rro\")", "{\"level\":\"error\"}", FILTER_YES);
    assert_false(is_loaded("libonig"));
    says(".data.level | test(\"r+o\")", "{\"level\":\"error\"}", FILTER_YES);
    assert_true(is_loaded("libonig"));
    says(".data.n + 1 == 6", "{\"n\":5}", FILTER_YES);
    assert_false(is_loaded("libjq"));
}

/* The modules are found from where the program is; a copy elsewhere has none. */
static void a_missing_module__is_named(void **state)
{
    const char *copy = scratch_path("copy");
    auto_buf struct buf command = BUF_INIT;
    char line[1024] = "";
    FILE *output;

    (void)state;
    file_copy("/proc/self/exe", copy);
    assert_int_equal(chmod(copy, 0700), 0);
    must(buf_printf(&command, "cd / && %s compile '.data.n + 1 == 6'", copy) == 0, "no memory");
    output = popen(buf_str(&command), "r");
    assert_non_null(output);
    assert_non_null(fgets(line, sizeof line, output));
    assert_int_equal(pclose(output), 0);
    assert_non_null(strstr(
        line,
        "Internal: this filter needs plasmite-jq, which cannot be loaded: It belongs in "));
}

/* What the copy does. */
static int compile_and_tell(const char *expression)
{
    struct error err = ERROR_INIT;
    struct filter *filter = NULL;

    if (filter_new(bytes_of(expression), &filter, &err) == 0)
        return 1;
    printf("%s: %s: %s\n", error_kind_name(err.kind), err.message, err.hint);
    return 0;
}

/* ---- what a filter sees, and what it says ---- */

static void a_filter__sees_the_whole_envelope(void **state)
{
    static const char *const true_ones[] = {
        ".seq == 7",
        ".time == \"2023-11-14T22:13:21.000000005Z\"",
        ".meta == {\"tags\": [\"a\", \"b c\"]}",
        ".meta.tags[]? == \"b c\"",
        ".meta.tags | index(\"a\") != null",
        ".data.level == \"error\" and .data.n > 4",
        "keys == [\"data\", \"meta\", \"seq\", \"time\"]",
        ".data[\"level\"] | test(\"^ERR\"; \"i\")",
        "[.data.list[] | select(. > 1)] | length == 2",
        "has(\"data\") and (has(\"x\") | not)",
    };

    (void)state;
    for (size_t i = 0; i < LEN(true_ones); i++)
        says(true_ones[i], "{\"level\": \"error\", \"n\": 5, \"list\": [1, 2, 3]}", FILTER_YES);
}

static void outputs__are_looked_at_in_order(void **state)
{
    static const struct {
        const char *expression;
        enum filter_result result;
    } cases[] = {
        {"true",                     FILTER_YES},
        {"false",                    FILTER_NO },
        {"null",                     FILTER_NO },
        {".data.missing",            FILTER_NO },
        {"empty",                    FILTER_NO },
        {"false, null, true, false", FILTER_YES},
        {"true, 1",                  FILTER_ODD},
        {"1, error(\"x\")",          FILTER_ODD},
        {"error(\"x\"), 1",          FILTER_NO },
        {"true, error(\"x\")",       FILTER_NO },
        {".data.n.x.y == null",      FILTER_NO },
        {".data[0]",                 FILTER_NO },
        {".data",                    FILTER_ODD},
        {"[]",                       FILTER_ODD},
        {"\"true\"",                 FILTER_ODD},
    };

    (void)state;
    for (size_t i = 0; i < LEN(cases); i++)
        says(cases[i].expression, "{\"n\":5}", cases[i].result);
}

static void an_odd_output__is_shown(void **state)
{
    auto_filter struct filter *filter = filter_of(".data | .n + 1");
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(match(filter, "{\"n\":5}", &err), FILTER_ODD);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_string_equal(err.message, "filter expression must yield booleans");
    assert_non_null(strstr(err.hint, "`.data | .n + 1` gave 6."));
    assert_int_equal(match(filter, "{\"n\":\"x\"}", &err), FILTER_NO);
    assert_int_equal(match(filter, "{\"n\":null}", &err), FILTER_ODD);
}

static void a_filter__is_used_again_after_errors(void **state)
{
    auto_filter struct filter *filter = filter_of(".data.n | tonumber | . % 2 == 0");

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(match(filter, "{\"n\":\"x\"}", NULL), FILTER_NO);
        assert_int_equal(match(filter, "{\"n\":4}", NULL), FILTER_YES);
        assert_int_equal(match(filter, "{\"n\":5}", NULL), FILTER_NO);
    }
}

static void data_at_its_limits__is_seen(void **state)
{
    auto_buf struct buf deep = BUF_INIT;

    (void)state;
    says(".data.s == \"\\ufffd\\ufffd\"", "{\"s\":\"\\uDC00\\ud800\"}", FILTER_YES);
    says(".data.s == \"\\ufffd!\\ufffd\"", "{\"s\":\"\\ud800!\\uDFFF\"}", FILTER_YES);
    says(".data.s == \"\\\\ud800\\ud83d\\ude00\"", "{\"s\":\"\\\\ud800\\uD83D\\uDE00\"}",
         FILTER_YES);
    says(".data.n > 1e300", "{\"n\":1e400}", FILTER_YES);
    says(".data.n < -1e300", "{\"n\":-1e400}", FILTER_YES);
    says(".data.n == 0", "{\"n\":-0}", FILTER_YES);
    says(".data.k == 2", "{\"k\":1,\"k\":2}", FILTER_YES);
    says(".data[\"\"] == \"a\\u0000b\"", "{\"\":\"a\\u0000b\"}", FILTER_YES);
    must(buf_add_str(&deep, "{\"d\":") == 0, "no memory");
    for (int i = 0; i < 119; i++)
        must(buf_add_char(&deep, '[') == 0, "no memory");
    for (int i = 0; i < 119; i++)
        must(buf_add_char(&deep, ']') == 0, "no memory");
    must(buf_add_str(&deep, "}") == 0, "no memory");
    says("[.data.d | recurse(.[]?)] | length == 119", buf_str(&deep), FILTER_YES);
}

/* The processor cannot divide these two; jq 1.6 would die of it. */
static void the_lowest_integer__may_be_divided(void **state)
{
    (void)state;
    says(".data.n % -1 == 0", "{\"n\":-9223372036854775808}", FILTER_YES);
    says(".data.n % .data.m == 0", "{\"n\":-9223372036854775808,\"m\":-1.5}", FILTER_YES);
    says("7 % 4 == 3 and -7 % 4 == -3 and 7 % -4 == 3", "{}", FILTER_YES);
    says(".data.n %= 4 | .data.n == 3", "{\"n\":7}", FILTER_YES);
}

/* ---- errors ---- */

static void what_does_not_compile__is_pointed_at(void **state)
{
    static const struct {
        const char *expression, *hint;
    } cases[] = {
        {"",                                "it is empty"                                                 },
        {"not valid jq",                    "`not valid jq`, at character 5: `valid` does not belong here"},
        {".data.level = = \"x\"",           ", at character 15: `=` does not belong here"                 },
        {".data.level ==",                  ", at its end: something is missing"                          },
        {".data | foo(.x)",                 ", at character 9: foo/1 is not defined"                      },
        {"\"\xc3\xa4\" == .data.foo | foo", ", at character 20: foo/0 is not defined"                     },
        {".data.x == $y",                   ", at character 13: $y is not defined"                        },
        {".a | $x == \"x\", x",             "$x is not defined"                                           },
        {".data)",                          ", at character 6: there is nothing that this closes"         },
        {"(.data.x == [1, 2)",              ", at character 13: what opens here is not closed"            },
        {"if .data then true",              ", at character 1: what opens here is not closed"             },
        {".data.x end",                     ", at character 9: there is no `if` for this `end`"           },
        {".data.s == \"x",                  ", at character 12: the string that begins here has no end"   },
        {"\"\\(1 + ]\"",                    "what opens here is not closed"                               },
        {".data.x \xe2\x89\xa0 1",          ", at character 9: this character has no meaning here"        },
        {".data.x == 1\n  and and",         ", at character 20: `and` does not belong here"               },
        {"\"\\x\"",                         "Invalid escape"                                              },
        {"1 / 0",                           "Division by zero"                                            },
        {"\xff",                            "it is not UTF-8"                                             },
        {"# nothing\n .x .y z",             ", at character 18: `z` does not belong here"                 },
    };

    (void)state;
    for (size_t i = 0; i < LEN(cases); i++)
        fails_with(cases[i].expression, cases[i].hint);
}

static void what_is_often_mistaken__is_named(void **state)
{
    static const struct {
        const char *expression, *hint;
    } cases[] = {
        {".seq == 1 && .data.ok",             "`.seq == 1 && .data.ok`, at character 11: `&&` is `and` in jq."           },
        {".seq == 1 & .data.ok",              ", at character 11: `&` has no meaning in jq; `and` joins conditions."     },
        {".seq == 1 || .data.ok",             ", at character 11: `||` is `or` in jq."                                   },
        {"!.data.ok",                         ", at character 1: `!` is `not` in jq, behind a pipe, as in "
                                              "`(.data.ok | not)`."                                                      },
        {".data.a ! = 1",                     ", at character 9: `!` is `not` in jq"                                     },
        {".data.a === 1",                     ", at character 9: `===` is `==` in jq."                                   },
        {".data.a !== 1",                     ", at character 9: `!==` is `!=` in jq."                                   },
        {".data.a =< 1",                      ", at character 9: `=<` is `<=` in jq."                                    },
        {".data.a <> 1",                      ", at character 9: `<>` is `!=` in jq."                                    },
        {".data.a =~ \"x\"",                  ", at character 10: `~` is `test` in jq"                                   },
        {".data.level == 'error'",            ", at character 16: strings stand between double quotes: \"error\"."       },
        {".data.level == 'a \"b\"'",          ", at character 16: strings stand between double quotes: \"text\"."        },
        {".data.level == '",                  ", at character 16: strings stand between double quotes"                   },
        {".seq == 1 AND .seq == 2",           ", at character 11: `AND` is `and` in jq."                                 },
        {".data.ok == True",                  ", at character 13: `True` is `true` in jq."                               },
        {".data.a-b == 1",                    ", at character 8: a key with a dash is written `.data[\"a-b\"]`; a minus "
                                              "has blanks around it."                                                    },
        {".data | .content-typ == 1",         "is written `.[\"content-typ\"]`"                                          },
        {".data.x.a-b-c.d | test(\"x\")",     "is written `.data.x[\"a-b-c\"]`"                                          },
        {".data.[\"a b\"] == 1",              ", at character 6: no dot stands before `[`, as in `.data[\"a b\"]`."      },
        {".data.level = \"error\"",           ", at character 13: `=` sets a value; `==` compares."                      },
        {".seq > 1 and .data.level = \"e\"",  ", at character 26: `=` sets"                                              },
        {"(.data.list[0].a = 1)",             ", at character 18: `=` sets"                                              },
        {".data | .[\"a b\"] = 1",            ", at character 18: `=` sets"                                              },
        {"data.level == \"error\"",           ", at character 1: data/0 is not defined; a key is `.data`, a string "
                                              "`\"data\"`."                                                              },
        {".data.level == green",              ", at character 16: green/0 is not defined; a key is `.green`, a string "
                                              "`\"green\"`."                                                             },
    };
    static const char *const fine[] = {
        ".data[\"a-b\"] == 1",
        ".data.a -1 == 0",
        ".data.a - .data.b == 0",
        "def b: 1; .data.a-b == 0",
        "def f(b): .data.a-b; f(1) == 0",
        "def f(AND): AND; f(true)",
        ".data.total-length == 0",
        ".data.a-length-now == 0",
        ".data.a-not == 0",
        ". = true",
        ".data.ok | . = true",
        ".data.ok | .a? = 1",
        "true | .data? = 1",
        "true, .data.x = 1",
        ".data.x // .data.y = 1",
        ".data.x = 1 // true",
        ".data.x = 1, true",
        ".seq > 1 and (.data.l = \"e\")",
        "any(.data[]; . = 1)",
        "if .data.a = 1 then true else false end",
        "(.data.level = \"e\") | .data.level == \"e\"",
        ".data | .level = 1 | .level == 1",
        ".level = .data.level | .level == 1",
        "[.data | .x = 1] | length == 1",
        "map_values(.x? = 1) | length == 4",
        "(.data.x = 1) == .",
        ".data.level? // .level",
        ".level? == 1",
        ".level // .data.level",
        "has(\"level\")",
        ".data | .level == 1 and .tags == null",
        "{level: 1} | .level == 1",
        "def AND: 1; AND == 1",
        ".data.AND == {OR: 1}.OR",
        "\"'&&\" == \"||!\" # && ' ~",
        ".[\"data\"] == 1",
        "if true then .[\"data\"] else 1 end",
    };

    (void)state;
    for (size_t i = 0; i < LEN(cases); i++)
        fails_with(cases[i].expression, cases[i].hint);
    for (size_t i = 0; i < LEN(fine); i++)
        filter_free(filter_of(fine[i]));
}

static void what_is_hardly_meant__is_doubted(void **state)
{
    static const struct {
        const char *expression, *doubt;
    } cases[] = {
        {".level == \"error\"",                   "no message has `.level` at its top; did you mean `.data.level`?"},
        {".seq == 1 and .n % 2 == 0",             "no message has `.n` at its top; did you mean `.data.n`?"        },
        {".seq % 2 == 0 and .n == 0",             "no message has `.n` at its top; did you mean `.data.n`?"        },
        {".n == 1 and .seq % 2 == 0",             "no message has `.n` at its top; did you mean `.data.n`?"        },
        {".n % 2 == 0",                           "no message has `.n` at its top; did you mean `.data.n`?"        },
        {"select(.data.a == 1 or .b.c == 1)",     "no message has `.b` at its top; did you mean `.data.b`?"        },
        {".tags[] == \"a\"",                      "no message has `.tags` at its top; did you mean `.meta.tags`?"  },
        {".seq > 1 and (.data.l = \"e\")",        "`=` sets a value; `==` compares"                                },
        {"any(.data[]; . = 1)",                   "`=` sets a value; `==` compares"                                },
        {".data | select(.level = \"e\")",        "`=` sets a value; `==` compares"                                },
        {"if .data.a = 1 then true else 0 end",   "`=` sets a value; `==` compares"                                },
        {".data.content-type == 1",               "a key with a dash is written `.data[\"content-type\"]`; a minus "
                                                  "has blanks around it"                                          },
        {".data.n -1 == 1",                       NULL                                                             },
        {".data.n - length == 1",                 NULL                                                             },
        {".data.level == \"error\"",              NULL                                                             },
        {".seq == 1 and .meta.tags[] == \"a\"",   NULL                                                             },
        {".data | .level == 1 and .tags == null", NULL                                                             },
        {".data.level? // .level",                NULL                                                             },
        {".level? == 1",                          NULL                                                             },
        {".level // .data.level",                 NULL                                                             },
        {".level = .data.level | .level == 1",    NULL                                                             },
        {"[.data | .x = 1] | length == 1",        NULL                                                             },
        {"(.data.x = 1) == .",                    NULL                                                             },
        {"{level: 1} | .level == 1",              NULL                                                             },
    };

    (void)state;
    for (size_t i = 0; i < LEN(cases); i++) {
        auto_filter struct filter *filter = filter_of(cases[i].expression);
        const char *doubt = filter_doubt(filter);

        must((doubt == NULL) == (cases[i].doubt == NULL), "%s", cases[i].expression);
        if (doubt != NULL)
            assert_string_equal(doubt, cases[i].doubt);
    }
}

/* A key that is missing is null, at the top of the message as anywhere. */
static void a_first_key_that_no_message_has__is_null(void **state)
{
    (void)state;
    says(".level == \"error\"", "{\"level\":\"error\"}", FILTER_NO);
    says(".level", "{\"level\":\"error\"}", FILTER_NO);
    says(".level == null", "{\"level\":\"error\"}", FILTER_YES);
    says(".level.of[\"it\"] == null", "{\"level\":\"error\"}", FILTER_YES);
    says(".level + 1 == 1", "{\"level\":\"error\"}", FILTER_YES);
    says(".level == null and .seq % 1 == 0", "{\"level\":\"error\"}", FILTER_YES);
    says(".level == \"error\" and .seq % 1 == 0", "{\"level\":\"error\"}", FILTER_NO);
}

static void what_is_long_or_deep__is_refused(void **state)
{
    static const struct {
        const char *piece;
        size_t times;
        const char *end, *hint;
    } cases[] = {
        {"(",                   60000, "",  "nest too deeply"        },
        {"[",                   60000, "",  "nest too deeply"        },
        {"\"\\(",               20000, "",  "nest too deeply"        },
        {"if . then ",          6000,  "",  "nest too deeply"        },
        {"{a:",                 20000, "",  "nest too deeply"        },
        {"reduce . as $x (0; ", 3000,  "",  "nest too deeply"        },
        {".+",                  32000, ".", "words"                  },
        {".data.x,",            9000,  ".", "longer than 65536 bytes"},
        {"try ",                9000,  ".", "words"                  },
        {" ",                   65537, "",  "longer than 65536 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < LEN(cases); i++) {
        auto_buf struct buf text = BUF_INIT;

        for (size_t k = 0; k < cases[i].times; k++)
            must(buf_add_str(&text, cases[i].piece) == 0, "no memory");
        must(buf_add_str(&text, cases[i].end) == 0, "no memory");
        fails_with(buf_str(&text), cases[i].hint);
    }
}

static void a_nul_byte__does_not_hide_the_rest(void **state)
{
    struct filter *filter;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(filter_new(BYTES("true\0 | env"), &filter, &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
}

/* ---- what no filter may have ---- */

static void other_worlds__are_refused_however_spelt(void **state)
{
    static const char *const refused[] = {
        "env",
        "env.HOME == \"/root\"",
        "(env|length) > 0",
        ".data.x==env",
        "[env]",
        "{a:env}",
        "{\"a\":env}",
        "{(env|\"x\"):1}",
        "{a:(1,env,2)}",
        "{a:[1,env]}",
        "{a: if . then 1, env, 2 else 3 end}",
        "\"\\(env)\" == \"x\"",
        "\"a\\(\"b\\(env)c\")d\" == \"x\"",
        "@base64 \"\\(env)\" == \"x\"",
        "#env\nenv",
        "# \\\nenv",
        ".data|env",
        "$ENV.HOME == \"x\"",
        "$ ENV|length > 0",
        "$\t#x\nENV|length > 0",
        "{$ENV}|length > 0",
        "\"\\($ENV)\" == \"\"",
        ". as $ENV | true",
        "$__prog_args",
        "input",
        "[inputs]",
        "try input catch .",
        "debug",
        ".data|debug|true",
        "stderr",
        "halt",
        "halt_error",
        "\"x\"|halt_error(1)",
        "input_filename",
        "input_line_number",
        "get_search_list",
        "get_jq_origin",
        "get_prog_origin",
        "modulemeta",
        "import \"a\" as a; true",
        "include \"a\"; true",
        "module {}; true",
        "def input: true; input",
        "def f(env): true; f(1)",
        "reduce env as $x (0; 1)",
        "path(env)",
        ".[env]?",
    };

    (void)state;
    for (size_t i = 0; i < LEN(refused); i++)
        fails_with(refused[i], "for filters");
}

static void names_of_jqs_own__are_refused(void **state)
{
    static const char *const refused[] = {
        "_mod(-9223372036854775808; -1) == 1",
        "\"abc\" | _strindices(\"\") == 1",
        "_input",
        "def _f: 1; _f == 1",
    };

    (void)state;
    for (size_t i = 0; i < LEN(refused); i++)
        fails_with(refused[i], "are jq's own");
}

static void names_that_only_look_like_them__are_taken(void **state)
{
    static const char *const taken[] = {
        ".data.env == 1",
        ".data | .env == 1",
        ".data[\"env\"] == 1",
        ".data.\"env\" == 1",
        ".data | {env} | .env == 1",
        "{env: 1, input: 2} | .env + .input == 3",
        "{a: 1, env : 2} | .env == 2",
        "{\"x\": 1, import: 2} | .import == 2",
        "1 as $env | $env == 1",
        "\"env\" == \"env\" # env",
        "\"\\\\(env)\" != \"x\"",
        ". as {data: {env: $x}} | $x == 1",
        "def environment: true; environment",
        "1 as $_env | $_env == 1 and ({_env: 1} | ._env == 1)",
        "{if: 1} | .if == 1 and (if true then true else false end)",
    };

    (void)state;
    for (size_t i = 0; i < LEN(taken); i++)
        says(taken[i], "{\"env\": 1}", FILTER_YES);
}

static void the_home_of_jq__is_not_read(void **state)
{
    const char *before = getenv("HOME");
    auto_buf struct buf path = BUF_INIT;

    (void)state;
    file_write(scratch_path(".jq"), "def length: true; def mine: true;",
               strlen("def length: true; def mine: true;"));
    assert_int_equal(setenv("HOME", scratch_dir(), 1), 0);
    fails_with("mine", "mine/0 is not defined");
    says("[1] | length == 1 and (length | type) == \"number\"", "{}", FILTER_YES);
    assert_string_equal(getenv("HOME"), scratch_dir());
    if (before != NULL)
        assert_int_equal(setenv("HOME", before, 1), 0);
}

/* ---- hostile expressions and messages ---- */

static void what_would_end_or_hang_jq__does_not(void **state)
{
    static const char *const expressions[] = {
        "[.data.s] | .[0] | index(\"\")",
        "[.data.s] | .[0] | rindex(.[0:0]) != null",
        "[.data.s] | .[0] | indices(\"\") | length > 0",
        ".data.t | todate | false",
        ".data.t | strftime(\"%Y\") | false",
        ".data.t | strflocaltime(\"%Y\") | false",
        ".data | implode",
        "[.data.t] | implode | false",
        "1e18 | gmtime",
        ".data.n % -1 == 1",
        "[.data.s | match(\"(a+)+$\")] | length > 0",
        ".data.s | test(\"(a+)+$\")",
    };

    (void)state;
    for (size_t i = 0; i < LEN(expressions); i++)
        says(expressions[i],
             "{\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\","
             "\"t\":1e18,\"n\":-9223372036854775808}",
             FILTER_NO);
}

static void a_slice_without_numbers__is_one_without_ends(void **state)
{
    static const char *const expressions[] = {
        ".data.s[nan:] == \"abc\"",
        ".data.s[:nan] == \"abc\"",
        ".data.a[(infinite - infinite):] == [1, 2]",
        ".data.a[\"nan\" | tonumber : nan] == [1, 2]",
        ".data.a | .[{start: nan, end: 1}] == [1]",
        ".data.a | .[nan:] = [3] | . == [3]",
        ".data.a | del(.[nan:1]) | . == [2]",
        ".data.a | getpath([{start: 1, end: nan}]) == [2]",
        ".data.a | setpath([{start: 1, end: nan}]; []) == [1]",
        "{start: nan, end: 1} | .start == null and .end == 1",
    };

    (void)state;
    for (size_t i = 0; i < LEN(expressions); i++)
        says(expressions[i], "{\"s\":\"abc\",\"a\":[1,2]}", FILTER_YES);
}

static void fails_on(const char *expression, const char *data, const char *message)
{
    auto_filter struct filter *filter = filter_of(expression);
    struct error err = ERROR_INIT;

    must(match(filter, data, &err) == FILTER_FAILED, "%.200s", expression);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_string_equal(err.message, message);
    assert_int_equal(err.seq, 7);
    assert_int_equal(match(filter, "{}", &err), FILTER_NO);
}

static void endless_work__is_ended(void **state)
{
    (void)state;
    fails_on("def f: if .data.go then f else false end; f", "{\"go\":true}",
             "the filter takes too much time or memory on a message");
    fails_on("if .data.go then [range(1e9) | [.]] | length == 1 else false end", "{\"go\":true}",
             "the filter takes too much time or memory on a message");
}

/* Another thread is in the middle of compiling and matching whenever this one forks. */
static void *compile_and_match(void *stop)
{
    while (!atomic_load((atomic_bool *)stop))
        says(".data.n + 1 == 6", "{\"n\":5}", FILTER_YES);
    return NULL;
}

/* The thread sanitizer ends children of fork() that start threads, unless it is asked not to. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0 report_thread_leaks=0";
}

static void a_child_of_fork__can_use_filters(void **state)
{
    auto_filter struct filter *before = filter_of(".data.n + 1 == 6");
    static atomic_bool stop;
    pthread_t thread;

    (void)state;
    assert_int_equal(setenv("HOME", scratch_dir(), 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, compile_and_match, &stop), 0);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            alarm(60); /* a lock that nobody gives back */
            must(strcmp(getenv("HOME"), scratch_dir()) == 0, "HOME is %s", getenv("HOME"));
            must(match(before, "{\"n\":5}", NULL) == FILTER_YES, "no match");
            says(".data.n + 1 == 7", "{\"n\":6}", FILTER_YES);
            _exit(0);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void products_of_lists__have_a_limit(void **state)
{
    auto_buf struct buf data = BUF_INIT;

    (void)state;
    buf_add_str(&data, "{\"a\":[0");
    for (int i = 1; i < 5000; i++)
        buf_printf(&data, ",%d", i);
    buf_add_str(&data, "]}");
    fails_on(".data.a[] == .data.a[]", buf_str(&data),
             "the filter takes too many steps on a message");
}

/* One of these would take minutes, or an hour. */
static void what_is_not_a_value__counts_too(void **state)
{
    static const char too_long[] = "the filter takes too many steps on a message";
    auto_buf struct buf lists = BUF_INIT, names = BUF_INIT, keys = BUF_INIT, logic = BUF_INIT;

    (void)state;
    buf_add_str(&lists, "{\"texts\":[0");
    for (int i = 0; i < 20000; i++)
        buf_add_str(&lists, ",\"aaaaaaaaaaaaaaaaaac\"");
    buf_add_str(&lists, "],\"some\":[0");
    for (int i = 0; i < 20000; i++)
        buf_add_str(&lists, ",1");
    buf_add_str(&lists, "],\"word\":\"");
    for (int i = 0; i < 100000; i++)
        buf_add_str(&lists, "ab");
    buf_add_str(&lists, "\"}");
    fails_on("any(.data.texts[]?; strings | test(\"^(a+)+[bd]*$\"))", buf_str(&lists), too_long);
    fails_on(".data | any((.texts | length) < .some[]?; . == null)", buf_str(&lists), too_long);
    fails_on("(.data.word | length) == .data.some[]?", buf_str(&lists), too_long);
    fails_on("(.data.word | contains(\"bac\")) == .data.some[]?", buf_str(&lists), too_long);

    buf_add_str(&names, ".data.a0");
    for (int i = 1; i < 4000; i++)
        buf_printf(&names, " or .data.a%d", i);
    buf_add_str(&keys, "{\"k\":0");
    for (int i = 0; i < 80000; i++)
        buf_printf(&keys, ",\"k%d\":0", i);
    buf_add_str(&keys, "}");
    fails_on(buf_str(&names), buf_str(&keys), too_long);

    buf_add_str(&logic, "any(.data.some[]?; false");
    for (int i = 0; i < 6000; i++)
        buf_add_str(&logic, " or false");
    buf_add_str(&logic, ")");
    fails_on(buf_str(&logic), buf_str(&lists), too_long);
}

/* From each of 200,000 places to the end, without a single retry: 20 s when nobody looks at the time. */
static void a_regex_without_retries__has_a_limit(void **state)
{
    auto_buf struct buf data = BUF_INIT;

    (void)state;
    buf_add_str(&data, "{\"s\":\"");
    for (int i = 0; i < 200000; i++)
        buf_add_char(&data, 'a');
    buf_add_str(&data, "\u00e9db\"}");
    fails_on(".data.s | test(\"(?>a*)b\")", buf_str(&data),
             "the filter takes too many steps on a message");
    says(".data.s | test(\"db$\")", buf_str(&data), FILTER_YES);
    says(".data.s | test(\"$\")", buf_str(&data), FILTER_YES);
    says(".data.s | test(\"[f\u00e8]\")", buf_str(&data), FILTER_NO);
    says(".data.s | test(\"(?<=aa).[c-d]b\")", buf_str(&data), FILTER_YES);
}

static void numbers_in_texts__are_read_as_by_jq(void **state)
{
    static const struct {
        const char *data;
        enum filter_result result;
    } cases[] = {
        {"{\"s\":\"\\f1\"}",         FILTER_YES},
        {"{\"s\":\"\\u000b1\"}",     FILTER_YES},
        {"{\"s\":\" \\f1\"}",        FILTER_YES},
        {"{\"s\":\"1\\u001e\"}",     FILTER_YES},
        {"{\"s\":\"1 \\u001e \"}",   FILTER_YES},
        {"{\"s\":\"\\u001e1\"}",     FILTER_NO },
        {"{\"s\":\"1\\f\"}",         FILTER_NO },
        {"{\"s\":\"\\u000b 1\"}",    FILTER_NO },
    };

    (void)state;
    for (size_t i = 0; i < LEN(cases); i++) {
        says(".data.s | tonumber == 1", cases[i].data, cases[i].result);
        says(".data.s | [.[0:]] | .[0] | tonumber == 1", cases[i].data, cases[i].result);
    }
}

static void strangers__get_the_native_evaluator_alone(void **state)
{
    static const struct {
        const char *expression, *word;
    } refused[] = {
        {".data.n + 1 == 2",          "`+` is not among what filters may use here"},
        {"def f: f; f",               "`def` is not among"                        },
        {"[range(1e9)] | length > 1", "`range` is not among"                      },
        {".data | keys == []",        "`keys` is not among"                       },
        {".data.s | test(.data.re)",  "`.data` is not among"                      },
        {"reduce .data as $x (0; 1)", "`reduce` is not among"                     },
        {".data ==",                  "something is missing"                      },
        {".data.s | test(\"(?=a)b\")",  "at character 16: regular expressions here have no"},
        {".data.s | test(\"(?>a*)b\")", "regular expressions here have no"        },
        {".data.s | test(\"(?<!a*)b\")", "regular expressions here have no"       },
        {".data.s | test(\"a*+b\")",    "regular expressions here have no"        },
        {".data.s | test(\"(a*)\\\\1\")",  "regular expressions here have no"       },
        {".data.s | test(\"\\\\Ga\")",     "regular expressions here have no"       },
        {"env",                       "is not for filters"                        },
    };

    (void)state;
    for (size_t i = 0; i < LEN(refused); i++) {
        struct error err = ERROR_INIT;
        struct filter *filter;

        assert_int_equal(
            filter_new_with(bytes_of(refused[i].expression), FILTER_NATIVE_ONLY, &filter, &err),
            -1);
        assert_int_equal(err.kind, PLSM_ERROR_USAGE);
        assert_string_equal(err.message, "invalid filter expression");
        if (strstr(err.hint, refused[i].word) == NULL)
            fail_msg("%s: `%s` is not in: %s", refused[i].expression, refused[i].word, err.hint);
    }
}

/* What takes a quarter of a second of the owner takes less of it for others. */
/* 180 bytes for each key were a third of a gigabyte. */
static void counting_keys__takes_little_memory(void **state)
{
    auto_filter struct filter *filter = filter_of(".data | length == 1000000");
    auto_buf struct buf data = BUF_INIT;
    struct message message = {.seq = 1};
    struct rusage before, after;

    (void)state;
    buf_add_str(&data, "{\"a\":1,\"\\u0061\":2,\"b\":3");
    for (int i = 2; i < 1000000; i++)
        buf_printf(&data, ",\"%x\":0", 16 + i);
    buf_add_str(&data, "}");
    message.data = buf_bytes(&data);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(filter_match(filter, &message, NULL), FILTER_YES);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 50000); /* KiB; with what it takes to sort */
#endif
}

static void strangers__get_less_time(void **state)
{
    auto_filter struct filter *owner = filter_of("(.data.a[] == .data.a[]) | false");
    auto_filter struct filter *other = NULL;
    auto_buf struct buf data = BUF_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(filter_new_with(BYTES("(.data.a[] == .data.a[]) | false"), FILTER_NATIVE_ONLY,
                                     &other, &err),
                     0);
    buf_add_str(&data, "{\"a\":[0");
    for (int i = 1; i < 1500; i++)
        buf_printf(&data, ",%d", i);
    buf_add_str(&data, "]}");
    assert_int_equal(match(owner, buf_str(&data), &err), FILTER_NO);
    assert_int_equal(match(other, buf_str(&data), &err), FILTER_FAILED);
    assert_string_equal(err.message, "the filter takes too many steps on a message");
    filter_free(other);
    assert_int_equal(filter_new_with(BYTES(".data.s | test(\"^(?:a|(b|c*?)+)[^+*]{2,}?$\"; \"x\")"),
                                     FILTER_NATIVE_ONLY, &other, &err),
                     0);
    assert_int_equal(match(other, "{\"s\":\"abcdef\"}", &err), FILTER_YES);
}

/*
 * Bytes of a pool file that somebody else wrote: no answer is right, but nothing is read behind the
 * end.
 */
static void what_is_no_json__is_survived(void **state)
{
    static const char *const expressions[] = {
        ".data.a.b == 1",
        ".data == {}",
        ".data | length > 1",
        "any(.data.a[]; . == 1)",
        ".data.a | test(\"x+\")",
        ".data.a | contains([1])",
        ".data | contains({a: {}})",
        ".data < .data.a",
        ".data.a | tonumber > 1",
    };
    static const char text[] =
        "{\"a\":{\"b\":[1,{\"\\u12\":\"\\ud8\"}],\"a\":\"\\\",\"c\":-1e},\"a\":[{\"a\":[[[\"";

    (void)state;
    for (size_t i = 0; i < LEN(expressions); i++) {
        auto_filter struct filter *filter = filter_of(expressions[i]);

        for (size_t from = 0; from < sizeof text; from++)
            for (size_t n = 0; n < sizeof text - from; n++) {
                char *exact = malloc(n + 1); /* so that a sanitizer sees its end */
                struct message message = {
                    .seq = 1, .tags = BYTES("\"a"), .data = {exact + 1, n}
                };

                memcpy(exact + 1, text + from, n);
                (void)filter_match(filter, &message, NULL);
                free(exact);
            }
    }
}

/* ---- where we leave jq on purpose ---- */

static void whole_numbers__are_compared_exactly(void **state)
{
    (void)state;
    says(".data.n == 9007199254740993", "{\"n\":9007199254740993}", FILTER_YES);
    says(".data.n == 9007199254740992", "{\"n\":9007199254740993}", FILTER_NO);
    says(".data.n > 9007199254740992", "{\"n\":9007199254740993}", FILTER_YES);
    says(".data.n < -123456789012345678901234567890", "{\"n\":-123456789012345678901234567891}",
         FILTER_YES);
    says(".data.n == \"9007199254740993\" or (.data.s | tonumber) == .data.n",
         "{\"n\":9007199254740993,\"s\":\"9007199254740993\"}", FILTER_YES);
    says(".data.l | contains([18446744073709551615])", "{\"l\":[18446744073709551614]}", FILTER_NO);
    says(".data.n == 1e3 and .data.n == 1000.0", "{\"n\":1000}", FILTER_YES);
}

static void a_regex_that_is_none__does_not_compile(void **state)
{
    (void)state;
    fails_with(".data.s | test(\"(\")", ", at character 16: this regular expression is none: ");
}

/* ---- filters of a stream ---- */

static struct pool *numbers(uint64_t n)
{
    const char *path = scratch_path("numbers.plasmite");
    struct pool *pool;

    (void)unlink(path);
    pool_must_create(path, 65536, POOL_INDEX_AUTO);
    pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t i = 1; i <= n; i++) {
        auto_buf struct buf data = BUF_INIT;
        struct payload payload;
        struct error err = ERROR_INIT;

        must(buf_printf(&data, "{\"n\":%d}", (int)i) == 0, "no memory");
        payload = payload_make((struct bytes){0}, 0, buf_bytes(&data));
        must(pool_append(pool, &payload, 1, 0, NULL, &err) == 0, "%s", err.message);
    }
    return pool;
}

static void gives(struct stream *stream, const uint64_t *seqs, size_t n, enum stream_result end)
{
    struct error err = ERROR_INIT;
    struct message message;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(stream_next(stream, &message, &err), STREAM_MESSAGE);
        assert_int_equal(message.seq, seqs[i]);
    }
    assert_int_equal(stream_next(stream, &message, &err), end);
}

static void a_stream__counts_its_tail_in_matches(void **state)
{
    auto_pool struct pool *pool = numbers(20);
    auto_filter struct filter *threes = filter_of(".data.n % 3 == 0"),
                              *large = filter_of(".data.n < 17");
    struct filter *const both[] = {threes, large};
    struct stream_options options = {
        .start = STREAM_TAIL, .tail = 3, .finite = true, .filters = both, .n_filters = 2};
    struct stream *stream;
    struct error err = ERROR_INIT;
    auto_buf struct buf out = BUF_INIT;
    struct time_cache cache = {0};

    (void)state;
    assert_int_equal(stream_open(pool, &options, &stream, &err), 0);
    gives(stream, (const uint64_t[]){9, 12, 15}, 3, STREAM_DONE);
    stream_close(stream);
    assert_int_equal(stream_open(pool, &options, &stream, &err), 0);
    assert_int_equal(stream_render(stream, 1 << 20, &cache, &out, &err), STREAM_MESSAGE);
    assert_int_equal(stream_render(stream, 1 << 20, &cache, &out, &err), STREAM_DONE);
    assert_int_equal(strncmp(buf_str(&out), "{\"seq\":9,", 9), 0);
    assert_non_null(strstr(out.p, "\n{\"seq\":12,"));
    stream_close(stream);
}

static void a_stream__ends_at_an_odd_output(void **state)
{
    auto_pool struct pool *pool = numbers(5);
    auto_filter struct filter *odd = filter_of("if .data.n == 3 then .data.n else true end");
    struct stream_options options = {
        .start = STREAM_ALL, .finite = true, .filters = &odd, .n_filters = 1};
    auto_stream struct stream *stream = NULL;
    struct error err = ERROR_INIT;
    struct message message;

    (void)state;
    assert_int_equal(stream_open(pool, &options, &stream, &err), 0);
    gives(stream, (const uint64_t[]){1, 2}, 2, STREAM_FAILED);
    options.start = STREAM_TAIL;
    options.tail = 1;
    assert_int_equal(stream_open(pool, &options, &(struct stream *){NULL}, &err), -1);
    assert_string_equal(err.message, "filter expression must yield booleans");
    assert_int_equal(err.seq, 3);
    assert_int_equal(stream_next(stream, &message, &err), STREAM_MESSAGE);
}

static struct stream *stream_of(struct pool *pool, struct filter *const *filters, size_t n)
{
    struct stream_options options = {
        .start = STREAM_ALL, .finite = true, .filters = filters, .n_filters = n};
    struct error err = ERROR_INIT;
    struct stream *stream = NULL;

    must(stream_open(pool, &options, &stream, &err) == 0, "%s", err.message);
    return stream;
}

/* Whatever these two say of a message, and for which it was said. */
static void both_give(struct pool *pool, const char *first, const char *second,
                      const uint64_t *seqs, size_t n, uint64_t fails_at)
{
    auto_filter struct filter *a = filter_of(first), *b = filter_of(second);
    auto_stream struct stream *stream = stream_of(pool, (struct filter *const[]){a, b}, 2);
    struct error err = ERROR_INIT;
    struct message message;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(stream_next(stream, &message, &err), STREAM_MESSAGE);
        assert_int_equal(message.seq, seqs[i]);
    }
    assert_int_equal(stream_next(stream, &message, &err),
                     fails_at != 0 ? STREAM_FAILED : STREAM_DONE);
    if (fails_at != 0)
        assert_int_equal(err.seq, fails_at);
}

static void cheap_filters__are_asked_first(void **state)
{
    static const char hangs[] = "def f: if .data.n < 4 then f else true end; f";
    auto_pool struct pool *pool = numbers(5);

    (void)state;
    both_give(pool, hangs, ".data.n >= 4", (const uint64_t[]){4, 5}, 2, 0);
    both_give(pool, hangs, ".seq >= 4", (const uint64_t[]){4, 5}, 2, 0);
    /* what one says that is no answer counts as it did before, but where a cheaper one says no */
    both_give(pool, ".data.n + 1 == 0", ".data.n", NULL, 0, 0);
    both_give(pool, ".data.n + 1", ".data.n == 5", NULL, 0, 5);
    both_give(pool, ".data.n == 5", ".data.n", NULL, 0, 5);
    both_give(pool, ".data.n", ".data.n != .data.n", NULL, 0, 1);
}

/* Flips a bit within the file where this text begins. */
static void damage(const char *path, const char *text)
{
    auto_buf struct buf bytes = BUF_INIT;
    char *at;

    file_read(path, &bytes);
    at = memmem(bytes.p, bytes.n, text, strlen(text));
    must(at != NULL, "no %s", text);
    at[1] ^= 1;
    file_write(path, bytes.p, bytes.n);
}

/* jq would not end on messages before the fourth. */
static void of_conditions__libjq_is_asked_last(void **state)
{
    static const char *const expressions[] = {
        ".data.n >= 4 and (def f: if .data.n < 4 then f else true end; f)",
        "(def f: if .data.n < 4 then f else true end; f) and .data.n >= 4 and (.data.n < 9)",
        "([.data.n] | map(if . < 4 then until(false; .) else . end) | .[0] > 0)\nand .seq >= 4",
    };
    auto_pool struct pool *pool = numbers(5);

    (void)state;
    for (size_t i = 0; i < LEN(expressions); i++) {
        auto_filter struct filter *filter = filter_of(expressions[i]);
        auto_stream struct stream *stream = stream_of(pool, &filter, 1);

        gives(stream, (const uint64_t[]){4, 5}, 2, STREAM_DONE);
    }
    says("$__loc__.line == 1 and .data.n == 1", "{\"n\":1}", FILTER_YES);
    says("(try true) and (true, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_YES);
    says("(true)? and (true, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_YES);
    says("[true]? and (true, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_YES);
    says(".data[]? and (true, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_NO);
    says(".data.n and .data.n + 1 == 2", "{\"n\":1}", FILTER_YES); /* no boolean, but no matter */
    says("(1, .data.n.x) and .data.n + 1 == 2", "{\"n\":1}", FILTER_NO);
    says(".data.n + 1 == 2 and .data.big == 9007199254740993", "{\"n\":1,\"big\":9007199254740993}",
         FILTER_YES);
    says(".data.n + 1 == 2 and .data.big == 9007199254740993", "{\"n\":1,\"big\":9007199254740992}",
         FILTER_NO);
    fails_with(".seq == 1 and nonsense(2)", "`.seq == 1 and nonsense(2)`, at character 15: nonsense/1");
    fails_with(".seq == 1 and .data.n % 2 == = 3", ", at character 30: `=` does not belong here");
    fails_with(".data.n % 2 == 1 and (.data.s | test(\"(\"))",
               ", at character 38: this regular expression is none: ");
}

static void what_the_envelope_rules_out__is_not_read(void **state)
{
    static const char *const expressions[] = {
        ".seq == 9",
        ".data.n == 9 and .seq > 7",
        ".seq > 7 and .time > \"\" and (.data.n == 9)",
        ".seq == 9 and .meta.tags == []",
        "[1, 9][] == .seq and true and (.seq > 1)",
        ".seq == (9, 10), false",
    };
    auto_pool struct pool *pool = numbers(20);

    (void)state;
    damage(pool_path(pool), "{\"n\":7}");
    for (size_t i = 0; i < LEN(expressions); i++) {
        auto_filter struct filter *filter = filter_of(expressions[i]);
        auto_stream struct stream *stream = stream_of(pool, &filter, 1);

        gives(stream, (const uint64_t[]){9, 10}, 1 + (i == 5), STREAM_DONE);
    }
    auto_filter struct filter *payload = filter_of(".data.n == 9 and .data.n > 0");
    auto_stream struct stream *stream = stream_of(pool, &payload, 1);
    gives(stream, NULL, 0, STREAM_FAILED);

    struct bytes tag = BYTES("x");
    struct stream_options options = {
        .start = STREAM_TAIL, .tail = 1, .finite = true, .tags = &tag, .n_tags = 1};
    auto_stream struct stream *tagged = NULL;
    assert_int_equal(stream_open(pool, &options, &tagged, NULL), 0);
    gives(tagged, NULL, 0, STREAM_DONE);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_filters__load_nothing), /* first: libraries stay */
        cmocka_unit_test(counting_keys__takes_little_memory), /* before the peak is higher */
        cmocka_unit_test(a_missing_module__is_named),
        cmocka_unit_test(a_filter__sees_the_whole_envelope),
        cmocka_unit_test(outputs__are_looked_at_in_order),
        cmocka_unit_test(an_odd_output__is_shown),
        cmocka_unit_test(a_filter__is_used_again_after_errors),
        cmocka_unit_test(data_at_its_limits__is_seen),
        cmocka_unit_test(the_lowest_integer__may_be_divided),
        cmocka_unit_test(what_does_not_compile__is_pointed_at),
        cmocka_unit_test(what_is_often_mistaken__is_named),
        cmocka_unit_test(what_is_hardly_meant__is_doubted),
        cmocka_unit_test(a_first_key_that_no_message_has__is_null),
        cmocka_unit_test(what_is_long_or_deep__is_refused),
        cmocka_unit_test(a_nul_byte__does_not_hide_the_rest),
        cmocka_unit_test(other_worlds__are_refused_however_spelt),
        cmocka_unit_test(names_of_jqs_own__are_refused),
        cmocka_unit_test(names_that_only_look_like_them__are_taken),
        cmocka_unit_test(the_home_of_jq__is_not_read),
        cmocka_unit_test(what_would_end_or_hang_jq__does_not),
        cmocka_unit_test(a_slice_without_numbers__is_one_without_ends),
        cmocka_unit_test(endless_work__is_ended),
        cmocka_unit_test(a_child_of_fork__can_use_filters),
        cmocka_unit_test(products_of_lists__have_a_limit),
        cmocka_unit_test(what_is_not_a_value__counts_too),
        cmocka_unit_test(a_regex_without_retries__has_a_limit),
        cmocka_unit_test(numbers_in_texts__are_read_as_by_jq),
        cmocka_unit_test(strangers__get_the_native_evaluator_alone),
        cmocka_unit_test(strangers__get_less_time),
        cmocka_unit_test(what_is_no_json__is_survived),
        cmocka_unit_test(whole_numbers__are_compared_exactly),
        cmocka_unit_test(a_regex_that_is_none__does_not_compile),
        cmocka_unit_test(a_stream__counts_its_tail_in_matches),
        cmocka_unit_test(a_stream__ends_at_an_odd_output),
        cmocka_unit_test(cheap_filters__are_asked_first),
        cmocka_unit_test(of_conditions__libjq_is_asked_last),
        cmocka_unit_test(what_the_envelope_rules_out__is_not_read),
    };

    if (argc == 3 && strcmp(argv[1], "compile") == 0)
        return compile_and_tell(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
