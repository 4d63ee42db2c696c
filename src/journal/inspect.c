/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/inspect.h"
#include "base/assert.h"
#include "base/err.h"
#include "journal/head.h"
#include "journal/internal.h"
#include "os/file.h"
#include <errno.h>

/* How often a log that looks damaged is looked at again. */
#define LOOKS 4

/* A running server writes and trims while its files are read, and what is caught halfway looks like damage.  Real damage is still there at
 * the next look. */
static int open_log(const char *dir, struct td_journal **ret_journal,
                    struct td_journal_report *ret_report)
{
    const struct td_journal_options options = {.dir = dir, .read_only = true};
    int r = td_journal_open(&options, ret_journal, ret_report);

    for (int look = 1; look < LOOKS && r == 0 && ret_report->damaged_ranges > 0; look++) {
        td_journal_close(*ret_journal);
        r = td_journal_open(&options, ret_journal, ret_report);
    }
    if (r == 0 && ret_report->created) {
        td_journal_close(*ret_journal);
        return -ENOENT;
    }
    return r;
}

static uint64_t records_in(const struct td_segment *segment)
{
    return segment->index ? segment->index->all.n : segment->sealed_index.header->records;
}

/* Of what the index holds, the records that damage has taken. */
static uint64_t records_damaged(const struct td_segment *segment)
{
    struct td_offsets all = segment->sealed_index.all;
    uint64_t n = 0;

    for (size_t i = 0; i < segment->n_damage; i++)
        n += td_offsets_below(all, segment->damage[i].to) -
             td_offsets_below(all, segment->damage[i].from);
    return n;
}

/* The groups are those of the server: their number is in the index, their names in its configuration. */
static void add_groups(struct td_inspect_stat *stat, const struct td_segment *segment)
{
    const struct td_sealed *sealed = &segment->sealed_index;

    stat->slim += segment->slim;
    if (!sealed->map)
        return;
    stat->kept_bytes += sealed->header->kept_bytes;
    for (uint32_t i = 0; i < sealed->header->groups; i++)
        stat->group_bytes[i] += sealed->groups[i].bytes;
}

int td_inspect_stat(const char *dir, struct td_inspect_stat *ret_stat)
{
    struct td_inspect_stat stat = {0};
    struct td_journal *journal;
    int r = open_log(dir, &journal, &stat.report);

    if (r < 0)
        return r;
    const struct td_set *set = atomic_load(&journal->set);
    stat.epoch = journal->epoch;
    stat.horizon = set->horizon;
    stat.segments = set->n;
    stat.last_seq = journal->last_seq;
    for (size_t i = 0; i < set->n; i++) {
        const struct td_segment *segment = set->segments[i];
        stat.sealed += segment->sealed_index.map != NULL;
        add_groups(&stat, segment);
        stat.records += records_in(segment);
        stat.bytes += atomic_load(&segment->end);
        stat.index_bytes += segment->sealed_index.bytes;
        if (stat.first_seq == 0)
            stat.first_seq = segment->header.first_seq;
        if (stat.first_time == 0)
            stat.first_time = segment->first_time;
        stat.last_time = TD_MAX(stat.last_time, segment->last_time);
        uint64_t keys =
            segment->index ? segment->index->keys.len + 1 : segment->sealed_index.header->keys;
        stat.topics_and_prefixes = TD_MAX(stat.topics_and_prefixes, keys);
    }
    struct td_journal_stat own;
    td_journal_stat(journal, &own);
    stat.state_keys = own.state_keys;
    stat.state_topics = own.state_topics;
    td_journal_close(journal);
    *ret_stat = stat;
    return 0;
}

/* ---- verify ---- */

struct verify {
    void (*found)(const struct td_finding *finding, void *arg);
    void *arg;
    int64_t damaged;
};

static void tell(struct verify *verify, struct td_finding finding)
{
    verify->damaged += finding.kind == TD_FINDING_HEADER || finding.kind == TD_FINDING_INDEX ||
                       finding.kind == TD_FINDING_RECORDS;
    verify->found(&finding, verify->arg);
}

static void verify_segment(struct verify *verify, struct td_segment *segment, uint64_t last,
                           bool tail)
{
    uint64_t name = segment->header.first_seq, n = records_in(segment);
    struct td_index *index = NULL;
    bool indexed = segment->sealed_index.map != NULL;

    if (atomic_load(&segment->heat) != TD_HOT && td_segment_verify(segment, &index) < 0) {
        n = index->all.n;
        indexed = false;
        td_index_free(index);
    } else if (indexed) {
        n -= records_damaged(segment);
    }
    if (segment->header_bad)
        tell(verify, (struct td_finding){.kind = TD_FINDING_HEADER, .segment = name});
    if (!indexed && !tail)
        tell(verify, (struct td_finding){.kind = TD_FINDING_INDEX, .segment = name});
    if (last < segment->header.prev_last)
        tell(verify,
             (struct td_finding){TD_FINDING_RECORDS, name, last, segment->header.prev_last, 0});
    if (segment->header.lost_to > segment->header.prev_last)
        tell(verify, (struct td_finding){TD_FINDING_LOST, name, segment->header.prev_last,
                                         segment->header.lost_to, 0});
    for (size_t i = 0; i < segment->n_damage; i++)
        tell(verify, (struct td_finding){TD_FINDING_RECORDS, name, segment->damage[i].after_seq,
                                         segment->damage[i].next_seq - 1, 0});
    tell(verify, (struct td_finding){
                     .kind = TD_FINDING_SEGMENT,
                     .segment = name,
                     .to = atomic_load(&segment->last_seq),
                     .n = n,
                 });
}

