#include "pool/message.h"

#include "crc32c.h"
#include "envelope.h"
#include "pool/json.h"

#include <assert.h>
#include <string.h>

/* ---- tags ---- */

/* At most: a tag takes its own bytes, two quotes and a comma. */
static size_t tags_count_bound(struct bytes tags, uint32_t raw)
{
    return tags.n >= raw ? (tags.n + 1 - raw) / 3 : tags.n;
}

static size_t tags_count(struct bytes tags, uint32_t raw)
{
    size_t at = 0, n = 0;
    struct bytes tag;

    if (tags_count_bound(tags, raw) < TAGS_COUNT_MAX)
        return tags_count_bound(tags, raw); /* few enough, no need to look */
    while (tags_next(tags, &at, &tag))
        n++;
    return n;
}

/* `count` tags are there already. */
static int add_tag(struct buf *tags, uint32_t *raw, size_t count, struct bytes tag,
                   struct error *err)
{
    size_t before = tags->n;

    if (!bytes_are_utf8(tag))
        return fail(err, PLSM_ERROR_USAGE, "a tag is not valid UTF-8");
    if (tag.n > TAGS_BYTES_MAX || *raw > TAGS_BYTES_MAX - tag.n)
        return fail(err, PLSM_ERROR_USAGE, "the tags of a message take more than %u bytes together",
                    TAGS_BYTES_MAX);
    if (count >= TAGS_COUNT_MAX)
        return fail(err, PLSM_ERROR_USAGE, "a message has more than %u tags", TAGS_COUNT_MAX);
    if ((before > 0 && buf_add_char(tags, ',') < 0) || buf_add_json_string(tags, tag) < 0) {
        tags->n = before;
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    }
    *raw += (uint32_t)tag.n;
    return 0;
}

int tags_add(struct buf *tags, uint32_t *raw, struct bytes tag, struct error *err)
{
    return add_tag(tags, raw, tags_count(buf_bytes(tags), *raw), tag, err);
}

int tags_add_all(struct buf *tags, uint32_t *raw, const char *const *more, size_t n,
                 struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (tags_add(tags, raw, bytes_of(more[i]), err) < 0)
            return -1;
    return 0;
}

int tags_join(struct buf *tags, uint32_t *raw, struct bytes more, uint32_t more_raw,
              struct error *err)
{
    size_t count = tags_count(buf_bytes(tags), *raw) + tags_count(more, more_raw);

    if (*raw > TAGS_BYTES_MAX - more_raw)
        return fail(err, PLSM_ERROR_USAGE, "the tags of a message take more than %u bytes together",
                    TAGS_BYTES_MAX);
    if (count > TAGS_COUNT_MAX)
        return fail(err, PLSM_ERROR_USAGE, "a message has more than %u tags", TAGS_COUNT_MAX);
    if (buf_room(tags, more.n + 1) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (tags->n > 0 && more.n > 0)
        (void)buf_add_char(tags, ','); /* there is room */
    (void)buf_add_bytes(tags, more);
    *raw += more_raw;
    return 0;
}

bool tags_next(struct bytes tags, size_t *at, struct bytes *ret)
{
    size_t end;

    if (*at >= tags.n)
        return false;
    end = json_skip(tags, *at);
    *ret = (struct bytes){tags.p + *at, end - *at};
    *at = end < tags.n ? end + 1 : end; /* the comma */
    return true;
}

bool tags_are_whole(struct bytes tags)
{
    struct bytes each;
    size_t at = 0;

    while (tags_next(tags, &at, &each))
        if (each.n < 2 || each.p[0] != '"' || each.p[each.n - 1] != '"')
            return false;
    return true;
}

bool tags_have(struct bytes tags, struct bytes tag)
{
    size_t at = 0;
    struct bytes each;

    if (tags.n < tag.n)
        return false;
    while (tags_next(tags, &at, &each))
        if (bytes_equal(each, tag))
            return true;
    return false;
}

struct payload payload_make(struct bytes tags, uint32_t tags_raw, struct bytes data)
{
    uint32_t crc = tags.n > 0 ? crc32c(0, tags.p, tags.n) : 0;

