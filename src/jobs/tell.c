/* SPDX-License-Identifier: Apache-2.0 */
/* What a job says: events that gather in `said`, from where write.c takes them. */
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "jobs/internal.h"
#include "os/clock.h"
#include <stdlib.h>

#define FLUSH_BYTES ((size_t)256 * 1024) /* so much is not gathered any further */

/* ---- one event ---- */

static void begin(struct td_job *job, struct td_slice type, struct td_job_event *event)
{
    event->type_at = job->said.len;
    event->type_len = type.len;
    td_buf_put(&job->said, type);
    event->data_at = job->said.len;
}

static bool has_room(struct td_job *job)
{
    size_t cap = job->events_cap > 0 ? job->events_cap * 2 : 8;

    if (job->n_events < job->events_cap)
        return true;
    struct td_job_event *events = realloc(job->events, cap * sizeof(*events));
    if (!events)
        return false;
    job->events = events;
    job->events_cap = cap;
    return true;
}

void td_job_finish(struct td_job *job, const struct td_job_event *event)
{
    if (job->said.err < 0 || !has_room(job)) { /* half an event is not told */
        job->said.len = event->type_at;
        job->said.err = 0;
        job->end_lost = td_job_has_ended(job);
        td_job_stop(job, TD_JOB_WHY_LOG);
        return;
    }
    job->events[job->n_events] = *event;
    job->events[job->n_events].joined = job->joins;
    job->events[job->n_events++].data_len = job->said.len - event->data_at;
    td_job_weigh(job);
    td_job_soil(job);
    if (job->said.len > FLUSH_BYTES && job->jobs->retry_at == 0 && !td_job_has_ended(job) &&
        !job->holds)
        (void)td_job_flush(job, NULL); /* what fails is tried again in a while */
}

void td_job_tell(struct td_job *job, const char *type, enum td_class class)
{
    struct td_job_event event = {.class = class};

    begin(job, td_slice_str(type), &event);
    (void)td_job_put_document(job, td_job_has_ended(job), &job->said);
    td_job_finish(job, &event);
}

bool td_job_begin(struct td_job *job, enum td_kind_event what, struct td_job_event *ret_event)
{
    return job->kind && job->kind->events[what].len > 0 &&
           td_job_begin_as(job, job->kind->events[what], ret_event);
}

bool td_job_begin_as(struct td_job *job, struct td_slice type, struct td_job_event *ret_event)
{
    if (job->topic_len == 0)
        return false;
    *ret_event = (struct td_job_event){.own = true};
    begin(job, type, ret_event);
    td_buf_puts(&job->said, "{\"job_id\":\"");
    td_buf_put(&job->said, td_job_id(job));
    td_buf_putc(&job->said, '"');
    td_buf_put(&job->said, job->carried);
    if (job->request_id.len > 0)
        td_job_put_member(job, "request_id", job->request_id);
    return true;
}

static void finish(struct td_job *job, const struct td_job_event *event)
{
    td_buf_putc(&job->said, '}');
    td_job_finish(job, event);
}

void td_job_put_raw(struct td_job *job, const char *name, struct td_slice raw)
{
    td_buf_putf(&job->said, ",\"%s\":", name);
    td_buf_put(&job->said, raw);
}

void td_job_put_member(struct td_job *job, const char *name, struct td_slice text)
{
    td_buf_putf(&job->said, ",\"%s\":", name);
    td_json_put_string(&job->said, text);
}

static void put_agent(struct td_job *job)
{
    if (job->kind && job->kind->n_steps > 0 && job->step < job->kind->n_steps)
        td_job_put_member(job, "agent", job->kind->steps[job->step]->spec->name);
}

static void put_duration(struct td_job *job)
{
    td_unix_ms ms = job->started > 0 && job->ended > job->started ? job->ended - job->started : 0;

    td_buf_puts(&job->said, ",\"duration\":");
    td_job_put_number(&job->said, (double)ms / 1000);
}

/* ---- what both topics are told ---- */

