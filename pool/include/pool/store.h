/*
 * A directory of pools: what a reference means, listing, names.
 *
 * A local reference with a `/` is a path as it stands; one that ends in `.plasmite` is a file of
 * the directory; any other is the file NAME.plasmite of the directory.
 */
#ifndef POOL_STORE_H
#define POOL_STORE_H

#include "pool/pool.h"

#define POOL_SUFFIX ".plasmite"
#define POOL_NAME_MAX 200 /* bytes, without the suffix */

/* $HOME/.plasmite/pools, or .plasmite/pools without HOME or with an empty one; added to *out. */
int store_default_dir(struct buf *out);

/*
 * The path of a reference, added to *out (buf_str() makes it a C string).  Usage when the name is
 * too long.
 */
int store_resolve(const char *dir, const char *reference, struct buf *out, struct error *err);

/*
 * May a name that a stranger gives (mkdir, HTTP, MCP) become a pool?  Usage with the reason
 * otherwise.
 */
int store_check_name(struct bytes name, struct error *err);

/* Makes the directory and its missing parents (0700). */
int store_make_dir(const char *dir, struct error *err);

struct stored {
    char *name;   /* without the suffix */
    uint64_t ino; /* inode number of the file; 0: not known, as of a link to one */
};

struct store_list {
    struct stored *pools; /* in byte order of their names */
    size_t n;
};

/* A missing directory is an empty list.  Permission, Io.  Release with store_list_done(). */
int store_list(const char *dir, struct store_list *ret, struct error *err);
void store_list_done(struct store_list *list);

#endif
