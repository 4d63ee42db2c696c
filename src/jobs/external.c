/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that workers elsewhere run: they report, and each report renews the lease. */
#include "base/err.h"
#include "base/json.h"
#include "jobs/internal.h"
#include "jobs/report.h"
#include "os/clock.h"
#include <openssl/crypto.h>
#include <openssl/sha.h>

/* One report under way. */
struct reading {
    struct td_job *job;
    struct td_job_answer *answer;
    struct td_buf texts;
    bool tells; /* otherwise it is only looked at, whether all of it can be taken */
};

static int refuse(struct reading *reading, int err, const char *why)
{
    td_buf_puts(reading->answer->why, why);
    return err;
}

void td_job_renew(struct td_job *job)
{
    job->lease_until = td_clock_ns() + job->lease_s * TD_NS_PER_S;
    td_jobs_wake_at(job->jobs, job->lease_until);
}

static bool token_fits(const struct td_job *job, struct td_slice token)
{
    unsigned char hash[32];

    SHA256((const unsigned char *)(token.ptr ? token.ptr : ""), token.len, hash);
    return CRYPTO_memcmp(hash, job->lease_hash, sizeof(hash)) == 0;
}

/* The unescaped text of a raw string that may be absent; good until the next call with another `reading`. */
static int text_of(struct reading *reading, struct td_slice raw, struct td_slice *ret_text)
{
    size_t at = reading->texts.len;

    if (td_json_type(raw) != TD_JSON_STRING)
        return TD_EINVAL;
    if (td_json_plain(raw, ret_text))
        return 0;
    if (td_json_unescape(raw, &reading->texts) < 0)
        return TD_ETOOLARGE;
    *ret_text = td_slice(reading->texts.ptr + at, reading->texts.len - at);
    return 0;
}

/* {"type":…,"data":{…}}: told as it is on the topic of the job. */
static int take_own(struct reading *reading, struct td_slice type_raw, struct td_slice event)
{
    struct td_job *job = reading->job;
    struct td_slice type, data = TD_S("{}"), name, value;
    struct td_job_event told;

    if (text_of(reading, type_raw, &type) < 0 || !td_segment_valid(type))
        return refuse(reading, TD_EINVAL,
                      "`type` of an event must be 1 to 64 bytes A-Z a-z 0-9 . _ ~ @ : -.");
    if (td_json_get(event, "data", &data) && td_json_type(data) != TD_JSON_OBJECT)
        return refuse(reading, TD_EINVAL, "`data` of an event must be an object.");
    if (job->topic_len == 0)
        return refuse(reading, TD_EINVAL, "This kind of job has no topic for events of its own.");
    if (!reading->tells || !td_job_begin_as(job, type, &told))
        return 0;
    struct td_json_iter it = td_json_iter(data);
    while (td_json_next(&it, &name, &value)) {
        if (td_job_names_itself(job, name))
            continue;
        td_buf_putc(&job->said, ',');
        td_buf_put(&job->said, name);
        td_buf_putc(&job->said, ':');
        td_buf_put(&job->said, value);
    }
    td_buf_putc(&job->said, '}');
    td_job_finish(job, &told);
    return 0;
}

static int take_line(struct reading *reading, struct td_slice line_raw, struct td_slice event)
{
    struct td_slice line, raw;
    bool is_stderr = td_json_get(event, "stream", &raw) && td_json_type(raw) == TD_JSON_STRING &&
                     td_json_string_is(raw, "stderr");

    if (text_of(reading, line_raw, &line) < 0)
        return refuse(reading, TD_EINVAL, "`line` must be a string.");
    if (reading->tells)
        td_job_tell_line(reading->job, line, is_stderr);
    return 0;
}

static int take_event(struct reading *reading, struct td_slice event)
{
    struct td_job *job = reading->job;
    struct td_report report;
    struct td_slice raw;

    td_buf_reset(&reading->texts);
    if (td_json_type(event) != TD_JSON_OBJECT)
        return refuse(reading, TD_EINVAL, "Each of `events` must be an object.");
    if (td_json_get(event, "type", &raw))
        return take_own(reading, raw, event);
    if (td_json_get(event, "line", &raw))
        return take_line(reading, raw, event);
    if (td_report_read(event, &reading->texts, &report) < 0)
        return refuse(reading, TD_EINVAL,
                      "An event is {\"line\",\"stream\"}, {\"text\"}, {\"log\",\"level\"}, "
                      "{\"progress\",\"message\"} or {\"type\",\"data\"}.");
    if (reading->tells && report.text.ptr)
        td_job_tell_text(job, report.text);
    if (reading->tells && report.log.ptr)
        td_job_tell_log(job, report.log, report.level);
    if (reading->tells && (report.has_progress || report.message.ptr))
        td_job_set_progress(job, report.has_progress ? report.progress : -1, report.message);
    return 0;
}

