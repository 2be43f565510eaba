#include "render.h"

#include "base/path.h"
#include "base/units.h"
#include "pool/error_text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define COLOUR_KEY "36"
#define COLOUR_STRING "32"
#define COLOUR_NUMBER "33"
#define COLOUR_BOOL "35"
#define COLOUR_PLAIN "39" /* null and punctuation */

static void add_token(struct buf *out, bool colour, const char *code, const char *p, size_t n)
{
    if (colour)
        buf_printf(out, "\033[%sm", code);
    buf_add_plain(out, (struct bytes){p, n}, PLAIN_JSON);
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

void render_seconds(uint64_t time_ns, struct buf *out)
{
    char text[TIME_TEXT_LEN];

    format_time(time_ns, text);
    buf_printf(out, "%.19sZ", text);
}

const char *render_short_path(const char *dir, const char *path)
{
    const char *rest = path_below(dir, path), *slash = strrchr(path, '/');

    if (rest != NULL)
        return rest;
    return slash != NULL ? slash + 1 : path;
}

void render_name_line(const char *label, const char *name, struct buf *out)
{
    buf_add_str(out, label);
    error_add_plain(name, out);
    buf_add_char(out, '\n');
}

/* Below the working directory, where relative paths that do not leave it are as well. */
static const char *below_cwd(const char *dir)
{
    char cwd[PATH_MAX];

    if (dir[0] == '/')
        return getcwd(cwd, sizeof cwd) != NULL ? path_below(cwd, dir) : NULL;
    if (strcmp(dir, "..") == 0 || strncmp(dir, "../", 3) == 0)
        return NULL;
    return strcmp(dir, ".") == 0 ? "" : strncmp(dir, "./", 2) == 0 ? dir + 2 : dir;
}

void render_dir(const char *dir, struct buf *out)
{
    const char *home = getenv("HOME"), *rest = below_cwd(dir), *before = "./";
    size_t n;

    if (rest == NULL && home != NULL) {
        rest = path_below(home, dir);
        before = "~/";
    }
    buf_add_str(out, rest != NULL ? before : "");
    rest = rest != NULL ? rest : dir;
    n = strlen(rest);
    error_add_plain(rest, out);
    if (n > 0 && rest[n - 1] != '/')
        buf_add_char(out, '/');
}

void table_add(struct table *table, const char *cell)
{
    buf_add_plain(&table->cells, bytes_of(cell), PLAIN_TEXT);
    buf_add_char(&table->cells, '\0');
}

static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void add_blanks(size_t n, struct buf *out)
{
    while (n-- > 0)
        buf_add_char(out, ' ');
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
        bool is_last = column == table->columns - 1;

        add_blanks(column == 0 ? table->indent : 0, out);
        buf_add_str(out, cell);
        add_blanks(widths[column] - characters(cell), out);
        while (is_last && table->ragged && out->n > 0 && out->p[out->n - 1] == ' ')
            out->n--;
        if (is_last)
            buf_add_char(out, '\n');
        else
            add_blanks(table->gap != 0 ? table->gap : 2, out);
        column = (column + 1) % table->columns;
    }
}

void table_done(struct table *table)
{
    buf_done(&table->cells);
}
