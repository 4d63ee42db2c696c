/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the journal share.
 *
 * Locks, in the order in which they may be taken together:
 *
 *   lock          appending: sequences, the open segment, dedup, and publishing a new set of segments
 *   index_lock    the indexes that are still in memory
 *   state.mutex   what is the latest of each topic and key
 *   trimmed_lock  the table of what was trimmed
 *   readers_lock  the list of readers and what waits for them to pass
 *
 * Readers take none but, for the segments not sealed yet, index_lock. */
#pragma once

#include "base/list.h"
#include "journal/dedup.h"
#include "journal/ephemeral.h"
#include "journal/journal.h"
#include "journal/segment.h"
#include "journal/state.h"
#include "journal/trimmed.h"
#include "os/thread.h"
#include <stdatomic.h>

/* The segments at one moment; never changed, only replaced. */
struct td_set {
    uint64_t horizon;   /* all up to it has been trimmed */
    uint64_t lost_tail; /* records behind the last segment up to here are missing; 0: none are */
    size_t n;
    struct td_segment *segments[]; /* oldest first */
};

/* Something that readers may still look at. */
struct td_retired {
    struct td_retired *next;
    uint64_t generation; /* readers that have seen this one have passed it */
    struct td_set *set;
    struct td_segment *segment;
};

#define TD_READER_DOZES UINT64_MAX

struct td_journal {
    char dir[TD_LOG_DIR_MAX];
    struct td_journal_options options;
    uint32_t epoch;
    uint64_t seed, all_key, kept_key; /* of `**`, and td_kept_key */
    uint64_t created_ms;
    int lock_file;

    _Atomic uint64_t head, durable, horizon;
    _Atomic int health;
    _Atomic uint64_t appended, synced_batches, trimmed_segments, slimmed_segments, append_failures,
        sync_failures;
    struct td_histogram sync_times;

    struct td_mutex lock;
    struct td_segment *open; /* NULL until the first append after opening or a roll */
    uint64_t last_seq;       /* the last given and written */
    uint64_t jump_to;        /* the open segment will say that up to here may be lost; 0: nothing */
    uint64_t skip_to;        /* as in the head file */
    bool head_stored;        /* the head file says that this run has written */
    bool sync_failed;
    uint64_t synced_events; /* of `appended` */
    td_ns retry_at;         /* not before this is a full disk tried again by an append */
    td_ns look_at;          /* nor before this, while health is bad, by the keeper */
    char *staging;          /* the batch being built */
    size_t staging_cap;
    struct td_plan *plan; /* a line for each of its drafts */
    size_t plan_cap;
    struct td_dedup dedup;
    struct td_state_event
        *keyed; /* the drafts that have a key, of the batch that is being appended */
    size_t n_keyed, keyed_cap;
    struct td_ephemeral *ephemeral; /* has a lock of its own, taken last */

    struct td_state state;
    _Atomic uint64_t state_lost;
    struct td_mutex index_lock;
    struct td_mutex trimmed_lock;
    struct td_trimmed trimmed;
    _Atomic uint64_t trimmed_top; /* as in it, … */
    _Atomic uint32_t trims;       /* … and this */
    bool trimmed_dirty;           /* of the keeper */
    td_ns retain_after;           /* of the keeper: it has failed, and is tried again then */
    td_ns recheck_at;             /* likewise: looks then for what is kept in vain */
    struct td_groups groups;
    _Atomic uint64_t group_horizons[TD_GROUPS]; /* see td_group_stat */

    _Atomic(struct td_set *) set;
    _Atomic uint64_t generation;
    struct td_mutex readers_lock;
    struct td_list readers;
    struct td_retired *retired;

    struct td_thread committer, keeper;
    bool running;
    bool stopping;                /* lock */
    struct td_cond commit_wanted; /* lock */
    bool committer_idle;          /* lock */
    struct td_mutex keeper_lock;
    struct td_cond keeper_wanted;
    bool keeper_called, keeper_stopping; /* keeper_lock */
};

struct td_journal_reader {
    struct td_list node;
    struct td_journal *journal;
    void (*wake)(void *arg);
    void *arg;
    uint64_t heard;        /* ephemeral events up to here */
    _Atomic uint64_t seen; /* the generation at its last quiesce, or TD_READER_DOZES */
    struct td_cursor *cursors, **heap;
    size_t cursors_cap;
};

/* commit.c */
void td_journal_wake_readers(struct td_journal *journal);
void td_journal_call_keeper(struct td_journal *journal);
/* A sync has failed (append lock). */
void td_journal_fail(struct td_journal *journal);

/* health.c.  Notes what writing has come to (append lock), and returns what the caller is told. */
TD_MUST_USE int td_journal_note_health(struct td_journal *journal, int r);
/* Of the keeper: while the disk is said to be full or failing, tries about once a second whether it is well again, so that the log is
 * ready again also when nobody appends. */
void td_journal_look_at_disk(struct td_journal *journal);
/* The file that this takes; it is there for a moment only, or after a crash. */
#define TD_PROBE_NAME "probe"

/* roll.c, all under the append lock.  Ends the open segment, so that the next append begins another. */
void td_journal_roll(struct td_journal *journal);
/* Makes sure that `bytes` can be written to the open segment; `first_seq` is what comes next. */
TD_MUST_USE int td_journal_make_room(struct td_journal *journal, uint64_t first_seq,
                                     uint64_t bytes);
/* Cuts off what a failed write left behind, and ends the segment. */
void td_journal_write_failed(struct td_journal *journal);
/* The sequence of the last record of a topic, 0 when the log has none. */
uint64_t td_journal_last_of(struct td_journal *journal, struct td_slice topic);

/* reclaim.c: replaces the set of segments (append lock); what goes is freed once no reader can look at it. */
struct td_set *td_set_new(size_t n, uint64_t horizon);
/* The last sequence up to which the segments reach. */
uint64_t td_set_last(const struct td_set *set);
void td_set_publish(struct td_journal *journal, struct td_set *set, struct td_segment *dropped);
/* Frees what all readers have passed; whether something was. */
bool td_journal_reclaim(struct td_journal *journal);
/* The current set, for a reader that is registered as awake. */
const struct td_set *td_reader_set(struct td_journal_reader *reader);

/* head.c */
TD_MUST_USE int td_head_store(struct td_journal *journal, bool clean);

/* recover.c: reads the directory and fills the journal. */
TD_MUST_USE int td_journal_recover(struct td_journal *journal, struct td_journal_report *report);

/* keeper.c: seals one full segment all of which is durable.  1, 0 when there is none, or an error. */
int td_journal_seal_step(struct td_journal *journal);
