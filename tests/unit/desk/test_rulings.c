/* SPDX-License-Identifier: Apache-2.0 */
/* What the authorizer has said: its memory, and the words of question and answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "desk/authorizer_wire.h"
#include "desk/permit.h"
#include "desk/rulings.h"

static struct td_rulings *rulings;

static int open_two(void **state)
{
    rulings = td_rulings_new(2);
    assert_non_null(rulings);
    return 0;
}

static int close_all(void **state)
{
    td_rulings_free(rulings);
    return 0;
}

static void say(const char *key, td_ns until)
{
    struct td_ruling *ruling = td_rulings_get(rulings, td_slice_str(key));

    assert_non_null(ruling);
    ruling->expires_at = until;
}

static td_ns said(const char *key)
{
    return td_rulings_get(rulings, td_slice_str(key))->expires_at;
}

static void the_longest_unused_makes_room(void **state)
{
    say("a", 1);
    say("b", 2);
    assert_int_equal(said("a"), 1);
    say("c", 3);
    assert_int_equal(td_rulings_len(rulings), 2);
    assert_int_equal(said("a"), 1);
    assert_int_equal(said("b"), 0);
    assert_int_equal(said("c"), 0);
}

static void what_is_asked_for_stays(void **state)
{
    struct td_question *question = (void *)rulings; /* is not looked at */
    struct td_ruling *held = td_rulings_get(rulings, TD_S("a"));

    held->expires_at = 7;
    td_ruling_hold(held, question);
    say("b", 1);
    say("c", 2);
    assert_ptr_equal(td_rulings_get(rulings, TD_S("a")), held);
    td_ruling_hold(td_rulings_get(rulings, TD_S("c")), question);
    assert_null(td_rulings_get(rulings, TD_S("d")));
    td_rulings_clear(rulings);
    assert_int_equal(td_rulings_len(rulings), 2);
    assert_int_equal(held->expires_at, 0);
    td_ruling_release(rulings, td_rulings_get(rulings, TD_S("c")));
    td_ruling_release(rulings, held);
    td_rulings_limit(rulings, 1);
    assert_int_equal(td_rulings_len(rulings), 1);
    assert_ptr_equal(td_rulings_get(rulings, TD_S("a")), held);
}

static void read_as(const char *body, int err, bool allow, int64_t ttl_s)
{
    struct td_authorizer_answer answer;

    assert_int_equal(td_authorizer_read_answer(td_slice_str(body), &answer), err);
    if (err < 0)
        return;
    assert_int_equal(answer.allow, allow);
    assert_int_equal(answer.has_ttl, ttl_s >= 0);
    if (ttl_s >= 0)
        assert_int_equal(answer.ttl_s, ttl_s);
}

static void an_answer_is_read_strictly(void **state)
{
    read_as("{\"allow\":true}", 0, true, -1);
    read_as(" {\"ttl\":0,\"allow\":false,\"more\":[1]} ", 0, false, 0);
    read_as("{\"allow\":true,\"ttl\":86400}", 0, true, 86400);
    read_as("{\"allow\":true,\"ttl\":null}", 0, true, -1);
    static const char *const bad[] = {
        "",
        "true",
        "{}",
        "[{\"allow\":true}]",
        "{\"allow\":1}",
        "{\"allow\":\"true\"}",
        "{\"allow\":null}",
        "{\"allow\":true",
        "{\"allow\":true}{}",
        "{\"allow\":true,\"ttl\":86401}",
        "{\"allow\":true,\"ttl\":-1}",
        "{\"allow\":true,\"ttl\":1.5}",
        "{\"allow\":true,\"ttl\":\"1\"}",
    };
    for (size_t i = 0; i < TD_ARRAY_LEN(bad); i++)
        read_as(bad[i], TD_EINVAL, false, -1);
}

static void is_of_job(const char *pattern, const char *expected)
{
    struct td_slice id;

    if (!expected) {
        assert_false(td_permit_of_job(td_slice_str(pattern), &id));
        return;
    }
    assert_true(td_permit_of_job(td_slice_str(pattern), &id));
    assert_true(td_slice_eq(id, td_slice_str(expected)));
}

static void a_job_is_asked_for_by_its_own_name_only(void **state)
{
    is_of_job("jobs/0123", "0123");
    is_of_job("jobs/a.b~c@d:e-f", "a.b~c@d:e-f");
    static const char *const others[] = {"jobs",      "jobs/*",      "jobs/**",   "jobs/1/*",
                                         "jobs/1/**", "jobs/1/2",    "jobsite/1", "job/1",
                                         "*/1",       "users/jobs/1"};
    for (size_t i = 0; i < TD_ARRAY_LEN(others); i++)
        is_of_job(others[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_longest_unused_makes_room, open_two, close_all),
        cmocka_unit_test_setup_teardown(what_is_asked_for_stays, open_two, close_all),
        cmocka_unit_test(an_answer_is_read_strictly),
        cmocka_unit_test(a_job_is_asked_for_by_its_own_name_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
