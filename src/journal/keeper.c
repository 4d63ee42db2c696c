/* SPDX-License-Identifier: Apache-2.0 */
/* What the keeper does, one thing in a step: verifies segments that readers wait for, looks whether a full disk has room
 * again, seals full segments, trims, and frees what all readers have passed. */
#include "base/assert.h"
#include "base/err.h"
#include "journal/account.h"
#include "journal/retain.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdlib.h>

/* The set as the keeper may use it: only the appender and the keeper itself replace sets, and segments go by the keeper's hand. */
static struct td_segment *find_segment(struct td_journal *journal,
                                       bool (*is)(struct td_journal *, struct td_segment *))
{
    struct td_segment *found = NULL;

    td_mutex_lock(&journal->lock);
    const struct td_set *set = atomic_load(&journal->set);
    for (size_t i = 0; i < set->n && !found; i++)
        if (is(journal, set->segments[i]))
            found = set->segments[i];
    td_mutex_unlock(&journal->lock);
    return found;
}

/* ---- verifying ---- */

static bool is_wanted(struct td_journal *journal, struct td_segment *segment)
{
    int heat = atomic_load(&segment->heat);

    return heat == TD_ASKED || heat == TD_WANTED;
}

void td_journal_make_hot(struct td_journal *journal, struct td_segment *segment)
{
    struct td_index *index = NULL;

    if (td_segment_verify(segment, &index) < 0) {
        td_mutex_lock(&journal->index_lock);
        td_sealed_close(&segment->sealed_index);
        segment->index = index;
        atomic_store(&segment->sealed, false);
        td_mutex_unlock(&journal->index_lock);
    }
    atomic_store_explicit(&segment->heat, TD_HOT, memory_order_release);
    td_journal_wake_readers(journal);
}

/* Verifies the index, which is all that a reader needs who passes by; false when it can't be used. */
static bool check_index(struct td_journal *journal, struct td_segment *segment)
{
    int asked = TD_ASKED;

    if (!atomic_load(&segment->indexed)) {
        if (!segment->sealed_index.map || td_sealed_verify(&segment->sealed_index) < 0)
            return false;
        atomic_store(&segment->indexed, true);
    }
    atomic_compare_exchange_strong(&segment->heat, &asked, TD_COLD);
    td_journal_wake_readers(journal);
    return true;
}

/* ---- sealing ---- */

static bool is_full(struct td_journal *journal, struct td_segment *segment)
{
    return segment->full && !atomic_load(&segment->sealed) &&
           atomic_load(&segment->heat) == TD_HOT && td_clock_ns() >= segment->seal_after &&
           atomic_load(&segment->last_seq) <= atomic_load(&journal->durable);
}

/* Gives back the blocks that were reserved and not used. */
static int cut_file(struct td_journal *journal, struct td_segment *segment)
{
    if (segment->file < 0)
        return 0;
    int r = td_file_truncate(segment->file, atomic_load(&segment->end));
    if (r == 0)
        r = td_file_sync(segment->file);
    if (r < 0)
        return r;
    td_mutex_lock(&journal->lock);
    td_file_close(segment->file);
    segment->file = -1;
    segment->cut_pending = false;
    td_mutex_unlock(&journal->lock);
    return 0;
}

static int seal(struct td_journal *journal, struct td_segment *segment)
{
    struct td_index_group groups[TD_GROUPS];

    if (!segment->accounted)
        td_account(journal, segment);
    for (size_t i = 0; i < journal->groups.n; i++)
        groups[i] = (struct td_index_group){segment->shares[i].bytes, segment->shares[i].last_time};
    struct td_index_about about = {
        .epoch = journal->epoch,
        .seed = journal->seed,
        .end = atomic_load(&segment->end),
        .first_seq = segment->header.first_seq,
        .last_seq = atomic_load(&segment->last_seq),
        .prev_last = segment->header.prev_last,
        .first_time = segment->first_time,
        .last_time = segment->last_time,
        .damaged = segment->n_damage > 0,
        .slim = segment->slim,
        .groups_id = journal->groups.id,
        .groups = groups,
        .n_groups = (uint32_t)journal->groups.n,
        .kept_bytes = segment->kept_bytes,
    };
    struct td_sealed sealed = {0};
    char path[TD_LOG_PATH_MAX];

    td_segment_path(journal->dir, about.first_seq, ".idx", path);
    int r = cut_file(journal, segment);
    if (r == 0)
        r = td_sealed_store(path, segment->index, &about, segment->map);
    if (r == 0)
        r = td_sealed_open(path, &sealed);
    if (r < 0) {
        segment->seal_after = td_clock_ns() + TD_NS_PER_S;
        return r;
    }
    td_mutex_lock(&journal->index_lock);
    struct td_index *index = segment->index;
    segment->sealed_index = sealed;
    segment->index = NULL;
    atomic_store_explicit(&segment->sealed, true, memory_order_release);
    td_mutex_unlock(&journal->index_lock);
    td_index_free(index);
    return 1;
}

/* A quiet log has its records in the open segment only, where age could not reach them. */
static bool roll_old(struct td_journal *journal)
{
    td_unix_ms now = td_clock_unix_ms(), least = UINT64_MAX;
    bool rolled = false;

    for (size_t i = 0; i < journal->groups.n; i++)
        if (journal->groups.at[i].retain_ms > 0)
            least = TD_MIN(least, journal->groups.at[i].retain_ms);
    if (least == UINT64_MAX)
        return false;
    td_unix_ms limit = least / 4;
    td_mutex_lock(&journal->lock);
    const struct td_segment *open = journal->open;
    if (open && open->first_time > 0 && now > open->first_time && now - open->first_time > limit) {
        td_journal_roll(journal);
        rolled = true;
    }
    td_mutex_unlock(&journal->lock);
    return rolled;
}

int td_journal_seal_step(struct td_journal *journal)
{
    struct td_segment *segment = find_segment(journal, is_full);

    return segment ? seal(journal, segment) : 0;
}

int td_journal_keep_step(struct td_journal *journal)
{
    struct td_segment *segment = find_segment(journal, is_wanted);

    if (segment) {
        if (atomic_load(&segment->heat) == TD_WANTED || !check_index(journal, segment))
            td_journal_make_hot(journal, segment);
        return 1;
    }
    if (journal->options.read_only)
        return td_journal_reclaim(journal);
    if (td_state_settle(&journal->state, td_journal_durable(journal), td_clock_unix_ms()))
        return 1;
    td_journal_look_at_disk(journal);
    if (td_journal_seal_step(journal) > 0)
        return 1;
    if (td_journal_retain_step(journal) > 0)
        return 1;
    if (journal->trimmed_dirty && td_journal_store_trimmed(journal) == 0)
        return 1;
    return roll_old(journal) || td_journal_reclaim(journal);
}
