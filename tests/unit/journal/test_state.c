/* SPDX-License-Identifier: Apache-2.0 */
/* The retained state: what each class leaves, what readers as of a position see, limits, restarts. */
#include "base/rng.h"
#include "fixture.h"

static struct td_draft keyed(const char *topic, const char *key, const char *data,
                             enum td_class class)
{
    struct td_draft one = draft(topic, data);

    one.key = td_slice_str(key);
    one.class = class;
    return one;
}

static uint64_t append_keyed(struct fixture *fixture, const char *topic, const char *key,
                             const char *data)
{
    struct td_draft one = keyed(topic, key, data, TD_CLASS_LATEST);
    uint64_t seq;

    assert_int_equal(append_drafts(fixture, &one, 1, &seq), 0);
    return seq;
}

static uint64_t append_chunk(struct fixture *fixture, const char *topic, const char *key,
                             const char *data, bool begins)
{
    struct td_draft one = keyed(topic, key, data, TD_CLASS_APPEND);
    uint64_t seq;

    one.begins_text = begins;
    assert_int_equal(append_drafts(fixture, &one, 1, &seq), 0);
    return seq;
}

static void set(struct fixture *fixture, const char *topic, const char *key, const char *data)
{
    append_keyed(fixture, topic, key, data);
    fixture_commit(fixture);
}

/* The data of the state of some patterns (NULL ends them) as of a position, a space behind each.  Some records at a time. */
static const char *state_in_steps(struct fixture *fixture, const char *const *patterns,
                                  uint64_t as_of, size_t records_max, size_t topics_max)
{
    static char text[16384];
    struct td_wanted wanted[4];
    struct td_state_cursor cursor = {0};
    const char *records_now[16];
    size_t n_wanted = 0, len = 0;

    while (patterns[n_wanted]) {
        wanted[n_wanted] = want(fixture, patterns[n_wanted]);
        n_wanted++;
    }
    struct td_state_read read = {
        .wanted = wanted,
        .n_wanted = n_wanted,
        .as_of = as_of,
        .records = records_now,
        .records_max = records_max,
        .topics_max = topics_max,
        .cursor = &cursor,
    };
    text[0] = '\0';
    for (int turn = 0;; turn++) {
        assert_true(turn < 5000);
        td_journal_state(fixture->reader, &read);
        assert_true(read.n <= records_max);
        for (size_t i = 0; i < read.n; i++) {
            struct td_record record;
            td_record_view(read.records[i], &record);
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s ", (int)record.data.len,
                                    record.data.ptr);
        }
        if (read.end == TD_READ_DONE)
            return text;
        if (read.end == TD_READ_COLD)
            assert_true(td_journal_keep_step(fixture->journal) > 0);
    }
}

static const char *state_of(struct fixture *fixture, const char *pattern)
{
    const char *const patterns[] = {pattern, NULL};

    return state_in_steps(fixture, patterns, UINT64_MAX, 16, 0);
}

