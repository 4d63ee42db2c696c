/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/conn_log.h"
#include "base/err.h"

#define LINES_PER_S 10
/* Names of subprotocols are short; what is longer may be a token in a form that is none of ours. */
#define PROTOCOL_SHOWN 32

void td_conn_log(struct td_log_line *line, const struct td_conn *conn)
{
    char id[17], peer[TD_ADDR_LEN_MAX + 1];

    td_conn_id(conn, id);
    td_addr_format(&conn->peer, peer);
    td_log_str(line, "connection", td_slice_str(id));
    td_log_str(line, "peer", td_slice_str(peer));
}

/* The connection's id, its peer, and who it is for, as a note of the audit. */
static void begin_note(struct td_audit_note *note, const struct td_worker *worker,
                       const struct td_conn *conn, enum td_audit_action action,
                       char peer[TD_ADDR_LEN_MAX + 1])
{
    char id[17];

    td_audit_begin(note, worker->audit, action,
                   action == TD_AUDIT_REFUSED ? TD_AUDIT_DENIED : TD_AUDIT_DONE);
    td_conn_id(conn, id);
    td_addr_format(&conn->peer, peer);
    td_audit_str(note, "connection", td_slice_str(id));
    td_audit_address(note, td_slice_str(peer));
}

void td_conn_log_connect(const struct td_worker *worker, const struct td_conn *conn,
                         const char *transport, struct td_slice path)
{
    struct td_audit_note note;
    char peer[TD_ADDR_LEN_MAX + 1];

    begin_note(&note, worker, conn, TD_AUDIT_CONNECTED, peer);
    td_audit_str(&note, "transport", td_slice_str(transport));
    td_audit_str(&note, "path", path);
    td_audit_actor(&note, conn->principal->subject);
    td_audit_end(&note);
}

static const char *transport_of(const struct td_conn *conn)
{
    return conn->counted_ws     ? "websocket"
           : conn->counted_sse  ? "sse"
           : conn->counted_poll ? "longpoll"
                                : "http";
}

static void log_end_of_http(const struct td_conn *conn, const char *reason)
{
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_DEBUG, "disconnect"))
        return;
    td_conn_log(&line, conn);
    td_log_str(&line, "transport", td_slice_str(transport_of(conn)));
    td_log_str(&line, "reason", td_slice_str(reason));
    td_log_end(&line);
}

void td_conn_log_disconnect(const struct td_worker *worker, const struct td_conn *conn,
                            const char *reason)
{
    struct td_audit_note note;
    char peer[TD_ADDR_LEN_MAX + 1];

    if (conn->why)
        reason = conn->why;
    if (conn->subscriber.wire == TD_WIRE_NONE) {
        log_end_of_http(conn, reason);
        return;
    }
    begin_note(&note, worker, conn, TD_AUDIT_DISCONNECTED, peer);
    td_audit_str(&note, "transport", td_slice_str(transport_of(conn)));
    if (conn->principal)
        td_audit_actor(&note, conn->principal->subject);
    td_audit_str(&note, "reason", td_slice_str(reason));
    if (conn->close_code)
        td_audit_u64(&note, "code", conn->close_code);
    td_audit_u64(&note, "seconds", (worker->tick - conn->opened) / TD_TICKS_PER_S);
    td_audit_u64(&note, "sent_bytes", conn->sent_bytes);
    td_audit_u64(&note, "received_bytes", conn->received_bytes);
    td_audit_end(&note);
}

