/*
 * A jq expression as the native evaluator runs it: a tree of nodes, and the paths that it names.
 *
 * Paths from the top of the message (.data.level) are numbered when the expression is read, and
 * form a tree of their own; one pass over a payload finds the values of all of them.
 */
#ifndef FILTER_PROGRAM_H
#define FILTER_PROGRAM_H

#include "filter_arena.h"
#include "filter_scan.h"
#include "filter_value.h"

enum path_number { PATH_TOP, PATH_SEQ, PATH_TIME, PATH_META, PATH_TAGS, PATH_DATA, PATHS_FIXED };
#define PATH_NONE (-1)

struct path {
    struct bytes key;
    int parent, first_child, next; /* PATH_NONE: there is none */
    unsigned n_below;              /* children */
};

#define PATHS_MAX 4096
#define PATH_DEPTH_MAX 120 /* data does not go deeper */

enum node_kind {
    NODE_CONST, /* value */
    NODE_INPUT, /* . */
    NODE_PATH,  /* a path from the top */
    NODE_APPLY, /* call->apply on the input and the outputs of args */
    NODE_EACH,  /* args[0][] */
    NODE_PIPE,  /* list */
    NODE_COMMA, /* list */
    NODE_AND,   /* list */
    NODE_OR,    /* list */
    NODE_ELSE,  /* args[0] // args[1] */
    NODE_IF,    /* if args[0] then args[1] else args[2] end; args[2] NULL: nothing */
    NODE_ANY,   /* any(args[0]; args[1]) */
    NODE_ALL,   /* all(args[0]; args[1]) */
    NODE_SOME,  /* is an output of args[0] true?  No further than to the first */
};

struct node {
    uint8_t kind;
    bool single;   /* has one output at most */
    bool optional; /* an error of its own is no output */
    bool envelope; /* looks at seq, time and tags alone */
    int path;
    const struct call *call;
    struct node *args[3];
    struct node **list; /* n of them */
    size_t n;
    struct val value; /* of NODE_CONST; the key or index of a step */
    struct regex *regex;
};

struct program {
    struct arena arena; /* nodes and texts */
    struct node *top;
    bool is_foreign;   /* of somebody who must not use more than a moment */
    bool is_condition; /* part of an `and`: whatever is neither false nor null is true */
    /*
     * Conditions on seq, time and tags alone, n_first of them: top itself, or the first operands of
     * the `and` that it is
     */
    struct node **first;
    size_t n_first;
    struct path *paths;
    size_t n_paths;
    size_t stranger; /* where in the text a first key is named that no message has, or its end */
    struct regex *regexes; /* a list */
};

/*
 * Reads it.  1: done.  0: not for the native evaluator, or wrong; *ret_at is the word at which that
 * showed.  -1: *err (no memory; a regular expression that is none).  program_done() takes zeroes,
 * too.
 */
int program_parse(const struct words *words, struct program *ret, size_t *ret_at,
                  struct error *err);
void program_done(struct program *program);

#endif
