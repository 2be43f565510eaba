#include "events.h"

#include "base/units.h"
#include "reader.h"

#include <errno.h>
#include <stdlib.h>

#define KEPT 1024 /* events that a slow reader may lag behind */

struct events {
    struct mpool source; /* what readers wait on: no pool, but news */
    pthread_mutex_t lock;
    struct buf lines[KEPT]; /* number i at i % KEPT */
};

struct events_reader {
    struct reader reader;
    struct events *events;
    uint64_t next;
};

struct events *events_new(struct mount *m)
{
    struct events *events = calloc(1, sizeof *events);

    if (events == NULL)
        return NULL;
    events->source.mount = m;
    events->source.refs = 1; /* ours, for good */
    pthread_mutex_init(&events->lock, NULL);
    return events;
}

void events_free(struct events *events)
{
    if (events == NULL)
        return;
    for (size_t i = 0; i < KEPT; i++)
        buf_done(&events->lines[i]);
    pthread_mutex_destroy(&events->lock);
    free(events);
}

static int make_line(const char *event, const char *pool, struct buf *out)
{
    char time[TIME_TEXT_LEN];

    format_time(clock_real_ns(), time);
    buf_clear(out);
    (void)buf_printf(out, "{\"event\":\"%s\"", event);
    if (pool != NULL) {
        (void)buf_add_str(out, ",\"pool\":");
        (void)buf_add_json_string(out, bytes_of(pool));
    }
    (void)buf_printf(out, ",\"time\":\"%.*s\"}\n", TIME_TEXT_LEN, time);
    return buf_failed(out) ? -1 : 0;
}

void events_add(struct events *events, const char *event, const char *pool)
{
    uint64_t n = atomic_load(&events->source.news);

    pthread_mutex_lock(&events->lock);
    if (make_line(event, pool, &events->lines[n % KEPT]) == 0)
        atomic_store(&events->source.news, n + 1);
    pthread_mutex_unlock(&events->lock);
    waiters_kick(events->source.mount, &events->source);
}

static enum filled events_fill(struct reader *r, size_t max, enum view_patience patience,
                               struct error *err)
{
    struct events_reader *s = (struct events_reader *)r;
    struct events *events = s->events;
    uint64_t end;
    int result = 0;

    (void)patience; /* it never takes long */
    pthread_mutex_lock(&events->lock);
    end = atomic_load(&events->source.news);
    if (end - s->next > KEPT)
        s->next = end - KEPT;
    while (s->next < end && result == 0) {
        struct bytes line = buf_bytes(&events->lines[s->next % KEPT]);

        if (r->ready.n > 0 && r->ready.n + line.n > max)
            break;
        result = buf_add_bytes(&r->ready, line);
        s->next += result == 0;
    }
    pthread_mutex_unlock(&events->lock);
    r->looked = s->next;
    if (r->ready.n > 0)
        return FILL_READY;
    if (result == 0)
        return FILL_NOTHING;
    (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return FILL_FAILED;
}

static uint64_t events_end(struct reader *r)
{
    return atomic_load(&((struct events_reader *)r)->events->source.news);
}

static void events_done(struct reader *r)
{
    (void)r; /* it has nothing of its own */
}

static const struct source source = {events_fill, events_end, events_done};

int events_open(struct opening *o)
{
    struct events *events = o->m->events;
    struct events_reader *s = calloc(1, sizeof *s);

    if (s == NULL)
        return ENOMEM;
    s->events = events;
    s->next = atomic_load(&events->source.news);
    reader_start(&s->reader, &source, &events->source, o);
    s->reader.looked = s->next;
    return 0;
}
