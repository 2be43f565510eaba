/*
 * The pool file, format version 1.
 *
 *     0                 header page, 4096 bytes
 *     4096              index, 16 bytes for each slot of index_capacity (two entries of 8 bytes)
 *     ring_off          ring, until the end of the file (the last file_size % 8 bytes are unused)
 *
 * All numbers are little-endian.  What is reserved is written as zero and not looked at.  The whole
 * file is allocated when it is made; it never grows or shrinks.
 *
 * THE HEADER PAGE
 *
 *     0   magic                   8   "plasmite"
 *     8   version                 4   1
 *    12   incompat                4   bits that an older program must not ignore; none yet
 *    16   file_size               8   bytes
 *    24   ring_off                8   bytes
 *    32   ring_bytes              8   a multiple of 8
 *    40   index_capacity          4   slots
 *    44   salt                    4   random; seeds the checksum of every frame header
 *    48   uuid                   16   random
 *    64   created_ns              8   since 1970, UTC
 *    72   reserved                4
 *    76   crc                     4   CRC-32C of the 76 bytes above; constant from here up
 *
 *   128   lock                    8   who writes: see lock.h
 *   136   gone                    4   1: deleted, under the lock
 *   192   waiting                 4   rounds * 4, and who sleeps, see notify.h
 *   256   tail                    8   position of the oldest frame
 *   320   gen                     8   which commit is in force: commits[gen % 2]
 *   384   commits[2]          2 x 64  see below
 *   512   flush_lock              8   who flushes: as lock
 *   520   flushed                 8   position up to which everything is on disk
 *   528   flush_errno             4   a flush failed: this errno, in the boot below
 *   532   reserved                4
 *   536   flush_boot             16
 *   552   boot                   16   boot id of the system that last found the pool sound
 *
 * A commit is what an append publishes at once:
 *
 *     0   gen                     8   its number; the one in force equals the header's gen
 *     8   head                    8   position behind the newest frame
 *    16   newest                  8   seq of the newest message; 0: none ever
 *    24   newest_time             8   ns
 *    32   rendered_end            8   bytes of envelopes ever, the newest included
 *    40   time_floor              8   seq: from here on times do not decrease; searches by time
 *    begin here
 *    48   crc                     4   CRC-32C of the 48 bytes above, seeded with the salt
 *    52   reserved               12
 *
 * Everything that changes lies in the first 512-byte sector (what flushing adds: in the second), so
 * that a disk writes it whole or not at all.
 *
 * THE RING
 *
 * A position is a number of bytes that only grows; a frame at position p stands at ring_off + p %
 * ring_bytes. Positions begin at ring_bytes, so that 0 is never one.  Frames are 8-byte aligned and
 * in one piece.  When fewer than 40 bytes are left before the end of the ring, the next frame
 * stands at the ring's beginning; when more are left but the frame does not fit, a filler frame
 * (header only) says so.
 *
 *     0   data_len                4   bytes
 *     4   body_crc                4   CRC-32C of tags and data
 *     8   seq                     8   from 1
 *    16   time_ns                 8   since 1970, UTC
 *    24   rendered_before         8   bytes of envelopes before this one, ever
 *    32   tags_len           20 bits   bytes
 *         kind                2 bits   1: message, 2: filler
 *         lap                10 bits   position / ring_bytes, modulo 1024
 *    36   header_crc              4   CRC-32C of the 36 bytes above, seeded with the pool's salt
 *    40   tags, data                  the inside of the tags' JSON array; the JSON object; padded
 *    to 8 with zeros
 *
 * A frame at position p is valid if and only if
 *   (1) tail <= p and p + its length <= head,
 *   (2) header_crc is right, (3) kind is 1 or 2 and lap is that of p,
 *   (4) 40 + tags_len + data_len, rounded up to 8, does not pass the end of the ring,
 *   (5) body_crc is right (messages), and
 *   (6) its seq is one more than that of the frame before it, if there is one.
 *
 * THE INDEX
 *
 * There are 2 x index_capacity entries.  The ring is divided into parts of the smallest power of
 * two of bytes with which the entries suffice.  Entry i is the position of the frame that most
 * recently was the first to begin in part i. It is a hint: an entry that does not lead to a valid
 * frame between tail and head is old, and whoever uses it falls back to its neighbour.
 *
 * The bytes of an envelope (message.h) are part of this version, since rendered_before counts them.
 */
