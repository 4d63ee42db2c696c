/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include <inttypes.h>

/* Whether the records read are those whose topics are listed, in this order. */
static void expect_topics(struct fixture *fixture, const char *pattern, const char *const *topics)
{
    struct td_read read = read_after(fixture, pattern, 0);
    struct td_record record;
    size_t n = 0;

    assert_int_equal(read.end, TD_READ_DONE);
    assert_int_equal(read.position, td_journal_readable(fixture->journal));
    for (; topics[n]; n++) {
        assert_true(n < read.n);
        td_record_view(read.records[n], &record);
        assert_slice(record.topic, topics[n]);
    }
    assert_int_equal(read.n, n);
}

static void reads_what_the_pattern_matches(void **state)
{
    static const char *const topics[] = {"a", "a/b", "a/b/c", "a/x/c", "b", "a/b"};
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    assert_true(fixture.report.created);
    for (size_t i = 0; i < TD_ARRAY_LEN(topics); i++)
        append(&fixture, topics[i], "1");
    assert_int_equal(read_after(&fixture, "**", 0).n, 0);
    assert_int_equal(td_journal_head(fixture.journal), 6);
    assert_int_equal(td_journal_durable(fixture.journal), 0);
    fixture_commit(&fixture);
    for (int round = 0; round < 2; round++) {
        expect_topics(&fixture, "**",
                      (const char *[]){"a", "a/b", "a/b/c", "a/x/c", "b", "a/b", NULL});
        expect_topics(&fixture, "a/**",
                      (const char *[]){"a", "a/b", "a/b/c", "a/x/c", "a/b", NULL});
        expect_topics(&fixture, "a/b", (const char *[]){"a/b", "a/b", NULL});
        expect_topics(&fixture, "a/*/c", (const char *[]){"a/b/c", "a/x/c", NULL});
        expect_topics(&fixture, "*", (const char *[]){"a", "b", NULL});
        expect_topics(&fixture, "a/b/*", (const char *[]){"a/b/c", NULL});
        expect_topics(&fixture, "c/**", (const char *[]){NULL});
        /* The second time from the files. */
        fixture_close(&fixture);
        fixture_open(&fixture);
        assert_false(fixture.report.unclean);
        assert_int_equal(fixture.report.records_scanned, 0);
    }
    fixture_close(&fixture);
}

static void writes_the_envelope(void **state)
{
    struct fixture fixture;
    struct td_record record;
    char expected[512];
    char time[TD_TIME_LEN + 1];
    uint64_t seq;

    fixture_init(&fixture);
    fixture_open(&fixture);
    struct td_draft one = draft("a/b", "{\"x\":\r\n[1,\n2]}");
    one.key = TD_S("k/1");
    one.actor = TD_S("\"ann\"");
    one.origin = TD_S("\"c1\"");
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), 0);
    fixture_commit(&fixture);
    struct td_read read = read_after(&fixture, "a/b", 0);
    assert_int_equal(read.n, 1);
    td_record_view(read.records[0], &record);
    td_time_format(record.time, time);
    snprintf(expected, sizeof(expected),
             "{\"id\":\"%08x.%llu\",\"topic\":\"a/b\",\"type\":\"t\",\"time\":\"%s\",\"key\":"
             "\"k/1\",\"actor\":\"ann\",\"origin\":\"c1\",\"data\":{\"x\":  [1, 2]}}",
             td_journal_epoch(fixture.journal), (unsigned long long)seq, time);
    assert_slice(record.json, expected);
    assert_slice(record.key, "k/1");
    assert_slice(record.data, "{\"x\":  [1, 2]}");
    assert_slice(record.type, "t");
    assert_int_equal(record.flags, TD_RECORD_LAST);
    assert_int_equal(record.frame.len, record.json.len + 4);
    assert_int_equal((unsigned char)record.frame.ptr[0], 0x81);
    assert_int_equal(record.frame.ptr[1], 126);
    assert_int_equal((unsigned char)record.frame.ptr[3], record.json.len);
    fixture_close(&fixture);
}

