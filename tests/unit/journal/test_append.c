/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions, idempotency, and disks that are full or fail. */
#include "fixture.h"
#include "os/file.h"
#include <errno.h>

static int append_expecting(struct fixture *fixture, const char *topic, uint64_t seq)
{
    struct td_draft one = draft(topic, "1");
    struct td_batch batch = {
        .drafts = &one, .n = 1, .expect = true, .expect_topic = one.topic, .expect_seq = seq};
    uint64_t got;

    return td_journal_append(fixture->journal, &batch, &got);
}

static void appends_on_condition(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    assert_int_equal(append_expecting(&fixture, "a", 1), TD_ECONFLICT);
    assert_int_equal(append_expecting(&fixture, "a", 0), 0);
    assert_int_equal(append_expecting(&fixture, "a", 0), TD_ECONFLICT);
    for (int i = 0; i < 300; i++)
        append(&fixture, "b", "1");
    fixture_commit(&fixture);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(append_expecting(&fixture, "a", 7), TD_ECONFLICT);
        assert_int_equal(append_expecting(&fixture, "b", 1), TD_ECONFLICT);
        assert_int_equal(append_expecting(&fixture, "a/b", 5), TD_ECONFLICT);
        assert_int_equal(append_expecting(&fixture, "b", 301 + (uint64_t)round), 0);
        fixture_commit(&fixture);
        fixture_keep(&fixture); /* the second time it is found in sealed segments */
    }
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_int_equal(append_expecting(&fixture, "a", 1), 0); /* in a cold segment */
    assert_int_equal(append_expecting(&fixture, "a", 1), TD_ECONFLICT);
    fixture_close(&fixture);
}

/* What can't be looked at does not meet a condition, and nothing behind the end of a shortened file is touched. */
static void refuses_a_condition_on_what_is_damaged(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    for (int shortened = 0; shortened < 2; shortened++) {
        td_sim_reset(1);
        fixture_open(&fixture);
        append(&fixture, "a", "1");
        append(&fixture, "a", "2");
        append(&fixture, "b", "3");
        fixture_close(&fixture);
        if (shortened) {
            int file = td_file_open(LOG_DIR "/0000000000000001.log", TD_FILE_WRITE);
            assert_true(file >= 0);
            assert_int_equal(td_file_truncate(file, 100), 0);
            td_file_close(file);
        } else {
            assert_int_equal(td_sim_disk_flip(LOG_DIR "/0000000000000001.log", 300, 0), 0);
        }
        fixture_open(&fixture);
        assert_int_equal(append_expecting(&fixture, "a", 0), TD_ECONFLICT);
        assert_int_equal(append_expecting(&fixture, "a", 1), TD_ECONFLICT);
        assert_int_equal(append_expecting(&fixture, "c", 0), 0);
        fixture_close(&fixture);
    }
}

static int append_dedup(struct fixture *fixture, const char *key, const char *scope,
                        const char *data, uint64_t *ret_seq)
{
    struct td_draft one = draft("a", data);

    one.dedup = td_slice_str(key);
    one.dedup_scope = td_slice_str(scope);
    return append_drafts(fixture, &one, 1, ret_seq);
}

static void answers_repeats_with_the_first(void **state)
{
    struct fixture fixture;
    uint64_t first, seq;

    fixture_init(&fixture);
    fixture.options.dedup_window_ms = 1000;
    fixture_open(&fixture);
    assert_int_equal(append_dedup(&fixture, "k", "ann", "1", &first), 0);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(append_dedup(&fixture, "k", "ann", "1", &seq), 0);
        assert_int_equal(seq, first);
        assert_int_equal(append_dedup(&fixture, "k", "ann", "2", &seq), TD_EMISMATCH);
        fixture_commit(&fixture);
        if (round == 0)
            fixture_close(&fixture);
        else
            fixture_kill(&fixture);
        fixture_open(&fixture);
    }
    assert_int_equal(append_dedup(&fixture, "k", "bob", "2", &seq), 0);
    assert_true(seq > first);
    assert_int_equal(append_dedup(&fixture, "ka", "nn", "2", &seq), 0);
    assert_true(seq > first);
    td_sim_advance(1001 * TD_NS_PER_MS);
    assert_int_equal(append_dedup(&fixture, "k", "ann", "2", &seq), 0);
    assert_true(seq > first);
    fixture_close(&fixture);
}

