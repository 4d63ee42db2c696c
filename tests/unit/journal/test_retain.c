/* SPDX-License-Identifier: Apache-2.0 */
/* What stays when its segment is trimmed: state, and the topics of other groups. */
#include "fixture.h"
#include "journal/format.h"

#define FIRST_LOG LOG_DIR "/0000000000000001.log"
#define FIRST_IDX LOG_DIR "/0000000000000001.idx"

static void set(struct fixture *fixture, const char *topic, const char *key, const char *data)
{
    struct td_draft one = draft(topic, data);
    uint64_t seq;

    one.key = td_slice_str(key);
    assert_int_equal(append_drafts(fixture, &one, 1, &seq), 0);
    fixture_commit(fixture);
}

static void fill(struct fixture *fixture, const char *topic, int n)
{
    for (int i = 0; i < n; i++)
        append(fixture, topic, "\"0123456789\"");
    fixture_commit(fixture);
    fixture_keep(fixture);
}

/* The data of the state of all topics, a space behind each. */
static const char *state_of(struct fixture *fixture)
{
    static char text[4096];
    struct td_wanted wanted = want(fixture, "**");
    struct td_state_cursor cursor = {0};
    const char *found[16];
    struct td_state_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .as_of = UINT64_MAX,
        .records = found,
        .records_max = TD_ARRAY_LEN(found),
        .cursor = &cursor,
    };
    size_t len = 0;

    text[0] = '\0';
    do {
        td_journal_state(fixture->reader, &read);
        for (size_t i = 0; i < read.n; i++) {
            struct td_slice data = record_data(read.records[i]);
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len, "%.*s ", (int)data.len, data.ptr);
        }
        if (read.end == TD_READ_COLD)
            assert_true(td_journal_keep_step(fixture->journal) > 0);
    } while (read.end != TD_READ_DONE);
    return text;
}

static struct td_journal_stat stat_of(struct fixture *fixture)
{
    struct td_journal_stat stat;

    td_journal_stat(fixture->journal, &stat);
    return stat;
}

static void carries_state_over(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.retain_bytes = 48 * TD_KIB;
    fixture_open(&fixture);
    set(&fixture, "a", "x", "1");
    set(&fixture, "b", "y", "2");
    set(&fixture, "b", "z", "3");
    fill(&fixture, "noise", 1000);
    assert_true(stat_of(&fixture).slimmed_segments > 0);
    for (int round = 0; round < 3; round++) {
        assert_string_equal(state_of(&fixture), "1 2 3 ");
        /* As history it is gone, and told. */
        struct td_read read = read_after(&fixture, "a", 0);
        assert_int_equal(read.end, TD_READ_GAP);
        assert_int_equal(read.gap_reason, TD_GAP_RETENTION);
        assert_int_equal(read.gap_to, 1);
        assert_int_equal(read_after(&fixture, "a", 1).end, TD_READ_DONE);
        assert_int_equal(read_after(&fixture, "a", 1).n, 0);
        if (round == 0)
            fixture_close(&fixture);
        else
            fixture_kill(&fixture);
        fixture_open(&fixture);
    }
    /* A condition may name what is there as state only. */
    struct td_draft one = draft("a", "4");
    struct td_batch batch = {
        .drafts = &one, .n = 1, .expect = true, .expect_topic = TD_S("a"), .expect_seq = 1};
    uint64_t seq;
    one.key = TD_S("x");
    assert_int_equal(td_journal_append(fixture.journal, &batch, &seq), 0);
    fill(&fixture, "noise", 1000);
    assert_string_equal(state_of(&fixture), "4 2 3 ");
    fixture_close(&fixture);
}

