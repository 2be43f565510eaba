/*
 * Reading, waiting, polling and seeking back, whatever the lines are.
 *
 * A read gives as many whole messages as fit; when there is none it is
 * parked (waiters.h) and answered later, by whichever thread finds one.  f_pos counts the bytes delivered; the
 * last 16 KiB are kept, so that a program may seek back into what it has just read, as head and shells do.
 */
#include "reader.h"

#include "base/units.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>

#define WINDOW_BYTES (16 * 1024)
#define WINDOW_ROOM (WINDOW_BYTES + 8 * 1024) /* so that they are moved to the front once in a while, not with each read */
#define POLL_AGAIN_NS (10 * NS_PER_MS) /* until a poller is to ask once more when a worker was at it */

/*
 * The kernel follows a full answer to a part of a large read() with another READ, which could then block with data in
 * hand.  So large requests are never filled.
 */
#define LARGE_READ (512 * 1024)

/* A read that cannot be answered at once. */
struct parked {
    struct waiter waiter;
    struct work work;
    struct reader *reader;
    size_t size;
    off_t off;
    uint64_t limit_ns; /* the kernel waits no longer for its answer; 0: it does */
    bool nonblock;
};

#define CONTAINER(p, type, field) ((type *)((char *)(p)-offsetof(type, field)))

static void drop_ready(struct reader *r)
{
    buf_clear(&r->ready);
    r->ready_at = 0;
    r->due_ns = 0;
    if (r->counted == 0)
        return;
    mount_unhold(r->handle.m, r->counted);
    r->counted = 0;
    buf_done(&r->ready);
    r->ready = BUF_INIT;
}

static bool is_early(const struct reader *r)
{
    return r->due_ns != 0 && clock_mono_ns() < r->due_ns;
}

/* Makes lines unless there are some. */
static enum filled fill(struct reader *r, size_t max, enum view_patience patience,
                        struct error *err)
{
    enum filled filled = FILL_READY;

    if (r->ready_at == r->ready.n) {
        drop_ready(r);
        filled = r->source->fill(r, max, patience, err);
    }
    return filled == FILL_READY && is_early(r) ? FILL_EARLY : filled;
}

/* Remembers the last bytes delivered, for those who seek back. */
static void remember(struct reader *r, const char *p, size_t n)
{
    if (r->window == NULL)
        r->window = malloc(WINDOW_ROOM);
    if (r->window == NULL)
        return;
    if (n >= WINDOW_BYTES) {
        memcpy(r->window, p + n - WINDOW_BYTES, WINDOW_BYTES);
        r->window_n = WINDOW_BYTES;
        return;
    }
    if (r->window_n + n > WINDOW_ROOM) {
        memmove(r->window, r->window + r->window_n - (WINDOW_BYTES - n), WINDOW_BYTES - n);
        r->window_n = WINDOW_BYTES - n;
    }
    memcpy(r->window + r->window_n, p, n);
    r->window_n += n;
}

/* Delivers from what is ready. */
static void deliver(struct reader *r, fuse_req_t req, size_t size)
{
    size_t n = r->ready.n - r->ready_at;
    const char *p = r->ready.p + r->ready_at;

    if (size > LARGE_READ)
        size--;
    if (n > size)
        n = size;
    remember(r, p, n);
    r->ready_at += n;
    r->pos += n;
    r->waits_ns = 0;
    fuse_reply_buf(req, p, n);
    if (r->ready_at == r->ready.n)
        drop_ready(r);
}

/* When whoever waits is to see that the mount is alive; 0: never.  Under lock. */
static uint64_t next_beat(struct reader *r)
{
    if (r->waits_ns == 0)
        r->waits_ns = clock_mono_ns();
    return r->handle.m->heartbeat_ns == 0 ? 0 : r->waits_ns + r->handle.m->heartbeat_ns;
}

/* A read that does not begin where the last one ended.  True when it was answered here. */
static bool read_elsewhere(struct reader *r, fuse_req_t req, size_t size, uint64_t off)
{
    uint64_t back;

    if (off >= r->pos) {
        if (off > r->pos)
            r->window_n = 0;
        r->pos = off; /* "now", wherever the program believes to be */
        return false;
    }
    back = r->pos - off;
    if (back > r->window_n || back > WINDOW_BYTES)
        fuse_reply_err(req, EINVAL);
    else
        fuse_reply_buf(req, r->window + r->window_n - back, back < size ? back : size);
    return true;
}

