/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: the durable log of all events, one order for all topics.
 *
 * Segments of records (record.h) are appended under one mutex with pwrite and mapped for reading.  One thread, the
 * committer, syncs what has gathered and moves the durable head; another, the keeper, writes the index of a
 * full segment, trims what retention lets go, and verifies old segments before they are read.  In the
 * simulator the same steps are called by hand.
 *
 * Every worker thread opens a reader.  What a read returns points into the mappings and is good until that
 * reader says td_journal_quiesce (or dozes): segments go when every reader has passed them.
 *
 * docs/journal.md describes the files. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/histogram.h"
#include "base/position.h"
#include "base/slice.h"
#include "base/topic.h"
#include "base/units.h"
#include "journal/record.h"
#include <stdbool.h>

struct td_journal;
struct td_journal_reader;

enum td_durability {
    TD_DURABILITY_FSYNC, /* read and acknowledged once on disk */
    TD_DURABILITY_FAST,  /* read and acknowledged once written, synced every 50 ms */
};

/* Who gives the sequence.  Alone, the journal does (NULL); in a cluster, the stream.  Called under the append
 * mutex with the last sequence given; gives the first of `n` increasing by one, greater than `last`. */
struct td_sequencer {
    int (*take)(struct td_sequencer *sequencer, uint64_t last, size_t n, uint64_t *ret_first);
};

/* Topics that are kept for a time of their own, so that others cannot push them out.  A topic is of the first group that has a
 * pattern which matches it; without one, of the group that the options themselves describe. */
#define TD_GROUPS_MAX         16
#define TD_GROUP_PATTERNS_MAX 64
struct td_retention_group {
    struct td_slice name; /* not empty; each once */
    const struct td_slice *patterns;
    size_t n_patterns;
    uint64_t retain_bytes, retain_ms, state_ttl_ms; /* as below */
};

struct td_journal_options {
    const char *dir;
    enum td_durability durability;
    uint64_t segment_bytes; /* 64 MiB when 0; a batch must fit into one */
    /* Of the topics of no group (with their part of the indexes); 0: no bound.  What stays for the sake of state is not counted. */
    uint64_t retain_bytes;
    uint64_t retain_ms;                      /* likewise */
    const struct td_retention_group *groups; /* copied */
    size_t n_groups;
    uint64_t dedup_window_ms; /* 24 h when 0 */
    size_t dedup_max;         /* keys remembered; 262,144 when 0; the oldest go first */
    size_t trimmed_max; /* topics and prefixes remembered singly when trimmed; 262,144 when 0 */
    uint64_t
        state_ttl_ms; /* state whose last event is older is not kept; 0: kept until it is removed */
    size_t state_keys_max; /* keys with state, of all topics; 1,000,000 when 0 */
    size_t topic_keys_max; /* of one topic; 10,000 when 0 */
    bool read_only;        /* for tools: no lock, no repair, nothing written; append is refused */
    struct td_sequencer *sequencer;
};

/* What opening found, for the log line and `tidings log stat`. */
struct td_journal_report {
    uint64_t segments, records_scanned, bytes;
    uint64_t cut_bytes;   /* of a torn tail, never acknowledged */
    uint64_t cut_records; /* whole records among them (of an unfinished batch) */
    uint64_t damaged_ranges;
    bool unclean; /* the log was not closed; the sequence has jumped ahead */
    bool created;
};

/* Opens the log of a directory, making it when absent (not with read_only).  Reads the index of each segment and the records of
 * the last one only.  -EAGAIN when another process has it open. */
TD_MUST_USE int td_journal_open(const struct td_journal_options *options,
                                struct td_journal **ret_journal,
                                struct td_journal_report *ret_report);
/* Syncs, seals and closes.  All readers must be closed, threads stopped. */
void td_journal_close(struct td_journal *journal);
/* Frees memory only, as after a crash: nothing is written.  For the simulator. */
void td_journal_abandon(struct td_journal *journal);

