/* SPDX-License-Identifier: Apache-2.0 */
/* Letting go of what retention does not keep.  All of the keeper. */
#pragma once

#include "journal/internal.h"

/* The topics of which history goes with (a part of) a segment. */
struct td_gone_topic {
    uint32_t group;
    uint32_t offset; /* of the last record of it that goes */
};
struct td_gone {
    struct td_map topics; /* from td_topic_key to struct td_gone_topic */
};

/* A segment that is to be written anew. */
struct td_slim {
    struct td_journal *journal;
    const struct td_set *set;
    size_t at; /* its place there */
    struct td_segment *segment;
    unsigned going; /* a bit for each group whose history goes */
    uint64_t bytes; /* of the records that stay */
    struct td_gone gone;
    td_unix_ms now;
    struct td_map groups; /* from td_topic_key to uint32_t, of topics that have been looked at */
};

/* slim.c.  Looks at a hot segment: what goes, and how much stays. */
void td_slim_plan(struct td_slim *slim, struct td_journal *journal, const struct td_set *set,
                  size_t at, unsigned going);
void td_slim_done(struct td_slim *slim);
/* Writes it anew and puts it into its place in the set.  1, 0 when there is nothing to be gained, or an error: then all is as it
 * was, but for the table of what was trimmed, which may say too much. */
TD_MUST_USE int td_slim_write(struct td_slim *slim);

/* The set as the keeper may use it until it reclaims: only the appender and the keeper itself replace sets, and segments go by
 * the keeper's hand. */
const struct td_set *td_keeper_set(struct td_journal *journal);
/* Notes what goes of a segment; `whole`: all of it does. */
void td_journal_note_trimmed(struct td_journal *journal, const struct td_segment *segment,
                             const struct td_gone *gone, bool whole);
TD_MUST_USE int td_journal_store_trimmed(struct td_journal *journal);
/* One step; 1 when something was done. */
int td_journal_retain_step(struct td_journal *journal);
/* keeper.c: reads a cold segment in. */
void td_journal_make_hot(struct td_journal *journal, struct td_segment *segment);
