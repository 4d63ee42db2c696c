/* SPDX-License-Identifier: Apache-2.0 */
/* What the keeper does, one thing in a step: verifies segments that readers wait for, looks whether a full disk has room
 * again, seals full segments, trims, and frees what all readers have passed. */
#include "base/assert.h"
#include "base/err.h"
#include "journal/internal.h"
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

static void make_hot(struct td_journal *journal, struct td_segment *segment)
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

/* ---- trimming ---- */

static uint64_t bytes_of(const struct td_segment *segment)
{
    return atomic_load(&segment->end) + segment->sealed_index.bytes;
}

/* The oldest segment when retention lets it go. */
static struct td_segment *find_trimmable(struct td_journal *journal)
{
    const struct td_journal_options *options = &journal->options;
    td_unix_ms now = td_clock_unix_ms();
    struct td_segment *oldest = NULL;
    uint64_t bytes = 0;

    td_mutex_lock(&journal->lock);
    const struct td_set *set = atomic_load(&journal->set);
    for (size_t i = 0; i < set->n; i++)
        bytes += bytes_of(set->segments[i]);
    if (set->n > 0 && atomic_load(&set->segments[0]->sealed))
        oldest = set->segments[0];
    td_mutex_unlock(&journal->lock);
    if (!oldest)
        return NULL;
    bool large = options->retain_bytes > 0 && bytes > options->retain_bytes;
    bool old = options->retain_ms > 0 && now > oldest->last_time &&
               now - oldest->last_time > options->retain_ms;
    return large || old ? oldest : NULL;
}

/* Notes for each key of the segment what goes.  Damage has hidden topics: then anything may have gone. */
static void note_trimmed(struct td_journal *journal, const struct td_segment *segment)
{
    struct td_trimmed *trimmed = &journal->trimmed;
    const struct td_sealed *sealed = &segment->sealed_index;
    uint64_t last_seq = atomic_load(&segment->last_seq);

    td_mutex_lock(&journal->trimmed_lock);
    if (segment->header.prev_last > trimmed->horizon)
        trimmed->floor = TD_MAX(trimmed->floor, segment->header.prev_last);
    if (segment->header.lost_to > segment->header.prev_last)
        td_trimmed_put_hole(trimmed, segment->header.prev_last, segment->header.lost_to);
    if (segment->n_damage > 0)
        trimmed->floor = TD_MAX(trimmed->floor, last_seq);
    for (uint32_t i = 0; i < sealed->header->keys; i++)
        if (sealed->keys[i].count > 0)
            td_trimmed_put(trimmed, sealed->keys[i].key, sealed->keys[i].last_seq);
    trimmed->horizon = last_seq;
    td_mutex_unlock(&journal->trimmed_lock);
}

/* Best effort: a file that cannot be removed now is, when the log is opened, recognised as trimmed. */
static void remove_files(struct td_journal *journal, uint64_t first_seq)
{
    char path[TD_LOG_PATH_MAX];

    td_segment_path(journal->dir, first_seq, ".log", path);
    int r = td_path_unlink(path);
    td_segment_path(journal->dir, first_seq, ".idx", path);
    if (r < 0 || td_path_unlink(path) < 0)
        return;
}

static int store_trimmed(struct td_journal *journal)
{
    char path[TD_LOG_PATH_MAX];

    td_log_path(journal->dir, "trimmed", path);
    int r = td_trimmed_store(&journal->trimmed, journal->epoch, journal->seed, path);
    journal->trimmed_dirty = r < 0;
    return r;
}

/* 1, or 0 when it can't be done now. */
static int trim(struct td_journal *journal, struct td_segment *segment)
{
    uint64_t first_seq = segment->header.first_seq;

    note_trimmed(journal, segment);
    /* On a full disk the table can't be stored, and the space is to be had only by trimming.  Going on is safe where another segment is
     * on disk: opening sees by its header that the table is too old, and then says of every pattern that something may be gone. */
    int r = store_trimmed(journal);
    td_mutex_lock(&journal->lock);
    const struct td_set *old = atomic_load(&journal->set);
    if (r < 0 && (old->n == 1 || !old->segments[1]->listed)) {
        td_mutex_unlock(&journal->lock);
        return 0;
    }
    struct td_set *set = td_set_new(old->n - 1, atomic_load(&segment->last_seq));
    TD_ASSERT(old->segments[0] == segment);
    set->lost_tail = old->lost_tail;
    for (size_t i = 0; i < set->n; i++)
        set->segments[i] = old->segments[i + 1];
    td_set_publish(journal, set, segment);
    td_mutex_unlock(&journal->lock);
    for (uint32_t i = 0; i < segment->sealed_index.header->states; i++)
        td_state_forget(&journal->state, segment->sealed_index.states[i].key, set->horizon);
    remove_files(journal, first_seq);
    /* What the table does not know must go from the front on, or the rest would look damaged after a crash. */
    if (r < 0) {
        r = td_dir_sync(journal->dir);
        journal->trimmed_dirty = store_trimmed(journal) < 0 || r < 0;
    }
    atomic_fetch_add(&journal->trimmed_segments, 1);
    return 1;
}

/* A quiet log has its records in the open segment only, where age could not reach them. */
static bool roll_old(struct td_journal *journal)
{
    td_unix_ms now = td_clock_unix_ms(), limit = journal->options.retain_ms / 4;
    bool rolled = false;

    if (journal->options.retain_ms == 0)
        return false;
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
            make_hot(journal, segment);
        return 1;
    }
    if (journal->options.read_only)
        return td_journal_reclaim(journal);
    if (td_state_settle(&journal->state, td_journal_readable(journal), td_clock_unix_ms()))
        return 1;
    td_journal_look_at_disk(journal);
    if (td_journal_seal_step(journal) > 0)
        return 1;
    segment = find_trimmable(journal);
    if (segment && atomic_load(&segment->heat) != TD_HOT) {
        make_hot(journal, segment);
        return 1;
    }
    if (segment && trim(journal, segment) > 0)
        return 1;
    if (journal->trimmed_dirty && store_trimmed(journal) == 0)
        return 1;
    return roll_old(journal) || td_journal_reclaim(journal);
}
