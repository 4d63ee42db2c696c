/* SPDX-License-Identifier: Apache-2.0 */
/* The retained state: what is the latest of each topic and key.
 *
 * An event with a key replaces what its topic and key had; with `data` null it removes it; a chunk of class `append` is added to the
 * text that is there, unless it begins one.  What one topic and key have is a chain: the sequences of the chunks of a
 * text, or of one event.  The table knows sequences only; the records lie in the log.
 *
 * What has been appended is not on disk yet, and may never be.  So a chain stays until one that has replaced it is durable, and
 * a reader as of a position finds the last chain that began at or before it.
 *
 *   topics in the order of their names:   a ─── a/b ─── b          (a skip list, so that a prefix is a range)
 *                                          │
 *                 chains by where they begin: 3 9 12 40             (an array; a chain that has gone leaves a hole for a while)
 *                                             │
 *                     entry, by the hash of topic and key: 9 10 11 │ 57    (chains one after the other, the last is the newest)
 *
 * One mutex of its own guards it; all functions may be called by any thread but where something else is said. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/topic.h"
#include "journal/groups.h"
#include "journal/index.h"
#include "journal/journal.h"
#include "os/thread.h"

#define TD_STATE_CHUNKS_MAX 262144 /* of one text */
#define TD_STATE_LEVELS     20     /* of the skip list: each holds a quarter of the one below */

/* One event of a chain; or that what was there is removed. */
struct td_state_link {
    uint64_t seq : 62;
    uint64_t begins : 1; /* a chain */
    uint64_t removes : 1;
};

/* What one topic and key have. */
struct td_state_entry {
    uint64_t key[2];
    struct td_state_entry *same; /* another one with the same first half of the key */
    struct td_state_topic *topic;
    struct td_list by_age;  /* among those of its group, in the order of the last update */
    struct td_list pending; /* among those with more than one chain */
    td_unix_ms time;        /* of the last event */
    struct td_state_link *links, one;
    uint32_t n, cap; /* of the links; cap 0: there is room for `one` only */
    uint32_t last;   /* where the newest chain begins, or the removal stands */
    bool append;     /* the last event is of class `append` */
};

/* A place among the chains of a topic. */
struct td_state_slot {
    uint64_t seq;                 /* with which the chain begins */
    struct td_state_entry *entry; /* NULL: it has gone */
};

struct td_state_topic {
    size_t n_keys, n_entries;    /* entries that hold something; all */
    unsigned group;              /* for how long they are kept */
    struct td_state_slot *slots; /* ascending */
    size_t n_slots, slots_cap, gone;
    uint8_t len, levels;
    struct td_state_topic *next[]; /* `levels` of them, then the text */
};

struct td_state {
    struct td_mutex mutex;
    struct td_map map; /* from the first half of the key to struct td_state_entry * */
    struct td_state_topic *head[TD_STATE_LEVELS];
    struct td_list by_age[TD_GROUPS], pending;
    const struct td_groups *groups;
    uint64_t seed;
    size_t keys_max, topic_keys_max;
    size_t n_keys, n_topics, bytes;
};

/* What an event with a key does. */
struct td_state_event {
    uint64_t key[2]; /* td_state_hash */
    struct td_slice topic;
    uint64_t seq;
    td_unix_ms time;
    bool append, begins, removes;
};

void td_state_init(struct td_state *state);
void td_state_done(struct td_state *state);
/* Before it is used: the log's seed, and the limits. */
void td_state_setup(struct td_state *state, uint64_t seed, const struct td_groups *groups,
                    const struct td_journal_options *options);
/* Fills in what is said of state. */
void td_state_stat(struct td_state *state, struct td_journal_stat *stat);

/* The hash of a topic and a key. */
void td_state_hash(uint64_t seed, struct td_slice topic, struct td_slice key, uint64_t ret_key[2]);
/* The flags of the record of a draft that say what it does to the state, and its class. */
unsigned td_state_flags(const struct td_draft *draft);
/* What a record with a key does. */
void td_state_event_of(uint64_t seed, const struct td_record *record,
                       struct td_state_event *ret_event);

/* Whether events may be appended together: 0, TD_ESTATEKEYS, TD_ETOPICKEYS or TD_ETEXTCHUNKS.  Their sequences do not matter.  Says
 * of chunks that have nothing to continue that they begin something: their records will, so that this does not depend on what
 * is left of the log. */
TD_MUST_USE int td_state_check(struct td_state *state, struct td_state_event *events, size_t n);
/* Takes events in that have been written, in order; `durable` is how far the log is on disk. */
void td_state_apply(struct td_state *state, const struct td_state_event *events, size_t n,
                    uint64_t durable);
/* Forgets chains that have been replaced by what is durable now, and what is too old; a bounded number of them.  Whether
 * there was something. */
bool td_state_settle(struct td_state *state, uint64_t durable, td_unix_ms now);

/* Whether an event is one that readers may have to be given, or hides one that is. */
bool td_state_needs(struct td_state *state, const struct td_state_event *event, td_unix_ms now);
/* Whether a topic and key has something. */
bool td_state_has(struct td_state *state, const uint64_t key[2], td_unix_ms now);
/* How many of some sequences of a topic and key are needed. */
uint64_t td_state_live(struct td_state *state, const uint64_t key[2], const uint64_t *seqs,
                       size_t n, td_unix_ms now);

/* At the start, one thread: takes in what segments leave, the oldest first, then puts it in order. */
void td_state_load(struct td_state *state, const struct td_index_state *part, struct td_slice topic,
                   const uint64_t *seqs);
void td_parts_load(struct td_state *state, const struct td_parts *parts, const char *segment);
void td_state_loaded(struct td_state *state);

/* What of the state is next for a reader. */
struct td_state_pick {
    uint64_t chain, seq;
};
struct td_state_walk {
    const struct td_wanted *wanted;
    size_t n_wanted;
    uint64_t as_of;
    td_unix_ms now;
    size_t topics_left; /* that may be looked at */
    bool ended;         /* there is nothing more */
    struct td_state_cursor *cursor;
};
/* The next picks, all of the topic at the cursor, which is moved to that topic but not past what is given: the caller does that
 * as it takes them.  0: it has ended, or `topics_left` is used up. */
size_t td_state_walk(struct td_state *state, struct td_state_walk *walk,
                     struct td_state_pick *ret_picks, size_t max);