#ifndef POOL_LAYOUT_H
#define POOL_LAYOUT_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the pool format is little-endian and this machine is not; loads and stores need swapping first"
#endif

#define LAYOUT_MAGIC "plasmite"
#define LAYOUT_VERSION 1u
#define LAYOUT_HEADER_BYTES 4096u
#define LAYOUT_INDEX_SLOT_BYTES 16u
#define LAYOUT_INDEX_ENTRY_BYTES 8u
#define LAYOUT_FRAME_ALIGN 8u
#define LAYOUT_BOOT_BYTES 16u

struct header_fixed {
    uint8_t magic[8];
    uint32_t version;
    uint32_t incompat;
    uint64_t file_size;
    uint64_t ring_off;
    uint64_t ring_bytes;
    uint32_t index_capacity;
    uint32_t salt;
    uint8_t uuid[16];
    uint64_t created_ns;
    uint32_t reserved;
    uint32_t crc;
};

/* Words of a commit, in order. */
enum { COMMIT_GEN, COMMIT_HEAD, COMMIT_NEWEST, COMMIT_NEWEST_TIME, COMMIT_RENDERED_END, COMMIT_TIME_FLOOR, COMMIT_CRC, COMMIT_RESERVED, COMMIT_WORDS };

struct header_live {
    alignas(64) _Atomic uint64_t lock; /* lock.c */
    _Atomic uint32_t gone;             /* under lock */
    alignas(64) _Atomic uint32_t waiting; /* notify.c */
    alignas(64) _Atomic uint64_t tail; /* ring.c, under lock */
    alignas(64) _Atomic uint64_t gen;  /* ring.c, under lock */
    alignas(64) _Atomic uint64_t commits[2][COMMIT_WORDS];
    alignas(64) _Atomic uint64_t flush_lock;
    _Atomic uint64_t flushed; /* under flush_lock */
    _Atomic uint32_t flush_errno;
    uint32_t reserved;
    _Atomic uint64_t flush_boot[2];
    _Atomic uint64_t boot[2]; /* under lock */
};

struct header_page {
    struct header_fixed fixed;
    uint8_t pad[48];
    struct header_live live;
};

struct frame_header {
    uint32_t data_len;
    uint32_t body_crc;
    uint64_t seq;
    uint64_t time_ns;
    uint64_t rendered_before;
    uint32_t tags_kind_lap; /* tags_len in the low 20 bits, kind in 2, lap in the high 10 */
    uint32_t header_crc;
};

#define FRAME_HEADER_BYTES 40u
#define FRAME_TAGS_LEN_MAX 0xfffffu
#define FRAME_KIND_SHIFT 20
#define FRAME_LAP_SHIFT 22
#define FRAME_LAPS 1024u

enum frame_kind { FRAME_MESSAGE = 1, FRAME_FILLER = 2 };

static_assert(sizeof(struct header_fixed) == 80, "on-disk size is fixed");
static_assert(offsetof(struct header_fixed, ring_bytes) == 32, "on-disk offset is fixed");
static_assert(offsetof(struct header_fixed, uuid) == 48, "on-disk offset is fixed");
static_assert(offsetof(struct header_fixed, crc) == 76, "on-disk offset is fixed");
#define LIVE_OFFSET(field) (offsetof(struct header_page, live) + offsetof(struct header_live, field))
static_assert(LIVE_OFFSET(lock) == 128, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(gone) == 136, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(waiting) == 192, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(tail) == 256, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(gen) == 320, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(commits) == 384, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(flush_lock) == 512, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(flushed) == 520, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(flush_errno) == 528, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(flush_boot) == 536, "on-disk offset is fixed");
static_assert(LIVE_OFFSET(boot) == 552, "on-disk offset is fixed");
static_assert(sizeof(struct header_page) <= LAYOUT_HEADER_BYTES, "the header fits its page");
static_assert(COMMIT_WORDS * 8 == 64, "on-disk size is fixed");
static_assert(sizeof(struct frame_header) == FRAME_HEADER_BYTES, "on-disk size is fixed");
static_assert(offsetof(struct frame_header, rendered_before) == 24, "on-disk offset is fixed");
static_assert(offsetof(struct frame_header, header_crc) == 36, "on-disk offset is fixed");

#endif
