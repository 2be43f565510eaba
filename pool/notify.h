/*
 * Waking readers that wait.
 *
 * A flag in the header, `waiting`, is the futex word.
 *   waiter   sets it, then looks at the head again, then sleeps for as long as it is 1.
 *   writer   publishes, then looks at it; 1: clears it and wakes all.
 * Both steps are separated by a full barrier on both sides (notify_sleep:A, notify_wake:B), so that at least one of the two
 * sees what the other did.  A flag, not a count: waiters that are killed in their sleep leave at most one needless wake behind.
 *
 * A writer killed between publishing and waking, and a plain `rm`, wake nobody: every sleep is bounded by NOTIFY_NAP_NS.
 * Readers without write permission cannot set the flag and look again at growing intervals up to NOTIFY_POLL_MAX_NS.
 */
#ifndef POOL_NOTIFY_H
#define POOL_NOTIFY_H

#include "layout.h"

#include <stdint.h>

#define NOTIFY_NAP_NS 250000000ULL
#define NOTIFY_POLL_MIN_NS 1000000ULL
#define NOTIFY_POLL_MAX_NS 20000000ULL

/* After the lock has been released. */
void notify_wake(struct header_live *live);

/* Says that somebody is about to sleep; look at the head once more afterwards. */
void notify_sleep(struct header_live *live);

#endif
