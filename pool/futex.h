/*
 * The futex calls that glibc does not wrap.  All are shared between processes.  Times are relative,
 * in ns.
 */
#ifndef POOL_FUTEX_H
#define POOL_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline long futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

    return syscall(SYS_futex, word, FUTEX_WAIT, expected, &t, NULL, 0);
}

static inline long futex_wake(const _Atomic uint32_t *word, int n)
{
    return syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

/* Little-endian (layout.h sees to it): the low half stands first. */
static inline const _Atomic uint32_t *futex_low_half(const _Atomic uint64_t *word)
{
    return (const _Atomic uint32_t *)(const void *)word;
}

#endif