static void measures_the_window_on_the_monotonic_clock(void **state)
{
    static const int64_t hour_ms = 3600 * 1000;
    struct fixture fixture;
    uint64_t first, seq;

    fixture_init(&fixture);
    fixture.options.dedup_window_ms = 1000;
    fixture_open(&fixture);
    assert_int_equal(append_dedup(&fixture, "k", "ann", "1", &first), 0);
    td_sim_jump_wall(hour_ms);
    assert_int_equal(append_dedup(&fixture, "k", "ann", "1", &seq), 0);
    assert_int_equal(seq, first);
    assert_int_equal(append_dedup(&fixture, "k", "ann", "2", &seq), TD_EMISMATCH);
    td_sim_jump_wall(-2 * hour_ms);
    td_sim_advance(1001 * TD_NS_PER_MS);
    assert_int_equal(append_dedup(&fixture, "k", "ann", "2", &seq), 0);
    assert_true(seq > first);
    fixture_close(&fixture);
}

/* The wall clock is an hour behind for as long as it takes to fill a segment. */
static void looks_behind_segments_that_seem_too_old(void **state)
{
    static const int64_t hour_ms = 3600 * 1000;
    struct fixture fixture;
    struct td_journal_stat stat;
    uint64_t first, seq;

    fixture_init(&fixture);
    fixture.options.dedup_window_ms = 1000;
    fixture_open(&fixture);
    assert_int_equal(append_dedup(&fixture, "k", "", "1", &first), 0);
    for (int i = 0; i < 100; i++)
        append(&fixture, "a", "\"0123456789\"");
    td_sim_jump_wall(-hour_ms);
    for (int i = 0; i < 300; i++)
        append(&fixture, "a", "\"0123456789\"");
    td_sim_jump_wall(hour_ms);
    fixture_commit(&fixture);
    fixture_keep(&fixture);
    td_journal_stat(fixture.journal, &stat);
    assert_true(stat.segments > 2);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_int_equal(append_dedup(&fixture, "k", "", "1", &seq), 0);
    assert_int_equal(seq, first);
    fixture_close(&fixture);
}

static void forgets_the_oldest_keys_first(void **state)
{
    struct fixture fixture;
    char key[32];
    uint64_t seqs[20], seq;

    fixture_init(&fixture);
    fixture.options.dedup_max = 10;
    fixture_open(&fixture);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(append_dedup(&fixture, key, "", "1", &seqs[i]), 0);
    }
    struct td_journal_stat stat;
    td_journal_stat(fixture.journal, &stat);
    assert_int_equal(stat.dedup_keys, 10);
    assert_int_equal(append_dedup(&fixture, "k19", "", "1", &seq), 0);
    assert_int_equal(seq, seqs[19]);
    assert_int_equal(append_dedup(&fixture, "k9", "", "1", &seq), 0);
    assert_true(seq > seqs[19]);
    fixture_close(&fixture);
}

/* A publisher whose connection was lost says it again on another one. */
static void compares_what_is_said_and_not_who_said_it(void **state)
{
    struct fixture fixture;
    struct td_draft one = draft("a", "null");
    uint64_t first, seq;

    one.key = TD_S("k");
    one.dedup = TD_S("gone");
    one.origin = TD_S("\"c1\"");
    fixture_init(&fixture);
    fixture_open(&fixture);
    assert_int_equal(append_drafts(&fixture, &one, 1, &first), 0);
    one.origin = TD_S("\"c2\"");
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), 0);
    assert_int_equal(seq, first);
    one.key = TD_S("l");
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), TD_EMISMATCH);
    one.key = TD_S("k");
    one.class = TD_CLASS_LATEST;
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), TD_EMISMATCH);
    fixture_close(&fixture);
}

