/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and asking. */
#include "journal/journal.h"
#include "base/assert.h"
#include "base/err.h"
#include "journal/internal.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

#define SEGMENT_BYTES   ((uint64_t)64 * TD_MIB)
#define DEDUP_WINDOW_MS (UINT64_C(24) * 3600 * 1000)
#define DEDUP_MAX       ((size_t)262144)
#define TRIMMED_MAX     ((size_t)262144)
#define STATE_KEYS_MAX  ((size_t)1000000)
#define TOPIC_KEYS_MAX  ((size_t)10000)

static int set_options(struct td_journal *journal, const struct td_journal_options *options)
{
    struct td_journal_options *own = &journal->options;
    size_t len = strlen(options->dir);

    if (len == 0 || len >= sizeof(journal->dir))
        return -ENAMETOOLONG;
    memcpy(journal->dir, options->dir, len + 1);
    *own = *options;
    own->dir = journal->dir;
    if (own->segment_bytes == 0)
        own->segment_bytes = SEGMENT_BYTES;
    if (own->dedup_window_ms == 0)
        own->dedup_window_ms = DEDUP_WINDOW_MS;
    if (own->dedup_max == 0)
        own->dedup_max = DEDUP_MAX;
    if (own->trimmed_max == 0)
        own->trimmed_max = TRIMMED_MAX;
    if (own->state_keys_max == 0)
        own->state_keys_max = STATE_KEYS_MAX;
    if (own->topic_keys_max == 0)
        own->topic_keys_max = TOPIC_KEYS_MAX;
    if (own->segment_bytes < TD_SEGMENT_MIN || own->segment_bytes > TD_SEGMENT_MAX ||
        own->segment_bytes % 8 != 0)
        return TD_EINVAL;
    return 0;
}

static int take_lock(struct td_journal *journal)
{
    char path[TD_LOG_PATH_MAX];

    if (journal->options.read_only)
        return 0;
    int r = td_dir_make(journal->dir);
    if (r < 0)
        return r;
    td_log_path(journal->dir, "lock", path);
    r = td_file_open(path, TD_FILE_READ | TD_FILE_WRITE | TD_FILE_CREATE);
    if (r < 0)
        return r;
    journal->lock_file = r;
    return td_file_lock(journal->lock_file);
}

static struct td_journal *journal_new(void)
{
    struct td_journal *journal = calloc(1, sizeof(*journal));

    TD_ASSERT(journal);
    journal->lock_file = -1;
    journal->groups.n = 1;
    td_mutex_init(&journal->lock);
    td_mutex_init(&journal->index_lock);
    td_mutex_init(&journal->trimmed_lock);
    td_mutex_init(&journal->readers_lock);
    td_mutex_init(&journal->keeper_lock);
    td_cond_init(&journal->commit_wanted);
    td_cond_init(&journal->keeper_wanted);
    td_list_init(&journal->readers);
    td_state_init(&journal->state);
    journal->ephemeral = td_ephemeral_new();
    return journal;
}

int td_journal_open(const struct td_journal_options *options, struct td_journal **ret_journal,
                    struct td_journal_report *ret_report)
{
    struct td_journal *journal = journal_new();
    struct td_journal_report report = {0};
    int r = set_options(journal, options);

    if (r == 0)
        r = td_groups_init(&journal->groups, options);
    journal->options.groups = NULL; /* they have been copied */
    td_trimmed_init(&journal->trimmed, &journal->groups, journal->options.trimmed_max);
    if (r == 0)
        r = take_lock(journal);
    if (r == 0)
        r = td_journal_recover(journal, &report);
    /* The epoch has to outlive a log that is never written to. */
    if (r == 0 && report.created && !journal->options.read_only)
        r = td_head_store(journal, true);
    if (r < 0) {
        td_journal_abandon(journal);
        return r;
    }
    *ret_journal = journal;
    *ret_report = report;
    return 0;
}

/* Writes all that a clean start wants to find.  Any failure only makes the next start look closer. */
static void settle(struct td_journal *journal)
{
    if (journal->sync_failed)
        return;
    while (td_journal_commit_step(journal) > 0)
        continue;
    td_mutex_lock(&journal->lock);
    td_journal_roll(journal);
    td_mutex_unlock(&journal->lock);
    while (td_journal_seal_step(journal) > 0)
        continue;
    bool durable = atomic_load(&journal->durable) == atomic_load(&journal->head);
    /* A jump that was not made yet is kept as such. */
    bool changed = journal->head_stored || journal->jump_to > journal->skip_to;
    if (!journal->sync_failed && durable && changed && td_head_store(journal, true) < 0)
        return;
}

