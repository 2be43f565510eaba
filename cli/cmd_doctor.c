#include "cli.h"
#include "render.h"
#include "target.h"

#include "pool/error_text.h"
#include "pool/store.h"
#include "pool/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct doctor_options {
    const char *pool;
    bool all;
};

#define OPTIONS struct doctor_options
static const struct option_spec options[] = {
    ARG_OPTIONAL("POOL", pool, "name or path of the pool"),
    OPT(0, "all", all, NULL, "every pool of the pool directory"),
    OPT_END,
};

struct report {
    struct buf json, text; /* text: in a pipe a line for each, on a terminal that of one pool */
    struct table rows;     /* on a terminal, of many pools */
    size_t n, n_corrupt;
    struct error first; /* of --all: the first pool that could not be looked at */
};

static size_t n_shown(const struct verify_report *v)
{
    return v->n_issues < VERIFY_ISSUES_MAX ? v->n_issues : VERIFY_ISSUES_MAX;
}

static void add_issue(const struct verify_issue *issue, struct buf *out)
{
    buf_printf(out, "{\"code\":\"%s\",\"message\":", issue->code);
    buf_add_json_string(out, bytes_of(issue->message));
    buf_add_str(out, ",\"offset\":");
    if (issue->has_offset)
        buf_add_u64(out, issue->offset);
    else
        buf_add_str(out, "null");
    buf_add_str(out, ",\"seq\":");
    if (issue->has_seq)
        buf_add_u64(out, issue->seq);
    else
        buf_add_str(out, "null");
    buf_add_char(out, '}');
}

static void add_command(struct cli *cli, const char *words, const char *reference, struct buf *out)
{
    buf_add_char(out, '`');
    cli_add_command(cli, words, reference, out);
    buf_add_char(out, '`');
}

/* A command for each stretch of good messages. */
static void add_rescue(struct cli *cli, const char *reference, const struct verify_report *v,
                       struct buf *out)
{
    size_t n = v->n_stretches < VERIFY_STRETCHES_MAX ? v->n_stretches : VERIFY_STRETCHES_MAX;

    buf_add_str(out, "Save what can be read with ");
    for (size_t i = 0; i < n; i++) {
        char words[64];

        snprintf(words, sizeof words, "follow --no-follow --from %" PRIu64, v->stretches[i].first);
        if (i > 0)
            buf_add_str(out, i + 1 < n ? ", " : " and ");
        add_command(cli, words, reference, out);
    }
    if (v->n_stretches > n)
        buf_printf(out, " (and %zu more stretches between damage)", v->n_stretches - n);
    buf_add_str(out,
                "; a reader stops where it meets damage. Then delete the pool and recreate it.");
}

/* Good messages that are given up when the pool is opened for writing. */
static uint64_t n_given_up(const struct verify_report *v)
{
    return v->is_mended && v->messages > v->n_mended ? v->messages - v->n_mended : 0;
}

/* The first good message behind those that are kept; 0: not known. */
static uint64_t first_given_up(const struct verify_report *v)
{
    for (size_t i = 0; i < v->n_stretches && i < VERIFY_STRETCHES_MAX; i++)
        if (v->stretches[i].last > v->mended_last)
            return v->stretches[i].first > v->mended_last ? v->stretches[i].first
                                                          : v->mended_last + 1;
    return 0;
}

/* What would be lost, and how to have it first. */
static void add_cost(struct cli *cli, const char *reference, const struct verify_report *v,
                     struct buf *out)
{
    uint64_t n = n_given_up(v), first = first_given_up(v);
    char words[64];