static void put_standing(struct td_job *job)
{
    td_job_put_member(job, "status", td_slice_str(td_job_status_word(job->state)));
    td_buf_puts(&job->said, ",\"progress\":");
    td_job_put_number(&job->said, job->progress);
    td_buf_puts(&job->said, ",\"step\":");
    td_job_put_step(job, &job->said);
    if (job->message.len > 0)
        td_job_put_member(job, "message", td_buf_slice(&job->message));
}

void td_job_tell_start(struct td_job *job)
{
    struct td_job_event event;

    if (!td_job_begin(job, TD_KIND_START, &event))
        return;
    td_job_put_member(job, "status", td_slice_str(td_job_status_word(job->state)));
    finish(job, &event);
}

void td_job_tell_status(struct td_job *job)
{
    struct td_job_event event;

    job->progress_pending = false;
    td_job_tell(job, "status", TD_CLASS_LOG);
    if (td_job_begin(job, TD_KIND_STATUS, &event)) {
        put_standing(job);
        finish(job, &event);
    }
}

void td_job_tell_progress(struct td_job *job)
{
    struct td_job_event event;

    job->progress_pending = false;
    job->progress_at = td_clock_ns() + TD_JOB_PROGRESS_NS;
    td_job_tell(job, "progress", TD_CLASS_LATEST);
    if (td_job_begin(job, TD_KIND_PROGRESS, &event)) {
        put_standing(job);
        finish(job, &event);
    }
}

/* ---- what a run says ---- */

/* Whether it may say more: not while what it said can't be written. */
static bool may_say(struct td_job *job)
{
    if (td_job_has_ended(job) || job->why == TD_JOB_WHY_LOG)
        return false;
    if (job->said.len <= TD_JOB_PENDING_MAX && !td_jobs_say_too_much(job->jobs))
        return true;
    td_job_stop(job, TD_JOB_WHY_LOG);
    return false;
}

void td_job_tell_line(struct td_job *job, struct td_slice line, bool is_stderr)
{
    struct td_job_event event;

    if (!may_say(job))
        return;
    if (td_slice_trim(line).len > 0 && !is_stderr)
        (void)td_job_set(&job->last_line, line);
    if (!job->kind || job->kind->events[TD_KIND_OUTPUT].len == 0) {
        td_job_tell_log(job, line, is_stderr ? TD_S("warn") : TD_S("info"));
        return;
    }
    if (!td_job_begin(job, TD_KIND_OUTPUT, &event))
        return;
    td_job_put_member(job, "line", line);
    td_job_put_member(job, "stream", is_stderr ? TD_S("stderr") : TD_S("stdout"));
    put_agent(job);
    finish(job, &event);
}

/* A piece that follows another one which is not written yet is added to that: `…,"content":"abc"}`. */
static bool extend_text(struct td_job *job, struct td_slice piece)
{
    struct td_buf *said = &job->said;
    struct td_job_event *last = job->n_events > 0 ? &job->events[job->n_events - 1] : NULL;

    if (!last || last->class != TD_CLASS_APPEND || last->data_at + last->data_len != said->len ||
        job->text_offset == 0 || job->n_events <= job->n_before)
        return false;
    if (td_buf_reserve(said, piece.len * 6 + 4) < 0) {
        said->err = 0;
        return false;
    }
    said->len -= 2;
    size_t at = said->len;
    td_json_put_string(said, piece);
    memmove(said->ptr + at, said->ptr + at + 1, said->len - at - 1);
    said->len--;
    td_buf_putc(said, '}');
    last->data_len = said->len - last->data_at;
    td_job_weigh(job);
    return true;
}

void td_job_tell_text(struct td_job *job, struct td_slice piece)
{
    struct td_job_event event;

    if (piece.len == 0 || !may_say(job))
        return;
    if (!extend_text(job, piece)) {
        if (!td_job_begin(job, TD_KIND_TEXT, &event))
            return;
        event.class = TD_CLASS_APPEND;
        event.keyed = true;
        event.begins = job->text_offset == 0;
        put_agent(job);
        td_buf_putf(&job->said, ",\"offset\":%llu", (unsigned long long)job->text_offset);
        td_job_put_member(job, "content", piece);
        finish(job, &event);
    }
    job->text_told = true;
    job->text_offset += piece.len;
}

