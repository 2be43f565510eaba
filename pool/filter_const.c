#include "filter_parse.h"

#include "pool/json.h"

/* The text of a string; false when jq must judge it: wrong escapes, halves of characters. */
bool parse_string(struct parse *p, size_t word, struct bytes *ret)
{
    struct bytes text = word_text(p->words, word);
    auto_buf struct buf plain = BUF_INIT;
    char *copy;

    for (size_t i = 1; i + 1 < text.n; i++) {
        if (text.p[i] != '\\')
            continue;
        i++;
        if (strchr("\"\\/bfnrtu", text.p[i]) == NULL)
            return false;
        if (text.p[i] != 'u')
            continue;
        if (i + 5 >= text.n || strspn(text.p + i + 1, "0123456789abcdefABCDEF") < 4 ||
            ((text.p[i + 1] | 0x20) == 'd' && text.p[i + 2] > '7'))
            return false;
    }
    if (json_string_decode(text, &plain) < 0 || (copy = parse_allocate(p, plain.n + 1)) == NULL)
        return false;
    if (plain.n > 0)
        memcpy(copy, plain.p, plain.n);
    *ret = (struct bytes){copy, plain.n};
    return true;
}

bool parse_number(struct parse *p, bool minus, struct val *ret)
{
    struct bytes text = word_text(p->words, p->at);
    char *copy = parse_allocate(p, text.n + 1);

    if (copy == NULL)
        return false;
    copy[0] = '-';
    memcpy(copy + 1, text.p, text.n);
    text = minus ? (struct bytes){copy, text.n + 1} : (struct bytes){copy + 1, text.n};
    p->at++;
    return val_of_number(text, ret);
}

bool parse_literal(struct parse *p, struct val *ret)
{
    if (take_name(p, "null"))
        *ret = val_null();
    else if (take_name(p, "true"))
        *ret = val_bool(true);
    else if (take_name(p, "false"))
        *ret = val_bool(false);
    else
        return false;
    return true;
}

static int add_constant(struct parse *p, struct buf *out);

/* The key of {a: 1}, {"a": 1} or {if: 1}, as JSON. */
static int add_key(struct parse *p, struct buf *out)
{
    struct bytes key;

    if (kind_here(p) == WORD_KEY)
        key = word_text(p->words, p->at);
    else if (kind_here(p) != WORD_STRING || !parse_string(p, p->at, &key))
        return -1;
    p->at++;
    return take_sign(p, ":") ? buf_add_json_string(out, key) : -1;
}

static int add_members(struct parse *p, struct buf *out, const char *close)
{
    bool object = close[0] == '}';

    for (bool first = true; !take_sign(p, close); first = false) {
        if (!first && (!take_sign(p, ",") || buf_add_char(out, ',') < 0))
            return -1;
        if (object && (add_key(p, out) < 0 || buf_add_char(out, ':') < 0))
            return -1;
        if (add_constant(p, out) < 0)
            return -1;
    }
    return buf_add_str(out, close);
}

/* Adds the JSON text of a constant; -1 for anything else. */
static int add_constant(struct parse *p, struct buf *out)
{
    struct bytes text;
    struct val value;

    if (take_sign(p, "["))
        return buf_add_char(out, '[') < 0 ? -1 : add_members(p, out, "]");
    if (take_sign(p, "{"))
        return buf_add_char(out, '{') < 0 ? -1 : add_members(p, out, "}");
    if (kind_here(p) == WORD_STRING && parse_string(p, p->at, &text)) {
        p->at++;
        return buf_add_json_string(out, text);
    }
    if (parse_literal(p, &value))
        return buf_add_str(out, value.kind == VAL_NULL ? "null"
                                : val_true(&value)     ? "true"
                                                       : "false");
    if (take_sign(p, "-") && buf_add_char(out, '-') < 0)
        return -1;
    if (kind_here(p) != WORD_NUMBER)
        return -1;
    return buf_add_bytes(out, word_text(p->words, p->at++));
}

/* [1, 2], {"a": []} */
struct node *parse_container(struct parse *p)
{
    auto_buf struct buf text = BUF_INIT;
    char *copy;

    if (add_constant(p, &text) < 0 || (copy = parse_allocate(p, text.n)) == NULL)
        return NULL;
    memcpy(copy, text.p, text.n);
    return node_const(p, val_of_json((struct bytes){copy, text.n}));
}
