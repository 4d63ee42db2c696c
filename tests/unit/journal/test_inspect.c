/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "journal/inspect.h"
#include "os/file.h"
#include <errno.h>

struct findings {
    unsigned n[TD_FINDING_TAIL + 1];
    uint64_t records;
};

static void note(const struct td_finding *finding, void *arg)
{
    struct findings *findings = arg;

    findings->n[finding->kind]++;
    if (finding->kind == TD_FINDING_SEGMENT)
        findings->records += finding->n;
}

static int count(const struct td_record *record, uint64_t from, uint64_t to, void *arg)
{
    size_t *counts = arg;

    counts[record ? 0 : 1]++;
    return 0;
}

static void looks_into_a_log_that_is_written(void **state)
{
    struct td_inspect_stat stat;
    struct findings findings = {0};
    struct fixture fixture;
    size_t counts[2] = {0};

    fixture_init(&fixture);
    assert_int_equal(td_inspect_stat(LOG_DIR, &stat), -ENOENT);
    fixture_open(&fixture);
    for (int i = 0; i < 300; i++)
        append(&fixture, i % 2 ? "a" : "b", "1");
    fixture_commit(&fixture);
    fixture_keep(&fixture);
    assert_int_equal(td_inspect_stat(LOG_DIR, &stat), 0);
    assert_int_equal(stat.records, 300);
    assert_int_equal(stat.last_seq, 300);
    assert_int_equal(stat.epoch, td_journal_epoch(fixture.journal));
    assert_int_equal(td_inspect_verify(LOG_DIR, note, &findings), 0);
    assert_int_equal(findings.records, 300);
    struct td_dump dump = {.pattern = TD_S("a"), .each = count, .arg = counts};
    assert_int_equal(td_inspect_dump(LOG_DIR, &dump), 0);
    assert_int_equal(counts[0], 150);
    assert_int_equal(counts[1], 0);
    append(&fixture, "a", "1");
    fixture_close(&fixture);
}

static void finds_damage(void **state)
{
    struct findings findings = {0};
    struct fixture fixture;
    size_t counts[2] = {0};

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 30; i++)
        append(&fixture, "a", "1");
    fixture_close(&fixture);
    assert_int_equal(td_sim_disk_flip(LOG_DIR "/0000000000000001.log", 1000, 3), 0);
    assert_int_equal(td_inspect_verify(LOG_DIR, note, &findings), 1);
    assert_int_equal(findings.n[TD_FINDING_RECORDS], 1);
    assert_int_equal(findings.records, 29);
    struct td_dump dump = {.pattern = TD_S("**"), .each = count, .arg = counts};
    assert_int_equal(td_inspect_dump(LOG_DIR, &dump), 0);
    assert_int_equal(counts[0], 29);
    assert_int_equal(counts[1], 1);
}

static void finds_a_missing_end(void **state)
{
    struct findings findings = {0};
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    append(&fixture, "a", "1");
    fixture_close(&fixture);
    assert_int_equal(td_path_unlink(LOG_DIR "/0000000000000001.log"), 0);
    assert_int_equal(td_inspect_verify(LOG_DIR, note, &findings), 1);
    assert_int_equal(findings.n[TD_FINDING_RECORDS], 1);
}

static void backs_up_a_log_that_is_written(void **state)
{
    struct fixture fixture;
    uint64_t bytes;

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 300; i++)
        append(&fixture, "a", "1");
    fixture_commit(&fixture);
    fixture_keep(&fixture);
    uint32_t epoch = td_journal_epoch(fixture.journal);
    assert_int_equal(td_inspect_backup(LOG_DIR, "/copy", &bytes), 0);
    assert_true(bytes > 300 * 100);
    assert_int_equal(td_inspect_backup(LOG_DIR, "/copy", &bytes), -EEXIST);
    for (int i = 0; i < 100; i++)
        append(&fixture, "a", "1");
    fixture_close(&fixture);
    fixture.options.dir = "/copy";
    fixture_open(&fixture);
    assert_int_equal(td_journal_epoch(fixture.journal), epoch);
    assert_int_equal(read_after(&fixture, "a", 0).n, 300);
    /* Who has read beyond the copy is told, also after the copy has gone on. */
    uint64_t seq = append(&fixture, "a", "1");
    assert_true(seq > UINT64_C(1) << 40);
    fixture_commit(&fixture);
    struct td_read read = read_after(&fixture, "a", 350);
    assert_int_equal(read.end, TD_READ_GAP);
    assert_int_equal(read.gap_reason, TD_GAP_UNSYNCED);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_into_a_log_that_is_written),
        cmocka_unit_test(finds_damage),
        cmocka_unit_test(finds_a_missing_end),
        cmocka_unit_test(backs_up_a_log_that_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