    return (struct payload){
        .tags = tags, .data = data, .tags_raw = tags_raw, .body_crc = crc32c(crc, data.p, data.n)};
}

/* ---- the envelope ---- */

#define TEXT_SEQ "{\"seq\":"
#define TEXT_TIME ",\"time\":\""
#define TEXT_META "\",\"meta\":{\"tags\":["
#define TEXT_DATA "]},\"data\":"
#define TEXT_END "}\n"
#define TEXT_RECEIPT_END "]}}\n"

#define LEN(text) (sizeof(text) - 1)
#define FIXED_LEN                                                                                  \
    (LEN(TEXT_SEQ) + LEN(TEXT_TIME) + TIME_TEXT_LEN + LEN(TEXT_META) + LEN(TEXT_DATA) +            \
     LEN(TEXT_END))
#define U64_DIGITS_MAX 20

static unsigned digits_of(uint64_t n)
{
    unsigned digits = 1;

    for (; n >= 10000; n /= 10000)
        digits += 4;
    return digits + (n >= 10) + (n >= 100) + (n >= 1000);
}

static char *put_u64(char *out, uint64_t n)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    unsigned digits = digits_of(n);
    char *at = out + digits;

    for (; n >= 100; n /= 100)
        memcpy(at -= 2, pairs + 2 * (n % 100), 2);
    if (n >= 10)
        memcpy(at - 2, pairs + 2 * n, 2);
    else
        at[-1] = (char)('0' + n);
    return out + digits;
}

static inline char *put(char *out, const char *p, size_t n)
{
    if (n > 0)
        memcpy(out, p, n);
    return out + n;
}

#define PUT(out, text) put(out, text, LEN(text))

static_assert(ENVELOPE_GAP == LEN(TEXT_DATA), "tags and data are this far apart");
static_assert(ENVELOPE_ROOM == FIXED_LEN + U64_DIGITS_MAX, "room for all but tags and data");

char *envelope_head(char *out, uint64_t seq, uint64_t time_ns, struct time_cache *cache)
{
    out = PUT(out, TEXT_SEQ);
    out = put_u64(out, seq);
    out = PUT(out, TEXT_TIME);
    format_time_cached(cache, time_ns, out);
    return PUT(out + TIME_TEXT_LEN, TEXT_META);
}

char *envelope_close(char *at, size_t tags_len, size_t data_len)
{
    if (tags_len > 0)
        memmove(at, at + ENVELOPE_GAP, tags_len);
    at = PUT(at + tags_len, TEXT_DATA);
    return PUT(at + data_len, TEXT_END);
}

uint64_t message_length(uint64_t seq, size_t tags_len, size_t data_len)
{
    return (uint64_t)FIXED_LEN + digits_of(seq) + tags_len + data_len;
}

int message_render(const struct message *message, struct time_cache *cache, struct buf *out)
{
    char *at;

    if (buf_room(out, ENVELOPE_ROOM + message->tags.n + message->data.n) < 0)
        return -1;
    at = envelope_head(out->p + out->n, message->seq, message->time_ns, cache);
    at = put(at, message->tags.p, message->tags.n);
    at = PUT(at, TEXT_DATA);
    at = put(at, message->data.p, message->data.n);
    at = PUT(at, TEXT_END);
    out->n = (size_t)(at - out->p);
    return 0;
}

int message_receipt(const struct message *message, struct time_cache *cache, struct buf *out)
{
    char *at;

    if (buf_room(out, ENVELOPE_ROOM + message->tags.n) < 0)
        return -1;
    at = envelope_head(out->p + out->n, message->seq, message->time_ns, cache);
    at = put(at, message->tags.p, message->tags.n);
    at = PUT(at, TEXT_RECEIPT_END);
    out->n = (size_t)(at - out->p);
    return 0;
}

/* ---- messages in input ---- */

enum key {
    KEY_SEQ,
    KEY_TIME,
    KEY_META,
    KEY_DATA,
    KEYS,
    KEY_OTHER,
};

static enum key which_key(struct bytes string)
{
    static const char names[KEYS][5] = {"seq", "time", "meta", "data"};

    for (enum key key = 0; key < KEYS; key++)
        if (json_string_equal(string, bytes_of(names[key])))
            return key;
    return KEY_OTHER;
}

/* A place between the members of an object, or the elements of an array. */
struct members {
    struct bytes text;
    size_t at;
};

static struct members members_of(struct bytes container)
{
    return (struct members){container, 1};
}

static bool members_next_value(struct members *m, struct bytes *ret_value)
{
    size_t end;

    if (m->at + 1 >= m->text.n)
        return false;
    end = json_skip(m->text, m->at);
    *ret_value = (struct bytes){m->text.p + m->at, end - m->at};
    m->at = end + 1; /* the comma, the colon or the end */
    return true;
}

