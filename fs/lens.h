/*
 * What a view shows of a pool: which messages (all, or those with every one of some tags) and in which
 * form (the envelope, or only `data`).
 *
 * A lens never changes once made and is shared by reference count between the nodes below a
 * directory and whatever they have open.  Any thread.
 */
#ifndef FS_LENS_H
#define FS_LENS_H

#include "pool/message.h"

#include <stdatomic.h>

struct lens {
    atomic_uint refs;
    bool data;           /* print only `data` */
    size_t n_tags;       /* sorted, each once */
    struct buf *tags;    /* as JSON strings with their quotes */
    struct buf encoded;  /* the same tags in the form in which messages carry them */
    uint32_t tags_raw;   /* bytes of the tags before encoding */
    uint64_t hash;       /* equal lenses have equal hashes */
};

/* Everything, as envelopes.  NULL when memory is gone, as for the next two. */
struct lens *lens_new(void);

/* The same lens narrowed to messages that have `tag` too (plain UTF-8).  Usage when it is not UTF-8. */
struct lens *lens_add_tag(const struct lens *lens, struct bytes tag, struct error *err);
struct lens *lens_add_data(const struct lens *lens, struct error *err);

struct lens *lens_ref(struct lens *lens);
void lens_unref(struct lens *lens);

bool lens_equal(const struct lens *a, const struct lens *b);

/* All messages as envelopes: then sizes and offsets follow from the frames alone. */
static inline bool lens_is_plain(const struct lens *lens)
{
    return lens->n_tags == 0 && !lens->data;
}

bool lens_match(const struct lens *lens, struct bytes tags);

/* One line for a message that matches, added to *out; its length is lens_length() exactly. */
int lens_render(const struct lens *lens, const struct message *message, struct time_cache *cache,
                struct buf *out);
uint64_t lens_length(const struct lens *lens, uint64_t seq, size_t tags_len, size_t data_len);

#endif