static void keeps_the_latest_of_each_key(void **state)
{
    struct fixture fixture;
    struct td_journal_stat stat;

    fixture_init(&fixture);
    fixture_open(&fixture);
    set(&fixture, "a", "x", "1");
    set(&fixture, "a", "y", "2");
    append(&fixture, "a", "3"); /* without a key: leaves none */
    set(&fixture, "b", "x", "4");
    set(&fixture, "a", "x", "5");
    for (int round = 0; round < 3; round++) {
        assert_string_equal(state_of(&fixture, "**"), "2 5 4 ");
        assert_string_equal(state_of(&fixture, "a"), "2 5 ");
        assert_string_equal(state_of(&fixture, "b"), "4 ");
        assert_string_equal(state_of(&fixture, "c"), "");
        td_journal_stat(fixture.journal, &stat);
        assert_int_equal(stat.state_keys, 3);
        assert_int_equal(stat.state_topics, 2);
        assert_true(stat.state_bytes > 0);
        if (round == 0)
            fixture_close(&fixture);
        else
            fixture_kill(&fixture);
        fixture_open(&fixture);
    }
    set(&fixture, "a", "y", "null");
    set(&fixture, "b", "x", "null");
    set(&fixture, "c", "x", "null"); /* of nothing */
    for (int round = 0; round < 2; round++) {
        assert_string_equal(state_of(&fixture, "**"), "5 ");
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    td_journal_stat(fixture.journal, &stat);
    assert_int_equal(stat.state_keys, 1);
    assert_int_equal(stat.state_topics, 1);
    fixture_close(&fixture);
}

/* Like data null, but with the last words of what is removed. */
static void a_draft_may_remove_with_data(void **state)
{
    struct fixture fixture;
    struct td_draft last = draft("a", "7");
    struct td_record record;
    uint64_t seq;

    (void)state;
    fixture_init(&fixture);
    fixture_open(&fixture);
    set(&fixture, "a", "x", "1");
    set(&fixture, "a", "y", "2");
    last.key = TD_S("x");
    last.clears = true;
    assert_int_equal(append_drafts(&fixture, &last, 1, &seq), 0);
    assert_int_equal(td_journal_at(fixture.reader, seq, &record), 1); /* not readable yet */
    assert_slice(record.data, "7");
    assert_true(record.flags & TD_RECORD_REMOVES);
    assert_int_equal(td_journal_last(fixture.journal, TD_S("a")), seq);
    assert_int_equal(td_journal_last(fixture.journal, TD_S("b")), 0);
    assert_int_equal(td_journal_at(fixture.reader, seq + 1, &record), 0);
    for (int round = 0; round < 3; round++) {
        fixture_commit(&fixture);
        assert_string_equal(state_of(&fixture, "**"), "2 ");
        assert_int_equal(read_after(&fixture, "a", 0).n, 3);
        if (round == 0)
            fixture_kill(&fixture);
        else
            fixture_close(&fixture);
        fixture_open(&fixture);
    }
    fixture_close(&fixture);
}

static void keeps_texts_whole(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_open(&fixture);
    append_chunk(&fixture, "a", "t", "1", true);
    append_chunk(&fixture, "a", "t", "2", false);
    append_chunk(&fixture, "a", "u", "3", false); /* without a beginning */
    append_chunk(&fixture, "a", "t", "4", false);
    append_chunk(&fixture, "a", "u", "5", false);
    fixture_commit(&fixture);
    for (int round = 0; round < 2; round++) {
        assert_string_equal(state_of(&fixture, "a"), "1 2 4 3 5 ");
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    /* A chunk continues what a restart, and so another segment, lies between. */
    append_chunk(&fixture, "a", "t", "6", false);
    append_chunk(&fixture, "a", "u", "7", true);
    fixture_commit(&fixture);
    for (int round = 0; round < 2; round++) {
        assert_string_equal(state_of(&fixture, "a"), "1 2 4 6 7 ");
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    /* What is no chunk ends the text; what comes behind it, or behind a removal, begins one. */
    set(&fixture, "a", "t", "8");
    append_chunk(&fixture, "a", "t", "9", false);
    set(&fixture, "a", "u", "null");
    append_chunk(&fixture, "a", "u", "10", false);
    append_chunk(&fixture, "a", "u", "11", false);
    fixture_commit(&fixture);
    for (int round = 0; round < 2; round++) {
        assert_string_equal(state_of(&fixture, "a"), "9 10 11 ");
        fixture_close(&fixture);
        fixture_open(&fixture);
    }
    fixture_close(&fixture);
}

/* What is not readable yet changes nothing for readers, and nothing when it is lost. */
static void shows_only_what_is_readable(void **state)
{
    struct fixture fixture;
    const char *const all[] = {"**", NULL};

    fixture_init(&fixture);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        td_sim_reset(seed);
        fixture_open(&fixture);
        set(&fixture, "a", "x", "1");
        append_chunk(&fixture, "a", "t", "2", true);
        append_chunk(&fixture, "a", "t", "3", false);
        fixture_commit(&fixture);
        append_keyed(&fixture, "a", "x", "4");
        append_chunk(&fixture, "a", "t", "5", false);
        append_keyed(&fixture, "a", "new", "6");
        assert_string_equal(state_of(&fixture, "**"), "1 2 3 ");
        append_keyed(&fixture, "a", "x", "null");
        append_chunk(&fixture, "a", "t", "7", true);
        assert_string_equal(state_of(&fixture, "**"), "1 2 3 ");
        if (seed % 2) {
            td_sim_disk_crash();
            td_journal_reader_close(fixture.reader);
            td_journal_abandon(fixture.journal);
            td_sim_boot();
            fixture_open(&fixture);
            /* The torn tail may have been cut anywhere between two batches. */
            const char *text = state_of(&fixture, "a");
            assert_true(strstr(text, "1 2 3") || strstr(text, "2 3 4") || strstr(text, "2 3 5") ||
                        strstr(text, "6"));
        } else {
            fixture_commit(&fixture);
            assert_string_equal(state_of(&fixture, "**"), "6 7 ");
            while (td_journal_keep_step(fixture.journal) > 0)
                td_journal_quiesce(fixture.reader, false);
            assert_string_equal(state_of(&fixture, "**"), "6 7 ");
            /* As of the position before: what has changed since comes with the log. */
            assert_string_equal(state_in_steps(&fixture, all, 3, 16, 0), "");
        }
        fixture_close(&fixture);
    }
}

static void gives_it_in_steps(void **state)
{
    struct fixture fixture;
    const char *const all[] = {"**", NULL};
    const char *const two[] = {"c/**", "b/*", NULL};
    const char *const stars[] = {"*/m", "c", "a/**", NULL};
    const char *const exact[] = {"zz", "c/m", "b", NULL};
    char topic[16], data[16];

    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 40; i++) {
        static const char *const topics[] = {"a", "a-b", "a/m", "a/n/o", "b", "b/m", "c/m", "c-m"};
        snprintf(topic, sizeof(topic), "%s", topics[i % 8]);
        snprintf(data, sizeof(data), "%d", i);
        struct td_draft one = keyed(topic,
                                    i < 16   ? "k"
                                    : i < 24 ? "l"
                                             : "m",
                                    data, i % 8 == 3 ? TD_CLASS_APPEND : TD_CLASS_LOG);
        uint64_t seq;
        assert_int_equal(append_drafts(&fixture, &one, 1, &seq), 0);
    }
    fixture_commit(&fixture);
    for (size_t records_max = 1; records_max <= 16; records_max++)
        for (size_t topics_max = 0; topics_max < 9; topics_max++) {
            assert_string_equal(
                state_in_steps(&fixture, all, UINT64_MAX, records_max, topics_max),
                "8 16 32 9 17 33 10 18 34 3 11 19 27 35 12 20 36 13 21 37 15 23 39 14 22 38 ");
            assert_string_equal(state_in_steps(&fixture, two, UINT64_MAX, records_max, topics_max),
                                "13 21 37 14 22 38 ");
            assert_string_equal(
                state_in_steps(&fixture, stars, UINT64_MAX, records_max, topics_max),
                "8 16 32 10 18 34 3 11 19 27 35 13 21 37 14 22 38 ");
            assert_string_equal(
                state_in_steps(&fixture, exact, UINT64_MAX, records_max, topics_max),
                "12 20 36 14 22 38 ");
        }
    fixture_close(&fixture);
}

static int try_keyed(struct fixture *fixture, const struct td_draft *drafts, size_t n)
{
    uint64_t seqs[8], head = td_journal_head(fixture->journal);
    int r = append_drafts(fixture, drafts, n, seqs);

    if (r < 0)
        assert_int_equal(td_journal_head(fixture->journal), head);
    fixture_commit(fixture);
    return r;
}

static void refuses_more_than_it_keeps(void **state)
{
    struct fixture fixture;

    fixture_init(&fixture);
    fixture.options.state_keys_max = 5;
    fixture.options.topic_keys_max = 3;
    fixture_open(&fixture);
    set(&fixture, "a", "1", "1");
    set(&fixture, "a", "2", "2");
    const struct td_draft two[] = {keyed("a", "3", "3", TD_CLASS_LOG),
                                   keyed("a", "4", "4", TD_CLASS_LOG)};
    assert_int_equal(try_keyed(&fixture, two, 2), TD_ETOPICKEYS);
    assert_string_equal(state_of(&fixture, "a"), "1 2 ");
    const struct td_draft same[] = {keyed("a", "3", "3", TD_CLASS_LOG),
                                    keyed("a", "3", "4", TD_CLASS_LOG),
                                    keyed("a", "1", "5", TD_CLASS_LOG)};
    assert_int_equal(try_keyed(&fixture, same, 3), 0);
    assert_int_equal(try_keyed(&fixture, two, 1), 0);
    assert_int_equal(try_keyed(&fixture, two + 1, 1), TD_ETOPICKEYS);
    set(&fixture, "b", "1", "1");
    set(&fixture, "c", "1", "1");
    const struct td_draft more = keyed("d", "1", "1", TD_CLASS_LOG);
    assert_int_equal(try_keyed(&fixture, &more, 1), TD_ESTATEKEYS);
    assert_int_equal(
        try_keyed(&fixture,
                  &(struct td_draft){.topic = TD_S("d"), .type = TD_S("t"), .data = TD_S("1")}, 1),
        0);
    set(&fixture, "b", "1", "null");
    assert_int_equal(try_keyed(&fixture, &more, 1), 0);
    assert_string_equal(state_of(&fixture, "d"), "1 ");
    fixture_close(&fixture);
}

static void forgets_what_is_old(void **state)
{
    struct fixture fixture;
    struct td_journal_stat stat;

    fixture_init(&fixture);
    fixture.options.state_ttl_ms = 60000;
    fixture_open(&fixture);
    set(&fixture, "a", "x", "1");
    td_sim_advance(40 * TD_NS_PER_S);
    set(&fixture, "a", "y", "2");
    assert_string_equal(state_of(&fixture, "a"), "1 2 ");
    td_sim_advance(21 * TD_NS_PER_S);
    assert_string_equal(state_of(&fixture, "a"), "2 ");
    fixture_keep(&fixture);
    td_journal_stat(fixture.journal, &stat);
    assert_int_equal(stat.state_keys, 1);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_string_equal(state_of(&fixture, "a"), "2 ");
    td_sim_advance(40 * TD_NS_PER_S);
    assert_string_equal(state_of(&fixture, "a"), "");
    fixture_close(&fixture);
}

/* A failed write leaves no trace in the state either. */
static void keeps_it_through_failed_writes(void **state)
{
    struct fixture fixture;
    struct td_draft one = keyed("a", "x", "2", TD_CLASS_LATEST);
    uint64_t seq;

    fixture_init(&fixture);
    fixture_open(&fixture);
    set(&fixture, "a", "x", "1");
    td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = 1});
    assert_true(append_drafts(&fixture, &one, 1, &seq) < 0);
    fixture_commit(&fixture);
    assert_string_equal(state_of(&fixture, "a"), "1 ");
    fixture_close(&fixture);
}

