#include "pool/error_text.h"

#include "base/path.h"

#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

#define COLOUR_ERROR "31"
#define COLOUR_LABEL "33"

static const char *message_of(const struct error *err)
{
    return err->message[0] != '\0' ? err->message : error_kind_message(err->kind);
}

static void add_member(const char *key, const char *text, struct buf *out)
{
    if (text[0] == '\0')
        return;
    buf_printf(out, "\"%s\":", key);
    buf_add_json_string(out, bytes_of(text));
    buf_add_char(out, ',');
}

void error_add_json(const struct error *err, struct buf *out)
{
    buf_add_char(out, '{');
    if (err->cause[0] != '\0') {
        buf_add_str(out, "\"causes\":[");
        buf_add_json_string(out, bytes_of(err->cause));
        buf_add_str(out, "],");
    }
    add_member("hint", err->hint, out);
    add_member("kind", error_kind_name(err->kind), out);
    buf_add_str(out, "\"message\":");
    buf_add_json_string(out, bytes_of(message_of(err)));
    if (err->has_offset)
        buf_printf(out, ",\"offset\":%" PRIu64, err->offset);
    if (err->path[0] != '\0') {
        buf_add_str(out, ",\"path\":");
        buf_add_json_string(out, bytes_of(err->path));
    }
    if (err->has_seq)
        buf_printf(out, ",\"seq\":%" PRIu64, err->seq);
    buf_add_char(out, '}');
}

void error_add_envelope(const struct error *err, struct buf *out)
{
    buf_add_str(out, "{\"error\":");
    error_add_json(err, out);
    buf_add_str(out, "}\n");
}

void error_add_plain(const char *text, struct buf *out)
{
    buf_add_plain(out, bytes_of(text), PLAIN_TEXT);
}

static void add_label(const char *label, const char *code, bool colour, struct buf *out)
{
    if (colour)
        buf_printf(out, "\033[%sm%s:\033[0m ", code, label);
    else
        buf_printf(out, "%s: ", label);
}

static void add_line(const char *label, const char *text, bool colour, struct buf *out)
{
    if (text[0] == '\0')
        return;
    add_label(label, COLOUR_LABEL, colour, out);
    error_add_plain(text, out);
    buf_add_char(out, '\n');
}

static void add_number(const char *label, uint64_t n, bool colour, struct buf *out)
{
    add_label(label, COLOUR_LABEL, colour, out);
    buf_printf(out, "%" PRIu64 "\n", n);
}

/* A path below the working directory is shown as ./REL. */
static void add_path(const char *path, bool colour, struct buf *out)
{
    auto_buf struct buf shown = BUF_INIT;
    char cwd[PATH_MAX];
    const char *rest = NULL;

    if (path[0] == '/' && getcwd(cwd, sizeof cwd) != NULL)
        rest = path_below(cwd, path);
    else if (path[0] != '/' && strncmp(path, "./", 2) != 0 && strncmp(path, "../", 3) != 0)
        rest = path;
    if (path[0] == '\0')
        return;
    buf_printf(&shown, "%s%s", rest != NULL ? "./" : "", rest != NULL ? rest : path);
    add_line("path", buf_str(&shown) != NULL ? shown.p : path, colour, out);
}

void error_add_lines(const struct error *err, bool colour, struct buf *out)
{
    add_label("error", COLOUR_ERROR, colour, out);
    error_add_plain(message_of(err), out);
    buf_add_char(out, '\n');
    add_line("hint", err->hint, colour, out);
    add_path(err->path, colour, out);
    if (err->has_seq)
        add_number("seq", err->seq, colour, out);
    if (err->has_offset)
        add_number("offset", err->offset, colour, out);
    add_line("caused by", err->cause, colour, out);
}

void error_add_short(const struct error *err, struct buf *out)
{
    buf_printf(out, "%s%s%s", message_of(err), err->cause[0] != '\0' ? ": " : "", err->cause);
}

/* Of a pool file that something is wrong with; a path that was too long for *err is not whole. */
static void hint_doctor(struct error *err, const char *before, const char *after)
{
    auto_buf struct buf command = BUF_INIT, instead = BUF_INIT;

    buf_printf(&instead, "%s`plasmite doctor POOL`%s", before, after);
    buf_add_str(&command, "plasmite doctor ");
    if (strchr(err->path, '/') != NULL && strncmp(err->path, "...", 3) != 0)
        buf_add_shell_word(&command, err->path);
    else
        buf_add_str(&command, "POOL");
    if (buf_str(&instead) != NULL)
        fail_hint_command(err, before, buf_str(&command), after, instead.p);
}

void error_default_hint(struct error *err)
{
    if (err->hint[0] != '\0')
        return;
    switch (err->kind) {
    case PLSM_ERROR_INTERNAL:
        hint_doctor(err, "This should not happen. Please report it with the command you used; ",
                    " checks the pool.");
        return;
    case PLSM_ERROR_BUSY:
        fail_hint(err, "Somebody else is writing at the moment: try again, after longer and longer "
                       "pauses.");
        return;
    case PLSM_ERROR_PERMISSION:
        fail_hint(err, "Look at the permissions of the file and its directory, or choose a "
                       "writable directory with --dir.");
        return;
    case PLSM_ERROR_CORRUPT:
        hint_doctor(err, "The file seems damaged: look at it with ",
                    ", or delete the pool and recreate it.");
        return;
    case PLSM_ERROR_IO:
        fail_hint(err, "Look at the path, the file system and the free space.");
        return;
    case PLSM_ERROR_NONE:
    case PLSM_ERROR_USAGE:
    case PLSM_ERROR_NOT_FOUND:
    case PLSM_ERROR_ALREADY_EXISTS:
    case PLSM_ERROR_RETENTION_GAP:
        return;
    }
}
