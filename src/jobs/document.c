/* SPDX-License-Identifier: Apache-2.0 */
/* A job as JSON: what its events carry, and what is shown of that. */
#include "base/err.h"
#include "base/json.h"
#include "base/position.h"
#include "jobs/internal.h"

#define PARAMS_MAX ((size_t)32 * 1024)

static const char *const state_words[] = {
    [TD_JOB_STATE_QUEUED] = "queued",         [TD_JOB_STATE_RUNNING] = "running",
    [TD_JOB_STATE_CANCELLING] = "cancelling", [TD_JOB_STATE_DONE] = "done",
    [TD_JOB_STATE_FAILED] = "failed",         [TD_JOB_STATE_CANCELLED] = "cancelled",
};

static const char *const agent_words[] = {
    [TD_AGENT_WAITING] = "waiting", [TD_AGENT_STARTED] = "started",
    [TD_AGENT_SKIPPED] = "skipped", [TD_AGENT_COMPLETED] = "completed",
    [TD_AGENT_FAILED] = "failed",   [TD_AGENT_CANCELLED] = "cancelled",
};

const char *td_job_state_word(enum td_job_state state)
{
    return state_words[state];
}

/* What viewers are told: a job that is done has completed. */
const char *td_job_status_word(enum td_job_state state)
{
    return state == TD_JOB_STATE_DONE ? "completed" : state_words[state];
}

const char *td_agent_status_word(enum td_agent_status status)
{
    return agent_words[status];
}

enum td_agent_status td_agent_status_of(struct td_slice word)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(agent_words); i++)
        if (td_slice_eq(word, td_slice_str(agent_words[i])))
            return (enum td_agent_status)i;
    return TD_AGENT_WAITING;
}

void td_job_put_number(struct td_buf *out, double number)
{
    uint64_t hundredths = number > 0 ? (uint64_t)(number * 100 + 0.5) : 0;

    td_buf_putu(out, hundredths / 100);
    if (hundredths % 10 > 0)
        td_buf_putf(out, ".%02u", (unsigned)(hundredths % 100));
    else if (hundredths % 100 > 0)
        td_buf_putf(out, ".%u", (unsigned)(hundredths % 100 / 10));
}

void td_job_put_time(struct td_buf *out, td_unix_ms time)
{
    char text[TD_TIME_LEN + 1];

    if (time == 0) {
        td_buf_puts(out, "null");
        return;
    }
    td_time_format(time, text);
    td_buf_putf(out, "\"%s\"", text);
}

static size_t count_steps(const struct td_job *job)
{
    return job->kind ? job->kind->n_steps : 0;
}

static struct td_slice title_of(const struct td_kind *kind)
{
    return kind->spec->title.len > 0 ? kind->spec->title : kind->spec->name;
}

void td_job_put_step(const struct td_job *job, struct td_buf *out)
{
    size_t n = count_steps(job);

    if (n == 0) {
        td_buf_puts(out, "null");
        return;
    }
    td_buf_putf(out, "{\"index\":%zu,\"count\":%zu,\"name\":", TD_MIN(job->step + 1, n), n);
    td_json_put_string(out, title_of(job->kind->steps[TD_MIN(job->step, n - 1)]));
    td_buf_putc(out, '}');
}

static void put_agents(const struct td_job *job, struct td_buf *out)
{
    td_buf_puts(out, ",\"agents\":[");
    for (size_t i = 0; i < count_steps(job); i++) {
        const struct td_job_agent *agent = &job->agents[i];
        const struct td_kind *kind = job->kind->steps[i];
        td_buf_puts(out, i > 0 ? ",{\"agent\":" : "{\"agent\":");
        td_json_put_string(out, kind->spec->name);
        td_buf_puts(out, ",\"agent_name\":");
        td_json_put_string(out, title_of(kind));
        td_buf_putf(out, ",\"status\":\"%s\",\"duration\":", td_agent_status_word(agent->status));
        if (agent->status >= TD_AGENT_COMPLETED && agent->duration_ms != TD_AGENT_MS_UNKNOWN)
            td_job_put_number(out, (double)agent->duration_ms / 1000);
        else
            td_buf_puts(out, "null");
        td_buf_putc(out, '}');
    }
    td_buf_putc(out, ']');
}

