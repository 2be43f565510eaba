/*
 * The floor under appending and reading: the least that any ring in a file must do, with nothing of ours in it.
 *
 * A ring of the same size in the same folder.  A frame is the smallest that can be checked: length and
 * CRC-32C (4 + 4 bytes), then the bytes, padded to 8.  The checksum is written out here once more, with the
 * processor's instruction, so that a mistake in ours cannot lower the floor.
 *
 *     floor_open(&f, dir, size, n)       -- frames of n bytes each; the file stays, as a pool does, and is used again
 *     floor_put(&f, p)  floor_get(&f, i, to)
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <nmmintrin.h>
#include <wmmintrin.h>

#define FLOOR_TARGET __attribute__((target("sse4.2,pclmul")))
#define FLOOR_ONE_STREAM 256 /* bytes: up to here three streams at a time are no quicker than one */

struct floor_crc {
    size_t third;   /* bytes of each of three streams, a multiple of 8; 0: one stream */
    uint64_t shift; /* x^(8 third - 33): moves a checksum over `third` bytes */
};

struct floor {
    unsigned char *ring;
    _Atomic uint64_t *lock; /* shared memory, in front of the ring */
    size_t n, stride, frames;
    size_t next; /* which frame is written next */
    struct floor_crc crc;
};

void floor_open(struct floor *f, const char *dir, size_t size, size_t n);
void floor_close(struct floor *f);

FLOOR_TARGET static inline uint64_t floor_crc_word(uint64_t crc, const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, 8);
    return _mm_crc32_u64(crc, word);
}

FLOOR_TARGET static inline uint64_t floor_crc_move(uint64_t crc, uint64_t shift)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128((long long)shift), 0);

    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

FLOOR_TARGET static inline uint32_t floor_crc(const struct floor_crc *how, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t a = 0xffffffff;

    if (how->third > 0) {
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < how->third; i += 8) {
            a = floor_crc_word(a, p + i);
            b = floor_crc_word(b, p + how->third + i);
            c = floor_crc_word(c, p + 2 * how->third + i);
        }
        a = floor_crc_move(floor_crc_move(a, how->shift) ^ b, how->shift) ^ c;
        p += 3 * how->third;
        n -= 3 * how->third;
    }
    for (; n >= 8; n -= 8, p += 8)
        a = floor_crc_word(a, p);
    for (; n > 0; n--)
        a = _mm_crc32_u8((uint32_t)a, *p++);
    return ~(uint32_t)a;
}

/* Copy and checksum of one payload into the next place. */
FLOOR_TARGET static inline void floor_put(struct floor *f, const char *p)
{
    unsigned char *to = f->ring + f->next * f->stride;
    uint32_t head[2] = {(uint32_t)f->n, floor_crc(&f->crc, p, f->n)};

    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, p, f->n);
    f->next = f->next + 1 < f->frames ? f->next + 1 : 0;
}

/* A checked copy of frame i: 1 when it is what was written. */
FLOOR_TARGET static inline int floor_get(const struct floor *f, size_t i, char *to)
{
    const unsigned char *from = f->ring + i * f->stride;
    uint32_t head[2];

    memcpy(head, from, sizeof head);
    if (head[0] != f->n)
        return 0;
    memcpy(to, from + sizeof head, f->n);
    return floor_crc(&f->crc, to, f->n) == head[1];
}

/* A lock that is free: taken and released. */
static inline void floor_lock(struct floor *f)
{
    uint64_t word = 0;

    (void)atomic_compare_exchange_strong(f->lock, &word, 1);
    (void)atomic_exchange(f->lock, 0);
}

static inline uint64_t floor_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
