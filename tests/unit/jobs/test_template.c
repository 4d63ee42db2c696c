/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "jobs/template.h"

static bool value(void *arg, struct td_slice name, struct td_slice *ret_value)
{
    (void)arg;
    *ret_value = name;
    return !td_slice_eq(name, TD_S("none"));
}

static void expands_to(const char *template, const char *text)
{
    struct td_buf out = TD_BUF_INIT(1024);

    assert_int_equal(td_template_expand(td_slice_str(template), value, NULL, &out), 0);
    td_buf_putc(&out, '\0');
    assert_string_equal(out.ptr, text);
    td_buf_done(&out);
}

static void names_are_replaced(void **state)
{
    (void)state;
    expands_to("", "");
    expands_to("plain", "plain");
    expands_to("{a}", "a");
    expands_to("x/{a_1}/{result.one-two}", "x/a_1/result.one-two");
    expands_to("{a}{b}", "ab");
    expands_to("[{none}]", "[]");
}

static void other_braces_stay(void **state)
{
    (void)state;
    expands_to("{\"a\": {1}}", "{\"a\": {1}}");
    expands_to("{", "{");
    expands_to("{a", "{a");
    expands_to("{}", "{}");
    expands_to("{ a }", "{ a }");
    expands_to("{{a}", "{a}");
    expands_to("{{{a}", "{a");
    expands_to("{{", "{");
    expands_to("{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}",
               "{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}");
}

static void a_value_is_not_looked_at_again(void **state)
{
    struct td_buf out = TD_BUF_INIT(8);

    (void)state;
    assert_true(td_template_has(TD_S("a {b} c"), TD_S("b")));
    assert_false(td_template_has(TD_S("a {{b} c"), TD_S("b")));
    assert_int_equal(td_template_expand(TD_S("{a}123456789"), value, NULL, &out), TD_ETOOLARGE);
    td_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_replaced),
        cmocka_unit_test(other_braces_stay),
        cmocka_unit_test(a_value_is_not_looked_at_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
