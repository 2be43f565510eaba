#include "append.h"

#include "base/units.h"
#include "failure.h"
#include "framing.h"
#include "notes.h"
#include "receipts.h"
#include "status.h"
#include "waiters.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define BUSY_LIMIT_NS (5 * NS_PER_S)
#define BUSY_LEAST_NS (50 * NS_PER_MS) /* that everybody waits at least */
#define BUSY_NAP_NS (200 * NS_PER_US)  /* between tries of a worker */

struct writer {
    struct handle handle;
    struct framing framing;
    bool sync;          /* O_SYNC or O_DSYNC: on disk before write() returns */
    bool readable;      /* O_RDWR: receipts */
    atomic_size_t held; /* bytes of unfinished text; FLUSH looks */
    atomic_bool told;   /* a close has reported the text that is unfinished now */
    struct receipts receipts;
};

/* One write(), from its arrival to its answer; or the end of the file, which may complete a line. */
struct write_job {
    struct write_job *next;
    struct writer *writer;
    fuse_req_t req; /* NULL: nobody waits for an answer */
    const char *p;
    size_t n, at;    /* of which `at` bytes went into the framing */
    bool end;        /* no more will come */
    size_t good;     /* committed up to here */
    size_t complete; /* and complete in the framing up to here */
    int status;      /* errno of what stopped it ... */
    struct error *err; /* ... and the reason; for its kind alone if there is none */
    size_t wrong;      /* the place it is about, n when it is about none */
    bool stored;       /* something was committed */
    bool started;      /* `fresh` is known */
    bool fresh;        /* began between values: it can be repeated as if nothing had happened */
    bool nonblock;
};

/* One that waits for the pool's lock, with all that it needs. */
struct queued {
    struct write_job job; /* the first: the queue knows no more of it */
    uint64_t deadline_ns;
    struct error err;
    char data[];
};

/* The drain of a pool's queue. */
struct drain {
    struct work work;
    struct mpool *pool;
};

static bool queue_in_use(struct mpool *pool)
{
    return atomic_load(&pool->appends.draining);
}

static struct mpool *pool_of(const struct writer *w)
{
    return w->handle.node->pool;
}

static void writer_read(fuse_req_t req, struct handle *h, size_t size, off_t off,
                        const struct fuse_file_info *fi)
{
    (void)off;
    (void)fi;
    receipts_read(&((struct writer *)h)->receipts, req, size);
}

static void writer_poll(fuse_req_t req, struct handle *h, struct fuse_pollhandle *ph)
{
    receipts_poll(&((struct writer *)h)->receipts, req, ph);
}

/* --- the framing --- */

static char last_byte(const struct write_job *job)
{
    return job->n > 0 ? job->p[job->n - 1] : '\n';
}

/* Forgets what was complete but is not going to be stored. */
static void give_up(struct write_job *job)
{
    struct writer *w = job->writer;

    framing_taken(&w->framing);
    if (job->fresh || job->good > 0)
        framing_reset(&w->framing); /* the program repeats it from a place where a value begins */
    else
        framing_spoil(&w->framing, last_byte(job));
}

/* Counts what the framing holds now; false when the mount holds too much. */
static bool count_held(struct writer *w)
{
    size_t before = atomic_load(&w->held), now = framing_held(&w->framing);

    if (now == before)
        return true;
    if (now > before && !mount_hold(w->handle.m, now - before))
        return false;
    if (now < before)
        mount_unhold(w->handle.m, before - now);
    if (now == 0 || before == 0)
        atomic_store(&w->told, false);
    atomic_store(&w->held, now);
    return true;
}

static void settle(struct writer *w)
{
    (void)count_held(w); /* it can only be less than what was counted or refused */
    framing_shrink(&w->framing);
}

/* Stores what is complete.  False when the lock is busy: then nothing has changed. */
static bool commit(struct write_job *job, enum append_flags flags)
{
    struct writer *w = job->writer;
    struct error err; /* the job's may say already what is wrong with the next message */
    struct receipt receipt = {0};
    size_t n;
    const struct payload *payloads = intake_payloads(w->framing.in, &n);

    if (n == 0)
        return true;
    if (pool_append(pool_of(w)->pool, payloads, n, flags | APPEND_WAKE_OTHERS, &receipt, &err) == 0) {
        if (w->readable)
            receipts_add(&w->receipts, w->handle.m, payloads, n, &receipt);
        framing_taken(&w->framing);
        job->good = job->complete;
        job->stored = true;
        return true;
    }
    if (err.kind == PLSM_ERROR_BUSY && (flags & APPEND_TRY) != 0)
        return false;
    *job->err = err;
    job->status = status_errno(&err, DOOR_WRITER);
    give_up(job);
    job->at = job->wrong = job->n;
    return true;
}