/* The values of an object with exactly the four keys, each once. */
static bool find_values(struct bytes object, struct bytes values[KEYS])
{
    struct members m = members_of(object);
    struct bytes key;
    unsigned seen = 0;

    while (members_next_value(&m, &key)) {
        enum key which = which_key(key);

        if (which == KEY_OTHER || (seen & 1u << which) != 0 ||
            !members_next_value(&m, &values[which]))
            return false;
        seen |= 1u << which;
    }
    return seen == (1u << KEYS) - 1;
}

/* The value of `tags` in an object that has nothing else. */
static bool find_tags(struct bytes meta, struct bytes *ret_tags)
{
    struct members m = members_of(meta);
    struct bytes key;

    if (meta.p[0] != '{' || !members_next_value(&m, &key) || !members_next_value(&m, ret_tags))
        return false;
    return json_string_equal(key, BYTES("tags")) && !members_next_value(&m, &key);
}

static int wrong(struct error *err, const char *what)
{
    fail(err, PLSM_ERROR_USAGE, "a message (seq, time, meta, data) is not well formed: %s", what);
    fail_hint(err,
              "To store such an object as it is, use `feed --data`, or data/append in a mount.");
    return fail_detail(err, ERROR_DETAIL_BAD_JSON);
}

static bool is_unsigned(struct bytes text)
{
    char digits[U64_DIGITS_MAX + 1];
    uint64_t value;

    if (text.n > U64_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    memcpy(digits, text.p, text.n);
    digits[text.n] = '\0';
    return parse_u64(digits, &value, NULL) == 0;
}

/* parse_time() takes more than RFC 3339; what begins with a full date can be nothing else. */
static bool begins_with_date(struct bytes text)
{
    static const char shape[] = "0000-00-00T";

    if (text.n < LEN(shape))
        return false;
    for (size_t i = 0; i < LEN(shape); i++) {
        bool digit = text.p[i] >= '0' && text.p[i] <= '9';

        if (shape[i] == '0' ? !digit
                            : text.p[i] != shape[i] && (shape[i] != 'T' || text.p[i] != 't'))
            return false;
    }
    return true;
}

static bool is_time(struct bytes string)
{
    auto_buf struct buf text = BUF_INIT;
    uint64_t time_ns;

    return string.p[0] == '"' && json_string_decode(string, &text) == 0 &&
           begins_with_date(buf_bytes(&text)) &&
           parse_time(buf_bytes(&text), 0, &time_ns, NULL) == 0;
}

/* Adds the strings of a JSON array. */
static int add_all(struct bytes array, struct buf *tags, uint32_t *raw, struct error *err)
{
    struct members m = members_of(array);
    auto_buf struct buf text = BUF_INIT;
    size_t count = tags_count(buf_bytes(tags), *raw);
    struct bytes each;

    if (array.p[0] != '[')
        return wrong(err, "tags must be an array of strings");
    while (members_next_value(&m, &each)) {
        if (each.p[0] != '"')
            return wrong(err, "tags must be an array of strings");
        buf_clear(&text);
        if (json_string_decode(each, &text) < 0)
            return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        if (add_tag(tags, raw, count++, buf_bytes(&text), err) < 0)
            return fail_detail(err, ERROR_DETAIL_BAD_JSON);
    }
    return 0;
}

/* Nearly all data is told from a message by the first letter of its first key. */
bool message_may_begin(struct bytes object)
{
    if (object.n <= 2 || object.p[1] != '"')
        return false;
    switch (object.p[2]) {
    case 's':
    case 't':
    case 'm':
    case 'd':
    case '\\':
        return true;
    default:
        return false;
    }
}

int message_recognise(struct bytes object, struct buf *tags, uint32_t *raw, struct bytes *ret_data,
                      struct error *err)
{
    struct bytes values[KEYS], tag_array;
    size_t tags_before = tags->n;
    uint32_t raw_before = *raw;

    if (!message_may_begin(object) || !find_values(object, values) ||
        !find_tags(values[KEY_META], &tag_array))
        return 0;
    if (!is_unsigned(values[KEY_SEQ]))
        return wrong(err, "seq must be an unsigned integer");
    if (!is_time(values[KEY_TIME]))
        return wrong(err, "time must be an RFC 3339 time");
    if (values[KEY_DATA].p[0] != '{')
        return wrong(err, "data must be an object");
    if (add_all(tag_array, tags, raw, err) < 0) {
        tags->n = tags_before;
        *raw = raw_before;
        return -1;
    }
    *ret_data = values[KEY_DATA];
    return 1;
}
