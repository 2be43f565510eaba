/*
 * A message as people see it, and its JSON text, the envelope:
 *
 *     {"seq":7,"time":"2026-03-04T05:06:07.000000005Z","meta":{"tags":["a"]},"data":{"n":1}}\n
 *
 * These bytes are part of format version 1: `log` offsets count them.
 *
 * Tags travel as the inside of their JSON array, `"a","b"`, empty when there are none: that is how
 * frames store them, so rendering is copying.  tags_add() makes that form, tags_have() and
 * tags_next() read it.
 */
#ifndef POOL_MESSAGE_H
#define POOL_MESSAGE_H

#include "base/buf.h"
#include "base/units.h"
#include "pool/error.h"

#include <stdint.h>

/* raw UTF-8 bytes of all tags of a message together */
#define TAGS_BYTES_MAX 65535u
#define TAGS_COUNT_MAX 4096u                      /* tags of one message */
#define MESSAGE_BYTES_MAX (256ULL * 1024 * 1024)  /* tags and data of a message together */

struct message {
    uint64_t seq;
    uint64_t time_ns;
    uint64_t rendered_before; /* bytes of envelopes before this one in the life of the pool */
    struct bytes tags;        /* inside of the JSON array */
    struct bytes data;        /* compact JSON object */
};

/*
 * A message on its way in: gated data, encoded tags, and their checksum, ready before the lock is
 * taken.
 */
struct payload {
    struct bytes tags;
    struct bytes data;
    uint32_t tags_raw; /* bytes of the tags before encoding; what the limit counts */
    uint32_t body_crc;
};

/*
 * Adds one tag (plain UTF-8, may be empty, any character) to the encoded list in *tags and its
 * length to *raw. Usage when it is not UTF-8 or a limit above is passed; *tags is then unchanged.
 */
int tags_add(struct buf *tags, uint32_t *raw, struct bytes tag, struct error *err);

/* The same for n tags, those before one that is refused included. */
int tags_add_all(struct buf *tags, uint32_t *raw, const char *const *more, size_t n,
                 struct error *err);

/* Adds a whole encoded list, `more_raw` bytes before encoding, to another. */
int tags_join(struct buf *tags, uint32_t *raw, struct bytes more, uint32_t more_raw, struct error *err);

/*
 * True when one of the tags is `tag`, itself encoded as a JSON string with its quotes
 * (buf_add_json_string).
 */
bool tags_have(struct bytes tags, struct bytes tag);

/*
 * Steps through the list: *ret is the next tag as a JSON string with quotes; false at the end. 
 * Start with *at = 0.
 */
bool tags_next(struct bytes tags, size_t *at, struct bytes *ret);

/* Do they look like tags?  Of those that cursor_peek_tags() showed; what a disk made of others is for cursor_next(), which notices. */
bool tags_are_whole(struct bytes tags);

/* Computes the checksum; the pointers are kept. */
struct payload payload_make(struct bytes tags, uint32_t tags_raw, struct bytes data);

/* The envelope and its newline, added to *out; its length is message_length() exactly. */
int message_render(const struct message *message, struct time_cache *cache, struct buf *out);
uint64_t message_length(uint64_t seq, size_t tags_len, size_t data_len);

/* The receipt: the envelope without data, with a newline. */
int message_receipt(const struct message *message, struct time_cache *cache, struct buf *out);

/*
 * A quick look at the first bytes of a compact JSON object: false when message_recognise() would
 * surely say 0.
 */
bool message_may_begin(struct bytes object);

/*
 * Is this compact JSON object exactly a message (seq, time, meta, data and nothing else, meta just
 * tags; keys in any order, compared unescaped, none twice)?  Then its tags are added to *tags/
 * *raw, *ret_data is its data, and the result is 1. 0: application data.  -1 (Usage, BAD_JSON): the
 * shape of a message with a wrong type inside; *tags is then unchanged.
 */
int message_recognise(struct bytes object, struct buf *tags, uint32_t *raw, struct bytes *ret_data,
                      struct error *err);

#endif
