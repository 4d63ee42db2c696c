/* SPDX-License-Identifier: Apache-2.0 */
/* From one segment to the next; all under the append lock. */
#include "base/assert.h"
#include "base/err.h"
#include "base/topic.h"
#include "journal/internal.h"
#include "os/clock.h"
#include "os/file.h"
#include <errno.h>

static uint32_t segment_end(const struct td_segment *segment)
{
    return atomic_load_explicit(&segment->end, memory_order_relaxed);
}

/* Cuts what stands behind the last whole batch; until that is done, and on disk, nothing new may be written: what was refused would be
 * found after a crash and taken for part of the log, under a number that was given again. */
static int cut(struct td_journal *journal, struct td_segment *segment)
{
    int r = td_file_truncate(segment->file, segment_end(segment));

    segment->cut_pending = r < 0;
    if (r < 0)
        return r;
    r = td_file_sync(segment->file);
    if (r < 0)
        td_journal_fail(journal);
    return r;
}

void td_journal_roll(struct td_journal *journal)
{
    struct td_segment *segment = journal->open;

    if (!segment)
        return;
    TD_ASSERT(segment_end(segment) > sizeof(struct td_segment_header));
    segment->full = true;
    journal->open = NULL;
    td_journal_call_keeper(journal);
}

/* Takes an open segment without records out again: the next one will have its name. */
static void drop_empty(struct td_journal *journal)
{
    const struct td_set *old = atomic_load(&journal->set);
    struct td_set *set = td_set_new(old->n - 1, old->horizon);
    struct td_segment *segment = journal->open;
    char path[TD_LOG_PATH_MAX];

    TD_ASSERT(old->n > 0 && old->segments[old->n - 1] == segment);
    for (size_t i = 0; i < set->n; i++)
        set->segments[i] = old->segments[i];
    /* Its header told of segments missing before it. */
    if (segment->header.prev_last > td_set_last(set))
        set->lost_tail = segment->header.prev_last;
    journal->open = NULL;
    journal->jump_to = segment->header.lost_to;
    td_segment_path(journal->dir, segment->header.first_seq, ".log", path);
    /* When it can't go it is empty, and the next segment takes its name and place. */
    int r = cut(journal, segment);
    if (r < 0 || td_path_unlink(path) < 0)
        segment->cut_pending = true;
    td_set_publish(journal, set, segment);
}

void td_journal_write_failed(struct td_journal *journal)
{
    struct td_segment *segment = journal->open;

    if (segment_end(segment) == sizeof(struct td_segment_header)) {
        drop_empty(journal);
    } else {
        int r = cut(journal, segment);
        segment->cut_pending = r < 0;
        td_journal_roll(journal);
    }
}

static int begin(struct td_journal *journal, uint64_t first_seq, uint64_t need)
{
    const struct td_set *old = atomic_load(&journal->set);
    struct td_segment *segment;
    struct td_segment_header header = {
        .epoch = journal->epoch,
        .seed = journal->seed,
        .first_seq = first_seq,
        .prev_last = journal->last_seq,
        .lost_to = journal->jump_to,
        .created_ms = td_clock_unix_ms(),
    };

    if (old->n > 0 && old->segments[old->n - 1]->cut_pending) {
        int r = cut(journal, old->segments[old->n - 1]);
        if (r < 0)
            return r;
    }
    if (!journal->head_stored) {
        int r = td_head_store(journal, false);
        if (r < 0)
            return r;
        journal->head_stored = true;
    }
    /* The absence of the one before would be taken for damage. */
    if (old->n > 0 && !old->segments[old->n - 1]->listed) {
        int r = td_dir_sync(journal->dir);
        if (r < 0) {
            td_journal_fail(journal);
            return r;
        }
    }
    int r =
        td_segment_create(journal->dir, &header, journal->options.segment_bytes, need, &segment);
    if (r < 0)
        return r;
    struct td_set *set = td_set_new(old->n + 1, old->horizon);
    for (size_t i = 0; i < old->n; i++)
        set->segments[i] = old->segments[i];
    set->segments[old->n] = segment;
    journal->open = segment;
    journal->jump_to = 0;
    td_set_publish(journal, set, NULL);
    return 0;
}

int td_journal_make_room(struct td_journal *journal, uint64_t first_seq, uint64_t bytes)
{
    struct td_segment *segment = journal->open;

    if (segment && segment_end(segment) + bytes <= segment->capacity)
        return 0;
    if (segment && segment_end(segment) == sizeof(struct td_segment_header))
        drop_empty(journal);
    else
        td_journal_roll(journal);
    return begin(journal, first_seq, bytes + sizeof(struct td_segment_header));
}

/* Whether the record at an offset is of the topic; TD_EDAMAGED when there is no sound one. */
static int is_topic(const struct td_segment *segment, uint32_t offset, struct td_slice topic)
{
    struct td_record record;

    if (offset >= segment->map_bytes ||
        td_record_check(td_slice(segment->map + offset, segment->map_bytes - offset)) <= 0)
        return TD_EDAMAGED;
    td_record_view(segment->map + offset, &record);
    return td_slice_eq(record.topic, topic);
}

/* The last record of the topic in one segment.  Where the index file or a record is damaged the end of the segment is the answer:
 * an expectation that cannot be checked is not met. */
static uint64_t last_under(struct td_segment *segment, uint64_t key, struct td_slice topic)
{
    bool sealed = atomic_load_explicit(&segment->sealed, memory_order_acquire);

    if (sealed && !segment->index_checked && atomic_load(&segment->heat) != TD_HOT) {
        if (td_sealed_verify(&segment->sealed_index) < 0)
            return atomic_load(&segment->last_seq);
        segment->index_checked = true;
    }
    struct td_offsets offsets = td_segment_get(segment, key);
    for (uint32_t i = offsets.n; i-- > 0;) {
        int r = is_topic(segment, offsets.at[i], topic);
        if (r != 0)
            return r < 0 ? atomic_load(&segment->last_seq)
                         : td_record_seq(segment->map + offsets.at[i]);
    }
    return 0;
}

/* What is kept for the sake of state is the last of its topic as well. */
static uint64_t last_in(const struct td_journal *journal, struct td_segment *segment,
                        struct td_slice topic)
{
    uint64_t last = last_under(segment, td_topic_key(journal->seed, topic), topic);
    uint64_t kept = last_under(segment, td_kept_topic_key(journal->seed, topic), topic);

    return TD_MAX(last, kept);
}

uint64_t td_journal_last_of(struct td_journal *journal, struct td_slice topic)
{
    const struct td_set *set = atomic_load(&journal->set);
    uint64_t seq = 0;

    td_mutex_lock(&journal->index_lock);
    for (size_t i = set->n; i-- > 0 && seq == 0;)
        seq = last_in(journal, set->segments[i], topic);
    td_mutex_unlock(&journal->index_lock);
    return seq;
}
