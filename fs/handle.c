#include "handle.h"

#include "failure.h"
#include "patience.h"
#include "status.h"
#include "work.h"

#include <errno.h>
#include <stdlib.h>

/* An open directory does not keep its pool from being deleted: those who delete trees have one open. */
static bool is_counted(const struct node *node)
{
    return node->pool != NULL && !path_is_dir(&node->place);
}

void handle_init(struct handle *h, const struct handle_ops *ops, struct mount *m, struct node *node)
{
    h->ops = ops;
    h->m = m;
    h->node = node_ref(m->nodes, node);
    atomic_init(&h->refs, 1);
    pthread_mutex_lock(&m->handles_lock);
    h->next = m->handles;
    h->prev = &m->handles;
    if (h->next != NULL)
        h->next->prev = &h->next;
    m->handles = h;
    m->n_handles++;
    pthread_mutex_unlock(&m->handles_lock);
    if (is_counted(node))
        atomic_fetch_add(&node->pool->handles, 1);
}

void handle_unref(struct handle *h)
{
    struct mount *m = h->m;
    struct node *node = h->node;

    if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_lock(&m->handles_lock);
    *h->prev = h->next;
    if (h->next != NULL)
        h->next->prev = h->prev;
    m->n_handles--;
    pthread_mutex_unlock(&m->handles_lock);
    h->ops->destroy(h);
    if (is_counted(node))
        atomic_fetch_sub(&node->pool->handles, 1);
    node_unref(m->nodes, node);
}

void handles_free(struct mount *m)
{
    while (m->handles != NULL) {
        struct handle *h = m->handles;

        if (h->ops->abandon != NULL)
            h->ops->abandon(h);
        atomic_store(&h->refs, 1); /* whoever held the others has ended */
        handle_unref(h);
    }
}

void handle_notify(struct mount *m, struct fuse_pollhandle *ph)
{
    if (ph == NULL)
        return;
    atomic_fetch_add(&m->notifications, 1);
    fuse_lowlevel_notify_poll(ph);
    fuse_pollhandle_destroy(ph);
}

void handle_refuse_read(fuse_req_t req, struct handle *h, const struct error *err)
{
    int status = status_errno(err, DOOR_READER);

    failure_note(h->m, &(struct failure){.node = h->node, .status = status, .err = err});
    fuse_reply_err(req, status);
}

/* A read that is made by a worker. */
struct slow_read {
    struct work work;
    struct handle *handle;
    fuse_req_t req;
    uint64_t end_ns; /* see patience_end() */
    size_t size;
    off_t off;
    handle_make *make;
};

static void read_slowly(struct work *work)
{
    struct slow_read *slow = (struct slow_read *)work;

    patience_for(slow->req, slow->end_ns);
    slow->make(slow->req, slow->handle, slow->size, slow->off);
    patience_for(NULL, 0);
    handle_unref(slow->handle);
    free(slow);
}

void handle_read_later(fuse_req_t req, struct handle *h, size_t size, off_t off, handle_make *make)
{
    struct slow_read *slow = malloc(sizeof *slow);

    if (slow == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    *slow = (struct slow_read){
        {.run = read_slowly}, handle_ref(h), req, patience_end(h->m), size, off, make};
    workers_submit_slow(h->m->workers, &slow->work, fuse_req_ctx(req)->uid);
}
