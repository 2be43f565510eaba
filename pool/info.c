/* What `pool info` says to programs. */
#include "pool/pool.h"

#include <inttypes.h>

static void add_bounds(struct buf *out, const struct pool_bounds *bounds)
{
    if (pool_bounds_count(bounds) == 0)
        buf_add_str(out, "{}");
    else
        buf_printf(out, "{\"newest\":%" PRIu64 ",\"oldest\":%" PRIu64 "}", bounds->newest,
                   bounds->oldest);
}

static void add_age_ms(struct buf *out, const char *key, bool empty, uint64_t now_ns,
                       uint64_t time_ns)
{
    uint64_t age_ns = now_ns > time_ns ? now_ns - time_ns : 0;

    if (empty)
        buf_printf(out, "\"%s\":null,", key);
    else
        buf_printf(out, "\"%s\":%" PRIu64 ",", key, (uint64_t)(age_ns / NS_PER_MS));
}

static void add_time(struct buf *out, const char *key, bool empty, uint64_t time_ns)
{
    char text[TIME_TEXT_LEN];

    format_time(time_ns, text);
    if (empty)
        buf_printf(out, "\"%s\":null", key);
    else
        buf_printf(out, "\"%s\":\"%.*s\"", key, TIME_TEXT_LEN, text);
}

/* Two decimals at most, rounded down, at least one: 0.0, 0.03, 12.5, 100.0. */
static void add_percent(struct buf *out, uint64_t used, uint64_t all)
{
    uint64_t hundredths = all == 0 ? 0 : (uint64_t)((unsigned __int128)used * 10000 / all);
    unsigned fraction = (unsigned)(hundredths % 100);

    buf_add_u64(out, hundredths / 100);
    if (fraction % 10 == 0)
        buf_printf(out, ".%u", fraction / 10);
    else
        buf_printf(out, ".%02u", fraction);
}

static void add_metrics(struct buf *out, const struct pool_info *info, uint64_t now_ns)
{
    uint64_t count = pool_bounds_count(&info->bounds);
    bool empty = count == 0;

    buf_add_str(out, "{\"age\":{");
    if (now_ns != 0)
        add_age_ms(out, "newest_age_ms", empty, now_ns, info->newest_time);
    add_time(out, "newest_time", empty, info->newest_time);
    buf_add_char(out, ',');
    if (now_ns != 0)
        add_age_ms(out, "oldest_age_ms", empty, now_ns, info->oldest_time);
    add_time(out, "oldest_time", empty, info->oldest_time);
    buf_printf(out,
               "},\"message_count\":%" PRIu64 ",\"seq_span\":%" PRIu64
               ",\"utilization\":{\"free_bytes\":%" PRIu64 ",\"used_bytes\":%" PRIu64
               ",\"used_percent\":",
               count, count, info->ring_size - info->used_bytes, info->used_bytes);
    add_percent(out, info->used_bytes, info->ring_size);
    buf_add_str(out, "}}");
}

int pool_info_json(const struct pool_info *info, const char *name, const char *path,
                   uint64_t now_ns, struct buf *out)
{
    const size_t start = out->n;

    buf_add_str(out, "{\"bounds\":");
    add_bounds(out, &info->bounds);
    buf_printf(out,
               ",\"file_size\":%" PRIu64 ",\"index_capacity\":%" PRIu32 ",\"index_offset\":%" PRIu64
               ",\"index_size_bytes\":%" PRIu64 ",\"metrics\":",
               info->file_size, info->index_capacity, info->index_offset, info->index_size_bytes);
    add_metrics(out, info, now_ns);
    buf_add_str(out, ",\"name\":");
    buf_add_json_string(out, bytes_of(name));
    buf_add_str(out, ",\"path\":");
    buf_add_json_string(out, bytes_of(path));
    buf_printf(out, ",\"ring_offset\":%" PRIu64 ",\"ring_size\":%" PRIu64 "}", info->ring_offset,
               info->ring_size);
    if (!buf_failed(out))
        return 0;
    out->n = start;
    return -1;
}
