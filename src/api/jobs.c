/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/jobs and what is below it; /api/projects/{id} (docs/protocol.md). */
#include "jobs/jobs.h"
#include "api/api.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/admission.h"
#include "edge/ask.h"

#define LIST_LIMIT 100

/* What a body says of a job to be started, raw. */
struct members {
    struct td_slice kind, params, viewers, external, lease, session, request_id;
};

static const struct {
    const char *name;
    size_t offset;
} member_names[] = {
    {"kind",       offsetof(struct members, kind)      },
    {"params",     offsetof(struct members, params)    },
    {"viewers",    offsetof(struct members, viewers)   },
    {"external",   offsetof(struct members, external)  },
    {"lease",      offsetof(struct members, lease)     },
    {"session",    offsetof(struct members, session)   },
    {"request_id", offsetof(struct members, request_id)},
};

/* The nth segment of the path, from 0, as it came: ids of jobs and projects need no escapes. */
static struct td_slice segment(const struct td_request *request, size_t nth)
{
    struct td_slice rest = td_slice_from(request->head->path, 1), part = {NULL, 0};

    for (size_t i = 0; i <= nth; i++)
        if (!td_slice_split(&rest, '/', &part))
            return (struct td_slice){NULL, 0};
    return part;
}

static void refuse(struct td_request *request, int err, const char *why)
{
    td_respond_error(request, err, td_slice_str(why));
}

/* The body as a checked object; the empty one stands for `{}` where that is allowed.  False: answered. */
static bool read_body(struct td_request *request, bool may_be_empty, struct td_slice *ret_json)
{
    int r = 0;

    if (request->body.len == 0 && may_be_empty) {
        *ret_json = TD_S("{}");
        return true;
    }
    r = td_json_check(request->body, ret_json, NULL);
    if (r == 0 && td_json_type(*ret_json) != TD_JSON_OBJECT)
        r = TD_EINVAL;
    if (r < 0)
        refuse(request, r, "The body must be one JSON object.");
    return r == 0;
}

static struct td_edge_ask *ask_new(struct td_request *request, enum td_ask_job_what what,
                                   size_t text_bytes)
{
    /* Each text has a NUL behind it. */
    struct td_edge_ask *ask =
        td_edge_ask_new(request->worker, request->conn, TD_ASK_JOB, text_bytes + 16);

    if (ask)
        ask->ask.job.what = what;
    return ask;
}

/* ---- answers ---- */

static void answer_error(struct td_request *request)
{
    td_respond_error(request, request->answer->err, td_ask_why(request->answer));
}

/* What the desk said, or its error. */
static void answer(struct td_request *request, int status, struct td_slice headers)
{
    if (request->answer->err < 0)
        answer_error(request);
    else
        td_respond_answer(request, status, headers);
}

static struct td_slice id_of(struct td_slice body)
{
    struct td_slice raw, id = {NULL, 0};

    if (body.len > 0 && td_json_get(body, "job_id", &raw))
        (void)td_json_plain(raw, &id);
    return id;
}

static void answer_started(struct td_request *request, bool short_form)
{
    struct td_slice id = id_of(td_buf_slice(&request->answer->body));
    char headers[128], body[64];

    if (request->answer->err < 0) {
        answer_error(request);
        return;
    }
    snprintf(headers, sizeof(headers), "Location: /api/v1/jobs/%.*s\r\n", (int)id.len, id.ptr);
    if (!short_form) {
        td_respond_answer(request, 202, td_slice_str(headers));
        return;
    }
    snprintf(body, sizeof(body), "{\"job_id\":\"%.*s\"}\n", (int)id.len, id.ptr);
    td_respond(request, &(struct td_response){
                            .status = 202,
                            .content_type = "application/json",
                            .headers = td_slice_str(headers),
                            .body = td_slice_str(body),
                            .position = request->answer->position,
                            .has_position = request->answer->has_position,
                            .wait_for = request->answer->wait_for,
                        });
}

/* ---- start ---- */

/* The text of a raw string that may be absent: 0, or TD_EINVAL. */
static int read_text(struct td_slice raw, struct td_buf *text)
{
    if (raw.len == 0 || td_json_type(raw) == TD_JSON_NULL)
        return 0;
    if (td_json_type(raw) != TD_JSON_STRING)
        return TD_EINVAL;
    return td_json_unescape(raw, text) < 0 ? TD_EINVAL : 0;
}

static const char *read_members(struct td_slice json, struct members *members)
{
    struct td_slice name, value;
    struct td_json_iter it = td_json_iter(json);

    *members = (struct members){0};
    while (td_json_next(&it, &name, &value)) {
        struct td_slice *into = NULL;
        for (size_t i = 0; i < TD_ARRAY_LEN(member_names) && !into; i++)
            if (td_json_string_is(name, member_names[i].name))
                into = (struct td_slice *)(void *)((char *)members + member_names[i].offset);
        if (!into)
            return "A start has kind, params, viewers, external, lease, session and request_id, "
                   "and no other.";
        *into = value;
    }
    return members->kind.len == 0 ? "A start needs a `kind`." : NULL;
}

