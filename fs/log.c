#include "log.h"

#include "file.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>

#define EPOCH_MIN (64ULL * 1024 * 1024) /* bytes; at least four times the pool's size, too */
#define FILLER_LINE 4096       /* bytes: a newline at the end of each such block of blanks */
#define QUICK_MAX (128 * 1024) /* bytes that the loop makes; larger reads go to a worker */
#define READ_MAX (1024 * 1024)

struct log {
    struct handle handle;
    pthread_mutex_t lock; /* for all below */
    struct time_cache cache;
    struct buf
        cut; /* the message that the last read ended in: its rest is delivered whatever becomes of it */
    uint64_t cut_at; /* its P */
    size_t counted;  /* bytes of it that mount_hold() knows of */
};

static uint64_t epoch_bytes(const struct mpool *pool)
{
    uint64_t bytes = EPOCH_MIN;

    while (bytes < 4 * pool->file_size)
        bytes *= 2;
    return bytes;
}

/* The frame that holds the byte `rendered` of all envelopes, or the next one that is retained.  1: there is none. */
static int frame_at(struct mpool *pool, uint64_t rendered, struct frame_view *ret,
                    struct error *err)
{
    struct cursor at;

    if (cursor_at_rendered(pool->pool, rendered, &at, err) < 0)
        return -1;
    for (;;)
        switch (cursor_peek(pool->pool, &at, ret, err)) {
        case CURSOR_MESSAGE:
            return 0;
        case CURSOR_END:
            return 1;
        case CURSOR_GAP: /* the cursor stands at the next one */
            break;
        case CURSOR_FAILED:
            return -1;
        }
}

/* The epoch of the newest message. */
static int present_epoch(struct mpool *pool, struct pool_bounds *bounds, uint64_t *ret,
                         struct error *err)
{
    struct frame_view newest;
    int result = 1;

    if (pool_bounds(pool->pool, bounds, err) < 0)
        return -1;
    if (bounds->rendered_end > 0)
        result = frame_at(pool, bounds->rendered_end - 1, &newest, err);
    if (result < 0)
        return -1;
    *ret = (result == 0 ? newest.rendered_before : bounds->rendered_end) / epoch_bytes(pool);
    return 0;
}

int log_place(struct mpool *pool, struct place *place, struct error *err)
{
    struct pool_bounds bounds;

    if (present_epoch(pool, &bounds, &place->n, err) < 0)
        return -1;
    path_number(place, place->n);
    return 0;
}

/* Where the text of a past epoch ended, which only its last message tells.  0: that is lost. */
static uint64_t past_end(struct mpool *pool, uint64_t epoch)
{
    uint64_t last_byte = (epoch + 1) * epoch_bytes(pool) - 1;
    struct frame_view view;

    if (frame_at(pool, last_byte, &view, NULL) != 0 || view.rendered_before > last_byte)
        return 0;
    return view.rendered_before + message_length(view.seq, view.tags_len, view.data_len);
}

/* Remembers the largest size that was ever told, so that no file shrinks. */
static uint64_t grown(struct node *node, uint64_t size)
{
    uint64_t seen = atomic_load(&node->log_size);

    while (size > seen && !atomic_compare_exchange_weak(&node->log_size, &seen, size))
        continue;
    return size > seen ? size : seen;
}

void log_stat(struct node *node, uint64_t *ret_size, uint64_t *ret_time)
{
    struct mpool *pool = node->pool;
    uint64_t begin = node->place.n * epoch_bytes(pool), epoch, end = 0;
    struct pool_bounds bounds;

    *ret_time = pool->created_ns;
    if (!atomic_load(&pool->gone) && present_epoch(pool, &bounds, &epoch, NULL) == 0) {
        end = epoch == node->place.n ? bounds.rendered_end : past_end(pool, node->place.n);
        if (bounds.newest_time != 0)
            *ret_time = bounds.newest_time;
    }
    *ret_size = grown(node, LOG_HEADER + (end > begin ? end - begin : 0));
}

