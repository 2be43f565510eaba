#include "drops.h"

#include "base/units.h"

#include <inttypes.h>

#define NOTICE_NS NS_PER_S /* between two notices */

void drops_add(struct drops *d, uint64_t first, uint64_t next)
{
    if (d->first_lost == 0)
        d->first_lost = first;
    if (d->count == 0)
        d->last_seen = first - 1;
    d->next_seen = next;
    d->count += next - first;
}

uint64_t drops_due_ns(const struct drops *d)
{
    return d->count == 0 ? UINT64_MAX : d->told_ns == 0 ? 0 : d->told_ns + NOTICE_NS;
}

void drops_tell(struct drops *d, struct cli *cli, const struct pool *pool, const char *pool_ref,
                bool is_quiet)
{
    auto_buf struct buf details = BUF_INIT, message = BUF_INIT, text = BUF_INIT;

    buf_printf(&details,
               "{\"dropped_count\":%" PRIu64 ",\"last_seen_seq\":%" PRIu64
               ",\"next_seen_seq\":%" PRIu64 ",\"pool_path\":",
               d->count, d->last_seen, d->next_seen);
    buf_add_json_string(&details, bytes_of(pool_path(pool)));
    buf_add_char(&details, '}');
    buf_printf(&message, "dropped %" PRIu64 " message%s", d->count, d->count == 1 ? "" : "s");
    buf_printf(&text, "%.*s (pool: %s)", (int)message.n, message.p, pool_ref);
    if (!is_quiet && buf_str(&message) != NULL && buf_str(&text) != NULL)
        cli_notice(cli, "follow", "drop", pool_ref, message.p, text.p, buf_bytes(&details));
    d->count = 0;
    d->told_ns = clock_mono_ns();
}
