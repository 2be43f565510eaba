#include "failure.h"

#include "base/units.h"
#include "notes.h"

#include <errno.h>
#include <string.h>

#define PATH_MAX_SHOWN 512 /* bytes of a path */
#define BEFORE_MAX 48      /* bytes shown in front of the place ... */
#define BEHIND_MAX 32      /* ... and from there on */

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

    if (failure->text.n == 0 || failure->at > failure->text.n)
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

void failure_note(struct mount *m, const struct failure *failure)
{
    const struct mpool *pool = failure->node->pool;
    auto_buf struct buf line = BUF_INIT;
    uint64_t now = clock_real_ns();

    if (make_line(failure, now, &line) < 0)
        return; /* the caller's errno has to do */
    notes_add(m, pool == NULL ? NULL : pool->notes, buf_bytes(&line), now, failure->rejected);
}

int failure_forbid(struct mount *m, const struct node *node, const char *name, int status,
                   const char *message, const char *hint)
{
    struct error err = ERROR_INIT;

    (void)fail(&err, PLSM_ERROR_PERMISSION, "%s", message);
    if (hint != NULL)
        (void)fail_hint(&err, "%s", hint);
    failure_note(m, &(struct failure){.node = node, .name = name, .status = status, .err = &err});
    return status;
}

/* Behind `all` or `follow` there are names that nobody typed. */
static const struct node *expression_above(const struct node *node)
{
    const struct node *at = node;

    while (at != NULL && !path_is_expression(&at->place))
        at = at->parent;
    return at != NULL ? at : node;
}

void failure_note_lens(struct mount *m, const struct node *node, const struct lens *lens)
{
    struct error err;

    while (lens_is_slow(lens) && lens_problem(lens, &err))
        failure_note(m, &(struct failure){.node = expression_above(node), .status = EINVAL, .err = &err});
}
