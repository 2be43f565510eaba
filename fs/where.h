/*
 * One jq expression of a path, where/EXPR/, compiled as often as threads evaluate it at the same time.
 *
 * Shared by reference count between lenses.  Compiling and evaluating may take long and are never done by the loop.  Any thread.
 */
#ifndef FS_WHERE_H
#define FS_WHERE_H

#include "pool/filter.h"

struct where;

/* Not compiled yet; NULL when memory is gone. */
struct where *where_new(struct bytes expression);
struct where *where_ref(struct where *where);
void where_unref(struct where *where);

struct bytes where_expression(const struct where *where);

/*
 * Compiles it, unless that was done.  Usage as filter_new_with(): one who is not trusted gets only what the native evaluator
 * knows.
 */
int where_compile(struct where *where, bool trusted, struct error *err);

/* What it takes to evaluate it; the most as long as it is not compiled. */
enum filter_cost where_cost(const struct where *where);

/* May anybody have it evaluated?  False as long as it is not compiled. */
bool where_is_native(const struct where *where);

/* See filter_rules_out() and filter_sees_envelope(); false as long as it is not compiled. */
bool where_sees_envelope(const struct where *where);
bool where_rules_out(struct where *where, const struct message *message);

/* A message that is answered with neither true, false nor null does not match; nor does one that takes too long. */
bool where_match(struct where *where, const struct message *message);

/* The first such problem; true only once. */
bool where_problem(struct where *where, struct error *err);

#endif
