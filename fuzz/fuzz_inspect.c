/* SPDX-License-Identifier: Apache-2.0 */
/* A log of a few segments in which bytes are overwritten: each 4 bytes of the input are a file, a place and what it becomes.  Then
 * `tidings log`'s way of looking, and the server's.  What either shows is what was once appended, in order; nothing is left open. */
#include "base/err.h"
#include "fuzz.h"
#include "journal/inspect.h"
#include "journal/journal.h"
#include "os/file.h"
#include "os/sim/sim.h"
#include <stdlib.h>

#define DIR     "log"
#define EVENTS  120
#define DAMAGES 16

static void must(bool holds)
{
    if (!holds)
        abort();
}

static const struct td_journal_options options = {
    .dir = DIR,
    .segment_bytes = 4096,
    .retain_bytes = 10 * 4096,
};

static uint64_t seqs[EVENTS];

static void wake(void *arg)
{
    (void)arg;
}

/* The number of an event, which stands in its data and its topic. */
static void append(struct td_journal *journal, unsigned number)
{
    char topic[16], data[16];
    int topic_len = snprintf(topic, sizeof(topic), "a/%u", number % 7);
    int data_len = snprintf(data, sizeof(data), "%u", number);
    const struct td_draft draft = {
        .topic = td_slice(topic, (size_t)topic_len),
        .type = TD_S("t"),
        .data = td_slice(data, (size_t)data_len),
    };
    const struct td_batch batch = {.drafts = &draft, .n = 1};

    must(td_journal_append(journal, &batch, &seqs[number]) == 0);
}

static void make_log(void)
{
    struct td_journal_report report;
    struct td_journal *journal;

    td_sim_reset(1);
    must(td_journal_open(&options, &journal, &report) == 0);
    for (unsigned i = 0; i < EVENTS; i++) {
        append(journal, i);
        (void)td_journal_commit_step(journal);
        while (i % 16 == 0 && td_journal_keep_step(journal) > 0)
            continue;
    }
    td_journal_close(journal);
}

static void damage(const uint8_t *data, size_t size)
{
    const char *path;
    uint64_t bytes;

    for (size_t i = 0; i + 4 <= size && i < 4 * (size_t)DAMAGES; i += 4) {
        size_t n = 0;
        while (td_sim_disk_file(n, &path, &bytes))
            n++;
        if (n == 0 || !td_sim_disk_file(data[i] % n, &path, &bytes) || bytes == 0)
            continue;
        int file = td_file_open(path, TD_FILE_WRITE);
        must(file >= 0);
        uint64_t at = ((uint64_t)data[i + 1] * 256 + data[i + 2]) % bytes;
        if (data[i] >= 240)
            must(td_file_truncate(file, at) == 0);
        else
            must(td_file_write_at(file, &data[i + 3], 1, at) == 0);
        td_file_close(file);
    }
}

/* Whether a record is one that was appended. */
static void check_record(const struct td_record *record, uint64_t *last)
{
    uint64_t number;

    must(record->seq > *last);
    *last = record->seq;
    must(td_slice_u64(record->data, &number) == 0 && number < EVENTS);
    must(seqs[number] == record->seq);
    must(record->topic.len == 3 && (uint64_t)(record->topic.ptr[2] - '0') == number % 7);
}

static int dumped(const struct td_record *record, uint64_t from, uint64_t to, void *arg)
{
    uint64_t *last = arg;

    if (record) {
        check_record(record, last);
    } else {
        must(to >= from);
        *last = TD_MAX(*last, from);
    }
    return 0;
}

static void ignore(const struct td_finding *finding, void *arg)
{
    (void)arg;
    must(finding->to >= finding->from || finding->kind == TD_FINDING_SEGMENT ||
         finding->kind == TD_FINDING_HEADER || finding->kind == TD_FINDING_INDEX ||
         finding->kind == TD_FINDING_TAIL);
}

static void look(void)
{
    struct td_inspect_stat stat;
    uint64_t last = 0;
    const struct td_dump dump = {.pattern = TD_S("**"), .each = dumped, .arg = &last};

    int r = td_inspect_stat(DIR, &stat);
    must(r <= 0);
    must(r < 0 || stat.records <= EVENTS);
    (void)!td_inspect_verify(DIR, ignore, NULL);
    (void)!td_inspect_dump(DIR, &dump);
    must(td_sim_maps_open() == 0 && td_sim_files_open() == 0);
}

static void read_all(struct td_journal *journal)
{
    struct td_journal_reader *reader;
    const char *records[32];
    const struct td_wanted all = {td_pattern_key(td_journal_seed(journal), TD_S("**"), NULL),
                                  TD_S("**"), true};
    uint64_t last = 0;
    struct td_read read = {.wanted = &all, .n_wanted = 1, .records = records, .records_max = 32};

    must(td_journal_reader_open(journal, wake, NULL, &reader) == 0);
    td_journal_quiesce(reader, false);
    for (int turns = 0; turns < 1000; turns++) {
        read.until = td_journal_readable(journal);
        td_journal_read(reader, &read);
        for (size_t i = 0; i < read.n; i++) {
            struct td_record record;
            td_record_view(records[i], &record);
            check_record(&record, &last);
        }
        must(read.position >= read.after);
        read.after = read.end == TD_READ_GAP ? TD_MAX(read.gap_to, read.position) : read.position;
        if (read.end == TD_READ_DONE)
            break;
        if (read.end == TD_READ_COLD)
            (void)td_journal_keep_step(journal);
        must(turns < 999); /* it comes to an end */
    }
    td_journal_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_journal_report report;
    struct td_journal *journal;

    make_log();
    damage(data, size);
    look();
    if (td_journal_open(&options, &journal, &report) == 0) {
        read_all(journal);
        td_journal_close(journal);
    }
    must(td_sim_maps_open() == 0 && td_sim_files_open() == 0);
    return 0;
}