/* ---- the end ---- */

static int take_error(struct reading *reading, struct td_slice raw)
{
    struct td_job *job = reading->job;
    struct td_report_error error;

    td_buf_reset(&reading->texts);
    if (td_report_error_read(raw, &reading->texts, &error) < 0)
        return refuse(reading, TD_EINVAL,
                      "`error` must be {\"code\",\"message\",\"details\",\"suggested_actions\"}.");
    (void)td_job_set(&job->code, error.code.len > 0 ? error.code : TD_S("failed"));
    (void)td_job_set(&job->error, error.message);
    (void)td_job_set(&job->details, error.details);
    td_job_set_actions(job, error.actions, error.n_actions);
    return 0;
}

/* ---- what is repeated ---- */

/* The number of a report; 0 when it has none. */
static int read_seq(struct reading *reading, struct td_slice json, uint64_t *ret_seq)
{
    struct td_slice raw;

    *ret_seq = 0;
    if (!td_json_get(json, "seq", &raw))
        return 0;
    if (td_json_type(raw) == TD_JSON_NUMBER && td_json_u64(raw, ret_seq) == 0 && *ret_seq > 0)
        return 0;
    return refuse(reading, TD_EINVAL, "`seq` must be a whole number from 1 on.");
}

/* What a report says of the end: the state that it is to have. */
static int read_state(struct reading *reading, struct td_slice json, enum td_job_state *ret_state)
{
    static const enum td_job_state ends[] = {TD_JOB_STATE_RUNNING, TD_JOB_STATE_DONE,
                                             TD_JOB_STATE_FAILED, TD_JOB_STATE_CANCELLED};
    struct td_slice raw;

    *ret_state = TD_JOB_STATE_RUNNING;
    if (!td_json_get(json, "state", &raw) || td_json_type(raw) == TD_JSON_NULL)
        return 0;
    for (size_t i = 0; i < TD_ARRAY_LEN(ends); i++)
        if (td_json_type(raw) == TD_JSON_STRING &&
            td_json_string_is(raw, td_job_state_word(ends[i]))) {
            *ret_state = ends[i];
            return 0;
        }
    return refuse(reading, TD_EINVAL, "`state` must be running, done, failed or cancelled.");
}

static int take_progress(struct reading *reading, struct td_slice json)
{
    struct td_report report;

    td_buf_reset(&reading->texts);
    if (td_report_read(json, &reading->texts, &report) < 0)
        return refuse(reading, TD_EINVAL,
                      "`progress` must be a number, `message` a string, `error` an object.");
    if (reading->tells && (report.has_progress || report.message.ptr))
        td_job_set_progress(reading->job, report.has_progress ? report.progress : -1,
                            report.message);
    return 0;
}

static int take_events(struct reading *reading, struct td_slice json)
{
    struct td_slice events, name, event;
    int r = 0;

    if (!td_json_get(json, "events", &events))
        return 0;
    struct td_json_iter it = td_json_iter(events);
    while (r == 0 && td_json_next(&it, &name, &event))
        r = take_event(reading, event);
    return r;
}

/* All of it, before anything is taken: a report counts whole or not at all. */
static int check(struct reading *reading, struct td_slice json, enum td_job_state state)
{
    struct td_slice raw, name, event;
    size_t n = 0;

    if (td_json_get(json, "result", &raw) && raw.len > TD_JOB_RESULT_MAX)
        return refuse(reading, TD_ETOOLARGE, "`result` is larger than 256 KiB.");
    if (state == TD_JOB_STATE_FAILED && !td_json_get(json, "error", &raw))
        return refuse(reading, TD_EINVAL, "A job that failed needs an `error` with a `message`.");
    if (td_json_get(json, "events", &raw)) {
        if (td_json_type(raw) != TD_JSON_ARRAY)
            return refuse(reading, TD_EINVAL, "`events` must be an array.");
        struct td_json_iter it = td_json_iter(raw);
        while (td_json_next(&it, &name, &event))
            n++;
    }
    if (n > TD_JOB_REPORT_EVENTS_MAX)
        return refuse(reading, TD_ETOOLARGE, "1000 events at most in one report.");
    int r = take_events(reading, json);
    return r == 0 ? take_progress(reading, json) : r;
}

/* What the end will say; told by the end only. */
static int keep_end(struct reading *reading, struct td_slice json, enum td_job_state state)
{
    struct td_slice raw;

    if (state == TD_JOB_STATE_DONE && td_json_get(json, "result", &raw))
        return td_job_set(&reading->job->result, raw);
    if (state == TD_JOB_STATE_FAILED && td_json_get(json, "error", &raw))
        return take_error(reading, raw);
    return 0;
}

