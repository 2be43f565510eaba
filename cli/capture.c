#include "capture.h"

#include "base/units.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#define BATCH_BYTES (1u << 20) /* of text gathered before it is appended */
#define SPLIT_MIN 16           /* bytes of a text that is not divided further */

static const char *const stream_names[CAPTURE_STREAMS] = {"stdout", "stderr"};

int capture_init(struct capture *capture, struct pool *pool, enum append_flags flags,
                 const struct opt_list *tags, struct error *err)
{
    uint64_t max = pool_message_max(pool);

    *capture = (struct capture){
        .pool = pool, .flags = flags, .line_max = max < CAPTURE_LINE_MAX ? max : CAPTURE_LINE_MAX};
    return tags_add_all(&capture->tags, &capture->tags_raw, tags->items, tags->n, err);
}

void capture_done(struct capture *capture)
{
    for (size_t i = 0; i < CAPTURE_STREAMS; i++)
        buf_done(&capture->held[i]);
    buf_done(&capture->tags);
    buf_done(&capture->text);
}

static int no_memory(struct error *err)
{
    return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
}

/* Appends what has gathered, all with the tags of lines. */
static int flush(struct capture *capture, struct error *err)
{
    struct payload payloads[CAPTURE_BATCH];
    size_t at = 0;
    int result = 0;

    for (size_t i = 0; i < capture->n; i++) {
        payloads[i] = payload_make(buf_bytes(&capture->tags), capture->tags_raw,
                                   (struct bytes){capture->text.p + at, capture->ends[i] - at});
        at = capture->ends[i];
    }
    if (capture->n > 0)
        result = pool_append(capture->pool, payloads, capture->n, capture->flags,
                             &(struct receipt){0}, err);
    capture->n = 0;
    buf_clear(&capture->text);
    return result;
}

static int append_lifecycle(struct capture *capture, const struct buf *data, struct error *err)
{
    auto_buf struct buf tags = BUF_INIT;
    uint32_t raw = 0;
    struct payload payload;

    if (buf_failed(data) || tags_add(&tags, &raw, BYTES("lifecycle"), err) < 0)
        return no_memory(err);
    payload = payload_make(buf_bytes(&tags), raw, buf_bytes(data));
    return pool_append(capture->pool, &payload, 1, capture->flags, &(struct receipt){0}, err);
}

static void add_start(const struct opt_list *words, struct buf *out)
{
    buf_add_str(out, "{\"kind\":\"start\",\"cmd\":[");
    for (size_t i = 0; i < words->n; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        buf_add_json_string(out, bytes_of(words->items[i]));
    }
    buf_add_str(out, "]}");
}

static void add_line(enum capture_stream stream, struct bytes text, bool more, struct buf *out)
{
    buf_printf(out, "{\"kind\":\"line\",\"stream\":\"%s\",\"line\":", stream_names[stream]);
    buf_add_json_string(out, text);
    if (!bytes_are_utf8(text)) {
        buf_add_str(out, ",\"bytes\":\"");
        buf_add_base64(out, text);
        buf_add_char(out, '"');
    }
    buf_add_str(out, more ? ",\"more\":true}" : "}");
}

/* The largest text that is not divided further must fit beside the tags. */
static int check_tags(const struct capture *capture, struct error *err)
{
    char worst[SPLIT_MIN];
    auto_buf struct buf data = BUF_INIT;

    memset(worst, 1, sizeof worst); /* six bytes each in JSON */
    worst[0] = (char)0xff;          /* and so in base64 as well */
    add_line(CAPTURE_STDERR, (struct bytes){worst, sizeof worst}, true, &data);
    if (buf_failed(&data))
        return no_memory(err);
    if (data.n + capture->tags.n <= pool_message_max(capture->pool))
        return 0;
    fail(err, PLSM_ERROR_USAGE, "the tags leave no room for a line in a message of this pool");
    return fail_hint(err,
                     "They take %zu bytes as JSON of %" PRIu64
                     ": use fewer or shorter ones, or a larger pool.",
                     capture->tags.n, pool_message_max(capture->pool));
}

int capture_check_start(struct capture *capture, const struct opt_list *words, struct error *err)
{
    auto_buf struct buf data = BUF_INIT;

    if (check_tags(capture, err) < 0)
        return -1;
    add_start(words, &data);
    if (buf_failed(&data))
        return no_memory(err);
    if (data.n + sizeof "\"lifecycle\"" <= pool_message_max(capture->pool))
        return 0;
    fail(err, PLSM_ERROR_USAGE, "the wrapped command does not fit into a message of this pool");
    return fail_hint(err,
                     "Its words take %zu bytes as JSON: use a larger pool, or put them into "
                     "a script.",
                     data.n);
}