static const char *fill_numbers(const struct members *members, struct td_ask_job *job)
{
    if (members->external.len > 0) {
        enum td_json_type type = td_json_type(members->external);
        if (type != TD_JSON_TRUE && type != TD_JSON_FALSE)
            return "`external` must be true or false.";
        job->external = type == TD_JSON_TRUE;
    }
    if (members->lease.len > 0 &&
        (!job->external || td_json_type(members->lease) != TD_JSON_NUMBER ||
         td_json_u64(members->lease, &job->lease_s) < 0 || job->lease_s == 0))
        return "`lease` must be a number of seconds, of a job that is external.";
    return NULL;
}

/* Fills in what the members say; what is wrong, or NULL. */
static const char *fill(struct td_edge_ask *ask, const struct members *members)
{
    struct td_ask_job *job = &ask->ask.job;
    struct td_buf text = TD_BUF_INIT(1024);
    const struct {
        struct td_slice raw, *into;
        const char *why;
    } texts[] = {
        {members->kind,       &job->kind,       "`kind` must be the name of a kind of job."       },
        {members->session,    &job->session,    "`session` must be a string of 255 bytes at most."},
        {members->request_id, &job->request_id,
         "`request_id` must be a string of 255 bytes at most."                                    },
    };
    const char *why = fill_numbers(members, job);

    for (size_t i = 0; !why && i < TD_ARRAY_LEN(texts); i++) {
        td_buf_reset(&text);
        if (read_text(texts[i].raw, &text) < 0 || text.len > 255)
            why = texts[i].why;
        else
            *texts[i].into = td_ask_text(&ask->ask, td_buf_slice(&text));
    }
    td_buf_done(&text);
    if (!why && job->session.len > 0 && !td_segment_valid(job->session))
        why = "`session` must be 1 to 64 bytes A-Z a-z 0-9 . _ ~ @ : -.";
    if (why)
        return why;
    if (members->params.len > 0 && td_json_type(members->params) != TD_JSON_NULL)
        job->params = td_ask_text(&ask->ask, members->params);
    job->viewers = td_ask_text(&ask->ask, members->viewers);
    job->scope = job->session;
    return NULL;
}

/* A start and a report write, so they count as publishes do.  False: answered. */
static bool admit(struct td_request *request)
{
    bool may = td_admission_publish(request->worker, request->conn);

    if (!may)
        refuse(request, TD_ERATE,
               "Too many publishes on this connection; this one was not carried out.");
    return may;
}

static void ask_start(struct td_request *request, const struct members *members,
                      struct td_slice given)
{
    if (!admit(request))
        return;
    struct td_slice key = td_http_header(request->head, "idempotency-key");
    struct td_edge_ask *ask =
        ask_new(request, TD_ASK_JOB_START,
                members->params.len + members->viewers.len + given.len + key.len + (size_t)3 * 256);
    const char *why = ask ? fill(ask, members) : NULL;

    if (why) {
        td_edge_ask_free(ask);
        refuse(request, TD_EINVAL, why);
        return;
    }
    if (ask) {
        ask->ask.job.given = td_ask_text(&ask->ask, given);
        ask->ask.job.key = td_ask_text(&ask->ask, key);
    }
    td_request_ask(request, ask);
}

static void start(struct td_request *request)
{
    struct members members;
    struct td_slice json;
    const char *why;

    if (request->answer) {
        answer_started(request, false);
        return;
    }
    if (!read_body(request, false, &json))
        return;
    why = read_members(json, &members);
    if (why)
        refuse(request, TD_EINVAL, why);
    else
        ask_start(request, &members, (struct td_slice){NULL, 0});
}

/* ---- list ---- */