void td_journal_close(struct td_journal *journal)
{
    if (!journal)
        return;
    TD_ASSERT(!journal->running && td_list_empty(&journal->readers));
    if (!journal->options.read_only)
        settle(journal);
    td_journal_abandon(journal);
}

void td_journal_abandon(struct td_journal *journal)
{
    struct td_set *set = atomic_load(&journal->set);

    TD_ASSERT(!journal->running && td_list_empty(&journal->readers));
    while (td_journal_reclaim(journal))
        continue;
    for (size_t i = 0; set && i < set->n; i++)
        td_segment_free(set->segments[i]);
    free(set);
    td_dedup_done(&journal->dedup);
    td_state_done(&journal->state);
    free(journal->keyed);
    td_ephemeral_free(journal->ephemeral);
    td_trimmed_done(&journal->trimmed);
    td_groups_done(&journal->groups);
    free(journal->staging);
    free(journal->plan);
    if (journal->lock_file >= 0)
        td_file_close(journal->lock_file);
    td_cond_done(&journal->commit_wanted);
    td_cond_done(&journal->keeper_wanted);
    td_mutex_done(&journal->lock);
    td_mutex_done(&journal->index_lock);
    td_mutex_done(&journal->trimmed_lock);
    td_mutex_done(&journal->readers_lock);
    td_mutex_done(&journal->keeper_lock);
    free(journal);
}

uint32_t td_journal_epoch(const struct td_journal *journal)
{
    return journal->epoch;
}

uint64_t td_journal_seed(const struct td_journal *journal)
{
    return journal->seed;
}

bool td_journal_is_fast(const struct td_journal *journal)
{
    return journal->options.durability == TD_DURABILITY_FAST;
}

uint64_t td_journal_durable(const struct td_journal *journal)
{
    return atomic_load_explicit(&journal->durable, memory_order_acquire);
}

uint64_t td_journal_head(const struct td_journal *journal)
{
    return atomic_load_explicit(&journal->head, memory_order_acquire);
}

uint64_t td_journal_readable(const struct td_journal *journal)
{
    if (journal->options.durability == TD_DURABILITY_FAST)
        return td_journal_head(journal);
    return td_journal_durable(journal);
}

uint64_t td_journal_horizon(const struct td_journal *journal)
{
    uint64_t files = atomic_load_explicit(&journal->horizon, memory_order_acquire);
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < journal->groups.n; i++)
        least =
            TD_MIN(least, atomic_load_explicit(&journal->group_horizons[i], memory_order_acquire));
    return TD_MAX(files, least);
}

int td_journal_health(const struct td_journal *journal)
{
    return atomic_load_explicit(&journal->health, memory_order_relaxed);
}

void td_journal_stat(struct td_journal *journal, struct td_journal_stat *ret_stat)
{
    struct td_journal_stat stat = {
        .appended = atomic_load(&journal->appended),
        .synced_batches = atomic_load(&journal->synced_batches),
        .trimmed_segments = atomic_load(&journal->trimmed_segments),
        .slimmed_segments = atomic_load(&journal->slimmed_segments),
        .append_failures = atomic_load(&journal->append_failures),
        .sync_failures = atomic_load(&journal->sync_failures),
        .head = atomic_load(&journal->head),
        .durable = atomic_load(&journal->durable),
        .horizon = td_journal_horizon(journal),
        .state_lost = atomic_load(&journal->state_lost),
    };

    td_mutex_lock(&journal->lock);
    const struct td_set *set = atomic_load(&journal->set);
    stat.segments = set->n;
    stat.dedup_keys = journal->dedup.map.len;
    for (size_t i = 0; i < set->n; i++)
        stat.bytes += atomic_load(&set->segments[i]->end);
    td_mutex_unlock(&journal->lock);
    td_state_stat(&journal->state, &stat);
    *ret_stat = stat;
}

const struct td_histogram *td_journal_sync_times(const struct td_journal *journal)
{
    return &journal->sync_times;
}
