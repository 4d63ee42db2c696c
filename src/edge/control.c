/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/control.h"
#include "base/err.h"
#include "base/json.h"
#include "codec/sse.h"
#include "codec/ws.h"
#include "edge/conn_log.h"
#include "edge/visit.h"
#include "os/clock.h"

/* A control message is small; the longest lists the topics of a SUBSCRIBE. */
#define CONTROL_MAX (256 * 1024)

void td_control_begin(struct td_control *control, const char *type, struct td_slice ref)
{
    td_buf_init(&control->json, CONTROL_MAX);
    control->id[0] = '\0';
    td_buf_putf(&control->json, "{\"type\":\"%s\",\"control\":true", type);
    if (ref.len > 0)
        td_control_raw(control, "ref", ref);
}

void td_control_raw(struct td_control *control, const char *name, struct td_slice json)
{
    td_buf_putf(&control->json, ",\"%s\":", name);
    td_buf_put(&control->json, json);
}

void td_control_str(struct td_control *control, const char *name, struct td_slice text)
{
    td_buf_putf(&control->json, ",\"%s\":", name);
    td_json_put_string(&control->json, text);
}

void td_control_u64(struct td_control *control, const char *name, uint64_t number)
{
    td_buf_putf(&control->json, ",\"%s\":%llu", name, (unsigned long long)number);
}

void td_control_position(struct td_control *control, const char *name, struct td_position position)
{
    td_buf_putf(&control->json, ",\"%s\":", name);
    td_position_put(&control->json, position);
}

void td_control_now(struct td_control *control)
{
    char time[TD_TIME_LEN + 1];

    td_time_format(td_clock_unix_ms(), time);
    td_control_str(control, "time", td_slice_str(time));
}

void td_control_resume(struct td_control *control, const struct td_worker *worker, uint64_t seq)
{
    td_position_format(td_here(worker, seq), control->id);
    td_control_str(control, "position", td_slice_str(control->id));
}

static bool on_sse(const struct td_conn *conn)
{
    return conn->state == TD_CONN_STREAM;
}

static int put_message(const struct td_conn *conn, const struct td_control *control,
                       struct td_buf *out)
{
    if (!on_sse(conn))
        return td_ws_put_frame(out, TD_WS_TEXT, td_buf_slice(&control->json));
    const struct td_sse_event event = {
        .id = control->id[0] ? td_slice_str(control->id) : (struct td_slice){NULL, 0},
        .event = TD_S("tidings"),
        .data = td_buf_slice(&control->json),
    };
    return td_sse_put(out, &event);
}

void td_control_send(struct td_control *control, struct td_worker *worker, struct td_conn *conn)
{
    td_buf_putc(&control->json, '}');
    struct td_outbox *out = conn->state == TD_CONN_GONE ? NULL : td_conn_out(worker, conn);
    if (out && (control->json.err < 0 || put_message(conn, control, &out->ready) < 0))
        td_conn_drop(worker, conn, "no memory for a message");
    td_buf_done(&control->json);
    conn->sent = worker->tick;
    td_conn_dirty(worker, conn);
}

void td_control_send_when(struct td_control *control, struct td_worker *worker,
                          struct td_conn *conn, uint64_t seq)
{
    struct td_buf frame = TD_BUF_INIT(CONTROL_MAX + 16);

    td_buf_putc(&control->json, '}');
    struct td_outbox *out = td_conn_out(worker, conn);
    if (out && (control->json.err < 0 || put_message(conn, control, &frame) < 0 ||
                td_outbox_hold(out, seq, td_buf_slice(&frame)) < 0))
        td_conn_drop(worker, conn, "no memory for a message");
    td_buf_done(&frame);
    td_buf_done(&control->json);
    if (conn->state != TD_CONN_GONE && td_list_empty(&out->waiting))
        td_list_append(&worker->waiting, &out->waiting);
}

/* What the connection is bound to: its endpoint's variables by their names, and its session. */
static void put_bound(struct td_control *control, const struct td_conn *conn)
{
    char name[TD_VARIABLE_LEN_MAX + 1];

    if (!conn->bound)
        return;
    for (size_t i = 0; i < conn->endpoint->n_variables; i++) {
        struct td_slice variable = conn->endpoint->variables[i];
        snprintf(name, sizeof(name), "%.*s", (int)variable.len, variable.ptr);
        td_control_str(control, name, conn->bound->values[i]);
    }
    if (conn->bound->session.ptr)
        td_control_str(control, "session", conn->bound->session);
}

