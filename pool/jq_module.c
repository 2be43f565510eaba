#include "jq_module.h"

#include "jq_watch.h"

#include <dlfcn.h>
#include <jq.h>
#include <limits.h>
#include <math.h>
#include <oniguruma.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Steps that one regular expression may take on one text; Oniguruma's own limit lets it run for
 * minutes.
 */
#define REGEX_RETRIES_MAX 1000000

struct jq_program {
    jq_state *jq;
    jmp_buf no_memory;
    char *why; /* where to put the first message; NULL while nothing is compiled */
    size_t why_size;
    bool dead; /* memory ran out in the middle of it */
};

/*
 * libjq 1.6 loses a few bytes with some expressions.  A leak sanitizer, where there is one, shall
 * look at ours only.
 */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static void leaks_hide(void)
{
    if (__lsan_disable != NULL)
        __lsan_disable();
}

static void leaks_show(void)
{
    if (__lsan_enable != NULL)
        __lsan_enable();
}

/* ---- what jq has to say ---- */

/* "jq: error: WHAT (Unix shell quoting issues?) at <top-level>, line 1:\nTEXT" */
static void keep_first(void *data, jv message)
{
    static const char prefix[] = "jq: error: ";
    struct jq_program *program = data;
    jv text = jq_format_error(message);
    const char *what = jv_string_value(text), *end;
    size_t n;

    if (program->why != NULL && program->why[0] == '\0') {
        if (strncmp(what, prefix, sizeof prefix - 1) == 0)
            what += sizeof prefix - 1;
        if ((end = strstr(what, " (Unix shell quoting")) == NULL &&
            (end = strstr(what, " at <top-level>, line ")) == NULL &&
            (end = strstr(what, " <unknown location>")) == NULL)
            end = what + strlen(what);
        n = (size_t)(end - what);
        n = n < program->why_size ? n : program->why_size - 1;
        memcpy(program->why, what, n);
        program->why[n] = '\0';
    }
    jv_free(text);
}

/* jq would end the process after this. */
static void no_memory(void *data)
{
    struct jq_program *program = data;

    longjmp(program->no_memory, 1);
}

/* ---- compiling ---- */

/*
 * jq reads $HOME/.jq before every program, or asks the user database for a home.  An empty HOME is
 * the only way to stop it, so that is what it sees: a copy of the environment that differs in
 * nothing else, since other threads see it, too.
 */
static pthread_mutex_t home_lock = PTHREAD_MUTEX_INITIALIZER;

struct home {
    char **before;
    char **without;
};

static int home_hide(struct home *home)
{
    static char no_home[] = "HOME=";
    size_t n = 0, kept = 0;

    pthread_mutex_lock(&home_lock);
    home->before = environ;
    while (environ != NULL && environ[n] != NULL)
        n++;
    home->without = calloc(n + 2, sizeof *home->without);
    if (home->without == NULL) {
        pthread_mutex_unlock(&home_lock);
        return -1;
    }
    home->without[kept++] = no_home;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], no_home, sizeof no_home - 1) != 0)
            home->without[kept++] = environ[i];
    environ = home->without;
    return 0;
}

static void home_show(struct home *home)
{
    environ = home->before;
    pthread_mutex_unlock(&home_lock);
    free(home->without);
}

/*
 * What of jq 1.6 ends or hangs the process, done otherwise, and only where its name occurs.
 * Operators are calls, too: `%` is _mod, and the lowest integer % -1 is more than the processor can
 * divide.  An empty string is looked for without end. A number that is no time is printed as one,
 * although taking it apart has failed.
 */
static const char safe_mod[] = "def _plasmite_mod(a; b): a % b;"
                               "def _mod(a; b): _plasmite_mod(a; b | if type == \"number\" and . > "
                               "-2 and . <= -1 then 1 else . end);";

static const char safe_indices[] = "def _plasmite_indices($i): indices($i);"
                                   "def indices($i): if type == \"string\" and $i == \"\" then "
                                   "null else _plasmite_indices($i) end;"
                                   "def index($i): indices($i) | .[0];"
                                   "def rindex($i): indices($i) | .[-1:][0];";

static const char safe_strftime[] =
    "def _plasmite_strftime(f): strftime(f);"
    "def strftime(f): if type == \"number\" then gmtime else . end | _plasmite_strftime(f);"
    "def _plasmite_strflocaltime(f): strflocaltime(f);"
    "def strflocaltime(f): if type == \"number\" then localtime else . end | "
    "_plasmite_strflocaltime(f);";

static const char safe_todate[] =
    "def _plasmite_todate: todate;"
    "def todate: if type == \"number\" then gmtime else . end | _plasmite_todate;"
    "def todateiso8601: todate;"
    "def date: todate;";

static const struct {
    const char *occurs, *instead;
} cures[] = {
    {"%",    safe_mod     },
    {"ind",  safe_indices },
    {"strf", safe_strftime},
    {"date", safe_todate  },
};

/*
 * A slice from or to nan (.[nan:]) fails an assert within jv_get(), jv_set() and jv_delpaths(),
 * which all ask here for its ends, and take null for "none".  libjq calls its own functions by
 * name, and this module stands before it where names are looked for.
 */
