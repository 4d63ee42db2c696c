/* SPDX-License-Identifier: Apache-2.0 */
/* A line that a command reports.  What is taken is what it says it is, an error that was taken can be read again, and putting its result and texts into a
 * line of our own gives the same report. */
#include "base/json.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "jobs/report.h"
#include <stdlib.h>

#define REPORT_MAX ((size_t)64 * 1024)

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void put_text(struct td_buf *line, const char *name, struct td_slice text)
{
    if (!text.ptr)
        return;
    td_buf_putf(line, ",\"%s\":", name);
    td_json_put_string(line, text);
}

static void put_raw(struct td_buf *line, const char *name, struct td_slice json)
{
    if (!json.ptr)
        return;
    td_buf_putf(line, ",\"%s\":", name);
    td_buf_put(line, json);
}

static void must_be_text(struct td_slice text)
{
    must(!text.ptr || td_utf8_valid(text));
}

static void check_error(struct td_slice object)
{
    struct td_buf texts = TD_BUF_INIT(REPORT_MAX);
    struct td_report_error error;

    must(td_report_error_read(object, &texts, &error) == 0);
    must(error.message.len > 0 && error.n_actions <= TD_REPORT_ACTIONS_MAX);
    must(error.code.len <= TD_REPORT_CODE_MAX);
    for (size_t i = 0; i < error.n_actions; i++)
        must_be_text(error.actions[i]);
    td_buf_done(&texts);
}

static bool same(struct td_slice a, struct td_slice b)
{
    return !a.ptr == !b.ptr && td_slice_eq(a, b);
}

static void check_again(const struct td_report *report)
{
    struct td_buf line = TD_BUF_INIT(8 * REPORT_MAX), texts = TD_BUF_INIT(8 * REPORT_MAX);
    struct td_report again;

    td_buf_puts(&line, "{\"unknown\":0");
    put_text(&line, "message", report->message);
    put_text(&line, "log", report->log);
    put_text(&line, "level", report->level);
    put_text(&line, "text", report->text);
    put_raw(&line, "result", report->result);
    put_raw(&line, "error", report->error);
    td_buf_puts(&line, "}");
    must(line.err == 0);
    must(td_report_read(td_buf_slice(&line), &texts, &again) == 0);
    must(same(report->message, again.message) && same(report->log, again.log) &&
         same(report->level, again.level) && same(report->text, again.text) &&
         same(report->result, again.result) && same(report->error, again.error));
    td_buf_done(&line);
    td_buf_done(&texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_slice line = td_slice(size ? (const char *)data : NULL, size);
    struct td_buf texts = TD_BUF_INIT(REPORT_MAX);
    struct td_report report;

    if (size > REPORT_MAX)
        return 0;
    int r = td_report_read(line, &texts, &report);
    must(r <= 0);
    if (r == 0) {
        must(!report.has_progress || (report.progress >= 0 && report.progress <= 100));
        must_be_text(report.message);
        must_be_text(report.log);
        must_be_text(report.text);
        if (report.error.ptr)
            check_error(report.error);
        check_again(&report);
    }
    td_buf_done(&texts);
    return 0;
}
