/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cidr.h"
#include "base/err.h"
#include "edge/quota.h"

static uint64_t addr_of(const struct td_quota *quota, const char *text)
{
    struct td_addr addr;

    assert_int_equal(td_addr_parse(td_slice_str(text), &addr), 0);
    return td_quota_of_addr(quota, &addr);
}

static void connections_are_counted(void **state)
{
    struct td_quota *quota = td_quota_new();
    uint64_t a = addr_of(quota, "192.0.2.1"), b = addr_of(quota, "192.0.2.2");

    for (int round = 0; round < 3; round++) {
        assert_int_equal(td_quota_enter(quota, a, 2), 0);
        assert_int_equal(td_quota_enter(quota, a, 2), 0);
        assert_int_equal(td_quota_enter(quota, a, 2), TD_EMANY);
        assert_int_equal(td_quota_enter(quota, b, 2), 0);
        td_quota_leave(quota, a);
        assert_int_equal(td_quota_enter(quota, a, 2), 0);
        assert_int_equal(td_quota_enter(quota, a, 1), TD_EMANY); /* a reload made it less */
        td_quota_leave(quota, a);
        td_quota_leave(quota, a);
        td_quota_leave(quota, b);
    }
    td_quota_free(quota);
}

static void who_is_whom(void **state)
{
    struct td_quota *quota = td_quota_new();
    uint64_t a = addr_of(quota, "192.0.2.1");

    assert_true(a == addr_of(quota, "[::ffff:192.0.2.1]:99"));
    assert_true(a != addr_of(quota, "192.0.2.3"));
    assert_true(addr_of(quota, "2001:db8::1") == addr_of(quota, "2001:db8::ffff:1"));
    assert_true(addr_of(quota, "2001:db8::1") != addr_of(quota, "2001:db8:0:1::1"));
    assert_true(td_quota_of_user(quota, TD_S("ann")) != td_quota_of_user(quota, TD_S("Ann")));
    td_quota_free(quota);
}

/* A user's tickets at an endpoint, three at most; four at a path. */
static int join(struct td_quota *quota, uint64_t user, uint64_t path, td_ns now,
                struct td_ticket *ticket, struct td_ticket **ret_replaced)
{
    const struct td_join join = {
        .user = user, .user_max = 3, .replaced_max = 2, .path = path, .path_max = 4, .now = now};

    *ret_replaced = NULL;
    return td_quota_join(quota, &join, ticket, ret_replaced);
}

#define JOINS(user, path, now, ticket, expected, expected_replaced)                  \
    do {                                                                             \
        struct td_ticket *replaced;                                                  \
        assert_int_equal(join(quota, user, path, now, ticket, &replaced), expected); \
        assert_ptr_equal(replaced, expected_replaced);                               \
    } while (0)

static void the_oldest_makes_room(void **state)
{
    struct td_quota *quota = td_quota_new();
    struct td_ticket t[8];
    const td_ns now = 1000 * TD_NS_PER_S;

    for (size_t i = 0; i < 3; i++)
        JOINS(1, 0, now, &t[i], 0, NULL);
    JOINS(1, 0, now, &t[3], 0, &t[0]);
    assert_false(td_quota_quit(quota, &t[0]));
    assert_true(td_quota_quit(quota, &t[2])); /* from the middle */
    JOINS(1, 0, now, &t[4], 0, NULL);
    JOINS(1, 0, now, &t[5], 0, &t[1]);
    JOINS(1, 0, now, &t[6], TD_ERATE, NULL); /* two in a minute are enough */
    JOINS(1, 0, now + 59 * TD_NS_PER_S, &t[6], TD_ERATE, NULL);
    JOINS(1, 0, now + 60 * TD_NS_PER_S, &t[6], 0, &t[3]);
    JOINS(2, 0, now, &t[7], 0, NULL); /* another user's are his own */
    for (size_t i = 4; i < 8; i++)
        assert_true(td_quota_quit(quota, &t[i]));
    td_quota_free(quota);
}

