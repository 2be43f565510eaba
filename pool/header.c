#include "header.h"

#include "base/cleanup.h"
#include "crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#define INDEX_SLOTS_AUTO_MAX 65536u
#define INDEX_AUTO_SHARE 256u  /* one slot for so many bytes of file */
#define INDEX_AUTO_SPARE 1024u /* bytes that an automatic index leaves to the ring at least */
#define SIZE_MAX_BYTES (1ULL << 60)

static uint64_t index_auto(uint64_t size)
{
    uint64_t slots = size / INDEX_AUTO_SHARE;
    uint64_t room = (size - LAYOUT_HEADER_BYTES - INDEX_AUTO_SPARE) / LAYOUT_INDEX_SLOT_BYTES;

    if (slots > INDEX_SLOTS_AUTO_MAX)
        slots = INDEX_SLOTS_AUTO_MAX;
    return slots < room ? slots : room;
}

int header_plan(const struct pool_options *options, struct header_fixed *ret, struct error *err)
{
    uint64_t size = options->size == 0 ? POOL_SIZE_DEFAULT : options->size;
    uint64_t slots;

    if (size < POOL_SIZE_MIN) {
        fail(err, PLSM_ERROR_USAGE, "file_size must exceed header and index size");
        return fail_hint(err, "A pool needs at least 8K (8192 bytes).");
    }
    if (size > SIZE_MAX_BYTES) {
        fail(err, PLSM_ERROR_USAGE, "file_size is too large");
        return fail_hint(err, "A pool can have at most 1073741824G (2^60 bytes).");
    }
    slots = options->index_capacity < 0 ? index_auto(size) : (uint64_t)options->index_capacity;
    if (slots > UINT32_MAX || slots * LAYOUT_INDEX_SLOT_BYTES > size / 2 ||
        size - LAYOUT_HEADER_BYTES - slots * LAYOUT_INDEX_SLOT_BYTES < INDEX_AUTO_SPARE) {
        fail(err, PLSM_ERROR_USAGE, "index capacity is too large for pool size");
        return fail_hint(err, "Lower --index-capacity or raise --size: the index may take at most "
                              "half the file, and 1 KiB must be left for messages.");
    }
    *ret = (struct header_fixed){
        .version = LAYOUT_VERSION,
        .file_size = size,
        .ring_off = LAYOUT_HEADER_BYTES + slots * LAYOUT_INDEX_SLOT_BYTES,
        .index_capacity = (uint32_t)slots,
    };
    memcpy(ret->magic, LAYOUT_MAGIC, sizeof ret->magic);
    ret->ring_bytes = (size - ret->ring_off) & ~(uint64_t)(LAYOUT_FRAME_ALIGN - 1);
    return 0;
}

static uint32_t fixed_crc(const struct header_fixed *fixed)
{
    return crc32c(0, fixed, offsetof(struct header_fixed, crc));
}

int header_seal(struct header_fixed *fixed, uint64_t now_ns, struct error *err)
{
    fixed->created_ns = now_ns;
    if (getrandom(&fixed->salt, sizeof fixed->salt, 0) != sizeof fixed->salt ||
        getrandom(fixed->uuid, sizeof fixed->uuid, 0) != sizeof fixed->uuid)
        return fail_os(err, PLSM_ERROR_IO, errno, "the system gave no random bytes");
    fixed->crc = fixed_crc(fixed);
    return 0;
}

static int bad(struct error *err, const char *what)
{
    return fail(err, PLSM_ERROR_CORRUPT, "%s", what);
}

static int other_format(struct error *err, uint32_t version, uint32_t incompat)
{
    fail(err, PLSM_ERROR_USAGE, "unsupported pool format version %u (supported: %u)", version,
         LAYOUT_VERSION);
    if (version == LAYOUT_VERSION)
        fail(err, PLSM_ERROR_USAGE, "the pool uses features this program does not know (bits %#x)",
             incompat);
    fail_hint(err, "Use the program that made the pool to export it, e.g. `plasmite follow POOL "
                   "--no-follow --jsonl`, and load that with `plasmite feed`; see also "
                   "`plasmite doctor <pool>`.");
    return fail_detail(err, ERROR_DETAIL_FORMAT);
}

int header_check(const void *map, uint64_t file_size, struct header_fixed *ret, struct error *err)
{
    struct header_fixed h;

    memcpy(&h, map, sizeof h); /* checks and uses see the same bytes */
    if (memcmp(h.magic, LAYOUT_MAGIC, sizeof h.magic) != 0)
        return bad(err, "bad magic");
    if (h.version != LAYOUT_VERSION || h.incompat != 0)
        return other_format(err, h.version, h.incompat);
    if (h.crc != fixed_crc(&h))
        return bad(err, "bad header checksum");
    if (h.file_size != file_size)
        return bad(err, "invalid file size");
    if (h.ring_off != LAYOUT_HEADER_BYTES + (uint64_t)h.index_capacity * LAYOUT_INDEX_SLOT_BYTES ||
        h.ring_off >= h.file_size)
        return bad(err, "invalid ring offset");
    if (h.ring_bytes != ((h.file_size - h.ring_off) & ~(uint64_t)(LAYOUT_FRAME_ALIGN - 1)) ||
        h.ring_bytes < INDEX_AUTO_SPARE - LAYOUT_FRAME_ALIGN)
        return bad(err, "ring bounds mismatch");
    *ret = h;
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void header_boot_id(uint64_t ret[2])
{
    auto_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[64];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    int digits = 0;

    ret[0] = ret[1] = 0;
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        int value = hex_value(text[i]);
        if (value >= 0) {
            ret[digits / 16] = ret[digits / 16] << 4 | (uint64_t)value;
            digits++;
        }
    }
}