/* A worker may hold it for as long as an expression takes; whoever is quick does not wait for that. */
static bool lock_reader(struct reader *r, enum view_patience patience)
{
    if (patience == VIEW_QUICK)
        return pthread_mutex_trylock(&r->lock) == 0;
    return pthread_mutex_lock(&r->lock) == 0;
}

/*
 * FILL_READY: answered (with data, the end, or an error).  Otherwise the caller parks, as *wait then says, or goes on
 * elsewhere.
 */
static enum filled try_read(struct reader *r, fuse_req_t req, size_t size, uint64_t off,
                            enum view_patience patience, struct waiter *wait)
{
    struct error err;
    enum filled filled;

    (void)error_clear(&err);
    if (!lock_reader(r, patience))
        return FILL_LATER;
    if (read_elsewhere(r, req, size, off)) {
        pthread_mutex_unlock(&r->lock);
        return FILL_READY;
    }
    filled = fill(r, size > LARGE_READ ? size - 1 : size, patience, &err);
    if (filled == FILL_READY) {
        deliver(r, req, size);
    } else if (filled == FILL_FAILED) {
        r->gap = false;
        fuse_reply_err(req, status_errno(&err, DOOR_READER));
        filled = FILL_READY;
    } else if (filled == FILL_NOTHING && r->ended) {
        fuse_reply_buf(req, NULL, 0);
        filled = FILL_READY;
    }
    wait->pos = r->looked;
    wait->due_ns = r->due_ns;
    if (filled != FILL_READY)
        wait->expires_ns = next_beat(r);
    pthread_mutex_unlock(&r->lock);
    return filled;
}

static void forget_parked(struct parked *parked)
{
    handle_unref(&parked->reader->handle);
    free(parked);
}

static bool is_past(uint64_t limit_ns)
{
    return limit_ns != 0 && clock_mono_ns() >= limit_ns;
}

static void read_on(struct parked *parked, enum filled filled);

/* A worker looks on where the loop may not: for a while, then it is the turn of others. */
static void look_far(struct work *work)
{
    struct parked *parked = CONTAINER(work, struct parked, work);
    struct reader *r = parked->reader;
    enum filled filled =
        try_read(r, parked->waiter.req, parked->size, (uint64_t)parked->off, VIEW_THOROUGH,
                 &parked->waiter);

    if (filled == FILL_LATER &&
        (fuse_req_interrupted(parked->waiter.req) || is_past(parked->limit_ns))) {
        fuse_reply_err(parked->waiter.req, EINTR);
        forget_parked(parked);
        return;
    }
    if (filled == FILL_LATER && atomic_load(&r->handle.m->stopping))
        filled = FILL_NOTHING; /* parking will tell it */
    read_on(parked, filled);
}

/* Parks again, or lets go of a read that was answered. */
static void read_on(struct parked *parked, enum filled filled)
{
    struct reader *r = parked->reader;

    switch (filled) {
    case FILL_LATER:
        parked->work.run = look_far;
        workers_submit_slow(r->handle.m->workers, &parked->work,
                            fuse_req_ctx(parked->waiter.req)->uid);
        break;
    case FILL_NOTHING:
    case FILL_EARLY:
        if (!parked->nonblock) {
            uint64_t *expires_ns = &parked->waiter.expires_ns;

            if (*expires_ns == 0 || (parked->limit_ns != 0 && parked->limit_ns < *expires_ns))
                *expires_ns = parked->limit_ns;
            waiters_park(r->handle.m, &parked->waiter);
            break;
        }
        fuse_reply_err(parked->waiter.req, EAGAIN);
        forget_parked(parked);
        break;
    case FILL_READY:
    case FILL_FAILED:
        forget_parked(parked);
        break;
    }
}

