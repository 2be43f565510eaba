/*
 * Reading on: from where, how many, how long, what to do at a gap.
 *
 * The policy that `follow` and the mount share, on top of a cursor.  It never sleeps: pool_wait()
 * does.
 *
 *     stream_open(pool, &options, &stream, &err)
 *     for (;;)
 *         switch (stream_next(stream, &message, &err)) {
 *         case STREAM_MESSAGE:  print it
 *         case STREAM_WAIT:     pool_wait(&pool, &stream_pos, 1, ...)
 *         case STREAM_GAP:      stream_gap(stream, &first, &next): lost are first .. next-1
 *         case STREAM_DONE:     a finite stream has given everything
 *         case STREAM_FAILED:   err
 *         }
 */
#ifndef POOL_STREAM_H
#define POOL_STREAM_H

#include "pool/cursor.h"
#include "pool/filter.h"

enum stream_start {
    STREAM_LIVE, /* behind the newest message */
    STREAM_TAIL, /* the last n matching messages; those behind the last damage among them */
    STREAM_SINCE,/* time >= since_ns */
    STREAM_FROM, /* seq >= from_seq; a number below the oldest begins with a gap */
    STREAM_ALL,  /* everything retained */
};

struct stream_options {
    enum stream_start start;
    uint64_t tail;
    uint64_t since_ns;
    /* messages before this time only; 0 or UINT64_MAX: no end.  An end makes the stream finite */
    uint64_t until_ns;
    uint64_t from_seq; /* 0 means 1 */
    bool finite;       /* ends at the message that is newest when it is opened */
    const struct bytes *tags; /* plain text, n_tags of them, all must be there; copied */
    size_t n_tags;
    /*
     * n_filters of them, all must match; borrowed, they must outlive the stream and nobody else may
     * use them meanwhile.  FILTER_ODD and FILTER_FAILED of the first in this order that does not match
     * end in STREAM_FAILED, unless a cheaper one (filter_cost()) or a tag says no
     */
    struct filter *const *filters;
    size_t n_filters;
};

struct stream;

/*
 * The pool is borrowed and must outlive the stream.  Of messages that a tag, or conditions of filters
 * on number, time and tags alone, rule out, the data is neither read nor checked.
 */
int stream_open(struct pool *pool, const struct stream_options *options, struct stream **ret,
                struct error *err);
void stream_close(struct stream *stream);

enum stream_result { STREAM_MESSAGE, STREAM_WAIT, STREAM_GAP, STREAM_DONE, STREAM_FAILED };

/* *ret is good until the next call on the stream. */
enum stream_result stream_next(struct stream *stream, struct message *ret, struct error *err);

/*
 * The same for many messages at once: adds envelopes to *out until about `max` bytes.
 *  STREAM_MESSAGE: some were added, call again; the other results come when nothing was.  Much
 * faster than stream_next() where no tag, no filter and no end in time is given.
 */
enum stream_result stream_render(struct stream *stream, size_t max, struct time_cache *cache,
                                 struct buf *out, struct error *err);

/* After STREAM_GAP: messages first .. next-1 are lost. */
void stream_gap(const struct stream *stream, uint64_t *first, uint64_t *next);

/* For pool_wait(): the position up to which everything has been looked at. */
uint64_t stream_pos(const struct stream *stream);

/* Did it lose a message that a finite stream had selected?  (Exit 9 of `follow --no-follow`.) */
bool stream_lost(const struct stream *stream);

/*
 * The damage behind which a STREAM_TAIL began because something whole comes after it: Corrupt, with
 * the number, path and offset of the first damaged message.  NULL: it met none.
 */
const struct error *stream_damage(const struct stream *stream);

static inline void stream_cleanup(struct stream **stream)
{
    stream_close(*stream);
}
#define auto_stream __attribute__((cleanup(stream_cleanup)))

#endif
