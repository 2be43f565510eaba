/*
 * The instruction takes 8 bytes in a cycle but answers after three, so a long text is cut in three streams that run side
 * by side.  Their results are put together by moving a checksum past the bytes that follow it: a multiplication by a power of x
 * modulo the polynomial, done by one carry-less multiplication and the instruction itself.
 */
#include "crc32c.h"

#include <pthread.h>

#define POLYNOMIAL 0x82f63b78u /* bits reversed, as everywhere in this file */

/* ---- tables: eight bytes at a time ---- */

static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void tables_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        tables[0][i] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t i = 0; i < 256; i++)
            tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 0xff];
}

uint32_t crc32c_tables(uint32_t crc, const void *p, size_t n)
{
    const unsigned char *at = p;

    (void)pthread_once(&tables_once, tables_make); /* cannot fail */
    crc = ~crc;
    for (; n >= 8; n -= 8, at += 8) {
        crc ^=
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^ tables[5][crc >> 16 & 0xff] ^
              tables[4][crc >> 24] ^ tables[3][at[4]] ^ tables[2][at[5]] ^ tables[1][at[6]] ^
              tables[0][at[7]];
    }
    for (; n > 0; n--)
        crc = crc >> 8 ^ tables[0][(crc ^ *at++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>
#include <wmmintrin.h>

/* ---- three streams ---- */

#define BLOCK_LONG 1024
#define BLOCK_SHORT 128

/* x^(8 n - 33): moves a checksum past n bytes. */
#define PAST_128 0x0d3b6092u
#define PAST_256 0xb9e02b86u
#define PAST_1024 0x170076fau
#define PAST_2048 0xa51b6135u

__attribute__((target("sse4.2,pclmul"))) static inline uint64_t move_past(uint64_t crc,
                                                                          uint32_t power)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)power), 0);

    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2"))) static inline uint64_t step(uint64_t crc, const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, 8);
    return _mm_crc32_u64(crc, word);
}

/* Three blocks in a row; past_1 and past_2 belong to one and two blocks. */
__attribute__((target("sse4.2,pclmul"))) static inline uint64_t
three(uint64_t crc, const unsigned char *p, size_t block, uint32_t past_1, uint32_t past_2)
{
    uint64_t a = crc, b = 0, c = 0;

    for (size_t i = 0; i < block; i += 8) {
        a = step(a, p + i);
        b = step(b, p + block + i);
        c = step(c, p + 2 * block + i);
    }
    return move_past(a, past_2) ^ move_past(b, past_1) ^ c;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t streams(uint32_t crc, const void *p,
                                                                 size_t n)
{
    const unsigned char *at = p;
    uint64_t state = ~crc;

    for (; n >= 3 * BLOCK_LONG; n -= 3 * BLOCK_LONG, at += 3 * BLOCK_LONG)
        state = three(state, at, BLOCK_LONG, PAST_1024, PAST_2048);
    for (; n >= 3 * BLOCK_SHORT; n -= 3 * BLOCK_SHORT, at += 3 * BLOCK_SHORT)
        state = three(state, at, BLOCK_SHORT, PAST_128, PAST_256);
    return crc32c_short(~(uint32_t)state, at, n);
}

uint32_t crc32c_long(uint32_t crc, const void *p, size_t n)
{
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return streams(crc, p, n);
    return crc32c_tables(crc, p, n);
}

#else

uint32_t crc32c_long(uint32_t crc, const void *p, size_t n)
{
    return crc32c_tables(crc, p, n);
}

#endif
