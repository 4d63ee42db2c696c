/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "os/clock.h"
#include <errno.h>

struct timer {
    struct td_due due;
    unsigned runs;
    bool stuck;  /* says that it has to wait */
    td_ns again; /* sets itself again so much later */
};

static int run(struct td_desk *of, struct td_due *due)
{
    struct timer *timer = TD_CONTAINER_OF(due, struct timer, due);

    assert_false(td_due_is_set(due));
    timer->runs++;
    if (timer->again > 0)
        td_desk_due(of, due, td_clock_ns() + timer->again);
    return timer->stuck ? -EAGAIN : 0;
}

static void things_happen_at_their_time(void **state)
{
    struct timer soon = {.due.run = run}, late = {.due.run = run}, never = {.due.run = run};
    td_ns now = td_clock_ns();

    (void)state;
    td_desk_turn(desk); /* what the desk itself does first */
    assert_int_equal(td_desk_wait_ms(desk, now), -1);
    td_desk_due(desk, &late.due, now + 3 * TD_NS_PER_S);
    td_desk_due(desk, &soon.due, now + TD_NS_PER_S);
    td_desk_due(desk, &never.due, now + TD_NS_PER_S);
    td_desk_undue(desk, &never.due);
    td_desk_undue(desk, &never.due);
    assert_int_equal(td_desk_wait_ms(desk, now), 1000);
    assert_int_equal(td_desk_wait_ms(desk, now + 1), 1000); /* never too early */
    td_desk_turn(desk);
    assert_int_equal(soon.runs, 0);
    td_sim_advance(TD_NS_PER_S);
    td_desk_turn(desk);
    td_desk_turn(desk);
    assert_int_equal(soon.runs, 1);
    assert_int_equal(late.runs + never.runs, 0);
    td_desk_due(desk, &late.due, now + TD_NS_PER_S / 2); /* moved; that is past */
    assert_int_equal(td_desk_wait_ms(desk, td_clock_ns()), 0);
    td_desk_turn(desk);
    assert_int_equal(late.runs, 1);
    assert_int_equal(never.runs, 0);
    assert_int_equal(td_desk_wait_ms(desk, now), -1);
}

static void what_is_set_again_does_not_run_at_once(void **state)
{
    struct timer timer = {.due.run = run, .again = TD_NS_PER_S};

    (void)state;
    td_desk_due(desk, &timer.due, 0);
    for (unsigned i = 1; i < 5; i++) {
        td_desk_turn(desk);
        td_desk_turn(desk);
        assert_int_equal(timer.runs, i);
        td_sim_advance(TD_NS_PER_S);
    }
    td_desk_undue(desk, &timer.due);
}

static void what_has_to_wait_is_run_again_after_the_wake(void **state)
{
    struct timer timer = {.due.run = run, .stuck = true};

    (void)state;
    td_desk_turn(desk);
    td_desk_due(desk, &timer.due, 0);
    td_desk_turn(desk);
    td_desk_turn(desk);
    assert_int_equal(timer.runs, 1);
    assert_true(td_due_is_set(&timer.due));
    (void)append(&log_of, "a", "1");
    commit(); /* wakes readers */
    timer.stuck = false;
    td_desk_turn(desk);
    assert_int_equal(timer.runs, 2);
    assert_false(td_due_is_set(&timer.due));
    timer.stuck = true;
    td_desk_due(desk, &timer.due, 0);
    td_desk_turn(desk);
    td_desk_undue(desk, &timer.due);
    (void)append(&log_of, "a", "1");
    commit();
    td_desk_turn(desk);
    assert_int_equal(timer.runs, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(things_happen_at_their_time, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(what_is_set_again_does_not_run_at_once, desk_begin,
                                        desk_end),
        cmocka_unit_test_setup_teardown(what_has_to_wait_is_run_again_after_the_wake, desk_begin,
                                        desk_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
