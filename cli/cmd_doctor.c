#include "cli.h"
#include "render.h"
#include "target.h"

#include "pool/store.h"
#include "pool/verify.h"

#include <errno.h>
#include <inttypes.h>
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
    struct buf json, text;
    size_t n, n_corrupt;
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

static void add_json(const char *reference, const char *path, const struct verify_report *v,
                     struct buf *out)
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
    if (v->n_issues > 0)
        buf_add_str(out,
                    "\"Save what can be read with `plasmite follow POOL --no-follow`, then delete "
                    "the pool and recreate it.\"");
    buf_printf(out, "],\"snapshot_path\":null,\"status\":\"%s\"}",
               v->n_issues > 0 ? "corrupt" : "ok");
}

static void add_plain(const char *label, const struct verify_report *v, struct buf *out)
{
    buf_printf(out, "%s: %s", v->n_issues > 0 ? "CORRUPT" : "OK", label);
    if (v->n_issues > 0 && v->last_good > 0)
        buf_printf(out, " last_good_seq=%" PRIu64, v->last_good);
    if (v->n_issues > 0)
        buf_printf(out, " issue=%s", v->issues[0].message);
    buf_add_char(out, '\n');
}

static void add_pretty(const char *label, const struct verify_report *v, struct buf *out)
{
    buf_printf(out, "%s: %s\n  messages:  ", label, v->n_issues > 0 ? "corrupt" : "healthy");
    if (v->messages == 0)
        buf_add_str(out, "empty\n");
    else if (v->n_issues > 0)
        buf_printf(out, "%" PRIu64 " good, up to seq %" PRIu64 "\n", v->messages, v->last_good);
    else
        buf_printf(out, "%" PRIu64 " (seq %" PRIu64 "..%" PRIu64 ")\n", v->messages,
                   v->last_good + 1 - v->messages, v->last_good);
    buf_printf(out, "  checked:   header, index, ring — %zu issue%s\n", v->n_issues,
               v->n_issues == 1 ? "" : "s");
    for (size_t i = 0; i < n_shown(v); i++)
        buf_printf(out, "  detail:    %s\n", v->issues[i].message);
}

static void add_row(const char *label, const struct verify_report *v, struct buf *out)
{
    buf_printf(out, "  %s%-24s   %" PRIu64 " messages   %zu issues%s\n",
               v->n_issues > 0 ? "✗ " : "", label, v->messages, v->n_issues,
               v->n_issues > 0 ? "  (see plasmite doctor NAME)" : "");
}

/* label: what people call it; reference: what the report calls it. */
static int check_one(struct cli *cli, const char *reference, const char *label, const char *path,
                     bool is_row, struct report *r)
{
    struct verify_report v = {0};

    if (verify_pool(path, &v, &cli->error) < 0)
        return -1;
    if (r->n++ > 0)
        buf_add_char(&r->json, ',');
    r->n_corrupt += v.n_issues > 0;
    add_json(reference, path, &v, &r->json);
    if (!cli->stdout_tty)
        add_plain(reference, &v, &r->text);
    else if (is_row)
        add_row(label, &v, &r->text);
    else
        add_pretty(label, &v, &r->text);
    return 0;
}

static int check_pool(struct cli *cli, const char *reference, struct report *r)
{
    auto_buf struct buf path = BUF_INIT;

    if (target_path(cli, reference, &path) < 0)
        return -1;
    if (check_one(cli, reference, reference, path.p, false, r) == 0)
        return 0;
    if (cli->error.kind == PLSM_ERROR_NOT_FOUND)
        target_hint_missing(cli, reference, false);
    return -1;
}

static int check_all(struct cli *cli, struct report *r)
{
    const char *dir = cli_dir(cli);
    struct store_list list;
    int rc = 0;

    if (dir == NULL)
        return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    if (access(dir, F_OK) < 0) {
        fail_os(&cli->error, PLSM_ERROR_NOT_FOUND, errno, "failed to read pool directory");
        return fail_path(&cli->error, dir);
    }
    if (store_list(dir, &list, &cli->error) < 0)
        return -1;
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        auto_buf struct buf path = BUF_INIT;

        buf_printf(&path, "%s/%s" POOL_SUFFIX, dir, list.names[i]);
        rc = check_one(cli, buf_str(&path), list.names[i], path.p, true, r);
    }
    store_list_done(&list);
    return rc;
}

static int print(struct cli *cli, bool all, const struct report *r)
{
    auto_buf struct buf out = BUF_INIT;

    if (cli_form(cli) != FORM_PRETTY) {
        buf_add_str(&out, "{\"reports\":[");
        buf_add_bytes(&out, buf_bytes(&r->json));
        buf_add_str(&out, "]}");
        return cli_report(cli, buf_bytes(&out));
    }
    if (all && r->n == 0)
        buf_add_str(&out, "There are no pools in this directory.\n");
    else if (all && cli->stdout_tty && r->n_corrupt == 0)
        buf_printf(&out, "All %zu pools healthy.\n\n", r->n);
    else if (all && cli->stdout_tty)
        buf_printf(&out, "%zu of %zu pools unhealthy.\n\n", r->n_corrupt, r->n);
    buf_add_bytes(&out, buf_bytes(&r->text));
    return cli_print(cli, &out);
}

static int run(const void *values, void *program)
{
    const struct doctor_options *o = values;
    struct cli *cli = program;
    struct report r = {0};
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
    if (code == 0 && r.n_corrupt > 0)
        code = EXIT_CORRUPT;
    buf_done(&r.json);
    buf_done(&r.text);
    return code;
}

const struct command_spec cmd_doctor = {
    .name = "doctor",
    .summary = "Diagnose pool health",
    .usage = "[OPTIONS] <POOL|--all>",
    .options = options,
    .values_size = sizeof(struct doctor_options),
    .run = run,
    .details =
        "Checks every message and changes nothing. Exits nonzero when corruption is found (7).\n",
};
