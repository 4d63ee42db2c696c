/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_report.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/json.h"
#include "os/clock.h"
#include "os/random.h"
#include <inttypes.h>

#define PAYLOAD_MAX (16 * TD_KIB)

/* --- the name --- */

/* The second part of a JWT (RFC 7519 §3.1): base64url without padding. */
static int put_payload(struct td_slice token, struct td_buf *out)
{
    struct td_slice part;
    struct td_buf text = TD_BUF_INIT(2 * PAYLOAD_MAX);

    td_slice_split(&token, '.', &part);
    if (!td_slice_split(&token, '.', &part))
        return TD_EINVAL;
    for (size_t i = 0; i < part.len; i++)
        td_buf_putc(&text, part.ptr[i] == '-' ? '+' : part.ptr[i] == '_' ? '/' : part.ptr[i]);
    while (text.len % 4 != 0 && text.err == 0)
        td_buf_putc(&text, '=');
    int r = text.err < 0 ? text.err : td_buf_reserve(out, text.len);
    if (r == 0)
        r = td_base64_decode(td_buf_slice(&text), out->ptr, text.len);
    if (r > 0)
        out->len = (size_t)r;
    td_buf_done(&text);
    return r < 0 ? r : 0;
}

/* Appends the subject of a token.  0, or an error when it has none. */
static int put_subject(struct td_slice token, struct td_buf *out)
{
    struct td_buf payload = TD_BUF_INIT(PAYLOAD_MAX);
    struct td_slice claims, sub;
    int r = TD_EINVAL;

    if (put_payload(token, &payload) == 0 &&
        td_json_check(td_buf_slice(&payload), &claims, NULL) == 0 &&
        td_json_type(claims) == TD_JSON_OBJECT && td_json_get(claims, "sub", &sub) &&
        td_json_type(sub) == TD_JSON_STRING)
        r = td_json_unescape(sub, out);
    td_buf_done(&payload);
    return r;
}

/* Appends a subject as a segment: what is outside A-Za-z0-9._@:- as ~XX. */
static void put_segment(struct td_buf *out, struct td_slice subject)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@:-";

    for (size_t i = 0; i < subject.len; i++) {
        char byte = subject.ptr[i];
        if (byte != '\0' && strchr(plain, byte))
            td_buf_putc(out, byte);
        else
            td_buf_putf(out, "~%02X", (unsigned)(unsigned char)byte);
    }
}

/* An id that sorts by time: 20261120T204401-9f3c21aa. */
static void make_id(struct td_run_report *report)
{
    char time[TD_TIME_LEN + 1];
    uint32_t random;

    td_time_format(td_clock_unix_ms(), time);
    td_random_bytes(&random, sizeof(random));
    snprintf(report->id, sizeof(report->id), "%.4s%.2s%.2sT%.2s%.2s%.2s-%08" PRIx32, time, time + 5,
             time + 8, time + 11, time + 14, time + 17, random);
}

static void put_topic(const struct td_run_report *report, const char *token, struct td_buf *out)
{
    struct td_buf subject = TD_BUF_INIT(TD_KIB);

    td_buf_puts(out, "runs/");
    if (put_subject(td_slice_str(token ? token : ""), &subject) == 0)
        put_segment(out, td_buf_slice(&subject));
    else
        td_buf_puts(out, "anonymous");
    td_buf_putc(out, '/');
    td_buf_puts(out, report->id);
    td_buf_done(&subject);
}

int td_run_report_init(struct td_run_report *report, const char *token, const char *topic,
                       const char *id)
{
    struct td_buf text = TD_BUF_INIT(8 * TD_KIB);
    uint64_t random;

    *report = (struct td_run_report){0};
    td_random_bytes(&random, sizeof(random));
    snprintf(report->_dedup, sizeof(report->_dedup), "run-%016" PRIx64, random);
    if (id && !td_segment_valid(td_slice_str(id)))
        return TD_ETOPIC;
    if (id)
        snprintf(report->id, sizeof(report->id), "%s", id);
    else
        make_id(report);
    if (topic)
        td_buf_puts(&text, topic);
    else
        put_topic(report, token, &text);
    bool valid = text.err == 0 && td_topic_valid(td_buf_slice(&text));
    if (valid)
        snprintf(report->topic, sizeof(report->topic), "%.*s", (int)text.len, text.ptr);
    td_buf_done(&text);
    return valid ? 0 : TD_ETOPIC;
}

/* --- the events --- */

static void begin_event(struct td_run_report *report, const char *type, struct td_buf *out)
{
    td_buf_puts(out, "{\"topic\":");
    td_json_put_string(out, td_slice_str(report->topic));
    td_buf_putf(out, ",\"type\":\"%s\",\"dedup\":\"%s:%" PRIu64 "\",\"data\":{", type,
                report->_dedup, report->n_events++);
}

static void end_event(struct td_buf *out)
{
    td_buf_puts(out, "}}");
}

void td_run_report_started(struct td_run_report *report, const char *kind, int pid,
                           char *const *argv, struct td_buf *out)
{
    begin_event(report, "started", out);
    td_buf_puts(out, "\"run\":");
    td_json_put_string(out, td_slice_str(report->id));
    td_buf_puts(out, ",\"kind\":");
    td_json_put_string(out, td_slice_str(kind));
    td_buf_putf(out, ",\"pid\":%d,\"command\":[", pid);
    size_t start = out->len;
    for (size_t i = 0; argv[i] && out->len - start < TD_RUN_COMMAND_MAX; i++) {
        struct td_slice argument = td_slice_str(argv[i]);
        argument.len = TD_MIN(argument.len, (TD_RUN_COMMAND_MAX - (out->len - start)) / 8);
        td_buf_puts(out, i > 0 ? "," : "");
        td_json_put_string(out, argument);
    }
    td_buf_puts(out, "]");
    end_event(out);
}

void td_run_report_output(struct td_run_report *report, const char *stream,
                          const struct td_line *line, struct td_buf *out)
{
    begin_event(report, "output", out);
    td_buf_puts(out, "\"line\":");
    td_json_put_string(out, line->text);
    td_buf_putf(out, ",\"stream\":\"%s\",\"n\":%" PRIu64 "%s", stream, ++report->n_lines,
                line->partial ? ",\"partial\":true" : "");
    end_event(out);
}

void td_run_report_exited(struct td_run_report *report, int status, uint64_t duration_ms,
                          struct td_buf *out)
{
    begin_event(report, "exited", out);
    td_buf_putf(out, "\"status\":%d,\"lines\":%" PRIu64 ",\"duration_ms\":%" PRIu64, status,
                report->n_lines, duration_ms);
    end_event(out);
}
