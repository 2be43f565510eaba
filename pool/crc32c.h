/*
 * CRC-32C (Castagnoli), the checksum of frames and headers: crc32c(0, "123456789", 9) is 0xe3069283.  Continues:
 * crc32c(crc32c(0, a), b) is the checksum of a followed by b.
 *
 * The instruction of SSE 4.2 where the processor has it, tables otherwise.  Any thread.
 */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The two ways.  crc32c() chooses; tests compare. */
uint32_t crc32c_tables(uint32_t crc, const void *p, size_t n);
uint32_t crc32c_long(uint32_t crc, const void *p, size_t n);

/* Up to here one stream of the instruction is as quick as three. */
#define CRC32C_SHORT 256

#if defined(__x86_64__)

static inline uint32_t crc32c_short(uint32_t crc, const void *p, size_t n)
{
    const unsigned char *at = p;
    uint64_t state = ~crc;

    for (; n >= 32; n -= 32, at += 32)
        __asm__("crc32q (%1), %0\n\tcrc32q 8(%1), %0\n\tcrc32q 16(%1), %0\n\tcrc32q 24(%1), %0"
                : "+&r"(state) /* written before `at` is read for the last time */
                : "r"(at), "m"(*(const unsigned char(*)[32])at));
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        __asm__("crc32q %1, %0" : "+r"(state) : "r"(word));
    }
    if (n & 4) {
        uint32_t word;

        memcpy(&word, at, 4);
        __asm__("crc32l %1, %k0" : "+r"(state) : "r"(word));
        at += 4;
    }
    for (n &= 3; n > 0; n--)
        __asm__("crc32b %1, %k0" : "+r"(state) : "r"(*at++));
    return ~(uint32_t)state;
}

static inline uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    if (n <= CRC32C_SHORT && __builtin_cpu_supports("sse4.2"))
        return crc32c_short(crc, p, n);
    return crc32c_long(crc, p, n);
}

#else

static inline uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return crc32c_tables(crc, p, n);
}

#endif

#endif