/* Where the server makes data of what was said, a repeat is told by that. */
static void a_repeat_says_the_same_again(void **state)
{
    struct fixture fixture;
    struct td_draft one = draft("a", "1");
    struct td_batch batch = {
        .drafts = &one, .n = 1, .dedup = TD_S("k"), .dedup_scope = TD_S("ann")};
    uint64_t first, again;

    (void)state;
    fixture_init(&fixture);
    fixture_open(&fixture);
    one.said = TD_S("put");
    assert_int_equal(td_journal_known(fixture.journal, &batch, &again), 0);
    assert_int_equal(again, 0);
    assert_int_equal(td_journal_append(fixture.journal, &batch, &first), 0);
    one.data = TD_S("2");
    one.type = TD_S("u");
    one.key = TD_S("x");
    assert_int_equal(td_journal_known(fixture.journal, &batch, &again), 0);
    assert_int_equal(again, first);
    assert_int_equal(td_journal_append(fixture.journal, &batch, &again), 0);
    assert_int_equal(again, first);
    one.said = TD_S("");
    assert_int_equal(td_journal_known(fixture.journal, &batch, &again), TD_EMISMATCH);
    batch.dedup = TD_S("");
    assert_int_equal(td_journal_known(fixture.journal, &batch, &again), 0);
    assert_int_equal(again, 0);
    fixture_close(&fixture);
}

static void repeats_batches_whole(void **state)
{
    struct fixture fixture;
    struct td_draft drafts[] = {draft("a", "1"), draft("b", "2"), draft("a", "1")};
    struct td_batch batch = {.drafts = drafts, .n = 3, .dedup = TD_S("k")};
    uint64_t first[3], again[3];

    fixture_init(&fixture);
    fixture_open(&fixture);
    assert_int_equal(td_journal_append(fixture.journal, &batch, first), 0);
    assert_int_equal(first[2], first[0] + 2);
    assert_int_equal(td_journal_append(fixture.journal, &batch, again), 0);
    assert_memory_equal(first, again, sizeof(first));
    batch.n = 2;
    assert_int_equal(td_journal_append(fixture.journal, &batch, again), TD_EMISMATCH);
    /* One key twice in a batch is one event, or a mismatch. */
    drafts[0].dedup = drafts[1].dedup = drafts[2].dedup = TD_S("own");
    batch.n = 3;
    assert_int_equal(td_journal_append(fixture.journal, &batch, again), TD_EMISMATCH);
    drafts[1] = drafts[0];
    assert_int_equal(td_journal_append(fixture.journal, &batch, again), 0);
    assert_int_equal(again[0], first[2] + 1);
    assert_int_equal(again[1], again[0]);
    assert_int_equal(again[2], again[0]);
    fixture_commit(&fixture);
    assert_int_equal(read_after(&fixture, "**", 0).n, 4);
    fixture_close(&fixture);
}

static void refuses_what_no_segment_holds(void **state)
{
    static char large[20000];
    struct fixture fixture;
    uint64_t seq;

    fixture_init(&fixture);
    fixture_open(&fixture);
    memset(large, '1', sizeof(large) - 1);
    struct td_draft one = draft("a", large);
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), TD_ETOOLARGE);
    assert_int_equal(append(&fixture, "a", "1"), 1);
    fixture_close(&fixture);
}

