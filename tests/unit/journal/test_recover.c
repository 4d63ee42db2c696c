/* SPDX-License-Identifier: Apache-2.0 */
/* What a log is after it was closed, killed, torn or damaged. */
#include "fixture.h"
#include "os/file.h"
#include <errno.h>

#define LOG_1 LOG_DIR "/0000000000000001.log"
#define IDX_1 LOG_DIR "/0000000000000001.idx"

static void append_batch(struct fixture *fixture, size_t n)
{
    struct td_draft drafts[16];
    uint64_t seqs[16];

    for (size_t i = 0; i < n; i++)
        drafts[i] = draft("a/b", "\"0123456789\"");
    assert_int_equal(append_drafts(fixture, drafts, n, seqs), 0);
}

static uint64_t file_size(const char *path)
{
    int file = td_file_open(path, TD_FILE_READ);
    uint64_t size;

    assert_true(file >= 0);
    assert_int_equal(td_file_size(file, &size), 0);
    td_file_close(file);
    return size;
}

/* Reads the whole log, going on behind each gap; returns the number of records and counts the gaps. */
static size_t read_all(struct fixture *fixture, unsigned *ret_gaps, enum td_gap_reason *ret_reason)
{
    size_t n = 0;
    uint64_t after = 0, last = 0;

    *ret_gaps = 0;
    for (;;) {
        struct td_read read = read_after(fixture, "**", after);
        for (size_t i = 0; i < read.n; i++) {
            struct td_record record;
            td_record_view(read.records[i], &record);
            assert_true(record.seq > last);
            assert_int_equal(td_record_check(td_slice(read.records[i], record.size)),
                             (int)record.size);
            last = record.seq;
        }
        n += read.n;
        if (read.end == TD_READ_DONE)
            return n;
        if (read.end == TD_READ_BUDGET) {
            after = read.position;
            continue;
        }
        assert_int_equal(read.end, TD_READ_GAP);
        assert_true(read.gap_to > read.position);
        assert_true(read.position >= last);
        last = read.gap_to;
        after = read.gap_to;
        *ret_reason = read.gap_reason;
        (*ret_gaps)++;
    }
}

static size_t count_all(struct fixture *fixture)
{
    enum td_gap_reason reason;
    unsigned gaps;
    size_t n = read_all(fixture, &gaps, &reason);

    assert_int_equal(gaps, 0);
    return n;
}

static void goes_on_after_a_kill(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    uint32_t epoch = td_journal_epoch(fixture.journal);
    append_batch(&fixture, 3);
    fixture_commit(&fixture);
    append_batch(&fixture, 2);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    assert_true(fixture.report.unclean);
    assert_int_equal(fixture.report.records_scanned, 5);
    assert_int_equal(fixture.report.cut_records, 0);
    assert_int_equal(td_journal_epoch(fixture.journal), epoch);
    assert_int_equal(count_all(&fixture), 5);
    /* No number is used twice, and who saw one that is lost is told. */
    uint64_t seq = append(&fixture, "a/b", "1");
    assert_true(seq > (1 << 20));
    fixture_commit(&fixture);
    struct td_read read = read_after(&fixture, "**", 6);
    assert_int_equal(read.end, TD_READ_GAP);
    assert_int_equal(read.gap_reason, TD_GAP_UNSYNCED);
    assert_int_equal(read.gap_to, seq - 1);
    assert_int_equal(read_after(&fixture, "**", read.gap_to).n, 1);
    assert_int_equal(read_after(&fixture, "**", 5).n, 1);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_false(fixture.report.unclean);
    assert_int_equal(fixture.report.records_scanned, 0);
    assert_int_equal(append(&fixture, "a/b", "1"), seq + 1);
    fixture_close(&fixture);
}

/* Before anything is appended again, a position that is lost is beyond the head. */
static void tells_of_lost_positions_at_once(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    append_batch(&fixture, 3);
    fixture_kill(&fixture);
    for (int round = 0; round < 3; round++) {
        fixture_open(&fixture);
        assert_int_equal(fixture.report.unclean, round == 0);
        struct td_read read = read_after(&fixture, "**", 7);
        assert_int_equal(read.end, TD_READ_GAP);
        assert_int_equal(read.gap_reason, TD_GAP_UNSYNCED);
        assert_int_equal(read.gap_to, 3);
        assert_int_equal(read_after(&fixture, "**", 3).end, TD_READ_DONE);
        fixture_close(&fixture);
    }
    /* The jump was still to come. */
    fixture_open(&fixture);
    assert_true(append(&fixture, "a/b", "1") > 1 << 20);
    fixture_commit(&fixture);
    assert_int_equal(read_after(&fixture, "**", 7).gap_reason, TD_GAP_UNSYNCED);
    fixture_close(&fixture);
}

