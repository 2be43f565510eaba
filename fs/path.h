/*
 * The shape of the tree: which names exist where, and what they mean.  Nothing else knows it.
 *
 *     path_root(&place)                         -- the mount's own directory
 *     path_step(&place, "ci", now, &next)       -- one component further
 *     path_list(&place, &i)                     -- the names a directory shows, one after the other
 *
 * A place holds a reference to its lens; path_done() drops it.  Whether a pool of that name exists is not
 * known here.
 */
#ifndef FS_PATH_H
#define FS_PATH_H

#include "lens.h"

enum place_kind {
    PLACE_ROOT,
    PLACE_SYSTEM,  /* .plasmite/ */
    PLACE_VERSION, /* .plasmite/version */
    PLACE_STATS,   /* .plasmite/stats */
    PLACE_EVENTS,  /* .plasmite/live/events */
    PLACE_ERRORS,  /* of a pool, or of the mount */
    PLACE_README,
    PLACE_VIEW,  /* a pool, or a pool under modifiers */
    PLACE_PARAM, /* last/ since/ from/ seq/ tag/ where/ replay/: names below are arguments */
    PLACE_APPEND,
    PLACE_LINES,
    PLACE_LOG,
    PLACE_INFO,
    PLACE_TAGS,
    PLACE_CTL,
    PLACE_STAT,  /* stat/ */
    PLACE_VALUE, /* stat/NAME */
    PLACE_SIZE,
    PLACE_LINK,  /* all, follow, next */
    PLACE_LAST,  /* tail and last/N */
    PLACE_SINCE, /* since/T and since/T1..T2 */
    PLACE_FROM,
    PLACE_SEQ,
    PLACE_NEXT, /* live/next */
};

/* One number about a pool. */
enum place_value {
    VALUE_NEWEST,
    VALUE_OLDEST,
    VALUE_COUNT,
    VALUE_USED,
    VALUE_CAPACITY,
    VALUE_REJECTED
};

/* What a directory does to everything below it. */
enum modifier {
    MODIFY_NONE,
    MODIFY_TAG,
    MODIFY_WHERE,
    MODIFY_DATA,
    MODIFY_LIVE,
    MODIFY_STRICT,
    MODIFY_REPLAY
};

struct place {
    enum place_kind kind;
    bool in_pool;      /* somewhere below a pool (or the pool itself) */
    bool in_system;    /* somewhere below .plasmite */
    bool in_argument;  /* directly below a parameter directory */
    bool live;         /* do not stop at the end, wait for more */
    bool strict;       /* tell of messages that were lost */
    bool replay;       /* at the pace at which messages came, ... */
    double speed;      /* ... times this; 0: without pauses */
    unsigned depth;    /* modifiers on the way here */
    struct lens *lens; /* what the modifiers select */
    enum place_kind
        param; /* PLACE_PARAM: what an argument makes; PLACE_VIEW: a modifier, which is ... */
    enum modifier modifier; /* ... this */
    const char *link;       /* PLACE_LINK: where it points */
    bool link_live;         /* ... and does that end block? */
    uint64_t n; /* LAST: how many; FROM, SEQ: which; LOG: epoch; VALUE: enum place_value */
    uint64_t from_ns, until_ns; /* SINCE; until UINT64_MAX: no end */
    uint64_t ino_seed;          /* of the canonical path below the pool */
};

#define PATH_NAME_MAX 1024 /* bytes of one component */
#define PATH_DEPTH_MAX 16  /* modifiers; a runaway walker meets ELOOP */

/* ENOMEM or 0. */
int path_root(struct place *ret);

/*
 * One component further.  ENOENT: no such name here; EINVAL: a bad number, time, tag or speed, or an expression that is no text, and *err (may be NULL) says what is
 * wrong with it, err->offset where in the name; ELOOP: too many modifiers; ENOMEM.  *ret is then untouched.
 */
int path_step(const struct place *dir, const char *name, uint64_t now_ns, struct place *ret,
              struct error *err);
void path_done(struct place *place);

/* Is a directory / blocks when read / has a fixed content while the mount lives? */
bool path_is_dir(const struct place *place);
/* The directory of a pool itself? */
bool path_is_pool(const struct place *place);
/* Selects messages: finite, or below live/ a stream. */
bool path_is_view(const struct place *place);
bool path_is_stream(const struct place *place);
/* A directory where/EXPR? */
bool path_is_expression(const struct place *place);
/* Is there to be written to? */
bool path_is_written(const struct place *place);

/* The same name, but another file for each number. */
void path_number(struct place *place, uint64_t number);

/* May a missing name here be remembered for a second?  Not where names are arguments or pools. */
bool path_negative_cached(const struct place *dir, const char *name);

/* Next name of a directory's fixed list; NULL at the end.  Start with *i = 0.  Pools of the root are not in it. */
const char *path_list(const struct place *dir, size_t *i);

#endif
