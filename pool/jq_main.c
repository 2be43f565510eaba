/*
 * plasmite-jq: libjq in a process of its own, for one filter.  See jq_protocol.h for what it is asked,
 * and jq_jail.h for what it may do.
 */
#include "jq_jail.h"
#include "jq_protocol.h"
#include "regex_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <jq.h>
#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <oniguruma.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ODD_TEXT_SIZE 64 /* bytes of a value in an error, and a NUL */

/* Now and then libjq 1.6 loses some memory: ltrimstr does. */
#define LOOK_AT_MEMORY_EVERY 4096 /* messages */
#define LOST_BYTES_MAX (64UL << 20)

#define TRIM_BYTES                                                                                 \
    (16 << 20) /* the same for jq's; giving it back costs more than what it does with it */
#define KEPT_BYTES_MAX (1UL << 20) /* of memory for messages, from one to the next */

static char why[JQ_TEXT_MAX + 1]; /* the first that jq had to say */

/* ---- the socket ---- */

/* Exactly n bytes, or the end of this process. */
static void read_all(void *to, size_t n)
{
    char *p = to;

    while (n > 0) {
        ssize_t done = jq_receive(STDIN_FILENO, p, n);

        if (done == 0 || (done < 0 && errno != EINTR))
            _exit(0);
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
}

static void reply(enum jq_outcome outcome, const char *text)
{
    struct {
        struct jq_reply head;
        char text[JQ_TEXT_MAX];
    } out = {
        .head = {outcome, (uint32_t)strlen(text)}
    };
    size_t n = sizeof out.head + out.head.n; /* texts are not longer than JQ_TEXT_MAX */

    memcpy(out.text, text, out.head.n);
    if (send(STDIN_FILENO, &out, n, MSG_NOSIGNAL) != (ssize_t)n)
        _exit(0);
}

/* In the middle of anything, also of a signal handler. */
static void too_long(void)
{
    reply(JQ_TOO_LONG, "");
    _exit(0);
}

static void too_large(void *unused)
{
    (void)unused;
    jail_end();
    reply(JQ_TOO_LARGE, "");
    _exit(0);
}

/* ---- compiling ---- */

/* "jq: error: WHAT (Unix shell quoting issues?) at <top-level>, line 1:\nTEXT" */
static void keep_first(void *unused, jv message)
{
    static const char prefix[] = "jq: error: ";
    jv text = jq_format_error(message);
    const char *what = jv_string_value(text), *end;

    (void)unused;
    if (why[0] == '\0') {
        if (strncmp(what, prefix, sizeof prefix - 1) == 0)
            what += sizeof prefix - 1;
        if ((end = strstr(what, " (Unix shell quoting")) == NULL &&
            (end = strstr(what, " at <top-level>, line ")) == NULL &&
            (end = strstr(what, " <unknown location>")) == NULL)
            end = what + strlen(what);
        snprintf(why, sizeof why, "%.*s", (int)(end - what), what);
    }
    jv_free(text);
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
 * name, and the program stands before it where names are looked for.
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

/* NULL: jq said why. */
static jq_state *compile(const char *expression)
{
    char *text = with_cures(expression);
    jq_state *jq = text != NULL ? jq_init() : NULL;

    if (jq == NULL)
        too_large(NULL);
    why[0] = '\0';
    jq_set_error_cb(jq, keep_first, NULL);
    jq_set_nomem_handler(jq, too_large, NULL);
    if (!jq_compile(jq, text))
        jq_teardown(&jq); /* and sets it to NULL */
    free(text);
    return jq;
}

/* ---- matching ---- */

static enum jq_outcome take_odd(jv value, char odd[ODD_TEXT_SIZE])
{
    (void)jv_dump_string_trunc(value, odd, ODD_TEXT_SIZE);
    return JQ_ODD;
}

static enum jq_outcome match(jq_state *jq, jv message, char odd[ODD_TEXT_SIZE])
{
    enum jq_outcome outcome = JQ_NO;
    jv value;

    if (!jv_is_valid(message)) { /* somebody else wrote the pool file */
        jv_free(message);
        return JQ_NO;
    }
    jq_start(jq, message, 0);
    while (jv_is_valid(value = jq_next(jq))) {
        switch (jv_get_kind(value)) {
        case JV_KIND_TRUE:
            outcome = JQ_YES;
            break;
        case JV_KIND_FALSE:
        case JV_KIND_NULL:
            break;
        default:
            return take_odd(value, odd);
        }
        jv_free(value);
    }
    if (jv_invalid_has_msg(value)) /* consumed */
        return JQ_NO;
    return outcome;
}

/* ---- one request after the other ---- */

static struct {
    jq_state *jq;
    char *text; /* what is asked about, with a NUL behind */
    size_t size;
    size_t used_at_first; /* memory, when the filter was compiled */
    unsigned n_matches;
} work;

static void receive(size_t n)
{
    if (n >= INT_MAX)
        too_large(NULL);
    if (n >= work.size || work.size > KEPT_BYTES_MAX) {
        free(work.text);
        work.size = n < 4096 ? 4096 : n + 1;
        work.text = malloc(work.size);
        if (work.text == NULL)
            too_large(NULL);
    }
    read_all(work.text, n);
    work.text[n] = '\0';
}

static size_t memory_used(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void answer_expression(bool keep)
{
    jq_state *jq = compile(work.text);
    bool compiled = jq != NULL;

    if (compiled && !keep)
        jq_teardown(&jq);
    if (compiled && keep) {
        work.jq = jq;
        work.used_at_first = memory_used();
    }
    jail_end();
    reply(compiled ? JQ_COMPILED : JQ_REFUSED, compiled ? "" : why);
}

static void answer_message(size_t n)
{
    char odd[ODD_TEXT_SIZE] = "";
    enum jq_outcome outcome;

    if (work.jq == NULL)
        _exit(1);
    outcome = match(work.jq, jv_parse_sized(work.text, (int)n), odd);
    jail_end();
    reply(outcome, odd);
    if (++work.n_matches % LOOK_AT_MEMORY_EVERY == 0 &&
        memory_used() > work.used_at_first + LOST_BYTES_MAX)
        _exit(0);
}

static void serve(void)
{
    struct jq_request request;

    for (;;) {
        read_all(&request, sizeof request);
        jail_begin(request.n);
        receive(request.n);
        if (request.kind == JQ_MATCH)
            answer_message(request.n);
        else
            answer_expression(request.kind == JQ_COMPILE);
    }
}

int main(void)
{
    socklen_t n = sizeof(int);
    int type;

    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &n) < 0) {
        fputs("plasmite-jq: plasmite starts this program by itself, for filters that need jq.\n",
              stderr);
        return 2;
    }
    closefrom(STDIN_FILENO + 1);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, TRIM_BYTES);
    jv_nomem_handler(too_large, NULL);
    onig_set_retry_limit_in_match(REGEX_RETRIES_MAX);
    onig_set_retry_limit_in_search(REGEX_RETRIES_MAX);
    *(void **)&jq_object_get = dlsym(RTLD_NEXT, "jv_object_get");
    jail_enter(too_long);
    if (send(STDIN_FILENO, JQ_HELLO, sizeof JQ_HELLO - 1, MSG_NOSIGNAL) < 0)
        return 1;
    serve();
}
