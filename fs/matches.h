/*
 * Which messages of a pool a lens shows, and where their lines stand when all of them are put one behind
 * the other: what size, offset and "the last N" of a filtered view need.
 *
 * One bit for each message, and for every 64 of them how many matches and bytes came before.  A list
 * is made on first need, extended when messages arrive, shared by all views with that lens, and dropped when
 * long unused.  Sums only grow: they stay right for a list that lives, while messages are lost at its front.
 *
 *     matches_get(m, pool, lens)            -- a reference
 *     matches_lock(); matches_extend(); ... ; matches_unlock()
 *     matches_unref()
 */
#ifndef FS_MATCHES_H
#define FS_MATCHES_H

#include "lens.h"
#include "pools.h"

struct matches;
struct matches_cache;

struct matches_cache *matches_cache_new(void);
void matches_cache_free(struct matches_cache *cache);

/* NULL when memory is gone. */
struct matches *matches_get(struct mount *m, struct mpool *pool, struct lens *lens);
void matches_unref(struct mount *m, struct matches *list);

/* Drops those that nobody uses of pools that are gone: each keeps the pool's file. */
void matches_forget_lost(struct mount *m);

void matches_lock(struct matches *list);
bool matches_trylock(struct matches *list);
/* False when somebody else still has it at that time of clock_mono_ns(). */
bool matches_lock_until(struct matches *list, uint64_t until_ns);
void matches_unlock(struct matches *list);

/* All of the following: under lock. */

enum extend_result { EXTEND_DONE, EXTEND_MORE, EXTEND_FAILED };

/* Looks at up to `allowance` more messages; EXTEND_MORE when `newest` has not been reached by then. */
enum extend_result matches_extend(struct matches *list, uint64_t newest, uint64_t allowance,
                                  struct error *err);

/* The number of the last message that has been looked at. */
uint64_t matches_seen(const struct matches *list);

/* First match from seq on, last match up to seq; 0 when there is none. */
uint64_t matches_from(const struct matches *list, uint64_t seq);
uint64_t matches_until(const struct matches *list, uint64_t seq);

/* First of the last n matches; not before `low`.  0 when there is none (or n is 0). */
uint64_t matches_last(const struct matches *list, uint64_t n, uint64_t low);

/*
 * Where the line of the match `seq` begins, in the sum of all lines; of a number behind the last match, where all end.
 * NotFound when the messages needed for it were overwritten.
 */
int matches_offset(struct matches *list, uint64_t seq, uint64_t *ret, struct error *err);

/* Which match from `low` on holds byte `offset` of that sum, and where it begins.  Errors as above. */
int matches_find(struct matches *list, uint64_t low, uint64_t offset, uint64_t *ret_seq,
                 uint64_t *ret_begin, struct error *err);

#endif
