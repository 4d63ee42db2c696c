/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets of several keys in one segment, merged in order. */
#pragma once

#include "journal/internal.h"

#define TD_CURSOR_CHUNK 60

/* Where a pattern stands in the offsets under its key: in the index file itself, or in a copy of the next few while the index is in
 * memory (it grows, and the appender's lock is held only to copy). */
struct td_cursor {
    const uint32_t *at, *end;
    uint32_t which; /* of the wanted patterns */
    bool more;      /* `end` is that of the copy only */
    uint32_t chunk[TD_CURSOR_CHUNK];
};

struct td_merge {
    struct td_journal *journal;
    struct td_segment *segment;
    const struct td_wanted *wanted;
    struct td_cursor **heap; /* the least offset first */
    size_t n;
};

/* Begins at the first offset at or behind `from`.  Uses the reader's memory: one merge at a time. */
void td_merge_init(struct td_merge *merge, struct td_journal_reader *reader,
                   struct td_segment *segment, const struct td_read *read, uint32_t from);
void td_merge_advance(struct td_merge *merge);

static inline bool td_merge_empty(const struct td_merge *merge)
{
    return merge->n == 0;
}

static inline uint32_t td_merge_first(const struct td_merge *merge)
{
    return *merge->heap[0]->at;
}

/* The pattern that the first offset was found under. */
static inline uint32_t td_merge_which(const struct td_merge *merge)
{
    return merge->heap[0]->which;
}

/* Whether a record that was found under a pattern's key is of the pattern.  An exact key is a hash all the same: what is
 * given out has been compared. */
bool td_wanted_matches(const struct td_wanted *wanted, struct td_slice topic);
/* The first damage that a reader at `position` has before it or is in; NULL when there is none. */
const struct td_damage *td_segment_damage_after(const struct td_segment *segment,
                                                uint64_t position);
/* The offset of the first record filed under a key behind `position` in the sound stretch that ends at `to`; `to` when there is none. */
uint32_t td_segment_offset_after(struct td_journal *journal, const struct td_segment *segment,
                                 uint64_t key, uint64_t position, uint32_t to);
/* Whether a segment's records may be looked at; if not, the keeper has been asked for them. */
bool td_segment_warm(struct td_journal *journal, struct td_segment *segment);
/* The segment to begin with for what comes after a position (read.c). */
size_t td_set_find(const struct td_set *set, uint64_t after);

/* What a reader may do with a segment. */
enum td_entry {
    TD_ENTRY_READ, /* look at its records */
    TD_ENTRY_PASS, /* nothing wanted is in it: go on */
    TD_ENTRY_COLD, /* wait for the keeper, which has been asked */
};

/* Asks for as little of a segment as is needed: the index, which is small, and the records only when it says that something wanted
 * is behind the position `after`. */
enum td_entry td_segment_enter(struct td_journal *journal, struct td_segment *segment,
                               const struct td_read *read, uint64_t after);
