/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compiler.h"
#include "base/err.h"
#include "base/units.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_format(void **state)
{
    static const struct {
        td_unix_ms time;
        const char *text;
    } cases[] = {
        {0,               "1970-01-01T00:00:00.000Z"},
        {1,               "1970-01-01T00:00:00.001Z"},
        {951782399999,    "2000-02-28T23:59:59.999Z"},
        {951782400000,    "2000-02-29T00:00:00.000Z"},
        {1795207441123,   "2026-11-20T20:44:01.123Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX,      "9999-12-31T23:59:59.999Z"},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        char text[TD_TIME_LEN + 1];
        td_time_format(cases[i].time, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(strlen(text), TD_TIME_LEN);
    }
}

static void test_parse(void **state)
{
    static const td_unix_ms times[] = {0,           1,           951782399999,  951782400000,
                                       68169600000, 68255999999, 1795207441123, 253402300799999};
    static const char *const wrong[] = {
        "",
        "2026-11-20T20:44:01Z",
        "2026-11-20 20:44:01.123Z",
        "2026-02-29T20:44:01.123Z",
        "2026-13-01T20:44:01.123Z",
        "2026-00-01T20:44:01.123Z",
        "2026-11-00T20:44:01.123Z",
        "2026-11-20T24:00:00.000Z",
        "2026-11-20T20:44:60.000Z",
        "1969-12-31T23:59:59.999Z",
        "2026-11-20T20:44:01.12xZ",
        "2026-11-20T20:44:01.123Z ",
    };
    td_unix_ms time = 7;
    char text[TD_TIME_LEN + 1];

    for (size_t i = 0; i < TD_ARRAY_LEN(times); i++) {
        td_time_format(times[i], text);
        assert_int_equal(td_time_parse(td_slice_str(text), &time), 0);
        assert_int_equal(time, times[i]);
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(wrong); i++)
        assert_int_equal(td_time_parse(td_slice_str(wrong[i]), &time), TD_EINVAL);
    assert_int_equal(time, times[TD_ARRAY_LEN(times) - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_parse),
    };

    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
