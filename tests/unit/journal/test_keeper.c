/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing, trimming, what was trimmed, and what goes when readers have passed. */
#include "fixture.h"
#include "journal/trimmed.h"
#include "os/file.h"
#include <errno.h>

static void fill(struct fixture *fixture, const char *topic, int n)
{
    for (int i = 0; i < n; i++)
        append(fixture, topic, "\"0123456789\"");
    fixture_commit(fixture);
}

static struct td_journal_stat stat_of(struct fixture *fixture)
{
    struct td_journal_stat stat;

    td_journal_stat(fixture->journal, &stat);
    return stat;
}

static bool trimmed_after(struct fixture *fixture, const char *pattern, uint64_t after)
{
    struct td_wanted wanted = want(fixture, pattern);

    return td_journal_trimmed_after(fixture->reader, &wanted, after);
}

static void trims_by_bytes(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.retain_bytes = 64 * TD_KIB;
    fixture_open(&fixture);
    fill(&fixture, "old/a", 10);
    fill(&fixture, "b", 1000);
    fixture_keep(&fixture);
    struct td_journal_stat stat = stat_of(&fixture);
    assert_true(stat.bytes <= 64 * TD_KIB + fixture.options.segment_bytes);
    assert_true(stat.trimmed_segments > 3);
    assert_true(stat.horizon > 10);
    for (int round = 0; round < 2; round++) {
        assert_true(trimmed_after(&fixture, "old/a", 9));
        assert_false(trimmed_after(&fixture, "old/a", 10));
        assert_true(trimmed_after(&fixture, "old/**", 9));
        assert_false(trimmed_after(&fixture, "old/*", 10));
        assert_true(trimmed_after(&fixture, "**", stat.horizon - 1));
        assert_false(trimmed_after(&fixture, "**", stat.horizon));
        assert_false(trimmed_after(&fixture, "never", 0));
        /* Who has seen all of its own hears nothing; who has not hears how far it goes. */
        struct td_read read = read_after(&fixture, "old/**", 10);
        assert_int_equal(read.end, TD_READ_DONE);
        assert_int_equal(read.n, 0);
        read = read_after(&fixture, "old/**", 3);
        assert_int_equal(read.end, TD_READ_GAP);
        assert_int_equal(read.gap_reason, TD_GAP_RETENTION);
        assert_int_equal(read.gap_to, 10);
        assert_int_equal(read_after(&fixture, "old/**", 10).end, TD_READ_DONE);
        read = read_after(&fixture, "b", 500);
        assert_int_equal(read.end, TD_READ_GAP);
        assert_int_equal(read.gap_to, stat.horizon);
        read = read_after(&fixture, "b", read.gap_to);
        assert_int_equal(read.end, TD_READ_DONE);
        assert_int_equal(read.n, 1010 - stat.horizon);
        /* The newest of what is left begin at the horizon. */
        struct td_wanted wanted = want(&fixture, "**");
        read = (struct td_read){
            .wanted = &wanted, .n_wanted = 1, .until = UINT64_MAX, .records_max = 5000};
        td_journal_newest(fixture.reader, &read);
        assert_int_equal(read.position, stat.horizon);
        fixture_close(&fixture);
        fixture_open(&fixture);
        read_after(&fixture, "b", stat.horizon); /* warms it up */
    }
    fixture_close(&fixture);
}

