/*
 * What tests of the engine share: a fresh directory each, random numbers with a seed that is told, messages that can
 * be checked by looking at them, whole files copied and compared.
 *
 * A failure of the helpers themselves ends the program with a line that says where; it is never passed over.
 */
#ifndef TESTS_POOLS_H
#define TESTS_POOLS_H

#include "pool/cursor.h"
#include "pool/pool.h"

#include <stdio.h>
#include <stdlib.h>

/* Ends the program unless `condition` holds; for processes and threads where cmocka's asserts do not work, too. */
#define must(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            fflush(NULL);                                                                          \
            _Exit(99);                                                                             \
        }                                                                                          \
    } while (0)

/* A directory of its own for this program, removed when it ends; scratch_path() a path in it, good until the end. */
const char *scratch_dir(void);
const char *scratch_path(const char *name);

/* Random numbers: splitmix64.  seed_from_env() takes PLASMITE_TEST_SEED, or the clock; a failing test prints the seed. */
struct random {
    uint64_t state;
};
uint64_t seed_from_env(void);
uint64_t random_next(struct random *r);
uint64_t random_below(struct random *r, uint64_t n);

/*
 * A message that carries who made it: exactly `size` bytes (PROOF_MIN at least) of JSON text that depends on writer and n.
 * proof_check() says whether these bytes are such a message, whole, and whose.
 */
#define PROOF_MIN 48
void proof_make(struct buf *out, uint32_t writer, uint64_t n, size_t size);
bool proof_check(struct bytes data, uint32_t *ret_writer, uint64_t *ret_n);

/* Opening, or the end of the program. */
void pool_must_create(const char *path, uint64_t size, int64_t index_capacity);
struct pool *pool_must_open(const char *path, enum pool_access access);

/* The same with a new pool of this name in scratch_dir(), in place of an earlier one; for writing. */
struct pool *pool_must_make(const char *name, uint64_t size, int64_t index_capacity);

struct pool_bounds bounds_of(struct pool *pool);

/* Appends one proof message and returns its number. */
uint64_t append_proof(struct pool *pool, uint32_t writer, uint64_t n, size_t size);

/* Proof messages of PROOF_WRITER up to number `last`, each of which carries its own number. */
#define PROOF_WRITER 1
void append_up_to(struct pool *pool, uint64_t last, size_t size);

void file_copy(const char *from, const char *to);
void file_write(const char *path, const void *bytes, size_t n);
void file_read(const char *path, struct buf *ret);

#endif
