#include "receipts.h"

#include <poll.h>
#include <stdlib.h>

#define RECEIPTS_MAX 1024 /* of one open file; the oldest are dropped */
#define RECEIPT_BYTES_MAX (1024 * 1024)

struct receipt_line {
    struct receipt_line *next;
    size_t n, at; /* bytes, of which `at` were read */
    char p[];
};

void receipts_init(struct receipts *receipts)
{
    *receipts = (struct receipts){0};
    pthread_mutex_init(&receipts->lock, NULL);
    receipts->last = &receipts->first;
}

void receipts_done(struct receipts *receipts)
{
    for (struct receipt_line *line = receipts->first, *next; line != NULL; line = next) {
        next = line->next;
        free(line);
    }
    if (receipts->ph != NULL)
        fuse_pollhandle_destroy(receipts->ph);
    pthread_mutex_destroy(&receipts->lock);
}

/* Under lock, as the next. */
static void drop_oldest(struct receipts *receipts)
{
    struct receipt_line **at = &receipts->first, *line;

    /* One that is half read stays, or the reader would get the end of another. */
    if ((*at)->at > 0 && (*at)->next != NULL)
        at = &(*at)->next;
    line = *at;
    *at = line->next;
    if (line->next == NULL)
        receipts->last = at;
    receipts->n--;
    receipts->bytes -= line->n;
    free(line);
}

static void add_line(struct receipts *receipts, struct bytes text)
{
    struct receipt_line *line = malloc(sizeof *line + text.n);

    if (line == NULL)
        return; /* as if it had been dropped for being too old */
    *line = (struct receipt_line){.n = text.n};
    memcpy(line->p, text.p, text.n);
    *receipts->last = line;
    receipts->last = &line->next;
    receipts->n++;
    receipts->bytes += text.n;
    while (receipts->n > 1 && (receipts->n > RECEIPTS_MAX || receipts->bytes > RECEIPT_BYTES_MAX))
        drop_oldest(receipts);
}

void receipts_add(struct receipts *receipts, struct mount *m, const struct payload *payloads,
                  size_t n, const struct receipt *receipt)
{
    auto_buf struct buf text = BUF_INIT;
    struct time_cache cache = {0};
    struct fuse_pollhandle *ph;

    pthread_mutex_lock(&receipts->lock);
    for (size_t i = n > RECEIPTS_MAX ? n - RECEIPTS_MAX : 0; i < n; i++) {
        struct message message = {
            .seq = receipt->first_seq + i, .time_ns = receipt->time_ns, .tags = payloads[i].tags};

        buf_clear(&text);
        if (message_receipt(&message, &cache, &text) == 0)
            add_line(receipts, buf_bytes(&text));
    }
    ph = receipts->ph;
    receipts->ph = NULL;
    pthread_mutex_unlock(&receipts->lock);
    handle_notify(m, ph);
}

void receipts_read(struct receipts *receipts, fuse_req_t req, size_t size)
{
    auto_buf struct buf out = BUF_INIT;

    pthread_mutex_lock(&receipts->lock);
    while (receipts->first != NULL && out.n < size) {
        struct receipt_line *line = receipts->first;
        size_t n = line->n - line->at;

        if (out.n > 0 && out.n + n > size)
            break; /* whole lines where there is room */
        if (n > size)
            n = size;
        if (buf_add(&out, line->p + line->at, n) < 0)
            break;
        line->at += n;
        if (line->at < line->n)
            break;
        line->at = 0;
        drop_oldest(receipts);
    }
    pthread_mutex_unlock(&receipts->lock);
    fuse_reply_buf(req, out.p, out.n);
}

void receipts_poll(struct receipts *receipts, fuse_req_t req, struct fuse_pollhandle *ph)
{
    struct fuse_pollhandle *replaced = NULL;
    unsigned events = POLLOUT | POLLWRNORM;

    pthread_mutex_lock(&receipts->lock);
    if (receipts->first != NULL)
        events |= POLLIN | POLLRDNORM;
    if (ph != NULL) {
        replaced = receipts->ph;
        receipts->ph = ph;
    }
    pthread_mutex_unlock(&receipts->lock);
    fuse_reply_poll(req, events);
    if (replaced != NULL)
        fuse_pollhandle_destroy(replaced);
}
