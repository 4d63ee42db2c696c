/* SPDX-License-Identifier: Apache-2.0 */
/* A crash may bring back the index of a segment that was removed, without the segment.  It does no harm, but they would gather.
 * So may it leave the file with which the disk was tried. */
#include "journal/recover.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

struct sweep {
    const struct td_recovery *recovery;
    uint64_t *stray;
    size_t n, cap;
};

static bool has_segment(const struct td_recovery *recovery, uint64_t seq)
{
    size_t low = 0, high = recovery->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (recovery->segments[middle]->header.first_seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < recovery->n && recovery->segments[low]->header.first_seq == seq;
}

static int note_index(const char *name, void *arg)
{
    struct sweep *sweep = arg;
    uint64_t seq;

    if (!td_segment_name(name, ".idx", &seq) || has_segment(sweep->recovery, seq))
        return 0;
    if (sweep->n == sweep->cap) {
        size_t cap = sweep->cap ? sweep->cap * 2 : 16;
        uint64_t *stray = realloc(sweep->stray, cap * sizeof(*stray));
        if (!stray)
            return -ENOMEM;
        sweep->stray = stray;
        sweep->cap = cap;
    }
    sweep->stray[sweep->n++] = seq;
    return 0;
}

void td_recover_sweep(const struct td_recovery *recovery)
{
    struct sweep sweep = {.recovery = recovery};
    const char *dir = recovery->journal->dir;
    char path[TD_LOG_PATH_MAX];

    if (recovery->journal->options.read_only)
        return;
    td_log_path(dir, TD_PROBE_NAME, path);
    int r = td_path_unlink(path);
    if (r == 0 || r == -ENOENT)
        r = td_dir_list(dir, note_index, &sweep);
    for (size_t i = 0; i < sweep.n && r == 0; i++) {
        td_segment_path(dir, sweep.stray[i], ".idx", path);
        r = td_path_unlink(path); /* what stays is met again */
    }
    free(sweep.stray);
}
