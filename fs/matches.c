#include "matches.h"

#include "base/units.h"
#include "pool/cursor.h"

#include <stdlib.h>
#include <time.h>

#define CACHE_MAX 64        /* lists without a user that are kept */
#define JUMP_MAX (1u << 20) /* blocks; a pool that lost more than this at once is begun anew */

/* 64 messages: those whose number divided by 64 is the block's. */
struct block {
    uint64_t bits;
    uint64_t count_before, bytes_before; /* matches and bytes of their lines, before this block */
};

struct matches {
    struct matches *next; /* in the cache; with refs and used_ns under the cache's lock */
    unsigned refs;
    uint64_t used_ns;
    struct mpool *pool;
    struct lens *lens;

    pthread_mutex_t lock; /* for all below */
    struct block *blocks;
    size_t n, cap;
    uint64_t first_block; /* number of blocks[0] */
    uint64_t count, bytes;
    struct cursor at; /* the next message to look at */
    bool placed;
    struct buf store;
};

struct matches_cache {
    pthread_mutex_t lock;
    struct matches *first;
    unsigned idle; /* without a user */
};

struct matches_cache *matches_cache_new(void)
{
    struct matches_cache *cache = calloc(1, sizeof *cache);

    if (cache != NULL)
        pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void destroy(struct matches *list)
{
    pthread_mutex_destroy(&list->lock);
    mpool_unref(list->pool);
    lens_unref(list->lens);
    buf_done(&list->store);
    free(list->blocks);
    free(list);
}

void matches_cache_free(struct matches_cache *cache)
{
    if (cache == NULL)
        return;
    for (struct matches *list = cache->first, *next; list != NULL; list = next) {
        next = list->next;
        destroy(list);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct matches *make(struct mpool *pool, struct lens *lens)
{
    struct matches *list = calloc(1, sizeof *list);

    if (list == NULL)
        return NULL;
    list->refs = 1;
    list->pool = mpool_ref(pool);
    list->lens = lens_ref(lens);
    pthread_mutex_init(&list->lock, NULL);
    return list;
}

static struct matches *find(struct matches_cache *cache, struct mpool *pool, struct lens *lens)
{
    struct matches *list = cache->first;

    while (list != NULL && (list->pool != pool || !lens_equal(list->lens, lens)))
        list = list->next;
    if (list != NULL && list->refs++ == 0)
        cache->idle--;
    return list;
}

struct matches *matches_get(struct mount *m, struct mpool *pool, struct lens *lens)
{
    struct matches_cache *cache = m->matches;
    struct matches *list, *made;

    pthread_mutex_lock(&cache->lock);
    list = find(cache, pool, lens);
    pthread_mutex_unlock(&cache->lock);
    if (list != NULL)
        return list;
    made = make(pool, lens);
    if (made == NULL)
        return NULL;
    pthread_mutex_lock(&cache->lock);
    list = find(cache, pool, lens); /* somebody else may have been as quick */
    if (list == NULL) {
        list = made;
        list->next = cache->first;
        cache->first = list;
        made = NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    if (made != NULL)
        destroy(made);
    return list;
}

static bool is_lost(const struct matches *list)
{
    return atomic_load(&list->pool->gone) || atomic_load(&list->pool->moved);
}

/* Of those without a user one of a pool that is gone, or the one unused for longest when there are too many.  Under the cache's lock. */
static struct matches *take_surplus(struct matches_cache *cache)
{
    struct matches **worst = NULL, *list;
    bool lost = false;

    for (struct matches **at = &cache->first; *at != NULL && !lost; at = &(*at)->next) {
        if ((*at)->refs > 0)
            continue;
        lost = is_lost(*at);
        if (lost || worst == NULL || (*at)->used_ns < (*worst)->used_ns)
            worst = at;
    }
    if (worst == NULL || (!lost && cache->idle <= CACHE_MAX))
        return NULL;
    list = *worst;
    *worst = list->next;
    cache->idle--;
    return list;
}

static void destroy_surplus(struct matches_cache *cache)
{
    struct matches *surplus;

    do {
        pthread_mutex_lock(&cache->lock);
        surplus = take_surplus(cache);
        pthread_mutex_unlock(&cache->lock);
        if (surplus != NULL)
            destroy(surplus);
    } while (surplus != NULL);
}

void matches_unref(struct mount *m, struct matches *list)
{
    struct matches_cache *cache = m->matches;
    bool idle;

    if (list == NULL)
        return;
    pthread_mutex_lock(&cache->lock);
    idle = --list->refs == 0;
    if (idle) {
        list->used_ns = clock_mono_ns();
        cache->idle++;
    }
    pthread_mutex_unlock(&cache->lock);
    if (idle)
        destroy_surplus(cache);
}

void matches_forget_lost(struct mount *m)
{
    destroy_surplus(m->matches);
}

void matches_lock(struct matches *list)
{
    pthread_mutex_lock(&list->lock);
}

bool matches_trylock(struct matches *list)
{
    return pthread_mutex_trylock(&list->lock) == 0;
}

bool matches_lock_until(struct matches *list, uint64_t until_ns)
{
    struct timespec until = {(time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S)};

    return pthread_mutex_clocklock(&list->lock, CLOCK_MONOTONIC, &until) == 0;
}

void matches_unlock(struct matches *list)
{
    pthread_mutex_unlock(&list->lock);
}

/* Forgets the front half when all of it was overwritten. */
static void trim(struct matches *list)
{
    struct pool_bounds bounds;
    size_t dead;

    if (pool_bounds(list->pool->pool, &bounds, NULL) < 0 || bounds.oldest / 64 <= list->first_block)
        return;
    dead = bounds.oldest / 64 - list->first_block;
    if (dead > list->n)
        dead = list->n;
    if (dead < list->n / 2)
        return;
    memmove(list->blocks, list->blocks + dead, (list->n - dead) * sizeof *list->blocks);
    list->n -= dead;
    list->first_block += dead;
}

static int grow(struct matches *list)
{
    size_t cap;
    struct block *blocks;

    trim(list);
    if (list->n < list->cap)
        return 0;
    cap = list->cap == 0 ? 64 : list->cap * 2;
    blocks = realloc(list->blocks, cap * sizeof *blocks);
    if (blocks == NULL)
        return -1;
    list->blocks = blocks;
    list->cap = cap;
    return 0;
}

static int add(struct matches *list, uint64_t seq, uint64_t length)
{
    uint64_t number = seq / 64;

    if (list->n > 0 && number - list->first_block > list->n + JUMP_MAX)
        list->n = 0;
    if (list->n == 0)
        list->first_block = number;
    while (list->first_block + list->n <= number) {
        if (list->n == list->cap && grow(list) < 0)
            return -1;
        if (list->n == 0) /* trimming may have emptied it */
            list->first_block = number;
        list->blocks[list->n++] =
            (struct block){.count_before = list->count, .bytes_before = list->bytes};
    }
    list->blocks[number - list->first_block].bits |= 1ULL << (seq % 64);
    list->count++;
    list->bytes += length;
    return 0;
}

/* What comes next, and whether that it does not match is known without its data. */
static enum cursor_result peek(struct matches *list, struct frame_view *view, bool *ret_out,
                               struct error *err)
{
    struct message message;
    enum cursor_result result;

    *ret_out = false;
    if (!lens_sees_envelope(list->lens))
        return cursor_peek(list->pool->pool, &list->at, view, err);
    result =
        cursor_peek_tags(list->pool->pool, &list->at, &list->store, view, &message, err);
    *ret_out = result == CURSOR_MESSAGE && lens_rules_out(list->lens, &message);
    return result;
}

/* Looks at one message, without its data where that can be. */
static enum cursor_result look(struct matches *list, bool *ret_match, uint64_t *ret_length,
                               struct error *err)
{
    struct frame_view view;
    struct message message;
    bool out;
    enum cursor_result result = peek(list, &view, &out, err);

    if (result != CURSOR_MESSAGE)
        return result;
    *ret_length = lens_length(list->lens, view.seq, view.tags_len, view.data_len);
    *ret_match = !lens_selects(list->lens);
    if (*ret_match || out) {
        cursor_skip(&list->at, &view);
        return CURSOR_MESSAGE;
    }
    result = cursor_next(list->pool->pool, &list->at, &list->store, &message, err);
    if (result == CURSOR_MESSAGE) {
        *ret_match = lens_match(list->lens, &message);
        *ret_length = lens_length(list->lens, message.seq, message.tags.n, message.data.n);
    }
    shed(&list->store);
    return result;
}

enum extend_result matches_extend(struct matches *list, uint64_t newest, uint64_t allowance,
                                  struct error *err)
{
    if (!list->placed && cursor_at_oldest(list->pool->pool, &list->at, err) < 0)
        return EXTEND_FAILED;
    list->placed = true;
    while (list->at.seq <= newest) {
        uint64_t seq = list->at.seq, length = 0;
        bool match = false;

        if (allowance-- == 0)
            return EXTEND_MORE;
        switch (look(list, &match, &length, err)) {
        case CURSOR_MESSAGE:
            if (match && add(list, seq, length) < 0) {
                (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
                return EXTEND_FAILED;
            }
            break;
        case CURSOR_GAP:
            break;
        case CURSOR_END:
            return EXTEND_DONE;
        case CURSOR_FAILED:
            return EXTEND_FAILED;
        }
    }
    return EXTEND_DONE;
}

uint64_t matches_seen(const struct matches *list)
{
    return list->placed ? list->at.seq - 1 : 0;
}

static uint64_t bits_from(const struct matches *list, size_t i, uint64_t seq)
{
    uint64_t number = list->first_block + i;

    if (seq / 64 < number)
        return list->blocks[i].bits;
    return seq / 64 > number ? 0 : list->blocks[i].bits & (~0ULL << (seq % 64));
}

uint64_t matches_from(const struct matches *list, uint64_t seq)
{
    size_t i = seq / 64 > list->first_block ? seq / 64 - list->first_block : 0;

    for (; i < list->n; i++) {
        uint64_t bits = bits_from(list, i, seq);

        if (bits != 0)
            return (list->first_block + i) * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return 0;
}

uint64_t matches_until(const struct matches *list, uint64_t seq)
{
    size_t i;

    if (list->n == 0 || seq / 64 < list->first_block)
        return 0;
    i = seq / 64 - list->first_block;
    if (i >= list->n)
        i = list->n - 1;
    for (;; i--) {
        uint64_t bits = list->blocks[i].bits;

        if (list->first_block + i == seq / 64 && seq % 64 < 63)
            bits &= (1ULL << (seq % 64 + 1)) - 1;
        if (bits != 0)
            return (list->first_block + i) * 64 + 63 - (unsigned)__builtin_clzll(bits);
        if (i == 0)
            return 0;
    }
}

/* The last block whose sum, of matches or bytes, is not above `target`. */
static size_t search(const struct matches *list, bool by_bytes, uint64_t target)
{
    size_t low = 0, high = list->n;

    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        uint64_t before =
            by_bytes ? list->blocks[mid].bytes_before : list->blocks[mid].count_before;

        if (before <= target)
            low = mid;
        else
            high = mid;
    }
    return low;
}

uint64_t matches_last(const struct matches *list, uint64_t n, uint64_t low)
{
    uint64_t first = matches_from(list, low), seq;
    size_t i;

    if (first == 0 || n == 0)
        return 0;
    if (n >= list->count)
        return first;
    i = search(list, false, list->count - n);
    if (list->count - n < list->blocks[i].count_before)
        return first; /* before the part that is kept */
    uint64_t bits = list->blocks[i].bits;
    for (uint64_t skip = list->count - n - list->blocks[i].count_before; skip > 0 && bits != 0;
         skip--)
        bits &= bits - 1;
    if (bits == 0)
        return first;
    seq = (list->first_block + i) * 64 + (unsigned)__builtin_ctzll(bits);
    return seq > first ? seq : first;
}

/* The length of one match's line, without its data. */
static int length_of(struct matches *list, struct cursor *at, uint64_t seq, uint64_t *ret,
                     struct error *err)
{
    struct frame_view view;

    if (at->seq != seq && cursor_at_seq(list->pool->pool, seq, at, err) < 0)
        return -1;
    switch (cursor_peek(list->pool->pool, at, &view, err)) {
    case CURSOR_MESSAGE:
        break;
    case CURSOR_FAILED:
        return -1;
    case CURSOR_GAP:
    case CURSOR_END:
        view.seq = 0;
        break;
    }
    if (view.seq != seq)
        return fail(err, PLSM_ERROR_NOT_FOUND, "message %llu was overwritten",
                    (unsigned long long)seq);
    cursor_skip(at, &view);
    *ret = lens_length(list->lens, view.seq, view.tags_len, view.data_len);
    return 0;
}

/*
 * The bytes of the matches of block i from seq on are counted, and taken from where the block ends: those
 * in front of seq may be gone.
 */
static int offset_in(struct matches *list, size_t i, uint64_t seq, uint64_t *ret, struct error *err)
{
    uint64_t end = i + 1 < list->n ? list->blocks[i + 1].bytes_before : list->bytes;
    struct cursor at = {0};

    for (uint64_t bits = bits_from(list, i, seq); bits != 0; bits &= bits - 1) {
        uint64_t length;

        if (length_of(list, &at, (list->first_block + i) * 64 + (unsigned)__builtin_ctzll(bits),
                      &length, err) < 0)
            return -1;
        end -= length;
    }
    *ret = end;
    return 0;
}

int matches_offset(struct matches *list, uint64_t seq, uint64_t *ret, struct error *err)
{
    uint64_t match = matches_from(list, seq);

    if (match == 0) {
        *ret = list->bytes;
        return 0;
    }
    return offset_in(list, match / 64 - list->first_block, match, ret, err);
}

int matches_find(struct matches *list, uint64_t low, uint64_t offset, uint64_t *ret_seq,
                 uint64_t *ret_begin, struct error *err)
{
    struct cursor at = {0};
    uint64_t begin, seq, length;
    size_t i;

    if (list->n == 0 || offset >= list->bytes)
        return fail(err, PLSM_ERROR_NOT_FOUND, "no message holds this byte");
    i = search(list, true, offset);
    seq = (list->first_block + i) * 64;
    seq = matches_from(list, seq > low ? seq : low);
    if (seq == 0)
        return fail(err, PLSM_ERROR_NOT_FOUND, "no message holds this byte");
    if (matches_offset(list, seq, &begin, err) < 0)
        return -1;
    for (; seq != 0; seq = matches_from(list, seq + 1)) {
        if (length_of(list, &at, seq, &length, err) < 0)
            return -1;
        if (offset < begin + length)
            break;
        begin += length;
    }
    if (seq == 0 || offset < begin)
        return fail(err, PLSM_ERROR_NOT_FOUND, "the message that held this byte was overwritten");
    *ret_seq = seq;
    *ret_begin = begin;
    return 0;
}
