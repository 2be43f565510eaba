#include "filter_paths.h"

#include "pool/json.h"

#include <stdlib.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

int paths_init(struct paths *paths, const struct program *program)
{
    *paths = (struct paths){.program = program};
    paths->places = calloc(program->n_paths, sizeof *paths->places);
    return paths->places != NULL ? 0 : -1;
}

void paths_done(struct paths *paths)
{
    free(paths->places);
    paths->places = NULL;
}

void paths_begin(struct paths *paths, const struct message *message)
{
    paths->message = message;
    paths->round++;
    paths->scanned = false;
    paths->top = paths->meta = (struct bytes){0};
}

/* ---- the pass over the payload ---- */

struct scan {
    struct paths *paths;
    struct work *work;
    const char *begin;
    const char *p, *end; /* at hand; the text ends */
};

/* What was found below a key does not count when the key comes a second time. */
static void forget_below(struct paths *paths, struct work *work, int path)
{
    for (int i = paths->program->paths[path].first_child; i != PATH_NONE;
         i = paths->program->paths[i].next) {
        paths->places[i].round = 0;
        (void)work_step(work, 1);
        forget_below(paths, work, i);
    }
}

/* As bytes_equal(), without a call for what is usually a few bytes that differ at once. */
static inline bool same_key(struct bytes a, struct bytes b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != b.p[i])
            return false;
    return true;
}

#define NAMES_PER_STEP 4 /* that a key is compared with; usually it is fewer */

/* The path below `parent` that this key names; the key as it stands between its quotes. */
static int child_named(const struct program *program, int parent, struct bytes key, bool escaped)
{
    for (int i = program->paths[parent].first_child; i != PATH_NONE; i = program->paths[i].next) {
        struct bytes name = program->paths[i].key;

        if (escaped ? json_string_equal((struct bytes){key.p - 1, key.n + 2}, name)
                    : same_key(key, name))
            return i;
    }
    return PATH_NONE;
}

/*
 * What ends a run of bytes: '"' and '\\' in a string, ',', '}' and ']' behind a number or literal.
 */
enum run { RUN_STRING, RUN_SCALAR };

static inline bool ends_run(char c, enum run run)
{
    return run == RUN_STRING ? c == '"' || c == '\\' : c == ',' || c == '}' || c == ']';
}

static inline const char *run_end(const char *p, const char *end, enum run run)
{
#if defined(__SSE2__)
    const __m128i a = _mm_set1_epi8(run == RUN_STRING ? '"' : ',');
    const __m128i b = _mm_set1_epi8(run == RUN_STRING ? '\\' : '}');
    const __m128i bit = _mm_set1_epi8(run == RUN_STRING ? 0 : 0x20); /* ']' becomes '}' */

    for (; end - p >= 16; p += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i stop =
            _mm_or_si128(_mm_cmpeq_epi8(block, a), _mm_cmpeq_epi8(_mm_or_si128(block, bit), b));
        int mask = _mm_movemask_epi8(stop);

        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && !ends_run(*p, run))
        p++;
    return p;
}

/* From behind an opening quote to its closing one, or the end of the text. */
static inline const char *string_end(const char *p, const char *end, bool *ret_escaped)
{
    *ret_escaped = false;
    for (;;) {
        p = run_end(p, end, RUN_STRING);
        if (end - p < 2)
            return end;
        if (*p == '"')
            return p;
        *ret_escaped = true;
        p += 2; /* a backslash and what it escapes */
    }
}

/* Takes a key and its colon. */
static inline bool take_key(struct scan *s, struct bytes *ret, bool *ret_escaped)
{
    const char *begin = s->p + 1, *p;

    if (s->p >= s->end || *s->p != '"')
        return false;
    p = string_end(begin, s->end, ret_escaped);
    if (s->end - p < 3) /* quote, colon, and a value */
        return false;
    *ret = (struct bytes){begin, (size_t)(p - begin)};
    s->p = p + 2;
    return true;
}

static inline void skip_value(struct scan *s)
{
    struct bytes all = {s->begin, (size_t)(s->end - s->begin)};
    bool escaped;

    if (*s->p == '"') {
        const char *p = string_end(s->p + 1, s->end, &escaped);

        s->p = p < s->end ? p + 1 : p;
    } else if (*s->p == '{' || *s->p == '[') {
        s->p = s->begin + json_skip(all, (size_t)(s->p - s->begin));
    } else {
        s->p = run_end(s->p, s->end, RUN_SCALAR);
    }
}

static void scan_object(struct scan *s, int parent);

static void scan_value(struct scan *s, int path)
{
    struct place *place = &s->paths->places[path];
    const char *begin = s->p;
    bool has_below = s->paths->program->paths[path].first_child != PATH_NONE;

    if (has_below && place->round == s->paths->round)
        forget_below(s->paths, s->work, path);
    if (has_below && *begin == '{')
        scan_object(s, path);
    else
        skip_value(s);
    *place = (struct place){
        s->paths->round, {begin, (size_t)(s->p - begin)}
    };
}

