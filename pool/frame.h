/*
 * One frame: how long it is, laying it out, reading and checking it.
 */
#ifndef POOL_FRAME_H
#define POOL_FRAME_H

#include "ring.h"

struct frame {
    uint64_t seq, time_ns, rendered_before;
    uint32_t data_len, tags_len, body_crc;
    uint32_t lap; /* of its position, modulo FRAME_LAPS; not looked at when writing */
};

/* Bytes of ring a frame takes. */
static inline uint64_t frame_bytes(uint64_t tags_len, uint64_t data_len)
{
    return (FRAME_HEADER_BYTES + tags_len + data_len + LAYOUT_FRAME_ALIGN - 1) &
           ~(uint64_t)(LAYOUT_FRAME_ALIGN - 1);
}

static inline uint64_t frame_end(uint64_t pos, const struct frame *frame)
{
    return pos + frame_bytes(frame->tags_len, frame->data_len);
}

enum frame_result { FRAME_OK, FRAME_END, FRAME_LAPPED, FRAME_BAD };

/*
 * Reads the header of the first frame at or behind *pos, stepping over a filler or the ring's end
 * (*pos then is where it stands). FRAME_END: *pos has reached head.  FRAME_BAD: rules (2) to (4) of
 * layout.h do not hold.  Without the lock, head comes from ring_head().
 */
enum frame_result frame_read(const struct ring *ring, uint64_t *pos, uint64_t head,
                             struct frame *ret);

/*
 * Copies the tags alone to `to` (tags_len bytes), which cannot be checked without the data.  FRAME_OK or
 * FRAME_LAPPED.
 */
enum frame_result frame_read_tags(const struct ring *ring, uint64_t pos, const struct frame *frame,
                                  char *to);

/*
 * Copies tags and data to `to` (tags_len + data_len bytes) and checks them.  FRAME_OK, FRAME_LAPPED
 * or FRAME_BAD.
 */
enum frame_result frame_read_body(const struct ring *ring, uint64_t pos, const struct frame *frame,
                                  char *to);

/* The same without keeping them. */
enum frame_result frame_check_body(const struct ring *ring, uint64_t pos, const struct frame *frame);

/* Where a frame of `bytes` goes when the last one ends at `pos`. */
uint64_t frame_place(const struct ring *ring, uint64_t pos, uint64_t bytes);

/*
 * Writes it at frame_place(pos); the filler in front too, when there is room for one.  Returns the
 * position behind it.  Under the lock.
 */
uint64_t frame_write(struct ring *ring, uint64_t pos, const struct frame *frame, const char *tags,
                     const char *data);

/* There is no frame at `pos` any more.  Under the lock. */
void frame_wipe(struct ring *ring, uint64_t pos);

#endif
