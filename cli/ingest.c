#include "ingest.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static void sleep_ns(uint64_t ns)
{
    struct timespec left = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

/* May it be different in a moment? */
static bool may_pass(const struct error *err)
{
    if (err->kind == PLSM_ERROR_IO)
        return err->os_errno == EINTR || err->os_errno == EAGAIN || err->os_errno == ETIMEDOUT;
    return err->kind == PLSM_ERROR_BUSY;
}

static int gave_up(uint64_t attempts, uint64_t began_ns, struct error *err)
{
    char said[sizeof err->hint];

    if (attempts == 1)
        return -1;
    snprintf(said, sizeof said, "%s", err->hint);
    return fail_hint(err, "%s%sRetry attempts: %" PRIu64 " (waited %" PRIu64 "ms).", said,
                     said[0] != '\0' ? " " : "", attempts,
                     (uint64_t)((clock_mono_ns() - began_ns) / NS_PER_MS));
}

static int append(const struct ingest *i, const struct payload *payloads, size_t n,
                  struct receipt *receipt, struct error *err)
{
    uint64_t began_ns = i->retries > 0 ? clock_mono_ns() : 0;

    for (uint64_t attempt = 1;; attempt++) {
        *err = ERROR_INIT;
        if (pool_append(i->pool, payloads, n, i->flags, receipt, err) == 0)
            return 0;
        if (attempt > i->retries || !may_pass(err))
            return gave_up(attempt, began_ns, err);
        sleep_ns(i->retry_delay_ns);
    }
}

static int store_batch(void *user, const struct payload *payloads, size_t n, struct error *err)
{
    const struct ingest *i = user;
    struct receipt receipt;

    if (append(i, payloads, n, &receipt, err) < 0)
        return -1;
    return i->stored != NULL ? i->stored(i->user, payloads, n, &receipt, err) : 0;
}

static int before_waiting(void *user, struct error *err)
{
    const struct ingest *i = user;

    return i->idle != NULL ? i->idle(i->user, err) : 0;
}

/* What is wrong, in the words scripts know. */
static void explain(const struct input_bad *bad, const char *bad_json, struct error *err)
{
    bool not_object = strcmp(err->message, "data must be object") == 0;

    if (err->detail == ERROR_DETAIL_TOO_LARGE) {
        snprintf(err->cause, sizeof err->cause, "%s", err->message);
        snprintf(err->message, sizeof err->message, "record exceeds size limit");
    } else if (strcmp(err->message, "invalid json") == 0 || (not_object && !bad->is_json)) {
        if (not_object)
            snprintf(err->cause, sizeof err->cause, "expected a JSON object");
        snprintf(err->message, sizeof err->message, "%s", bad_json);
    }
}

static void notice_skipped(const struct ingest *i, const struct input_bad *bad,
                           const struct error *err)
{
    auto_buf struct buf details = BUF_INIT, message = BUF_INIT, text = BUF_INIT;
    bool oversize = err->detail == ERROR_DETAIL_TOO_LARGE;

    buf_printf(&details,
               "{\"error_kind\":\"%s\",\"index\":%" PRIu64 ",\"line\":%" PRIu64
               ",\"mode\":\"jsonl\",\"pool_path\":",
               oversize ? "Oversize" : "Parse", bad->index, bad->line);
    buf_add_json_string(&details, bytes_of(pool_path(i->pool)));
    buf_add_str(&details, ",\"snippet\":");
    buf_add_json_string(&details, bad->snippet);
    buf_add_char(&details, '}');
    if (oversize)
        buf_add_str(&message, "Skipped oversized record.");
    else if (strcmp(err->message, "invalid json input") == 0)
        buf_add_str(&message, "Skipped invalid JSON.");
    else
        buf_printf(&message, "Skipped record: %s.", err->message);
    buf_printf(&text, "%s (record %" PRIu64 ", line %" PRIu64 ")", buf_str(&message), bad->index,
               bad->line);
    cli_notice(i->cli, "ingest_skip", i->pool_ref, buf_str(&message), buf_str(&text),
               buf_bytes(&details));
}

static int refuse_record(void *user, const struct input_bad *bad, struct error *err)
{
    const struct ingest *i = user;

    if (err->kind != PLSM_ERROR_USAGE) /* no memory: not the record's fault */
        return -1;
    explain(bad, "invalid json input", err);
    if (i->skip) {
        notice_skipped(i, bad, err);
        return 0;
    }
    if (err->hint[0] == '\0')
        fail_hint(err,
                  "Record %" PRIu64 ", which begins on line %" PRIu64
                  ", is the first bad one; those before it are stored.%s%s",
                  bad->index, bad->line, i->advice != NULL ? " " : "",
                  i->advice != NULL ? i->advice : "");
    return -1;
}

static void notice_summary(const struct ingest *i, const struct input_counts *counts)
{
    auto_buf struct buf details = BUF_INIT, message = BUF_INIT;

    buf_printf(&details, "{\"failed\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"pool_path\":", counts->bad,
               counts->good);
    buf_add_json_string(&details, bytes_of(pool_path(i->pool)));
    buf_printf(&details, ",\"total\":%" PRIu64 "}", counts->good + counts->bad);
    buf_printf(&message, "Finished with %" PRIu64 " skipped record%s.", counts->bad,
               counts->bad == 1 ? "" : "s");
    cli_notice(i->cli, "ingest_summary", i->pool_ref, buf_str(&message), buf_str(&message),
               buf_bytes(&details));
}

int ingest_no_input(struct error *err)
{
    fail(err, PLSM_ERROR_USAGE, "missing data input");
    return fail_hint(err, "Give a JSON object as DATA, name a file with --file, or pipe JSON in.");
}

static int make_intake(const struct ingest *i, struct intake **ret, struct error *err)
{
    auto_buf struct buf tags = BUF_INIT;
    uint32_t tags_raw = 0;

    for (size_t k = 0; i->tags != NULL && k < i->tags->n; k++)
        if (tags_add(&tags, &tags_raw, bytes_of(i->tags->items[k]), err) < 0)
            return -1;
    return intake_new(buf_bytes(&tags), tags_raw, pool_message_max(i->pool),
                      i->as_data ? 0 : INTAKE_RECOGNISE, ret, err);
}

int ingest_run(struct ingest *i, int fd, struct input_counts *ret, struct error *err)
{
    const struct input_handler handler = {
        .batch = store_batch, .bad = refuse_record, .idle = before_waiting, .user = i};
    auto_intake struct intake *in = NULL;

    *ret = (struct input_counts){0};
    if (make_intake(i, &in, err) < 0 || input_read(fd, in, &handler, ret, err) < 0)
        return -1;
    if (ret->bad > 0)
        notice_summary(i, ret);
    else if (ret->good == 0)
        return ingest_no_input(err);
    return 0;
}

static int refuse_text(struct bytes text, struct error *err)
{
    if (err->kind != PLSM_ERROR_USAGE)
        return -1;
    explain(&(struct input_bad){.is_json = input_is_json(text)}, "invalid json", err);
    if (err->detail == ERROR_DETAIL_BAD_JSON && err->hint[0] == '\0')
        fail_hint(err, "Supply a single JSON object, like '{\"hello\":\"world\"}'.");
    return -1;
}

int ingest_text(struct ingest *i, struct bytes text, struct error *err)
{
    auto_intake struct intake *in = NULL;
    const struct payload *payloads;
    size_t n, used;
    enum intake_status status;

    if (make_intake(i, &in, err) < 0)
        return -1;
    status = intake_push(in, text.p, text.n, &used, NULL, err);
    payloads = intake_payloads(in, &n);
    if (status == INTAKE_MORE && intake_end(in, err) == 0 && n == 1)
        return store_batch(i, payloads, 1, err);
    if (n != 1) { /* nothing, or several values: then what else is wrong hardly matters */
        struct error found = *err;

        fail(err, PLSM_ERROR_USAGE, "invalid json");
        snprintf(err->cause, sizeof err->cause, "expected one JSON object");
        if (n == 0 && found.kind != PLSM_ERROR_NONE)
            *err = found;
    }
    return refuse_text(text, err);
}
