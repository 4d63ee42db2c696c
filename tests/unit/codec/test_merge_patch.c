/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/json.h"
#include "codec/merge_patch.h"

static void assert_patched(const char *target, const char *patch, const char *wanted)
{
    struct td_buf out = TD_BUF_INIT(4096);
    struct td_slice value;

    assert_int_equal(td_merge_patch(td_slice_str(target), td_slice_str(patch), &out), 0);
    if (!td_slice_eq(td_buf_slice(&out), td_slice_str(wanted)))
        fail_msg("%s + %s = %.*s, not %s", target ? target : "nothing", patch, (int)out.len,
                 out.ptr, wanted);
    assert_int_equal(td_json_check(td_buf_slice(&out), &value, NULL), 0);
    td_buf_done(&out);
}

/* RFC 7396, appendix A. */
static void the_examples_of_the_rfc(void **state)
{
    (void)state;
    assert_patched("{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}");
    assert_patched("{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}");
    assert_patched("{\"a\":\"b\"}", "{\"a\":null}", "{}");
    assert_patched("{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}");
    assert_patched("{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}");
    assert_patched("{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}");
    assert_patched("{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
                   "{\"a\":{\"b\":\"d\"}}");
    assert_patched("{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}");
    assert_patched("[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]");
    assert_patched("{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]");
    assert_patched("{\"a\":\"foo\"}", "null", "null");
    assert_patched("{\"a\":\"foo\"}", "\"bar\"", "\"bar\"");
    assert_patched("{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}");
    assert_patched("[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}");
    assert_patched("{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}");
}

static void what_is_not_touched_stays_as_it_was(void **state)
{
    (void)state;
    assert_patched("{ \"a\" : 1.10 , \"b\" : 12345678901234567890123 }", "{\"c\":{}}",
                   "{\"a\":1.10,\"b\":12345678901234567890123,\"c\":{}}");
    assert_patched(NULL, "{\"a\":{\"b\":null},\"c\":null}", "{\"a\":{}}");
    assert_patched("{}", "{}", "{}");
}

static void names_are_what_they_mean(void **state)
{
    (void)state;
    assert_patched("{\"\\u0061\":1,\"b\":2}", "{\"a\":3}", "{\"\\u0061\":3,\"b\":2}");
    assert_patched("{\"a\":1,\"a\":2}", "{\"b\":3}", "{\"a\":2,\"b\":3}");
    assert_patched("{\"a\":1}", "{\"b\":1,\"\\u0062\":null}", "{\"a\":1}");
    assert_patched("{\"a\":1,\"a\":2}", "{\"\\u0061\":null}", "{}");
}

static void the_result_has_a_limit(void **state)
{
    struct td_buf out = TD_BUF_INIT(9);

    (void)state;
    assert_int_equal(td_merge_patch(TD_S("{\"a\":1}"), TD_S("{\"b\":2}"), &out), TD_ETOOLARGE);
    td_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(what_is_not_touched_stays_as_it_was),
        cmocka_unit_test(names_are_what_they_mean),
        cmocka_unit_test(the_result_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
