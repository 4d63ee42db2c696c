/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/command_jobs.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/admission.h"
#include "edge/ask.h"
#include "edge/control.h"
#include "edge/endpoint.h"
#include "edge/outbox.h"
#include "edge/visit.h"

#define ID_MAX 255 /* bytes of a request id, a job id, a kind */

/* ---- answers ---- */

static void answer_error(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask)
{
    td_control_error_after(worker, conn, ask->ref, ask->ask.err, td_ask_why(&ask->ask),
                           ask->ask.retry_after_s);
}

static void put_member(struct td_control *control, const char *name, struct td_slice object)
{
    struct td_slice raw;

    if (td_json_get(object, name, &raw) && td_json_type(raw) != TD_JSON_NULL)
        td_control_raw(control, name, raw);
}

/* What it says may be told once the log is readable so far; and not before what was said earlier. */
static void send(struct td_control *control, struct td_worker *worker, struct td_conn *conn,
                 uint64_t wait_for)
{
    if (wait_for <= td_journal_readable(worker->journal) && (!conn->out || conn->out->n == 0))
        td_control_send(control, worker, conn);
    else
        td_control_send_when(control, worker, conn, wait_for);
}

static void started(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask)
{
    struct td_slice job = td_buf_slice(&ask->ask.body);
    struct td_control control;

    if (conn->state != TD_CONN_WS)
        return;
    if (ask->ask.err < 0) {
        answer_error(worker, conn, ask);
        return;
    }
    td_control_begin(&control, "started", ask->ref);
    put_member(&control, "job_id", job);
    put_member(&control, "request_id", job);
    put_member(&control, "topic", job);
    send(&control, worker, conn, ask->ask.wait_for);
}

static void cancelling(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask)
{
    struct td_slice name, job;

    if (conn->state != TD_CONN_WS)
        return;
    if (ask->ask.err < 0) {
        answer_error(worker, conn, ask);
        return;
    }
    struct td_json_iter it = td_json_iter(td_buf_slice(&ask->ask.body));
    while (conn->state == TD_CONN_WS && td_json_next(&it, &name, &job)) {
        struct td_control control;
        td_control_begin(&control, "cancelling", ask->ref);
        put_member(&control, "job_id", job);
        put_member(&control, "state", job);
        send(&control, worker, conn, ask->ask.wait_for);
    }
}

/* ---- questions ---- */

/* A member that is a text, or a number, of ID_MAX bytes at most.  False, and told, when it is something else. */
static bool take_text(struct td_edge_ask *ask, struct td_slice command, const char *name,
                      struct td_slice *ret_text)
{
    struct td_buf text = TD_BUF_INIT(ID_MAX);
    struct td_slice raw;
    int r = 0;

    if (!td_json_get(command, name, &raw) || td_json_type(raw) == TD_JSON_NULL)
        return true;
    if (td_json_type(raw) == TD_JSON_STRING)
        r = td_json_unescape(raw, &text);
    else if (td_json_type(raw) == TD_JSON_NUMBER)
        r = td_buf_put(&text, raw);
    else
        r = TD_EINVAL;
    if (r == 0)
        *ret_text = td_ask_text(&ask->ask, td_buf_slice(&text));
    td_buf_done(&text);
    return r == 0;
}

/* Within what a request id names one job: the session, or else this connection. */
static void take_scope(struct td_edge_ask *ask, const struct td_conn *conn)
{
    char id[17];

    if (conn->bound && conn->bound->session.ptr) {
        ask->ask.job.session = td_ask_text(&ask->ask, conn->bound->session);
        ask->ask.job.scope = ask->ask.job.session;
        return;
    }
    td_conn_id(conn, id);
    ask->ask.job.scope = td_ask_text(&ask->ask, td_slice_str(id));
}

/* The variables of the endpoint as an object. */
static int put_given(const struct td_conn *conn, struct td_buf *out)
{
    td_buf_putc(out, '{');
    for (size_t i = 0; conn->bound && i < conn->endpoint->n_variables; i++) {
        if (i > 0)
            td_buf_putc(out, ',');
        td_json_put_string(out, conn->endpoint->variables[i]);
        td_buf_putc(out, ':');
        td_json_put_string(out, conn->bound->values[i]);
    }
    return td_buf_putc(out, '}');
}