void td_control_connection(struct td_worker *worker, struct td_conn *conn, uint64_t position)
{
    const struct td_conn_limits *limits = td_conn_limits(worker, conn);
    struct td_control control;
    char heartbeat[64], id[17];

    td_conn_id(conn, id);
    snprintf(heartbeat, sizeof(heartbeat), "{\"interval\":%u,\"timeout\":%u}",
             limits->ping_interval_s, limits->pong_timeout_s);
    td_control_begin(&control, "connection", (struct td_slice){NULL, 0});
    td_control_str(&control, "message", TD_S("connected"));
    td_control_str(&control, "connection_id", td_slice_str(id));
    td_control_raw(&control, "user", conn->principal->subject_json);
    put_bound(&control, conn);
    td_control_position(&control, "position", td_here(worker, position));
    td_control_raw(&control, "heartbeat", td_slice_str(heartbeat));
    td_unix_ms now = td_clock_unix_ms(), exp = conn->principal->exp;
    if (exp != TD_EXP_NEVER)
        td_control_u64(&control, "token_expires_in", exp > now ? (exp - now) / 1000 : 0);
    td_control_send(&control, worker, conn);
}

void td_control_error(struct td_worker *worker, struct td_conn *conn, struct td_slice ref, int err,
                      struct td_slice message)
{
    td_control_error_after(worker, conn, ref, err, message, 0);
}

void td_control_error_after(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                            int err, struct td_slice message, unsigned retry_after_s)
{
    struct td_control control;
    struct td_buf actions = TD_BUF_INIT(1024);

    TD_COUNT(worker, command_errors);
    td_conn_log_command_error(conn, err, message);
    td_buf_putc(&actions, '[');
    td_json_put_string(&actions, td_slice_str(td_err_hint(err)));
    td_buf_putc(&actions, ']');
    td_control_begin(&control, "command_error", ref);
    td_control_str(&control, "code", td_slice_str(td_err_code(err)));
    td_control_str(&control, "message", message);
    td_control_raw(&control, "suggested_actions", td_buf_slice(&actions));
    if (retry_after_s > 0 || err == TD_ERATE || err == TD_EFULL || err == TD_EDRAINING ||
        err == TD_EUNAVAILABLE)
        td_control_u64(&control, "retry_after", TD_MAX(retry_after_s, 1u));
    td_buf_done(&actions);
    td_control_send(&control, worker, conn);
}

const char *td_gap_reason_text(enum td_gap_reason reason)
{
    switch (reason) {
    case TD_GAP_RETENTION: return "retention";
    case TD_GAP_EPOCH: return "epoch";
    case TD_GAP_UNSYNCED: return "unsynced";
    case TD_GAP_DAMAGED: return "damaged";
    }
    return "retention";
}

static void put_topics(const struct td_conn *conn, struct td_buf *out)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    size_t n = td_hub_wanted(&conn->subscriber, wanted);

    td_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            td_buf_putc(out, ',');
        td_json_put_string(out, wanted[i].pattern);
    }
    td_buf_putc(out, ']');
}

void td_control_gap(struct td_worker *worker, struct td_conn *conn, struct td_position from,
                    const struct td_gap *gap)
{
    struct td_control control;
    struct td_buf topics = TD_BUF_INIT(TD_SUBSCRIPTIONS_MAX * 260);

    TD_COUNT(worker, gaps[gap->reason]);
    if (!gap->history)
        td_conn_resumed(worker, conn, TD_RESUMED_GAP);
    put_topics(conn, &topics);
    td_control_begin(&control, "gap", gap->ref);
    if (gap->history)
        td_control_raw(&control, "history", TD_S("true"));
    td_control_raw(&control, "topics", td_buf_slice(&topics));
    td_control_position(&control, "from", from);
    td_control_position(&control, "to", td_here(worker, gap->to));
    td_control_str(&control, "reason", td_slice_str(td_gap_reason_text(gap->reason)));
    td_control_send(&control, worker, conn);
    td_buf_done(&topics);
}
