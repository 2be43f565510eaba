/*
 * What a view shows of a pool: which messages (all, or those with every one of some tags and for which every one of some
 * expressions is true) and in which form (the envelope, or only `data`).
 *
 * A lens never changes once made and is shared by reference count between the nodes below a
 * directory and whatever they have open.  Any thread.
 */
#ifndef FS_LENS_H
#define FS_LENS_H

#include "pool/message.h"
#include "where.h"

#include <stdatomic.h>

struct lens {
    atomic_uint refs;
    bool data;          /* print only `data` */
    size_t n_tags;      /* sorted, each once */
    struct buf *tags;   /* as JSON strings with their quotes */
    struct buf encoded; /* the same tags in the form in which messages carry them */
    uint32_t tags_raw;  /* bytes of the tags before encoding */
    size_t n_wheres;    /* sorted, each once */
    struct where **wheres;
    uint64_t hash; /* equal lenses have equal hashes */
};

/* Everything, as envelopes.  NULL when memory is gone, as for the next two. */
struct lens *lens_new(void);

/* The same lens narrowed to messages that have `tag` too (plain UTF-8).  Usage when it is not UTF-8. */
struct lens *lens_add_tag(const struct lens *lens, struct bytes tag, struct error *err);
/* ... to those for which `expression`, which is not compiled yet, is true. */
struct lens *lens_add_where(const struct lens *lens, struct bytes expression, struct error *err);
struct lens *lens_add_data(const struct lens *lens, struct error *err);

struct lens *lens_ref(struct lens *lens);
void lens_unref(struct lens *lens);

bool lens_equal(const struct lens *a, const struct lens *b);

/* All messages as envelopes: then sizes and offsets follow from the frames alone. */
static inline bool lens_is_plain(const struct lens *lens)
{
    return lens->n_tags == 0 && lens->n_wheres == 0 && !lens->data;
}

/* Does it look at more than a number? */
static inline bool lens_selects(const struct lens *lens)
{
    return lens->n_tags > 0 || lens->n_wheres > 0;
}

/* Does matching take long?  Then it is not for the loop. */
static inline bool lens_is_slow(const struct lens *lens)
{
    return lens->n_wheres > 0;
}

/* Compiles what is not compiled; see where_compile().  *ret_wrong: the expression that it fails for, borrowed from the lens. */
int lens_compile(const struct lens *lens, bool trusted, struct bytes *ret_wrong, struct error *err);

/* May anybody look through it? */
bool lens_is_harmless(const struct lens *lens);

/*
 * Whether number, time and tags can say that a message does not match; and whether they do.  Its data is not looked at.
 */
bool lens_sees_envelope(const struct lens *lens);
bool lens_rules_out(const struct lens *lens, const struct message *message);

bool lens_match(const struct lens *lens, const struct message *message);

/* What an expression answered that is no answer; true once for each. */
bool lens_problem(const struct lens *lens, struct error *err);

/* One line for a message that matches, added to *out; its length is lens_length() exactly. */
int lens_render(const struct lens *lens, const struct message *message, struct time_cache *cache,
                struct buf *out);
uint64_t lens_length(const struct lens *lens, uint64_t seq, size_t tags_len, size_t data_len);

#endif