/* Starts and stops the committer and the keeper. */
TD_MUST_USE int td_journal_start(struct td_journal *journal);
void td_journal_stop(struct td_journal *journal);
/* One step of each, for the simulator and tests.  1 when something was done, 0 when there was nothing to do, or an error. */
int td_journal_commit_step(struct td_journal *journal);
int td_journal_keep_step(struct td_journal *journal);

/* ---- appending: any thread ---- */

struct td_draft {
    struct td_slice topic, type; /* valid (topic.h); `type` is one legal segment */
    struct td_slice key;         /* empty, or 1 to 128 bytes of the topic alphabet and '/' */
    struct td_slice data;        /* one checked JSON value; CR and LF in it become spaces */
    struct td_slice actor;       /* a raw JSON string with its quotes, or empty */
    struct td_slice origin;      /* likewise */
    struct td_slice dedup;       /* empty: none; scoped by dedup_scope (the subject) */
    struct td_slice dedup_scope;
    enum td_class class; /* not TD_CLASS_EPHEMERAL; TD_CLASS_APPEND only with a key */
    bool begins_text;    /* of TD_CLASS_APPEND: its offset is 0 */
    bool clears; /* its key has no state any more, as with `data` null, but `data` is told */
    /* What a repeat has to say again, where the server makes type, key and data of it; ptr NULL: those three themselves. */
    struct td_slice said;
};

/* An array of drafts is atomic, also across a crash. */
struct td_batch {
    const struct td_draft *drafts;
    size_t n;
    /* Idempotency of the whole batch: each draft without a dedup of its own gets one made of this key and its index; the
     * number of drafts counts as content. */
    struct td_slice dedup, dedup_scope;
    /* When set: refuse with TD_ECONFLICT unless the last record of `expect_topic` (durable or not) has sequence
     * `expect_seq` (0: there is none in the log). */
    struct td_slice expect_topic;
    uint64_t expect_seq;
    bool expect;
};

/* Appends; `ret_seqs` gets the sequence of each draft, an older one for what the dedup window knows.  On success
 * the events are in the log but not yet durable: wait for td_journal_readable to reach the greatest of the sequences.
 * Errors, none of which leaves a trace: TD_ETOOLARGE (a record or batch does not fit a segment), TD_ESTATEKEYS,
 * TD_ETOPICKEYS, TD_ETEXTCHUNKS (it would leave more state than is kept), TD_ECONFLICT,
 * TD_EMISMATCH (a dedup key with other content), TD_EFULL (the disk), TD_ELOGFAILED (a sync has failed), TD_EUNAVAILABLE (a
 * million events wait for the disk), or -errno. */
TD_MUST_USE int td_journal_append(struct td_journal *journal, const struct td_batch *batch,
                                  uint64_t *ret_seqs);

/* What is known of a batch by its dedup keys: `ret_seqs` gets what td_journal_append would answer for the drafts that it would not
 * append, and 0 for the others.  Looks at their topics, dedup keys and `said` alone where they have one.  0, or TD_EMISMATCH. */
TD_MUST_USE int td_journal_known(struct td_journal *journal, const struct td_batch *batch,
                                 uint64_t *ret_seqs);
/* The sequence of the last record of a topic, durable or not; 0 when the log has none.  What td_batch.expect_seq is compared with. */
uint64_t td_journal_last(struct td_journal *journal, struct td_slice topic);

/* ---- heads: any thread ---- */

