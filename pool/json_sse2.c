/* The vector part of the block scanner for every x86-64 processor. */
#if defined(__x86_64__)

#include <emmintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define SCAN __attribute__((always_inline)) static inline

#include "json_masks.h"

struct vectors {
    __m128i v[4];
};

SCAN struct vectors load(const char *p)
{
    struct vectors all;

    for (int i = 0; i < 4; i++)
        all.v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    return all;
}

SCAN uint64_t bits(struct vectors all)
{
    uint64_t mask = 0;

    for (int i = 0; i < 4; i++)
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(all.v[i]) << (16 * i);
    return mask;
}

SCAN uint64_t equal_bits(struct vectors all, char c)
{
    for (int i = 0; i < 4; i++)
        all.v[i] = _mm_cmpeq_epi8(all.v[i], _mm_set1_epi8(c));
    return bits(all);
}

/* Bytes that are `most` or less, unsigned. */
SCAN uint64_t at_most_bits(struct vectors all, char most)
{
    for (int i = 0; i < 4; i++)
        all.v[i] = _mm_cmpeq_epi8(_mm_min_epu8(all.v[i], _mm_set1_epi8(most)), all.v[i]);
    return bits(all);
}

SCAN void classify(const char *p, struct masks *m)
{
    struct vectors all = load(p), brackets, digits, object;

    for (int i = 0; i < 4; i++) {
        brackets.v[i] = _mm_or_si128(all.v[i], _mm_set1_epi8(0x20));
        digits.v[i] = _mm_sub_epi8(all.v[i], _mm_set1_epi8('0'));
        object.v[i] = _mm_slli_epi16(all.v[i], 2);
    }
    m->quote = equal_bits(all, '"');
    m->slash = equal_bits(all, '\\');
    m->high = bits(all);
    m->control = at_most_bits(all, 0x1f);
    m->space = equal_bits(all, ' ');
    m->open = equal_bits(brackets, '{');
    m->close = equal_bits(brackets, '}');
    m->object = bits(object);
    m->comma = equal_bits(all, ',');
    m->colon = equal_bits(all, ':');
    m->digit = at_most_bits(digits, 9);
    m->minus = equal_bits(all, '-');
    m->zero = equal_bits(all, '0');
}

SCAN uint64_t equal_mask(const char *p, char c)
{
    return equal_bits(load(p), c);
}

SCAN uint64_t prefix_xor(uint64_t x)
{
    for (int i = 1; i < 64; i *= 2)
        x ^= x << i;
    return x;
}

/* Runs are copied one by one. */
SCAN char *compact(const char *p, uint64_t keep, char *out)
{
    (void)p, (void)keep;
    return out;
}

#define CAN_COMPACT false

#include "json_blocks.h"

size_t json_scan_sse2(struct json_gate *gate, const char *p, size_t at, size_t n, char *out,
                      char **ret_out)
{
    return scan_blocks(gate, p, at, n, out, ret_out);
}

#endif
