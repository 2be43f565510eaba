/*
 * Waking followers, for spin: a word that is a futex, and the head position.
 *
 * The word has a bit while somebody sleeps or is about to, another when that may be several; the rest of it counts how often it
 * was cleared.  A follower with nothing to read sets the first bit, or the second if the first is set; looks at the head again, and
 * sleeps if the word is still what it saw.  A writer publishes the head under the lock; if it then sees the first bit it begins the
 * next round, without the bits, and whoever did that wakes all.  Followers may be killed at any moment.  Each has a barrier
 * between its store and its load; without it a processor does them in the other order, and so do the mutants for it.
 *
 * Writer 0 and follower 0 are one process, a mount.  It remembers in `alone` the word with which its follower was the only one; when
 * its writer finds that very word it wakes nobody, and gives the follower what it has appended by other means (`kick`).
 *
 * What must hold, in every run:
 *   1. no follower sleeps while there is a message it has not seen and no writer is at work (an invalid end state; there are
 *      no timeouts here);
 *   2. once all followers are gone, at most one more wake call is made: nothing of theirs stays behind.
 *
 * With -DBUG_... a rule is left out, and spin must find out.
 */

#ifndef KILLS
#define KILLS 2 /* of followers: all */
#endif
#ifndef FIRST
#define FIRST 2 /* messages of writer 0; the other has one */
#endif
#define LAST (FIRST + 1)

byte head;
byte word; /* under BUG_COUNT: how many sleep */

bool asleep[2]; /* followers in the futex queue */
bool die[2];
bool over[2];
byte kills;
byte given; /* up to here follower 0 has what was appended, however it came */
byte alone; /* 0: no word */
byte idle_wakes; /* wake calls decided on after the last follower had gone */

#define SOMEBODY_BIT 1
#define SEVERAL_BIT 2

#ifdef BUG_ONE_FLAG
#define CLEARED 0
#elif defined(BUG_NOT_CLEARED)
#define CLEARED seen
#else
#define CLEARED ((seen | SOMEBODY_BIT | SEVERAL_BIT) + 1)
#endif

#ifdef BUG_COUNT
#define SOMEBODY(w) (w > 0)
#else
#define SOMEBODY(w) ((w & 1) == 1)
#endif

/* One step; within another d_step. */
inline wake_all()
{
#ifdef BUG_WAKE_ONE
    if
    :: asleep[0] -> asleep[0] = false
    :: else -> asleep[1] = false
    fi
#else
    asleep[0] = false;
    asleep[1] = false
#endif
}

/* The reader's requests are answered by the writer's thread. */
inline kick()
{
    given = head
}

/* The compare-and-swap: did we clear it? */
inline clear()
{
    d_step {
#ifdef BUG_COUNT
        cleared = SOMEBODY(word); /* those who sleep count themselves down */
#else
        cleared = SOMEBODY(word) && word == seen;
        word = (cleared -> CLEARED : word);
#endif
        if
        :: cleared && over[0] && over[1] -> idle_wakes++; assert(idle_wakes <= 1)
        :: else
        fi
    }
}

proctype writer(byte me)
{
    byte left = (me == 0 -> FIRST : 1), seen;
    bool cleared;

    do
    :: left > 0 ->
#ifdef BUG_WRITER_NO_BARRIER
        seen = word; /* the store of the head is still in a buffer */
        head++;
#else
        head++; /* under the lock, and in memory when it is released */
look:
        seen = word;
#endif
        if
        :: !SOMEBODY(seen) -> d_step { seen = 0; left-- }
        :: SOMEBODY(seen) && me == 0 && seen == alone -> d_step { kick(); seen = 0; left-- }
        :: else ->
#ifdef BUG_CLEAR_AFTER_WAKE
            d_step { wake_all() };
            clear();
            d_step { seen = 0; cleared = false; left-- }
#else
            clear();
            if
            :: cleared -> d_step { wake_all(); seen = 0; cleared = false; left-- }
#if defined(BUG_CLEARED_ONCE) || defined(BUG_WRITER_NO_BARRIER)
            :: else -> d_step { seen = 0; left-- }
#else
            :: else -> goto look /* a writer has done it, or a follower has come */
#endif
            fi
#endif
        fi
    :: left == 0 -> break
    od
}

#ifdef BUG_COUNT
#define ANNOUNCE d_step { word++; w = word }
#elif defined(BUG_SEVERAL_UNSEEN)
#define ANNOUNCE d_step { word = word | SOMEBODY_BIT; w = word }
#else
#define ANNOUNCE \
    d_step { \
        if \
        :: !SOMEBODY(word) -> word = word | SOMEBODY_BIT \
        :: SOMEBODY(word) && me == 0 && word == alone \
        :: else -> word = word | SEVERAL_BIT \
        fi; \
        w = word \
    }
#endif

#ifdef BUG_NO_SECOND_LOOK
#define NOTHING true
#else
#define NOTHING (head == seen)
#endif

inline sleep()
{
    d_step {
        if
#ifdef BUG_WAIT_UNCOMPARED
        :: true -> asleep[me] = true
#elif defined(BUG_COUNT)
        :: head == seen -> asleep[me] = true /* the head is the futex, the count only says whether to wake */
        :: else
#else
        :: word == w -> asleep[me] = true
        :: else
#endif
        fi
    }
    (!asleep[me] || (me == 0 && given == LAST))
}

inline wait_for_more()
{
#ifdef BUG_FOLLOWER_NO_BARRIER
    nothing = NOTHING; /* the store to the word is still in a buffer */
    ANNOUNCE;
#else
    ANNOUNCE;
    if
    :: d_step { me == 0 -> alone = (w & SEVERAL_BIT -> 0 : w) };
        nothing = NOTHING
    :: d_step { me != 0 -> nothing = NOTHING }
    fi;
#endif
    if
    :: nothing -> sleep()
    :: else
    fi;
#ifdef BUG_COUNT
    word--;
#endif
    d_step { w = 0; nothing = false }
}

proctype follower(byte me)
{
    byte seen, w;
    bool nothing;

    {
        do
        :: seen == LAST -> break
        :: seen != LAST && head != seen ->
            d_step {
                seen = head;
                if
                :: me == 0 -> given = head
                :: else
                fi
            }
        :: seen != LAST && head == seen -> wait_for_more()
        od
    } unless {
        d_step { die[me] -> asleep[me] = false }
    };
    atomic { over[me] = true; seen = 0; w = 0; nothing = false }
}

proctype killer()
{
    do
    :: d_step { kills < KILLS && !die[0] -> kills++; die[0] = true }
    :: d_step { kills < KILLS && !die[1] -> kills++; die[1] = true }
    :: break
    od
}

init {
    atomic {
        run writer(0);
        run writer(1);
        run follower(0);
        run follower(1);
        run killer()
    }
}
