/*
 * Waking readers that wait.
 *
 * A word in the header, `waiting`, is the futex word: rounds of waking, times two, plus one when
 * somebody sleeps.
 *   waiter   makes it odd, remembers what it then is, looks at the head again, sleeps for as long
 *   as it is that.
 *   writer   publishes, then looks at it; odd: makes it the next even number and wakes all.
 * Both steps are separated by a full barrier on both sides (notify_sleep:A, notify_wake:B), so that
 * at least one of the two sees what the other did.
 *
 * A bit, not a count of waiters: those that are killed in their sleep leave at most one needless
 * wake behind.  But rounds too: with a bare bit, a waiter that looks before the writer publishes
 * and sleeps after it has woken would be put to sleep by the bit that another waiter has set in
 * between (the model in tests/model finds this at once).
 *
 * A writer killed between publishing and waking, and a plain `rm`, wake nobody: every sleep is
 * bounded by NOTIFY_NAP_NS. Readers without write permission cannot set the bit and look again at
 * growing intervals up to NOTIFY_POLL_MAX_NS.
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

/*
 * Says that somebody is about to sleep, and returns the word to sleep on; look at the head once
 * more before that.
 */
uint32_t notify_sleep(struct header_live *live);

#endif