/* A blank line for whoever has waited that long.  False when a worker is at the reader. */
static bool beat(struct parked *parked)
{
    struct reader *r = parked->reader;

    if (!lock_reader(r, VIEW_QUICK))
        return false;
    if (!read_elsewhere(r, parked->waiter.req, parked->size, (uint64_t)parked->off)) {
        remember(r, "\n", 1);
        r->pos++;
        r->waits_ns = 0;
        fuse_reply_buf(parked->waiter.req, "\n", 1);
    }
    pthread_mutex_unlock(&r->lock);
    return true;
}

static void wake_read(struct waiter *waiter, enum wake_reason reason)
{
    struct parked *parked = CONTAINER(waiter, struct parked, waiter);

    switch (reason) {
    case WAKE_LOOK:
        read_on(parked, try_read(parked->reader, waiter->req, parked->size, (uint64_t)parked->off,
                                 VIEW_QUICK, waiter));
        return;
    case WAKE_EXPIRED:
        if (!is_past(parked->limit_ns)) {
            if (beat(parked))
                break;
            read_on(parked, FILL_LATER); /* there may be more to say soon */
            return;
        }
        fuse_reply_err(waiter->req, EINTR); /* nearly all programs read again */
        break;
    case WAKE_INTERRUPT:
        fuse_reply_err(waiter->req, EINTR);
        break;
    case WAKE_STOP:
        fuse_reply_err(waiter->req, ECONNABORTED);
        break;
    }
    forget_parked(parked);
}

