/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a log: what is in the directory, and what of it is the log. */
#include "journal/recover.h"
#include "base/assert.h"
#include "base/err.h"
#include "journal/account.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

static int note_segment(const char *name, void *arg)
{
    struct td_recovery *recovery = arg;
    uint64_t seq;

    if (!td_segment_name(name, ".log", &seq))
        return 0;
    if (recovery->n == recovery->cap) {
        size_t cap = recovery->cap ? recovery->cap * 2 : 64;
        struct td_segment **segments = realloc(recovery->segments, cap * sizeof(*segments));
        if (!segments)
            return -ENOMEM;
        recovery->segments = segments;
        recovery->cap = cap;
    }
    struct td_segment *segment = td_segment_new();
    segment->header.first_seq = seq;
    segment->full = segment->synced = segment->listed = true;
    recovery->segments[recovery->n++] = segment;
    return 0;
}

static int by_first(const void *a, const void *b)
{
    const struct td_segment *const *x = a, *const *y = b;
    uint64_t first_x = (*x)->header.first_seq, first_y = (*y)->header.first_seq;

    return first_x < first_y ? -1 : first_x > first_y;
}

/* Opens the file and reads its header; one that is damaged is filled in later.  -ENOENT when it has just been trimmed. */
static int read_header(struct td_journal *journal, struct td_segment *segment)
{
    struct td_segment_header header = {0};
    char path[TD_LOG_PATH_MAX];

    td_segment_path(journal->dir, segment->header.first_seq, ".log", path);
    int r = td_file_open(path,
                         journal->options.read_only ? TD_FILE_READ : TD_FILE_READ | TD_FILE_WRITE);
    if (r < 0)
        return r;
    segment->file = r;
    int64_t n = td_file_read_at(segment->file, &header, sizeof(header), 0);
    if (n < 0)
        return (int)n;
    segment->header_bad =
        !td_segment_header_sound(&header) || header.first_seq != segment->header.first_seq;
    if (!segment->header_bad) {
        segment->header = header;
        segment->slim = header.flags & TD_SEGMENT_SLIM;
    }
    return 0;
}

static void drop_segment(struct td_recovery *recovery, size_t i)
{
    td_segment_free(recovery->segments[i]);
    memmove(&recovery->segments[i], &recovery->segments[i + 1],
            (recovery->n - i - 1) * sizeof(struct td_segment *));
    recovery->n--;
}

static int list_segments(struct td_recovery *recovery)
{
    struct td_journal *journal = recovery->journal;
    int r = td_dir_list(journal->dir, note_segment, recovery);

    if (r < 0)
        return r;
    if (recovery->n > 0)
        qsort(recovery->segments, recovery->n, sizeof(struct td_segment *), by_first);
    for (size_t i = 0; i < recovery->n;) {
        r = read_header(journal, recovery->segments[i]);
        if (r == -ENOENT)
            drop_segment(recovery, i);
        else if (r < 0)
            return r;
        else
            i++;
    }
    return 0;
}

static int load_files(struct td_recovery *recovery)
{
    struct td_journal *journal = recovery->journal;
    char path[TD_LOG_PATH_MAX];
    struct td_identity trimmed = {0};

    /* Files go by the word of what is read here: its names have to be on disk before. */
    int r = journal->options.read_only ? 0 : td_dir_sync(journal->dir);
    if (r < 0)
        return r;
    r = td_head_load(journal->dir, &recovery->head);
    if (r < 0 && r != -ENOENT && r != TD_EDAMAGED)
        return r;
    recovery->has_head = r == 0;
    td_log_path(journal->dir, "trimmed", path);
    r = td_trimmed_load(&journal->trimmed, path, &trimmed.epoch, &trimmed.seed);
    if (r < 0 && r != -ENOENT && r != TD_EDAMAGED)
        return r;
    recovery->has_trimmed = r == 0;
    td_recover_identity(recovery, &trimmed);
    /* Keys of another seed answer nothing. */
    if (recovery->has_trimmed && trimmed.seed != journal->seed) {
        td_trimmed_blur(&journal->trimmed);
    }
    if (recovery->has_head) {
        journal->skip_to = recovery->head.skip_to;
        recovery->durable = recovery->head.clean ? recovery->head.last_seq : 0;
        recovery->last_seq = recovery->head.last_seq;
    }
    return 0;
}

