/* SPDX-License-Identifier: Apache-2.0 */
/* What has been trimmed: for each key the last sequence that went, in a table with a maximum for each retention group.  When a table is
 * full the lower half of it goes, and a floor says for all keys that are not in it what may have been: for the topics of that
 * group only, so that bulk output, of which much goes, raises it for nobody else.  It errs to the loud side.
 *
 * What was said of a group that is not configured any more, or with other patterns, is held in one table more, of which everybody is asked.
 *
 * Each says also with which trim it was, so that who has begun with the oldest can be told of what has gone since (td_told).  What went
 * before this run went with none.
 *
 * And the holes that unclean stops have left before the segments that went: sequences that somebody may have seen and that are lost. */
#pragma once

#include "base/map.h"
#include "journal/format.h"
#include "journal/groups.h"

#define TD_TRIMMED_HOLES  32 /* then the two oldest become one */
#define TD_TRIMMED_COMMON TD_GROUPS

struct td_trimmed_mark {
    uint64_t seq;
    uint32_t trim;
};

struct td_trimmed_table {
    struct td_map map; /* to struct td_trimmed_mark */
    struct td_trimmed_mark floor;
};

struct td_trimmed {
    const struct td_groups *groups;
    struct td_trimmed_table tables[TD_GROUPS + 1];  /* of each group, then the common one */
    uint64_t horizon;                               /* of the segments that went whole */
    uint64_t top;                                   /* nothing behind it has been trimmed */
    uint32_t trims;                                 /* of this run */
    size_t max;                                     /* of each table */
    struct td_trimmed_hole holes[TD_TRIMMED_HOLES]; /* oldest first */
    size_t n_holes;
};

/* `max` keys in all groups. */
void td_trimmed_init(struct td_trimmed *trimmed, const struct td_groups *groups, size_t max);
void td_trimmed_done(struct td_trimmed *trimmed);
void td_trimmed_put(struct td_trimmed *trimmed, size_t group, uint64_t key, uint64_t seq);
/* Of any topic something up to `seq` may have been trimmed. */
void td_trimmed_raise(struct td_trimmed *trimmed, uint64_t seq);
/* The keys mean nothing any more (they had another seed): anything up to what was trimmed may have been. */
void td_trimmed_blur(struct td_trimmed *trimmed);
/* What may have been trimmed of some patterns, each of which is looked for with the same. */
struct td_trimmed_look {
    /* in */
    uint64_t after;
    uint32_t trims;
    /* in and out; zero before the first */
    uint64_t last; /* the last sequence */
    bool later;    /* something behind `after` with a later trim than the first `trims` */
};
void td_trimmed_look(const struct td_trimmed *trimmed, const struct td_wanted *wanted,
                     struct td_trimmed_look *look);
/* The segment that is trimmed says that the sequences after `prev_last` up to `lost_to` are lost. */
void td_trimmed_put_hole(struct td_trimmed *trimmed, uint64_t prev_last, uint64_t lost_to);
/* Where the hole ends that a position is in; 0 when it is in none. */
uint64_t td_trimmed_hole_end(const struct td_trimmed *trimmed, uint64_t position);
/* Writes the table to a file, atomically and durably; reads one (TD_EDAMAGED, or -errno; -ENOENT). */
TD_MUST_USE int td_trimmed_store(const struct td_trimmed *trimmed, uint32_t epoch, uint64_t seed,
                                 const char *path);
TD_MUST_USE int td_trimmed_load(struct td_trimmed *trimmed, const char *path, uint32_t *ret_epoch,
                                uint64_t *ret_seed);
