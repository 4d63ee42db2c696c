/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/report.h"
#include "base/err.h"
#include "base/json.h"
#include <stdlib.h>

#define NUMBER_MAX 64

/* Unescapes a string into `texts`, in which there is room.  TD_EINVAL when the value is none. */
static int read_text(struct td_slice value, struct td_buf *texts, struct td_slice *ret_text)
{
    size_t begin = texts->len;

    if (td_json_type(value) != TD_JSON_STRING)
        return TD_EINVAL;
    int r = td_json_unescape(value, texts);
    if (r < 0)
        return r;
    *ret_text = td_slice(texts->ptr + begin, texts->len - begin);
    return 0;
}

/* Takes the room that the texts of `json` need at most, so that none of them moves later. */
static int make_room(struct td_slice json, struct td_buf *texts)
{
    td_buf_reset(texts);
    return td_buf_reserve(texts, json.len);
}

static int read_progress(struct td_slice value, struct td_report *report)
{
    char number[NUMBER_MAX + 1];

    if (td_json_type(value) != TD_JSON_NUMBER || value.len > NUMBER_MAX)
        return TD_EINVAL;
    memcpy(number, value.ptr, value.len);
    number[value.len] = '\0';
    double progress = strtod(number, NULL);
    report->progress = progress < 0 ? 0 : TD_MIN(progress, 100.0);
    report->has_progress = true;
    return 0;
}

static bool is_level(struct td_slice text)
{
    return td_slice_eq(text, TD_S("debug")) || td_slice_eq(text, TD_S("info")) ||
           td_slice_eq(text, TD_S("warn")) || td_slice_eq(text, TD_S("error"));
}

/* Reads it only to see that it can be read. */
static int check_error(struct td_slice value)
{
    struct td_report_error error;
    struct td_buf texts = TD_BUF_INIT(TD_REPORT_LINE_MAX);
    int r = td_report_error_read(value, &texts, &error);

    td_buf_done(&texts);
    return r;
}

static int read_member(struct td_slice name, struct td_slice value, struct td_buf *texts,
                       struct td_report *report)
{
    if (td_json_string_is(name, "progress"))
        return read_progress(value, report);
    if (td_json_string_is(name, "message"))
        return read_text(value, texts, &report->message);
    if (td_json_string_is(name, "log"))
        return read_text(value, texts, &report->log);
    if (td_json_string_is(name, "level"))
        return read_text(value, texts, &report->level);
    if (td_json_string_is(name, "text"))
        return read_text(value, texts, &report->text);
    if (td_json_string_is(name, "result"))
        report->result = value;
    if (td_json_string_is(name, "error")) {
        report->error = value;
        return check_error(value);
    }
    return 0;
}

int td_report_read(struct td_slice line, struct td_buf *texts, struct td_report *ret_report)
{
    struct td_report report = {0};
    struct td_slice object, name, value;
    int r = td_json_check(line, &object, NULL);

    if (r == 0)
        r = make_room(line, texts);
    if (r == 0 && td_json_type(object) != TD_JSON_OBJECT)
        r = TD_EINVAL;
    if (r < 0)
        return r;
    struct td_json_iter members = td_json_iter(object);
    while (r == 0 && td_json_next(&members, &name, &value))
        r = read_member(name, value, texts, &report);
    if (r == 0 && report.log.ptr && !report.level.ptr)
        report.level = TD_S("info");
    if (r == 0 && report.level.ptr && !is_level(report.level))
        r = TD_EINVAL;
    if (r == 0)
        *ret_report = report;
    return r;
}

/* ---- errors ---- */

static bool is_code(struct td_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return text.len > 0 && text.len <= TD_REPORT_CODE_MAX;
}

static int read_actions(struct td_slice array, struct td_buf *texts, struct td_report_error *error)
{
    struct td_json_iter elements = td_json_iter(array);
    struct td_slice name, value;
    int r = 0;

    if (td_json_type(array) != TD_JSON_ARRAY)
        return TD_EINVAL;
    error->n_actions = 0;
    while (r == 0 && td_json_next(&elements, &name, &value)) {
        if (error->n_actions == TD_REPORT_ACTIONS_MAX)
            return TD_EINVAL;
        r = read_text(value, texts, &error->actions[error->n_actions++]);
    }
    return r;
}

static int read_error_member(struct td_slice name, struct td_slice value, struct td_buf *texts,
                             struct td_report_error *error)
{
    if (td_json_string_is(name, "code")) {
        int r = read_text(value, texts, &error->code);
        return r < 0 ? r : is_code(error->code) ? 0 : TD_EINVAL;
    }
    if (td_json_string_is(name, "message"))
        return read_text(value, texts, &error->message);
    if (td_json_string_is(name, "suggested_actions"))
        return read_actions(value, texts, error);
    if (!td_json_string_is(name, "details"))
        return 0;
    if (td_json_type(value) == TD_JSON_STRING)
        return read_text(value, texts, &error->details);
    error->details = value;
    return 0;
}

int td_report_error_read(struct td_slice object, struct td_buf *texts,
                         struct td_report_error *ret_error)
{
    struct td_report_error error = {0};
    struct td_slice name, value;
    int r = make_room(object, texts);

    if (r == 0 && td_json_type(object) != TD_JSON_OBJECT)
        r = TD_EINVAL;
    if (r < 0)
        return r;
    struct td_json_iter members = td_json_iter(object);
    while (r == 0 && td_json_next(&members, &name, &value))
        r = read_error_member(name, value, texts, &error);
    if (r == 0 && error.message.len == 0)
        r = TD_EINVAL;
    if (r == 0)
        *ret_error = error;
    return r;
}