/* Runs that each lose everything they wrote never give the same number twice. */
static void never_gives_a_number_twice(void **state)
{
    struct fixture fixture;
    uint64_t last = 0;

    fixture_init(&fixture);
    for (int run = 0; run < 20; run++) {
        fixture_open(&fixture);
        uint64_t seq = append(&fixture, "a/b", "1");
        assert_true(seq > last);
        last = append(&fixture, "a/b", "1");
        fixture_crash(&fixture);
    }
}

static void cuts_the_last_batch_at_every_byte(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    append_batch(&fixture, 2);
    struct td_journal_stat stat;
    td_journal_stat(fixture.journal, &stat);
    uint64_t keep = stat.bytes;
    append_batch(&fixture, 3);
    td_journal_stat(fixture.journal, &stat);
    uint64_t end = stat.bytes;
    fixture_kill(&fixture);
    struct td_buf log = TD_BUF_INIT(TD_MIB), head = TD_BUF_INIT(TD_MIB);
    assert_int_equal(td_file_load(LOG_1, &log), 0);
    assert_int_equal(td_file_load(LOG_DIR "/head", &head), 0);
    for (uint64_t cut = keep; cut <= end; cut++) {
        assert_int_equal(td_path_unlink(LOG_1), 0);
        if (cut > keep)
            assert_int_equal(td_path_unlink(IDX_1), 0);
        assert_int_equal(td_file_store(LOG_DIR "/head", td_buf_slice(&head)), 0);
        int file = td_file_open(LOG_1, TD_FILE_WRITE | TD_FILE_CREATE);
        assert_true(file >= 0);
        assert_int_equal(td_file_write_at(file, log.ptr, cut, 0), 0);
        if (cut % 2)
            assert_int_equal(td_file_truncate(file, log.len), 0);
        td_file_close(file);
        fixture_open(&fixture);
        /* Padding at the very end is zero either way. */
        bool whole = fixture.report.records_scanned == 5;
        assert_true(whole ? cut + 8 > end : cut < end);
        assert_int_equal(count_all(&fixture), whole ? 5 : 2);
        assert_int_equal(fixture.report.damaged_ranges, 0);
        if (!whole && cut > keep + 8)
            assert_true(fixture.report.cut_bytes > 0);
        fixture_close(&fixture);
        assert_int_equal(file_size(LOG_1), whole ? end : keep);
    }
    td_buf_done(&log);
    td_buf_done(&head);
}

/* Flips each byte of a log that was synced record by record, opens it, and reads: nothing wrong is ever given, nothing is
 * skipped in silence but what only the tail holds. */
static void finds_a_flipped_bit_anywhere(void **state, bool closed, const char *path)
{
    struct fixture fixture;
    struct td_buf files[4] = {TD_BUF_INIT(TD_MIB), TD_BUF_INIT(TD_MIB), TD_BUF_INIT(TD_MIB),
                              TD_BUF_INIT(TD_MIB)};
    const char *const paths[] = {LOG_1, LOG_DIR "/head", IDX_1, NULL};
    size_t n = closed ? 3 : 2;
    struct td_journal_stat stat;

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 5; i++) {
        append_batch(&fixture, 1);
        fixture_commit(&fixture);
    }
    td_journal_stat(fixture.journal, &stat);
    if (closed)
        fixture_close(&fixture);
    else
        fixture_kill(&fixture);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(td_file_load(paths[i], &files[i]), 0);
    uint64_t size = TD_MIN(file_size(path), stat.bytes + 64);
    for (uint64_t at = 0; at < size; at++) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal(td_file_store(paths[i], td_buf_slice(&files[i])), 0);
        if (!closed && at > 0)
            assert_int_equal(td_path_unlink(IDX_1), 0);
        assert_int_equal(td_sim_disk_flip(path, at, (unsigned)(at % 8)), 0);
        fixture_open(&fixture);
        enum td_gap_reason reason = TD_GAP_EPOCH;
        unsigned gaps;
        size_t records_read = read_all(&fixture, &gaps, &reason);
        assert_true(records_read >= 4);
        if (records_read == 4 && gaps == 0) {
            assert_false(closed);
            assert_true(fixture.report.cut_bytes > 0);
            assert_int_equal(td_journal_durable(fixture.journal), 4);
        } else if (records_read == 4) {
            assert_int_equal(gaps, 1);
            assert_int_equal(reason, TD_GAP_DAMAGED);
        }
        fixture_close(&fixture);
    }
    for (size_t i = 0; i < n; i++)
        td_buf_done(&files[i]);
}

