/*
 * What the kernel knows: a node for each name it has looked up, until it forgets it.
 *
 * A node is found by its number (the kernel's handle on it; never used twice) or by parent, name and version.
 * Finite files get another version, so another node, whenever their content differs; directories of a
 * pool when the pool is another one.  The kernel counts its look-ups and gives them back with FORGET; on top of
 * those, whoever works on a node outside the loop holds a reference.
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include "path.h"
#include "pools.h"
#include "snapshot.h"

struct node_version {
    uint64_t a, b;
};

struct node {
    struct node *next_by_id, *next_by_key; /* with lookups, refs, used_ns: under the table's lock */
    uint64_t lookups;
    unsigned refs;
    uint64_t used_ns;
    atomic_uint_fast64_t log_size; /* of a log: the largest that was told */
    atomic_uint slow_lookups; /* of a directory: look-ups in it that workers are at */
    atomic_uint_fast64_t
        overtaken_ns; /* of a directory: when a file in it was gone before it was opened */
    bool announced;   /* the kernel was told that this pool is gone */
    /* Constant: */
    uint64_t id;
    uint64_t ino;
    uint64_t key_hash;
    struct node_version version;
    struct node *parent; /* with a reference; NULL for the root */
    char *name;
    struct place place;
    struct mpool *pool;        /* with a reference; NULL outside pools */
    struct snapshot *snapshot; /* of a finite file */
};

struct nodes *nodes_new(struct mount *m);
void nodes_free(struct nodes *nodes);

/* Borrowed: good while the kernel keeps the node, which it does during a request on it.  NULL for a number of no node. */
struct node *nodes_find(struct nodes *nodes, uint64_t id);

/*
 * The node for this name and version, made if need be, with one more look-up counted.  What is in *place and
 * *snapshot is taken over or dropped; `pool` gets a reference.  NULL when memory is gone.
 */
struct node *nodes_enter(struct nodes *nodes, struct node *parent, const char *name,
                         struct node_version version, struct place *place, struct mpool *pool,
                         struct snapshot *snapshot);

/* The same if it exists already; else NULL. */
struct node *nodes_reenter(struct nodes *nodes, struct node *parent, const char *name,
                           struct node_version version);

void nodes_forget(struct nodes *nodes, uint64_t id, uint64_t lookups);

struct node *node_ref(struct nodes *nodes, struct node *node);
void node_unref(struct nodes *nodes, struct node *node);

/*
 * Names below parameter directories that nobody used for a while, or that are too many: up to *n of them, how many in *n,
 * with a reference each.  The kernel keeps such names until it is told to let them go.  Call with *at 0 at first
 * and go on until it is false: a table of a million is looked through in pieces, so that nobody waits for it long.
 * `lost`: also all names below pools that are gone. Those that were open then would keep the pool's file.
 */
bool nodes_stale(struct nodes *nodes, uint64_t now_ns, bool lost, size_t *at, struct node **ret,
                 size_t *n);

size_t nodes_count(struct nodes *nodes);

/* The directories of pools of that name that the kernel knows and was not yet told are gone; with references. */
size_t nodes_of_pool(struct nodes *nodes, const char *name, struct node **ret, size_t n);

/* Those of all pools: an array to be freed, NULL when memory is gone. */
struct node **nodes_pools(struct nodes *nodes, size_t *ret_n);

/* Does the kernel know it? */
bool node_is_known(struct nodes *nodes, const struct node *node);

/* The kernel knows that this one is gone. */
void node_announce(struct nodes *nodes, struct node *node);

/* Numbers of all nodes of that pool (for their attributes), up to n. */
size_t nodes_below(struct nodes *nodes, const struct mpool *pool, uint64_t *ret, size_t n);

/* The path of a node below the mount point, "ci/tag/x/append", added to *out; nothing for the root. */
int node_add_path(const struct node *node, struct buf *out);

/* The inode number people see for a place of a pool, or outside pools (NULL). */
uint64_t node_ino(const struct mpool *pool, const struct place *place);

/* The same for the directory of a pool, which is known by its file alone: a pool need not be opened to be listed. */
uint64_t node_pool_ino(ino_t file, const struct place *place);

#endif