/* The disk fills up; nothing is acknowledged that is not there, readers go on, and it comes back by itself. */
static void lives_with_a_full_disk(void **state)
{
    struct td_sim_disk_faults faults = {.space_bytes = 200 * TD_KIB};
    struct fixture fixture;
    struct td_draft one = draft("a", "1");
    size_t n = 0;
    uint64_t seq;
    int r;

    fixture_init(&fixture);
    fixture.options.segment_bytes = 64 * TD_KIB;
    td_sim_disk_set(&faults);
    fixture_open(&fixture);
    while ((r = append_drafts(&fixture, &one, 1, &seq)) == 0) {
        n++;
        fixture_commit(&fixture);
    }
    assert_int_equal(r, TD_EFULL);
    assert_int_equal(td_journal_health(fixture.journal), TD_EFULL);
    assert_true(n > 300);
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), TD_EFULL);
    fixture_commit(&fixture);
    assert_int_equal(read_after(&fixture, "**", 0).n, n);
    td_sim_disk_set(&(struct td_sim_disk_faults){0});
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), TD_EFULL); /* not asked yet */
    td_sim_advance(101 * TD_NS_PER_MS);
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), 0);
    assert_int_equal(seq, n + 1);
    assert_int_equal(td_journal_health(fixture.journal), 0);
    fixture_commit(&fixture);
    assert_int_equal(read_after(&fixture, "**", 0).n, n + 1);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    assert_int_equal(read_after(&fixture, "**", 0).n, n + 1);
    fixture_close(&fixture);
}

/* Whoever waits for the log to be ready before sending anything again must not wait for ever. */
static void is_ready_again_without_an_append(void **state)
{
    struct fixture fixture;
    struct td_draft one = draft("a", "1");
    uint64_t seq;

    fixture_init(&fixture);
    td_sim_disk_set(&(struct td_sim_disk_faults){.space_bytes = 80 * TD_KIB});
    fixture_open(&fixture);
    while (append_drafts(&fixture, &one, 1, &seq) == 0)
        fixture_commit(&fixture);
    for (int second = 0; second < 3; second++) {
        td_sim_advance(1001 * TD_NS_PER_MS);
        fixture_keep(&fixture);
        assert_int_equal(td_journal_health(fixture.journal), TD_EFULL);
    }
    td_sim_disk_set(&(struct td_sim_disk_faults){0});
    fixture_keep(&fixture);
    assert_int_equal(td_journal_health(fixture.journal), TD_EFULL); /* asked a moment ago */
    td_sim_advance(1001 * TD_NS_PER_MS);
    fixture_keep(&fixture);
    assert_int_equal(td_journal_health(fixture.journal), 0);
    append(&fixture, "a", "1");
    fixture_close(&fixture);
}

/* A disk that fails, or has become read-only, shows too. */
static void tells_of_a_failing_write(void **state)
{
    struct fixture fixture;
    struct td_draft one = draft("a", "1");
    uint64_t seq;

    fixture_init(&fixture);
    fixture_open(&fixture);
    append(&fixture, "a", "1");
    for (int round = 0; round < 2; round++) {
        td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = 1});
        assert_int_equal(append_drafts(&fixture, &one, 1, &seq), -EIO);
        assert_int_equal(td_journal_health(fixture.journal), TD_EUNAVAILABLE);
        fixture_keep(&fixture);
        assert_int_equal(td_journal_health(fixture.journal), TD_EUNAVAILABLE);
        if (round == 0) {
            append(&fixture, "a", "1");
        } else {
            td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = 1});
            td_sim_advance(1001 * TD_NS_PER_MS);
            fixture_keep(&fixture);
            assert_int_equal(td_journal_health(fixture.journal), TD_EUNAVAILABLE);
            td_sim_advance(1001 * TD_NS_PER_MS);
            fixture_keep(&fixture);
        }
        assert_int_equal(td_journal_health(fixture.journal), 0);
    }
    append(&fixture, "a", "1");
    fixture_close(&fixture);
}

