#include "frame.h"

#include "crc32c.h"

static void words_from_header(uint64_t words[5], const struct frame_header *h)
{
    words[0] = h->data_len | (uint64_t)h->body_crc << 32;
    words[1] = h->seq;
    words[2] = h->time_ns;
    words[3] = h->rendered_before;
    words[4] = h->tags_kind_lap | (uint64_t)h->header_crc << 32;
}

static uint32_t tags_kind_lap(uint32_t tags_len, enum frame_kind kind, uint64_t lap)
{
    return tags_len | (uint32_t)kind << FRAME_KIND_SHIFT |
           (uint32_t)(lap % FRAME_LAPS) << FRAME_LAP_SHIFT;
}

static uint32_t header_crc(const struct ring *ring, const uint64_t words[5])
{
    return crc32c(ring->salt, words, offsetof(struct frame_header, header_crc));
}

#define READ_AHEAD 1024 /* bytes; past the end of the ring it does nothing */

enum frame_result frame_read(const struct ring *ring, uint64_t *pos, uint64_t head,
                             struct frame *ret)
{
    uint64_t words[5];

    for (;;) {
        if (*pos >= head)
            return FRAME_END;
        uint64_t lap, off = ring_place(ring, *pos, &lap), left = ring->bytes - off;
        if (left < FRAME_HEADER_BYTES) {
            *pos += left;
            continue;
        }
        for (int i = 0; i < 5; i++)
            words[i] = atomic_load_explicit(ring->words + off / 8 + i, memory_order_relaxed);
        __builtin_prefetch((const char *)ring->words + off + READ_AHEAD); /* for those who read on */
        __builtin_prefetch((const char *)ring->words + off + READ_AHEAD + 64);
        if (ring_lapped(ring, *pos))
            return FRAME_LAPPED;
        if ((uint32_t)(words[4] >> 32) != header_crc(ring, words))
            return FRAME_BAD;
        uint32_t kind = (uint32_t)words[4] >> FRAME_KIND_SHIFT & 3;
        uint32_t frame_lap = (uint32_t)words[4] >> FRAME_LAP_SHIFT;
        if (frame_lap != lap % FRAME_LAPS && !ring->any_lap)
            return FRAME_BAD;
        if (kind == FRAME_FILLER && off != 0) { /* off 0: a filler there would go round for ever */
            *pos += left;
            continue;
        }
        *ret = (struct frame){.data_len = (uint32_t)words[0],
                              .body_crc = (uint32_t)(words[0] >> 32),
                              .seq = words[1],
                              .time_ns = words[2],
                              .rendered_before = words[3],
                              .tags_len = (uint32_t)words[4] & FRAME_TAGS_LEN_MAX,
                              .lap = frame_lap};
        uint64_t bytes = frame_bytes(ret->tags_len, ret->data_len);
        return kind == FRAME_MESSAGE && bytes <= left && bytes <= head - *pos ? FRAME_OK
                                                                              : FRAME_BAD;
    }
}

enum frame_result frame_read_tags(const struct ring *ring, uint64_t pos, const struct frame *frame,
                                  char *to)
{
    ring_copy_out(ring, ring_off(ring, pos) + FRAME_HEADER_BYTES, to, frame->tags_len);
    return ring_lapped(ring, pos) ? FRAME_LAPPED : FRAME_OK;
}

enum frame_result frame_read_body(const struct ring *ring, uint64_t pos, const struct frame *frame,
                                  char *to)
{
    uint64_t n = (uint64_t)frame->tags_len + frame->data_len;

    ring_copy_out(ring, ring_off(ring, pos) + FRAME_HEADER_BYTES, to, n);
    if (ring_lapped(ring, pos))
        return FRAME_LAPPED;
    return crc32c(0, to, n) == frame->body_crc ? FRAME_OK : FRAME_BAD;
}

#define CHECKED_BYTES 4096 /* at a time: a multiple of 8, and little beside a stack */

enum frame_result frame_check_body(const struct ring *ring, uint64_t pos, const struct frame *frame)
{
    uint64_t n = (uint64_t)frame->tags_len + frame->data_len;
    uint64_t off = ring_off(ring, pos) + FRAME_HEADER_BYTES, end = off + n;
    char piece[CHECKED_BYTES];
    uint32_t crc = 0;

    for (; off < end; off += n) {
        n = end - off < sizeof piece ? end - off : sizeof piece;
        ring_copy_out(ring, off, piece, n);
        crc = crc32c(crc, piece, n);
    }
    if (ring_lapped(ring, pos))
        return FRAME_LAPPED;
    return crc == frame->body_crc ? FRAME_OK : FRAME_BAD;
}

uint64_t frame_place(const struct ring *ring, uint64_t pos, uint64_t bytes)
{
    uint64_t left = ring->bytes - ring_off(ring, pos);

    return bytes <= left ? pos : pos + left;
}

static void write_header(struct ring *ring, uint64_t off, struct frame_header *h)
{
    uint64_t words[5];

    words_from_header(words, h);
    words[4] = h->tags_kind_lap | (uint64_t)header_crc(ring, words) << 32;
    for (int i = 0; i < 5; i++)
        atomic_store_explicit(ring->words + off / 8 + i, words[i], memory_order_relaxed);
}

uint64_t frame_write(struct ring *ring, uint64_t pos, const struct frame *frame, const char *tags,
                     const char *data)
{
    uint64_t bytes = frame_bytes(frame->tags_len, frame->data_len);
    uint64_t place = frame_place(ring, pos, bytes);
    uint64_t lap, off = ring_place(ring, place, &lap);

    if (place - pos >= FRAME_HEADER_BYTES) {
        uint64_t filler_lap, filler_off = ring_place(ring, pos, &filler_lap);
        struct frame_header filler = {.seq = frame->seq,
                                      .tags_kind_lap = tags_kind_lap(0, FRAME_FILLER, filler_lap)};
        write_header(ring, filler_off, &filler);
    }
    struct frame_header header = {.data_len = frame->data_len,
                                  .body_crc = frame->body_crc,
                                  .seq = frame->seq,
                                  .time_ns = frame->time_ns,
                                  .rendered_before = frame->rendered_before,
                                  .tags_kind_lap =
                                      tags_kind_lap(frame->tags_len, FRAME_MESSAGE, lap)};
    write_header(ring, off, &header);
    ring_copy_in(ring, off + FRAME_HEADER_BYTES, tags, frame->tags_len, data, frame->data_len);
    return place + bytes;
}

void frame_wipe(struct ring *ring, uint64_t pos)
{
    uint64_t off = ring_off(ring, pos);

    for (uint64_t i = 0; i < FRAME_HEADER_BYTES / 8; i++)
        atomic_store_explicit(ring->words + off / 8 + i, 0, memory_order_relaxed);
}
