/* SPDX-License-Identifier: Apache-2.0 */
/* A model of how workers sleep without missing a commit, and how segments are freed under readers that take no lock.
 * Run it with run.sh.  Checked in every interleaving:
 *
 *   - no worker sleeps for ever while there is something durable that it has not read;
 *   - no set of segments and no segment is looked at once it was freed;
 *   - what was retired is freed in the end, and all but the last segment go.
 *
 * What stands for what (each numbered step of the model is one access to memory that threads share):
 *
 *   appender     td_journal_append (journal/append.c) and begin (journal/roll.c), under the append lock
 *   publish      td_set_publish (journal/reclaim.c): the set is replaced, then the generation raised, then what went is retired
 *   committer    td_journal_commit_step (journal/commit.c): durable is published, then td_journal_wake_readers
 *   wake         td_loop_wake (os/linux/loop.c): an exchange takes the flag down, and who took it down writes the eventfd
 *   keeper       td_journal_keep_step: trims the oldest segment that is durable; td_journal_reclaim (journal/reclaim.c)
 *   worker       a turn: td_reader_set (journal/reclaim.c) and the reading, sending from the mapping, then td_journal_quiesce;
 *                with nothing left: td_loop_doze, td_journal_quiesce(doze), a second look at the durable head, td_loop_wait
 *
 * A segment is a number (SEGMENT records each), so that a set is a range of them; sets are never reused, like the
 * pointers that they stand for.  Memory is sequentially consistent here: the accesses that rely on it are exchanges and
 * seq_cst loads and stores in the code, and ThreadSanitizer looks at the rest.
 *
 * Each of these plants one bug, which the model must find:
 *
 *   BUG_LOOK_FIRST         the worker looks for work, then says that it dozes
 *   BUG_NO_SECOND_LOOK     it says so, and does not look again
 *   BUG_WAKE_FIRST         the committer wakes, then publishes
 *   BUG_LATE_CLEAR         td_loop_wake reads the flag, writes the eventfd, and takes the flag down last
 *   BUG_FREE_AT_ONCE       what was retired is freed without asking the readers
 *   BUG_GENERATION_FIRST   the generation is raised before the set is replaced
 *   BUG_UNREGISTERED       a reader that wakes looks at the set without registering again
 *   BUG_LOAD_FIRST         it loads the set, then registers
 *   BUG_HELD               a worker says that it holds nothing before it has sent what it read
 *   BUG_NEVER_PASSES       a worker says nothing when it goes to sleep, so that nothing is ever freed */

#ifndef EACH
#define EACH 2 /* records of each appender */
#endif
#ifndef SEGMENT
#define SEGMENT 1 /* records of a segment */
#endif
#define APPENDERS 2
#ifndef WORKERS
#define WORKERS 2
#endif
#define TOTAL     (APPENDERS * EACH)
#define SEGMENTS  ((TOTAL + SEGMENT - 1) / SEGMENT)
#define SETS      (2 * SEGMENTS) /* the empty one, one for each beginning, one for each trim but the last */
#define NONE      255
#define DOZES     255

#define SEGMENT_OF(seq) (((seq) - 1) / SEGMENT)

/* The log. */
bool append_lock;
byte head, durable;

/* The set of segments [set_first, set_end), and what readers may still look at: what was retired at generation g. */
byte set, generation, sets = 1;
byte set_first[SETS], set_end[SETS];
bool set_freed[SETS], segment_freed[SEGMENTS];
bool readers_lock;
bool retired[SETS];
byte retired_set[SETS], retired_segment[SETS];

/* The readers and their loops. */
byte seen[WORKERS] = DOZES; /* they open, and sleep */
byte position[WORKERS];
bool dozing[WORKERS], event[WORKERS];
byte waiting; /* of what was retired */
bool stirred; /* the keeper comes back once a second; it need not when no reader has said anything */

inline lock(mutex)
{
    atomic { !mutex -> mutex = true }
}

inline say(w, value)
{
    atomic { seen[w] = value; stirred = true }
}

/* td_set_publish; under the append lock.  `new`, `old`, `gone`, `g` are of the caller. */
inline publish(first, end, dropped)
{
    atomic { new = sets; sets++; set_first[new] = first; set_end[new] = end; gone = dropped }
#ifdef BUG_GENERATION_FIRST
    atomic { generation++; g = generation }
    atomic { old = set; set = new }
#else
    atomic { old = set; set = new }         /* 1: exchange */
    atomic { generation++; g = generation } /* 2: fetch_add */
#endif
    atomic { /* 3: under readers_lock */
        !readers_lock ->
        retired[g] = true; retired_set[g] = old; retired_segment[g] = gone; waiting++;
        stirred = true; new = 0; old = 0; gone = 0; g = 0
    }
}

proctype appender()
{
    byte left = EACH, new, old, gone, g;

    do
    :: left > 0 ->
        lock(append_lock);
        if
        :: SEGMENT_OF(head + 1) == set_end[set] -> publish(set_first[set], set_end[set] + 1, NONE)
        :: else
        fi;
        atomic { head++; left--; append_lock = false }
    :: else -> break
    od
}

inline wake(w)
{
#ifdef BUG_LATE_CLEAR
    if
    :: dozing[w] -> event[w] = true; dozing[w] = false
    :: else
    fi
#else
    atomic { was = dozing[w]; dozing[w] = false }; /* 1: exchange */
    if
    :: was -> event[w] = true                     /* 2: write to the eventfd */
    :: else
    fi
#endif
}

