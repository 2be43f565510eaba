#include "notes.h"

#include "base/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POOL_FAILURES 32   /* remembered of a pool */
#define MOUNT_FAILURES 64  /* ... and of all */
#define IDLE_MAX 1024      /* pools that nobody uses now and of which something is remembered */
#define PATH_MAX_SHOWN 512 /* bytes of a path in a failure */
#define BEFORE_MAX 48      /* bytes shown in front of the place ... */
#define BEHIND_MAX 32      /* ... and from there on */

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
    pthread_mutex_t lock; /* for everything */
    struct notes *first;
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
    for (struct notes *notes = table->first, *next; notes != NULL; notes = next) {
        next = notes->next;
        destroy(notes);
    }
    ring_done(&table->failures);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

struct notes *notes_get(struct mount *m, uint64_t identity)
{
    struct notes_table *table = m->notes;
    struct notes *notes;

    pthread_mutex_lock(&table->lock);
    notes = table->first;
    while (notes != NULL && notes->identity != identity)
        notes = notes->next;
    if (notes != NULL) {
        table->idle -= notes->refs == 0;
    } else if ((notes = calloc(1, sizeof *notes)) != NULL) {
        notes->identity = identity;
        notes->failures.max = POOL_FAILURES;
        notes->next = table->first;
        table->first = notes;
    }
    if (notes != NULL)
        notes->refs++;
    pthread_mutex_unlock(&table->lock);
    return notes;
}

static void take_out(struct notes_table *table, struct notes *notes)
{
    struct notes **at = &table->first;

    while (*at != notes)
        at = &(*at)->next;
    *at = notes->next;
    table->idle--;
}

static struct notes *longest_idle(const struct notes_table *table)
{
    struct notes *found = NULL;

    for (struct notes *notes = table->first; notes != NULL; notes = notes->next)
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

/* --- the text of a failure --- */

static size_t characters(struct bytes text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return n;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* The part of the line around the place, on one line, and below it a caret that points there. */
static int add_marked(struct buf *out, struct bytes text, size_t at)
{
    size_t from = at, to = at;

    while (from > 0 && at - from < BEFORE_MAX && text.p[from - 1] != '\n')
        from--;
    while (to < text.n && to - at < BEHIND_MAX && text.p[to] != '\n')
        to++;
    if (buf_add(out, text.p + from, to - from) < 0)
        return -1;
    for (size_t i = out->n - (to - from); i < out->n; i++)
        if (is_control(out->p[i]))
            out->p[i] = ' ';
    return buf_printf(out, "\n%*s^", (int)characters((struct bytes){text.p + from, at - from}), "");
}

static int add_path(struct buf *out, const struct failure *failure)
{
    if (node_add_path(failure->node, out) < 0)
        return -1;
    if (failure->name == NULL)
        return 0;
    if (out->n > 0 && buf_add_char(out, '/') < 0)
        return -1;
    return buf_add_str(out, failure->name);
}

static int add_text_field(struct buf *out, const char *key, struct bytes text)
{
    if (buf_printf(out, ",\"%s\":", key) < 0)
        return -1;
    return buf_add_json_string(out, text);
}

static int add_message(struct buf *out, const struct error *err)
{
    auto_buf struct buf text = BUF_INIT;

    (void)buf_add_str(&text, err->message);
    if (err->cause[0] != '\0')
        (void)buf_printf(&text, ": %s", err->cause);
    if (buf_failed(&text) || add_text_field(out, "message", buf_bytes(&text)) < 0)
        return -1;
    return err->hint[0] == '\0' ? 0 : add_text_field(out, "hint", bytes_of(err->hint));
}

static int add_place(struct buf *out, const struct failure *failure)
{
    auto_buf struct buf text = BUF_INIT;

    if (failure->at >= failure->text.n)
        return 0;
    if (add_marked(&text, failure->text, failure->at) < 0)
        return -1;
    return add_text_field(out, "place", buf_bytes(&text));
}

static int make_line(const struct failure *failure, uint64_t time_ns, struct buf *out)
{
    auto_buf struct buf path = BUF_INIT;
    char time[TIME_TEXT_LEN];

    format_time(time_ns, time);
    if (add_path(&path, failure) < 0)
        return -1;
    if (path.n > PATH_MAX_SHOWN)
        path.n = PATH_MAX_SHOWN;
    if (buf_printf(out, "{\"time\":\"%.*s\",\"path\":", TIME_TEXT_LEN, time) < 0 ||
        buf_add_json_string(out, buf_bytes(&path)) < 0 ||
        add_text_field(out, "errno", bytes_of(strerrorname_np(failure->status))) < 0 ||
        add_message(out, failure->err) < 0 || add_place(out, failure) < 0)
        return -1;
    return buf_add_str(out, "}\n");
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

void notes_fail(struct mount *m, const struct failure *failure)
{
    struct notes *notes = failure->node->pool == NULL ? NULL : failure->node->pool->notes;
    auto_buf struct buf line = BUF_INIT;
    uint64_t now = clock_real_ns();

    if (make_line(failure, now, &line) < 0)
        return; /* the caller's errno has to do */
    pthread_mutex_lock(&m->notes->lock);
    if (notes != NULL) {
        notes->rejected += failure->rejected;
        remember(&notes->failures, buf_bytes(&line), now);
    }
    remember(&m->notes->failures, buf_bytes(&line), now);
    pthread_mutex_unlock(&m->notes->lock);
}

void notes_problem(struct mount *m, const struct node *node, const struct lens *lens)
{
    struct error err = ERROR_INIT;

    while (lens_is_slow(lens) && lens_problem(lens, &err))
        notes_fail(m, &(struct failure){.node = node, .status = EINVAL, .err = &err});
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
