#include "flush.h"

#include "header.h"

#include <errno.h>
#include <string.h>

#define PATIENCE_NS NS_PER_S

int flush_latched(struct header_live *live)
{
    uint64_t boot[2];
    uint32_t latched = atomic_load_explicit(&live->flush_errno, memory_order_acquire);

    if (latched == 0)
        return 0;
    header_boot_id(boot);
    return atomic_load(&live->flush_boot[0]) == boot[0] &&
                   atomic_load(&live->flush_boot[1]) == boot[1]
               ? (int)latched
               : 0;
}

static void latch(struct header_live *live, int os_errno)
{
    uint64_t boot[2];

    header_boot_id(boot);
    atomic_store(&live->flush_boot[0], boot[0]);
    atomic_store(&live->flush_boot[1], boot[1]);
    atomic_store_explicit(&live->flush_errno, (uint32_t)os_errno, memory_order_release);
}

static int flush_failed(struct pool *pool, int os_errno, struct error *err)
{
    fail_os(err, PLSM_ERROR_IO, os_errno, "failed to flush to disk");
    fail_hint(err,
              "The disk refused data of this pool since the last boot, so nothing more can be "
              "called durable. Check the disk, then restart the machine or re-create the pool.");
    return fail_path(err, pool->path);
}

/* Writes the bytes of the ring between two positions; errno. */
static int write_ring(struct pool *pool, uint64_t from, uint64_t to)
{
    struct ring *ring = &pool->ring;
    uint64_t base = pool->fixed.ring_off;

    if (to - from >= ring->bytes)
        return file_sync_range(&pool->file, base, ring->bytes);
    uint64_t off = ring_off(ring, from), n = to - from, first = ring->bytes - off;
    if (n <= first)
        return file_sync_range(&pool->file, base + off, n);
    if (file_sync_range(&pool->file, base + off, first) < 0)
        return -1;
    return file_sync_range(&pool->file, base, n - first);
}

static int flush_locked(struct pool *pool, uint64_t upto, struct error *err)
{
    struct header_live *live = pool->ring.live;
    uint64_t from = atomic_load(&live->flushed), head = ring_head(&pool->ring);

    if (from >= upto && from <= head)
        return 0; /* somebody did it for us */
    if (from > head)
        /* a recovered pool went back */
        from = head < pool->ring.bytes ? 0 : head - pool->ring.bytes;
    if (write_ring(pool, from, head) < 0 || file_sync_barrier(&pool->file) < 0) {
        int os_errno = errno;
        latch(live, os_errno);
        return flush_failed(pool, os_errno, err);
    }
    atomic_store(&live->flushed, head);
    return 0;
}

/* The lock only saves work: without it everything is written, and `flushed` left alone. */
static int flush_alone(struct pool *pool, struct error *err)
{
    if (file_sync_range(&pool->file, pool->fixed.ring_off, pool->ring.bytes) == 0 &&
        file_sync_barrier(&pool->file) == 0)
        return 0;
    int os_errno = errno;
    latch(pool->ring.live, os_errno);
    return flush_failed(pool, os_errno, err);
}

int flush_upto(struct pool *pool, uint64_t upto, struct error *err)
{
    struct header_live *live = pool->ring.live;
    int latched = flush_latched(live);

    if (latched != 0)
        return flush_failed(pool, latched, err);
    switch (lock_acquire(&pool->lock, &live->flush_lock, PATIENCE_NS, err)) {
    case LOCK_FAILED:
        return fail_path(err, pool->path);
    case LOCK_BUSY:
        return flush_alone(pool, err);
    case LOCK_HELD:
    case LOCK_TAKEN_OVER:
        break;
    }
    latched = flush_latched(live);
    int result = latched != 0 ? flush_failed(pool, latched, err) : flush_locked(pool, upto, err);
    lock_release(&live->flush_lock);
    return result;
}