static void trims_by_age(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.retain_ms = 60000;
    fixture_open(&fixture);
    fill(&fixture, "a", 10);
    fixture_keep(&fixture);
    assert_int_equal(stat_of(&fixture).segments, 1);
    td_sim_advance(20 * TD_NS_PER_S);
    fixture_keep(&fixture);
    fill(&fixture, "b", 1);
    assert_int_equal(stat_of(&fixture).segments, 2);
    td_sim_advance(41 * TD_NS_PER_S);
    fixture_keep(&fixture);
    assert_int_equal(stat_of(&fixture).segments, 1);
    assert_int_equal(stat_of(&fixture).horizon, 10);
    td_sim_advance(61 * TD_NS_PER_S);
    fixture_keep(&fixture);
    /* All is gone; what was there is still known, also after a restart. */
    for (int round = 0; round < 3; round++) {
        assert_int_equal(stat_of(&fixture).segments, 0);
        assert_int_equal(stat_of(&fixture).horizon, 11);
        assert_int_equal(td_journal_readable(fixture.journal), 11);
        assert_true(trimmed_after(&fixture, "a", 9));
        assert_false(trimmed_after(&fixture, "a", 10));
        assert_int_equal(read_after(&fixture, "**", 11).end, TD_READ_DONE);
        if (round == 0)
            fixture_close(&fixture);
        else
            fixture_kill(&fixture);
        fixture_open(&fixture);
    }
    assert_true(append(&fixture, "a", "1") > 11);
    fixture_close(&fixture);
}

/* More topics than the table holds: it answers "maybe" for what it dropped, never a wrong no. */
static void errs_to_the_loud_side(void **state)
{
    struct fixture fixture;
    char topic[32];

    fixture_init(&fixture);
    fixture.options.retain_bytes = 1;
    fixture.options.trimmed_max = 50;
    fixture_open(&fixture);
    for (int i = 0; i < 600; i++) {
        snprintf(topic, sizeof(topic), "t/%d", i % 300);
        append(&fixture, topic, "1");
    }
    fixture_commit(&fixture);
    fixture_keep(&fixture);
    for (int round = 0; round < 2; round++) {
        uint64_t horizon = stat_of(&fixture).horizon;
        assert_true(horizon > 400);
        for (uint64_t seq = 1; seq <= horizon; seq++) {
            snprintf(topic, sizeof(topic), "t/%d", (int)((seq - 1) % 300));
            assert_true(trimmed_after(&fixture, topic, seq - 1));
        }
        assert_true(trimmed_after(&fixture, "never", 0));
        assert_false(trimmed_after(&fixture, "never", horizon));
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    fixture_close(&fixture);
}

/* A log whose oldest segments were removed by hand, or whose table is gone, says that anything may be missing. */
static void tells_of_missing_files(void **state)
{
    struct fixture fixture;
    struct td_read read;

    fixture_init(&fixture);
    fixture_open(&fixture);
    fill(&fixture, "a", 300);
    fixture_close(&fixture);
    assert_int_equal(td_path_unlink(LOG_DIR "/0000000000000001.log"), 0);
    fixture_open(&fixture);
    uint64_t horizon = td_journal_horizon(fixture.journal);
    assert_true(horizon > 0);
    read = read_after(&fixture, "never", 0);
    assert_int_equal(read.end, TD_READ_GAP);
    assert_int_equal(read.gap_reason, TD_GAP_RETENTION);
    assert_int_equal(read.gap_to, horizon);
    read = read_after(&fixture, "a", horizon);
    assert_int_equal(read.end, TD_READ_DONE);
    assert_int_equal(read.n, 300 - horizon);
    fixture_close(&fixture);
}

/* In the middle, a whole segment that is missing is damage. */
static void tells_of_a_missing_segment(void **state)
{
    struct fixture fixture;
    char path[64];

    fixture_init(&fixture);
    fixture_open(&fixture);
    fill(&fixture, "a", 300);
    uint64_t second = 0;
    const char *name;
    uint64_t size;
    for (size_t i = 0; second == 0 && td_sim_disk_file(i, &name, &size); i++) {
        unsigned long long first;
        if (sscanf(name, LOG_DIR "/%16llx.log", &first) == 1 && first > 1)
            second = first;
    }
    fixture_close(&fixture);
    snprintf(path, sizeof(path), LOG_DIR "/%016llx.log", (unsigned long long)second);
    assert_int_equal(td_path_unlink(path), 0);
    fixture_open(&fixture);
    struct td_read read = read_after(&fixture, "a", 0);
    assert_int_equal(read.end, TD_READ_GAP);
    assert_int_equal(read.n, second - 1);
    assert_int_equal(read.position, second - 1);
    assert_int_equal(read.gap_reason, TD_GAP_DAMAGED);
    struct td_read rest = read_after(&fixture, "a", read.gap_to);
    assert_int_equal(rest.end, TD_READ_DONE);
    assert_int_equal(rest.n, 300 - read.gap_to);
    fixture_close(&fixture);
}

/* So is one at the end, before and after the log goes on. */
static void tells_of_a_missing_end(void **state)
{
    struct fixture fixture;
    unsigned long long first, last_first = 0;
    const char *name;
    uint64_t size;
    char path[64];

    fixture_init(&fixture);
    fixture_open(&fixture);
    fill(&fixture, "a", 300);
    for (size_t i = 0; td_sim_disk_file(i, &name, &size); i++)
        if (sscanf(name, LOG_DIR "/%16llx.log", &first) == 1)
            last_first = TD_MAX(last_first, first);
    fixture_close(&fixture);
    snprintf(path, sizeof(path), LOG_DIR "/%016llx.log", last_first);
    assert_int_equal(td_path_unlink(path), 0);
    fixture_open(&fixture);
    assert_int_equal(fixture.report.damaged_ranges, 1);
    for (int round = 0; round < 2; round++) {
        struct td_read read = read_after(&fixture, "a", 0);
        assert_int_equal(read.n, last_first - 1);
        assert_int_equal(read.end, TD_READ_GAP);
        assert_int_equal(read.gap_reason, TD_GAP_DAMAGED);
        assert_int_equal(read.position, last_first - 1);
        assert_int_equal(read.gap_to, 300);
        assert_int_equal(read_after(&fixture, "a", 300).n, round);
        if (round == 0) { /* the first segment after it can't be written */
            struct td_draft one = draft("a", "1");
            uint64_t seq;
            td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = 4});
            assert_true(append_drafts(&fixture, &one, 1, &seq) < 0);
            assert_int_equal(read_after(&fixture, "a", last_first - 1).gap_to, 300);
        }
        append(&fixture, "a", "1");
        fixture_commit(&fixture);
    }
    fixture_close(&fixture);
}

