/*
 * What a pool argument names, and how it is opened, made on demand, or explained when missing.
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "cli.h"
#include "pool/pool.h"

/* --create, --create-size and --mode, as given. */
struct target_creation {
    bool create;
    const char *size;
    const char *mode;
};

/* Their rows, for a command whose options have a `struct target_creation creation`. */
#define TARGET_CREATION_ROWS                                                                       \
    OPT(0, "create", creation.create, NULL, "make the pool when it is missing"),                   \
        OPT(0, "create-size", creation.size, "SIZE", "the same, with this size (default 1M)"),     \
        OPT(0, "mode", creation.mode, "OCTAL", "permissions of a pool that is made (default 600)")

/* The path of a reference, in *path, NUL-terminated.  -1 with cli->error: Usage for a URL. */
int target_path(struct cli *cli, const char *reference, struct buf *path);

/* "600" or "0600"; *ret is left alone for NULL.  -1 with cli->error. */
int target_parse_mode(struct cli *cli, const char *text, mode_t *ret);

/* "fast" or "flush", with blanks around it; fast for NULL.  -1 with cli->error. */
int target_parse_durability(struct cli *cli, const char *text, enum append_flags *ret);

/* A size option; 0 for NULL.  -1 with cli->error. */
int target_parse_size(struct cli *cli, const char *text, uint64_t *ret);

/*
 * Opens the pool, and makes it first when it is missing and `creation` (may be NULL) asks for that.
 * A missing pool: NotFound with a hint; where it could have been made, the hint is the command line with --create.
 */
int target_open(struct cli *cli, const char *reference, enum pool_access access,
                const struct target_creation *creation, struct pool **ret_pool);

/* "Did you mean `NAME`?" when there is a pool that may have been meant. */
void target_add_similar(struct cli *cli, const char *reference, struct buf *out);
/* Puts that before the hint of cli->error. */
void target_hint_similar(struct cli *cli, const char *reference);

/* The hint for a missing pool; see target_open(). */
void target_hint_missing(struct cli *cli, const char *reference, bool can_create);

#endif
