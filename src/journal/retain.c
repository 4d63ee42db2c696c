/* SPDX-License-Identifier: Apache-2.0 */
/* Retention.  A group that is over its bytes or its age loses its oldest records, a segment's worth at a time.  When nothing else of that
 * segment has to stay, and it is the oldest, the file goes; else it is written anew without them (slim.c). */
#include "journal/retain.h"
#include "base/assert.h"
#include "base/err.h"
#include "journal/account.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdlib.h>

/* So often is looked for what is kept in vain. */
#define RECHECK_NS (60 * TD_NS_PER_S)

const struct td_set *td_keeper_set(struct td_journal *journal)
{
    td_mutex_lock(&journal->lock);
    const struct td_set *set = atomic_load(&journal->set);
    td_mutex_unlock(&journal->lock);
    return set;
}

/* ---- what has to go ---- */

/* The bytes of a group; those of segments that are not sealed count where there is one group only. */
static uint64_t group_bytes(const struct td_journal *journal, const struct td_set *set,
                            size_t group)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < set->n; i++) {
        const struct td_segment *segment = set->segments[i];
        if (segment->accounted && atomic_load(&segment->sealed))
            bytes += td_account_bytes(segment, group);
        else if (journal->groups.n == 1)
            bytes += atomic_load(&segment->end);
    }
    return bytes;
}

/* The oldest segment that holds something of a group; none when there is one before it of which that is not known yet. */
static size_t oldest_of(const struct td_set *set, size_t group)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct td_segment *segment = set->segments[i];
        if (!segment->accounted || !atomic_load(&segment->sealed))
            break;
        if (segment->shares[group].bytes > 0)
            return i;
    }
    return set->n;
}

static bool is_due(const struct td_journal *journal, const struct td_set *set, size_t group,
                   size_t oldest)
{
    const struct td_group *own = &journal->groups.at[group];
    td_unix_ms now = td_clock_unix_ms(), last = set->segments[oldest]->shares[group].last_time;

    return (own->retain_ms > 0 && now > last && now - last > own->retain_ms) ||
           (own->retain_bytes > 0 && group_bytes(journal, set, group) > own->retain_bytes);
}

/* The first segment of which something has to go, and a bit for each group that it is. */
static size_t find_due(struct td_journal *journal, const struct td_set *set, unsigned *ret_going)
{
    size_t first = set->n;
    unsigned going = 0;

    for (size_t group = 0; group < journal->groups.n; group++) {
        size_t oldest = oldest_of(set, group);
        if (oldest == set->n || oldest > first || !is_due(journal, set, group, oldest))
            continue;
        if (oldest < first)
            going = 0;
        first = oldest;
        going |= 1U << group;
    }
    *ret_going = going;
    return first;
}

/* ---- noting it ---- */

/* Damage has hidden topics: anything may have been in it. */
static void note_damage(struct td_journal *journal, const struct td_segment *segment, bool whole)
{
    struct td_trimmed *trimmed = &journal->trimmed;

    if (segment->header.prev_last > trimmed->horizon && whole)
        td_trimmed_raise(trimmed, segment->header.prev_last);
    if (segment->n_damage > 0)
        td_trimmed_raise(trimmed, whole ? atomic_load(&segment->last_seq)
                                        : segment->damage[segment->n_damage - 1].next_seq - 1);
}

void td_journal_note_trimmed(struct td_journal *journal, const struct td_segment *segment,
                             const struct td_gone *gone, bool whole)
{
    struct td_trimmed *trimmed = &journal->trimmed;
    uint64_t keys[TD_TOPIC_KEYS_MAX];
    const struct td_gone_topic *topic;
    struct td_record record;
    size_t cursor = 0;
    uint64_t key;

    td_mutex_lock(&journal->trimmed_lock);
    trimmed->trims++;
    note_damage(journal, segment, whole);
    while ((topic = td_map_each(&gone->topics, &cursor, &key))) {
        td_record_view(segment->map + topic->offset, &record);
        size_t n = td_topic_keys(journal->seed, record.topic, keys);
        for (size_t i = 0; i < n; i++)
            td_trimmed_put(trimmed, topic->group, keys[i], record.seq);
    }
    if (whole && segment->header.lost_to > segment->header.prev_last)
        td_trimmed_put_hole(trimmed, segment->header.prev_last, segment->header.lost_to);
    if (whole) {
        trimmed->horizon = atomic_load(&segment->last_seq);
        trimmed->top = TD_MAX(trimmed->top, trimmed->horizon);
    }
    atomic_store(&journal->trimmed_top, trimmed->top);
    atomic_store(&journal->trims, trimmed->trims);
    td_mutex_unlock(&journal->trimmed_lock);
}

int td_journal_store_trimmed(struct td_journal *journal)
{
    char path[TD_LOG_PATH_MAX];

    td_log_path(journal->dir, "trimmed", path);
    int r = td_trimmed_store(&journal->trimmed, journal->epoch, journal->seed, path);
    journal->trimmed_dirty = r < 0;
    return r;
}

