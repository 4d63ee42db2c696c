/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a log that was not closed.
 *
 * At the first place that is not a sound record, two things may have happened: the last writes did not all reach the
 * disk (a torn tail, of which nothing was acknowledged), or what was on disk has been damaged.  Each record
 * says how far the log was durable when it was appended.  So when any sound record behind the place says that the log
 * was durable beyond it, it is damage: the range is remembered and refused.  Otherwise it is the torn tail, and the log is cut to
 * its last whole batch. */
#include "base/assert.h"
#include "journal/recover.h"
#include "journal/scan.h"
#include <stdlib.h>

struct tail {
    struct td_recovery *recovery;
    struct td_segment *segment;
    struct td_scan scan;
    uint32_t *batch; /* offsets of the records of a batch that has not ended */
    size_t n_batch, batch_cap;
};

static struct td_scan scan_of(const struct td_recovery *recovery, size_t i)
{
    const struct td_segment *segment = recovery->segments[i];
    bool last = i + 1 == recovery->n;

    return (struct td_scan){
        .bytes = td_slice(segment->map, segment->map_bytes),
        .at = sizeof(struct td_segment_header),
        .seq = segment->header.prev_last,
        .seq_max = last ? UINT64_MAX : recovery->segments[i + 1]->header.prev_last,
    };
}

static void keep(struct tail *tail, uint32_t offset)
{
    if (tail->n_batch == tail->batch_cap) {
        size_t cap = tail->batch_cap ? tail->batch_cap * 2 : 64;
        uint32_t *batch = realloc(tail->batch, cap * sizeof(*batch));
        TD_ASSERT(batch);
        tail->batch = batch;
        tail->batch_cap = cap;
    }
    tail->batch[tail->n_batch++] = offset;
}

/* Takes the gathered records into the log. */
static void end_batch(struct tail *tail)
{
    struct td_segment *segment = tail->segment;
    struct td_record record;

    for (size_t i = 0; i < tail->n_batch; i++) {
        td_record_view(segment->map + tail->batch[i], &record);
        td_index_add(segment->index, segment->map + tail->batch[i], tail->batch[i]);
        if (segment->first_time == 0)
            segment->first_time = record.time;
        segment->last_time = TD_MAX(segment->last_time, record.time);
        tail->recovery->report->records_scanned++;
    }
    tail->n_batch = 0;
    atomic_store(&segment->end, tail->scan.at);
    atomic_store(&segment->last_seq, tail->scan.seq);
    tail->recovery->last_seq = TD_MAX(tail->recovery->last_seq, tail->scan.seq);
    tail->recovery->synced = TD_MAX(tail->recovery->synced, tail->scan.synced);
}

/* Looks at all sound records from a place on: how far the log was durable by their word, and how many there are. */
static uint64_t look_ahead(const struct td_recovery *recovery, size_t i, struct td_scan scan,
                           uint64_t *ret_records)
{
    uint64_t synced = recovery->durable, records = 0;
    uint32_t offset;

    for (;;) {
        enum td_scan_what what = td_scan_next(&scan, &offset);
        records += what == TD_SCAN_RECORD;
        if (what == TD_SCAN_RECORD || td_scan_resync(&scan))
            continue;
        synced = TD_MAX(synced, scan.synced);
        if (++i == recovery->n)
            break;
        scan = scan_of(recovery, i);
    }
    *ret_records = records;
    return synced;
}

/* Bytes from `from` to the last that is not zero. */
static uint64_t content_bytes(const struct td_segment *segment, uint32_t from)
{
    size_t to = segment->map_bytes;

    while (to > from && segment->map[to - 1] == 0)
        to--;
    return to > from ? to - from : 0;
}

/* Everything behind the last whole batch goes. */
static void cut_tail(struct tail *tail, size_t i, uint64_t records_ahead)
{
    struct td_recovery *recovery = tail->recovery;
    struct td_journal_report *report = recovery->report;

    report->cut_records += tail->n_batch + records_ahead;
    report->cut_bytes += content_bytes(tail->segment, atomic_load(&tail->segment->end));
    tail->n_batch = 0;
    for (size_t j = i + 1; j < recovery->n; j++)
        report->cut_bytes += content_bytes(recovery->segments[j], sizeof(struct td_segment_header));
}

/* Notes that what stands at the scan's place was durable and is lost. */
static bool pass_damage(struct tail *tail, size_t i)
{
    struct td_recovery *recovery = tail->recovery;
    struct td_segment *segment = tail->segment;
    struct td_damage damage = {.after_seq = tail->scan.seq, .from = tail->scan.at};
    bool last = i + 1 == recovery->n;

    end_batch(tail); /* what was whole before it is durable too */
    if (td_scan_resync(&tail->scan)) {
        damage.to = tail->scan.at;
        damage.next_seq = td_record_seq(segment->map + tail->scan.at);
        td_segment_add_damage(segment, damage);
        recovery->report->damaged_ranges++;
        return true;
    }
    recovery->report->damaged_ranges++;
    /* Before another segment its header tells what is missing; at the end of the log, the head file does. */
    if (last && recovery->durable > damage.after_seq) {
        damage.to = damage.from;
        damage.next_seq = recovery->durable + 1;
        td_segment_add_damage(segment, damage);
        atomic_store(&segment->last_seq, recovery->durable);
        recovery->last_seq = recovery->durable;
    }
    return false;
}

/* Reads one segment; false when the log ends in it. */
static bool read_tail_segment(struct tail *tail, size_t i)
{
    struct td_recovery *recovery = tail->recovery;
    struct td_record_head head;
    uint64_t records_ahead;
    uint32_t offset;

    tail->segment = recovery->segments[i];
    tail->scan = scan_of(recovery, i);
    for (;;) {
        if (td_scan_next(&tail->scan, &offset) == TD_SCAN_RECORD) {
            memcpy(&head, tail->segment->map + offset, sizeof(head));
            keep(tail, offset);
            if (head.flags & TD_RECORD_LAST)
                end_batch(tail);
            continue;
        }
        /* All that the next segment's header knows of is there.  What stands behind it is what a failed write left, and was cut off by a
         * run that lost its power before the cut was on disk. */
        if (i + 1 < recovery->n && tail->scan.seq == tail->scan.seq_max)
            return true;
        if (look_ahead(recovery, i, tail->scan, &records_ahead) <= tail->scan.seq) {
            cut_tail(tail, i, records_ahead);
            return false;
        }
        if (!pass_damage(tail, i))
            return true;
    }
}

void td_recover_tail(struct td_recovery *recovery)
{
    struct tail tail = {.recovery = recovery};
    size_t i = recovery->n_sealed;

    while (i < recovery->n && read_tail_segment(&tail, i))
        i++;
    free(tail.batch);
    /* A segment in which nothing is left has nothing to say; the head file knows which sequences were given. */
    size_t keep_n = TD_MIN(i + 1, recovery->n);
    if (keep_n > recovery->n_sealed &&
        atomic_load(&recovery->segments[keep_n - 1]->end) == sizeof(struct td_segment_header) &&
        atomic_load(&recovery->segments[keep_n - 1]->last_seq) ==
            recovery->segments[keep_n - 1]->header.prev_last)
        keep_n--;
    recovery->n_kept = keep_n;
}