static void finds_a_flipped_bit_in_a_closed_log(void **state)
{
    finds_a_flipped_bit_anywhere(state, true, LOG_1);
}

static void finds_a_flipped_bit_in_a_killed_log(void **state)
{
    finds_a_flipped_bit_anywhere(state, false, LOG_1);
}

static void finds_a_flipped_bit_in_an_index(void **state)
{
    finds_a_flipped_bit_anywhere(state, true, IDX_1);
}

static void finds_a_flipped_bit_in_the_head(void **state)
{
    finds_a_flipped_bit_anywhere(state, true, LOG_DIR "/head");
}

/* The ids that were given out stay valid as long as anything holds the epoch, if only the records. */
static void keeps_its_epoch(void **state)
{
    struct fixture fixture;

    for (int round = 0; round < 3; round++) {
        fixture_init(&fixture);
        fixture_open(&fixture);
        append_batch(&fixture, 3);
        fixture_commit(&fixture);
        uint32_t epoch = td_journal_epoch(fixture.journal);
        uint64_t seed = td_journal_seed(fixture.journal);
        fixture_close(&fixture);
        assert_int_equal(td_sim_disk_flip(LOG_DIR "/head", 20, 1), 0);
        if (round > 0)
            assert_int_equal(td_sim_disk_flip(LOG_1, 20, 1), 0);
        if (round > 1)
            assert_int_equal(td_sim_disk_flip(IDX_1, 20, 1), 0);
        fixture_open(&fixture);
        assert_int_equal(td_journal_epoch(fixture.journal), epoch);
        if (round < 2)
            assert_int_equal(td_journal_seed(fixture.journal), seed);
        assert_int_equal(read_after(&fixture, "a/b", 0).n, 3);
        assert_false(fixture.report.created);
        fixture_close(&fixture);
    }
}

/* The head file and the segments of the last runs are damaged: what those have given is not given again. */
static void jumps_beyond_what_nobody_knows(void **state)
{
    struct fixture fixture;
    uint64_t last = 0;

    fixture_init(&fixture);
    for (int run = 0; run < 4; run++) {
        fixture_open(&fixture);
        last = append(&fixture, "a/b", "1");
        fixture_commit(&fixture);
        fixture_kill(&fixture);
    }
    fixture_open(&fixture);
    assert_int_equal(append(&fixture, "a/b", "1"), last + (1 << 20) + 1);
    fixture_kill(&fixture);
    assert_int_equal(td_path_unlink(LOG_DIR "/head"), 0);
    char path[64];
    for (uint64_t seq = last; seq <= last + (1 << 20) + 1; seq += (1 << 20) + 1) {
        snprintf(path, sizeof(path), LOG_DIR "/%016llx.log", (unsigned long long)seq);
        assert_int_equal(td_path_unlink(path), 0);
    }
    fixture_open(&fixture);
    assert_true(append(&fixture, "a/b", "1") > last + (1 << 20) + 1);
    fixture_close(&fixture);
}

/* Power fails at a random moment of many; what was durable is there, in order, without a gap. */
static void keeps_what_was_durable_in_crashes(void **state)
{
    struct fixture fixture;
    struct td_rng rng;

    fixture_init(&fixture);
    for (uint64_t seed = 1; seed <= 300; seed++) {
        size_t durable = 0, appended = 0;
        td_sim_reset(seed);
        td_rng_init(&rng, seed);
        for (int run = 0; run < 4; run++) {
            fixture_open(&fixture);
            assert_int_equal(fixture.report.damaged_ranges, 0);
            size_t n = count_all(&fixture);
            assert_true(n >= durable && n <= appended);
            durable = appended = n;
            for (uint64_t step = td_rng_below(&rng, 200); step > 0; step--) {
                size_t batch = 1 + (size_t)td_rng_below(&rng, 16);
                append_batch(&fixture, batch);
                appended += batch;
                if (td_rng_one_in(&rng, 4)) {
                    fixture_commit(&fixture);
                    durable = appended;
                }
                if (td_rng_one_in(&rng, 8))
                    fixture_keep(&fixture);
            }
            if (td_rng_one_in(&rng, 4)) {
                fixture_close(&fixture);
                durable = appended;
            } else if (td_rng_one_in(&rng, 3)) {
                fixture_kill(&fixture);
                durable = appended;
            } else {
                fixture_crash(&fixture);
            }
        }
    }
}

