/*
 * What plasmite-jq.so offers: libjq behind one table of functions.
 *
 * The engine does not link libjq, which takes 15 to 22 ms to compile any expression and brings two
 * libraries with it. filter_libjq.c loads the module when an expression needs it; the table is the
 * only symbol it looks up.  The module uses nothing of ours, so it can be loaded by a program and
 * by a shared library alike.
 *
 * Nothing here writes to stdout or stderr or reads the environment or ~/.jq.
 */
#ifndef JQ_MODULE_H
#define JQ_MODULE_H

#include <stddef.h>

#define JQ_MODULE_FILE "plasmite-jq.so"
#define JQ_MODULE_SYMBOL "plasmite_jq_module"
#define JQ_MODULE_VERSION 1u

struct jq_program; /* one compiled expression; one thread at a time */

enum jq_outcome {
    JQ_NO,
    JQ_YES,
    JQ_ODD,    /* neither true, false nor null; its text is in `odd`, cut where it does not fit */
    JQ_HALTED, /* it took seconds, or too much memory */
    JQ_FAILED, /* no memory; the program is of no further use, release it */
};

struct jq_module {
    unsigned version;

    /*
     * NULL when it does not compile: `why` is the first thing that jq had to say, without its
     * prefix and the place it names (jq knows lines only).
     */
    struct jq_program *(*compile)(const char *expression, char *why, size_t why_size);
    void (*release)(struct jq_program *program);

    /* `json` is one JSON text without lone surrogates. */
    enum jq_outcome (*match)(struct jq_program *program, const char *json, size_t n, char *odd,
                             size_t odd_size);
};

#endif
