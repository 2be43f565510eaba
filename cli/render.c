#include "render.h"

#include "base/cleanup.h"
#include "base/units.h"

#include <inttypes.h>
#include <limits.h>

#define COLOUR_KEY "36"
#define COLOUR_STRING "32"
#define COLOUR_NUMBER "33"
#define COLOUR_BOOL "35"
#define COLOUR_PLAIN "39" /* null and punctuation */
#define COLOUR_ERROR "31"
#define COLOUR_LABEL "33"

static void add_token(struct buf *out, bool colour, const char *code, const char *p, size_t n)
{
    if (colour)
        buf_printf(out, "\033[%sm", code);
    buf_add(out, p, n);
    if (colour)
        buf_add_str(out, "\033[0m");
}

static void add_line_break(struct buf *out, unsigned depth)
{
    buf_add_char(out, '\n');
    for (unsigned i = 0; i < 2 * depth; i++)
        buf_add_char(out, ' ');
}

/* Length of the string, number or literal at the front. */
static size_t scalar_length(struct bytes json)
{
    size_t n = 1;

    if (json.p[0] == '"') {
        while (n < json.n && json.p[n] != '"')
            n += json.p[n] == '\\' ? 2 : 1;
        return n < json.n ? n + 1 : json.n;
    }
    while (n < json.n && memchr(",:]}", json.p[n], 4) == NULL)
        n++;
    return n;
}

static const char *scalar_colour(struct bytes json, size_t n)
{
    switch (json.p[0]) {
    case '"':
        return n < json.n && json.p[n] == ':' ? COLOUR_KEY : COLOUR_STRING;
    case 't':
    case 'f':
        return COLOUR_BOOL;
    case 'n':
        return COLOUR_PLAIN;
    default:
        return COLOUR_NUMBER;
    }
}

void render_json(struct bytes json, bool colour, struct buf *out)
{
    unsigned depth = 0;

    while (json.n > 0) {
        char c = json.p[0];
        size_t n = 1;

        if ((c == '{' || c == '[') && json.n > 1 && (json.p[1] == '}' || json.p[1] == ']')) {
            n = 2;
            add_token(out, colour, COLOUR_PLAIN, json.p, n);
        } else if (c == '{' || c == '[') {
            add_token(out, colour, COLOUR_PLAIN, json.p, n);
            add_line_break(out, ++depth);
        } else if (c == '}' || c == ']') {
            add_line_break(out, depth > 0 ? --depth : 0);
            add_token(out, colour, COLOUR_PLAIN, json.p, n);
        } else if (c == ',' || c == ':') {
            add_token(out, colour, COLOUR_PLAIN, json.p, n);
            if (c == ':')
                buf_add_char(out, ' ');
            else
                add_line_break(out, depth);
        } else {
            n = scalar_length(json);
            add_token(out, colour, scalar_colour(json, n), json.p, n);
        }
        json.p += n;
        json.n -= n;
    }
    buf_add_char(out, '\n');
}

static void add_member(struct buf *out, const char *key, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_printf(out, "\"%s\":", key);
    buf_add_json_string(out, bytes_of(text));
    buf_add_char(out, ',');
}

static const char *message_of(const struct error *err)
{
    return err->message[0] != '\0' ? err->message : error_kind_message(err->kind);
}

void render_error_json(const struct error *err, struct buf *out)
{
    buf_add_char(out, '{');
    if (err->cause[0] != '\0') {
        buf_add_str(out, "\"causes\":[");
        buf_add_json_string(out, bytes_of(err->cause));
        buf_add_str(out, "],");
    }
    add_member(out, "hint", err->hint);
    add_member(out, "kind", error_kind_name(err->kind));
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

static void add_label(struct buf *out, bool colour, const char *code, const char *label)
{
    add_token(out, colour, code, label, strlen(label));
    buf_add_char(out, ' ');
}

/* The rest of `path` below the directory `dir`, NULL when it is not there. */
static const char *below(const char *dir, const char *path)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    if (n == 0 || strncmp(path, dir, n) != 0 || path[n] != '/')
        return NULL;
    path += n;
    while (*path == '/')
        path++;
    return path;
}

static void add_path(struct buf *out, const char *path)
{
    char cwd[PATH_MAX];
    const char *rest = NULL;

    if (path[0] != '/') {
        bool has_dot = strncmp(path, "./", 2) == 0 || strncmp(path, "../", 3) == 0;

        buf_printf(out, "%s%s", has_dot ? "" : "./", path);
        return;
    }
    if (getcwd(cwd, sizeof cwd) != NULL)
        rest = below(cwd, path);
    if (rest != NULL)
        buf_printf(out, "./%s", rest);
    else
        buf_add_str(out, path);
}

