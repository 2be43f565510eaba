/* The vector part of the block scanner for processors with AVX2 and a quick pext. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TARGET __attribute__((target("avx2,bmi,bmi2,popcnt,pclmul")))
#define SCAN __attribute__((always_inline)) TARGET static inline

#include "json_masks.h"

SCAN uint64_t bits(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

SCAN uint64_t equal_bits(__m256i low, __m256i high, char c)
{
    __m256i all = _mm256_set1_epi8(c);

    return bits(_mm256_cmpeq_epi8(low, all), _mm256_cmpeq_epi8(high, all));
}

/* Bytes that are `most` or less, unsigned. */
SCAN uint64_t at_most_bits(__m256i low, __m256i high, char most)
{
    __m256i all = _mm256_set1_epi8(most);

    return bits(_mm256_cmpeq_epi8(_mm256_min_epu8(low, all), low),
                _mm256_cmpeq_epi8(_mm256_min_epu8(high, all), high));
}

SCAN void classify(const char *p, struct masks *m)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    __m256i bit = _mm256_set1_epi8(0x20), zero = _mm256_set1_epi8('0');

    m->quote = equal_bits(low, high, '"');
    m->slash = equal_bits(low, high, '\\');
    m->high = bits(low, high);
    m->control = at_most_bits(low, high, 0x1f);
    m->space = equal_bits(low, high, ' ');
    m->open = equal_bits(_mm256_or_si256(low, bit), _mm256_or_si256(high, bit), '{');
    m->close = equal_bits(_mm256_or_si256(low, bit), _mm256_or_si256(high, bit), '}');
    m->object = bits(_mm256_slli_epi16(low, 2), _mm256_slli_epi16(high, 2));
    m->comma = equal_bits(low, high, ',');
    m->colon = equal_bits(low, high, ':');
    m->digit = at_most_bits(_mm256_sub_epi8(low, zero), _mm256_sub_epi8(high, zero), 9);
    m->minus = equal_bits(low, high, '-');
    m->zero = equal_bits(low, high, '0');
}

SCAN uint64_t equal_mask(const char *p, char c)
{
    return equal_bits(_mm256_loadu_si256((const __m256i *)(const void *)p),
                      _mm256_loadu_si256((const __m256i *)(const void *)(p + 32)), c);
}

SCAN uint64_t prefix_xor(uint64_t x)
{
    __m128i sum = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)x), _mm_set1_epi8(-1), 0);

    return (uint64_t)_mm_cvtsi128_si64(sum);
}

/* The bytes of 64 whose bits are set, one behind the other, eight at a time. */
SCAN char *compact(const char *p, uint64_t keep, char *out)
{
    for (int i = 0; i < 8; i++) {
        uint64_t word, bytes = _pdep_u64(keep >> (8 * i), 0x0101010101010101) * 0xff;

        memcpy(&word, p + 8 * i, 8);
        word = _pext_u64(word, bytes);
        memcpy(out, &word, 8);
        out += _mm_popcnt_u64(keep >> (8 * i) & 0xff);
    }
    return out;
}

#define CAN_COMPACT true

#include "json_blocks.h"

TARGET size_t json_scan_avx2(struct json_gate *gate, const char *p, size_t at, size_t n, char *out,
                             char **ret_out)
{
    return scan_blocks(gate, p, at, n, out, ret_out);
}

#endif
