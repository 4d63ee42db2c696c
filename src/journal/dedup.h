/* SPDX-License-Identifier: Apache-2.0 */
/* What was published under a dedup key, for as long as the window and the maximum allow; the oldest go first.
 *
 * The window is measured on the monotonic clock, so that a wall clock that is set does not end it, nor make it longer.  Only what is
 * read at a start has no other age than the wall clock's: what seems to be of the future counts as of that moment. */
#pragma once

#include "base/map.h"
#include "journal/format.h"
#include "journal/journal.h"

struct td_dedup {
    struct td_map map; /* from the first half of the key's hash */
    uint64_t *ring;    /* first halves in order of arrival; a place used again names the newer */
    uint64_t *ring_seqs;
    size_t ring_cap, ring_head, ring_len, max;
    td_ns window;
    uint64_t seed;
};

void td_dedup_init(struct td_dedup *dedup, uint64_t seed, size_t max, uint64_t window_ms);
void td_dedup_done(struct td_dedup *dedup);
/* The hashes of draft `i` of a batch.  False when it has no dedup key. */
bool td_dedup_hash(const struct td_dedup *dedup, const struct td_batch *batch, size_t i,
                   struct td_record_dedup *ret_hash);
/* The sequence that the key had, 0 when it is not known (any more), or TD_EMISMATCH. */
int64_t td_dedup_find(const struct td_dedup *dedup, const struct td_record_dedup *hash, td_ns now);
/* `age`: for how long it has been in the log. */
void td_dedup_add(struct td_dedup *dedup, const struct td_index_dedup *entry, td_ns age, td_ns now);
/* Whether a repeat would be answered with this entry. */
bool td_dedup_holds(const struct td_dedup *dedup, const struct td_index_dedup *entry, td_ns now);