/* Keeps the last lines for who looks later. */
static void keep_log(struct td_job *job, struct td_slice message, struct td_slice level)
{
    bool full = job->n_logs == TD_JOB_LOGS_MAX;
    struct td_buf *log = &job->logs[full ? job->logs_at : job->n_logs];

    if (full)
        job->logs_at = (job->logs_at + 1) % TD_JOB_LOGS_MAX;
    else
        job->n_logs++;
    td_buf_reset(log);
    log->max = 8 * TD_JOB_MESSAGE_MAX;
    td_buf_puts(log, "{\"time\":");
    td_job_put_time(log, td_clock_unix_ms());
    td_buf_puts(log, ",\"level\":");
    td_json_put_string(log, level);
    if (job->kind && job->step < job->kind->n_steps) {
        td_buf_puts(log, ",\"agent\":");
        td_json_put_string(log, job->kind->steps[job->step]->spec->name);
    }
    td_buf_puts(log, ",\"message\":");
    td_json_put_string(log, td_slice_to(message, TD_MIN(message.len, TD_JOB_MESSAGE_MAX)));
    if (td_buf_putc(log, '}') < 0 || log->err < 0) {
        td_buf_reset(log);
        td_buf_puts(log, "{}");
    }
}

void td_job_tell_log(struct td_job *job, struct td_slice message, struct td_slice level)
{
    struct td_job_event event;

    if (!may_say(job))
        return;
    if (level.len == 0)
        level = TD_S("info");
    level.len = TD_MIN(level.len, (size_t)32);
    keep_log(job, message, level);
    if (!td_job_begin(job, TD_KIND_LOG, &event))
        return;
    td_job_put_member(job, "message", message);
    td_job_put_member(job, "level", level);
    put_agent(job);
    finish(job, &event);
}

void td_job_tell_agent(struct td_job *job, size_t step)
{
    const struct td_job_agent *agent = &job->agents[step];
    const struct td_kind_spec *spec = job->kind->steps[step]->spec;
    struct td_slice title = spec->title.len > 0 ? spec->title : spec->name;
    struct td_buf message = TD_BUF_INIT(1024), duration = TD_BUF_INIT(64);
    int len = (int)TD_MIN(title.len, (size_t)200);
    struct td_job_event event;

    td_job_put_number(&duration, (double)agent->duration_ms / 1000);
    bool timed = agent->status != TD_AGENT_STARTED && agent->duration_ms != TD_AGENT_MS_UNKNOWN;
    if (agent->status == TD_AGENT_STARTED)
        td_buf_putf(&message, "Starting %.*s agent", len, title.ptr);
    else
        td_buf_putf(&message, "%s %.*s agent",
                    agent->status == TD_AGENT_COMPLETED ? "Completed"
                    : agent->status == TD_AGENT_FAILED  ? "Failed"
                                                        : "Cancelled",
                    len, title.ptr);
    if (timed)
        td_buf_putf(&message, " in %.*ss", (int)duration.len, duration.ptr);
    if (td_job_begin(job, TD_KIND_STEP, &event)) {
        td_job_put_member(job, "agent", spec->name);
        td_job_put_member(job, "agent_name", title);
        td_job_put_member(job, "status", td_slice_str(td_agent_status_word(agent->status)));
        td_job_put_raw(job, "duration", timed ? td_buf_slice(&duration) : TD_S("null"));
        td_job_put_member(job, "message", td_buf_slice(&message));
        finish(job, &event);
    }
    (void)td_job_set(&job->message, td_buf_slice(&message));
    td_buf_done(&message);
    td_buf_done(&duration);
}

/* ---- the end ---- */

/* A member that the result may say in its own way. */
static void put_unless(struct td_job *job, struct td_slice result, const char *name,
                       struct td_slice text)
{
    struct td_slice raw;