/* --- reading --- */

static int no_memory(struct error *err)
{
    return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
}

static void drop_cut(struct log *log)
{
    mount_unhold(log->handle.m, log->counted);
    log->counted = 0;
    buf_clear(&log->cut);
    shed(&log->cut);
}

static int add_header(const struct node *node, size_t off, size_t n, struct buf *out)
{
    auto_buf struct buf line = BUF_INIT;
    const unsigned char *u = node->pool->uuid;

    (void)buf_add_str(&line, "{\"plasmite_log\":{\"pool\":");
    (void)buf_add_json_string(&line, bytes_of(node->pool->name));
    (void)buf_printf(
        &line,
        ",\"uuid\":\"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\","
        "\"epoch\":%llu}}",
        u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
        u[14], u[15], (unsigned long long)node->place.n);
    (void)buf_printf(&line, "%*s\n", (int)(LOG_HEADER - 1 - line.n), "");
    return buf_failed(&line) ? -1 : buf_add(out, line.p + off, n);
}

/* n bytes from file offset `off` on where no message stands any more; `to` is where the first one does. */
static int add_filler(uint64_t off, size_t n, uint64_t to, struct buf *out)
{
    if (buf_room(out, n) < 0)
        return -1;
    memset(out->p + out->n, ' ', n);
    for (uint64_t at = off | (FILLER_LINE - 1); at < off + n; at += FILLER_LINE)
        out->p[out->n + (at - off)] = '\n';
    if (off + n == to)
        out->p[out->n + n - 1] = '\n';
    out->n += n;
    return 0;
}

/* Keeps a message whose rest comes with the next read. */
static void keep_cut(struct log *log, uint64_t rendered, struct bytes message)
{
    size_t counted = message.n > LARGE_MESSAGE ? message.n : 0;

    drop_cut(log);
    if (!mount_hold(log->handle.m, counted))
        return;
    log->counted = counted;
    if (buf_add_bytes(&log->cut, message) < 0)
        drop_cut(log);
    log->cut_at = rendered;
}

/* Bytes from *rendered on, of the message kept.  How many. */
static size_t add_cut(const struct log *log, uint64_t rendered, size_t n, struct buf *out)
{
    size_t skip;

    if (log->cut.n == 0 || rendered < log->cut_at || rendered - log->cut_at >= log->cut.n)
        return 0;
    skip = (size_t)(rendered - log->cut_at);
    if (n > log->cut.n - skip)
        n = log->cut.n - skip;
    return buf_add(out, log->cut.p + skip, n) < 0 ? 0 : n;
}

/*
 * Bytes from `rendered` on, up to n, from whole messages or from one that is cut; *ret_n says how many, 0 when writers were
 * quicker and it has to be tried again.
 */
static int add_messages(struct log *log, uint64_t rendered, size_t n, size_t *ret_n,
                        struct buf *out, struct error *err)
{
    struct mpool *pool = log->handle.node->pool;
    auto_buf struct buf text = BUF_INIT;
    struct frame_view view;
    struct cursor at;
    size_t skip;

    *ret_n = 0;
    if (cursor_at_rendered(pool->pool, rendered, &at, err) < 0)
        return -1;
    if (cursor_peek(pool->pool, &at, &view, err) != CURSOR_MESSAGE ||
        view.rendered_before > rendered)
        return 0;
    skip = (size_t)(rendered - view.rendered_before);
    if (cursor_render(pool->pool, &at, UINT64_MAX, skip + n, &log->cache, &text, err) ==
        CURSOR_FAILED)
        return -1;
    if (text.n <= skip)
        return 0;
    if (text.n > skip + n) /* then it is one message alone */
        keep_cut(log, view.rendered_before, buf_bytes(&text));
    *ret_n = text.n - skip < n ? text.n - skip : n;
    return buf_add(out, text.p + skip, *ret_n) < 0 ? no_memory(err) : 0;
}

