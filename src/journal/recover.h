/* SPDX-License-Identifier: Apache-2.0 */
/* What opening a log finds and decides. */
#pragma once

#include "journal/head.h"
#include "journal/internal.h"

/* What makes a log this one. */
struct td_identity {
    uint32_t epoch;
    uint64_t seed;
};

struct td_recovery {
    struct td_journal *journal;
    struct td_journal_report *report;
    struct td_head_file head;
    bool has_head, has_trimmed;
    struct td_segment **segments; /* oldest first */
    size_t n, cap;
    size_t
        n_sealed; /* the first so many have their index, or stand before one that has: all of it was durable */
    uint64_t durable;  /* up to here the head file says that everything was on disk */
    uint64_t last_seq; /* of the last record kept */
    uint64_t synced;   /* up to here the records themselves say so */
    size_t n_kept;     /* segments behind so many are no part of the log */
};

/* identity.c: epoch and seed from the head file, else from whatever else holds them (`trimmed` is what that file does), else new. */
void td_recover_identity(struct td_recovery *recovery, const struct td_identity *trimmed);
/* load.c: fills the journal from the segments, and hands them over to its set. */
void td_recover_load(struct td_recovery *recovery);
/* sweep.c: removes the indexes whose segments are gone. */
void td_recover_sweep(const struct td_recovery *recovery);
/* tail.c: reads the segments from `n_sealed` on, which have no index yet: indexes what is sound, tells damage from a torn
 * tail, and says with `n_kept` what is to be kept. */
void td_recover_tail(struct td_recovery *recovery);