static void reader_read(fuse_req_t req, struct handle *h, size_t size, off_t off,
                        const struct fuse_file_info *fi)
{
    struct reader *r = (struct reader *)h;
    struct waiter wait = {0};
    struct parked *parked;
    enum filled filled;

    /* Without an owner it is for the page cache (splice, mmap): those programs then use read(2). */
    if (fi->lock_owner == 0) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    filled = try_read(r, req, size, (uint64_t)off, VIEW_QUICK, &wait);
    if (filled == FILL_READY)
        return;
    parked = calloc(1, sizeof *parked);
    if (parked == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    handle_ref(h);
    parked->reader = r;
    parked->size = size;
    parked->off = off;
    parked->limit_ns = h->m->park_limit_ns == 0 ? 0 : clock_mono_ns() + h->m->park_limit_ns;
    parked->nonblock = (fi->flags & O_NONBLOCK) != 0;
    parked->waiter = wait;
    parked->waiter.pool = r->pool;
    parked->waiter.req = req;
    parked->waiter.wake = wake_read;
    waiters_interruptible(h->m, &parked->waiter);
    read_on(parked, filled);
}

/* --- poll --- */

static void wake_poll(struct waiter *waiter, enum wake_reason reason)
{
    struct reader *r = CONTAINER(waiter, struct reader, poll_waiter);
    struct fuse_pollhandle *ph;

    (void)reason; /* news or the end: the poller asks again and is told */
    pthread_mutex_lock(&r->poll_lock);
    ph = r->ph;
    r->ph = NULL;
    r->poll_parked = false;
    pthread_mutex_unlock(&r->poll_lock);
    handle_notify(r->handle.m, ph);
    handle_unref(&r->handle);
}

static void tell_if_ready(struct reader *r)
{
    bool ready = true; /* or it asks again and is told */

    if (lock_reader(r, VIEW_QUICK)) {
        ready = (r->ready_at < r->ready.n && !is_early(r)) || r->ended;
        pthread_mutex_unlock(&r->lock);
    }
    if (ready && waiters_cancel(r->handle.m, &r->poll_waiter))
        wake_poll(&r->poll_waiter, WAKE_LOOK);
}

/* Looks for a match far away, so that a poller learns of it; then takes the place of a message that came. */
static void scan(struct work *work)
{
    struct reader *r = CONTAINER(work, struct reader, scan);
    bool more;

    pthread_mutex_lock(&r->lock);
    more = !atomic_load(&r->closed) && !atomic_load(&r->handle.m->stopping) &&
           fill(r, 1, VIEW_THOROUGH, NULL) == FILL_LATER;
    r->scanning = more;
    pthread_mutex_unlock(&r->lock);
    if (more) { /* after those who wait for their turn */
        workers_submit_slow(r->handle.m->workers, work, r->scan_user);
        return;
    }
    tell_if_ready(r);
    handle_unref(&r->handle);
}

/* Is there something to read?  Under lock.  *ret_scan: only a worker can tell. */
static unsigned readable(struct reader *r, bool *ret_scan)
{
    enum filled filled = FILL_NOTHING;
    unsigned events = 0;

    if (!r->scanning)
        filled = fill(r, 1, VIEW_QUICK, NULL);
    *ret_scan = filled == FILL_LATER;
    if (filled == FILL_READY || filled == FILL_FAILED || (r->ended && filled == FILL_NOTHING))
        events = POLLIN | POLLRDNORM;
    if (filled == FILL_FAILED && r->gap)
        events |= POLLERR | POLLPRI;
    else if (filled == FILL_FAILED || atomic_load(&r->pool->gone))
        events |= POLLHUP;
    return events;
}

/* A message behind all there are now is news, also to somebody who was told of earlier ones (EPOLLET). */
static uint64_t news_from(struct reader *r, unsigned events)
{
    return events == 0 ? r->looked : r->source->end(r);
}

/* What is known without waiting for a worker, and when there may be more to know. */
struct look {
    unsigned events;
    uint64_t pos, due_ns;
    bool far;     /* only a worker can tell ... */
    bool scanned; /* ... and one is at it */
};

static struct look look(struct reader *r, uid_t user)
{
    struct look look = {0};

    if (!lock_reader(r, VIEW_QUICK)) {
        look.due_ns = clock_mono_ns() + POLL_AGAIN_NS;
        return look;
    }
    look.scanned = r->scanning;
    look.events = readable(r, &look.far);
    look.pos = news_from(r, look.events);
    look.due_ns = look.events == 0 ? r->due_ns : 0;
    look.far = look.far && !r->scanning;
    r->scanning |= look.far;
    if (look.far)
        r->scan_user = user;
    pthread_mutex_unlock(&r->lock);
    return look;
}

static void reader_poll(fuse_req_t req, struct handle *h, struct fuse_pollhandle *ph)
{
    struct reader *r = (struct reader *)h;
    struct fuse_pollhandle *replaced = NULL;
    uid_t user = fuse_req_ctx(req)->uid;
    struct look found = look(r, user);
    bool park;

    pthread_mutex_lock(&r->poll_lock);
    if (ph != NULL) {
        replaced = r->ph;
        r->ph = ph;
    }
    park = ph != NULL && !r->poll_parked && (found.events & POLLHUP) == 0;
    if (park) {
        r->poll_parked = true;
        r->poll_waiter.pool = r->pool;
        r->poll_waiter.pos = found.pos;
        r->poll_waiter.due_ns = found.due_ns;
        handle_ref(h);
    }
    pthread_mutex_unlock(&r->poll_lock);
    if (found.far)
        handle_ref(h);

    fuse_reply_poll(req, found.events);
    if (replaced != NULL)
        fuse_pollhandle_destroy(replaced);
    if (park)
        waiters_park(h->m, &r->poll_waiter);
    if (found.scanned)
        tell_if_ready(r); /* the worker may have ended before there was anybody to tell */
    if (found.far)
        workers_submit_slow(h->m->workers, &r->scan, user);
}

static void reader_release(struct handle *h)
{
    struct reader *r = (struct reader *)h;

    atomic_store(&r->closed, true);
    if (waiters_cancel(h->m, &r->poll_waiter))
        handle_unref(h);
}

static void reader_destroy(struct handle *h)
{
    struct reader *r = (struct reader *)h;

    if (r->ph != NULL)
        fuse_pollhandle_destroy(r->ph);
    drop_ready(r);
    r->source->done(r);
    buf_done(&r->ready);
    free(r->window);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->poll_lock);
    free(r);
}

static const struct handle_ops reader_ops = {
    .read = reader_read,
    .poll = reader_poll,
    .release = reader_release,
    .destroy = reader_destroy,
};

void reader_start(struct reader *r, const struct source *source, struct mpool *pool,
                  struct opening *o)
{
    handle_init(&r->handle, &reader_ops, o->m, o->node);
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->poll_lock, NULL);
    r->source = source;
    r->pool = pool;
    r->poll_waiter.wake = wake_poll;
    r->scan.run = scan;
    /* Neither NONSEEKABLE nor STREAM: head and cp seek. */
    o->open_flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH;
    o->handle = &r->handle;
}
