/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/run_report.h"
#include <cmocka.h>

/* {"sub":"ann b","x":"…"} whose base64url needs '-', '_' and padding left out. */
#define TOKEN "e30.eyJzdWIiOiJhbm4gYiIsIngiOiLDv8O_4oK-In0.sig"

static struct td_buf out;

static int setup(void **state)
{
    (void)state;
    td_buf_init(&out, TD_RUN_EVENT_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    td_buf_done(&out);
    return 0;
}

static void test_topic_is_made_of_subject_and_id(void **state)
{
    struct td_run_report report;

    (void)state;
    assert_int_equal(td_run_report_init(&report, TOKEN, NULL, "nightly"), 0);
    assert_string_equal(report.topic, "runs/ann~20b/nightly");
    assert_int_equal(td_run_report_init(&report, TOKEN, NULL, NULL), 0);
    assert_int_equal(strlen(report.id), strlen("20261120T204401-9f3c21aa"));
    assert_true(td_segment_valid(td_slice_str(report.id)));
    assert_int_equal(td_run_report_init(&report, TOKEN, "builds/7", "nightly"), 0);
    assert_string_equal(report.topic, "builds/7");
}

static void test_without_a_readable_token_nobody_runs_it(void **state)
{
    static const char *const tokens[] = {NULL, "", "x", "a.b.c", "..", "e30.e30.x", "a.W10.b"};
    struct td_run_report report;

    (void)state;
    for (size_t i = 0; i < TD_ARRAY_LEN(tokens); i++) {
        assert_int_equal(td_run_report_init(&report, tokens[i], NULL, "i"), 0);
        assert_string_equal(report.topic, "runs/anonymous/i");
    }
}

static void test_names_that_are_none_are_refused(void **state)
{
    struct td_run_report report;

    (void)state;
    assert_int_equal(td_run_report_init(&report, TOKEN, NULL, "a/b"), TD_ETOPIC);
    assert_int_equal(td_run_report_init(&report, TOKEN, NULL, ""), TD_ETOPIC);
    assert_int_equal(td_run_report_init(&report, TOKEN, "runs/*", NULL), TD_ETOPIC);
    assert_int_equal(td_run_report_init(&report, TOKEN, "a//b", NULL), TD_ETOPIC);
}

/* The event in `out` as a checked value. */
static struct td_slice event(void)
{
    struct td_slice value;

    assert_int_equal(out.err, 0);
    assert_int_equal(td_json_check(td_buf_slice(&out), &value, NULL), 0);
    assert_null(memchr(out.ptr, '\n', out.len));
    return value;
}

static void assert_member(struct td_slice object, const char *name, const char *expected)
{
    struct td_slice value;

    assert_true(td_json_get(object, name, &value));
    assert_true(td_slice_eq(value, td_slice_str(expected)));
}

static void test_events_are_numbered(void **state)
{
    struct td_run_report report;
    const struct td_line whole = {TD_S("tab\t\"\xFF"), false}, part = {TD_S("x"), true};
    char *argv[] = {(char[]){"make"}, (char[]){"-j4"}, NULL};
    struct td_slice data, dedup;
    char keys[4][64];

    (void)state;
    assert_int_equal(td_run_report_init(&report, TOKEN, NULL, "i"), 0);
    for (int i = 0; i < 4; i++) {
        td_buf_reset(&out);
        if (i == 0)
            td_run_report_started(&report, "build", 7, argv, &out);
        else if (i == 3)
            td_run_report_exited(&report, 2, 1234, &out);
        else
            td_run_report_output(&report, "stderr", i == 1 ? &whole : &part, &out);
        assert_member(event(), "topic", "\"runs/ann~20b/i\"");
        assert_true(td_json_get(event(), "data", &data));
        assert_true(td_json_get(event(), "dedup", &dedup));
        snprintf(keys[i], sizeof(keys[i]), "%.*s", (int)dedup.len, dedup.ptr);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(keys[i], keys[k]);
        if (i == 0)
            assert_member(data, "command", "[\"make\",\"-j4\"]");
        if (i == 1)
            assert_member(data, "line", "\"tab\\t\\\"\xEF\xBF\xBD\"");
        if (i == 2)
            assert_member(data, "partial", "true");
        if (i == 3)
            assert_member(data, "lines", "2");
    }
}

static void test_two_runs_share_no_dedup_key(void **state)
{
    struct td_run_report a, b;

    (void)state;
    assert_int_equal(td_run_report_init(&a, TOKEN, NULL, "same"), 0);
    assert_int_equal(td_run_report_init(&b, TOKEN, NULL, "same"), 0);
    assert_string_not_equal(a._dedup, b._dedup);
}

static void test_the_longest_events_fit(void **state)
{
    struct td_run_report report;
    static char line[TD_RUN_LINE_MAX], argument[2 * TD_RUN_COMMAND_MAX];
    char *argv[] = {argument, argument, argument, argument, NULL};
    const struct td_line longest = {td_slice(line, sizeof(line)), true};

    (void)state;
    memset(line, 0x01, sizeof(line)); /* six bytes each as JSON */
    memset(argument, 0x01, sizeof(argument) - 1);
    assert_int_equal(td_run_report_init(&report, TOKEN, NULL, "i"), 0);
    td_run_report_output(&report, "stdout", &longest, &out);
    event();
    td_buf_reset(&out);
    td_run_report_started(&report, "build", 7, argv, &out);
    event();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_topic_is_made_of_subject_and_id, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_readable_token_nobody_runs_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_names_that_are_none_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_are_numbered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_runs_share_no_dedup_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_longest_events_fit, setup, teardown),
    };
    return cmocka_run_group_tests_name("run_report", tests, NULL, NULL);
}