/* ---- a whole segment ---- */

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

/* 1, or 0 when it can't be done now. */
static int trim(struct td_journal *journal, struct td_segment *segment, const struct td_gone *gone)
{
    uint64_t first_seq = segment->header.first_seq;

    td_journal_note_trimmed(journal, segment, gone, true);
    /* On a full disk the table can't be stored, and the space is to be had only by trimming.  Going on is safe where another segment is
     * on disk: opening sees by its header that the table is too old, and then says of every pattern that something may be gone. */
    int r = td_journal_store_trimmed(journal);
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
    remove_files(journal, first_seq);
    /* What the table does not know must go from the front on, or the rest would look damaged after a crash. */
    if (r < 0) {
        r = td_dir_sync(journal->dir);
        journal->trimmed_dirty = td_journal_store_trimmed(journal) < 0 || r < 0;
    }
    atomic_fetch_add(&journal->trimmed_segments, 1);
    return 1;
}

static int let_go(struct td_journal *journal, const struct td_set *set, size_t i, unsigned going)
{
    struct td_segment *segment = set->segments[i];
    struct td_slim slim;
    uint64_t last_seq = atomic_load(&segment->last_seq);

    td_slim_plan(&slim, journal, set, i, going);
    int r = slim.bytes == 0 && i == 0 ? trim(journal, segment, &slim.gone) : td_slim_write(&slim);
    td_slim_done(&slim);
    for (size_t group = 0; r > 0 && group < journal->groups.n; group++)
        if (going >> group & 1)
            atomic_store(&journal->group_horizons[group], last_seq);
    return r;
}

/* ---- what is kept in vain ---- */

/* Whether it holds state only, more than half of which nobody needs any more; or nothing that is needed, and is the oldest. */
static bool is_waste(struct td_journal *journal, const struct td_set *set, size_t i)
{
    struct td_segment *segment = set->segments[i];
    uint64_t live, all;

    if (!atomic_load(&segment->sealed) || !segment->accounted || !segment->slim)
        return false;
    for (size_t group = 0; group < journal->groups.n; group++)
        if (segment->shares[group].bytes > 0)
            return false;
    td_account_live(journal, segment, &live, &all);
    if (live == 0 && i == 0)
        return true;
    /* Removals that hide something older are needed too, and not counted: once written anew it is let be until that changes. */
    bool waste = live * 2 < all && live != segment->live_seen;
    segment->live_seen = live;
    return waste;
}

static int clean_up(struct td_journal *journal, const struct td_set *set)
{
    if (td_clock_ns() < journal->recheck_at)
        return 0;
    for (size_t i = 0; i < set->n; i++) {
        if (!is_waste(journal, set, i))
            continue;
        struct td_segment *segment = set->segments[i];
        if (atomic_load(&segment->heat) != TD_HOT)
            td_journal_make_hot(journal, segment);
        if (let_go(journal, set, i, 0) > 0)
            return 1;
    }
    journal->recheck_at = td_clock_ns() + RECHECK_NS;
    return 0;
}

/* One that was counted for other groups. */
static int count_again(struct td_journal *journal, const struct td_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct td_segment *segment = set->segments[i];
        if (segment->accounted || !atomic_load(&segment->sealed))
            continue;
        if (atomic_load(&segment->heat) != TD_HOT)
            td_journal_make_hot(journal, segment);
        if (atomic_load(&segment->sealed))
            td_account(journal, segment);
        return 1;
    }
    return 0;
}

int td_journal_retain_step(struct td_journal *journal)
{
    const struct td_set *set = td_keeper_set(journal);
    unsigned going;
    size_t i = find_due(journal, set, &going);

    if (i < set->n && td_clock_ns() >= journal->retain_after) {
        struct td_segment *segment = set->segments[i];
        if (atomic_load(&segment->heat) != TD_HOT) {
            td_journal_make_hot(journal, segment);
            return 1;
        }
        int r = let_go(journal, set, i, going);
        if (r > 0)
            return 1;
        if (r < 0)
            journal->retain_after = td_clock_ns() + TD_NS_PER_S;
    }
    if (count_again(journal, set) > 0)
        return 1;
    return clean_up(journal, set);
}

size_t td_journal_groups(const struct td_journal *journal)
{
    return journal->groups.n;
}

void td_journal_group_stat(struct td_journal *journal, size_t group, struct td_group_stat *ret_stat)
{
    struct td_group_stat stat = {
        .name = journal->groups.at[group].name,
        .horizon = atomic_load(&journal->group_horizons[group]),
    };

    td_mutex_lock(&journal->lock);
    const struct td_set *set = atomic_load(&journal->set);
    for (size_t i = 0; i < set->n; i++)
        if (atomic_load(&set->segments[i]->sealed) && set->segments[i]->accounted)
            stat.bytes += set->segments[i]->shares[group].bytes;
    td_mutex_unlock(&journal->lock);
    *ret_stat = stat;
}