/* What a failed write left behind is cut off, and the cut may be lost with the power.  What went to the next segment since then was
 * acknowledged. */
static void keeps_what_follows_a_failed_write(void **state)
{
    struct td_draft drafts[3] = {draft("a/b", "1"), draft("a/b", "2"), draft("a/b", "3")};
    struct fixture fixture;
    uint64_t seqs[3];

    fixture_init(&fixture);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        td_sim_reset(seed);
        fixture_open(&fixture);
        append_batch(&fixture, 2);
        fixture_commit(&fixture);
        td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = 1});
        assert_true(append_drafts(&fixture, drafts, 3, seqs) < 0);
        append(&fixture, "a/b", "4");
        fixture_commit(&fixture);
        assert_int_equal(td_journal_durable(fixture.journal), 3);
        fixture_crash(&fixture);
        fixture_open(&fixture);
        assert_int_equal(fixture.report.damaged_ranges, 0);
        assert_int_equal(count_all(&fixture), 3);
        fixture_close(&fixture);
    }
}

/* A number that somebody may have seen (with `fast`) does not come back with what a write that failed had left under it. */
static void leaves_no_trace_of_a_failed_write(void **state)
{
    struct td_draft refused[3] = {draft("a/b", "0"), draft("a/b", "0"), draft("a/b", "0")};
    struct fixture fixture;
    uint64_t seqs[3];

    fixture_init(&fixture);
    fixture.options.durability = TD_DURABILITY_FAST;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        td_sim_reset(seed);
        fixture_open(&fixture);
        append(&fixture, "a/b", "1");
        fixture_commit(&fixture);
        td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = 1});
        assert_true(append_drafts(&fixture, refused, 1 + seed % 3, seqs) < 0);
        append(&fixture, "a/b", "1");
        fixture_crash(&fixture);
        fixture_open(&fixture);
        struct td_read read = read_after(&fixture, "**", 0);
        assert_in_range(read.n, 1, 2);
        for (size_t i = 0; i < read.n; i++)
            assert_slice(record_data(read.records[i]), "1");
        fixture_close(&fixture);
    }
}

/* Several segments that were not synced are lost in any order: a torn tail, not damage, and nothing has been trimmed. */
static void tells_lost_segments_from_damage(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        td_sim_reset(seed);
        for (int run = 0; run < 3; run++) {
            fixture_open(&fixture);
            assert_int_equal(fixture.report.damaged_ranges, 0);
            assert_int_equal(td_journal_horizon(fixture.journal), 0);
            count_all(&fixture);
            for (int i = 0; i < 10 * run + 1; i++)
                append_batch(&fixture, 16);
            fixture_crash(&fixture);
        }
    }
}

static void opens_once(void **state)
{
    struct fixture fixture;
    struct td_journal *other;
    struct td_journal_report report;

    fixture_init(&fixture);
    fixture_open(&fixture);
    assert_int_equal(td_journal_open(&fixture.options, &other, &report), -EAGAIN);
    append(&fixture, "a", "1");
    fixture.options.read_only = true;
    assert_int_equal(td_journal_open(&fixture.options, &other, &report), 0);
    assert_int_equal(td_journal_readable(other), 1);
    td_journal_close(other);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_after_a_kill),
        cmocka_unit_test(tells_of_lost_positions_at_once),
        cmocka_unit_test(never_gives_a_number_twice),
        cmocka_unit_test(cuts_the_last_batch_at_every_byte),
        cmocka_unit_test(finds_a_flipped_bit_in_a_closed_log),
        cmocka_unit_test(finds_a_flipped_bit_in_a_killed_log),
        cmocka_unit_test(finds_a_flipped_bit_in_an_index),
        cmocka_unit_test(finds_a_flipped_bit_in_the_head),
        cmocka_unit_test(keeps_its_epoch),
        cmocka_unit_test(jumps_beyond_what_nobody_knows),
        cmocka_unit_test(keeps_what_was_durable_in_crashes),
        cmocka_unit_test(keeps_what_follows_a_failed_write),
        cmocka_unit_test(leaves_no_trace_of_a_failed_write),
        cmocka_unit_test(tells_lost_segments_from_damage),
        cmocka_unit_test(opens_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