    buf_printf(out,
               "Opening the pool gives up %" PRIu64 " message%s that can still be read behind the "
               "damage. To save %s first, take the permission to write from the file (chmod a-w) "
               "and read it as a user other than root",
               n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
    if (first > 0) {
        snprintf(words, sizeof words, "follow --no-follow --from %" PRIu64, first);
        buf_add_str(out, ": ");
        add_command(cli, words, reference, out);
    }
    buf_add_str(out, ". ");
}

static void add_mending(struct cli *cli, const char *reference, const struct verify_report *v,
                        struct buf *out)
{
    if (n_given_up(v) > 0)
        add_cost(cli, reference, v, out);
    buf_add_str(out, "Opening the pool mends what can be mended: ");
    add_command(cli, "follow --no-follow", reference, out);
    buf_add_str(out, " does, and prints what is left, up to any further damage. Then look "
                     "again; if it cannot be opened, recreate it.");
}

/* What to do about it. */
static void add_remedy(struct cli *cli, const char *reference, const struct verify_report *v,
                       struct buf *out)
{
    if (strcmp(v->issues[0].code, "format") == 0) {
        buf_add_str(out, "Use the program that made the pool to export it into `plasmite feed`: ");
        add_command(cli, "pool info", reference, out);
        buf_add_str(out, " says how.");
    } else if (!v->is_pool) {
        buf_add_str(out, "This is no pool, or the beginning of its file is damaged: nothing in it "
                         "can be read. If it was a pool, remove the file and recreate it.");
    } else if (v->is_mended) {
        add_mending(cli, reference, v, out);
    } else if (v->n_stretches == 0) {
        buf_add_str(out, "No message can be read any more: delete the pool and recreate it.");
    } else {
        add_rescue(cli, reference, v, out);
    }
}

/* The same as a list of JSON strings. */
static void add_remedies(struct cli *cli, const char *reference, const struct verify_report *v,
                         struct buf *out)
{
    auto_buf struct buf text = BUF_INIT;

    if (v->n_issues == 0)
        return;
    add_remedy(cli, reference, v, &text);
    buf_add_json_string(out, buf_bytes(&text));
}

static void add_json(struct cli *cli, const char *reference, const char *path,
                     const struct verify_report *v, struct buf *out)
{
    buf_printf(out, "{\"issue_count\":%zu,\"issues\":[", v->n_issues);
    for (size_t i = 0; i < n_shown(v); i++) {
        if (i > 0)
            buf_add_char(out, ',');
        add_issue(&v->issues[i], out);
    }
    buf_add_str(out, "],\"last_good_seq\":");
    if (v->last_good > 0)
        buf_add_u64(out, v->last_good);
    else
        buf_add_str(out, "null");
    buf_add_str(out, ",\"path\":");
    buf_add_json_string(out, bytes_of(path));
    buf_add_str(out, ",\"pool_ref\":");
    buf_add_json_string(out, bytes_of(reference));
    buf_add_str(out, ",\"remediation_hints\":[");
    add_remedies(cli, reference, v, out);
    buf_printf(out, "],\"snapshot_path\":null,\"status\":\"%s\"}",
               v->n_issues > 0 ? "corrupt" : "ok");
}

static void add_plain(const char *label, const struct verify_report *v, struct buf *out)
{
    buf_add_str(out, v->n_issues > 0 ? "CORRUPT: " : "OK: ");
    error_add_plain(label, out);
    if (v->n_issues > 0 && v->last_good > 0)
        buf_printf(out, " last_good_seq=%" PRIu64, v->last_good);
    if (v->n_issues > 0)
        buf_printf(out, " issue=%s", v->issues[0].message);
    buf_add_char(out, '\n');
}

/* The reference, or of a path the name of the file without its suffix. */
static void add_label(const char *reference, struct buf *out)
{
    const char *slash = strrchr(reference, '/'), *name = slash != NULL ? slash + 1 : reference;
    size_t n = strlen(name), n_suffix = strlen(POOL_SUFFIX);
    auto_buf struct buf label = BUF_INIT;

    if (slash != NULL && n > n_suffix && strcmp(name + n - n_suffix, POOL_SUFFIX) == 0)
        n -= n_suffix;
    buf_add(&label, name, n);
    if (buf_str(&label) != NULL)
        error_add_plain(label.p, out);
}

/* "5 are left when it is opened (seq 2..6), 3 are given up" */
static void add_mended(const struct verify_report *v, struct buf *out)
{
    uint64_t n = n_given_up(v);

    if (v->n_mended == 0)
        buf_add_str(out, "none is left when it is opened");
    else
        buf_printf(out, "%" PRIu64 " %s left when it is opened (seq %" PRIu64 "..%" PRIu64 ")",
                   v->n_mended, v->n_mended == 1 ? "is" : "are", v->mended_first, v->mended_last);
    if (n > 0)
        buf_printf(out, ", %" PRIu64 " %s given up", n, n == 1 ? "is" : "are");
    buf_add_char(out, '\n');
}

/* "5 can be read (seq 1..2, 4..6)" */
static void add_readable(const struct verify_report *v, struct buf *out)
{
    size_t n = v->n_stretches < VERIFY_STRETCHES_MAX ? v->n_stretches : VERIFY_STRETCHES_MAX;

    if (v->is_mended) {
        add_mended(v, out);
        return;
    }
    if (n == 0) {
        buf_add_str(out, v->n_issues > 0 ? "none can be read\n" : "empty\n");
        return;
    }
    buf_printf(out, "%" PRIu64 "%s (seq ", v->messages, v->n_issues > 0 ? " can be read" : "");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%" PRIu64 "..%" PRIu64, i > 0 ? ", " : "", v->stretches[i].first,
                   v->stretches[i].last);
    buf_add_str(out, v->n_stretches > n ? ", ...)\n" : ")\n");
}