/* Where the first message of the epoch stands that is retained; what is in front of it reads as blanks. */
static int first_retained(const struct node *node, uint64_t begin, uint64_t end, uint64_t *ret,
                          struct error *err)
{
    struct frame_view view;
    int result = frame_at(node->pool, begin, &view, err);

    *ret = end;
    if (result == 0 && view.rendered_before <
                           begin) /* the one that crosses the border belongs to the epoch before */
        *ret = view.rendered_before + message_length(view.seq, view.tags_len, view.data_len);
    else if (result == 0)
        *ret = view.rendered_before;
    if (*ret > end)
        *ret = end;
    return result < 0 ? -1 : 0;
}

/* n bytes of the epoch's text, which is begin .. end, from `rendered` on. */
static int add_text(struct log *log, uint64_t begin, uint64_t end, uint64_t rendered, size_t n,
                    struct buf *out, struct error *err)
{
    while (n > 0) {
        size_t got = add_cut(log, rendered, n, out);
        uint64_t first;

        if (got == 0 && first_retained(log->handle.node, begin, end, &first, err) < 0)
            return -1;
        if (got == 0 && first > rendered) {
            got = first - rendered < n ? (size_t)(first - rendered) : n;
            if (add_filler(LOG_HEADER + rendered - begin, got, LOG_HEADER + first - begin, out) < 0)
                return no_memory(err);
        } else if (got == 0 && add_messages(log, rendered, n, &got, out, err) < 0) {
            return -1;
        }
        rendered += got;
        n -= got;
    }
    return 0;
}

/* The bytes off .. off+n of the file, fewer only at its end. */
static int make_bytes(struct log *log, uint64_t off, size_t n, struct buf *out, struct error *err)
{
    struct node *node = log->handle.node;
    uint64_t begin = node->place.n * epoch_bytes(node->pool), size, time_ns;

    log_stat(node, &size, &time_ns);
    if (off >= size)
        return 0;
    if (n > size - off)
        n = (size_t)(size - off);
    if (off < LOG_HEADER) {
        size_t part = LOG_HEADER - off < n ? (size_t)(LOG_HEADER - off) : n;

        if (add_header(node, (size_t)off, part, out) < 0)
            return no_memory(err);
        off += part;
        n -= part;
    }
    return add_text(log, begin, begin + size - LOG_HEADER, begin + off - LOG_HEADER, n, out, err);
}

static void answer(fuse_req_t req, struct log *log, size_t size, off_t off)
{
    auto_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    if (make_bytes(log, (uint64_t)off, size < READ_MAX ? size : READ_MAX, &out, &err) == 0)
        fuse_reply_buf(req, out.p, out.n);
    else
        handle_refuse_read(req, &log->handle, &err);
}

static void read_in_turn(fuse_req_t req, struct handle *h, size_t size, off_t off)
{
    struct log *log = (struct log *)h;

    pthread_mutex_lock(&log->lock);
    answer(req, log, size, off);
    pthread_mutex_unlock(&log->lock);
}

static void log_read(fuse_req_t req, struct handle *h, size_t size, off_t off,
                     const struct fuse_file_info *fi)
{
    struct log *log = (struct log *)h;

    (void)fi;
    if (size > QUICK_MAX || pthread_mutex_trylock(&log->lock) != 0) {
        handle_read_later(req, h, size, off, read_in_turn);
        return;
    }
    answer(req, log, size, off);
    pthread_mutex_unlock(&log->lock);
}

static void log_destroy(struct handle *h)
{
    struct log *log = (struct log *)h;

    drop_cut(log);
    buf_done(&log->cut);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

static const struct handle_ops log_ops = {
    .read = log_read,
    .poll = file_poll,
    .destroy = log_destroy,
};

int log_open(struct opening *o)
{
    struct log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return ENOMEM;
    handle_init(&log->handle, &log_ops, o->m, o->node);
    pthread_mutex_init(&log->lock, NULL);
    o->open_flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH;
    o->handle = &log->handle;
    return 0;
}