typedef jv object_get(jv object, jv key);
static object_get *jq_object_get;

__attribute__((visibility("default"))) object_get jv_object_get;
jv jv_object_get(jv object, jv key)
{
    const char *name = jv_string_value(key);
    bool is_end = strcmp(name, "start") == 0 || strcmp(name, "end") == 0;
    jv value = jq_object_get(object, key);

    return is_end && jv_get_kind(value) == JV_KIND_NUMBER && isnan(jv_number_value(value))
               ? jv_null()
               : value;
}

static char *with_cures(const char *expression)
{
    size_t n = strlen(expression) + 1;
    char *text, *end;

    for (size_t i = 0; i < sizeof cures / sizeof *cures; i++)
        n += strlen(cures[i].instead);
    text = malloc(n);
    if (text == NULL)
        return NULL;
    end = text;
    for (size_t i = 0; i < sizeof cures / sizeof *cures; i++)
        if (strstr(expression, cures[i].occurs) != NULL)
            end = stpcpy(end, cures[i].instead);
    strcpy(end, expression);
    return text;
}

static void release(struct jq_program *program)
{
    if (program == NULL)
        return;
    if (program->jq != NULL && !program->dead)
        jq_teardown(&program->jq);
    free(program);
}

/* A child of fork() has its HOME. */
static void before_fork(void)
{
    pthread_mutex_lock(&home_lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&home_lock);
}

static void begin(void)
{
    onig_set_retry_limit_in_match(REGEX_RETRIES_MAX);
    onig_set_retry_limit_in_search(REGEX_RETRIES_MAX);
    (void)pthread_atfork(before_fork, after_fork, after_fork); /* no memory: as without */
    watch_init();
    *(void **)&jq_object_get = dlsym(RTLD_NEXT, "jv_object_get");
}

static bool compile_text(struct jq_program *program, const char *text)
{
    struct home home;
    volatile bool compiled = false;

    if (home_hide(&home) < 0)
        return false;
    leaks_hide();
    if (setjmp(program->no_memory) == 0) {
        jv_nomem_handler(no_memory, program);
        program->jq = jq_init();
        jq_set_error_cb(program->jq, keep_first, program);
        jq_set_nomem_handler(program->jq, no_memory, program);
        compiled = jq_compile(program->jq, text);
    } else {
        program->dead = true;
    }
    leaks_show();
    home_show(&home);
    return compiled;
}

static struct jq_program *compile(const char *expression, char *why, size_t why_size)
{
    static pthread_once_t begun = PTHREAD_ONCE_INIT;
    struct jq_program *program = calloc(1, sizeof *program);
    char *text = with_cures(expression);
    bool compiled = false;

    pthread_once(&begun, begin);
    why[0] = '\0';
    if (program != NULL && text != NULL) {
        program->why = why;
        program->why_size = why_size;
        compiled = compile_text(program, text);
        program->why = NULL;
    }
    free(text);
    if (compiled)
        return program;
    if (why[0] == '\0')
        strncpy(why, "out of memory", why_size);
    release(program);
    return NULL;
}

/* ---- matching ---- */

static enum jq_outcome take_odd(jv value, char *odd, size_t odd_size)
{
    (void)jv_dump_string_trunc(value, odd, odd_size);
    return JQ_ODD;
}

static enum jq_outcome look_at(struct jq_program *program, jv message, char *odd, size_t odd_size)
{
    enum jq_outcome outcome = JQ_NO;
    jv value;

    if (!jv_is_valid(message)) { /* somebody else wrote the pool file */
        jv_free(message);
        return JQ_NO;
    }
    jq_start(program->jq, message, 0);
    while (jv_is_valid(value = jq_next(program->jq))) {
        switch (jv_get_kind(value)) {
        case JV_KIND_TRUE:
            outcome = JQ_YES;
            break;
        case JV_KIND_FALSE:
        case JV_KIND_NULL:
            break;
        default:
            return take_odd(value, odd, odd_size);
        }
        jv_free(value);
    }
    if (jv_invalid_has_msg(value)) /* consumed */
        return JQ_NO;
    return outcome;
}

static enum jq_outcome match(struct jq_program *program, const char *json, size_t n, char *odd,
                             size_t odd_size)
{
    volatile enum jq_outcome outcome = JQ_FAILED;
    struct watched watched;

    if (program->dead || n > INT_MAX)
        return JQ_FAILED;
    watch_begin(&watched, program->jq, n);
    leaks_hide();
    if (setjmp(program->no_memory) == 0) {
        jv_nomem_handler(no_memory, program);
        outcome = look_at(program, jv_parse_sized(json, (int)n), odd, odd_size);
    } else {
        program->dead = true;
    }
    leaks_show();
    return watch_end(&watched) ? outcome : JQ_HALTED;
}

__attribute__((visibility("default"))) extern const struct jq_module plasmite_jq_module;

const struct jq_module plasmite_jq_module = {
    .version = JQ_MODULE_VERSION,
    .compile = compile,
    .release = release,
    .match = match,
};