/* Puts the next piece into the framing; an error of it becomes the job's. */
static void push(struct write_job *job)
{
    struct writer *w = job->writer;
    size_t used = 0, end = 0;
    enum intake_status status;

    if (job->at < job->n) {
        status =
            framing_push(&w->framing, job->p + job->at, job->n - job->at, &used, &end, job->err);
    } else {
        status = framing_end(&w->framing, job->err);
        job->end = false;
    }
    if (end > 0) {
        job->complete = job->at + end;
        if (atomic_load(&w->told)) /* the look costs less than the store */
            atomic_store(&w->told, false); /* what is unfinished from now on is another text */
    }
    job->at += used;
    job->wrong = job->at;
    if (status != INTAKE_FAILED && !count_held(w)) {
        (void)fail(job->err, PLSM_ERROR_USAGE,
                   "too much unfinished text is being written through this mount");
        (void)fail_detail(job->err, ERROR_DETAIL_TOO_LARGE);
        status = INTAKE_FAILED;
    }
    if (status == INTAKE_FAILED)
        job->status = status_errno(job->err, DOOR_WRITER);
}

/* What a refused message leaves behind, once everything before it is stored. */
static void refuse(struct write_job *job)
{
    struct framing *f = &job->writer->framing;

    if (job->good > 0)
        framing_reset(f); /* a short count: the program comes again with the bad one in front */
    else if (!framing_skipping(f))
        framing_spoil(f, last_byte(job));
    else if (job->at < job->n)
        framing_skip(f, last_byte(job)); /* a newline there begins the line on which to resume */
    job->at = job->n;
}

/* Works on a write until it can be answered; false when the pool's lock is busy. */
static bool run(struct write_job *job, enum append_flags flags)
{
    struct writer *w = job->writer;

    if (!job->started)
        job->fresh = !framing_skipping(&w->framing) && framing_held(&w->framing) == 0;
    job->started = true;
    w->framing.by_line = notes_by_line(pool_of(w)->notes);
    for (;;) {
        int failed = job->status;

        if (!commit(job, flags))
            return false;
        if (job->status != failed)
            break; /* the engine refused; give_up() has tidied */
        if (failed != 0) {
            refuse(job);
            break;
        }
        if (job->at == job->n && !job->end)
            break;
        push(job);
    }
    /* Nothing may be lost in silence: a write that had no place to resume is refused too. */
    if (job->status == 0 && framing_skipping(&w->framing))
        job->status = w->framing.kind == FRAMING_LINES ? EMSGSIZE : EBADMSG;
    settle(w);
    return true;
}

/* Keeps what was refused for `errors`.  What only goes on with it has no reason of its own. */
static void note(const struct write_job *job)
{
    struct failure failure = {
        .node = job->writer->handle.node,
        .status = job->status,
        .err = job->err,
        .rejected = true,
        .text = {job->p, job->n},
        .at = job->wrong < job->n ? job->wrong : FAILURE_NOWHERE
    };

    if (job->good > 0 || job->err->kind == PLSM_ERROR_NONE)
        return;
    if (strcmp(job->err->message, "data must be object") == 0)
        (void)fail_hint(job->err, "A message is a JSON object, like {\"text\":\"hello\"}; plain text goes into `lines`.");
    failure_note(job->writer->handle.m, &failure);
}

static void reply(const struct write_job *job)
{
    if (job->req == NULL)
        return; /* the file is closed */
    if (job->status == 0)
        fuse_reply_write(job->req, job->n);
    else if (job->good > 0)
        fuse_reply_write(job->req, job->good);
    else
        fuse_reply_err(job->req, job->status);
}

/* Answers, and serves those who waited for what was stored. */
static void answer(struct write_job *job)
{
    struct writer *w = job->writer;

    if (job->status != 0)
        note(job);
    reply(job);
    if (job->stored)
        waiters_kick(w->handle.m, pool_of(w));
}

/* --- the queue of a pool --- */

static struct write_job *next_queued(struct mpool *pool)
{
    struct write_job *job;

    pthread_mutex_lock(&pool->appends.lock);
    job = pool->appends.first;
    if (job != NULL)
        pool->appends.first = job->next;
    if (pool->appends.first == NULL)
        pool->appends.last = &pool->appends.first;
    if (job == NULL)
        pool->appends.draining = false;
    pthread_mutex_unlock(&pool->appends.lock);
    return job;
}