/* Where nothing is left but what says that there was something, all of it is damage. */
static void tells_of_a_missing_log(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    fill(&fixture, "a", 20);
    fixture_close(&fixture);
    assert_int_equal(td_path_unlink(LOG_DIR "/0000000000000001.log"), 0);
    fixture_open(&fixture);
    assert_int_equal(fixture.report.damaged_ranges, 1);
    struct td_read read = read_after(&fixture, "a", 7);
    assert_int_equal(read.end, TD_READ_GAP);
    assert_int_equal(read.gap_reason, TD_GAP_DAMAGED);
    assert_int_equal(read.gap_to, 20);
    assert_int_equal(read_after(&fixture, "a", 20).end, TD_READ_DONE);
    assert_int_equal(append(&fixture, "a", "1"), 21);
    fixture_close(&fixture);
}

/* A position that a crash took back is told as such, also when the segment that knows of it is gone and nothing wanted was in it. */
static void tells_of_holes_that_were_trimmed(void **state)
{
    enum { RUNS = TD_TRIMMED_HOLES + 8 };
    struct fixture fixture;
    uint64_t last[RUNS];

    fixture_init(&fixture);
    fixture.options.durability = TD_DURABILITY_FAST;
    fixture.options.retain_bytes = 20 * TD_KIB;
    for (int i = 0; i < RUNS; i++) {
        fixture_open(&fixture);
        last[i] = append(&fixture, "a", "1");
        fixture_kill(&fixture);
    }
    fixture_open(&fixture);
    fill(&fixture, "b", 400);
    fixture_keep(&fixture);
    assert_true(stat_of(&fixture).horizon > last[RUNS - 1]);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < RUNS; i++) {
            struct td_read read = read_after(&fixture, "quiet", last[i] + 5);
            assert_int_equal(read.end, TD_READ_GAP);
            assert_int_equal(read.gap_reason, TD_GAP_UNSYNCED);
            assert_true(i + 1 == RUNS || read.gap_to >= last[i + 1] - 1);
            assert_int_equal(read_after(&fixture, "quiet", read.gap_to).end, TD_READ_DONE);
        }
        /* Who has seen nothing that was taken back hears nothing; of the oldest that is no longer known. */
        assert_int_equal(read_after(&fixture, "quiet", last[RUNS - 1]).end, TD_READ_DONE);
        assert_int_equal(read_after(&fixture, "quiet", last[RUNS / 2]).end, TD_READ_DONE);
        assert_int_equal(read_after(&fixture, "quiet", last[1]).end, TD_READ_GAP);
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    fixture_close(&fixture);
}