static void put_logs(const struct td_job *job, struct td_buf *out)
{
    td_buf_puts(out, ",\"logs\":[");
    for (size_t i = 0; i < job->n_logs; i++) {
        if (i > 0)
            td_buf_putc(out, ',');
        td_buf_put(out, td_buf_slice(&job->logs[(job->logs_at + i) % TD_JOB_LOGS_MAX]));
    }
    td_buf_putc(out, ']');
}

static void put_texts(const struct td_job *job, struct td_buf *out)
{
    td_buf_puts(out, "{\"job_id\":\"");
    td_buf_put(out, td_job_id(job));
    td_buf_puts(out, "\",\"kind\":");
    td_json_put_string(out, job->kind_name);
    td_buf_putf(out,
                ",\"state\":\"%s\",\"status\":\"%s\",\"owner\":", td_job_state_word(job->state),
                td_job_status_word(job->state));
    td_json_put_string(out, job->owner);
    td_buf_puts(out, ",\"viewers\":");
    td_buf_put(out, job->viewers.len > 0 ? job->viewers : TD_S("[]"));
    td_buf_puts(out, ",\"topic\":");
    if (job->topic_len > 0)
        td_json_put_string(out, td_job_topic(job));
    else
        td_buf_puts(out, "null");
    if (job->request_id.len > 0) {
        td_buf_puts(out, ",\"request_id\":");
        td_json_put_string(out, job->request_id);
    }
    if (job->lease_s > 0)
        td_buf_puts(out, ",\"external\":true");
}

/* How it ended; the error flat, as events say it. */
static void put_end(const struct td_job *job, struct td_buf *out)
{
    td_buf_puts(out, ",\"result\":");
    td_buf_put(out, job->result.len > 0 ? td_buf_slice(&job->result) : TD_S("null"));
    if (job->state != TD_JOB_STATE_FAILED)
        return;
    td_buf_puts(out, ",\"error\":");
    td_json_put_string(out, td_buf_slice(&job->error));
    td_buf_puts(out, ",\"code\":");
    td_json_put_string(out, td_buf_slice(&job->code));
    td_buf_puts(out, ",\"details\":");
    if (job->details.len > 0)
        td_json_put_string(out, td_buf_slice(&job->details));
    else
        td_buf_puts(out, "null");
    td_buf_puts(out, ",\"suggested_actions\":");
    td_buf_put(out, job->actions.len > 0 ? td_buf_slice(&job->actions) : TD_S("[]"));
}

/* Those by which a job that outlives the server is found.  Who sees its events knows them anyway. */
static void put_params(const struct td_job *job, struct td_buf *out)
{
    struct td_buf params = TD_BUF_INIT(PARAMS_MAX);

    td_buf_puts(out, ",\"params\":");
    if (job->params.kind)
        td_params_put(&job->params, TD_PARAMS_SEEN, &params);
    if (job->known.len > 0) {
        td_buf_put(out, job->known);
    } else {
        td_buf_putc(out, '{');
        td_buf_put(out, td_slice_from(td_buf_slice(&params), params.len > 0));
        td_buf_putc(out, '}');
    }
    td_buf_done(&params);
}

/* What only we need, to take the job up again or to know it again. */
static void put_internal(const struct td_job *job, struct td_buf *out)
{
    td_buf_putf(out, ",\"internal\":{\"content\":\"%s\",\"text\":%s,\"made\":%llu,\"carry\":{",
                job->content, job->text_told ? "true" : "false", (unsigned long long)job->made);
    if (job->carried.len > 0)
        td_buf_put(out, td_slice_from(job->carried, 1));
    td_buf_putc(out, '}');
    if (job->lease_s > 0) {
        td_buf_putf(out, ",\"lease\":%llu,\"lease_hash\":\"", (unsigned long long)job->lease_s);
        for (size_t i = 0; i < sizeof(job->lease_hash); i++)
            td_buf_putf(out, "%02x", job->lease_hash[i]);
        td_buf_putc(out, '"');
        if (job->report_seq >
            0) /* then each report that says something is followed by a document */
            td_buf_putf(out, ",\"seq\":%llu,\"offset\":%llu", (unsigned long long)job->report_seq,
                        (unsigned long long)job->text_offset);
        put_params(job, out);
    }
    td_buf_puts(out, "}}");
}