/* From its `{` to behind its `}`.  Nests no deeper than the paths of the program. */
static void scan_object(struct scan *s, int parent)
{
    const struct program *program = s->paths->program;
    unsigned steps = program->paths[parent].n_below / NAMES_PER_STEP; /* nearly always none */
    struct bytes key;
    bool escaped;

    s->p++;
    while (take_key(s, &key, &escaped) && (steps == 0 || work_step(s->work, steps))) {
        int path = child_named(program, parent, key, escaped);

        if (path != PATH_NONE)
            scan_value(s, path);
        else
            skip_value(s);
        if (s->p >= s->end || *s->p != ',')
            break;
        s->p++;
    }
    if (s->p < s->end)
        s->p++;
}

static void scan_payload(struct paths *paths, struct work *work)
{
    struct bytes data = paths->message->data;
    struct scan s = {paths, work, data.p, data.p, data.p + data.n};

    paths->scanned = true;
    if (data.n > 0 && data.p[0] == '{')
        scan_object(&s, PATH_DATA);
}

/* ---- the envelope ---- */

static enum flow no_memory(struct work *work)
{
    work->failed = WORK_NO_MEMORY;
    return FLOW_STOP;
}

static enum flow get_seq(struct paths *paths, struct val *ret)
{
    struct buf text = {.p = paths->seq, .cap = sizeof paths->seq};

    (void)buf_add_u64(&text, paths->message->seq); /* there is room */
    *ret = (struct val){.kind = VAL_NUMBER, .text = buf_bytes(&text)};
    return FLOW_OK;
}

static enum flow get_time(struct paths *paths, struct val *ret)
{
    format_time_cached(&paths->cache, paths->message->time_ns, paths->time);
    *ret = val_string((struct bytes){paths->time, sizeof paths->time});
    return FLOW_OK;
}

/* .meta, and .meta.tags within: {"tags":[...]} */
static enum flow get_meta(struct paths *paths, struct work *work, bool tags, struct val *ret)
{
    static const char head[] = "{\"tags\":[", tail[] = "]}";
    const size_t head_n = sizeof head - 1, tail_n = sizeof tail - 1;
    struct bytes inside = paths->message->tags;
    char *text;

    if (paths->meta.p == NULL) {
        text = arena_alloc(&work->arena, head_n + inside.n + tail_n);
        if (text == NULL)
            return no_memory(work);
        memcpy(text, head, head_n);
        if (inside.n > 0)
            memcpy(text + head_n, inside.p, inside.n);
        memcpy(text + head_n + inside.n, tail, tail_n);
        paths->meta = (struct bytes){text, head_n + inside.n + tail_n};
    }
    *ret = val_of_json(paths->meta);
    if (tags)
        *ret = val_of_json((struct bytes){paths->meta.p + head_n - 1, inside.n + 2});
    return FLOW_OK;
}

static enum flow get_top(struct paths *paths, struct work *work, struct val *ret)
{
    auto_buf struct buf text = BUF_INIT;
    char *copy;

    if (paths->top.p == NULL) {
        if (message_render(paths->message, &paths->cache, &text) < 0 ||
            (copy = arena_alloc(&work->arena, text.n)) == NULL)
            return no_memory(work);
        memcpy(copy, text.p, text.n);
        paths->top = (struct bytes){copy, text.n - 1}; /* without the line feed */
    }
    *ret = val_of_json(paths->top);
    return FLOW_OK;
}

/* ---- any path ---- */

static bool is_in_data(const struct program *program, int path)
{
    while (path >= PATHS_FIXED)
        path = program->paths[path].parent;
    return path == PATH_DATA;
}

/*
 * What is found was found in objects all the way down, so only what is not found needs a look at
 * its parents.
 */
static enum flow get_below(struct paths *paths, struct work *work, int path, struct val *ret)
{
    struct val parent;
    enum flow flow;

    if (is_in_data(paths->program, path)) {
        if (!paths->scanned)
            scan_payload(paths, work);
        if (paths->places[path].round == paths->round) {
            *ret = val_of_json(paths->places[path].text);
            return FLOW_OK;
        }
    }
    if (!work_step(work, 1))
        return FLOW_STOP;
    flow = paths_get(paths, work, paths->program->paths[path].parent, &parent);
    if (flow != FLOW_OK)
        return flow;
    *ret = val_null();
    return parent.kind == VAL_OBJECT || parent.kind == VAL_NULL ? FLOW_OK : FLOW_ERROR;
}

enum flow paths_get(struct paths *paths, struct work *work, int path, struct val *ret)
{
    switch (path) {
    case PATH_TOP:
        return get_top(paths, work, ret);
    case PATH_SEQ:
        return get_seq(paths, ret);
    case PATH_TIME:
        return get_time(paths, ret);
    case PATH_META:
        return get_meta(paths, work, false, ret);
    case PATH_TAGS:
        return get_meta(paths, work, true, ret);
    case PATH_DATA:
        *ret = val_of_json(paths->message->data);
        return FLOW_OK;
    default:
        return get_below(paths, work, path, ret);
    }
}
