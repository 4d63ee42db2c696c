/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "fixture.h"
#include "memory.h"

#define PROJECT "locks/projects/42"

static struct td_ask ask;

static int act_on(const struct td_principal *who, enum td_ask_verb verb, const char *topic,
                  uint64_t ttl_s)
{
    ask_begin(&ask, verb, topic);
    ask.principal = who;
    if (verb == TD_ASK_LOCK)
        ask.lock = (struct td_ask_lock){.ttl_s = ttl_s, .per_holder_max = 3, .locks_max = 4};
    send_and_wait(&ask);
    return ask.err;
}

static uint64_t number(const char *name)
{
    struct td_slice value;
    uint64_t n = 0;

    assert_true(td_json_get(td_buf_slice(&ask.body), name, &value));
    assert_int_equal(td_json_u64(value, &n), 0);
    return n;
}

static void assert_holder(const char *raw)
{
    struct td_slice value;

    assert_true(td_json_get(td_buf_slice(&ask.body), "holder", &value));
    assert_slice(value, raw);
}

static void take(const struct td_principal *who, uint64_t ttl_s, int wanted)
{
    assert_int_equal(act_on(who, TD_ASK_LOCK, PROJECT, ttl_s), wanted);
}

/* What was told of a topic since the beginning: the types. */
static const char *told(const char *topic)
{
    static char text[512];
    struct td_record record;
    size_t at = 0;

    commit();
    struct td_read read = read_after(&log_of, topic, 0);
    text[0] = '\0';
    for (size_t i = 0; i < read.n; i++) {
        td_record_view(records[i], &record);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s ", (int)record.type.len,
                               record.type.ptr);
    }
    return text;
}

static void one_holds_it(void **state)
{
    (void)state;
    take(ann, 30, 0);
    assert_true(ask.created);
    uint64_t fence = number("fence");
    assert_int_equal(fence, ask.wait_for);
    assert_int_equal(number("expires_in"), 30);
    assert_holder("\"ann\"");
    td_ask_done(&ask);
    take(bob, 30, TD_ELOCKED);
    assert_holder("\"ann\"");
    td_ask_done(&ask);
    td_sim_advance(20 * TD_NS_PER_S + 1);
    take(ann, 60, 0);
    assert_false(ask.created);
    assert_int_equal(number("fence"), fence);
    assert_int_equal(number("expires_in"), 60);
    td_ask_done(&ask);
    assert_int_equal(act_on(bob, TD_ASK_UNLOCK, PROJECT, 0), TD_ELOCKED);
    td_ask_done(&ask);
    assert_int_equal(act_on(bob, TD_ASK_LOCKED, PROJECT, 0), 0);
    assert_holder("\"ann\"");
    td_ask_done(&ask);
    assert_int_equal(act_on(ann, TD_ASK_UNLOCK, PROJECT, 0), 0);
    td_ask_done(&ask);
    assert_int_equal(act_on(ann, TD_ASK_UNLOCK, PROJECT, 0), TD_ENOTFOUND);
    td_ask_done(&ask);
    assert_int_equal(act_on(ann, TD_ASK_LOCKED, PROJECT, 0), TD_ENOTFOUND);
    td_ask_done(&ask);
    take(bob, 30, 0);
    assert_true(number("fence") > fence);
    td_ask_done(&ask);
    assert_string_equal(told(PROJECT), "lock_acquired lock_renewed lock_released lock_acquired ");
    assert_string_equal(told("projects/42"),
                        "lock_changed lock_changed lock_changed lock_changed ");
}

static void its_lease_ends(void **state)
{
    (void)state;
    take(ann, 30, 0);
    uint64_t fence = number("fence");
    td_ask_done(&ask);
    td_sim_advance(30 * TD_NS_PER_S - 1);
    td_desk_turn(desk);
    take(bob, 30, TD_ELOCKED);
    assert_int_equal(number("expires_in"), 1);
    td_ask_done(&ask);
    td_sim_advance(1);
    td_desk_turn(desk);
    assert_string_equal(told(PROJECT), "lock_acquired lock_expired ");
    assert_string_equal(told("projects/42"), "lock_changed lock_changed ");
    struct td_read read = read_after(&log_of, "projects/42", 0);
    assert_slice(record_data(records[read.n - 1]),
                 "{\"project_id\":\"42\",\"locked\":false,\"holder\":null,\"until\":null}");
    take(bob, 30, 0);
    assert_true(number("fence") > fence);
    td_ask_done(&ask);
}

/* Who comes at the very end meets a lock that is free. */
static void the_end_comes_before_who_asks(void **state)
{
    (void)state;
    take(ann, 1, 0);
    td_ask_done(&ask);
    td_sim_advance(TD_NS_PER_S);
    take(bob, 1, 0);
    td_ask_done(&ask);
    assert_string_equal(told(PROJECT), "lock_acquired lock_expired lock_acquired ");
}