static void remove_segment(struct td_recovery *recovery, size_t i)
{
    struct td_journal *journal = recovery->journal;
    char path[TD_LOG_PATH_MAX];

    if (journal->options.read_only)
        return;
    td_segment_path(journal->dir, recovery->segments[i]->header.first_seq, ".log", path);
    int r = td_path_unlink(path);
    td_segment_path(journal->dir, recovery->segments[i]->header.first_seq, ".idx", path);
    if (r < 0 || td_path_unlink(path) < 0)
        return; /* opening meets it again */
}

/* Fills in what a damaged header would have said, from its neighbours: on the loud side. */
static void mend_headers(struct td_recovery *recovery)
{
    struct td_journal *journal = recovery->journal;

    for (size_t i = 0; i < recovery->n; i++) {
        struct td_segment *segment = recovery->segments[i];
        struct td_segment_header *header = &segment->header;
        if (!segment->header_bad)
            continue;
        header->epoch = journal->epoch;
        header->seed = journal->seed;
        if (segment->sealed_index.map)
            header->prev_last = segment->sealed_index.header->prev_last;
        else if (i > 0 && recovery->segments[i - 1]->sealed_index.map)
            header->prev_last = recovery->segments[i - 1]->sealed_index.header->last_seq;
        else if (i == 0 && recovery->has_trimmed)
            header->prev_last = journal->trimmed.horizon;
        else
            header->prev_last = header->first_seq - 1;
        if (header->prev_last >= header->first_seq)
            header->prev_last = header->first_seq - 1;
        header->lost_to = header->first_seq - 1;
    }
}

/* Maps the index of a segment; without one, or with one that is not its own, the records will be read. */
static void open_index(struct td_journal *journal, struct td_segment *segment)
{
    struct td_sealed *sealed = &segment->sealed_index;
    char path[TD_LOG_PATH_MAX];

    td_segment_path(journal->dir, segment->header.first_seq, ".idx", path);
    if (td_sealed_open(path, sealed) < 0)
        return;
    if (sealed->header->epoch != journal->epoch || sealed->header->seed != journal->seed ||
        sealed->header->first_seq != segment->header.first_seq ||
        (!segment->header_bad && segment->slim != (sealed->header->slim != 0))) {
        td_sealed_close(sealed);
        return;
    }
    segment->slim = sealed->header->slim != 0;
    td_account_load(journal, segment);
    segment->first_time = sealed->header->first_time;
    segment->last_time = sealed->header->last_time;
    atomic_store(&segment->end, sealed->header->end);
    atomic_store(&segment->last_seq, sealed->header->last_seq);
    atomic_store(&segment->sealed, true);
}

/* Copies a file that may be written meanwhile, from its end to its beginning: where a record is seen, so is everything that was written
 * before it.  The other way round a batch could be missing in front of one that says that it was synced. */
static int copy_back(int file, char *ret_bytes, size_t size)
{
    static const size_t page = 4096;

    for (size_t end = size; end > 0;) {
        size_t at = (end - 1) / page * page;
        int64_t n = td_file_read_at(file, ret_bytes + at, end - at, at);
        if (n < 0)
            return (int)n;
        end = at;
    }
    return 0;
}

static int map_segment(struct td_journal *journal, struct td_segment *segment, bool tail)
{
    uint64_t size;
    int r = td_file_size(segment->file, &size);

    if (r < 0)
        return r;
    size = TD_MIN(size, TD_SEGMENT_MAX);
    segment->capacity = (uint32_t)size;
    if (!tail)
        size = TD_MIN(size, atomic_load(&segment->end));
    if (size == 0)
        return 0;
    if (!tail || !journal->options.read_only) {
        segment->map_bytes = (size_t)size;
        return td_file_map(segment->file, (size_t)size, &segment->map);
    }
    /* A server that is running may cut this file at any time, so it is copied. */
    char *copy = calloc(1, (size_t)size);
    if (!copy)
        return -ENOMEM;
    segment->map = copy;
    segment->map_owned = true;
    segment->map_bytes = (size_t)size;
    return copy_back(segment->file, copy, (size_t)size);
}