/*
 * The lock is busy.  Those who come while its holder is stuck do not wait as long as the first did: they have to be
 * told one after the other, and the last of them would wait for minutes.
 */
static uint64_t note_busy(const struct queued *queued)
{
    struct mpool *pool = pool_of(queued->job.writer);
    struct pool_bounds bounds = {0};
    uint64_t now = clock_mono_ns(), deadline;

    (void)pool_bounds(pool->pool, &bounds, NULL);
    pthread_mutex_lock(&pool->appends.lock);
    if (pool->appends.busy_since_ns == 0 || pool->appends.busy_head != bounds.head)
        pool->appends.busy_since_ns = now;
    pool->appends.busy_head = bounds.head;
    deadline = pool->appends.busy_since_ns + BUSY_LIMIT_NS;
    pthread_mutex_unlock(&pool->appends.lock);
    if (deadline < now + BUSY_LEAST_NS)
        deadline = now + BUSY_LEAST_NS;
    return deadline < queued->deadline_ns ? deadline : queued->deadline_ns;
}

static void note_free(struct mpool *pool)
{
    pthread_mutex_lock(&pool->appends.lock);
    pool->appends.busy_since_ns = 0;
    pthread_mutex_unlock(&pool->appends.lock);
}

static void run_queued(struct queued *queued)
{
    struct write_job *job = &queued->job;
    struct writer *w = job->writer;
    enum append_flags flags = APPEND_TRY | (w->sync ? APPEND_FLUSH : 0);
    uint64_t deadline = 0;

    while (!run(job, flags)) {
        if (deadline == 0)
            deadline = note_busy(queued);
        if (clock_mono_ns() >= deadline || atomic_load(&w->handle.m->stopping)) {
            (void)fail(job->err, PLSM_ERROR_BUSY,
                       "another writer held the pool's lock for too long");
            job->status = atomic_load(&w->handle.m->stopping) ? ECONNABORTED : EBUSY;
            job->wrong = job->n;
            give_up(job);
            settle(w);
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = BUSY_NAP_NS}, NULL);
    }
    if (job->stored)
        note_free(pool_of(w));
    answer(job);
}

static void drain_queue(struct work *work)
{
    struct drain *drain = (struct drain *)work;
    struct write_job *job;

    while ((job = next_queued(drain->pool)) != NULL) {
        run_queued((struct queued *)job);
        handle_unref(&job->writer->handle);
        free(job);
    }
    mpool_unref(drain->pool);
    free(drain);
}

/* Copies the job, whose text belongs to libfuse, and has it done by a worker. */
static void enqueue(const struct write_job *job)
{
    struct writer *w = job->writer;
    struct mpool *pool = pool_of(w);
    struct queued *queued = malloc(sizeof *queued + job->n);
    struct drain *drain = malloc(sizeof *drain);
    bool start;

    if (job->stored) /* the rest may have to wait for seconds */
        waiters_kick(w->handle.m, pool);
    if (queued == NULL || drain == NULL) {
        free(queued);
        free(drain);
        if (job->req != NULL)
            fuse_reply_err(job->req, ENOMEM);
        return;
    }
    queued->job = *job;
    if (job->err->kind != PLSM_ERROR_NONE)
        queued->err = *job->err;
    else
        (void)error_clear(&queued->err);
    if (job->n > 0)
        memcpy(queued->data, job->p, job->n);
    queued->job.err = &queued->err;
    queued->job.p = queued->data;
    queued->job.next = NULL;
    queued->deadline_ns = clock_mono_ns() + BUSY_LIMIT_NS;
    handle_ref(&w->handle);
    pthread_mutex_lock(&pool->appends.lock);
    *pool->appends.last = &queued->job;
    pool->appends.last = &queued->job.next;
    start = !pool->appends.draining;
    pool->appends.draining = true;
    pthread_mutex_unlock(&pool->appends.lock);
    if (!start) {
        free(drain);
        return;
    }
    drain->work.run = drain_queue;
    drain->pool = mpool_ref(pool);
    workers_submit(w->handle.m->workers, &drain->work);
}

static void writer_write(fuse_req_t req, struct handle *h, const char *p, size_t n,
                         const struct fuse_file_info *fi)
{
    struct writer *w = (struct writer *)h;
    struct error err;
    struct write_job job = {.writer = w,
                            .req = req,
                            .p = p,
                            .n = n,
                            .err = error_clear(&err),
                            .nonblock = (fi->flags & O_NONBLOCK) != 0};

    if (w->sync || queue_in_use(pool_of(w))) {
        enqueue(&job);
        return;
    }
    if (run(&job, APPEND_TRY)) {
        answer(&job);
    } else if (job.nonblock && job.fresh) {
        job.status = EAGAIN;
        give_up(&job);
        settle(w);
        answer(&job);
    } else {
        enqueue(&job);
    }
}