/* Several patterns give each record once and in order, over all segments, whatever the budgets. */
static void merges_patterns_within_budgets(void **state)
{
    struct fixture fixture;
    const char *found[7];
    char data[32];
    uint64_t last = 0;
    size_t examined = 0;

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 500; i++) {
        snprintf(data, sizeof(data), "%d", i);
        append(&fixture, i % 3 == 0 ? "a/b" : i % 3 == 1 ? "a/c" : "z", data);
    }
    fixture_commit(&fixture);
    for (int round = 0; round < 2; round++) {
        struct td_wanted wanted[] = {want(&fixture, "a/*"), want(&fixture, "a/b"),
                                     want(&fixture, "*/c"), want(&fixture, "a/**")};
        struct td_read read = {
            .wanted = wanted,
            .n_wanted = TD_ARRAY_LEN(wanted),
            .until = UINT64_MAX,
            .records = found,
            .records_max = TD_ARRAY_LEN(found),
            .examined_max = 5 + (size_t)round,
            .bytes_max = 1000,
        };
        int next = 0;
        do {
            td_journal_read(fixture.reader, &read);
            assert_true(read.examined <= 5 + (size_t)round);
            assert_true(read.examined >= read.n);
            examined += read.examined;
            for (size_t i = 0; i < read.n; i++, next++) {
                next += next % 3 == 2;
                snprintf(data, sizeof(data), "%d", next);
                assert_slice(record_data(found[i]), data);
                assert_true(td_record_seq(found[i]) > last);
                last = td_record_seq(found[i]);
            }
            read.after = read.position;
        } while (read.end == TD_READ_BUDGET);
        assert_int_equal(read.end, TD_READ_DONE);
        assert_int_equal(next, 500);
        /* Each is filed under one of them, and is looked at once. */
        assert_int_equal(examined, 500);
        last = examined = 0;
        fixture_keep(&fixture); /* the second time most segments are sealed */
    }
    struct td_journal_stat stat;
    td_journal_stat(fixture.journal, &stat);
    assert_true(stat.segments > 3);
    fixture_close(&fixture);
}

static void stops_at_until(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 300; i++)
        append(&fixture, "a", "1");
    fixture_commit(&fixture);
    struct td_wanted wanted = want(&fixture, "a");
    for (uint64_t until = 0; until <= 300; until += 7) {
        struct td_read read = {.wanted = &wanted,
                               .n_wanted = 1,
                               .until = until,
                               .records = records,
                               .records_max = READ_MAX};
        td_journal_read(fixture.reader, &read);
        assert_int_equal(read.n, until);
        assert_int_equal(read.position, until);
        assert_int_equal(read.end, TD_READ_DONE);
    }
    fixture_close(&fixture);
}

static void finds_the_newest(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 300; i++)
        append(&fixture, i % 2 ? "a/b" : "c", "1");
    fixture_commit(&fixture);
    for (int round = 0; round < 2; round++) {
        struct td_wanted wanted[] = {want(&fixture, "*/b"), want(&fixture, "a/**")};
        for (size_t limit = 1; limit < 200; limit += 6) {
            struct td_read read = {
                .wanted = wanted, .n_wanted = 2, .until = UINT64_MAX, .records_max = limit};
            for (;;) {
                td_journal_newest(fixture.reader, &read);
                if (read.end != TD_READ_COLD)
                    break;
                assert_int_equal(td_journal_keep_step(fixture.journal), 1);
            }
            assert_int_equal(read.end, TD_READ_DONE);
            assert_int_equal(read_after(&fixture, "a/b", read.position).n,
                             TD_MIN(limit, (size_t)150));
        }
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    fixture_close(&fixture);
}

static void wakes_readers_for_what_was_cold(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    append(&fixture, "a", "1");
    fixture_close(&fixture);
    fixture_open(&fixture);
    struct td_wanted wanted = want(&fixture, "a");
    struct td_read read = {.wanted = &wanted,
                           .n_wanted = 1,
                           .until = UINT64_MAX,
                           .records = records,
                           .records_max = READ_MAX};
    td_journal_read(fixture.reader, &read);
    assert_int_equal(read.end, TD_READ_COLD);
    assert_int_equal(fixture.wakes, 0);
    for (unsigned i = 1; i <= 2; i++) { /* the index, then the records */
        assert_int_equal(td_journal_keep_step(fixture.journal), 1);
        assert_int_equal(fixture.wakes, i);
        td_journal_read(fixture.reader, &read);
        assert_int_equal(read.end, i == 1 ? TD_READ_COLD : TD_READ_DONE);
    }
    assert_int_equal(read.n, 1);
    fixture_close(&fixture);
}