/* Only memory that is out stops it on its way, and then it ends the job: half of it may be told. */
static void tell(struct reading *reading, struct td_slice json, enum td_job_state state)
{
    struct td_job *job = reading->job;
    size_t said = job->said.len;

    reading->tells = true;
    if (take_events(reading, json) < 0 || take_progress(reading, json) < 0)
        td_job_stop(job, TD_JOB_WHY_LOG);
    /* The number lies in the log beside what was said, so that it is known after a crash too; an end says it itself. */
    if (job->joins && state == TD_JOB_STATE_RUNNING && job->said.len != said)
        td_job_tell(job, "progress", TD_CLASS_LATEST);
    if (state != TD_JOB_STATE_RUNNING && job->why != TD_JOB_WHY_LOG)
        td_job_end(job, state);
}

static int take(struct reading *reading, struct td_slice json, uint64_t seq)
{
    enum td_job_state state = TD_JOB_STATE_RUNNING;
    struct td_job *job = reading->job;

    int r = read_state(reading, json, &state);
    if (r == 0)
        r = check(reading, json, state);
    if (r == 0)
        r = keep_end(reading, json, state);
    if (r < 0)
        return r;
    if (seq > 0)
        job->report_seq = seq;
    job->holds = true;
    job->joins = seq > 0;
    job->n_before = job->n_events;
    tell(reading, json, state);
    if (job->joins && job->n_events > 0)
        job->events[job->n_events - 1].joined = false;
    job->holds = job->joins = false;
    job->n_before = 0;
    return 0;
}

bool td_job_end_unheard(struct td_job *job)
{
    if (job->lease_s == 0 || job->why != TD_JOB_WHY_LOG || td_job_has_ended(job))
        return false;
    td_job_fail(job, "log_failed", "What it said could not be written.");
    return true;
}

/* Writes what was reported.  What can't be written now is kept, and written when the log takes it again; what is refused for good, or is too much to be kept, ends
 * the job: its worker is told, and nothing that it says counts any more. */
static int flush(struct td_job *job, struct td_job_answer *answer, uint64_t *ret_last)
{
    int r = td_job_flush(job, ret_last);

    if (td_job_end_unheard(job)) {
        if (job->jobs->retry_at == 0)
            (void)td_job_flush(job, ret_last); /* what fails is tried again by the turn */
        td_buf_puts(answer->why, "The log did not take what the job said, and won't: the job has "
                                 "failed. Report less at once, then start it again.");
        return r < 0 ? r : TD_ETOOLARGE;
    }
    if (r < 0)
        td_buf_puts(answer->why, job->n_events > 0 ? "It is noted, but can't be written yet."
                                                   : "The log refuses it for good.");
    return r;
}

/* Answers with the job, and takes care that what it said is written. */
static int answer_report(struct td_job *job, struct td_job_answer *answer)
{
    struct td_buf data = TD_BUF_INIT(TD_JOB_SAID_MAX);
    uint64_t last = 0;

    int r = flush(job, answer, &last);
    if (r == 0)
        r = td_job_put_document(job, false, &data);
    if (r == 0)
        r = td_job_put_shown(job->jobs, td_buf_slice(&data), job->seq, answer->body);
    td_buf_done(&data);
    answer->position = job->seq;
    answer->wait_for = TD_MAX(last, job->seq);
    td_job_soil(job);
    return r;
}

int td_jobs_report(struct td_jobs *jobs, const struct td_job_report *report,
                   struct td_job_answer *answer)
{
    struct td_job *job = td_jobs_find(jobs, report->id);
    struct reading reading = {job, answer, TD_BUF_INIT(report->json.len + 1024), false};
    uint64_t seq;

    if (!job || job->lease_s == 0 || !token_fits(job, report->token) ||
        (td_job_has_ended(job) && job->report_seq == 0)) {
        td_buf_puts(answer->why, "No such job is reported with this lease, or it has ended.");
        return TD_ENOTFOUND;
    }
    int r = read_seq(&reading, report->json, &seq);
    if (r < 0)
        return r;
    bool is_repeat = seq > 0 && seq <= job->report_seq;
    if (td_job_has_ended(job) && !is_repeat) {
        td_buf_puts(answer->why, "No such job is reported with this lease, or it has ended.");
        return TD_ENOTFOUND;
    }
    if (!is_repeat)
        r = take(&reading, report->json, seq);
    td_buf_done(&reading.texts);
    if (r < 0)
        return r;
    if (!td_job_has_ended(job))
        td_job_renew(job);
    return answer_report(job, answer);
}
