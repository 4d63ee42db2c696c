/* SPDX-License-Identifier: Apache-2.0 */
/* A crash may bring back the index of a segment that was removed, without the segment.  It does no harm, but they would gather.
 * So may it leave the file with which the disk was tried, and a segment that was being written anew. */
#include "journal/recover.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

struct sweep {
    const struct td_recovery *recovery;
    const char *extension; /* of what is looked for */
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

static int note_stray(const char *name, void *arg)
{
    struct sweep *sweep = arg;
    uint64_t seq;

    if (!td_segment_name(name, sweep->extension, &seq) ||
        (strcmp(sweep->extension, ".idx") == 0 && has_segment(sweep->recovery, seq)))
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

static int remove_strays(const struct td_recovery *recovery, const char *extension)
{
    struct sweep sweep = {.recovery = recovery, .extension = extension};
    const char *dir = recovery->journal->dir;
    char path[TD_LOG_PATH_MAX];
    int r = td_dir_list(dir, note_stray, &sweep);

    for (size_t i = 0; i < sweep.n && r == 0; i++) {
        td_segment_path(dir, sweep.stray[i], extension, path);
        r = td_path_unlink(path); /* what stays is met again */
    }
    free(sweep.stray);
    return r;
}

void td_recover_sweep(const struct td_recovery *recovery)
{
    char path[TD_LOG_PATH_MAX];

    if (recovery->journal->options.read_only)
        return;
    td_log_path(recovery->journal->dir, TD_PROBE_NAME, path);
    int r = td_path_unlink(path);
    if (r == 0 || r == -ENOENT)
        r = remove_strays(recovery, ".idx");
    if (r == 0)
        r = remove_strays(recovery, ".slim");
    if (r < 0)
        return; /* opening meets it again */
}
