#include "framing.h"

#define SHRINK_MIN                                                                                 \
    (1024 * 1024) /* bytes: an intake that held this much is made anew when it is empty */

static int new_intake(struct framing *f, struct intake **ret, struct error *err)
{
    return intake_new(buf_bytes(&f->lens->encoded), f->lens->tags_raw, f->message_max,
                      f->kind == FRAMING_JSON ? INTAKE_RECOGNISE : 0, ret, err);
}

int framing_init(struct framing *f, enum framing_kind kind, const struct lens *lens,
                 uint64_t message_max, struct error *err)
{
    *f = (struct framing){.kind = kind, .lens = lens, .message_max = message_max};
    return new_intake(f, &f->in, err);
}

void framing_done(struct framing *f)
{
    intake_free(f->in);
    buf_done(&f->line);
    buf_done(&f->text);
}

size_t framing_held(const struct framing *f)
{
    return intake_held(f->in) + f->line.n;
}

bool framing_skipping(const struct framing *f)
{
    return f->skipping || intake_skipping(f->in);
}

void framing_taken(struct framing *f)
{
    intake_taken(f->in);
    f->batch = 0;
}

void framing_reset(struct framing *f)
{
    intake_reset(f->in);
    buf_clear(&f->line);
    f->skipping = false;
}

void framing_skip(struct framing *f, char last)
{
    size_t used;

    if (f->kind == FRAMING_LINES)
        f->skipping = last != '\n';
    else
        (void)intake_push(f->in, &last, 1, &used, NULL, NULL);
}

void framing_spoil(struct framing *f, char last)
{
    size_t used;

    framing_reset(f);
    if (f->kind != FRAMING_LINES) /* a control character is wrong anywhere */
        (void)intake_push(f->in, "\1", 1, &used, NULL, NULL);
    framing_skip(f, last);
}

void framing_shrink(struct framing *f)
{
    struct intake *fresh;

    if (f->peak < SHRINK_MIN || framing_held(f) > 0 || framing_skipping(f))
        return;
    if (new_intake(f, &fresh, NULL) < 0)
        return;
    intake_free(f->in);
    f->in = fresh;
    f->peak = 0;
    buf_done(&f->line);
    buf_done(&f->text);
    f->line = f->text = BUF_INIT;
}

/* --- lines --- */

static enum intake_status no_memory(struct error *err)
{
    (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    return INTAKE_FAILED;
}

static enum intake_status too_long(struct framing *f, struct error *err)
{
    (void)fail(err, PLSM_ERROR_USAGE,
               "line too long: a message of this pool takes at most %llu bytes",
               (unsigned long long)f->message_max);
    (void)fail_detail(err, ERROR_DETAIL_TOO_LARGE);
    return INTAKE_FAILED;
}

/* One line, without its newline, becomes a message. */
static enum intake_status take_line(struct framing *f, struct bytes line, struct error *err)
{
    size_t used;

    while (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    buf_clear(&f->text);
    if (buf_add_str(&f->text, "{\"line\":") < 0 || buf_add_json_string(&f->text, line) < 0 ||
        buf_add_char(&f->text, '}') < 0)
        return no_memory(err);
    if (intake_push(f->in, f->text.p, f->text.n, &used, NULL, err) == INTAKE_FAILED) {
        intake_reset(f->in);
        return err->detail == ERROR_DETAIL_TOO_LARGE ? too_long(f, err) : INTAKE_FAILED;
    }
    f->batch += f->text.n;
    return f->batch < INTAKE_BATCH_BYTES ? INTAKE_MORE : INTAKE_FULL;
}

/* A piece without a newline, or up to one.  No byte of a line takes less than one byte of its message. */
static enum intake_status take_piece(struct framing *f, struct bytes piece, bool ends,
                                     struct error *err)
{
    enum intake_status status;

    if (f->line.n + piece.n > f->message_max)
        return too_long(f, err);
    if (ends && f->line.n == 0)
        return take_line(f, piece, err);
    if (buf_add_bytes(&f->line, piece) < 0)
        return no_memory(err);
    if (!ends)
        return INTAKE_MORE;
    status = take_line(f, buf_bytes(&f->line), err);
    buf_clear(&f->line);
    return status;
}

static enum intake_status push_lines(struct framing *f, const char *p, size_t n, size_t *ret_used,
                                     size_t *ret_end, struct error *err)
{
    enum intake_status status = INTAKE_MORE;

    *ret_end = *ret_used = 0;
    while (*ret_used < n && status == INTAKE_MORE) {
        const char *from = p + *ret_used, *newline = memchr(from, '\n', n - *ret_used);
        size_t length = newline == NULL ? n - *ret_used : (size_t)(newline - from);

        if (!f->skipping)
            status = take_piece(f, (struct bytes){from, length}, newline != NULL, err);
        if (status == INTAKE_FAILED)
            break;
        *ret_used += length + (newline != NULL);
        if (newline != NULL && !f->skipping)
            *ret_end = *ret_used;
        f->skipping = f->skipping && newline == NULL;
    }
    if (status == INTAKE_FAILED) {
        buf_clear(&f->line);
        f->skipping = true;
    }
    return status;
}

/* --- JSON --- */

static enum intake_status cut_by_line(struct framing *f, struct error *err)
{
    intake_reset(f->in);
    (void)fail(err, PLSM_ERROR_USAGE, "invalid json");
    (void)fail_cause(err, "the line ends inside the value, and `ctl` says framing jsonl");
    (void)fail_detail(err, ERROR_DETAIL_BAD_JSON);
    return INTAKE_FAILED;
}

/* Line by line, to see whether each is at its end where the text is. */
static enum intake_status push_jsonl(struct framing *f, const char *p, size_t n, size_t *ret_used,
                                     size_t *ret_end, struct error *err)
{
    enum intake_status status = INTAKE_MORE;

    *ret_end = *ret_used = 0;
    while (*ret_used < n && status == INTAKE_MORE) {
        const char *from = p + *ret_used, *newline = memchr(from, '\n', n - *ret_used);
        size_t length = newline == NULL ? n - *ret_used : (size_t)(newline + 1 - from), used, end;

        status = intake_push(f->in, from, length, &used, &end, err);
        if (end > 0)
            *ret_end = *ret_used + end;
        *ret_used += used;
        if (status == INTAKE_MORE && newline != NULL && intake_held(f->in) > 0) {
            --*ret_used; /* the newline is what is wrong */
            status = cut_by_line(f, err);
        }
    }
    return status;
}

enum intake_status framing_push(struct framing *f, const char *p, size_t n, size_t *ret_used,
                                size_t *ret_end, struct error *err)
{
    enum intake_status status;

    if (f->kind == FRAMING_LINES)
        status = push_lines(f, p, n, ret_used, ret_end, err);
    else if (f->by_line)
        status = push_jsonl(f, p, n, ret_used, ret_end, err);
    else
        status = intake_push(f->in, p, n, ret_used, ret_end, err);
    if (framing_held(f) > f->peak)
        f->peak = framing_held(f);
    return status;
}

enum intake_status framing_end(struct framing *f, struct error *err)
{
    enum intake_status status;

    if (f->line.n == 0)
        return INTAKE_MORE;
    status = take_line(f, buf_bytes(&f->line), err);
    buf_clear(&f->line);
    return status;
}