/* Segments stay mapped for who may still look at them, and no longer. */
static void frees_what_all_readers_have_passed(void **state)
{
    struct fixture fixture;
    struct td_journal_reader *other;

    fixture_init(&fixture);
    fixture.options.retain_bytes = 20 * TD_KIB;
    fixture_open(&fixture);
    assert_int_equal(td_journal_reader_open(fixture.journal, count_wake, &fixture, &other), 0);
    fill(&fixture, "a", 60);
    struct td_read read = read_after(&fixture, "a", 0);
    assert_int_equal(read.n, 60);
    fill(&fixture, "b", 400);
    while (td_journal_keep_step(fixture.journal) > 0)
        continue;
    assert_true(stat_of(&fixture).trimmed_segments > 2);
    size_t maps = td_sim_maps_open();
    for (size_t i = 0; i < read.n; i++)
        assert_slice(record_data(read.records[i]), "\"0123456789\"");
    fixture_keep(&fixture); /* this reader has passed, the other not */
    assert_int_equal(td_sim_maps_open(), maps);
    td_journal_quiesce(other, true);
    fixture_keep(&fixture);
    assert_true(td_sim_maps_open() < maps);
    /* Who dozed registers again by reading. */
    struct td_wanted wanted = want(&fixture, "b");
    struct td_read again = {.wanted = &wanted,
                            .n_wanted = 1,
                            .after = td_journal_horizon(fixture.journal),
                            .until = UINT64_MAX,
                            .records = records,
                            .records_max = READ_MAX};
    td_journal_read(other, &again);
    assert_true(again.n > 0);
    fill(&fixture, "b", 400);
    while (td_journal_keep_step(fixture.journal) > 0)
        continue;
    td_journal_quiesce(fixture.reader, true);
    while (td_journal_keep_step(fixture.journal) > 0)
        continue;
    for (size_t i = 0; i < again.n; i++)
        assert_slice(record_data(again.records[i]), "\"0123456789\"");
    td_journal_reader_close(other);
    fixture_close(&fixture);
}

/* A disk that is full gets room by trimming, although nothing can be stored about it at first. */
static void trims_on_a_full_disk(void **state)
{
    struct fixture fixture;
    uint64_t seq = 0;

    fixture_init(&fixture);
    fixture.options.retain_bytes = 100 * TD_KIB;
    td_sim_disk_set(&(struct td_sim_disk_faults){.space_bytes = 160 * TD_KIB});
    fixture_open(&fixture);
    for (int i = 0; i < 5000; i++) {
        struct td_draft one = draft("a", "\"0123456789\"");
        int r = append_drafts(&fixture, &one, 1, &seq);
        if (r < 0) {
            assert_int_equal(r, TD_EFULL);
            td_sim_advance(2 * TD_NS_PER_S);
        }
        fixture_commit(&fixture);
        fixture_keep(&fixture);
    }
    assert_true(seq > 4000);
    fixture_close(&fixture);
}

