#include "ring.h"

#include "crc32c.h"

#include <string.h>

/*
 * A live writer changes gen every 100 ns at most and a copy takes 5: more tries than this mean a
 * file that lies.
 */
#define SETTLE_TRIES 100000

void ring_init(struct ring *ring, uint8_t *map, const struct header_fixed *fixed)
{
    ring->live = &((struct header_page *)(void *)map)->live;
    ring->words = (_Atomic uint64_t *)(void *)(map + fixed->ring_off);
    ring->index = (_Atomic uint64_t *)(void *)(map + LAYOUT_HEADER_BYTES);
    ring->bytes = fixed->ring_bytes;
    ring->salt = fixed->salt;
    ring->any_lap = false;
    ring->reciprocal = UINT64_MAX / ring->bytes;
    ring->parts =
        (uint64_t)fixed->index_capacity * (LAYOUT_INDEX_SLOT_BYTES / LAYOUT_INDEX_ENTRY_BYTES);
    ring->part_shift = 0;
    while (ring->parts > 0 && ring->parts << ring->part_shift < ring->bytes)
        ring->part_shift++;
}

static uint32_t commit_crc(const struct ring *ring, const uint64_t words[COMMIT_WORDS])
{
    return crc32c(ring->salt, words, COMMIT_CRC * sizeof words[0]);
}

static void load_slot(const struct ring *ring, unsigned slot, uint64_t words[COMMIT_WORDS])
{
    for (int i = 0; i < COMMIT_WORDS; i++)
        words[i] = atomic_load_explicit(&ring->live->commits[slot][i], memory_order_relaxed);
}

static void from_words(struct commit *commit, const uint64_t words[COMMIT_WORDS])
{
    *commit = (struct commit){.gen = words[COMMIT_GEN],
                              .head = words[COMMIT_HEAD],
                              .newest = words[COMMIT_NEWEST],
                              .newest_time = words[COMMIT_NEWEST_TIME],
                              .rendered_end = words[COMMIT_RENDERED_END],
                              .time_floor = words[COMMIT_TIME_FLOOR]};
}

bool ring_commit(const struct ring *ring, struct commit *ret)
{
    uint64_t words[COMMIT_WORDS];

    for (int i = 0; i < SETTLE_TRIES; i++) {
        /* ring_commit:D, pairs with ring_publish:C */
        uint64_t gen = atomic_load_explicit(&ring->live->gen, memory_order_acquire);
        load_slot(ring, gen & 1, words);
        atomic_thread_fence(memory_order_acquire); /* ring_commit:B, pairs with ring_publish:A */
        if (atomic_load_explicit(&ring->live->gen, memory_order_relaxed) != gen)
            continue;
        from_words(ret, words);
        return ret->gen == gen && ret->head >= ring->bytes && ret->head % LAYOUT_FRAME_ALIGN == 0;
    }
    return false;
}

uint64_t ring_head(const struct ring *ring)
{
    for (int i = 0; i < SETTLE_TRIES; i++) {
        uint64_t gen = atomic_load_explicit(&ring->live->gen, memory_order_acquire);
        uint64_t head =
            atomic_load_explicit(&ring->live->commits[gen & 1][COMMIT_HEAD], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&ring->live->gen, memory_order_relaxed) == gen)
            return head;
    }
    return 0;
}

bool ring_commit_slot(const struct ring *ring, unsigned slot, struct commit *ret)
{
    uint64_t words[COMMIT_WORDS];

    load_slot(ring, slot, words);
    from_words(ret, words);
    return (uint32_t)words[COMMIT_CRC] == commit_crc(ring, words) && ret->gen % 2 == slot &&
           ret->gen != 0 && ret->head >= ring->bytes && ret->head % LAYOUT_FRAME_ALIGN == 0;
}

bool ring_commit_sound(const struct ring *ring)
{
    for (int i = 0; i < SETTLE_TRIES; i++) {
        struct commit commit;
        uint64_t gen = atomic_load_explicit(&ring->live->gen, memory_order_acquire);
        bool sound = ring_commit_slot(ring, gen & 1, &commit) && commit.gen == gen;
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&ring->live->gen, memory_order_relaxed) == gen)
            return sound;
    }
    return false;
}

void ring_publish(struct ring *ring, struct commit *next)
{
    uint64_t gen = atomic_load_explicit(&ring->live->gen, memory_order_relaxed) + 1;
    uint64_t words[COMMIT_WORDS] = {
        gen, next->head, next->newest, next->newest_time, next->rendered_end, next->time_floor};

    next->gen = gen;
    words[COMMIT_CRC] = commit_crc(ring, words);
    atomic_thread_fence(memory_order_release); /* ring_publish:A, pairs with ring_commit:B */
    for (int i = 0; i < COMMIT_WORDS; i++)
        atomic_store_explicit(&ring->live->commits[gen & 1][i], words[i], memory_order_relaxed);
    /* ring_publish:C, pairs with ring_commit:D */
    atomic_store_explicit(&ring->live->gen, gen, memory_order_release);
}

/*
 * The first n bytes at p as a word, 1 <= n <= 7, and back.  Whole loads and stores that overlap: a
 * memcpy of variable length is a loop of bytes, and the load of a word that bytes have just made
 * waits for all of them.
 */
static uint64_t load_part(const char *p, uint64_t n)
{
    uint32_t low, high;

    if (n < 4)
        return (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 * (n / 2) |
               (uint64_t)(uint8_t)p[n - 1] << 8 * (n - 1);
    memcpy(&low, p, 4);
    memcpy(&high, p + n - 4, 4);
    return low | (uint64_t)high << 8 * (n - 4);
}

static void store_part(char *p, uint64_t word, uint64_t n)
{
    if (n & 4) {
        memcpy(p, &word, 4);
        p += 4;
        word >>= 32;
    }
    if (n & 2) {
        memcpy(p, &word, 2);
        p += 2;
        word >>= 16;
    }
    if (n & 1)
        *p = (char)word;
}

void ring_copy_out(const struct ring *ring, uint64_t off, void *to, uint64_t n)
{
    const _Atomic uint64_t *from = ring->words + off / 8;
    char *p = to;
    uint64_t word;

    for (; n >= 8; n -= 8, p += 8) {
        word = atomic_load_explicit(from++, memory_order_relaxed);
        memcpy(p, &word, 8);
    }
    if (n > 0) {
        word = atomic_load_explicit(from, memory_order_relaxed);
        store_part(p, word, n);
    }
}

void ring_copy_in(struct ring *ring, uint64_t off, const void *a, uint64_t a_n, const void *b,
                  uint64_t b_n)
{
    _Atomic uint64_t *to = ring->words + off / 8;
    const char *p = a, *q = b;
    uint64_t word;

    for (; a_n >= 8; a_n -= 8, p += 8) {
        memcpy(&word, p, 8);
        atomic_store_explicit(to++, word, memory_order_relaxed);
    }
    if (a_n > 0) { /* the word in which a ends and b begins */
        uint64_t from_b = b_n < 8 - a_n ? b_n : 8 - a_n;
        word = load_part(p, a_n);
        if (from_b > 0)
            word |= load_part(q, from_b) << 8 * a_n;
        atomic_store_explicit(to++, word, memory_order_relaxed);
        q += from_b;
        b_n -= from_b;
    }
    for (; b_n >= 8; b_n -= 8, q += 8) {
        memcpy(&word, q, 8);
        atomic_store_explicit(to++, word, memory_order_relaxed);
    }
    if (b_n > 0) {
        word = load_part(q, b_n);
        atomic_store_explicit(to, word, memory_order_relaxed);
    }
}