/* Nothing says any more that the first segment was written anew.  It ends with what stays for the sake of state, or before what went. */
static void carries_state_over_damage(void **state)
{
    for (int n = 2; n <= 200; n += 198) {
        struct fixture fixture;
        char key[16], before[512];

        fixture_init(&fixture);
        fixture.options.retain_bytes = 48 * TD_KIB;
        fixture_open(&fixture);
        for (int i = 0; i < n; i++) {
            snprintf(key, sizeof(key), "%d", i);
            set(&fixture, "a", key, "1");
        }
        fill(&fixture, "noise", 1000);
        assert_true(stat_of(&fixture).slimmed_segments > 0);
        snprintf(before, sizeof(before), "%s", state_of(&fixture));
        assert_int_equal(strlen(before), 2 * n);
        fixture_close(&fixture);
        assert_int_equal(td_sim_disk_flip(FIRST_LOG, 23, 1), 0);
        assert_int_equal(td_sim_disk_flip(FIRST_IDX, 20, 1), 0);
        for (int round = 0; round < 3; round++) {
            fixture_open(&fixture);
            fixture_keep(&fixture);
            assert_string_equal(state_of(&fixture), before);
            fixture_close(&fixture);
        }
    }
}

/* What was removed does not come back when the removal itself is trimmed, as long as an older segment holds something of its key. */
static void keeps_removals_that_hide(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.retain_bytes = 48 * TD_KIB;
    fixture_open(&fixture);
    set(&fixture, "a", "x", "1");
    set(&fixture, "a", "stays", "2");
    fill(&fixture, "noise", 1000);
    set(&fixture, "a", "x", "null");
    fill(&fixture, "noise", 1000);
    for (int round = 0; round < 3; round++) {
        assert_string_equal(state_of(&fixture), "2 ");
        fixture_kill(&fixture);
        fixture_open(&fixture);
        fill(&fixture, "noise", 300);
    }
    /* Without anything left to keep the files go. */
    set(&fixture, "a", "stays", "null");
    fill(&fixture, "noise", 1000);
    for (int i = 0; i < 3; i++) {
        td_sim_advance(61 * TD_NS_PER_S);
        fill(&fixture, "noise", 300);
    }
    assert_true(stat_of(&fixture).horizon > 2000);
    assert_string_equal(state_of(&fixture), "");
    fixture_close(&fixture);
}

static const struct td_slice bulk_patterns[] = {TD_S("runs/**"), TD_S("logs/*")};