/*
 * close(), by whoever has this file open.  Others may still be writing, so nothing is dropped here, and the unfinished
 * text is reported once.
 */
static void writer_flush(fuse_req_t req, struct handle *h)
{
    struct writer *w = (struct writer *)h;
    bool unfinished = w->framing.kind != FRAMING_LINES && atomic_load(&w->held) > 0 &&
                      !atomic_exchange(&w->told, true);
    struct error err = ERROR_INIT;
    struct failure failure = {.node = h->node, .status = EBADMSG, .err = &err, .rejected = true};

    if (unfinished) {
        (void)fail(&err, PLSM_ERROR_USAGE, "the file was closed in the middle of a JSON value");
        failure_note(h->m, &failure);
    }
    fuse_reply_err(req, unfinished ? EBADMSG : 0);
}

struct flush_job {
    struct work work;
    struct handle *handle;
    fuse_req_t req;
};

static void flush_pool(struct work *work)
{
    struct flush_job *job = (struct flush_job *)work;
    struct error err = ERROR_INIT;
    int result = pool_flush(job->handle->node->pool->pool, &err);

    fuse_reply_err(job->req, result < 0 ? status_errno(&err, DOOR_WRITER) : 0);
    handle_unref(job->handle);
    free(job);
}

static void writer_fsync(fuse_req_t req, struct handle *h)
{
    struct flush_job *job = malloc(sizeof *job);

    if (job == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    *job = (struct flush_job){{.run = flush_pool}, handle_ref(h), req};
    workers_submit(h->m->workers, &job->work);
}

/* The last close: a line without a newline is taken, as a message that nobody waits for. */
static void writer_release(struct handle *h)
{
    struct writer *w = (struct writer *)h;
    struct error err;
    struct write_job job = {.writer = w, .end = true, .err = error_clear(&err)};

    if (w->framing.kind != FRAMING_LINES)
        return;
    if (w->sync || queue_in_use(pool_of(w)) || !run(&job, APPEND_TRY))
        enqueue(&job);
    else
        answer(&job);
}

/* The mount ends before the file is closed: its last line is as good as if it had been. */
static void writer_abandon(struct handle *h)
{
    struct writer *w = (struct writer *)h;
    struct error err;
    struct write_job job = {.writer = w, .end = true, .err = error_clear(&err)};
    uint64_t deadline_ns = clock_mono_ns() + BUSY_LEAST_NS;

    if (w->framing.kind != FRAMING_LINES)
        return;
    while (!run(&job, APPEND_TRY | (w->sync ? APPEND_FLUSH : 0)) &&
           clock_mono_ns() < deadline_ns)
        nanosleep(&(struct timespec){.tv_nsec = BUSY_NAP_NS}, NULL);
}

static void writer_destroy(struct handle *h)
{
    struct writer *w = (struct writer *)h;

    receipts_done(&w->receipts);
    mount_unhold(h->m, atomic_load(&w->held));
    framing_done(&w->framing);
    free(w);
}

static const struct handle_ops writer_ops = {
    .read = writer_read,
    .write = writer_write,
    .flush = writer_flush,
    .fsync = writer_fsync,
    .poll = writer_poll,
    .release = writer_release,
    .abandon = writer_abandon,
    .destroy = writer_destroy,
};

static enum framing_kind framing_of(const struct place *place)
{
    if (place->kind == PLACE_LINES)
        return FRAMING_LINES;
    return place->lens->data ? FRAMING_DATA : FRAMING_JSON;
}

int append_open(struct opening *o)
{
    struct node *node = o->node;
    struct error err = ERROR_INIT;
    struct writer *w;

    w = calloc(1, sizeof *w);
    if (w == NULL)
        return ENOMEM;
    handle_init(&w->handle, &writer_ops, o->m, node);
    receipts_init(&w->receipts);
    w->sync = (o->flags & (O_SYNC | O_DSYNC)) != 0;
    w->readable = (o->flags & O_ACCMODE) == O_RDWR && node->place.kind == PLACE_APPEND;
    if (framing_init(&w->framing, framing_of(&node->place), node->place.lens,
                     pool_message_max(node->pool->pool), &err) < 0) {
        handle_unref(&w->handle);
        return status_errno(&err, DOOR_WRITER);
    }
    o->open_flags =
        FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NONSEEKABLE | FOPEN_PARALLEL_DIRECT_WRITES;
    o->handle = &w->handle;
    return 0;
}
