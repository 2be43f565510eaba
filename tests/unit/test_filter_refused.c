/*
 * Expressions that are no filter: what is said of them, and where the mistake is; what no filter may have.
 */
#include "filters.h"

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

static void too_long_to_look_for_mistakes__says_so(void **state)
{
    auto_buf struct buf text = BUF_INIT;

    (void)state;
    while (text.n < 60000)
        assert_int_equal(buf_add_str(&text, ".a-b|"), 0);
    assert_int_equal(buf_add_str(&text, "True"), 0);
    fails_with(buf_str(&text), "words, and jq takes 8192 at most");
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

static void a_regex_that_is_none__does_not_compile(void **state)
{
    (void)state;
    fails_with(".data.s | test(\"(\")", ", at character 16: this regular expression is none: ");
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_compile__is_pointed_at),
        cmocka_unit_test(what_is_often_mistaken__is_named),
        cmocka_unit_test(too_long_to_look_for_mistakes__says_so),
        cmocka_unit_test(what_is_hardly_meant__is_doubted),
        cmocka_unit_test(what_is_long_or_deep__is_refused),
        cmocka_unit_test(a_nul_byte__does_not_hide_the_rest),
        cmocka_unit_test(other_worlds__are_refused_however_spelt),
        cmocka_unit_test(names_of_jqs_own__are_refused),
        cmocka_unit_test(names_that_only_look_like_them__are_taken),
        cmocka_unit_test(the_home_of_jq__is_not_read),
        cmocka_unit_test(strangers__get_the_native_evaluator_alone),
        cmocka_unit_test(a_regex_that_is_none__does_not_compile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
