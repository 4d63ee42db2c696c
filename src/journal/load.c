/* SPDX-License-Identifier: Apache-2.0 */
/* What a log holds once its segments are open: the keys of the dedup window, the state, and how far it reaches. */
#include "base/assert.h"
#include "journal/recover.h"
#include "os/clock.h"

static td_unix_ms age_of(const struct td_index_dedup *entry, td_unix_ms now)
{
    return now > entry->time ? now - entry->time : 0;
}

/* Whether a key of a segment is in the window still. */
static bool has_known(const struct td_segment *segment, td_unix_ms now, uint64_t window_ms)
{
    size_t n;
    const struct td_index_dedup *entries = td_segment_dedups(segment, &n);

    /* What was left out of a slim one may have been later than what is in it. */
    if (!segment->slim && now > segment->last_time && now - segment->last_time > window_ms)
        return false;
    while (n > 0 && age_of(&entries[n - 1], now) > window_ms)
        n--;
    return n > 0;
}

/* Fills the dedup window from the oldest segment that matters on, in order, so that of a key the newest stays.  With a wall clock that
 * jumped a segment may look too old and one before it not. */
static void load_dedup(struct td_recovery *recovery)
{
    struct td_journal *journal = recovery->journal;
    td_unix_ms wall = td_clock_unix_ms();
    td_ns now = td_clock_ns();
    size_t first = recovery->n, entries = 0, n;

    for (size_t i = recovery->n; i-- > 0 && entries < journal->options.dedup_max; entries += n) {
        (void)td_segment_dedups(recovery->segments[i], &n);
        if (has_known(recovery->segments[i], wall, journal->options.dedup_window_ms))
            first = i;
    }
    for (size_t i = first; i < recovery->n; i++) {
        const struct td_index_dedup *entry = td_segment_dedups(recovery->segments[i], &n);
        for (size_t j = 0; j < n; j++) {
            td_ns age = TD_MIN(age_of(&entry[j], wall), UINT64_MAX / TD_NS_PER_MS) * TD_NS_PER_MS;
            td_dedup_add(&journal->dedup, &entry[j], age, now);
        }
    }
}

/* What each segment leaves of the state, the oldest first. */
static void load_state(struct td_recovery *recovery)
{
    struct td_state *state = &recovery->journal->state;

    for (size_t i = 0; i < recovery->n; i++) {
        const struct td_segment *segment = recovery->segments[i];
        if (segment->index)
            td_parts_load(state, &segment->index->parts, segment->map);
        for (uint32_t j = 0; !segment->index && j < segment->sealed_index.header->states; j++) {
            const struct td_sealed *sealed = &segment->sealed_index;
            const struct td_index_state *part = &sealed->states[j];
            td_state_load(state, part, td_slice(sealed->topics + part->topic_at, part->topic_len),
                          sealed->state_seqs + part->start);
        }
    }
    td_state_loaded(state);
}

/* Whether something between `last` and the end of a segment is missing for another reason than retention. */
static bool has_damage(const struct td_segment *segment, uint64_t last)
{
    return segment->header.prev_last > last || segment->n_damage > 0 ||
           (segment->sealed_index.map && segment->sealed_index.header->damaged);
}

/* Up to where retention has left nothing of a group.  What is damaged may have been of any group, and who reads from here on has to
 * be told of it. */
static uint64_t group_horizon(const struct td_set *set, size_t group)
{
    uint64_t horizon = set->horizon;

    for (size_t i = 0; i < set->n; i++) {
        const struct td_segment *segment = set->segments[i];
        if (!segment->accounted || segment->shares[group].bytes > 0 || has_damage(segment, horizon))
            break;
        horizon = atomic_load(&segment->last_seq);
    }
    return horizon;
}

static void publish(struct td_recovery *recovery)
{
    struct td_journal *journal = recovery->journal;
    struct td_journal_report *report = recovery->report;
    struct td_set *set = td_set_new(recovery->n, journal->trimmed.horizon);
    bool clean = report->created || (recovery->has_head && recovery->head.clean &&
                                     recovery->head.last_seq == recovery->last_seq);

    for (size_t i = 0; i < recovery->n; i++) {
        set->segments[i] = recovery->segments[i];
        report->bytes += atomic_load(&set->segments[i]->end);
    }
    /* Segments at the end are missing: the next one's header will say so, until then the set does. */
    if (recovery->last_seq > td_set_last(set)) {
        set->lost_tail = recovery->last_seq;
        report->damaged_ranges++;
    }
    recovery->n = 0;
    report->segments = set->n;
    report->unclean = !clean;
    journal->last_seq = TD_MAX(recovery->last_seq, set->horizon);
    /* The head file says how far runs whose segments are lost have jumped.  Without it the jump goes beyond all of theirs. */
    uint64_t jump = recovery->has_head ? TD_UNCLEAN_JUMP : TD_BACKUP_JUMP;
    if (!clean && !journal->options.sequencer)
        journal->jump_to = TD_MAX(journal->last_seq, journal->skip_to) + jump;
    else if (journal->skip_to > journal->last_seq)
        journal->jump_to = journal->skip_to; /* closed before it was made */
    atomic_store(&journal->head, journal->last_seq);
    atomic_store(&journal->durable, journal->last_seq);
    atomic_store(&journal->horizon, set->horizon);
    for (size_t i = 0; i < journal->groups.n; i++)
        atomic_store(&journal->group_horizons[i], group_horizon(set, i));
    journal->trimmed.top = TD_MAX(journal->trimmed.top, set->horizon);
    atomic_store(&journal->trimmed_top, journal->trimmed.top);
    atomic_store(&journal->set, set);
}

void td_recover_load(struct td_recovery *recovery)
{
    struct td_journal *journal = recovery->journal;

    td_dedup_init(&journal->dedup, journal->seed, journal->options.dedup_max,
                  journal->options.dedup_window_ms);
    load_dedup(recovery);
    td_state_setup(&journal->state, journal->seed, &journal->groups, &journal->options);
    load_state(recovery);
    publish(recovery);
}
