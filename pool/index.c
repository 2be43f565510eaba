#include "index.h"

/*
 * Parts are numbered through all laps: part v of the search is entry v % parts in lap v / parts.
 * An entry belongs to v only when its position lies in that part in that lap; every other value is
 * old, or damage, and is passed over.
 */

uint64_t index_key_of(const struct frame *frame, enum index_key key)
{
    switch (key) {
    case INDEX_SEQ:
        return frame->seq;
    case INDEX_TIME:
        return frame->time_ns;
    case INDEX_RENDERED:
        return frame->rendered_before;
    }
    return 0;
}

static uint64_t part_number(const struct ring *ring, uint64_t pos)
{
    uint64_t off = ring_off(ring, pos);

    return (pos - off) / ring->bytes * ring->parts + (off >> ring->part_shift);
}

void index_note(struct ring *ring, uint64_t pos)
{
    if (ring->parts == 0)
        return;
    uint64_t off = ring_off(ring, pos), part = off >> ring->part_shift;
    uint64_t begin = pos - (off - (part << ring->part_shift));
    uint64_t entry = atomic_load_explicit(&ring->index[part], memory_order_relaxed);
    if (entry < begin || entry > pos)
        atomic_store_explicit(&ring->index[part], pos, memory_order_relaxed);
}

void index_forget_beyond(struct ring *ring, uint64_t head)
{
    for (uint64_t i = 0; i < ring->parts; i++)
        if (atomic_load_explicit(&ring->index[i], memory_order_relaxed) >= head)
            atomic_store_explicit(&ring->index[i], 0, memory_order_relaxed);
}

/* The frame that entry v leads to, if it leads to one between low and head. */
static bool probe(const struct ring *ring, uint64_t v, uint64_t low, uint64_t head,
                  uint64_t *ret_pos, struct frame *ret)
{
    uint64_t pos = atomic_load_explicit(&ring->index[v % ring->parts], memory_order_relaxed);

    if (pos < low || pos >= head || pos % LAYOUT_FRAME_ALIGN != 0 || part_number(ring, pos) != v)
        return false;
    *ret_pos = pos;
    return frame_read(ring, ret_pos, head, ret) == FRAME_OK && *ret_pos == pos;
}

struct bound {
    uint64_t part, key;
};

/*
 * Keys mostly grow evenly with positions, so the first guesses are proportional; every second one
 * halves, for when they do not.
 */
static uint64_t guess(struct bound low, struct bound high, uint64_t target, int step)
{
    uint64_t parts = high.part - low.part, keys = high.key - low.key;

    if (step % 2 == 1 || keys == 0 || target <= low.key || target >= high.key)
        return low.part + (parts + 1) / 2;
    uint64_t at = (uint64_t)((double)parts * ((double)(target - low.key) / (double)keys));
    return low.part + (at < 1 ? 1 : at > parts ? parts : at);
}

uint64_t index_find(const struct ring *ring, enum index_key key, uint64_t target, uint64_t low,
                    uint64_t head)
{
    uint64_t best = low, pos = low;
    struct frame frame;

    if (ring->parts == 0 || head <= low || head - low > ring->bytes ||
        frame_read(ring, &pos, head, &frame) != FRAME_OK)
        return low;
    struct bound lo = {part_number(ring, low), index_key_of(&frame, key)};
    struct bound hi = {part_number(ring, head - 1), UINT64_MAX};

    for (uint64_t v = hi.part; v > lo.part; v--) /* the newest indexed frame: where the keys end */
        if (probe(ring, v, low, head, &pos, &frame)) {
            hi.key = index_key_of(&frame, key);
            break;
        }
    for (int step = 0; hi.part > lo.part; step++) {
        uint64_t middle = guess(lo, hi, target, step), v = middle;

        while (v > lo.part && !probe(ring, v, low, head, &pos, &frame))
            v--;
        if (v == lo.part) { /* nothing begins between the lower bound and the middle */
            lo.part = middle;
            continue;
        }
        uint64_t found = index_key_of(&frame, key);
        if (key == INDEX_TIME ? found < target : found <= target) {
            best = pos;
            lo = (struct bound){middle, found};
        } else {
            hi = (struct bound){v - 1, found};
        }
    }
    return best;
}