/* Many keys over many segments, with everything happening to them, against a plain array; as it is, and after each restart. */
static void follows_random_histories(void **state)
{
    enum { TOPICS = 5, KEYS = 12 };
    static const char *const topics[TOPICS] = {"a", "a/b", "a/c/d", "b", "b-c"};
    char texts[TOPICS][KEYS][512];
    struct td_rng rng;

    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct fixture fixture;
        fixture_init(&fixture);
        td_sim_reset(seed);
        td_rng_init(&rng, seed);
        fixture_open(&fixture);
        memset(texts, 0, sizeof(texts));
        bool append_last[TOPICS][KEYS] = {0};
        for (int i = 0; i < 1500; i++) {
            size_t t = td_rng_below(&rng, TOPICS), k = td_rng_below(&rng, KEYS);
            char key[8], data[16], *text = texts[t][k];
            uint64_t what = td_rng_below(&rng, 10);
            snprintf(key, sizeof(key), "%zu", k);
            snprintf(data, sizeof(data), "%d", i);
            if (what < 5) {
                bool begins = what == 0 || strlen(text) > 400;
                append_chunk(&fixture, topics[t], key, data, begins);
                if (begins || !append_last[t][k])
                    text[0] = '\0';
                append_last[t][k] = true;
            } else {
                append_keyed(&fixture, topics[t], key, what == 9 ? "null" : data);
                text[0] = '\0';
                append_last[t][k] = false;
            }
            size_t len = strlen(text);
            if (what != 9)
                snprintf(text + len, sizeof(texts[t][k]) - len, "%s ", data);
            if (i % 7 == 0)
                fixture_commit(&fixture);
            if (i % 50 == 0)
                fixture_keep(&fixture);
            if (i % 300 != 299)
                continue;
            fixture_commit(&fixture);
            for (int round = 0; round < 2; round++) {
                for (size_t j = 0; j < TOPICS; j++) {
                    size_t total = 0;
                    const char *got = state_of(&fixture, topics[j]);
                    for (size_t l = 0; l < KEYS; l++) {
                        total += strlen(texts[j][l]);
                        assert_non_null(strstr(got, texts[j][l]));
                    }
                    assert_int_equal(strlen(got), total);
                }
                if (round == 0 && i % 600 == 299)
                    fixture_close(&fixture);
                else
                    fixture_kill(&fixture);
                fixture_open(&fixture);
            }
        }
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_latest_of_each_key),
        cmocka_unit_test(a_draft_may_remove_with_data),
        cmocka_unit_test(keeps_texts_whole),
        cmocka_unit_test(shows_only_what_is_readable),
        cmocka_unit_test(gives_it_in_steps),
        cmocka_unit_test(refuses_more_than_it_keeps),
        cmocka_unit_test(forgets_what_is_old),
        cmocka_unit_test(keeps_it_through_failed_writes),
        cmocka_unit_test(follows_random_histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
