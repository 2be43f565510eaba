#include "tags.h"

#include "hash.h"
#include "pool/json.h"

#include <sched.h>
#include <stdlib.h>

#define BUCKETS_FIRST 64

struct tag {
    struct tag *next; /* in its bucket */
    uint64_t hash;
    uint64_t count;
    uint64_t last_seq; /* a message that has it twice counts once */
    size_t n;
    char text[]; /* as a JSON string with its quotes */
};

/* One tag of one message, in the order of the messages. */
struct mark {
    uint64_t seq;
    struct tag *tag;
};

struct tags {
    pthread_mutex_t lock; /* for everything */
    struct tag **buckets;
    size_t n_buckets, n; /* n tags */
    struct mark *marks;  /* first .. end */
    size_t first, end, cap;
    struct cursor at; /* the next message to look at */
    bool placed;
    struct buf store;
};

struct tags *tags_new(void)
{
    struct tags *tags = calloc(1, sizeof *tags);

    if (tags != NULL)
        pthread_mutex_init(&tags->lock, NULL);
    return tags;
}

void tags_free(struct tags *tags)
{
    if (tags == NULL)
        return;
    for (size_t i = 0; i < tags->n_buckets; i++)
        for (struct tag *tag = tags->buckets[i], *next; tag != NULL; tag = next) {
            next = tag->next;
            free(tag);
        }
    free(tags->buckets);
    free(tags->marks);
    buf_done(&tags->store);
    pthread_mutex_destroy(&tags->lock);
    free(tags);
}

static int grow_buckets(struct tags *tags)
{
    size_t n = tags->n_buckets == 0 ? BUCKETS_FIRST : tags->n_buckets * 2;
    struct tag **buckets;

    if (tags->n < tags->n_buckets)
        return 0;
    buckets = calloc(n, sizeof *buckets);
    if (buckets == NULL)
        return -1;
    for (size_t i = 0; i < tags->n_buckets; i++)
        for (struct tag *tag = tags->buckets[i], *next; tag != NULL; tag = next) {
            next = tag->next;
            tag->next = buckets[tag->hash & (n - 1)];
            buckets[tag->hash & (n - 1)] = tag;
        }
    free(tags->buckets);
    tags->buckets = buckets;
    tags->n_buckets = n;
    return 0;
}

/* The tag of that text, made if need be; NULL when memory is gone. */
static struct tag *intern(struct tags *tags, struct bytes text)
{
    uint64_t hash = hash_bytes(HASH_START, text);
    struct tag *tag;

    if (grow_buckets(tags) < 0)
        return NULL;
    tag = tags->buckets[hash & (tags->n_buckets - 1)];
    while (tag != NULL && !bytes_equal((struct bytes){tag->text, tag->n}, text))
        tag = tag->next;
    if (tag != NULL)
        return tag;
    tag = malloc(sizeof *tag + text.n);
    if (tag == NULL)
        return NULL;
    *tag = (struct tag){
        .next = tags->buckets[hash & (tags->n_buckets - 1)], .hash = hash, .n = text.n};
    memcpy(tag->text, text.p, text.n);
    tags->buckets[hash & (tags->n_buckets - 1)] = tag;
    tags->n++;
    return tag;
}

static void drop(struct tags *tags, struct tag *tag)
{
    struct tag **at = &tags->buckets[tag->hash & (tags->n_buckets - 1)];

    while (*at != tag)
        at = &(*at)->next;
    *at = tag->next;
    tags->n--;
    free(tag);
}

/* Takes away the marks of messages before `oldest`. */
static void trim(struct tags *tags, uint64_t oldest)
{
    for (; tags->first < tags->end && tags->marks[tags->first].seq < oldest; tags->first++) {
        struct tag *tag = tags->marks[tags->first].tag;

        if (--tag->count == 0)
            drop(tags, tag);
    }
}

static int add_mark(struct tags *tags, uint64_t seq, struct tag *tag)
{
    if (tags->end == tags->cap && tags->first > tags->cap / 2) {
        memmove(tags->marks, tags->marks + tags->first,
                (tags->end - tags->first) * sizeof *tags->marks);
        tags->end -= tags->first;
        tags->first = 0;
    }
    if (tags->end == tags->cap) {
        size_t cap = tags->cap == 0 ? 256 : tags->cap * 2;
        struct mark *marks = realloc(tags->marks, cap * sizeof *marks);

        if (marks == NULL)
            return -1;
        tags->marks = marks;
        tags->cap = cap;
    }
    tags->marks[tags->end++] = (struct mark){seq, tag};
    tag->count++;
    tag->last_seq = seq;
    return 0;
}

static int take(struct tags *tags, const struct message *message)
{
    struct bytes text;
    size_t at = 0;

    while (tags_next(message->tags, &at, &text)) {
        struct tag *tag = intern(tags, text);

        if (tag == NULL)
            return -1;
        if (tag->last_seq == message->seq)
            continue;
        if (add_mark(tags, message->seq, tag) < 0) {
            if (tag->count == 0)
                drop(tags, tag);
            return -1;
        }
    }
    return 0;
}