    if (!td_json_get(result, name, &raw))
        td_job_put_member(job, name, text);
}

bool td_job_names_itself(const struct td_job *job, struct td_slice name)
{
    if (td_json_string_is(name, "job_id") || td_json_string_is(name, "request_id"))
        return true;
    for (size_t i = 0; job->kind && i < job->kind->spec->carry.n; i++)
        if (td_json_is(name, job->kind->spec->carry.items[i]))
            return true;
    return false;
}

/* `status` and `summary`, unless the result has its own; then the result, as a whole and member by member. */
static void put_result(struct td_job *job)
{
    struct td_slice result = job->result.len > 0 ? td_buf_slice(&job->result) : TD_S("null");
    bool by_exit = job->kind->spec->exit_status == 1 && job->exit_status >= 0;
    struct td_slice name, value,
        object = td_json_type(result) == TD_JSON_OBJECT ? result : TD_S("{}");
    char exit_text[32];

    snprintf(exit_text, sizeof(exit_text), "Exit status %d.", job->exit_status);
    put_unless(job, object, "status",
               !by_exit                ? TD_S("completed")
               : job->exit_status == 0 ? TD_S("passed")
                                       : TD_S("failed"));
    put_unless(job, object, "summary",
               job->last_line.len > 0  ? td_buf_slice(&job->last_line)
               : job->exit_status >= 0 ? td_slice_str(exit_text)
                                       : TD_S(""));
    put_duration(job);
    td_job_put_raw(job, "result", result);
    struct td_json_iter it = td_json_iter(object);
    while (td_json_next(&it, &name, &value)) {
        if (td_job_names_itself(job, name) || td_json_string_is(name, "duration") ||
            td_json_string_is(name, "result"))
            continue;
        td_buf_putc(&job->said, ',');
        td_buf_put(&job->said, name);
        td_buf_putc(&job->said, ':');
        td_buf_put(&job->said, value);
    }
}

static void put_failure(struct td_job *job)
{
    td_job_put_member(job, "error", td_buf_slice(&job->error));
    td_job_put_member(job, "code", td_buf_slice(&job->code));
    if (job->details.len > 0)
        td_job_put_member(job, "details", td_buf_slice(&job->details));
    else
        td_job_put_raw(job, "details", TD_S("null"));
    td_job_put_raw(job, "suggested_actions",
                   job->actions.len > 0 ? td_buf_slice(&job->actions) : TD_S("[]"));
}

static void tell_end(struct td_job *job)
{
    static const struct {
        const char *type;
        enum td_kind_event event;
    } ends[] = {
        [TD_JOB_STATE_DONE] = {"completed", TD_KIND_COMPLETE },
        [TD_JOB_STATE_FAILED] = {"error",     TD_KIND_ERROR    },
        [TD_JOB_STATE_CANCELLED] = {"cancelled", TD_KIND_CANCELLED},
    };
    struct td_job_event event;

    td_job_tell(job, ends[job->state].type, TD_CLASS_LOG);
    if (!td_job_begin(job, ends[job->state].event, &event))
        return;
    if (job->text_told) /* what was written is no state any more: the end is behind it */
        event.keyed = event.clears = true;
    if (job->state == TD_JOB_STATE_DONE) {
        put_result(job);
    } else {
        td_job_put_member(job, "status", td_slice_str(td_job_status_word(job->state)));
        put_duration(job);
        if (job->state == TD_JOB_STATE_FAILED)
            put_failure(job);
    }
    finish(job, &event);
}

void td_job_tell_end(struct td_job *job)
{
    size_t said = job->said.len;

    TD_ASSERT(td_job_has_ended(job));
    job->end_at = job->n_events;
    job->end_lost = false;
    tell_end(job);
    if (!job->end_lost)
        return;
    job->n_events = job->end_at; /* on both topics or on none */
    job->said.len = said;
    td_job_weigh(job);
    td_jobs_retry(job->jobs);
}