uint32_t td_journal_epoch(const struct td_journal *journal);
/* The seed of this log's topic keys. */
uint64_t td_journal_seed(const struct td_journal *journal);
/* The last sequence that may be shown and acknowledged: the durable head, or with `fast` the head. */
uint64_t td_journal_readable(const struct td_journal *journal);
uint64_t td_journal_durable(const struct td_journal *journal);
/* The last sequence appended, durable or not. */
uint64_t td_journal_head(const struct td_journal *journal);
/* Everything at or before this has been trimmed, but for what is kept as state; 0 when nothing has. */
uint64_t td_journal_horizon(const struct td_journal *journal);
/* Whether durability is `fast`: what is acknowledged may not be on disk yet. */
bool td_journal_is_fast(const struct td_journal *journal);
/* 0 when the log can be written; TD_EFULL, or TD_EUNAVAILABLE when a write has failed otherwise: until an append succeeds or the
 * keeper, which tries once a second, finds the disk well again; TD_ELOGFAILED: until the restart. */
int td_journal_health(const struct td_journal *journal);

struct td_journal_stat {
    uint64_t appended, synced_batches, segments, bytes, trimmed_segments, dedup_keys;
    uint64_t append_failures, sync_failures;
    uint64_t head, durable, horizon;
    uint64_t state_keys, state_topics,
        state_bytes;           /* keys with state, their topics, and the memory that takes */
    uint64_t slimmed_segments; /* that were written anew, without what nothing retains any more */
    uint64_t state_lost; /* records of it that readers were not given, because they are damaged */
};
void td_journal_stat(struct td_journal *journal, struct td_journal_stat *ret_stat);
/* How long syncs took. */
const struct td_histogram *td_journal_sync_times(const struct td_journal *journal);

struct td_group_stat {
    struct td_slice name; /* empty: the topics of no group */
    uint64_t bytes;       /* of its records in sealed segments, as far as they have been counted */
    uint64_t horizon;     /* none of its records at or before this is history any more */
};
/* How many groups there are with that of no name, which is the first. */
size_t td_journal_groups(const struct td_journal *journal);
void td_journal_group_stat(struct td_journal *journal, size_t group,
                           struct td_group_stat *ret_stat);

/* ---- reading: one reader a thread ---- */

/* `wake` is called (by any thread) when the readable head moved, a segment became readable, or the log failed. */
TD_MUST_USE int td_journal_reader_open(struct td_journal *journal, void (*wake)(void *arg),
                                       void *arg, struct td_journal_reader **ret_reader);
void td_journal_reader_close(struct td_journal_reader *reader);
/* Says that nothing read before is still used; once in each turn of the loop.  `doze`: until the next call
 * this thread will not read at all (it is about to sleep), so segments may go without it. */
void td_journal_quiesce(struct td_journal_reader *reader, bool doze);

/* A pattern as the journal looks for it. */
struct td_wanted {
    uint64_t key; /* td_pattern_key with this journal's seed */
    struct td_slice pattern;
    bool exact;
};

enum td_read_end {
    TD_READ_DONE,   /* everything at or before `until` has been looked at */
    TD_READ_BUDGET, /* a maximum was reached; go on after `position` */
    TD_READ_COLD,   /* the next segment is being read in and verified; `wake` will be called */
    TD_READ_GAP, /* what lies up to `gap_to` can't be had; tell, then go on after it (but see td_read.told) */
};

enum td_gap_reason {
    TD_GAP_RETENTION,
    TD_GAP_EPOCH, /* never from the journal: the caller sees it in the position */
    TD_GAP_UNSYNCED,
    TD_GAP_DAMAGED,
};
#define TD_GAP_REASONS 4

/* Of which gaps of retention a reader need not be told (any more): of what is gone up to `upto`, if it went with one of the first
 * `trims` times that something was let go in this run. */
struct td_told {
    uint64_t upto;
    uint32_t trims;
};
#define TD_TRIMS_ALL UINT32_MAX

/* As of one who has been told a gap up to there: that says of whatever goes in it that it is gone. */
static inline struct td_told td_told_upto(uint64_t seq)
{
    return (struct td_told){seq, TD_TRIMS_ALL};
}