/* Looks at one message, without its data when it has no tags. */
static enum cursor_result look(struct tags *tags, struct pool *pool, struct error *err)
{
    struct frame_view view;
    struct message message;
    enum cursor_result result = cursor_peek(pool, &tags->at, &view, err);

    if (result != CURSOR_MESSAGE)
        return result;
    if (view.tags_len == 0) {
        cursor_skip(&tags->at, &view);
        return CURSOR_MESSAGE;
    }
    result = cursor_next(pool, &tags->at, &tags->store, &message, err);
    if (result == CURSOR_MESSAGE && take(tags, &message) < 0) {
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        result = CURSOR_FAILED;
    }
    shed(&tags->store);
    return result;
}

/* Up to the newest message there was at the beginning. */
static enum view_result count(struct tags *tags, struct pool *pool, enum view_patience patience,
                              const struct mount *m, struct error *err)
{
    struct pool_bounds bounds;
    unsigned looked = 0;

    if (pool_bounds(pool, &bounds, err) < 0 ||
        (!tags->placed && cursor_at_oldest(pool, &tags->at, err) < 0))
        return VIEW_FAILED;
    tags->placed = true;
    while (tags->at.seq <= bounds.newest) {
        enum cursor_result result = look(tags, pool, err);

        if (result == CURSOR_FAILED)
            return VIEW_FAILED;
        if (result == CURSOR_END)
            break;
        if (++looked < VIEW_QUICK_MESSAGES)
            continue;
        if (patience == VIEW_QUICK || patience_lost(m))
            return VIEW_LATER;
        looked = 0;
        sched_yield();
    }
    if (pool_bounds(pool, &bounds, err) < 0)
        return VIEW_FAILED;
    trim(tags, bounds.oldest);
    return VIEW_OK;
}

/* --- the text --- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* What cannot stand in a name as it is becomes %HH: slashes, control characters, a % that would be taken for one of those. */
static int add_escaped(struct buf *out, struct bytes tag)
{
    for (size_t i = 0; i < tag.n; i++) {
        unsigned char c = (unsigned char)tag.p[i];
        bool taken = c == '%' && i + 2 < tag.n && is_hex(tag.p[i + 1]) && is_hex(tag.p[i + 2]);
        int result = c < 0x20 || c == 0x7f || c == '/' || taken ? buf_printf(out, "%%%02X", c)
                                                                : buf_add_char(out, (char)c);

        if (result < 0)
            return -1;
    }
    return 0;
}

/* Names that mean something else below `tag/`. */
static bool is_reserved(struct bytes tag)
{
    return bytes_equal(tag, BYTES(".")) || bytes_equal(tag, BYTES("..")) ||
           bytes_equal(tag, BYTES("README"));
}

static int add_name(struct buf *out, const struct tag *tag)
{
    auto_buf struct buf plain = BUF_INIT;
    struct bytes rest;

    if (json_string_decode((struct bytes){tag->text, tag->n}, &plain) < 0)
        return -1;
    rest = buf_bytes(&plain);
    if (is_reserved(rest)) {
        if (buf_printf(out, "%%%02X", (unsigned char)rest.p[0]) < 0)
            return -1;
        rest = (struct bytes){rest.p + 1, rest.n - 1};
    }
    return add_escaped(out, rest);
}

static int order(const void *a, const void *b)
{
    const struct tag *x = *(struct tag *const *)a, *y = *(struct tag *const *)b;
    int bytes = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);

    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return bytes != 0 ? bytes : (x->n > y->n) - (x->n < y->n);
}

static int list(const struct tags *tags, struct buf *out)
{
    struct tag **all = malloc((tags->n + 1) * sizeof(struct tag *));
    size_t n = 0;
    int result = all == NULL ? -1 : 0;

    for (size_t i = 0; i < tags->n_buckets && result == 0; i++)
        for (struct tag *tag = tags->buckets[i]; tag != NULL; tag = tag->next)
            all[n++] = tag;
    if (n > 1)
        qsort(all, n, sizeof(struct tag *), order);
    for (size_t i = 0; i < n && result == 0; i++)
        if (buf_add_u64(out, all[i]->count) < 0 || buf_add_char(out, '\t') < 0 ||
            add_name(out, all[i]) < 0 || buf_add_char(out, '\n') < 0)
            result = -1;
    free(all);
    return result;
}

enum view_result tags_list(struct tags *tags, struct pool *pool, const struct mount *m,
                           enum view_patience patience, struct buf *out, struct error *err)
{
    enum view_result result;

    if (patience == VIEW_THOROUGH)
        pthread_mutex_lock(&tags->lock);
    else if (pthread_mutex_trylock(&tags->lock) != 0)
        return VIEW_LATER;
    result = count(tags, pool, patience, m, err);
    if (result == VIEW_OK && list(tags, out) < 0) {
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        result = VIEW_FAILED;
    }
    pthread_mutex_unlock(&tags->lock);
    return result;
}
