/*
 * Inside the reader of expressions: what its parts share.  filter_parse.c reads terms, steps and
 * operators, filter_const.c constants; filter_node.c makes nodes and paths; filter_program.c begins
 * and ends it all.
 *
 * Whatever returns a node returns NULL where the words do not fit, or memory is gone (then failed
 * is set).
 */
#ifndef FILTER_PARSE_H
#define FILTER_PARSE_H

#include "filter_calls.h"
#include "filter_program.h"

struct parse {
    const struct words *words;
    size_t at;
    struct program *program;
    int *slots; /* paths by parent and key; 0: free (PATH_TOP is nobody's child) */
    size_t n_slots;
    int base; /* the path that `.` is here, or PATH_NONE */
    unsigned depth;
    bool failed; /* *err is filled */
    struct error *err;
};

/* ---- the word at hand ---- */

static inline bool sign_is(const struct parse *p, const char *text)
{
    return word_is(p->words, p->at, WORD_SIGN, text);
}

static inline bool name_is(const struct parse *p, const char *text)
{
    return word_is(p->words, p->at, WORD_NAME, text);
}

static inline bool take_sign(struct parse *p, const char *text)
{
    bool there = sign_is(p, text);

    p->at += there;
    return there;
}

static inline bool take_name(struct parse *p, const char *text)
{
    bool there = name_is(p, text);

    p->at += there;
    return there;
}

static inline enum word_kind kind_here(const struct parse *p)
{
    return p->words->list[p->at].kind;
}

/* ---- nodes ---- */

/* Zeroed. */
void *parse_allocate(struct parse *p, size_t n);

struct node *node_new(struct parse *p, enum node_kind kind);
struct node *node_const(struct parse *p, struct val value);

/* With n arguments; NULL when one of them is. */
struct node *node_of(struct parse *p, enum node_kind kind, const struct call *call,
                     struct node *const *args, size_t n);
struct node *node_apply(struct parse *p, const struct call *call, struct node *a, struct node *b);

/* A path from the top; the child of one, PATH_NONE when there are too many. */
struct node *node_path(struct parse *p, int path);
int path_child(struct parse *p, int parent, struct bytes key);

/* Once, when the fixed ones are there; false: no memory. */
bool paths_index(struct parse *p);

/* What `.` is here. */
struct node *node_here(struct parse *p);

/* ---- constants ---- */

/*
 * The text of the string that is a word; false when jq must judge it: wrong escapes, halves of
 * characters.
 */
bool parse_string(struct parse *p, size_t word, struct bytes *ret);

/* Takes the number at hand. */
bool parse_number(struct parse *p, bool minus, struct val *ret);

/* Takes null, true or false. */
bool parse_literal(struct parse *p, struct val *ret);

/* [1, 2], {"a": []}, as one constant. */
struct node *parse_container(struct parse *p);

/* ---- everything ---- */

struct node *parse_pipe(struct parse *p);

#endif