/* The subprotocols that were offered, without what carries a token. */
static void log_protocols(struct td_log_line *line, const struct td_http_request *head)
{
    struct td_buf shown = TD_BUF_INIT(TD_LOG_VALUE_MAX);

    for (size_t i = 0; i < head->n_headers; i++) {
        struct td_slice rest = head->headers[i].value, item;
        if (!td_slice_eq_nocase(head->headers[i].name, TD_S("sec-websocket-protocol")))
            continue;
        while (td_slice_split(&rest, ',', &item)) {
            item = td_slice_trim(item);
            td_buf_puts(&shown, shown.len > 0 ? ", " : "");
            td_buf_put(&shown, item.len > PROTOCOL_SHOWN || td_slice_starts(item, TD_S("bearer."))
                                   ? TD_S("(hidden)")
                                   : item);
        }
    }
    td_log_str(line, "protocol", td_buf_slice(&shown));
    td_buf_done(&shown);
}

void td_conn_log_handshake(const struct td_request *request, const char *decision)
{
    const struct td_http_request *head = request->head;
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_DEBUG, "handshake"))
        return;
    td_conn_log(&line, request->conn);
    td_log_str(&line, "decision", td_slice_str(decision));
    td_log_str(&line, "path", head->path);
    td_log_str(&line, "origin", td_http_header(head, "origin"));
    td_log_str(&line, "user_agent", td_http_header(head, "user-agent"));
    if (head->upgrade) {
        td_log_str(&line, "version", td_http_header(head, "sec-websocket-version"));
        log_protocols(&line, head);
        td_log_str(&line, "extensions", td_http_header(head, "sec-websocket-extensions"));
    }
    td_log_end(&line);
}

void td_conn_log_tick(struct td_worker *worker)
{
    struct td_log_line line;

    if (worker->tick - worker->log_began < TD_TICKS_PER_S)
        return;
    if (worker->log_left_out > 0 && td_log_begin(&line, TD_LOG_WARN, "log")) {
        td_log_u64(&line, "left_out", worker->log_left_out);
        td_log_str(&line, "message", TD_S("refusals and errors of the last second are not shown"));
        td_log_end(&line);
    }
    if (worker->audit)
        td_audit_tick(worker->audit);
    worker->log_began = worker->tick;
    worker->log_lines = 0;
    worker->log_left_out = 0;
}

/* Whether one more of the bounded lines may be written now. */
static bool may_write(struct td_worker *worker)
{
    td_conn_log_tick(worker);
    if (worker->log_lines < LINES_PER_S) {
        worker->log_lines++;
        return true;
    }
    worker->log_left_out++;
    return false;
}

void td_conn_log_refused(struct td_worker *worker, const struct td_conn *conn, const char *reason)
{
    struct td_audit_note note;
    char peer[TD_ADDR_LEN_MAX + 1];

    begin_note(&note, worker, conn, TD_AUDIT_REFUSED, peer);
    if (conn->principal)
        td_audit_actor(&note, conn->principal->subject);
    td_audit_str(&note, "reason", td_slice_str(reason));
    if (may_write(worker))
        td_audit_end(&note);
    else
        td_audit_end_unlogged(&note);
}

void td_request_log_error(const struct td_request *request, int err, struct td_slice detail)
{
    struct td_log_line line;
    int status = td_err_http(err);
    bool ours = status >= 500 && strcmp(td_err_code(err), "bad_request") != 0 &&
                err != TD_EDRAINING && err != TD_EMANY;

    if (ours && !may_write(request->worker))
        return;
    if (!td_log_begin(&line, ours ? TD_LOG_WARN : TD_LOG_DEBUG, "error"))
        return;
    td_conn_log(&line, request->conn);
    if (request->head)
        td_log_str(&line, "path", request->head->path);
    td_log_u64(&line, "status", (uint64_t)status);
    td_log_str(&line, "code", td_slice_str(td_err_code(err)));
    td_log_str(&line, "message", detail);
    td_log_end(&line);
}

void td_conn_log_command_error(const struct td_conn *conn, int err, struct td_slice message)
{
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_DEBUG, "command_error"))
        return;
    td_conn_log(&line, conn);
    td_log_str(&line, "code", td_slice_str(td_err_code(err)));
    td_log_str(&line, "message", message);
    td_log_end(&line);
}