struct td_read {
    /* in */
    const struct td_wanted *wanted;
    size_t n_wanted;
    uint64_t after;       /* a position: the first record returned is the first behind it */
    uint64_t until;       /* at most td_journal_readable */
    const char **records; /* room for records_max, filled in order of sequence, each once */
    size_t records_max;
    size_t bytes_max;    /* of frames, but at least one record is given; 0: no bound */
    size_t examined_max; /* of records looked at; 0: no bound */
    /* What retention drops is no prefix of the log: among what is gone lies what was kept.  So such a gap (TD_GAP_RETENTION) leaves
     * `position` where it is: the caller tells it, remembers td_told_upto(gap_to) here, and reads on from the same position.  Who
     * begins at the oldest that there is, and so has missed nothing, begins with td_journal_told. */
    struct td_told told;
    /* out */
    size_t n;
    size_t examined;   /* how many records were looked at */
    uint64_t position; /* everything at or before it has been given */
    enum td_read_end end;
    uint64_t gap_from,
        gap_to; /* with TD_READ_GAP; of retention it may begin behind `position`, where the last one ended */
    enum td_gap_reason gap_reason;
};

/* The next records of some patterns after a position.  The cost is that of what is returned, plus a few lookups
 * for each segment passed over.  Records that were gathered before a gap are returned first. */
void td_journal_read(struct td_journal_reader *reader, struct td_read *read);

/* The record of a sequence, of the history or kept as state, durable or not: 1; 0 when there is none (any more); -EAGAIN: its segment
 * is being read in, and `wake` will be called. */
TD_MUST_USE int td_journal_at(struct td_journal_reader *reader, uint64_t seq,
                              struct td_record *ret_record);

/* As of one who begins at the oldest that there is of some patterns: is told of nothing that is gone by now, but of what goes from now
 * on before he has read it. */
struct td_told td_journal_told(struct td_journal_reader *reader, const struct td_wanted *wanted,
                               size_t n_wanted);
/* Whether anything of the pattern after `after` has been trimmed.  May say yes wrongly, never no. */
bool td_journal_trimmed_after(struct td_journal_reader *reader, const struct td_wanted *wanted,
                              uint64_t after);
/* Finds where the newest `records_max` records of some patterns at or before `until` begin: reading after `position` gives exactly
 * those (it is the horizon when there are fewer, and stops before what is damaged).  Uses `wanted`, `n_wanted`,
 * `until`, `records_max` and `examined_max`; sets `position`, `examined` and `end`: TD_READ_DONE, TD_READ_BUDGET
 * (examined_max was reached: fewer will come), or TD_READ_COLD (ask again after the wake). */
void td_journal_newest(struct td_journal_reader *reader, struct td_read *read);

/* ---- state: the retained latest event of each topic and key ---- */

/* Where a walk over the state stands; zero it to begin. */
struct td_state_cursor {
    uint64_t chain; /* of the topic below: what begins before this has been given, … */
    uint64_t seq;   /* … and of what begins there, the sequences up to this one */
    uint8_t topic_len;
    char topic[TD_TOPIC_LEN_MAX];
};

struct td_state_read {
    /* in */
    const struct td_wanted *wanted;
    size_t n_wanted;
    uint64_t as_of; /* the state as of this position: at most td_journal_readable */
    const char **records;
    size_t records_max, bytes_max; /* as in td_read */
    size_t topics_max;             /* topics looked at; 0: no bound */
    /* in and out */
    struct td_state_cursor *cursor;
    /* out */
    size_t n;
    enum td_read_end end; /* DONE; BUDGET or COLD (`wake` will be called): go on with the cursor */
};

/* The next records of the state of some patterns: topic by topic in the order of their names, in each the keys in the order in which
 * what they hold began, of a key of class `append` the chunks one behind the other.  Each topic and key is given once although
 * several patterns match it.  What has changed after `as_of` may be left out: the change comes with the log. */
void td_journal_state(struct td_journal_reader *reader, struct td_state_read *read);
