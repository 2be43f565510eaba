/*
 * A jq expression that says yes or no to a message.
 *
 * The expression sees the whole envelope: .seq, .time, .meta.tags, .data.  Its outputs are looked
 * at in order; the message matches when one of them is true.  false and null are no match, a
 * run-time error ends with no match, and any other output is FILTER_ODD: the caller decides what that
 * means.
 *
 *     filter_new(bytes_of(".data.level == \"error\""), &filter, &err)
 *     filter_match(filter, &message, &err)
 *     filter_free(filter)
 *
 * Every expression means what jq 1.6 takes it to mean, but that
 *
 *  - whole numbers are compared exactly, whatever their size (jq reads them as doubles), in
 *    expressions, and conditions joined by `and`, without arithmetic and the other things that only
 *    libjq knows;
 *  - a lone surrogate in the text (\ud800) is U+FFFD, which jq would refuse;
 *  - what ends jq or hangs it does not: % -1 of the lowest integer is 0, an empty string is found
 *    nowhere by index and its like, a number that is no time is an error;
 *  - a constant regular expression that is none does not compile, where jq would never match;
 *  - a slice from or to nan is one without that end, where jq would abort;
 *  - functions whose names begin with `_` are jq's own and refused; so is `=` where
 *    what it gives is the answer, as in `.data.level = "error"`, which can be neither true nor false;
 *  - there are limits: steps, or seconds and memory, for a message (FILTER_FAILED), steps of a
 *    regular expression and what it remembers at a time (an error of jq: no match), words and
 *    nesting of an expression.
 *
 * What only libjq knows is evaluated by another process, which this one need not know of: no SIGCHLD,
 * nothing to wait for, one descriptor. It ends with the filter or with this process. When it crashes,
 * or takes more than it may, that is FILTER_FAILED, and the filter is as good as before for other
 * messages; but one that fails again and again is not evaluated any more.
 *
 * A filter belongs to one thread at a time, and works in a child of fork().
 */
#ifndef POOL_FILTER_H
#define POOL_FILTER_H

#include "pool/message.h"

#include <stdatomic.h>

struct filter;

/* bytes of an expression; longer is Usage */
#define FILTER_EXPRESSION_MAX (64u * 1024)

enum filter_flags {
    /*
     * For an expression from somebody who must not use more than a moment of this process: only
     * what the native evaluator knows, where each message has a limit of steps, some 20 ms and more
     * for a large one; and no regular expression of which a single match can take for ever (with
     * (?=, (?>, *+ or \1).  Anything else is Usage, and the hint says what it was.
     */
    FILTER_NATIVE_ONLY = 1 << 0,
};

/*
 * Compiles.  Usage with message `invalid filter expression`, a hint that repeats the expression and
 * points at the place (of which err->offset is the byte), when it does not compile or asks for what no filter may have ($ENV, env,
 * import, include, input, inputs, debug, stderr, halt, halt_error, get_search_list, input_filename,
 * input_line_number).  Internal when the part of the program that it needs cannot be loaded.
 *
 * Expressions of paths, comparisons, and, or, not and the usual functions run in here, on the bytes
 * of the message, and are ready in microseconds; the others take libjq 15 to 30 ms to compile, and
 * some 20 us for each KB of each message.  Of conditions joined by `and`, libjq is asked about those
 * that need it, on messages for which all the others are true.
 */
int filter_new_with(struct bytes expression, enum filter_flags flags, struct filter **ret,
                    struct error *err);
int filter_new(struct bytes expression, struct filter **ret, struct error *err);
void filter_free(struct filter *filter);

/*
 * What may be wrong with it all the same, for people, as a sentence that names the part: a first key
 * that no message has (`.level == "error"`, which is as good as `null == "error"`), `=` in a
 * condition, a minus without blanks (`.data.content-type`).  NULL: nothing.  It belongs to the filter.
 */
const char *filter_doubt(const struct filter *filter);

enum filter_result {
    FILTER_NO,
    FILTER_YES,
    /* neither true, false nor null; *err is Usage, `filter expression must yield booleans` */
    FILTER_ODD,
    /*
     * *err: Usage, more time or memory on this message than a filter may take, or jq crashed on it;
     * Internal, no memory; Io, no process
     */
    FILTER_FAILED,
};

enum filter_result filter_match(struct filter *filter, const struct message *message,
                                struct error *err);

/*
 * How often a filter of libjq may still fail before it is not evaluated any more.  Each has its own, unless several of one
 * expression, one for each thread, share one.
 */
struct filter_credit {
    atomic_uint failures;
    atomic_uint answers; /* since that number was changed */
};
#define FILTER_FAILURES_MAX 4
#define FILTER_CREDIT_INIT {FILTER_FAILURES_MAX, 0}

/* Before the first match.  The credit is borrowed for as long as the filter lives; any number of threads. */
void filter_share(struct filter *filter, struct filter_credit *credit);

/*
 * True when number, time and tags of the message say that it does not match, whatever its data is,
 * which is not looked at and may be missing.  Only for filters for which filter_sees_envelope().
 */
bool filter_rules_out(struct filter *filter, const struct message *message);
bool filter_sees_envelope(const struct filter *filter);

/* What a message costs: of several filters the cheap ones are asked first. */
enum filter_cost {
    FILTER_COST_ENVELOPE, /* number, time and tags are all it looks at */
    FILTER_COST_PAYLOAD,  /* a pass over the payload */
    FILTER_COST_LIBJQ,
    FILTER_COSTS,
};
enum filter_cost filter_cost(const struct filter *filter);

static inline void filter_cleanup(struct filter **filter)
{
    filter_free(*filter);
}
#define auto_filter __attribute__((cleanup(filter_cleanup)))

#endif