static struct td_slice variable(const struct td_conn *conn, struct td_slice name)
{
    for (size_t i = 0; conn->bound && i < conn->endpoint->n_variables; i++)
        if (td_slice_eq(conn->endpoint->variables[i], name))
            return conn->bound->values[i];
    return (struct td_slice){NULL, 0};
}

static struct td_edge_ask *ask_new(struct td_worker *worker, struct td_conn *conn,
                                   enum td_ask_job_what what, size_t bytes)
{
    struct td_edge_ask *ask =
        td_edge_ask_new(worker, conn, TD_ASK_JOB, bytes + (size_t)5 * (ID_MAX + 1) + 64);

    if (!ask)
        return NULL;
    ask->ask.job.what = what;
    take_scope(ask, conn);
    return ask;
}

static void send_ask(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask,
                     struct td_slice ref,
                     void (*answered)(struct td_worker *worker, struct td_conn *conn,
                                      struct td_edge_ask *ask))
{
    int r = td_conn_ask(worker, conn, ask, ref, answered);

    if (r < 0)
        td_control_error(worker, conn, ref, r,
                         r == TD_ERATE ? TD_S("Too many commands wait for their answer.")
                                       : TD_S("No memory."));
}

static void refuse(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask,
                   struct td_slice ref, const char *why)
{
    td_edge_ask_free(ask);
    td_control_error(worker, conn, ref, TD_EINVAL, td_slice_str(why));
}

void td_command_start(struct td_worker *worker, struct td_conn *conn, struct td_slice command,
                      struct td_slice ref)
{
    struct td_buf given = TD_BUF_INIT(16 * 1024);
    struct td_slice params = {NULL, 0}, viewers = {NULL, 0};
    char id[17];
    int r = put_given(conn, &given);

    if (!td_admission_publish(worker, conn)) {
        td_control_error(worker, conn, ref, TD_ERATE,
                         TD_S("Too many publishes; this one was not carried out."));
        td_buf_done(&given);
        return;
    }
    if (!td_json_get(command, "params", &params) || td_json_type(params) == TD_JSON_NULL)
        params = TD_S("{}");
    if (!td_json_get(command, "viewers", &viewers))
        viewers.len = 0;
    struct td_edge_ask *ask =
        r < 0 ? NULL
              : ask_new(worker, conn, TD_ASK_JOB_START, params.len + viewers.len + given.len);
    if (ask) {
        struct td_ask_job *job = &ask->ask.job;
        job->params = td_ask_text(&ask->ask, params);
        job->viewers = td_ask_text(&ask->ask, viewers);
        job->given = td_ask_text(&ask->ask, td_buf_slice(&given));
        td_conn_id(conn, id);
        job->connection = td_ask_text(&ask->ask, td_slice_str(id));
        if (!take_text(ask, command, "kind", &job->kind) || job->kind.len == 0 ||
            !take_text(ask, command, "request_id", &job->request_id))
            refuse(worker, conn, ask, ref,
                   "start needs a `kind`, and `request_id` is a text of 255 bytes at most.");
        else
            send_ask(worker, conn, ask, ref, started);
    } else {
        send_ask(worker, conn, NULL, ref, started);
    }
    td_buf_done(&given);
}

void td_command_cancel_job(struct td_worker *worker, struct td_conn *conn, struct td_slice command,
                           struct td_slice ref)
{
    struct td_edge_ask *ask = ask_new(worker, conn, TD_ASK_JOB_CANCEL, 0);

    if (!ask) {
        send_ask(worker, conn, NULL, ref, cancelling);
        return;
    }
    struct td_ask_job *job = &ask->ask.job;
    bool good = take_text(ask, command, "job_id", &job->id) &&
                take_text(ask, command, "request_id", &job->request_id) &&
                take_text(ask, command, "proposal_id", &job->proposal_id);
    job->project_id = td_ask_text(&ask->ask, variable(conn, TD_S("project_id")));
    if (good && job->id.len + job->request_id.len + job->proposal_id.len > 0)
        send_ask(worker, conn, ask, ref, cancelling);
    else
        refuse(
            worker, conn, ask, ref,
            "cancel needs `job_id`, `request_id` or `proposal_id`, a text of 255 bytes at most.");
}
