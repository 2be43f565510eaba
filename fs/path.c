#include "path.h"

#include "hash.h"
#include "pool/store.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where a fixed name stands. */
enum site {
    IN_ROOT = 1 << 0,
    IN_SYSTEM = 1 << 1,
    IN_POOL = 1 << 2, /* the pool directory itself */
    IN_TAGS = 1 << 3, /* under tags alone */
    IN_DATA = 1 << 4, /* under data, and perhaps tags */
    IN_READ = 1 << 9, /* under modifiers that only reading has */
    IN_LIVE = 1 << 5, /* under modifiers with live */
    IN_PARAM = 1 << 6,
    IN_SYSTEM_LIVE = 1 << 7,
    IN_STAT = 1 << 8,
};
#define IN_WRITE (IN_POOL | IN_TAGS | IN_DATA)
#define IN_FINITE (IN_WRITE | IN_READ)
#define IN_VIEWS (IN_FINITE | IN_LIVE)

#define TAIL_MESSAGES 10 /* what `tail` shows */

/* One row for each fixed name; a name may have rows for several places. */
static const struct row {
    const char *name;
    unsigned in;     /* enum site: it can be looked up there */
    unsigned listed; /* and readdir shows it there */
    enum place_kind kind;
    enum place_kind param;
    enum modifier modifier;
    const char *link;
    bool link_live;
    uint64_t n;
} rows[] = {
    {"README",                ~(unsigned)IN_STAT,    ~(unsigned)IN_STAT,                       PLACE_README                                                                      },
    {                                                                                                                                                                                                             ".plasmite",                IN_ROOT,               IN_ROOT,                             PLACE_SYSTEM                                                                                  },
    {                                                                                                                                                                                                     "version",              IN_SYSTEM,                      IN_SYSTEM,                                         PLACE_VERSION                                                                           },
    {                                                                                                                                                                                        "events",             IN_SYSTEM,             IN_SYSTEM,                                    PLACE_LINK,                                                                                   .link = "live/events", .link_live = true},
    {                                                                                                                                                                                                      "events",         IN_SYSTEM_LIVE,                  IN_SYSTEM_LIVE,                                         PLACE_EVENTS                                                                             },
    {                                                                                                                                                                                          "live",           IN_SYSTEM,         0,                                                 PLACE_SYSTEM,                                                                             .modifier = MODIFY_LIVE},
    {                                                                                                                                                                                         "stats",            IN_SYSTEM,                                 IN_SYSTEM,                                                                  PLACE_STATS                                         },
    {                                                                                                                                                      "errors",                       IN_SYSTEM | IN_POOL,                                     IN_SYSTEM | IN_POOL,                                                     PLACE_ERRORS                                                                                                                         },
    {                                                                                                                                                                                    "append",                 IN_WRITE,      IN_WRITE,              PLACE_APPEND                                                               },
    {                                                                                                                                                                                           "lines",                IN_POOL | IN_TAGS,                IN_POOL | IN_TAGS,                      PLACE_LINES                                                                                 },
    {                                                                                                                                                                                                          "log",               IN_POOL,                          IN_POOL,                       PLACE_LOG                                                                               },
    {                                                                                                                                                                                                            "tail",               IN_VIEWS,                          IN_VIEWS,                          PLACE_LAST,                                                                             .n = TAIL_MESSAGES},
    {                                                                                                                                                                                                                     "all",              IN_VIEWS,                         IN_VIEWS,                                PLACE_LINK,                                                              .link = "from/1"},
    {                                                                                                                                                                     "follow",                IN_FINITE,             IN_FINITE,                                    PLACE_LINK,                                                                                                      .link = "live/last/0", .link_live = true},
    {                                                                                                                                                                                                                                                                               "follow",                  IN_LIVE,        IN_LIVE, PLACE_LINK,                   .link = "last/0", .link_live = true},
    {                                                                                           "next",                       IN_FINITE,                                       IN_FINITE,                                                       PLACE_LINK,                                                                                                                  .link = "live/next", .link_live = true},
    {                                                                                                                                                                                                                                                                                 "next",                  IN_LIVE,                 IN_LIVE,                                    PLACE_NEXT                                                                                          },
    {                                                                                                                                                                                                                                      "info",                IN_POOL,               IN_POOL,                  PLACE_INFO                                                                 },
    {                                                                                                                                                                                                                               "tags",                IN_POOL,                            IN_POOL,                                   PLACE_TAGS                                           },
    {                                                                                                                                                 "ctl",             IN_POOL,                                  IN_POOL,                                                                     PLACE_CTL                                                                          },
    {                                                                                                                                                       "size",                       IN_POOL,                                     IN_POOL,                                                PLACE_SIZE                                                                                     },
    {                                                                                                                                                   "stat",                       IN_POOL,                                     IN_POOL,                                                PLACE_STAT                                                                                    },
    {                                                                                                                                                                                                                                     "newest",                       IN_STAT,                                      IN_STAT,                                                 PLACE_VALUE,                                                                                          .n = VALUE_NEWEST},
    {                                                                                                                                                                                                                                              "oldest",                       IN_STAT,                                       IN_STAT,                                                  PLACE_VALUE,                                                                                           .n = VALUE_OLDEST},
    {                                                                                                                                                                                                                                               "count",                       IN_STAT,                                   IN_STAT,                                              PLACE_VALUE,                                                                                   .n = VALUE_COUNT},
    {                                                                                                                                                                                                                                    "used",                       IN_STAT,                                   IN_STAT,                                              PLACE_VALUE,                                                                                    .n = VALUE_USED},
    {                                                                                                                                                                                                                                      "capacity",                       IN_STAT,                                       IN_STAT,                                                 PLACE_VALUE,                                                                                      .n = VALUE_CAPACITY},
    {                                                                                                                                                                                                                                       "rejected",                       IN_STAT,                                      IN_STAT,                                                PLACE_VALUE,                                                                                    .n = VALUE_REJECTED},
    {                                                                                                                                                                                                              "last",                       IN_VIEWS,                                       IN_POOL,                                                 PLACE_PARAM,                                                                                     .param = PLACE_LAST},
    {                                                                                                                                                                                                                  "since",                       IN_VIEWS,                                        IN_POOL,                                                                        PLACE_PARAM,                                                                                                                              .param = PLACE_SINCE},
    {                                                                                                                                                                                                                                                                        "from",                       IN_VIEWS,                                        IN_POOL,                                                                     PLACE_PARAM,                                                                                                                                                .param = PLACE_FROM},
    {                                                                                                                                                                                                                                                                                                         "seq", IN_VIEWS,                      IN_POOL,                                                        PLACE_PARAM,                                                                                                                       .param = PLACE_SEQ},
    {                                                                                                                                                                                                                                                                                                               "tag",    IN_VIEWS, IN_POOL,                                         PLACE_PARAM,                                                                                                                    .param = PLACE_VIEW, .modifier = MODIFY_TAG},
    {                                                                                                                                                                                                          "where",            IN_VIEWS,              IN_POOL,                             PLACE_PARAM,                                                                                                .param = PLACE_VIEW, .modifier = MODIFY_WHERE},
    {                                                                                                                                                                                                               "replay",                IN_VIEWS,                           IN_POOL,                PLACE_PARAM,                                                                                       .param = PLACE_VIEW, .modifier = MODIFY_REPLAY},
    {                                                                                                                                                                                                     "strict",                IN_VIEWS,                           IN_POOL,            PLACE_VIEW,                                                                                          .modifier = MODIFY_STRICT},
    {                                                                                                                                                                                                                                                                                                 "data",                      IN_VIEWS,                                 IN_POOL,     PLACE_VIEW, .modifier = MODIFY_DATA},
 /* Never listed: what is below may block, and walkers must not get there. */
    { "live",                        IN_VIEWS,                                              0,                                                                                       PLACE_VIEW,                                                                                                                                                                          .modifier = MODIFY_LIVE},
};