/* Each single write or allocation fails once; the log holds what was acknowledged and nothing else. */
static void survives_each_failing_write(void **state)
{
    struct fixture fixture;
    struct td_draft drafts[] = {draft("a", "1"), draft("a/b", "[\"0123456789\"]")};
    uint64_t seqs[2];

    for (unsigned nth = 1; nth < 60; nth++) {
        size_t acknowledged = 0, failed = 0;
        fixture_init(&fixture);
        fixture.options.segment_bytes = 4 * TD_KIB;
        fixture_open(&fixture);
        td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = nth});
        for (int i = 0; i < 50; i++) {
            if (append_drafts(&fixture, drafts, 2, seqs) == 0)
                acknowledged += 2;
            else
                failed++;
            fixture_commit(&fixture);
            fixture_keep(&fixture);
        }
        assert_true(failed <= 1);
        assert_int_equal(read_after(&fixture, "**", 0).n, acknowledged);
        if (nth % 2)
            fixture_crash(&fixture);
        else
            fixture_close(&fixture);
        fixture_open(&fixture);
        assert_int_equal(fixture.report.damaged_ranges, 0);
        assert_int_equal(read_after(&fixture, "**", 0).n, acknowledged);
        fixture_close(&fixture);
    }
}

static void writes_nothing_after_a_failed_sync(void **state)
{
    struct fixture fixture;
    struct td_draft one = draft("a", "1");
    uint64_t seq;

    fixture_init(&fixture);
    fixture_open(&fixture);
    append(&fixture, "a", "1");
    fixture_commit(&fixture);
    append(&fixture, "a", "2");
    td_sim_disk_set(&(struct td_sim_disk_faults){.fail_sync_in = 1});
    assert_true(td_journal_commit_step(fixture.journal) < 0);
    assert_int_equal(td_journal_health(fixture.journal), TD_ELOGFAILED);
    assert_int_equal(td_journal_readable(fixture.journal), 1);
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), TD_ELOGFAILED);
    assert_int_equal(td_journal_commit_step(fixture.journal), TD_ELOGFAILED);
    assert_int_equal(td_journal_readable(fixture.journal), 1);
    assert_int_equal(read_after(&fixture, "**", 0).n, 1);
    /* What the restart shows has been written again, so that it survives what comes next. */
    fixture_close(&fixture);
    fixture_open(&fixture);
    size_t n = read_after(&fixture, "**", 0).n;
    assert_true(n == 1 || n == 2);
    fixture_crash(&fixture);
    fixture_open(&fixture);
    assert_int_equal(read_after(&fixture, "**", 0).n, n);
    append(&fixture, "a", "3");
    fixture_close(&fixture);
}

static void is_readable_at_once_when_fast(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.durability = TD_DURABILITY_FAST;
    fixture_open(&fixture);
    append(&fixture, "a", "1");
    assert_int_equal(fixture.wakes, 1);
    assert_int_equal(td_journal_readable(fixture.journal), 1);
    assert_int_equal(td_journal_durable(fixture.journal), 0);
    assert_int_equal(read_after(&fixture, "**", 0).n, 1);
    fixture_commit(&fixture);
    assert_int_equal(td_journal_durable(fixture.journal), 1);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_on_condition),
        cmocka_unit_test(refuses_a_condition_on_what_is_damaged),
        cmocka_unit_test(answers_repeats_with_the_first),
        cmocka_unit_test(measures_the_window_on_the_monotonic_clock),
        cmocka_unit_test(looks_behind_segments_that_seem_too_old),
        cmocka_unit_test(forgets_the_oldest_keys_first),
        cmocka_unit_test(compares_what_is_said_and_not_who_said_it),
        cmocka_unit_test(a_repeat_says_the_same_again),
        cmocka_unit_test(repeats_batches_whole),
        cmocka_unit_test(refuses_what_no_segment_holds),
        cmocka_unit_test(lives_with_a_full_disk),
        cmocka_unit_test(is_ready_again_without_an_append),
        cmocka_unit_test(tells_of_a_failing_write),
        cmocka_unit_test(survives_each_failing_write),
        cmocka_unit_test(writes_nothing_after_a_failed_sync),
        cmocka_unit_test(is_readable_at_once_when_fast),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