static void note_times(struct td_segment *segment)
{
    struct td_record record;

    for (uint32_t i = 0; i < segment->index->all.n; i++) {
        td_record_view(segment->map + td_index_get(segment->index, segment->index->all_key).at[i],
                       &record);
        if (segment->first_time == 0)
            segment->first_time = record.time;
        segment->last_time = TD_MAX(segment->last_time, record.time);
    }
}

/* Where the last record ends that the new index of a segment knows.  One that was written anew does not say so when its header is damaged
 * as well: what it keeps for the sake of state counts too. */
static uint32_t records_end(const struct td_segment *segment)
{
    const uint64_t keys[] = {segment->index->all_key, td_kept_key(segment->index->seed)};
    uint32_t end = sizeof(struct td_segment_header);
    struct td_record record;

    for (size_t i = 0; i < TD_ARRAY_LEN(keys); i++) {
        struct td_offsets offsets = td_index_get(segment->index, keys[i]);
        if (offsets.n == 0)
            continue;
        td_record_view(segment->map + offsets.at[offsets.n - 1], &record);
        end = TD_MAX(end, offsets.at[offsets.n - 1] + record.size);
    }
    return end;
}

/* A segment before one with an index was durable as a whole; when its own index is missing it is read like a cold one. */
static void expect_whole(struct td_recovery *recovery, size_t i)
{
    struct td_segment *segment = recovery->segments[i];

    atomic_store(&segment->end, segment->capacity);
    atomic_store(&segment->last_seq, segment->slim ? segment->header.last_seq
                                                   : recovery->segments[i + 1]->header.prev_last);
    if (td_segment_verify(segment, &segment->index) == 0)
        return;
    uint32_t end = segment->slim ? segment->capacity : records_end(segment);
    if (segment->n_damage > 0)
        end = TD_MAX(end, segment->damage[segment->n_damage - 1].to);
    atomic_store(&segment->end, end);
    atomic_store(&segment->heat, TD_HOT);
    note_times(segment);
    recovery->report->records_scanned += segment->index->all.n;
    recovery->report->damaged_ranges += segment->n_damage;
}

static int open_segments(struct td_recovery *recovery)
{
    struct td_journal *journal = recovery->journal;

    for (size_t i = 0; i < recovery->n; i++) {
        open_index(journal, recovery->segments[i]);
        if (recovery->segments[i]->sealed_index.map || recovery->segments[i]->slim)
            recovery->n_sealed = i + 1;
    }
    mend_headers(recovery);
    for (size_t i = 0; i < recovery->n; i++) {
        struct td_segment *segment = recovery->segments[i];
        bool tail = i >= recovery->n_sealed;
        int r = map_segment(journal, segment, tail || !segment->sealed_index.map);
        if (r < 0)
            return r;
        if (tail) {
            segment->index = td_index_new(journal->seed);
            atomic_store(&segment->end, sizeof(struct td_segment_header));
            atomic_store(&segment->last_seq, segment->header.prev_last);
            atomic_store(&segment->heat, TD_HOT);
        } else if (!segment->sealed_index.map) {
            expect_whole(recovery, i);
        }
        if (segment->sealed_index.map) {
            td_file_close(segment->file);
            segment->file = -1;
        }
        if (!tail)
            recovery->last_seq = TD_MAX(recovery->last_seq, atomic_load(&segment->last_seq));
    }
    return 0;
}

/* Whether the table of what was trimmed covers the oldest segment.  After a crash its index may be gone and the
 * segment not: then the next header tells where it ended. */
static bool oldest_is_trimmed(const struct td_recovery *recovery)
{
    uint64_t horizon = recovery->journal->trimmed.horizon;

    if (recovery->n > 1)
        return recovery->segments[1]->header.prev_last <= horizon;
    return recovery->n == 1 && recovery->n_sealed == 1 &&
           atomic_load(&recovery->segments[0]->last_seq) <= horizon;
}

