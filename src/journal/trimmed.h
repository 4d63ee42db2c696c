/* SPDX-License-Identifier: Apache-2.0 */
/* What has been trimmed: for each key the last sequence that went, in a table with a maximum.  When it is full the lower half goes, and
 * a floor says for all keys that are not in it what may have been.  It errs to the loud side.
 *
 * And the holes that unclean stops have left before the segments that went: sequences that somebody may have seen and that are lost. */
#pragma once

#include "base/map.h"
#include "journal/format.h"

#define TD_TRIMMED_HOLES 32 /* then the two oldest become one */

struct td_trimmed {
    struct td_map map; /* to uint64_t */
    uint64_t horizon, floor;
    size_t max;
    struct td_trimmed_hole holes[TD_TRIMMED_HOLES]; /* oldest first */
    size_t n_holes;
};

void td_trimmed_init(struct td_trimmed *trimmed, size_t max);
void td_trimmed_done(struct td_trimmed *trimmed);
void td_trimmed_put(struct td_trimmed *trimmed, uint64_t key, uint64_t seq);
/* The last sequence filed under `key` that may have been trimmed; 0 when none. */
uint64_t td_trimmed_last(const struct td_trimmed *trimmed, uint64_t key);
/* The segment that is trimmed says that the sequences after `prev_last` up to `lost_to` are lost. */
void td_trimmed_put_hole(struct td_trimmed *trimmed, uint64_t prev_last, uint64_t lost_to);
/* Where the hole ends that a position is in; 0 when it is in none. */
uint64_t td_trimmed_hole_end(const struct td_trimmed *trimmed, uint64_t position);
/* Writes the table to a file, atomically and durably; reads one (TD_EDAMAGED, or -errno; -ENOENT). */
TD_MUST_USE int td_trimmed_store(const struct td_trimmed *trimmed, uint32_t epoch, uint64_t seed,
                                 const char *path);
TD_MUST_USE int td_trimmed_load(struct td_trimmed *trimmed, const char *path, uint32_t *ret_epoch,
                                uint64_t *ret_seed);
