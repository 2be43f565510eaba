/*
 * The paths of a program in one message: one pass over the payload finds the values of all of them,
 * and only when the first of them is asked for.
 */
#ifndef FILTER_PATHS_H
#define FILTER_PATHS_H

#include "filter_calls.h"
#include "pool/message.h"

struct place {
    uint64_t round; /* the message in which it was found */
    struct bytes text;
};

struct paths {
    const struct program *program;
    struct place *places; /* one for each path of the program */
    uint64_t round;
    const struct message *message;
    struct time_cache cache;
    bool scanned;
    struct bytes top, meta; /* texts of the whole and of .meta, once they were needed */
    char seq[24], time[TIME_TEXT_LEN];
};

int paths_init(struct paths *paths, const struct program *program);
void paths_done(struct paths *paths);

/* Turns to another message; borrowed until the next one. */
void paths_begin(struct paths *paths, const struct message *message);

/*
 * The value of a path, as jq sees it: null where a key is missing, FLOW_ERROR in what has no keys.
 */
enum flow paths_get(struct paths *paths, struct work *work, int path, struct val *ret);

#endif