static void keeps_groups_apart(void **state)
{
    const struct td_retention_group bulk = {
        .name = TD_S("bulk"),
        .patterns = bulk_patterns,
        .n_patterns = 2,
        .retain_bytes = 32 * TD_KIB,
    };
    struct td_group_stat stat;
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.groups = &bulk;
    fixture.options.n_groups = 1;
    fixture_open(&fixture);
    for (int i = 0; i < 1000; i++) {
        append(&fixture, "runs/1/out", "\"0123456789\"");
        if (i % 100 == 0)
            append(&fixture, "audit/a", "\"kept\"");
    }
    fixture_commit(&fixture);
    fixture_keep(&fixture);
    assert_int_equal(td_journal_groups(fixture.journal), 2);
    td_journal_group_stat(fixture.journal, 1, &stat);
    assert_slice(stat.name, "bulk");
    assert_true(stat.bytes <= 32 * TD_KIB && stat.horizon > 500);
    for (int round = 0; round < 2; round++) {
        /* Nothing of the others has gone. */
        struct td_read read = read_after(&fixture, "audit/**", 0);
        assert_int_equal(read.end, TD_READ_DONE);
        assert_int_equal(read.n, 10);
        struct td_wanted wanted = want(&fixture, "runs/**");
        assert_true(td_journal_trimmed_after(fixture.reader, &wanted, 0));
        /* Who asks for both is told, and gets what is there inside of the gap. */
        wanted = want(&fixture, "**");
        read = (struct td_read){.wanted = &wanted,
                                .n_wanted = 1,
                                .until = UINT64_MAX,
                                .records = records,
                                .records_max = READ_MAX};
        td_journal_read(fixture.reader, &read);
        assert_int_equal(read.end, TD_READ_GAP);
        assert_int_equal(read.gap_reason, TD_GAP_RETENTION);
        assert_int_equal(read.position, 0);
        read.told = td_told_upto(read.gap_to);
        td_journal_read(fixture.reader, &read);
        while (read.end == TD_READ_COLD) {
            assert_true(td_journal_keep_step(fixture.journal) > 0);
            td_journal_read(fixture.reader, &read);
        }
        assert_int_equal(read.end, TD_READ_DONE);
        assert_slice(record_data(read.records[0]), "\"kept\"");
        assert_true(read.n > 10 && read.n < 600);
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    fixture_close(&fixture);
}

/* A record goes before the window of its dedup key has ended, and the wall clock is an hour ahead when it does. */
static void remembers_the_keys_of_what_goes(void **state)
{
    static const int64_t hour_ms = 3600 * 1000;
    struct td_draft one = draft("a", "1");
    struct fixture fixture;
    uint64_t first, seq;

    fixture_init(&fixture);
    fixture.options.retain_bytes = 32 * TD_KIB;
    fixture.options.dedup_window_ms = 1000;
    fixture_open(&fixture);
    set(&fixture, "audit", "k", "1");
    one.dedup = TD_S("once");
    assert_int_equal(append_drafts(&fixture, &one, 1, &first), 0);
    td_sim_jump_wall(hour_ms);
    fill(&fixture, "a", 1000);
    td_sim_jump_wall(-hour_ms);
    assert_true(stat_of(&fixture).slimmed_segments > 0);
    assert_string_equal(state_of(&fixture), "1 ");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(append_drafts(&fixture, &one, 1, &seq), 0);
        assert_int_equal(seq, first);
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    td_sim_advance(1001 * TD_NS_PER_MS);
    assert_int_equal(append_drafts(&fixture, &one, 1, &seq), 0);
    assert_true(seq > first);
    fixture_close(&fixture);
}

/* What has been damaged was not let go: who reads from the oldest on is told, also when the segment has a new index. */
static void takes_no_damage_for_retention(void **state)
{
    const struct td_retention_group bulk = {
        .name = TD_S("bulk"), .patterns = bulk_patterns, .n_patterns = 2};
    struct td_group_stat stat;
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.groups = &bulk;
    fixture.options.n_groups = 1;
    fixture_open(&fixture);
    append(&fixture, "runs/1/out", "1");
    fill(&fixture, "audit/a", 300);
    fixture_close(&fixture);
    assert_int_equal(td_sim_disk_flip(FIRST_LOG, sizeof(struct td_segment_header) + 60, 1), 0);
    assert_int_equal(td_sim_disk_flip(FIRST_IDX, 20, 1), 0);
    for (int round = 0; round < 3; round++) {
        fixture_open(&fixture);
        fixture_keep(&fixture);
        td_journal_group_stat(fixture.journal, 1, &stat);
        struct td_read read = read_after(&fixture, "runs/**", stat.horizon);
        assert_int_equal(read.end, TD_READ_GAP);
        assert_int_equal(read.gap_reason, TD_GAP_DAMAGED);
        fixture_close(&fixture);
    }
}

/* What a read from the beginning comes to for one who began when it was told so. */
static enum td_read_end end_of(struct fixture *fixture, const struct td_wanted *wanted,
                               struct td_told told)
{
    struct td_read read = {.wanted = wanted,
                           .n_wanted = 1,
                           .until = UINT64_MAX,
                           .told = told,
                           .records = records,
                           .records_max = READ_MAX};

    do {
        td_journal_read(fixture->reader, &read);
    } while (read.end == TD_READ_COLD && td_journal_keep_step(fixture->journal) > 0);
    return read.end;
}

/* Bulk output of more topics than are remembered singly says "maybe" of no other group. */
static void blurs_one_group_only(void **state)
{
    const struct td_retention_group bulk = {
        .name = TD_S("bulk"), .patterns = bulk_patterns, .n_patterns = 2, .retain_bytes = 1};
    struct fixture fixture;
    char topic[32];

    fixture_init(&fixture);
    fixture.options.groups = &bulk;
    fixture.options.n_groups = 1;
    fixture.options.trimmed_max = 50;
    fixture_open(&fixture);
    append(&fixture, "audit/a", "1");
    struct td_wanted quiet = want(&fixture, "audit/**"), loud = want(&fixture, "logs/none");
    struct td_told oldest = td_journal_told(fixture.reader, &loud, 1);
    for (int i = 0; i < 600; i++) {
        snprintf(topic, sizeof(topic), "logs/%d", i);
        append(&fixture, topic, "1");
    }
    fixture_commit(&fixture);
    fixture_keep(&fixture);
    assert_int_equal(end_of(&fixture, &quiet, oldest), TD_READ_DONE);
    assert_int_equal(end_of(&fixture, &loud, oldest), TD_READ_GAP);
    oldest = td_journal_told(fixture.reader, &loud, 1);
    assert_int_equal(end_of(&fixture, &loud, oldest), TD_READ_DONE);
    assert_true(td_journal_trimmed_after(fixture.reader, &loud, 0));
    assert_false(td_journal_trimmed_after(fixture.reader, &quiet, 0));
    fixture_close(&fixture);
    /* A group that is not configured any more concerns everybody. */
    fixture.options.n_groups = 0;
    fixture_open(&fixture);
    assert_true(td_journal_trimmed_after(fixture.reader, &quiet, 0));
    fixture_close(&fixture);
}

/* Groups are counted again when they are others. */
static void counts_again_for_other_groups(void **state)
{
    struct td_retention_group bulk = {
        .name = TD_S("bulk"), .patterns = bulk_patterns, .n_patterns = 1, .retain_bytes = 1};
    struct td_group_stat stat;
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 300; i++)
        append(&fixture, i % 2 ? "runs/1" : "logs/1", "\"0123456789\"");
    fixture_close(&fixture);
    fixture.options.groups = &bulk;
    fixture.options.n_groups = 1;
    fixture_open(&fixture);
    fixture_keep(&fixture);
    td_journal_group_stat(fixture.journal, 1, &stat);
    assert_int_equal(stat.bytes, 0);
    td_journal_group_stat(fixture.journal, 0, &stat);
    assert_true(stat.bytes > 0);
    assert_int_equal(read_after(&fixture, "logs/1", 0).n, 150);
    assert_int_equal(read_after(&fixture, "runs/1", UINT64_C(300)).n, 0);
    fixture_close(&fixture);
}

