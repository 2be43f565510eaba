#include "instant.h"

#include "base/units.h"
#include "node.h"
#include "notes.h"
#include "readme.h"
#include "tags.h"
#include "waiters.h"

struct making {
    struct mount *m;
    const struct place *place;
    struct mpool *pool;
    struct buf *out;
    uint64_t time_ns;
};

static int no_memory(struct error *err)
{
    return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
}

static int make_info(struct making *making, struct error *err)
{
    const struct mpool *pool = making->pool;
    struct pool_info info;

    if (pool_info(pool->pool, &info, err) < 0)
        return -1;
    if (info.newest_time != 0)
        making->time_ns = info.newest_time;
    if (pool_info_json(&info, pool->name, pool->path, 0, making->out) < 0 ||
        buf_add_char(making->out, '\n') < 0)
        return no_memory(err);
    return 0;
}

static int make_size(struct making *making, struct error *err)
{
    struct pool_info info;

    if (pool_info(making->pool->pool, &info, err) < 0)
        return -1;
    return buf_printf(making->out, "%llu\n", (unsigned long long)info.file_size) < 0
               ? no_memory(err)
               : 0;
}

static int make_version(struct making *making, struct error *err)
{
    const struct mount *m = making->m;

    if (buf_printf(making->out, "plasmite %s, libfuse %s, protocol %u.%u\n", PLASMITE_VERSION,
                   fuse_pkgversion(), m->protocol_major, m->protocol_minor) < 0)
        return no_memory(err);
    return 0;
}

static int make_readme(struct making *making, struct error *err)
{
    making->time_ns = making->m->start_ns;
    return buf_add_str(making->out, readme_text(making->place)) < 0 ? no_memory(err) : 0;
}

static int make_errors(struct making *making, struct error *err)
{
    return notes_failures(making->m, making->pool == NULL ? NULL : making->pool->notes, making->out,
                          &making->time_ns, err);
}

/*
 * It differs at every look.  Its time and its length do not, else tar and the like, which look before and after they
 * read, would end with an error.
 */
#define STATS_BYTES 256

static int make_stats(struct making *making, struct error *err)
{
    struct mount *m = making->m;
    size_t handles;

    pthread_mutex_lock(&m->handles_lock);
    handles = m->n_handles;
    pthread_mutex_unlock(&m->handles_lock);
    if (buf_printf(making->out,
                   "{\"requests\":%llu,\"waiters\":%zu,\"handles\":%zu,\"names\":%zu,"
                   "\"notifications\":%llu,"
                   "\"held_bytes\":%zu,\"uptime_s\":%llu}",
                   (unsigned long long)atomic_load(&m->requests), waiters_count(m), handles,
                   nodes_count(m->nodes), (unsigned long long)atomic_load(&m->notifications),
                   atomic_load(&m->held),
                   (unsigned long long)((clock_mono_ns() - m->start_mono_ns) / NS_PER_S)) < 0)
        return no_memory(err);
    return buf_printf(making->out, "%*s", STATS_BYTES - (int)making->out->n, "\n") < 0
               ? no_memory(err)
               : 0;
}

static int make_ctl(struct making *making, struct error *err)
{
    const char *framing = notes_by_line(making->pool->notes) ? "framing jsonl\n" : "framing json\n";

    return buf_add_str(making->out, framing) < 0 ? no_memory(err) : 0;
}

static uint64_t value_of(const struct pool_info *info, enum place_value value)
{
    switch (value) {
    case VALUE_NEWEST:
        return info->bounds.newest;
    case VALUE_OLDEST:
        return pool_bounds_count(&info->bounds) == 0 ? 0 : info->bounds.oldest;
    case VALUE_COUNT:
        return pool_bounds_count(&info->bounds);
    case VALUE_USED:
        return info->used_bytes;
    case VALUE_CAPACITY:
        return info->ring_size;
    case VALUE_REJECTED:
        break; /* that is not known to the pool */
    }
    return 0;
}

static int make_value(struct making *making, struct error *err)
{
    enum place_value value = (enum place_value)making->place->n;
    struct pool_info info;
    uint64_t n;

    if (pool_info(making->pool->pool, &info, err) < 0)
        return -1;
    if (value == VALUE_REJECTED)
        n = notes_rejected(making->m, making->pool->notes, &making->time_ns);
    else
        n = value_of(&info, value);
    if (value != VALUE_REJECTED && value != VALUE_CAPACITY && info.newest_time != 0)
        making->time_ns = info.newest_time;
    return buf_printf(making->out, "%llu\n", (unsigned long long)n) < 0 ? no_memory(err) : 0;
}

static int make_tags_time(struct making *making, struct error *err)
{
    struct pool_bounds bounds;

    if (pool_bounds(making->pool->pool, &bounds, err) < 0)
        return -1;
    if (bounds.newest_time != 0)
        making->time_ns = bounds.newest_time;
    return 0;
}

static int (*const makers[])(struct making *making, struct error *err) = {
    [PLACE_README] = make_readme, [PLACE_VERSION] = make_version, [PLACE_INFO] = make_info,
    [PLACE_SIZE] = make_size,     [PLACE_ERRORS] = make_errors,   [PLACE_STATS] = make_stats,
    [PLACE_CTL] = make_ctl,       [PLACE_VALUE] = make_value,     [PLACE_TAGS] = make_tags_time,
};

bool instant_is(const struct place *place)
{
    return place->kind < sizeof makers / sizeof makers[0] && makers[place->kind] != NULL;
}

enum view_result instant_make(struct mount *m, const struct place *place, struct mpool *pool,
                              enum view_patience patience, struct buf *out, uint64_t *ret_time,
                              struct error *err)
{
    struct making making = {m, place, pool, out, pool == NULL ? m->start_ns : pool->created_ns};

    if (makers[place->kind](&making, err) < 0)
        return VIEW_FAILED;
    *ret_time = making.time_ns;
    if (place->kind != PLACE_TAGS)
        return VIEW_OK;
    /* The one that may take long. */
    return tags_list(pool->tags, pool->pool, m, patience, out, err);
}
