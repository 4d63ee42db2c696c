/* SPDX-License-Identifier: Apache-2.0 */
/* The turns of the desk, carried out by hand, on a log in a folder of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/err.h"
#include "desk/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOPIC TD_S("things/1")

static struct td_journal *journal;
static struct td_desk *desk;
static char dir[] = "tidings-desk-XXXXXX";
static size_t n_answered;

static void answered(struct td_ask *ask)
{
    n_answered++;
}

static int open_desk(void **state)
{
    const struct td_journal_options options = {.dir = dir, .segment_bytes = 64 * 1024};
    struct td_journal_report report;

    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(td_journal_open(&options, &journal, &report), 0);
    assert_int_equal(td_desk_new(journal, &desk), 0);
    n_answered = 0;
    return 0;
}

static int unlink_file(const char *name, void *arg)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
    return td_path_unlink(path);
}

static int close_desk(void **state)
{
    td_desk_free(desk);
    td_journal_close(journal);
    assert_int_equal(td_dir_list(dir, unlink_file, dir), 0);
    return rmdir(dir);
}

static void write_key(const char *key, const char *data)
{
    const struct td_draft draft = {
        .topic = TOPIC, .type = TD_S("t"), .key = td_slice_str(key), .data = td_slice_str(data)};
    uint64_t seq;

    assert_int_equal(td_desk_append(desk, &(struct td_batch){.drafts = &draft, .n = 1}, &seq), 0);
}

static void write_state(const char *data)
{
    write_key("1", data);
}

/* Behind what was written of one key the desk does not look for another one, before it can be read. */
static void write_behind(const char *data)
{
    write_key("1", data);
    write_key("2", "null");
}

static void commit(void)
{
    while (td_journal_commit_step(journal) > 0)
        continue;
}

static void ask_for(struct td_ask *ask, const char *key)
{
    assert_int_equal(td_ask_init(ask, TD_ASK_READ, 64), 0);
    ask->topic = td_ask_text(ask, TOPIC);
    ask->key = td_ask_text(ask, td_slice_str(key));
    ask->answered = answered;
    td_desk_ask(desk, ask);
}

static void what_is_there_is_answered_at_once(void **state)
{
    struct td_ask there, missing;

    write_state("{\"a\":1}");
    commit();
    ask_for(&there, "1");
    ask_for(&missing, "2");
    assert_false(td_desk_rests(desk));
    assert_true(td_bell_answer(desk->bell));
    td_desk_turn(desk);
    assert_int_equal(n_answered, 2);
    assert_int_equal(there.err, 0);
    assert_true(td_slice_eq(td_buf_slice(&there.body), TD_S("{\"a\":1}")));
    assert_int_equal(missing.err, TD_ENOTFOUND);
    assert_true(td_desk_rests(desk));
    td_ask_done(&there);
    td_ask_done(&missing);
}

static void what_was_written_is_found_at_once(void **state)
{
    struct td_ask ask;

    write_state("1");
    write_state("2");
    ask_for(&ask, "1");
    td_desk_turn(desk);
    assert_int_equal(n_answered, 1);
    assert_true(td_slice_eq(td_buf_slice(&ask.body), TD_S("2")));
    assert_true(ask.wait_for > td_journal_readable(journal)); /* and told when it is durable */
    td_ask_done(&ask);
    write_state("null");
    ask_for(&ask, "1");
    td_desk_turn(desk);
    assert_int_equal(ask.err, TD_ENOTFOUND);
    td_ask_done(&ask);
}

/* An ask waits until the log has moved; its moves ring only then. */
static void an_ask_waits_for_what_was_written(void **state)
{
    struct td_ask ask;

    assert_true(td_desk_rests(desk));
    write_state("1");
    commit();
    assert_false(td_bell_answer(desk->bell));
    assert_true(td_desk_rests(desk));
    write_behind("2");
    ask_for(&ask, "1");
    assert_true(td_bell_answer(desk->bell));
    td_desk_turn(desk);
    assert_int_equal(n_answered, 0);
    assert_true(td_desk_rests(desk));
    assert_false(td_bell_answer(desk->bell));
    commit();
    assert_true(td_bell_answer(desk->bell));
    assert_false(td_desk_rests(desk));
    td_desk_turn(desk);
    assert_int_equal(n_answered, 1);
    assert_true(td_slice_eq(td_buf_slice(&ask.body), TD_S("2")));
    assert_true(td_desk_rests(desk));
    td_ask_done(&ask);
}

/* The log moves between the turn that leaves an ask waiting and the rest. */
static void a_move_before_the_rest_is_not_missed(void **state)
{
    struct td_ask ask;

    write_behind("1");
    ask_for(&ask, "1");
    td_desk_turn(desk);
    commit();
    assert_false(td_desk_rests(desk));
    td_desk_turn(desk);
    assert_int_equal(n_answered, 1);
    td_ask_done(&ask);
}

static void what_is_left_is_refused(void **state)
{
    struct td_ask waiting, fresh;

    write_behind("1");
    ask_for(&waiting, "1");
    td_desk_turn(desk);
    ask_for(&fresh, "1");
    td_desk_free(desk);
    desk = NULL;
    assert_int_equal(n_answered, 2);
    assert_int_equal(waiting.err, TD_EDRAINING);
    assert_int_equal(fresh.err, TD_EDRAINING);
    td_ask_done(&waiting);
    td_ask_done(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_answered_at_once, open_desk, close_desk),
        cmocka_unit_test_setup_teardown(what_was_written_is_found_at_once, open_desk, close_desk),
        cmocka_unit_test_setup_teardown(an_ask_waits_for_what_was_written, open_desk, close_desk),
        cmocka_unit_test_setup_teardown(a_move_before_the_rest_is_not_missed, open_desk,
                                        close_desk),
        cmocka_unit_test_setup_teardown(what_is_left_is_refused, open_desk, close_desk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