static void add_pretty(struct cli *cli, const char *reference, const struct verify_report *v,
                       struct buf *out)
{
    add_label(reference, out);
    buf_printf(out, ": %s\n  messages:  ", v->n_issues > 0 ? "corrupt" : "healthy");
    add_readable(v, out);
    buf_printf(out, "  checked:   header, index, ring — %zu issue%s\n", v->n_issues,
               v->n_issues == 1 ? "" : "s");
    for (size_t i = 0; i < n_shown(v); i++)
        buf_printf(out, "  detail:    %s\n", v->issues[i].message);
    if (v->n_issues > n_shown(v))
        buf_printf(out, "  detail:    and %zu more\n", v->n_issues - n_shown(v));
    if (v->n_issues > 0) {
        buf_add_str(out, "  hint:      ");
        add_remedy(cli, reference, v, out);
        buf_add_char(out, '\n');
    }
}

/* "✗ chat   12 messages   1 issue   plasmite doctor chat" */
static void add_row(struct cli *cli, const char *name, const struct verify_report *v,
                    struct table *rows)
{
    auto_buf struct buf label = BUF_INIT, messages = BUF_INIT, issues = BUF_INIT, more = BUF_INIT;

    buf_printf(&label, "%s %s", v->n_issues > 0 ? "✗" : "✓", name);
    buf_printf(&messages, "%" PRIu64 " message%s", v->messages, v->messages == 1 ? "" : "s");
    buf_printf(&issues, "%zu issue%s", v->n_issues, v->n_issues == 1 ? "" : "s");
    if (v->n_issues > 0)
        cli_add_command(cli, "doctor", name, &more);
    table_add(rows, buf_str(&label));
    table_add(rows, buf_str(&messages));
    table_add(rows, buf_str(&issues));
    table_add(rows, buf_str(&more));
}

/* name: of --all the name of the pool; NULL when the only one is checked. */
static int check_one(struct cli *cli, const char *reference, const char *name, const char *path,
                     struct report *r)
{
    struct verify_report v = {0};

    if (verify_pool(path, &v, &cli->error) < 0)
        return -1;
    if (r->n++ > 0)
        buf_add_char(&r->json, ',');
    r->n_corrupt += v.n_issues > 0;
    add_json(cli, reference, path, &v, &r->json);
    if (!cli->stdout_tty)
        add_plain(reference, &v, &r->text);
    else if (name != NULL)
        add_row(cli, name, &v, &r->rows);
    else
        add_pretty(cli, reference, &v, &r->text);
    return 0;
}

static int check_pool(struct cli *cli, const char *reference, struct report *r)
{
    auto_buf struct buf path = BUF_INIT;

    if (target_path(cli, reference, &path) < 0)
        return -1;
    if (check_one(cli, reference, NULL, path.p, r) == 0)
        return 0;
    if (cli->error.kind == PLSM_ERROR_NOT_FOUND)
        target_hint_missing(cli, reference, false);
    return -1;
}