inline wake_all()
{
    wake(0);
#if WORKERS > 1
    wake(1)
#endif
}

proctype committer()
{
    byte to;
    bool was;

end:
    do
    :: atomic { head > durable -> to = head } /* fdatasync */
#ifdef BUG_WAKE_FIRST
        wake_all();
        durable = to
#else
        durable = to;
        wake_all()
#endif
        ; to = 0
    od
}

/* td_journal_reclaim: the readers are asked one after the other. */
inline reclaim()
{
    lock(readers_lock);
    passed = NONE; w = 0;
#ifndef BUG_FREE_AT_ONCE
    do
    :: atomic { w < WORKERS -> passed = (seen[w] < passed -> seen[w] : passed); w++ }
    :: else -> break
    od;
#endif
    atomic { /* nobody looks at the list without the lock, and what is in it is no longer in the set */
        g = 0;
        do
        :: g < SETS && retired[g] && g <= passed ->
            retired[g] = false; waiting--;
            set_freed[retired_set[g]] = true;
            set_first[retired_set[g]] = 0; set_end[retired_set[g]] = 0;
            if
            :: retired_segment[g] != NONE -> segment_freed[retired_segment[g]] = true
            :: else
            fi;
            retired_set[g] = 0; retired_segment[g] = 0;
            g++
        :: g < SETS && !(retired[g] && g <= passed) -> g++
        :: g == SETS -> break
        od;
        g = 0; w = 0; passed = 0;
        readers_lock = false
    }
}

#define TRIMMABLE                                                                                  \
    (set_first[set] + 1 < set_end[set] && (set_first[set] + 1) * SEGMENT <= durable)

proctype keeper()
{
    byte new, old, gone, g, passed, w;

end:
    do
    :: atomic { !append_lock && TRIMMABLE -> append_lock = true }
        publish(set_first[set] + 1, set_end[set], set_first[set]);
        append_lock = false
    :: atomic { stirred && waiting > 0 -> stirred = false } /* with nothing waiting a pass does nothing */
        reclaim()
    od
}

/* td_reader_set: registers when the reader was asleep, then loads the set. */
inline reader_set(w)
{
#ifdef BUG_LOAD_FIRST
    at = set;
#endif
#ifndef BUG_UNREGISTERED
    if
    :: seen[w] == DOZES -> g = generation; say(w, g)
    :: else
    fi;
#endif
#ifndef BUG_LOAD_FIRST
    at = set;
#endif
    skip
}

/* Reads one record, or tells the gap that a trim has left. */
inline read_one(w)
{
    reader_set(w);
    atomic {
        assert(!set_freed[at]);
        if
        :: position[w] < set_first[at] * SEGMENT -> position[w] = set_first[at] * SEGMENT
        :: else ->
            held = SEGMENT_OF(position[w] + 1);
            assert(held < set_end[at]);
            position[w]++
        fi;
        at = 0; g = 0
    }
    if
    :: held != NONE -> assert(!segment_freed[held])
    :: else
    fi
}

inline send()
{
    atomic {
        if
        :: held != NONE -> assert(!segment_freed[held])
        :: else
        fi;
        held = NONE
    }
}

proctype worker(byte w)
{
    byte limit, at, g, held = NONE;
    bool socket; /* an event of a socket, once, of one of them: it wakes without anybody having looked at the flag */

    socket = (w == 0);
turn:
    limit = durable;
    do
    :: position[w] < limit -> read_one(w); /* and perhaps on, or the budget of the turn is used up */
        if
        :: true
        :: break
        fi
    :: position[w] >= limit -> break
    od;
#ifdef BUG_HELD
    g = generation; say(w, g);
#endif
    send();
    g = generation; say(w, g); /* td_journal_quiesce(false) */
    g = 0;
    if
    :: position[w] < limit -> goto turn /* on the run-again list */
    :: else
    fi;
#ifdef BUG_LOOK_FIRST
    if
    :: durable > position[w] -> goto turn
    :: else
    fi;
    dozing[w] = true;
    say(w, DOZES);
#else
    dozing[w] = true; /* td_loop_doze */
# ifndef BUG_NEVER_PASSES
    say(w, DOZES);    /* td_journal_quiesce(true) */
# endif
# ifndef BUG_NO_SECOND_LOOK
    if
    :: durable > position[w] -> dozing[w] = false; goto turn /* td_loop_undoze */
    :: else
    fi;
# endif
#endif
    limit = 0;
end: /* td_loop_wait */
    if
    :: event[w] -> event[w] = false
    :: atomic { socket -> socket = false }
    fi;
    dozing[w] = false;
    goto turn
}

/* Once nothing can move any more. */
proctype judge()
{
    byte i;

    timeout;
    atomic {
        assert(head == TOTAL && durable == TOTAL);
        assert(position[0] == TOTAL && position[WORKERS - 1] == TOTAL);
        assert(set_first[set] + 1 == set_end[set] && set_end[set] == SEGMENTS);
        do
        :: i < SETS -> assert(!retired[i] && set_freed[i] == (i != set)); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < SEGMENTS -> assert(segment_freed[i] == (i < SEGMENTS - 1)); i++
        :: else -> break
        od
    }
}

init
{
    atomic {
        run appender(); run appender();
        run committer(); run keeper();
        run worker(0);
#if WORKERS > 1
        run worker(1);
#endif
        run judge()
    }
}
