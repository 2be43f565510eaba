#include "ingest.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define BAD_JSON "invalid json input"

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
        *receipt = (struct receipt){0};
        if (pool_append(i->pool, payloads, n, i->flags, receipt, err) == 0)
            return 0;
        /* With a number they are stored, and only not known to be on disk: once more would be twice. */
        if (attempt > i->retries || receipt->first_seq > 0 || !may_pass(err))
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

/* What is wrong, in the words scripts know: of a record in a stream, and of a text given as one. */
struct words {
    const char *bad_json, *too_large;
};

static const struct words record_words = {BAD_JSON, "record exceeds size limit"};
static const struct words text_words = {"invalid json", "payload exceeds ring capacity"};

static void hint_too_large(const struct ingest *i, struct error *err)
{
    fail_hint(err,
              "A message of this pool may have %" PRIu64 " bytes of tags and data; a larger pool "
              "takes larger ones.",
              pool_message_max(i->pool));
}

/* And what to do about it. */
static void explain(const struct ingest *i, struct bytes text, const struct words *words,
                    struct error *err)
{
    if (err->detail == ERROR_DETAIL_TOO_LARGE) {
        fail_cause(err, err->message);
        snprintf(err->message, sizeof err->message, "%s", words->too_large);
        hint_too_large(i, err);
    } else if (strcmp(err->message, "invalid json") == 0) {
        snprintf(err->message, sizeof err->message, "%s", words->bad_json);
        if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) {
            fail_cause(err, "a byte order mark (BOM) stands before the JSON");
            fail_hint(err, "Take it away, as with: sed '1s/^\\xef\\xbb\\xbf//'.");
        }
    } else if (text.n > 0 && text.p[0] == '[' && strcmp(err->message, "data must be object") == 0) {
        fail_hint(err, "The elements of an array are fed one by one with jq: jq -c '.[]' FILE | "
                       "plasmite feed POOL.");
    }
}

static void notice(const struct ingest *i, const char *kind, const char *message, const char *text,
                   struct bytes details)
{
    if (i->notice != NULL)
        i->notice(i->user);
    cli_notice(i->cli, "feed", kind, i->pool_ref, message, text, details);
}

static void add_details(const struct ingest *i, const struct input_bad *bad,
                        const struct error *err, struct buf *out)
{
    const char *kind = error_kind_name(err->kind);

    if (err->detail == ERROR_DETAIL_TOO_LARGE)
        kind = "Oversize";
    else if (strcmp(err->message, BAD_JSON) == 0)
        kind = "Parse";
    buf_printf(out, "{\"error_kind\":\"%s\",\"index\":%" PRIu64, kind, bad->index);
    if (bad->line > 0)
        buf_printf(out, ",\"line\":%" PRIu64, bad->line);
    buf_printf(out, ",\"mode\":\"%s\",\"pool_path\":", bad->mode);
    buf_add_json_string(out, bytes_of(pool_path(i->pool)));
    buf_add_str(out, ",\"snippet\":");
    buf_add_json_string(out, bad->snippet);
    buf_add_char(out, '}');
}

static void notice_skipped(const struct ingest *i, const struct input_bad *bad,
                           const struct error *err)
{
    auto_buf struct buf details = BUF_INIT, message = BUF_INIT, text = BUF_INIT;

    add_details(i, bad, err, &details);
    if (err->detail == ERROR_DETAIL_TOO_LARGE)
        buf_add_str(&message, "Skipped oversized record.");
    else if (strcmp(err->message, BAD_JSON) == 0)
        buf_add_str(&message, "Skipped invalid JSON.");
    else
        buf_printf(&message, "Skipped record: %s.", err->message);
    buf_printf(&text, "%s (record %" PRIu64, buf_str(&message), bad->index);
    if (bad->line > 0)
        buf_printf(&text, ", line %" PRIu64, bad->line);
    buf_add_char(&text, ')');
    notice(i, "ingest_skip", buf_str(&message), buf_str(&text), buf_bytes(&details));
}

static void hint_stopped(const struct ingest *i, const struct input_bad *bad, struct error *err)
{
    auto_buf struct buf hint = BUF_INIT;

    buf_printf(&hint, "Record %" PRIu64, bad->index);
    if (bad->line > 0)
        buf_printf(&hint, ", which begins on line %" PRIu64 ",", bad->line);
    buf_add_str(&hint, bad->index > 1 ? " is the first bad one; those before it are stored."
                                      : " is bad; nothing is stored.");
    if (err->hint[0] != '\0')
        buf_printf(&hint, " %s", err->hint);
    else if (i->advice != NULL)
        buf_printf(&hint, " %s", i->advice);
    fail_hint(err, "%s", buf_str(&hint));
}

static int refuse_record(void *user, const struct input_bad *bad, struct error *err)
{
    const struct ingest *i = user;

    if (err->kind != PLSM_ERROR_USAGE) /* no memory: not the record's fault */
        return -1;
    explain(i, bad->snippet, &record_words, err);
    if (i->skip) {
        notice_skipped(i, bad, err);
        return 0;
    }
    hint_stopped(i, bad, err);
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
    notice(i, "ingest_summary", buf_str(&message), buf_str(&message), buf_bytes(&details));
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

    if (i->tags != NULL && tags_add_all(&tags, &tags_raw, i->tags->items, i->tags->n, err) < 0)
        return -1;
    return intake_new(buf_bytes(&tags), tags_raw, pool_message_max(i->pool),
                      i->as_data ? 0 : INTAKE_RECOGNISE, ret, err);
}

int ingest_run(struct ingest *i, int fd, struct input_counts *ret, struct error *err)
{
    const struct input_handler handler = {.batch = store_batch,
                                          .bad = refuse_record,
                                          .idle = before_waiting,
                                          .idle_ms = i->idle_ms > 0 ? i->idle_ms : -1,
                                          .user = i};
    auto_intake struct intake *in = NULL;

    *ret = (struct input_counts){0};
    if (make_intake(i, &in, err) < 0 ||
        input_read(fd, in, i->format, i->skip, &handler, ret, err) < 0)
        return -1;
    if (ret->bad > 0)
        notice_summary(i, ret);
    else if (ret->good == 0)
        return ingest_no_input(err);
    return 0;
}

static int refuse_text(const struct ingest *i, struct bytes text, struct error *err)
{
    if (err->kind != PLSM_ERROR_USAGE)
        return -1;
    explain(i, text, &text_words, err);
    if (err->detail == ERROR_DETAIL_BAD_JSON)
        fail_hint(err, "Supply a single JSON object, like '{\"hello\":\"world\"}'.");
    return -1;
}

int ingest_text(struct ingest *i, struct bytes text, struct error *err)
{
    auto_intake struct intake *in = NULL;
    const struct payload *payloads;
    size_t n, used;

    if (make_intake(i, &in, err) < 0)
        return -1;
    intake_frame(in, INTAKE_WHOLE | INTAKE_ONE | INTAKE_LATE);
    if (intake_push(in, text.p, text.n, &used, NULL, err) == INTAKE_FAILED ||
        intake_end(in, err) < 0)
        return refuse_text(i, text, err);
    payloads = intake_payloads(in, &n);
    if (n == 1)
        return store_batch(i, payloads, 1, err);
    fail(err, PLSM_ERROR_USAGE, "invalid json");
    fail_detail(err, ERROR_DETAIL_BAD_JSON);
    fail_cause(err, "there is no text in it");
    return refuse_text(i, text, err);
}
