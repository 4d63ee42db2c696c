/* SPDX-License-Identifier: Apache-2.0 */
/* What was published under a dedup key, for as long as the window and the maximum allow; the oldest go first. */
#pragma once

#include "base/map.h"
#include "journal/format.h"
#include "journal/journal.h"

struct td_dedup {
    struct td_map map; /* from the first half of the key's hash */
    uint64_t *ring;    /* first halves in order of arrival; a place used again names the newer */
    uint64_t *ring_seqs;
    size_t ring_cap, ring_head, ring_len, max;
    uint64_t window_ms;
    uint64_t seed;
};

void td_dedup_init(struct td_dedup *dedup, uint64_t seed, size_t max, uint64_t window_ms);
void td_dedup_done(struct td_dedup *dedup);
/* The hashes of draft `i` of a batch.  False when it has no dedup key. */
bool td_dedup_hash(const struct td_dedup *dedup, const struct td_batch *batch, size_t i,
                   struct td_record_dedup *ret_hash);
/* The sequence that the key had, 0 when it is not known (any more), or TD_EMISMATCH. */
int64_t td_dedup_find(const struct td_dedup *dedup, const struct td_record_dedup *hash,
                      td_unix_ms now);
void td_dedup_add(struct td_dedup *dedup, const struct td_index_dedup *entry);
