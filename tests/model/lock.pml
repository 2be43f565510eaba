/*
 * The writer lock, for spin: one word, an open-file-description lock on one byte for each writer, a futex.
 *
 * The word holds a generation, the slot of the holder (0: free) and "somebody may sleep".  A writer holds the byte of
 * its slot as long as it is attached; the kernel gives the byte back some time after the writer's death.  Writers may die
 * between any two steps, and others attach later with the same slot (a writer that dies comes back as another).  A step here is one machine instruction on
 * the word, or one system call; what happens between them does not touch the lock.
 *
 * What must hold, in every run:
 *   1. never two writers inside;
 *   2. whoever gets a free lock finds nothing half done; whoever takes it over repairs first;
 *   3. nobody sleeps for ever (an invalid end state), and without deaths nobody needs its timeout to go on;
 *   4. when all are stuck, one timeout for each death is enough to go on.
 *
 * How it is run (see CMakeLists.txt):
 *   -DCALM              no deaths, no timeouts: shows 3
 *   -DDEATHS=n          timeouts at any moment: shows 1 and 2
 *   -DDEATHS=n -DSTUCK  timeouts only when everybody sleeps: shows 3 and 4
 * and with -DBUG_... a rule is left out, and spin must find out.
 */

#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef WRITERS
#define WRITERS 3
#endif
#ifndef ROUNDS
#define ROUNDS 2 /* how often each writer takes the lock, over all its lives */
#endif
#define SLOTS (WRITERS + 2) /* more than can be held: attaching finds a free one that the word does not name */

/* The word.  Each access to it below is one d_step or atomic. */
byte word_gen;
byte word_slot;
bit word_contended;

byte held[SLOTS + 1]; /* byte of each slot: who has it, plus one; 0: nobody */
bool asleep[WRITERS]; /* in the futex queue */
bool over[WRITERS];   /* nothing left to do */
bool die[WRITERS];    /* SIGKILL is on its way */

byte inside;     /* living writers that believe they hold the lock */
bool in[WRITERS];
bool half_done;  /* the pool is in the middle of a change */
byte deaths;
byte timeouts;
byte begun; /* writers that have attached: see attach() */

/* Everybody waits for somebody else, for three writers. */
#define IDLE(i) (asleep[i] || over[i])
#define ALL_STUCK (IDLE(0) && IDLE(1) && (WRITERS < 3 || IDLE(WRITERS - 1)))

#ifdef BUG_NO_GENERATION
#define SAME_GEN(g) true
#else
#define SAME_GEN(g) (word_gen == g)
#endif

/*
 * Locks the byte of the first slot that nobody has: numbers are used again as soon as they can be.  A dead holder's may still
 * stand in the word: that one is given back, and the next one tried.
 *
 * Writers are alike.  Any run is, with other numbers for them, one in which they first do this in the order of their numbers, so no
 * other is searched through.
 */
inline attach()
{
    do
    :: slot != 0 -> break
    :: slot == 0 ->
        d_step {
            begun >= me ->
            if
            :: begun == me -> begun++
            :: else
            fi;
            slot = first;
            do
            :: held[slot] != 0 -> slot++
            :: else -> break
            od;
            held[slot] = me + 1
        }
#ifndef BUG_ATTACH_WITHOUT_LOOKING
        d_step {
            if
            :: word_slot == slot -> held[slot] = 0; first = slot + 1; slot = 0
            :: else
            fi
        }
#endif
    od;
    first = 1
}

inline enter()
{
    got = true;
    inside++;
    in[me] = true;
    assert(inside == 1)
}

/* Load and compare-and-swap in one step: had anything changed between them, the swap would fail and nothing would have happened. */
inline take_free()
{
#ifdef BUG_STORE_FOR_CAS
    word_slot == 0;
#endif
    d_step {
#ifndef BUG_STORE_FOR_CAS
        word_slot == 0 ->
#endif
        word_gen++;
        word_slot = slot;
#ifndef BUG_SLEEPERS_FORGOTTEN
        word_contended = slept;
#endif
        enter();
        assert(!half_done)
    }
}

/* The whole word: if anything happened since we looked, the holder is not the dead one. */
inline take_over()
{
#ifdef BUG_LOOK_AGAIN
    d_step { g = word_gen; s = word_slot }
#endif
    d_step {
        if
        :: s != 0 && SAME_GEN(g) && word_slot == s ->
            word_gen++;
            word_slot = slot;
#ifdef BUG_SLEEPERS_LOST
            word_contended = 0;
#else
            word_contended = 1;
#endif
            enter();
#ifndef BUG_NO_REPAIR
            half_done = false /* before anything else is written */
#endif
        :: else
        fi;
        g = 0;
        s = 0;
        c = 0
    }
}

