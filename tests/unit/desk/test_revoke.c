/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/revoked.h"
#include "fixture.h"
#include "memory.h"
#include <errno.h>

/* How many patterns are taken from who comes now. */
static size_t taken_from(const char *sub)
{
    const struct td_slice grant = TD_S("**");
    const struct td_claims claims = {
        .sub = td_slice_str(sub),
        .has_grants = true,
        .grants = {.subscribe = {&grant, 1}},
        .exp = TD_EXP_NEVER,
    };
    const struct td_policy policy = {.revocations = td_desk_revocations(desk)};
    struct td_principal *made;
    const char *reason;

    assert_int_equal(td_principal_new(&claims, &policy, &made, &reason), 0);
    size_t n = made->taken.n;
    td_principal_unref(made);
    return n;
}

static void revoke(const char *topic, const char *document)
{
    struct td_ask ask;

    ask_begin(&ask, TD_ASK_REVOKE, topic);
    ask.document = td_ask_text(&ask, td_slice_str(document));
    send_and_wait(&ask);
    assert_int_equal(ask.err, 0);
    td_ask_done(&ask);
}

static void what_is_taken_stays_taken_after_a_restart(void **state)
{
    (void)state;
    revoke(TD_REVOKED_ROOT "/eve", "{\"subscribe\":[\"a/**\",\"b\"]}");
    assert_int_equal(taken_from("eve"), 2);
    assert_int_equal(taken_from("ann"), 0);
    commit();
    desk_kill();
    assert_int_equal(td_desk_load(desk), 0);
    assert_int_equal(taken_from("eve"), 2);
    revoke(TD_REVOKED_ROOT "/eve", "{\"subscribe\":null}");
    assert_int_equal(taken_from("eve"), 0);
}

static void none_is_let_in_by_a_start_without_memory(void **state)
{
    unsigned nth = 0;
    bool failed;

    (void)state;
    revoke(TD_REVOKED_ROOT "/eve", "{\"subscribe\":[\"a\"]}");
    revoke(TD_REVOKED_ROOT "/mallory", "{\"subscribe\":[\"b\"]}");
    commit();
    do {
        desk_kill();
        memory_arm(++nth);
        int r = td_desk_load(desk);
        failed = memory_disarm();
        if (r == 0) {
            assert_int_equal(taken_from("eve"), 1);
            assert_int_equal(taken_from("mallory"), 1);
        } else {
            assert_int_equal(r, -ENOMEM); /* there is no start */
        }
    } while (failed);
    assert_true(nth > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_taken_stays_taken_after_a_restart, desk_begin,
                                        desk_end),
        cmocka_unit_test_setup_teardown(none_is_let_in_by_a_start_without_memory, desk_begin,
                                        desk_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
