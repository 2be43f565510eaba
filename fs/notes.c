#include "notes.h"

#include "base/units.h"

#include <stdlib.h>
#include <string.h>

#define POOL_FAILURES 32  /* remembered of a pool */
#define MOUNT_FAILURES 64 /* ... and of all */
#define N_BUCKETS 1024
#define IDLE_MAX 1024 /* pools that nobody uses now and of which something is remembered */

/* The last so many lines. */
struct ring {
    struct buf *lines; /* `max` of them, NULL until there is one */
    size_t max, n, next;
    uint64_t time_ns;
};

struct notes {
    struct notes *next;
    uint64_t identity;
    unsigned refs;
    uint64_t used_ns;
    uint64_t rejected;
    struct ring failures;
    atomic_bool by_line; /* not under the lock */
};

struct notes_table {
    pthread_mutex_t lock;             /* for everything */
    struct notes *buckets[N_BUCKETS]; /* by identity */
    unsigned idle;
    struct ring failures;
};

struct notes_table *notes_table_new(void)
{
    struct notes_table *table = calloc(1, sizeof *table);

    if (table == NULL)
        return NULL;
    pthread_mutex_init(&table->lock, NULL);
    table->failures.max = MOUNT_FAILURES;
    return table;
}

static void ring_done(struct ring *ring)
{
    for (size_t i = 0; ring->lines != NULL && i < ring->max; i++)
        buf_done(&ring->lines[i]);
    free(ring->lines);
}

static void destroy(struct notes *notes)
{
    ring_done(&notes->failures);
    free(notes);
}

void notes_table_free(struct notes_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < N_BUCKETS; i++)
        for (struct notes *notes = table->buckets[i], *next; notes != NULL; notes = next) {
            next = notes->next;
            destroy(notes);
        }
    ring_done(&table->failures);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

static struct notes **bucket_of(struct notes_table *table, uint64_t identity)
{
    return &table->buckets[identity % N_BUCKETS];
}

struct notes *notes_get(struct mount *m, uint64_t identity)
{
    struct notes_table *table = m->notes;
    struct notes **first = bucket_of(table, identity), *notes;

    pthread_mutex_lock(&table->lock);
    notes = *first;
    while (notes != NULL && notes->identity != identity)
        notes = notes->next;
    if (notes != NULL) {
        table->idle -= notes->refs == 0;
    } else if ((notes = calloc(1, sizeof *notes)) != NULL) {
        notes->identity = identity;
        notes->failures.max = POOL_FAILURES;
        notes->next = *first;
        *first = notes;
    }
    if (notes != NULL)
        notes->refs++;
    pthread_mutex_unlock(&table->lock);
    return notes;
}

static void take_out(struct notes_table *table, struct notes *notes)
{
    struct notes **at = bucket_of(table, notes->identity);

    while (*at != notes)
        at = &(*at)->next;
    *at = notes->next;
    table->idle--;
}

static struct notes *longest_idle(const struct notes_table *table)
{
    struct notes *found = NULL;

    for (size_t i = 0; i < N_BUCKETS; i++)
        for (struct notes *notes = table->buckets[i]; notes != NULL; notes = notes->next)
            if (notes->refs == 0 && (found == NULL || notes->used_ns < found->used_ns))
                found = notes;
    return found;
}

static bool is_blank(const struct notes *notes)
{
    return notes->failures.n == 0 && !atomic_load(&notes->by_line);
}

void notes_put(struct mount *m, struct notes *notes, bool pool_is_gone)
{
    struct notes_table *table = m->notes;
    struct notes *dropped = NULL;

    if (notes == NULL)
        return;
    pthread_mutex_lock(&table->lock);
    if (--notes->refs == 0) {
        table->idle++;
        notes->used_ns = clock_mono_ns();
        if (pool_is_gone || is_blank(notes))
            dropped = notes;
        else if (table->idle > IDLE_MAX)
            dropped = longest_idle(table);
    }
    if (dropped != NULL)
        take_out(table, dropped);
    pthread_mutex_unlock(&table->lock);
    if (dropped != NULL)
        destroy(dropped);
}

/* Takes the place of the oldest. */
static void remember(struct ring *ring, struct bytes line, uint64_t time_ns)
{
    if (ring->lines == NULL)
        ring->lines = calloc(ring->max, sizeof *ring->lines);
    if (ring->lines == NULL)
        return;
    struct buf *at = &ring->lines[ring->next];
    buf_clear(at);
    if (buf_add_bytes(at, line) < 0)
        return;
    ring->next = (ring->next + 1) % ring->max;
    ring->n += ring->n < ring->max;
    ring->time_ns = time_ns;
}

void notes_add(struct mount *m, struct notes *notes, struct bytes line, uint64_t time_ns,
               bool rejected)
{
    pthread_mutex_lock(&m->notes->lock);
    if (notes != NULL) {
        notes->rejected += rejected;
        remember(&notes->failures, line, time_ns);
    }
    remember(&m->notes->failures, line, time_ns);
    pthread_mutex_unlock(&m->notes->lock);
}

int notes_failures(struct mount *m, struct notes *notes, struct buf *out, uint64_t *ret_time,
                   struct error *err)
{
    const struct ring *ring = notes != NULL ? &notes->failures : &m->notes->failures;
    int result = 0;

    pthread_mutex_lock(&m->notes->lock);
    for (size_t i = 0; i < ring->n && result == 0; i++)
        result = buf_add_bytes(
            out, buf_bytes(&ring->lines[(ring->next + ring->max - ring->n + i) % ring->max]));
    if (ring->n > 0)
        *ret_time = ring->time_ns;
    pthread_mutex_unlock(&m->notes->lock);
    return result < 0 ? fail(err, PLSM_ERROR_INTERNAL, "out of memory") : 0;
}

uint64_t notes_rejected(struct mount *m, struct notes *notes, uint64_t *ret_time)
{
    uint64_t n;

    pthread_mutex_lock(&m->notes->lock);
    n = notes->rejected;
    if (notes->failures.n > 0)
        *ret_time = notes->failures.time_ns;
    pthread_mutex_unlock(&m->notes->lock);
    return n;
}

void notes_set_by_line(struct notes *notes, bool by_line)
{
    atomic_store(&notes->by_line, by_line);
}

bool notes_by_line(const struct notes *notes)
{
    return atomic_load(&notes->by_line);
}