/* The records of a segment in which nothing is wanted are not looked at: here it would be found that they are damaged. */
static void passes_cold_segments_by_their_index(void **state)
{
    struct fixture fixture;
    struct td_read read;

    fixture_init(&fixture);
    fixture_open(&fixture);
    append(&fixture, "quiet", "1");
    for (int i = 0; i < 500; i++)
        append(&fixture, "loud", "\"0123456789\"");
    uint64_t last = append(&fixture, "quiet", "2");
    fixture_commit(&fixture);
    fixture_close(&fixture);
    const char *name;
    uint64_t size, first;
    size_t flipped = 0;
    for (size_t i = 0; td_sim_disk_file(i, &name, &size); i++) {
        if (sscanf(name, LOG_DIR "/%16" SCNx64 ".log", &first) != 1 || first == 1)
            continue;
        if (size >= fixture.options.segment_bytes / 2) {
            assert_int_equal(td_sim_disk_flip(name, size / 2, 1), 0);
            flipped++;
        }
    }
    assert_true(flipped > 2);
    fixture_open(&fixture);
    struct td_wanted wanted = want(&fixture, "nothing");
    read =
        (struct td_read){.wanted = &wanted, .n_wanted = 1, .until = UINT64_MAX, .records_max = 10};
    for (td_journal_newest(fixture.reader, &read); read.end == TD_READ_COLD;
         td_journal_newest(fixture.reader, &read))
        assert_int_equal(td_journal_keep_step(fixture.journal), 1);
    assert_int_equal(read.position, 0);
    read = read_after(&fixture, "nothing", 0);
    assert_int_equal(read.end, TD_READ_DONE);
    read = read_after(&fixture, "quiet/**", 0);
    assert_int_equal(
        read.end, TD_READ_GAP); /* the last segment has one: it is looked at, and its damage told */
    assert_int_equal(read.n, 1);
    assert_true(read.gap_to > 300);
    assert_int_equal(read_after(&fixture, "quiet", read.gap_to).n, 1);
    assert_int_equal(read_after(&fixture, "quiet", last).end, TD_READ_DONE);
    read = read_after(&fixture, "loud", 0);
    assert_int_equal(read.end, TD_READ_GAP);
    assert_int_equal(read.gap_reason, TD_GAP_DAMAGED);
    assert_true(read.gap_to < 300);
    fixture_close(&fixture);
}

/* An index that was made again from damaged records can't tell what was in them. */
static void passes_no_index_made_from_damage(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 200; i++)
        append(&fixture, "loud", "\"0123456789\"");
    fixture_commit(&fixture);
    fixture_close(&fixture);
    assert_int_equal(td_sim_disk_flip(LOG_DIR "/0000000000000001.log", 5000, 1), 0);
    assert_int_equal(td_sim_disk_flip(LOG_DIR "/0000000000000001.idx", 130, 1), 0);
    for (int round = 0; round < 3; round++) {
        fixture_open(&fixture);
        struct td_read read = read_after(&fixture, "nothing", 0);
        assert_int_equal(read.end, TD_READ_GAP);
        assert_int_equal(read.gap_reason, TD_GAP_DAMAGED);
        assert_int_equal(read_after(&fixture, "nothing", read.gap_to).end, TD_READ_DONE);
        fixture_keep(&fixture); /* seals it again */
        fixture_close(&fixture);
    }
}

/* A segment that the disk can't read is refused whole, and what stands before and behind it is given. */
static void refuses_what_cannot_be_read(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 300; i++)
        append(&fixture, "a", "\"0123456789\"");
    fixture_commit(&fixture);
    fixture_close(&fixture);
    for (unsigned nth = 1; nth <= 2; nth++) { /* the index, then the records */
        fixture_open(&fixture);
        td_sim_disk_set(&(struct td_sim_disk_faults){.fail_read_in = nth});
        struct td_read read = read_after(&fixture, "a", 0);
        assert_int_equal(td_sim_disk_get().fail_read_in, 0);
        if (nth == 1) { /* made again from the records */
            assert_int_equal(read.end, TD_READ_DONE);
            assert_int_equal(read.n, 300);
        } else {
            assert_int_equal(read.end, TD_READ_GAP);
            assert_int_equal(read.n, 0);
            assert_int_equal(read.gap_reason, TD_GAP_DAMAGED);
            assert_int_equal(read_after(&fixture, "a", read.gap_to).n, 300 - read.gap_to);
            struct td_wanted wanted = want(&fixture, "a");
            struct td_read newest = {
                .wanted = &wanted, .n_wanted = 1, .until = UINT64_MAX, .records_max = READ_MAX};
            td_journal_newest(fixture.reader, &newest);
            assert_int_equal(newest.position, 0);
        }
        fixture_keep(&fixture);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_pattern_matches),
        cmocka_unit_test(writes_the_envelope),
        cmocka_unit_test(merges_patterns_within_budgets),
        cmocka_unit_test(stops_at_until),
        cmocka_unit_test(finds_the_newest),
        cmocka_unit_test(wakes_readers_for_what_was_cold),
        cmocka_unit_test(passes_cold_segments_by_their_index),
        cmocka_unit_test(passes_no_index_made_from_damage),
        cmocka_unit_test(refuses_what_cannot_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