/* Writing a segment anew dies at every place, and the power with it: the state is there, and what is left opens right. */
static void survives_dying_while_it_slims(void **state)
{
    const struct td_retention_group bulk = {
        .name = TD_S("bulk"), .patterns = bulk_patterns, .n_patterns = 2, .retain_bytes = 1};
    struct fixture fixture;

    for (unsigned die_in = 1; die_in < 60; die_in++) {
        fixture_init(&fixture);
        td_sim_reset(die_in);
        fixture.options.groups = &bulk;
        fixture.options.n_groups = 1;
        fixture_open(&fixture);
        set(&fixture, "runs/a", "x", "1");
        for (int i = 0; i < 120; i++) {
            append(&fixture, "runs/1", "\"0123456789\"");
            append(&fixture, "audit", "\"kept\"");
        }
        fixture_commit(&fixture);
        td_sim_disk_set(&(struct td_sim_disk_faults){.die_in = die_in});
        for (int i = 0; i < 100 && !td_sim_dead(); i++) {
            td_journal_quiesce(fixture.reader, false);
            (void)!td_journal_keep_step(fixture.journal);
        }
        td_sim_disk_set(&(struct td_sim_disk_faults){0});
        if (die_in % 2)
            fixture_kill(&fixture);
        else
            fixture_crash(&fixture);
        fixture_open(&fixture);
        assert_int_equal(fixture.report.damaged_ranges, 0);
        assert_string_equal(state_of(&fixture), "1 ");
        assert_int_equal(read_after(&fixture, "audit", 0).n, 120);
        fixture_keep(&fixture);
        assert_string_equal(state_of(&fixture), "1 ");
        assert_int_equal(read_after(&fixture, "audit", 0).n, 120);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_state_over),
        cmocka_unit_test(carries_state_over_damage),
        cmocka_unit_test(keeps_removals_that_hide),
        cmocka_unit_test(keeps_groups_apart),
        cmocka_unit_test(remembers_the_keys_of_what_goes),
        cmocka_unit_test(takes_no_damage_for_retention),
        cmocka_unit_test(blurs_one_group_only),
        cmocka_unit_test(counts_again_for_other_groups),
        cmocka_unit_test(survives_dying_while_it_slims),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
