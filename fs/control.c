#include "control.h"

#include "base/units.h"
#include "deletion.h"
#include "failure.h"
#include "file.h"
#include "notes.h"
#include "status.h"
#include "work.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>

#define TEXT_MAX 4096  /* bytes of one write: far more than any commands need */
#define COMMAND_MAX 64 /* ... and of one command */

/* What is done with a command: first it is checked, then, when all of them are right, carried out. */
typedef int command_fn(struct handle *h, const char *line, struct error *err);

static int check_size(struct handle *h, const char *line, struct error *err)
{
    const char *why = "a pool has no size of 0";
    uint64_t bytes;

    (void)h;
    if (parse_size(line, &bytes, &why) == 0 && bytes != 0)
        return 0;
    return fail(err, PLSM_ERROR_USAGE, "%s", why);
}

static int run_size(struct handle *h, const char *line, struct error *err)
{
    struct mpool *pool = h->node->pool;
    uint64_t bytes;
    int result;

    (void)parse_size(line, &bytes, NULL); /* it was checked */
    result = pool_resize(pool->pool, bytes, err);
    if (!mpool_alive(pool)) /* marks it; the next look-up opens the one that has taken its place */
        deletion_await(h->m, pool);
    return result;
}

static int delete (struct handle *h, struct error *err)
{
    return deletion_run(h->m, h->node->pool, err);
}

static int frame_json(struct handle *h, struct error *err)
{
    (void)err;
    notes_set_by_line(h->node->pool->notes, false);
    return 0;
}

static int frame_jsonl(struct handle *h, struct error *err)
{
    (void)err;
    notes_set_by_line(h->node->pool->notes, true);
    return 0;
}

static const struct command {
    const char *line;
    int (*run)(struct handle *h, struct error *err);
} commands[] = {
    {"delete",        delete     },
    {"framing json",  frame_json },
    {"framing jsonl", frame_jsonl},
};

static const struct command *command_of(const char *line)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(line, commands[i].line) == 0)
            return &commands[i];
    return NULL;
}

static int check_command(struct handle *h, const char *line, struct error *err)
{
    (void)h;
    if (command_of(line) != NULL)
        return 0;
    (void)fail(err, PLSM_ERROR_USAGE, "no such command");
    return fail_hint(err, "Commands are: delete, framing json, framing jsonl.");
}

static int run_command(struct handle *h, const char *line, struct error *err)
{
    return command_of(line)->run(h, err);
}

static const struct control {
    command_fn *check, *run;
    bool one_line;
} size_control = {check_size, run_size, true}, ctl_control = {check_command, run_command, false};

static const struct control *control_of(const struct handle *h)
{
    return h->node->place.kind == PLACE_SIZE ? &size_control : &ctl_control;
}

/* Calls fn for each line, until one fails; *ret_at is then where it begins. */
static int for_lines(struct handle *h, const char *text, command_fn *fn, size_t *ret_at,
                     struct error *err)
{
    const char *line = text;

    do {
        char command[COMMAND_MAX + 1];
        size_t n = strcspn(line, "\n");

        *ret_at = (size_t)(line - text);
        if (n > COMMAND_MAX || (line[n] != '\0' && line[n + 1] != '\0' && control_of(h)->one_line))
            return fail(err, PLSM_ERROR_USAGE, "one short command a line");
        memcpy(command, line, n);
        command[n] = '\0';
        if (fn(h, command, err) < 0)
            return -1;
        line += n + (line[n] != '\0');
    } while (*line != '\0');
    return 0;
}

/* One write(), on its way to a worker. */
struct order {
    struct work work;
    struct handle *handle;
    fuse_req_t req;
    size_t n;
    char text[]; /* a string */
};

static int check(struct handle *h, const char *p, size_t n, const char *text, size_t *ret_at,
                 struct error *err)
{
    *ret_at = 0;
    if (n > TEXT_MAX)
        return fail(err, PLSM_ERROR_USAGE, "too many commands at once");
    if (memchr(p, '\0', n) != NULL)
        return fail(err, PLSM_ERROR_USAGE, "there is a NUL in the command");
    return for_lines(h, text, control_of(h)->check, ret_at, err);
}

static void carry_out(struct work *work)
{
    struct order *order = (struct order *)work;
    struct handle *h = order->handle;
    struct error err = ERROR_INIT;
    size_t at;
    int status = mpool_alive(h->node->pool) ? 0 : ESTALE;

    if (status == 0 && for_lines(h, order->text, control_of(h)->run, &at, &err) < 0) {
        status = status_errno(&err, DOOR_WRITER);
        failure_note(h->m, &(struct failure){.node = h->node, .status = status, .err = &err});
    }
    if (status != 0)
        fuse_reply_err(order->req, status);
    else
        fuse_reply_write(order->req, order->n);
    handle_unref(h);
    free(order);
}

static void control_write(fuse_req_t req, struct handle *h, const char *p, size_t n,
                          const struct fuse_file_info *fi)
{
    struct order *order = malloc(sizeof *order + (n < TEXT_MAX ? n : TEXT_MAX) + 1);
    struct error err = ERROR_INIT;
    size_t at;

    (void)fi;
    if (order == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    *order = (struct order){{.run = carry_out}, h, req, n};
    memcpy(order->text, p, n < TEXT_MAX ? n : TEXT_MAX);
    order->text[n < TEXT_MAX ? n : TEXT_MAX] = '\0';
    if (check(h, p, n, order->text, &at, &err) < 0) {
        failure_note(h->m,
                   &(struct failure){
                       .node = h->node, .status = EINVAL, .err = &err, .text = {p, n},
                                  .at = at
        });
        fuse_reply_err(req, EINVAL);
        free(order);
        return;
    }
    handle_ref(h);
    workers_submit(h->m->workers, &order->work);
}

static void control_destroy(struct handle *h)
{
    free(h);
}

static const struct handle_ops control_ops = {
    .read = file_read,
    .write = control_write,
    .poll = file_poll,
    .destroy = control_destroy,
};

int control_open(struct opening *o)
{
    o->handle = calloc(1, sizeof *o->handle);
    if (o->handle == NULL)
        return ENOMEM;
    handle_init(o->handle, &control_ops, o->m, o->node);
    o->open_flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH;
    return 0;
}