void render_error_text(const struct error *err, bool colour, struct buf *out)
{
    add_label(out, colour, COLOUR_ERROR, "error:");
    buf_printf(out, "%s\n", message_of(err));
    if (err->hint[0] != '\0') {
        add_label(out, colour, COLOUR_LABEL, "hint:");
        buf_printf(out, "%s\n", err->hint);
    }
    if (err->path[0] != '\0') {
        add_label(out, colour, COLOUR_LABEL, "path:");
        add_path(out, err->path);
        buf_add_char(out, '\n');
    }
    if (err->has_seq) {
        add_label(out, colour, COLOUR_LABEL, "seq:");
        buf_printf(out, "%" PRIu64 "\n", err->seq);
    }
    if (err->has_offset) {
        add_label(out, colour, COLOUR_LABEL, "offset:");
        buf_printf(out, "%" PRIu64 "\n", err->offset);
    }
    if (err->cause[0] != '\0') {
        add_label(out, colour, COLOUR_LABEL, "caused by:");
        buf_printf(out, "%s\n", err->cause);
    }
}

static const char *default_hint(enum plsm_error_kind kind)
{
    switch (kind) {
    case PLSM_ERROR_INTERNAL:
        return "This should not happen. Please report it with the command you used; `plasmite "
               "doctor POOL` "
               "checks the pool.";
    case PLSM_ERROR_BUSY:
        return "Somebody else is writing at the moment: try again, after longer and longer pauses.";
    case PLSM_ERROR_PERMISSION:
        return "Look at the permissions of the file and its directory, or choose a writable "
               "directory "
               "with --dir.";
    case PLSM_ERROR_CORRUPT:
        return "The file seems damaged: look at it with `plasmite doctor POOL`, or delete the pool "
               "and "
               "recreate it.";
    case PLSM_ERROR_IO:
        return "Look at the path, the file system and the free space.";
    case PLSM_ERROR_NONE:
    case PLSM_ERROR_USAGE:
    case PLSM_ERROR_NOT_FOUND:
    case PLSM_ERROR_ALREADY_EXISTS:
    case PLSM_ERROR_RETENTION_GAP:
        return NULL;
    }
    return NULL;
}

void render_default_hint(struct error *err)
{
    const char *hint = default_hint(err->kind);

    if (err->hint[0] == '\0' && hint != NULL)
        fail_hint(err, "%s", hint);
}

void render_seconds(uint64_t time_ns, struct buf *out)
{
    char text[TIME_TEXT_LEN];

    format_time(time_ns, text);
    buf_printf(out, "%.19sZ", text);
}

const char *render_short_path(const char *dir, const char *path)
{
    const char *rest = below(dir, path), *slash = strrchr(path, '/');

    if (rest != NULL)
        return rest;
    return slash != NULL ? slash + 1 : path;
}

void render_dir(const char *dir, struct buf *out)
{
    char cwd[PATH_MAX];
    const char *home = getenv("HOME"), *rest = NULL;
    size_t n;

    if (getcwd(cwd, sizeof cwd) != NULL && (rest = below(cwd, dir)) != NULL)
        buf_add_str(out, "./");
    else if (home != NULL && (rest = below(home, dir)) != NULL)
        buf_add_str(out, "~/");
    else
        rest = dir;
    n = strlen(rest);
    buf_add(out, rest, n);
    if (n == 0 || rest[n - 1] != '/')
        buf_add_char(out, '/');
}

void table_add(struct table *table, const char *cell)
{
    for (; *cell != '\0'; cell++)
        if (*cell == '\n')
            buf_add_str(&table->cells, "\\n");
        else if (*cell == '\r')
            buf_add_str(&table->cells, "\\r");
        else
            buf_add_char(&table->cells, *cell);
    buf_add_char(&table->cells, '\0');
}

static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void table_render(const struct table *table, struct buf *out)
{
    const char *end = table->cells.p + table->cells.n;
    size_t widths[TABLE_COLUMNS_MAX] = {0}, column = 0;

    for (const char *cell = table->cells.p; cell < end; cell += strlen(cell) + 1) {
        if (characters(cell) > widths[column])
            widths[column] = characters(cell);
        column = (column + 1) % table->columns;
    }
    for (const char *cell = table->cells.p; cell < end; cell += strlen(cell) + 1) {
        buf_add_str(out, cell);
        for (size_t n = characters(cell); n < widths[column]; n++)
            buf_add_char(out, ' ');
        column = (column + 1) % table->columns;
        buf_add_str(out, column == 0 ? "\n" : "  ");
    }
}

void table_done(struct table *table)
{
    buf_done(&table->cells);
}
