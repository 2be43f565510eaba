/*
 * Waking readers that wait.
 *
 * A word in the header, `waiting`, is the futex word: rounds of waking, times four, plus one when
 * somebody sleeps, plus two when more than one may.
 *   waiter   sets the first bit, or the second when the first is set; remembers what the word then
 *   is, looks at the head again, sleeps for as long as it is that.
 *   writer   publishes, then looks at it; odd: begins the next round, without the bits, and wakes
 *   all.
 * Both steps are separated by a full barrier on both sides (notify_sleep:A, notify_wake:B), so that
 * at least one of the two sees what the other did.
 *
 * The second bit is for a process that waits and appends at once, as a mount does.  Whoever set the
 * first bit in pool_wait_served() and finds the word as it was then is the only sleeper; an append
 * of the same process that serves it otherwise (APPEND_WAKE_OTHERS) lets it sleep on.
 *
 * Bits, not a count of waiters: those that are killed in their sleep leave at most one needless
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

#define NOTIFY_SOMEBODY 1u
#define NOTIFY_SEVERAL 2u

/* After the lock has been released.  A sleeper who has set the word to `alone` (0: nobody) sleeps on. */
void notify_wake(struct header_live *live, uint32_t alone);

/*
 * Says that somebody is about to sleep, and returns the word to sleep on; look at the head once
 * more before that.  *alone, where it is wanted, becomes that word if nobody else sleeps, else 0.
 */
uint32_t notify_sleep(struct header_live *live, _Atomic uint32_t *alone);

#endif