int64_t td_inspect_verify(const char *dir,
                          void (*found)(const struct td_finding *finding, void *arg), void *arg)
{
    struct verify verify = {.found = found, .arg = arg};
    struct td_journal_report report;
    struct td_journal *journal;
    int r = open_log(dir, &journal, &report);

    if (r < 0)
        return r;
    const struct td_set *set = atomic_load(&journal->set);
    uint64_t last = set->horizon;
    for (size_t i = 0; i < set->n; i++) {
        verify_segment(&verify, set->segments[i], last, set->segments[i]->map_owned);
        last = atomic_load(&set->segments[i]->last_seq);
    }
    if (set->lost_tail > last)
        tell(&verify, (struct td_finding){TD_FINDING_RECORDS, last + 1, last, set->lost_tail, 0});
    if (report.cut_bytes > 0)
        tell(&verify, (struct td_finding){.kind = TD_FINDING_TAIL, .n = report.cut_bytes});
    td_journal_close(journal);
    return verify.damaged;
}

/* ---- dump ---- */

static void ignore_wake(void *arg)
{
}

static int give(const struct td_dump *dump, const struct td_read *read)
{
    struct td_record record;
    int r = 0;

    for (size_t i = 0; i < read->n && r == 0; i++) {
        td_record_view(read->records[i], &record);
        r = dump->each(&record, 0, 0, dump->arg);
    }
    if (r == 0 && read->end == TD_READ_GAP)
        r = dump->each(NULL, read->position, read->gap_to, dump->arg);
    return r;
}

static int dump_all(struct td_journal *journal, struct td_journal_reader *reader,
                    const struct td_dump *dump)
{
    const char *records[256];
    struct td_wanted wanted = {.pattern = dump->pattern};
    struct td_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .after = dump->after,
        .until = UINT64_MAX,
        .records = records,
        .records_max = TD_ARRAY_LEN(records),
    };
    int r = 0;

    wanted.key = td_pattern_key(journal->seed, wanted.pattern, &wanted.exact);
    do {
        td_journal_read(reader, &read);
        r = give(dump, &read);
        bool retention = read.end == TD_READ_GAP && read.gap_reason == TD_GAP_RETENTION;
        if (retention)
            read.told = td_told_upto(read.gap_to);
        read.after = read.end == TD_READ_GAP && !retention ? read.gap_to : read.position;
        if (read.end == TD_READ_COLD && td_journal_keep_step(journal) <= 0)
            return TD_EDAMAGED;
    } while (r == 0 && read.end != TD_READ_DONE);
    return r;
}

int td_inspect_dump(const char *dir, const struct td_dump *dump)
{
    struct td_journal_reader *reader;
    struct td_journal_report report;
    struct td_journal *journal;
    int r = open_log(dir, &journal, &report);

    if (r < 0)
        return r;
    r = td_journal_reader_open(journal, ignore_wake, NULL, &reader);
    if (r == 0) {
        r = dump_all(journal, reader, dump);
        td_journal_reader_close(reader);
    }
    td_journal_close(journal);
    return r;
}

/* ---- backup ---- */

static int refuse_any(const char *name, void *arg)
{
    return -EEXIST;
}

static int copy(const char *path, const char *bytes, size_t len)
{
    int file = td_file_open(path, TD_FILE_WRITE | TD_FILE_CREATE | TD_FILE_EXCLUSIVE);

    if (file < 0)
        return file;
    int r = len > 0 ? td_file_write_at(file, bytes, len, 0) : 0;
    if (r == 0)
        r = td_file_sync(file);
    td_file_close(file);
    return r;
}

static int copy_segment(const struct td_segment *segment, const char *to, uint64_t *bytes)
{
    size_t len = TD_MIN(segment->map_bytes, (size_t)atomic_load(&segment->end));
    char path[TD_LOG_PATH_MAX];

    td_segment_path(to, segment->header.first_seq, ".log", path);
    int r = copy(path, segment->map, len);
    *bytes += len;
    if (r < 0 || !segment->sealed_index.map)
        return r;
    td_segment_path(to, segment->header.first_seq, ".idx", path);
    *bytes += segment->sealed_index.bytes;
    return copy(path, segment->sealed_index.map, segment->sealed_index.bytes);
}

static int copy_log(struct td_journal *journal, const char *to, uint64_t *bytes)
{
    const struct td_set *set = atomic_load(&journal->set);
    struct td_head_file head = {
        .epoch = journal->epoch,
        .seed = journal->seed,
        .last_seq = journal->last_seq,
        .skip_to = TD_MAX(journal->last_seq, journal->skip_to) + TD_BACKUP_JUMP,
        .created_ms = journal->created_ms,
    };
    char path[TD_LOG_PATH_MAX];
    int r = 0;

    for (size_t i = 0; i < set->n && r == 0; i++)
        r = copy_segment(set->segments[i], to, bytes);
    td_log_path(to, "trimmed", path);
    if (r == 0)
        r = td_trimmed_store(&journal->trimmed, journal->epoch, journal->seed, path);
    return r == 0 ? td_head_write(to, &head) : r;
}

int td_inspect_backup(const char *dir, const char *to, uint64_t *ret_bytes)
{
    struct td_journal_report report;
    struct td_journal *journal;
    uint64_t bytes = 0;

    if (strlen(to) >= TD_LOG_DIR_MAX)
        return -ENAMETOOLONG;
    int r = open_log(dir, &journal, &report);
    if (r < 0)
        return r;
    r = td_dir_make(to);
    if (r == 0)
        r = td_dir_list(to, refuse_any, NULL);
    if (r == 0)
        r = copy_log(journal, to, &bytes);
    td_journal_close(journal);
    if (r == 0)
        *ret_bytes = bytes;
    return r;
}