static void a_path_is_full(void **state)
{
    struct td_quota *quota = td_quota_new();
    struct td_ticket t[8];
    const td_ns now = TD_NS_PER_S;

    JOINS(1, 7, now, &t[0], 0, NULL);
    JOINS(1, 8, now, &t[1], 0, NULL);
    JOINS(1, 7, now, &t[2], 0, NULL);
    JOINS(2, 7, now, &t[3], 0, NULL);
    JOINS(0, 7, now, &t[4], 0, NULL); /* nobody in particular */
    JOINS(3, 7, now, &t[5], TD_EMANY, NULL);
    JOINS(0, 7, now, &t[5], TD_EMANY, NULL);
    JOINS(1, 7, now, &t[5], 0, &t[0]); /* the fifth there, in the place of his own */
    JOINS(1, 7, now, &t[6], TD_EMANY,
          NULL); /* his oldest is elsewhere now: nothing would be gained */
    JOINS(1, 8, now, &t[6], 0, &t[1]);
    assert_true(td_quota_quit(quota, &t[4]));
    JOINS(3, 7, now, &t[4], 0, NULL);
    for (size_t i = 2; i < 7; i++)
        assert_true(td_quota_quit(quota, &t[i]));
    /* Nothing is left of any of them. */
    for (size_t i = 0; i < 4; i++)
        JOINS(10 + i, 7, now, &t[i], 0, NULL);
    JOINS(20, 7, now, &t[4], TD_EMANY, NULL);
    for (size_t i = 0; i < 4; i++)
        assert_true(td_quota_quit(quota, &t[i]));
    td_quota_free(quota);
}

static unsigned burst(struct td_quota *quota, uint64_t who, unsigned rate, td_ns now)
{
    unsigned n = 0;

    while (td_quota_may_try(quota, who, rate, now) && n < 1000) {
        td_quota_failed(quota, who, rate, now);
        n++;
    }
    return n;
}

static void bad_tokens_fill_a_bucket(void **state)
{
    struct td_quota *quota = td_quota_new();
    uint64_t a = addr_of(quota, "192.0.2.1"), b = addr_of(quota, "192.0.2.2");
    td_ns now = 5 * TD_NS_PER_S;

    assert_int_equal(burst(quota, a, 2, now), 2 * TD_QUOTA_BURST_S);
    assert_int_equal(burst(quota, b, 2, now), 2 * TD_QUOTA_BURST_S);
    assert_int_equal(burst(quota, a, 2, now), 0);
    assert_int_equal(burst(quota, a, 2, now + TD_NS_PER_S), 2);
    /* Asking again and again gives back no less. */
    for (int i = 1; i <= 5000; i++)
        (void)td_quota_may_try(quota, a, 2, now + TD_NS_PER_S + i * (TD_NS_PER_S / 5000));
    assert_int_equal(burst(quota, a, 2, now + 2 * TD_NS_PER_S), 2);
    assert_int_equal(burst(quota, a, 2, now + 1000 * TD_NS_PER_S), 2 * TD_QUOTA_BURST_S);
    assert_int_equal(burst(quota, a, 0, now), 1000); /* off */
    td_quota_free(quota);
}

/* However many addresses fail, the one that fails now is remembered. */
static void the_table_is_bounded(void **state)
{
    struct td_quota *quota = td_quota_new();
    char text[32];

    for (unsigned i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "10.%u.%u.1", i / 256, i % 256);
        assert_int_equal(burst(quota, addr_of(quota, text), 1, (td_ns)i * TD_NS_PER_MS),
                         TD_QUOTA_BURST_S);
        assert_false(td_quota_may_try(quota, addr_of(quota, text), 1, (td_ns)i * TD_NS_PER_MS));
    }
    td_quota_free(quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_counted),  cmocka_unit_test(who_is_whom),
        cmocka_unit_test(the_oldest_makes_room),    cmocka_unit_test(a_path_is_full),
        cmocka_unit_test(bad_tokens_fill_a_bucket), cmocka_unit_test(the_table_is_bounded),
    };

    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
