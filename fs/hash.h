/* FNV-1a, for table keys and inode numbers.  Not for anything an attacker must not collide. */
#ifndef FS_HASH_H
#define FS_HASH_H

#include "base/buf.h"

#include <stdint.h>

#define HASH_START 14695981039346656037ULL

/* The length goes in too, so that "a" + "b" differs from "ab". */
static inline uint64_t hash_u64(uint64_t h, uint64_t n)
{
    for (int i = 0; i < 8; i++, n >>= 8)
        h = (h ^ (n & 0xff)) * 1099511628211ULL;
    return h;
}

static inline uint64_t hash_bytes(uint64_t h, struct bytes b)
{
    h = hash_u64(h, b.n);
    for (size_t i = 0; i < b.n; i++)
        h = (h ^ (unsigned char)b.p[i]) * 1099511628211ULL;
    return h;
}

#endif