/* Says that it will sleep, then does.  A word that has changed meanwhile means another look instead. */
inline sleep()
{
#ifndef BUG_SLEEP_UNANNOUNCED
    d_step {
        if
        :: SAME_GEN(g) && word_slot == s && word_contended == c ->
            word_contended = 1;
            c = 1;
            announced = true
        :: else -> g = 0; s = 0; c = 0
        fi
    }
#else
    announced = true;
#endif
    if
    :: !announced
    :: announced ->
        d_step {
            slept = 1;
            announced = false;
            if
#ifdef BUG_SLEEP_UNCOMPARED
            :: true -> asleep[me] = true
#else
            :: word_slot == s && word_contended == c -> asleep[me] = true
            :: else
#endif
            fi;
            g = 0;
            s = 0;
            c = 0
        }
        if
        :: !asleep[me]
#if defined(CALM) || defined(BUG_NO_TIMEOUT)
#elif defined(STUCK)
        :: d_step { asleep[me] && ALL_STUCK -> asleep[me] = false; timeouts++; assert(timeouts <= deaths) }
#else
        :: d_step { asleep[me] -> asleep[me] = false }
#endif
        fi
    fi
}

#ifdef BUG_TAKEOVER_UNTESTED
#define ALIVE(s) false
#else
#define ALIVE(s) (held[s] != 0) /* our own slot in the word would be another thread of ours: alive too */
#endif

inline acquire()
{
    do
    :: got -> break
    :: !got && word_slot == 0 -> take_free()
    :: d_step { !got && word_slot != 0 -> g = word_gen; s = word_slot; c = word_contended }
        if
        :: !ALIVE(s) -> take_over()
        :: ALIVE(s) -> sleep()
        fi
    od
}

/* futex_wake of one sleeper, any of them. */
inline wake_one()
{
    atomic {
        if
        :: asleep[0] -> asleep[0] = false
        :: asleep[1] -> asleep[1] = false
#if WRITERS > 2
        :: asleep[2] -> asleep[2] = false
#endif
        :: !asleep[0] && !asleep[1] && (WRITERS < 3 || !asleep[WRITERS - 1])
        fi
    }
}

inline release()
{
    d_step {
        half_done = false;
        rounds--;
        got = false;
        slept = 0;
        c = word_contended;
        word_slot = 0;
        word_contended = 0;
        inside--;
        in[me] = false
    }
#ifndef BUG_NO_WAKE
    if
    :: c -> wake_one()
    :: else
    fi;
#endif
    c = 0
}

proctype writer(byte me)
{
    byte slot, g, s, first = 1, rounds = ROUNDS;
    bit c, slept;
    bool got, announced;

life:
    {
        attach();
        do
        :: rounds > 0 ->
            acquire();
            atomic { assert(!half_done); half_done = true };
            release()
        :: rounds == 0 -> break
        od
    } unless {
        /* What a dead writer was waiting for or holding in its own memory is gone; the word stays as it is. */
        atomic {
            die[me] ->
            die[me] = false;
            asleep[me] = false;
            if
            :: in[me] -> in[me] = false; inside--
            :: else
            fi
        }
    };
    /* The kernel's part, some time later. */
    atomic { held[slot] = 0; slot = 0; g = 0; s = 0; c = 0; slept = 0; got = false; announced = false; first = 1 }
    if
    :: rounds > 0 -> goto life
    :: else -> over[me] = true
    fi
}

proctype killer()
{
    do
    :: d_step { deaths < DEATHS && !die[0] && !over[0] -> deaths++; die[0] = true }
    :: d_step { deaths < DEATHS && !die[1] && !over[1] -> deaths++; die[1] = true }
#if WRITERS > 2
    :: d_step { deaths < DEATHS && !die[2] && !over[2] -> deaths++; die[2] = true }
#endif
    :: break
    od
}

init {
    atomic {
        /* A fresh pool, or a copy that was taken while a writer now unknown held the lock. */
        if
        :: true
        :: word_slot = 1; half_done = true
        :: word_slot = 1; half_done = true; word_contended = 1
        fi;
        run writer(0);
        run writer(1);
#if WRITERS > 2
        run writer(2);
#endif
        run killer()
    }
}