int td_job_put_document(const struct td_job *job, bool with_logs, struct td_buf *out)
{
    put_texts(job, out);
    td_buf_puts(out, ",\"progress\":");
    td_job_put_number(out, job->progress);
    td_buf_puts(out, ",\"step\":");
    td_job_put_step(job, out);
    if (job->message.len > 0) {
        td_buf_puts(out, ",\"message\":");
        td_json_put_string(out, td_buf_slice(&job->message));
    }
    if (job->state == TD_JOB_STATE_QUEUED)
        td_buf_putf(out, ",\"place\":%zu", job->place);
    td_buf_puts(out, ",\"created\":");
    td_job_put_time(out, job->created);
    td_buf_puts(out, ",\"started\":");
    td_job_put_time(out, job->started);
    td_buf_puts(out, ",\"ended\":");
    td_job_put_time(out, job->ended);
    if (td_job_has_ended(job))
        put_end(job, out);
    if (count_steps(job) > 0)
        put_agents(job, out);
    if (with_logs)
        put_logs(job, out);
    put_internal(job, out);
    return out->err;
}

/* ---- what is shown ---- */

/* The members that make the object `error`. */
static void put_error(struct td_slice data, struct td_buf *out)
{
    static const char *const names[][2] = {
        {"code",              "code"             },
        {"message",           "error"            },
        {"details",           "details"          },
        {"suggested_actions", "suggested_actions"},
    };
    struct td_slice raw;

    if (!td_json_get(data, "error", &raw) || td_json_type(raw) != TD_JSON_STRING) {
        td_buf_puts(out, "null");
        return;
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(names); i++) {
        td_buf_putf(out, "%c\"%s\":", i == 0 ? '{' : ',', names[i][0]);
        td_buf_put(out, td_json_get(data, names[i][1], &raw) ? raw : TD_S("null"));
    }
    td_buf_putc(out, '}');
}

static bool is_hidden(struct td_slice name)
{
    static const char *const hidden[] = {"internal", "error", "code", "details",
                                         "suggested_actions"};

    for (size_t i = 0; i < TD_ARRAY_LEN(hidden); i++)
        if (td_json_string_is(name, hidden[i]))
            return true;
    return false;
}

int td_job_put_shown(const struct td_jobs *jobs, struct td_slice data, uint64_t seq,
                     struct td_buf *out)
{
    struct td_slice name, value;
    struct td_json_iter it = td_json_iter(data);

    td_buf_putc(out, '{');
    while (td_json_next(&it, &name, &value)) {
        if (is_hidden(name))
            continue;
        td_buf_put(out, name);
        td_buf_putc(out, ':');
        td_buf_put(out, value);
        td_buf_putc(out, ',');
    }
    if (!td_json_get(data, "result", &value))
        td_buf_puts(out, "\"result\":null,");
    td_buf_puts(out, "\"error\":");
    put_error(data, out);
    td_buf_puts(out, ",\"position\":");
    if (seq > 0)
        td_position_put(out,
                        (struct td_position){td_journal_epoch(jobs->options.log.journal), seq});
    else
        td_buf_puts(out, "null");
    return td_buf_putc(out, '}');
}

/* ---- what is read of it ---- */

int td_job_read(struct td_slice data, struct td_job_view *ret_view)
{
    struct td_job_view view = {.data = data};
    bool good =
        td_json_type(data) == TD_JSON_OBJECT && td_json_get(data, "job_id", &view.id) &&
        td_json_get(data, "kind", &view.kind) && td_json_get(data, "state", &view.state) &&
        td_json_get(data, "owner", &view.owner) && td_json_get(data, "viewers", &view.viewers) &&
        td_json_get(data, "topic", &view.topic) && td_json_get(data, "created", &view.created) &&
        td_json_get(data, "internal", &view.internal);

    if (!good || !td_json_plain(view.id, &view.id) || view.id.len != TD_JOB_ID_LEN)
        return TD_EINVAL;
    *ret_view = view;
    return 0;
}

bool td_json_is(struct td_slice raw, struct td_slice text)
{
    struct td_slice plain;
    struct td_buf unescaped = TD_BUF_INIT(64 * 1024);

    if (td_json_type(raw) != TD_JSON_STRING)
        return false;
    if (td_json_plain(raw, &plain))
        return td_slice_eq(plain, text);
    bool is = td_json_unescape(raw, &unescaped) == 0 && td_slice_eq(td_buf_slice(&unescaped), text);
    td_buf_done(&unescaped);
    return is;
}

bool td_json_holds(struct td_slice array, struct td_slice text)
{
    struct td_slice name, value;
    struct td_json_iter it = td_json_iter(array);

    if (td_json_type(array) != TD_JSON_ARRAY)
        return false;
    while (td_json_next(&it, &name, &value))
        if (td_json_is(value, text))
            return true;
    return false;
}
