#include "floor.h"

#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

FLOOR_TARGET static uint64_t power_of_x(size_t bytes)
{
    uint32_t power = 0x80000000u >> 7; /* x^7; the highest bit is x^0 */

    for (size_t i = 5; i < bytes; i++) /* 8 bytes - 33 = 7 + 8 (bytes - 5) */
        power = _mm_crc32_u8(power, 0);
    return power;
}

static struct floor_crc crc_for(size_t n)
{
    struct floor_crc how = {0};

    if (n > FLOOR_ONE_STREAM) {
        how.third = n / 3 & ~(size_t)7;
        how.shift = power_of_x(how.third);
    }
    return how;
}

/* A wrong checksum would be a floor of something else. */
static void check_crc(const struct floor_crc *how, size_t n)
{
    const struct floor_crc plain = {0};
    char *bytes = malloc(n);

    if (bytes == NULL)
        die("out of memory");
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 >> 2);
    if (floor_crc(&plain, "123456789", 9) != 0xe3069283u || floor_crc(how, bytes, n) != floor_crc(&plain, bytes, n))
        die("the checksum of the floor is wrong");
    free(bytes);
}

void floor_open(struct floor *f, const char *dir, size_t size, size_t n)
{
    char *path;

    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("pclmul"))
        die("this processor has no CRC instruction, which the floor needs");
    if (asprintf(&path, "%s/floor", dir) < 0)
        die("out of memory");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)size) != 0)
        die_os(path);
    unsigned char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die_os(path);
    close(fd);
    free(path);

    size_t stride = (8 + n + 7) & ~(size_t)7;
    *f = (struct floor){.ring = map + PAGE, .lock = (_Atomic uint64_t *)(void *)map, .n = n, .stride = stride,
                        .frames = (size - PAGE) / stride, .crc = crc_for(n)};
    check_crc(&f->crc, n);
}

void floor_close(struct floor *f)
{
    munmap(f->ring - PAGE, PAGE + f->frames * f->stride);
}