/* Trimming was cut short: the table is stored before the files go. */
static void finish_trim(struct td_recovery *recovery)
{
    while (oldest_is_trimmed(recovery)) {
        remove_segment(recovery, 0);
        drop_segment(recovery, 0);
        recovery->n_sealed -= recovery->n_sealed > 0;
    }
}

/* Segments have gone that the table does not know: it could not be stored, or somebody removed them.  Anything may have been in them. */
static void note_gone(struct td_recovery *recovery)
{
    struct td_trimmed *trimmed = &recovery->journal->trimmed;

    if (recovery->n > 0 && recovery->segments[0]->header.prev_last > trimmed->horizon) {
        trimmed->horizon = recovery->segments[0]->header.prev_last;
        td_trimmed_raise(trimmed, trimmed->horizon);
    }
    /* Nor is it known then what was left out of the others. */
    for (size_t i = 0; i < recovery->n && !recovery->has_trimmed; i++)
        if (recovery->segments[i]->slim)
            td_trimmed_raise(trimmed, atomic_load(&recovery->segments[i]->last_seq));
}

/* Makes what was kept of an unfinished segment durable.  What may never have been synced is written again: if a sync
 * failed before the restart, the kernel holds those pages as clean, and another sync would say yes and do nothing. */
static int repair(struct td_segment *segment, uint64_t synced)
{
    static const size_t chunk_max = 64 * TD_KIB;
    uint32_t end = atomic_load(&segment->end);
    struct td_offsets all = td_index_get(segment->index, segment->index->all_key);
    uint32_t first = td_offsets_after(all, segment->map, synced);
    uint32_t at = first == 0 ? 0 : first < all.n ? all.at[first] : end;
    char *chunk = malloc(chunk_max);
    int r = chunk ? td_file_truncate(segment->file, end) : -ENOMEM;

    while (r == 0 && at < end) {
        size_t n = TD_MIN(chunk_max, (size_t)(end - at));
        memcpy(chunk, segment->map + at, n);
        r = td_file_write_at(segment->file, chunk, n, at);
        at += (uint32_t)n;
    }
    free(chunk);
    return r < 0 ? r : td_file_sync(segment->file);
}

/* Drops what stands behind the end of the log, on disk too. */
static int settle_tail(struct td_recovery *recovery)
{
    bool read_only = recovery->journal->options.read_only;
    int r = 0;

    for (size_t i = recovery->n_sealed; i < recovery->n_kept && !read_only && r == 0; i++)
        r = repair(recovery->segments[i], recovery->synced);
    while (recovery->n > recovery->n_kept) {
        remove_segment(recovery, recovery->n - 1);
        drop_segment(recovery, recovery->n - 1);
    }
    for (size_t i = 0; i < recovery->n; i++)
        recovery->report->damaged_ranges += recovery->segments[i]->header_bad;
    return r < 0 || read_only ? r : td_dir_sync(recovery->journal->dir);
}

int td_journal_recover(struct td_journal *journal, struct td_journal_report *report)
{
    struct td_recovery recovery = {.journal = journal, .report = report};
    int r = list_segments(&recovery);

    if (r == 0)
        r = load_files(&recovery);
    if (r == 0)
        r = open_segments(&recovery);
    if (r == 0) {
        finish_trim(&recovery);
        recovery.n_kept = recovery.n;
        td_recover_tail(&recovery);
        /* The last one left can be told to be trimmed only now that it has been read. */
        if (recovery.n_kept == 1 && recovery.n_sealed == 0 &&
            atomic_load(&recovery.segments[0]->last_seq) <= journal->trimmed.horizon)
            recovery.n_kept = 0;
        r = settle_tail(&recovery);
        note_gone(&recovery);
        td_recover_sweep(&recovery);
    }
    if (r == 0)
        td_recover_load(&recovery);
    while (recovery.n > 0)
        drop_segment(&recovery, recovery.n - 1);
    free(recovery.segments);
    return r;
}