/* Nothing else would tell that the last segment has been there. */
static void keeps_the_last_segment_until_it_is_noted(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.retain_ms = 60000;
    fixture_open(&fixture);
    fill(&fixture, "a", 10);
    td_sim_advance(20 * TD_NS_PER_S);
    fixture_keep(&fixture); /* rolled and sealed */
    td_sim_advance(61 * TD_NS_PER_S);
    td_sim_disk_set(&(struct td_sim_disk_faults){.space_bytes = 1});
    fixture_keep(&fixture);
    assert_int_equal(stat_of(&fixture).segments, 1);
    fixture_kill(&fixture);
    td_sim_disk_set(&(struct td_sim_disk_faults){0});
    fixture_open(&fixture);
    assert_int_equal(fixture.report.damaged_ranges, 0);
    fixture_keep(&fixture);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(stat_of(&fixture).segments, 0);
        assert_int_equal(read_after(&fixture, "a", 9).gap_reason, TD_GAP_RETENTION);
        assert_int_equal(read_after(&fixture, "a", 9).gap_to, 10);
        assert_int_equal(read_after(&fixture, "b", 0).end, TD_READ_DONE);
        fixture_kill(&fixture);
        fixture_open(&fixture);
    }
    fixture_close(&fixture);
}

/* The table can be read while its name is not on disk yet: files must not go before. */
static void removes_files_by_a_durable_table_only(void **state)
{
    struct fixture fixture;

    for (unsigned seed = 1; seed <= 200; seed++) {
        fixture_init(&fixture);
        td_sim_reset(seed);
        fixture.options.retain_ms = 60000;
        fixture_open(&fixture);
        fill(&fixture, "a", 10);
        td_sim_advance(20 * TD_NS_PER_S);
        fixture_keep(&fixture);
        td_sim_advance(61 * TD_NS_PER_S);
        td_sim_disk_set(&(struct td_sim_disk_faults){.fail_sync_in = 2}); /* of the directory */
        td_journal_quiesce(fixture.reader, true);
        assert_true(td_journal_keep_step(fixture.journal) >= 0);
        fixture_kill(&fixture);
        td_sim_disk_set(&(struct td_sim_disk_faults){.die_in = 1 + seed % 4});
        if (td_journal_open(&fixture.options, &fixture.journal, &fixture.report) == 0)
            td_journal_abandon(fixture.journal);
        td_sim_disk_crash();
        td_sim_boot();
        fixture_open(&fixture);
        assert_int_equal(fixture.report.damaged_ranges, 0);
        struct td_read read = read_after(&fixture, "a", 0);
        assert_true(read.n == 10 ||
                    (read.end == TD_READ_GAP && read.gap_reason == TD_GAP_RETENTION));
        fixture_close(&fixture);
    }
}

/* A crash may bring back the index of a segment without the segment. */
static void sweeps_stray_indexes(void **state)
{
    static const char stray[] = LOG_DIR "/0000000000000000.idx";
    struct td_buf index = TD_BUF_INIT(TD_MIB);
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    fill(&fixture, "a", 10);
    fixture_close(&fixture);
    assert_int_equal(td_file_load(LOG_DIR "/0000000000000001.idx", &index), 0);
    assert_int_equal(td_file_store(stray, td_buf_slice(&index)), 0);
    fixture_open(&fixture);
    assert_int_equal(td_file_open(stray, TD_FILE_READ), -ENOENT);
    assert_int_equal(fixture.report.records_scanned, 0);
    assert_int_equal(read_after(&fixture, "a", 0).n, 10);
    fixture_close(&fixture);
    td_buf_done(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trims_by_bytes),
        cmocka_unit_test(trims_by_age),
        cmocka_unit_test(errs_to_the_loud_side),
        cmocka_unit_test(tells_of_missing_files),
        cmocka_unit_test(tells_of_a_missing_segment),
        cmocka_unit_test(tells_of_a_missing_end),
        cmocka_unit_test(tells_of_a_missing_log),
        cmocka_unit_test(tells_of_holes_that_were_trimmed),
        cmocka_unit_test(frees_what_all_readers_have_passed),
        cmocka_unit_test(trims_on_a_full_disk),
        cmocka_unit_test(keeps_the_last_segment_until_it_is_noted),
        cmocka_unit_test(removes_files_by_a_durable_table_only),
        cmocka_unit_test(sweeps_stray_indexes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
