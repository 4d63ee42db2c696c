/* SPDX-License-Identifier: Apache-2.0 */
/* What of a segment belongs to whom: the parts of the retention groups, and what each leaves of the state.  Of the keeper. */
#pragma once

#include "journal/internal.h"

/* The sound records of a segment, in order; history and what is kept for the sake of state.  The segment must be hot. */
struct td_each {
    const struct td_segment *segment;
    struct td_offsets history, kept;
    size_t damage;
};
void td_each_init(struct td_each *each, struct td_journal *journal,
                  const struct td_segment *segment);
/* False when there are no more. */
bool td_each_next(struct td_each *each, struct td_record *ret_record, uint32_t *ret_offset);

/* Counts the parts of the groups, and what is kept. */
void td_account(struct td_journal *journal, struct td_segment *segment);
/* Takes them from the index file; false when they were counted for other groups. */
bool td_account_load(struct td_journal *journal, struct td_segment *segment);
/* The bytes of a group, with its part of the index. */
uint64_t td_account_bytes(const struct td_segment *segment, size_t group);

/* The last event that a segment has of a topic and key: its sequence; 0: none. */
uint64_t td_segment_last_of_key(struct td_journal *journal, const struct td_segment *segment,
                                const uint64_t key[2]);
/* Of what a segment leaves of the state, how many events readers may still be given, and how many there are. */
void td_account_live(struct td_journal *journal, const struct td_segment *segment,
                     uint64_t *ret_live, uint64_t *ret_all);
