/*
 * Waking followers, for spin: a word that is a futex, and the head position.
 *
 * The word is odd while somebody sleeps or is about to; the rest of it counts how often it was cleared.  A follower with
 * nothing to read makes it odd, looks at the head again, and sleeps if the word is still what it saw.  A writer publishes the
 * head under the lock; if it then sees an odd word it makes it even, the next number, and whoever did that wakes all.  Followers
 * may be killed at any moment.  Each has a barrier between its store and its load; without it a processor does them in the other
 * order, and so do the mutants for it.
 *
 * What must hold, in every run:
 *   1. no follower sleeps while there is a message it has not seen and no writer is at work (an invalid end state; there are
 *      no timeouts here);
 *   2. once all followers are gone, at most one more wake call is made: nothing of theirs stays behind.
 *
 * With -DBUG_... a rule is left out, and spin must find out.
 */

#define LAST 3  /* messages: two by one writer, one by the other */
#define KILLS 2 /* all followers */

byte head;
byte word; /* under BUG_COUNT: how many sleep */

bool asleep[2]; /* followers in the futex queue */
bool die[2];
bool over[2];
byte kills;
byte idle_wakes; /* wake calls decided on after the last follower had gone */

#ifdef BUG_ONE_FLAG
#define CLEARED 0
#elif defined(BUG_NOT_CLEARED)
#define CLEARED seen
#else
#define CLEARED (seen + 1)
#endif

#ifdef BUG_COUNT
#define SOMEBODY(w) (w > 0)
#else
#define SOMEBODY(w) ((w & 1) == 1)
#endif

inline wake_all()
{
    d_step {
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
    byte left = LAST - 1 - me, seen;
    bool cleared;

    do
    :: left > 0 ->
#ifdef BUG_WRITER_NO_BARRIER
        seen = word; /* the store of the head is still in a buffer */
        head++;
#else
        head++; /* under the lock, and in memory when it is released */
        seen = word;
#endif
        if
        :: !SOMEBODY(seen)
        :: else ->
#ifdef BUG_CLEAR_AFTER_WAKE
            wake_all();
            clear()
#else
            clear();
            if
            :: cleared -> wake_all()
            :: else
            fi
#endif
        fi;
        d_step { seen = 0; cleared = false; left-- }
    :: left == 0 -> break
    od
}

#ifdef BUG_COUNT
#define ANNOUNCE d_step { word++; w = word }
#else
#define ANNOUNCE d_step { word = word | 1; w = word }
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
    !asleep[me]
}

inline wait_for_more()
{
#ifdef BUG_FOLLOWER_NO_BARRIER
    nothing = head == seen; /* the store to the word is still in a buffer */
    ANNOUNCE;
#else
    ANNOUNCE;
#ifdef BUG_NO_SECOND_LOOK
    nothing = true;
#else
    nothing = head == seen;
#endif
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
        :: seen != LAST && head != seen -> seen = head
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
