/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "jobs/report.h"
#include <cmocka.h>

#define MUST_BE(slice, text) \
    assert_true(td_slice_eq(slice, td_slice_str(text)) && (slice).ptr != NULL)

static struct td_buf texts = TD_BUF_INIT(TD_REPORT_LINE_MAX);

static struct td_report read_good(const char *line)
{
    struct td_report report = {.progress = -7};

    assert_int_equal(td_report_read(td_slice_str(line), &texts, &report), 0);
    return report;
}

static void read_bad(const char *line, int err)
{
    struct td_report report = {.progress = -7};

    assert_int_equal(td_report_read(td_slice_str(line), &texts, &report), err);
    assert_true(report.progress < -6.9 && report.progress > -7.1); /* untouched */
}

static void must_progress(const char *line, double wanted)
{
    struct td_report report = read_good(line);

    assert_true(report.has_progress);
    assert_true(report.progress > wanted - 1e-9 && report.progress < wanted + 1e-9);
}

static void members_are_read(void **state)
{
    struct td_report report = read_good(
        " {\"progress\":40,\"message\":\"caf\\u00e9 \\ud83d\\ude00\",\"log\":\"l\\n\","
        "\"level\":\"warn\",\"text\":\"\",\"result\":{\"a\":[1,\"}\"]},\"more\":{\"log\":1}} ");

    assert_true(report.has_progress);
    MUST_BE(report.message, "caf\xc3\xa9 \xf0\x9f\x98\x80");
    MUST_BE(report.log, "l\n");
    MUST_BE(report.level, "warn");
    MUST_BE(report.text, "");
    MUST_BE(report.result, "{\"a\":[1,\"}\"]}");
    assert_null(report.error.ptr);

    report = read_good("{\"log\":\"x\"}");
    MUST_BE(report.level, "info");
    assert_false(report.has_progress);
    assert_null(report.message.ptr);
    assert_null(report.text.ptr);
    assert_null(report.result.ptr);
    report = read_good("{\"result\":null}");
    MUST_BE(report.result, "null");
    report = read_good("{}");
    assert_null(report.level.ptr);
}

static void progress_stays_between_its_ends(void **state)
{
    must_progress("{\"progress\":0}", 0);
    must_progress("{\"progress\":33.25}", 33.25);
    must_progress("{\"progress\":1e2}", 100);
    must_progress("{\"progress\":1e400}", 100);
    must_progress("{\"progress\":-0.5}", 0);
    must_progress("{\"progress\":1,\"progress\":2}", 2);
}

static void what_is_no_report_is_refused(void **state)
{
    char number[100];

    read_bad("", TD_EJSON);
    read_bad("plain text", TD_EJSON);
    read_bad("{\"progress\":40", TD_EJSON);
    read_bad("{\"log\":\"\xff\"}", TD_EUTF8);
    read_bad("[]", TD_EINVAL);
    read_bad("40", TD_EINVAL);
    read_bad("{\"progress\":\"40\"}", TD_EINVAL);
    read_bad("{\"progress\":null}", TD_EINVAL);
    read_bad("{\"message\":1}", TD_EINVAL);
    read_bad("{\"log\":{}}", TD_EINVAL);
    read_bad("{\"text\":[\"a\"]}", TD_EINVAL);
    read_bad("{\"log\":\"a\",\"level\":\"loud\"}", TD_EINVAL);
    read_bad("{\"log\":\"a\",\"level\":1}", TD_EINVAL);
    snprintf(number, sizeof number, "{\"progress\":0.%070d}", 1);
    read_bad(number, TD_EINVAL);
}

static void errors_are_read(void **state)
{
    struct td_report_error error;
    struct td_report report =
        read_good("{\"error\":{\"code\":\"no_disk\",\"message\":\"The \\\"disk\\\" is "
                  "full.\",\"details\":\"/tmp\","
                  "\"suggested_actions\":[\"Make room.\",\"Try again.\"],\"more\":1}}");

    assert_int_equal(td_report_error_read(report.error, &texts, &error), 0);
    MUST_BE(error.code, "no_disk");
    MUST_BE(error.message, "The \"disk\" is full.");
    MUST_BE(error.details, "/tmp");
    assert_int_equal(error.n_actions, 2);
    MUST_BE(error.actions[0], "Make room.");
    MUST_BE(error.actions[1], "Try again.");

    report = read_good("{\"error\":{\"message\":\"Bad.\",\"details\":{\"line\":3}}}");
    assert_int_equal(td_report_error_read(report.error, &texts, &error), 0);
    assert_int_equal(error.code.len, 0);
    MUST_BE(error.details, "{\"line\":3}");
    assert_int_equal(error.n_actions, 0);
}

static void errors_that_say_nothing_are_refused(void **state)
{
    struct td_buf line = TD_BUF_INIT(TD_REPORT_LINE_MAX);

    read_bad("{\"error\":\"Bad.\"}", TD_EINVAL);
    read_bad("{\"error\":{}}", TD_EINVAL);
    read_bad("{\"error\":{\"message\":\"\"}}", TD_EINVAL);
    read_bad("{\"error\":{\"message\":\"m\",\"code\":\"\"}}", TD_EINVAL);
    read_bad("{\"error\":{\"message\":\"m\",\"code\":\"two words\"}}", TD_EINVAL);
    read_bad("{\"error\":{\"message\":\"m\",\"suggested_actions\":\"a\"}}", TD_EINVAL);
    read_bad("{\"error\":{\"message\":\"m\",\"suggested_actions\":[1]}}", TD_EINVAL);
    for (int n = TD_REPORT_ACTIONS_MAX; n <= TD_REPORT_ACTIONS_MAX + 1; n++) {
        struct td_report report;
        td_buf_reset(&line);
        td_buf_puts(&line, "{\"error\":{\"message\":\"m\",\"suggested_actions\":[\"a\"");
        for (int i = 1; i < n; i++)
            td_buf_puts(&line, ",\"a\"");
        td_buf_puts(&line, "]}}");
        assert_int_equal(td_report_read(td_buf_slice(&line), &texts, &report),
                         n == TD_REPORT_ACTIONS_MAX ? 0 : TD_EINVAL);
    }
    td_buf_done(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read),
        cmocka_unit_test(progress_stays_between_its_ends),
        cmocka_unit_test(what_is_no_report_is_refused),
        cmocka_unit_test(errors_are_read),
        cmocka_unit_test(errors_that_say_nothing_are_refused),
    };
    int failed = cmocka_run_group_tests_name("jobs/report", tests, NULL, NULL);

    td_buf_done(&texts);
    return failed;
}
