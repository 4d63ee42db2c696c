/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "edge/job_rule.h"

#define SHOWN(document, subject)     assert_true(td_job_is_shown_to(TD_S(document), TD_S(subject)))
#define NOT_SHOWN(document, subject) assert_false(td_job_is_shown_to(TD_S(document), TD_S(subject)))

static void owner_and_viewers(void **state)
{
    SHOWN("{\"owner\":\"ann\",\"viewers\":[]}", "ann");
    SHOWN("{\"owner\":\"ann\",\"viewers\":[\"bob\",\"c\\u0061rl\"]}", "bob");
    SHOWN("{\"owner\":\"ann\",\"viewers\":[\"bob\",\"c\\u0061rl\"]}", "carl");
    SHOWN("{\"viewers\":[\"bob\"]}", "bob");
    NOT_SHOWN("{\"owner\":\"ann\",\"viewers\":[\"bob\"]}", "an");
    NOT_SHOWN("{\"owner\":\"ann\",\"viewers\":[\"bob\"]}", "annb");
    NOT_SHOWN("{\"owner\":\"Ann\"}", "ann");
    NOT_SHOWN("{\"owner\":null,\"viewers\":null}", "null");
    NOT_SHOWN("{\"owner\":7,\"viewers\":[7,[\"7\"],{\"a\":\"7\"}]}", "7");
    NOT_SHOWN("{\"viewers\":\"bob\"}", "bob");
    NOT_SHOWN("{\"data\":{\"owner\":\"ann\"}}", "ann");
    NOT_SHOWN("{}", "ann");
    NOT_SHOWN("null", "ann");
    NOT_SHOWN("{\"owner\":\"\"}", "ann");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(owner_and_viewers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
