/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/position.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_round_trip(void **state)
{
    static const struct {
        struct td_position position;
        const char *text;
    } cases[] = {
        {{0x9f3c21aa, 1729},       "9f3c21aa.1729"                },
        {{0, 0},                   "00000000.0"                   },
        {{1, 9},                   "00000001.9"                   },
        {{UINT32_MAX, UINT64_MAX}, "ffffffff.18446744073709551615"},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        char text[TD_POSITION_LEN_MAX + 1];
        struct td_position back;
        assert_int_equal(td_position_format(cases[i].position, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        assert_int_equal(td_position_parse(td_slice_str(text), &back), 0);
        assert_int_equal(back.epoch, cases[i].position.epoch);
        assert_int_equal(back.seq, cases[i].position.seq);
    }
}

static void test_put(void **state)
{
    struct td_buf out = TD_BUF_INIT(64);

    (void)state;
    assert_int_equal(td_position_put(&out, (struct td_position){0x9f3c21aa, 1729}), 0);
    assert_true(td_slice_eq(td_buf_slice(&out), TD_S("\"9f3c21aa.1729\"")));
    td_buf_done(&out);
    td_buf_init(&out, 8);
    assert_true(td_position_put(&out, (struct td_position){1, 1}) < 0);
    td_buf_done(&out);
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "",
        ".",
        "9f3c21aa",
        "9f3c21aa.",
        ".1",
        "9F3C21AA.1",
        "9f3c21a.1",
        "9f3c21aa0.1",
        "9f3c21aa.01",
        "9f3c21aa.00",
        "9f3c21aa.-1",
        "9f3c21aa.+1",
        "9f3c21aa. 1",
        " 9f3c21aa.1",
        "9f3c21aa.1 ",
        "9f3c21aa-1",
        "9f3c21ag.1",
        "9f3c21aa.18446744073709551616",
        "9f3c21aa.99999999999999999999",
        "9f3c21aa.111111111111111111111",
        "now",
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_position position = {7, 7};
        assert_int_equal(td_position_parse(td_slice_str(cases[i]), &position), TD_EPOSITION);
        assert_int_equal(position.epoch, 7);
        assert_int_equal(position.seq, 7);
    }
    struct td_position position;
    assert_int_equal(td_position_parse(TD_S("9f3c21a\0.1"), &position), TD_EPOSITION);
    assert_int_equal(td_position_parse(TD_S("9f3c21aa.1\0"), &position), TD_EPOSITION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests_name("position", tests, NULL, NULL);
}