/* A pool that cannot be looked at does not hide the others: it is the error at the end. */
static void check_listed(struct cli *cli, const char *dir, const char *name, struct report *r)
{
    auto_buf struct buf path = BUF_INIT;

    buf_printf(&path, "%s/%s" POOL_SUFFIX, dir, name);
    if (buf_str(&path) == NULL)
        fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    else if (check_one(cli, path.p, name, path.p, r) == 0)
        return;
    if (r->first.kind == PLSM_ERROR_NONE)
        r->first = cli->error;
}

static int check_all(struct cli *cli, struct report *r)
{
    const char *dir = cli_dir(cli);
    struct store_list list;

    if (dir == NULL)
        return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    if (access(dir, F_OK) < 0) {
        fail_os(&cli->error, PLSM_ERROR_NOT_FOUND, errno, "failed to read pool directory");
        fail_hint(&cli->error, "It is made with the first pool; --dir names another directory.");
        return fail_path(&cli->error, dir);
    }
    if (store_list(dir, &list, &cli->error) < 0)
        return -1;
    for (size_t i = 0; i < list.n; i++)
        check_listed(cli, dir, list.pools[i].name, r);
    store_list_done(&list);
    return 0;
}

static int print_json(struct cli *cli, const struct report *r)
{
    auto_buf struct buf out = BUF_INIT;

    buf_add_str(&out, "{\"reports\":[");
    buf_add_bytes(&out, buf_bytes(&r->json));
    buf_add_str(&out, "]}");
    return buf_failed(&out) || buf_failed(&r->json)
               ? fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory")
               : cli_report(cli, buf_bytes(&out));
}

static int print_text(struct cli *cli, bool all, const struct report *r)
{
    auto_buf struct buf out = BUF_INIT;
    const char *s = r->n == 1 ? "" : "s";

    if (all && r->n == 0 && r->first.kind == PLSM_ERROR_NONE)
        buf_add_str(&out, "There are no pools in this directory.\n");
    else if (all && cli->stdout_tty && r->n_corrupt > 0)
        buf_printf(&out, "%zu of %zu pool%s unhealthy.\n\n", r->n_corrupt, r->n, s);
    else if (all && cli->stdout_tty && r->n > 0)
        buf_printf(&out, "%s %zu pool%s healthy.\n\n",
                   r->first.kind == PLSM_ERROR_NONE ? "All" : "The other", r->n, s);
    buf_add_bytes(&out, buf_bytes(&r->text));
    table_render(&r->rows, &out);
    return cli_print(cli, &out);
}

static int print(struct cli *cli, bool all, const struct report *r)
{
    int code = cli_form(cli) == FORM_PRETTY ? print_text(cli, all, r) : print_json(cli, r);

    if (code == 0 && r->first.kind != PLSM_ERROR_NONE) {
        cli->error = r->first;
        return -1;
    }
    return code == 0 && r->n_corrupt > 0 ? EXIT_CORRUPT : code;
}

static int run(const void *values, void *program)
{
    const struct doctor_options *o = values;
    struct cli *cli = program;
    struct report r = {
        .rows = {.columns = 4, .indent = 2, .gap = 3, .ragged = true}
    };
    int code;

    if (o->all && o->pool != NULL) {
        fail(&cli->error, PLSM_ERROR_USAGE, "--all cannot be combined with a pool name");
        return fail_hint(&cli->error, "Use --all by itself, or name one pool.");
    }
    if (!o->all && o->pool == NULL) {
        fail(&cli->error, PLSM_ERROR_USAGE, "doctor requires a pool name or --all");
        return fail_hint(&cli->error, "Name one pool, or use --all by itself.");
    }
    code = o->all ? check_all(cli, &r) : check_pool(cli, o->pool, &r);
    if (code == 0)
        code = print(cli, o->all, &r);
    buf_done(&r.json);
    buf_done(&r.text);
    table_done(&r.rows);
    return code;
}

const struct command_spec cmd_doctor = {
    .name = "doctor",
    .summary = "Diagnose pool health",
    .usage = "[OPTIONS] <POOL|--all>",
    .options = options,
    .values_size = sizeof(struct doctor_options),
    .run = run,
    .details = "Checks every message and changes nothing; programs may use the pool meanwhile.\n"
               "Exits nonzero when corruption is found (7).\n"
               "\n"
               "EXAMPLES\n"
               "  plasmite doctor chat\n"
               "  plasmite doctor --all\n",
};