int capture_start(struct capture *capture, const struct opt_list *words, struct error *err)
{
    auto_buf struct buf data = BUF_INIT;

    add_start(words, &data);
    return append_lifecycle(capture, &data, err);
}

/* The middle, not inside a character. */
static size_t middle(struct bytes text)
{
    size_t at = text.n / 2;

    for (int i = 0; i < 3 && ((unsigned char)text.p[at] & 0xc0) == 0x80; i++)
        at--;
    return at;
}

/* A text that does not fit one message is halved until it does. */
static int record(struct capture *capture, enum capture_stream stream, struct bytes text, bool more,
                  struct error *err)
{
    size_t start = capture->text.n, half;

    add_line(stream, text, more, &capture->text);
    if (buf_failed(&capture->text))
        return no_memory(err);
    if (capture->text.n - start + capture->tags.n > pool_message_max(capture->pool) &&
        text.n > SPLIT_MIN) {
        capture->text.n = start;
        half = middle(text);
        if (record(capture, stream, (struct bytes){text.p, half}, true, err) < 0)
            return -1;
        return record(capture, stream, (struct bytes){text.p + half, text.n - half}, more, err);
    }
    capture->ends[capture->n++] = capture->text.n;
    if (capture->n < CAPTURE_BATCH && capture->text.n < BATCH_BYTES)
        return 0;
    return flush(capture, err);
}

static int record_line(struct capture *capture, enum capture_stream stream, struct bytes line,
                       struct error *err)
{
    while (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    capture->n_lines++;
    return record(capture, stream, line, false, err);
}

/* The piece may end a line that began earlier. */
static int finish_line(struct capture *capture, enum capture_stream stream, struct bytes piece,
                       struct error *err)
{
    struct buf *held = &capture->held[stream];
    int result;

    if (held->n == 0)
        return record_line(capture, stream, piece, err);
    if (buf_add_bytes(held, piece) < 0)
        return no_memory(err);
    result = record_line(capture, stream, buf_bytes(held), err);
    buf_clear(held);
    return result;
}

/* Keeps the beginning of a line, and gives away what grows too large to be one message. */
static int hold(struct capture *capture, enum capture_stream stream, struct bytes piece,
                struct error *err)
{
    struct buf *held = &capture->held[stream];

    if (buf_add_bytes(held, piece) < 0)
        return no_memory(err);
    while (held->n > capture->line_max) {
        size_t half = middle(buf_bytes(held));

        if (record(capture, stream, (struct bytes){held->p, half}, true, err) < 0)
            return -1;
        buf_drop_front(held, half);
    }
    return 0;
}

int capture_bytes(struct capture *capture, enum capture_stream stream, struct bytes bytes,
                  struct error *err)
{
    const char *newline;

    while ((newline = memchr(bytes.p, '\n', bytes.n)) != NULL) {
        size_t n = (size_t)(newline - bytes.p);

        if (finish_line(capture, stream, (struct bytes){bytes.p, n}, err) < 0)
            return -1;
        bytes = (struct bytes){newline + 1, bytes.n - n - 1};
    }
    if (hold(capture, stream, bytes, err) < 0)
        return -1;
    return flush(capture, err);
}

int capture_end(struct capture *capture, enum capture_stream stream, struct error *err)
{
    if (capture->held[stream].n == 0)
        return 0;
    if (finish_line(capture, stream, (struct bytes){"", 0}, err) < 0)
        return -1;
    return flush(capture, err);
}

void capture_add_signal(int number, struct buf *out)
{
    static const struct {
        int number;
        const char *name;
    } known[] = {
        {SIGINT,  "SIGINT" },
        {SIGKILL, "SIGKILL"},
        {SIGSEGV, "SIGSEGV"},
        {SIGTERM, "SIGTERM"}
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].number == number) {
            buf_add_str(out, known[i].name);
            return;
        }
    buf_printf(out, "SIG%d", number);
}

int capture_exit(struct capture *capture, int status, uint64_t elapsed_ns, struct error *err)
{
    auto_buf struct buf data = BUF_INIT;

    buf_add_str(&data, "{\"kind\":\"exit\",");
    if (WIFSIGNALED(status)) {
        buf_add_str(&data, "\"signal\":\"");
        capture_add_signal(WTERMSIG(status), &data);
        buf_add_char(&data, '"');
    } else {
        buf_printf(&data, "\"code\":%d", WEXITSTATUS(status));
    }
    buf_printf(&data, ",\"elapsed_ms\":%" PRIu64 "}", (uint64_t)(elapsed_ns / NS_PER_MS));
    return append_lifecycle(capture, &data, err);
}