static void list(struct td_request *request)
{
    struct td_slice query = request->head->query, name, value;
    struct td_edge_ask *ask;
    const char *why = NULL;

    if (request->answer) {
        answer(request, 200, (struct td_slice){NULL, 0});
        return;
    }
    if (!td_admission_publish(request->worker, request->conn)) {
        refuse(request, TD_ERATE,
               "A list counts as a publish does: there were too many on this connection.");
        return;
    }
    ask = ask_new(request, TD_ASK_JOB_LIST, query.len + 16);
    if (ask)
        ask->ask.job.limit = LIST_LIMIT;
    while (ask && !why && td_http_query_next(&query, &name, &value)) {
        struct td_ask_job *job = &ask->ask.job;
        uint64_t number;
        if (td_slice_eq(name, TD_S("kind")) && job->kind.len == 0)
            job->kind = td_ask_text(&ask->ask, value);
        else if (td_slice_eq(name, TD_S("state")) && job->state.len == 0)
            job->state = td_ask_text(&ask->ask, value);
        else if (td_slice_eq(name, TD_S("after")) && job->after.len == 0)
            job->after = td_ask_text(&ask->ask, value);
        else if (td_slice_eq(name, TD_S("limit")) && td_slice_u64(value, &number) == 0 &&
                 number > 0 && number <= TD_JOB_LIST_MAX)
            job->limit = number;
        else if (td_slice_eq(name, TD_S("limit")))
            why = "`limit` must be a number from 1 to 1000.";
    }
    if (why) {
        td_edge_ask_free(ask);
        refuse(request, TD_EINVAL, why);
        return;
    }
    td_request_ask(request, ask);
}

void td_api_jobs(struct td_request *request, const struct td_api *api)
{
    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (request->head->method == TD_HTTP_POST)
        start(request);
    else
        list(request);
}

/* ---- one job ---- */

static void ask_about(struct td_request *request, enum td_ask_job_what what)
{
    struct td_slice id = segment(request, 3);
    struct td_edge_ask *ask = ask_new(request, what, id.len);

    if (ask)
        ask->ask.job.id = td_ask_text(&ask->ask, id);
    td_request_ask(request, ask);
}

void td_api_job(struct td_request *request, const struct td_api *api)
{
    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (request->answer)
        answer(request, 200, (struct td_slice){NULL, 0});
    else
        ask_about(request, TD_ASK_JOB_GET);
}

/* The desk names each job that it cancelled: here it is one. */
static void answer_cancelled(struct td_request *request)
{
    struct td_slice body = td_buf_slice(&request->answer->body);

    if (request->answer->err < 0 || body.len < 2) {
        answer_error(request);
        return;
    }
    td_respond(request, &(struct td_response){
                            .status = 202,
                            .content_type = "application/json",
                            .body = td_slice(body.ptr + 1, body.len - 2),
                            .wait_for = request->answer->wait_for,
                        });
}

void td_api_job_cancel(struct td_request *request, const struct td_api *api)
{
    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (request->answer)
        answer_cancelled(request);
    else
        ask_about(request, TD_ASK_JOB_CANCEL);
}

void td_api_job_events(struct td_request *request, const struct td_api *api)
{
    struct td_slice json, raw, id = segment(request, 3);
    struct td_buf token = TD_BUF_INIT(256);
    struct td_edge_ask *ask;

    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (request->answer) {
        answer(request, 200, (struct td_slice){NULL, 0});
        return;
    }
    if (!read_body(request, false, &json) || !admit(request))
        return;
    if (!td_json_get(json, "lease_token", &raw) || read_text(raw, &token) < 0) {
        refuse(request, TD_EINVAL, "A report needs the `lease_token` that the start was answered.");
        td_buf_done(&token);
        return;
    }
    ask = ask_new(request, TD_ASK_JOB_REPORT, id.len + token.len + json.len);
    if (ask) {
        ask->ask.job.id = td_ask_text(&ask->ask, id);
        ask->ask.job.token = td_ask_text(&ask->ask, td_buf_slice(&token));
        ask->ask.job.json = td_ask_text(&ask->ask, json);
    }
    td_buf_done(&token);
    td_request_ask(request, ask);
}

/* ---- projects ---- */

void td_api_project(struct td_request *request, const struct td_api *api)
{
    struct td_slice id = segment(request, 2);
    struct td_edge_ask *ask;

    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (request->answer) {
        answer(request, 200, (struct td_slice){NULL, 0});
        return;
    }
    ask = ask_new(request, TD_ASK_JOB_PROJECT, id.len);
    if (ask)
        ask->ask.job.project_id = td_ask_text(&ask->ask, id);
    td_request_ask(request, ask);
}

/* The body is the parameters of the job. */
void td_api_generate(struct td_request *request, const struct td_api *api)
{
    struct members members = {.kind = TD_S("\"generate\"")};
    struct td_slice json, id = segment(request, 2);
    char given[sizeof("{\"project_id\":\"\"}") + TD_SEGMENT_LEN_MAX];

    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (request->answer) {
        answer_started(request, true);
        return;
    }
    if (!read_body(request, true, &json))
        return;
    if (!td_segment_valid(id)) {
        refuse(request, TD_ENOTFOUND,
               "The id of a project is 1 to 64 bytes A-Z a-z 0-9 . _ ~ @ : -.");
        return;
    }
    members.params = json;
    snprintf(given, sizeof(given), "{\"project_id\":\"%.*s\"}", (int)id.len, id.ptr);
    ask_start(request, &members, td_slice_str(given));
}
