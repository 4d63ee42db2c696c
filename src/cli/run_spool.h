/* SPDX-License-Identifier: Apache-2.0 */
/* What `tidings run` still owes the server: a first-in-first-out of entries, each a line of NDJSON, the oldest in
 * memory and, when that is full, the rest in an unlinked temporary file.
 *
 *     taken first                                      put last
 *     [ memory: the oldest lines ] [ file: a ring of disk_bytes_max ]
 *
 * The file's blocks go with the process, however it ends.  Not thread-safe. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"

struct td_run_spool;

struct td_run_spool_config {
    size_t memory_bytes_max; /* at least one entry */
    uint64_t disk_bytes_max; /* 0: memory only */
    const char *dir;         /* where the temporary file is made */
};

TD_MUST_USE int td_run_spool_new(const struct td_run_spool_config *config,
                                 struct td_run_spool **ret_spool);
void td_run_spool_free(struct td_run_spool *spool);

/* Bytes that wait. */
uint64_t td_run_spool_bytes(const struct td_run_spool *spool);

/* Puts one entry, which holds no LF, at the end.  Returns 0; TD_EFULL when the limits have no room for
 * it, or the error of the disk: nothing was put then, and the same put may be tried again. */
TD_MUST_USE int td_run_spool_put(struct td_run_spool *spool, struct td_slice entry);

struct td_run_batch {
    struct td_slice ndjson; /* each entry with its LF; good until the next put or drop */
    size_t n_entries;
};

/* The oldest entries: at most `entries_max` and as many as fit in `bytes_max`, but at least one.
 * Returns 1, 0 when nothing waits, or the error of the disk. */
TD_MUST_USE int td_run_spool_peek(struct td_run_spool *spool, size_t entries_max, size_t bytes_max,
                                  struct td_run_batch *ret_batch);
/* Forgets the first `bytes` bytes, the whole batch of an earlier peek. */
void td_run_spool_drop(struct td_run_spool *spool, size_t bytes);