#define N_ROWS (sizeof rows / sizeof rows[0])
#define LAST_MAX (1ULL << 63)

static unsigned site_of(const struct place *dir)
{
    switch (dir->kind) {
    case PLACE_ROOT:
        return IN_ROOT;
    case PLACE_SYSTEM:
        return dir->live ? IN_SYSTEM_LIVE : IN_SYSTEM;
    case PLACE_PARAM:
        return IN_PARAM;
    case PLACE_STAT:
        return IN_STAT;
    default:
        if (dir->live)
            return IN_LIVE;
        if (dir->strict || dir->replay || dir->lens->n_wheres > 0)
            return IN_READ;
        if (dir->lens->data)
            return IN_DATA;
        return dir->depth == 0 ? IN_POOL : IN_TAGS;
    }
}

static const struct row *row_of(const struct place *dir, const char *name)
{
    unsigned site = site_of(dir);

    for (size_t i = 0; i < N_ROWS; i++)
        if ((rows[i].in & site) != 0 && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

int path_root(struct place *ret)
{
    struct lens *lens = lens_new();

    if (lens == NULL)
        return ENOMEM;
    *ret = (struct place){.kind = PLACE_ROOT, .lens = lens};
    return 0;
}

void path_done(struct place *place)
{
    lens_unref(place->lens);
    place->lens = NULL;
}

/* The same modifiers in another order, or twice, are the same place. */
static uint64_t ino_seed(const struct place *dir, const struct place *place, const char *name)
{
    uint64_t h = hash_u64(place->lens->hash, place->live | place->strict << 1 | place->replay << 2);
    uint64_t speed;

    memcpy(&speed, &place->speed, sizeof speed);
    h = hash_u64(h, speed);

    h = hash_u64(h, place->kind);
    if (place->kind == PLACE_README) /* there is one in every directory */
        h = hash_u64(h, dir->ino_seed);
    /* Of a directory below a modifier what it does says all. */
    return place->kind == PLACE_VIEW ? h : hash_bytes(h, bytes_of(name));
}

static int finish(const struct place *dir, struct place *next, const char *name, struct place *ret)
{
    next->ino_seed = ino_seed(dir, next, name);
    *ret = *next;
    return 0;
}

/* One that has no argument. */
static int step_modifier(struct place *next, enum modifier modifier)
{
    if (++next->depth > PATH_DEPTH_MAX)
        return ELOOP;
    switch (modifier) {
    case MODIFY_LIVE:
        next->live = true;
        return 0;
    case MODIFY_STRICT:
        next->strict = true;
        return 0;
    case MODIFY_DATA:
        next->lens = lens_add_data(next->lens, NULL);
        return next->lens == NULL ? ENOMEM : 0;
    case MODIFY_NONE:
    case MODIFY_TAG:
    case MODIFY_WHERE:
    case MODIFY_REPLAY:
        break;
    }
    return ENOENT; /* those have one */
}

static int step_fixed(const struct place *dir, const struct row *row, const char *name,
                      struct place *ret)
{
    struct place next = *dir;
    int status;

    next.kind = row->kind;
    next.in_system = row->kind == PLACE_SYSTEM || dir->in_system;
    next.in_argument = dir->kind == PLACE_PARAM;
    next.param = row->param;
    next.modifier = row->modifier;
    next.link = row->link;
    next.link_live = row->link_live;
    next.n = row->n;
    status = row->kind == PLACE_PARAM || row->modifier == MODIFY_NONE
                 ? 0
                 : step_modifier(&next, row->modifier);
    if (status != 0)
        return status;
    if (next.lens == dir->lens)
        next.lens = lens_ref(dir->lens);
    return finish(dir, &next, name, ret);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* What is wrong with an argument, and where. */
static int invalid(struct error *err, size_t at, const char *why)
{
    (void)fail(err, PLSM_ERROR_USAGE, "%s", why);
    (void)fail_offset(err, at);
    return EINVAL;
}

static const char is_control[] =
    "control characters cannot stand in a name; of `%` and two hex digits one byte is made, "
    "so write `%25` or put a space behind `%`";

/* `%` and two hex digits are one byte; any other `%` is itself.  EINVAL when a control byte comes out. */
static int decode(const char *name, struct buf *out, struct error *err)
{
    for (const char *p = name; *p != '\0'; p++) {
        size_t at = (size_t)(p - name);
        unsigned char c = (unsigned char)*p;

        if (c == '%' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
            c = (unsigned char)(hex_digit(p[1]) * 16 + hex_digit(p[2]));
            p += 2;
        }
        if (c < 0x20 || c == 0x7f)
            return invalid(err, at, is_control);
        if (buf_add_char(out, (char)c) < 0)
            return ENOMEM;
    }
    return 0;
}

/* U+0080 to U+009F are control characters too; in UTF-8 they are c2 80 to c2 9f. */
static bool has_c1_control(struct bytes text)
{
    for (size_t i = 1; i < text.n; i++)
        if ((unsigned char)text.p[i - 1] == 0xc2 && (unsigned char)text.p[i] < 0xa0)
            return true;
    return false;
}

/* A tag or an expression. */
static int read_text(struct place *next, const char *name, enum modifier modifier,
                     struct error *err)
{
    auto_buf struct buf text = BUF_INIT;
    struct error why = ERROR_INIT;
    int status = decode(name, &text, err);

    if (status != 0)
        return status;
    if (has_c1_control(buf_bytes(&text)))
        return invalid(err, 0, is_control);
    if (!bytes_are_utf8(buf_bytes(&text)))
        return invalid(err, 0, "this is not UTF-8");
    next->lens = modifier == MODIFY_TAG ? lens_add_tag(next->lens, buf_bytes(&text), &why)
                                        : lens_add_where(next->lens, buf_bytes(&text), &why);
    if (next->lens == NULL)
        return why.kind == PLSM_ERROR_INTERNAL ? ENOMEM : invalid(err, 0, why.message);
    return 0;
}

/* Digits, perhaps with a point among them. */
static int read_speed(struct place *next, const char *name, struct error *err)
{
    size_t n = strspn(name, "0123456789"), at = n;

    if (next->replay)
        return invalid(err, 0, "there is a speed already");
    if (name[at] == '.') {
        size_t fraction = strspn(name + at + 1, "0123456789");

        n += fraction;
        at += 1 + fraction;
    }
    if (name[at] != '\0' || n == 0)
        return invalid(err, name[at] == '\0' ? 0 : at, "a speed is a number like 1, 10 or 0.5");
    next->replay = true;
    next->speed = strtod(name, NULL);
    if (!isfinite(next->speed))
        return invalid(err, 0, "there is no such speed");
    next->lens = lens_ref(next->lens);
    return 0;
}

/* Below tag/ and the like. */
static int step_argument_of_modifier(const struct place *dir, const char *name, struct place *ret,
                                     struct error *err)
{
    struct place next = *dir;
    int status;

    next.kind = PLACE_VIEW;
    next.in_argument = false;
    if (++next.depth > PATH_DEPTH_MAX)
        return ELOOP;
    status = dir->modifier == MODIFY_REPLAY ? read_speed(&next, name, err)
                                            : read_text(&next, name, dir->modifier, err);
    return status != 0 ? status : finish(dir, &next, name, ret);
}

static int read_number(struct place *next, const char *name, struct error *err)
{
    size_t digits = strspn(name, "0123456789");
    const char *why;

    if (name[digits] != '\0')
        return invalid(err, digits, "a whole number like 10 belongs here");
    if (parse_u64(name, &next->n, &why) < 0)
        return invalid(err, 0, why);
    if (next->kind == PLACE_LAST && next->n > LAST_MAX)
        return invalid(err, 0, "more messages than there can ever be");
    if (next->kind == PLACE_FROM && next->n == 0)
        next->n = 1;
    return 0;
}

static int read_times(struct place *next, const char *name, uint64_t now_ns, struct error *err)
{
    const char *why;

    if (parse_time_range(bytes_of(name), now_ns, &next->from_ns, &next->until_ns, &why) < 0)
        return invalid(err, 0, why);
    if (next->live && next->until_ns != UINT64_MAX)
        return invalid(err, 0, "below live/ there is no end: write since/WHEN alone");
    return 0;
}

static int step_argument(const struct place *dir, const char *name, uint64_t now_ns,
                         struct place *ret, struct error *err)
{
    struct place next = *dir;
    int status;

    if (dir->param == PLACE_VIEW)
        return step_argument_of_modifier(dir, name, ret, err);
    next.kind = dir->param;
    status = next.kind == PLACE_SINCE ? read_times(&next, name, now_ns, err)
                                      : read_number(&next, name, err);
    if (status != 0)
        return status;
    next.lens = lens_ref(dir->lens);
    return finish(dir, &next, name, ret);
}

/* Names with a dot in front, or of another kind that no pool can have, are answered without a look at the disk. */
static int step_pool(const struct place *root, const char *name, struct place *ret)
{
    struct place next = *root;

    if (name[0] == '.' || store_check_name(bytes_of(name), NULL) < 0)
        return ENOENT;
    next.kind = PLACE_VIEW;
    next.in_pool = true;
    next.lens = lens_ref(root->lens);
    return finish(root, &next, "", ret);
}

int path_step(const struct place *dir, const char *name, uint64_t now_ns, struct place *ret,
              struct error *err)
{
    const struct row *row = row_of(dir, name);

    if (row != NULL)
        return step_fixed(dir, row, name, ret);
    if (dir->kind == PLACE_PARAM)
        return step_argument(dir, name, now_ns, ret, err);
    if (dir->kind == PLACE_ROOT)
        return step_pool(dir, name, ret);
    return ENOENT;
}

void path_number(struct place *place, uint64_t number)
{
    place->ino_seed = hash_u64(place->ino_seed, number);
}

bool path_is_dir(const struct place *place)
{
    switch (place->kind) {
    case PLACE_ROOT:
    case PLACE_SYSTEM:
    case PLACE_VIEW:
    case PLACE_PARAM:
    case PLACE_STAT:
        return true;
    default:
        return false;
    }
}

bool path_is_view(const struct place *place)
{
    switch (place->kind) {
    case PLACE_LAST:
    case PLACE_SINCE:
    case PLACE_FROM:
    case PLACE_SEQ:
        return true;
    default:
        return false;
    }
}

bool path_is_pool(const struct place *place)
{
    return place->kind == PLACE_VIEW && place->depth == 0;
}

bool path_is_expression(const struct place *place)
{
    return place->kind == PLACE_VIEW && place->modifier == MODIFY_WHERE;
}

bool path_is_stream(const struct place *place)
{
    return place->kind == PLACE_NEXT || place->kind == PLACE_EVENTS ||
           (path_is_view(place) && (place->live || place->replay));
}

bool path_is_written(const struct place *place)
{
    return place->kind == PLACE_APPEND || place->kind == PLACE_LINES || place->kind == PLACE_SIZE ||
           place->kind == PLACE_CTL;
}

bool path_negative_cached(const struct place *dir, const char *name)
{
    return dir->kind != PLACE_PARAM && (dir->kind != PLACE_ROOT || name[0] == '.');
}

const char *path_list(const struct place *dir, size_t *i)
{
    unsigned site = site_of(dir);

    while (*i < N_ROWS) {
        const struct row *row = &rows[(*i)++];

        if ((row->listed & site) != 0)
            return row->name;
    }
    return NULL;
}