static void a_restart_knows_them(void **state)
{
    (void)state;
    take(ann, 30, 0);
    uint64_t fence = number("fence");
    td_ask_done(&ask);
    td_sim_advance(5 * TD_NS_PER_S);
    take(ann, 30, 0); /* renewed: the fence is that of the first */
    td_ask_done(&ask);
    assert_int_equal(act_on(ann, TD_ASK_LOCK, "locks/short", 10), 0);
    td_ask_done(&ask);
    commit();
    desk_kill();
    td_sim_advance(10 * TD_NS_PER_S); /* while it is down */
    td_desk_turn(desk);
    take(bob, 30, TD_ELOCKED);
    assert_int_equal(number("fence"), fence);
    assert_int_equal(number("expires_in"), 20);
    assert_holder("\"ann\"");
    td_ask_done(&ask);
    assert_string_equal(told("locks/short"), "lock_acquired lock_expired ");
    td_sim_advance(20 * TD_NS_PER_S);
    td_desk_turn(desk);
    assert_string_equal(told(PROJECT), "lock_acquired lock_renewed lock_expired ");
}

/* While the server is down the wall clock may be set; a lease never lasts longer than it was granted for. */
static void a_clock_that_was_set_back_makes_no_lease_longer(void **state)
{
    (void)state;
    take(ann, 30, 0);
    td_ask_done(&ask);
    commit();
    desk_kill();
    td_sim_jump_wall(-3600 * 1000);
    td_desk_turn(desk);
    take(bob, 30, TD_ELOCKED);
    assert_int_equal(number("expires_in"), 30);
    td_ask_done(&ask);
}

static void there_are_only_so_many(void **state)
{
    char topic[32];

    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(topic, sizeof(topic), "locks/a%d", i);
        assert_int_equal(act_on(ann, TD_ASK_LOCK, topic, 30), 0);
        td_ask_done(&ask);
    }
    assert_int_equal(act_on(ann, TD_ASK_LOCK, "locks/a3", 30), TD_ERATE);
    assert_true(ask.why.len > 0);
    td_ask_done(&ask);
    assert_int_equal(act_on(ann, TD_ASK_LOCK, "locks/a2", 30), 0); /* renewing is none more */
    td_ask_done(&ask);
    assert_int_equal(act_on(bob, TD_ASK_LOCK, "locks/b0", 30), 0);
    td_ask_done(&ask);
    assert_int_equal(act_on(bob, TD_ASK_LOCK, "locks/b1", 30), TD_ERATE);
    td_ask_done(&ask);
    assert_int_equal(act_on(ann, TD_ASK_UNLOCK, "locks/a0", 30), 0);
    td_ask_done(&ask);
    assert_int_equal(act_on(ann, TD_ASK_LOCK, "locks/a3", 30), 0);
    td_ask_done(&ask);
}

/* A lock whose end can't be told is held until it can. */
static void an_end_that_can_not_be_written_is_tried_again(void **state)
{
    (void)state;
    take(ann, 30, 0);
    td_ask_done(&ask);
    commit();
    td_sim_advance(30 * TD_NS_PER_S);
    td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = 1});
    td_desk_turn(desk);
    assert_string_equal(told(PROJECT), "lock_acquired ");
    assert_int_equal(act_on(bob, TD_ASK_LOCKED, PROJECT, 0), 0);
    td_ask_done(&ask);
    td_sim_disk_set(&(struct td_sim_disk_faults){0});
    for (int i = 0; i < 5; i++) {
        td_sim_advance(TD_NS_PER_S);
        fixture_keep(&log_of);
        td_desk_turn(desk);
    }
    assert_string_equal(told(PROJECT), "lock_acquired lock_expired ");
}

static void none_is_lost_by_a_start_without_memory(void **state)
{
    static const char *const names[] = {PROJECT, "locks/a", "locks/b"};
    unsigned nth = 0;
    bool failed;

    (void)state;
    for (size_t i = 0; i < TD_ARRAY_LEN(names); i++) {
        assert_int_equal(act_on(ann, TD_ASK_LOCK, names[i], 3600), 0);
        td_ask_done(&ask);
    }
    commit();
    do {
        desk_kill();
        memory_arm(++nth);
        td_desk_turn(desk);
        failed = memory_disarm();
        td_sim_advance(10 * TD_NS_PER_S);
        for (size_t i = 0; i < TD_ARRAY_LEN(names); i++) {
            assert_int_equal(act_on(bob, TD_ASK_LOCK, names[i], 30), TD_ELOCKED);
            td_ask_done(&ask);
        }
    } while (failed);
    assert_true(nth > TD_ARRAY_LEN(names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_holds_it, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(its_lease_ends, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(the_end_comes_before_who_asks, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(a_restart_knows_them, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_makes_no_lease_longer, desk_begin,
                                        desk_end),
        cmocka_unit_test_setup_teardown(there_are_only_so_many, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(an_end_that_can_not_be_written_is_tried_again, desk_begin,
                                        desk_end),
        cmocka_unit_test_setup_teardown(none_is_lost_by_a_start_without_memory, desk_begin,
                                        desk_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
