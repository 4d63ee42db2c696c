/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/ws.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/deflate.h"
#include "codec/ws.h"
#include "codec/ws_extension.h"
#include "edge/admission.h"
#include "edge/authorize.h"
#include "edge/command.h"
#include "edge/conn_log.h"
#include "edge/control.h"
#include "edge/expiry.h"
#include "edge/presence.h"
#include "edge/subscribe.h"
#include "edge/visit.h"
#include "os/clock.h"
#include <errno.h>

static size_t count_headers(const struct td_http_request *head, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < head->n_headers; i++)
        n += td_slice_eq_nocase(head->headers[i].name, td_slice_str(name));
    return n;
}

/* What a valid handshake is answered with. */
struct answer {
    char accept[TD_WS_ACCEPT_LEN + 1];
    bool deflates;
    struct td_ws_deflate deflate; /* what is agreed to, when it `deflates` */
};

/* RFC 6455 §4.2.1; key and version must not stand twice (§11.3).  0, or an error. */
static int check_handshake(const struct td_request *request, struct answer *ret_answer,
                           const char **what)
{
    const struct td_edge_options *options = request->worker->options;
    const struct td_http_request *head = request->head;
    struct td_slice version = td_http_header(head, "sec-websocket-version");

    *what = "The WebSocket handshake is not valid (RFC 6455 section 4.2.1).";
    if (head->method != TD_HTTP_GET || head->http10 ||
        count_headers(head, "sec-websocket-key") > 1 ||
        count_headers(head, "sec-websocket-version") > 1)
        return TD_EINVAL;
    if (!td_slice_eq(version, TD_S("13"))) {
        *what = "Only WebSocket version 13 is spoken.";
        return version.ptr ? TD_EUPGRADE : TD_EINVAL;
    }
    int r = td_ws_deflate_choose(head, options->compression_takeover, &ret_answer->deflate);
    if (r < 0) {
        *what = "Sec-WebSocket-Extensions can't be read (RFC 6455 section 9.1).";
        return r;
    }
    ret_answer->deflates = r > 0 && options->compression;
    return td_ws_accept_key(td_http_header(head, "sec-websocket-key"), ret_answer->accept);
}

static int put_101(struct td_request *request, const struct answer *answer, struct td_buf *out)
{
    td_buf_puts(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    td_buf_puts(out, answer->accept);
    if (answer->deflates) {
        td_buf_puts(out, "\r\nSec-WebSocket-Extensions: ");
        td_ws_deflate_put(&answer->deflate, out);
    }
    /* Only a protocol that was offered may be answered (§4.2.2); the bearer is never echoed. */
    if (td_http_header_has(request->head, "sec-websocket-protocol", "tidings"))
        td_buf_puts(out, "\r\nSec-WebSocket-Protocol: tidings");
    td_buf_puts(out, "\r\n\r\n");
    return out->err;
}

static bool become_ws(struct td_request *request, const struct answer *answer)
{
    struct td_worker *worker = request->worker;
    struct td_conn *conn = request->conn;
    struct td_outbox *out = td_conn_out(worker, conn);

    if (!out)
        return false;
    if (put_101(request, answer, &out->ready) < 0) {
        td_conn_drop(worker, conn, "no memory");
        return false;
    }
    conn->state = TD_CONN_WS;
    if (answer->deflates) {
        conn->inflate_bits = answer->deflate.client_bits & 15U;
        conn->inflate_takeover = answer->deflate.client_takeover;
    }
    conn->counted_ws = true;
    TD_COUNT(worker, ws_opened);
    TD_COUNT(worker, connections_ws);
    td_conn_dirty(worker, conn);
    return true;
}

/* How events go to a client: compressed where that is agreed to and its window is not smaller than what they are compressed with.  A
 * server may always send what it likes uncompressed (RFC 7692 §6). */
static enum td_wire wire_for(const struct answer *answer, enum td_format format)
{
    bool deflated = answer->deflates && answer->deflate.server_bits >= TD_DEFLATE_BITS;

    return td_wire_of(deflated ? TD_TRANSPORT_WS_DEFLATED : TD_TRANSPORT_WS, format);
}

static void log_accepted(const struct td_request *request, const struct answer *answer)
{
    struct td_buf decision = TD_BUF_INIT(256);

    td_buf_puts(&decision, "accepted");
    if (answer->deflates) {
        td_buf_puts(&decision, ", ");
        td_ws_deflate_put(&answer->deflate, &decision);
    }
    td_buf_putc(&decision, '\0');
    td_conn_log_handshake(request, decision.err ? "accepted" : decision.ptr);
    td_buf_done(&decision);
}

/* First, because nobody without a right to it is agreed with on anything that costs. */
static int admit(struct td_request *request, struct td_query *query, struct td_visit *visit,
                 const char **what)
{
    int r = visit ? td_visit_admit(request, visit, what) : td_request_authenticate(request, what);

    if (r == 0 && !visit)
        r = td_authorize_query(request, query, what);
    if (r == 0)
        r = td_admission_stream(request->worker, request->conn, what);
    return r == 0 && visit ? td_visit_open(request, visit, query, true, what) : r;
}

void td_ws_upgrade(struct td_request *request, struct td_query *query, struct td_visit *visit)
{
    struct td_worker *worker = request->worker;
    struct td_conn *conn = request->conn;
    struct answer answer;
    const char *what;

    int r = check_handshake(request, &answer, &what);
    if (r < 0) {
        td_conn_log_handshake(request, "refused");
        td_respond_error_with(request, r, td_slice_str(what),
                              r == TD_EUPGRADE ? TD_S("Upgrade: websocket\r\n"
                                                      "Sec-WebSocket-Version: 13\r\n")
                                               : (struct td_slice){NULL, 0});
        return;
    }
    r = admit(request, query, visit, &what);
    if (r > 0)
        return; /* it is served again */
    /* Who is known is told on the WebSocket. */
    if (r == TD_EMANY || (r == TD_ERATE && !request->principal)) {
        td_conn_log_handshake(request, what);
        td_conn_log_refused(worker, conn, what);
        td_respond_error(request, r, td_slice_str(what));
        return;
    }
    answer.deflates = answer.deflates && r == 0;
    if (!become_ws(request, &answer))
        return;
    if (r < 0) {
        char reason[128];
        td_conn_log_handshake(request, what);
        td_conn_log_refused(worker, conn, what);
        snprintf(reason, sizeof(reason), "%s: %s",
                 td_err_close(r) == 4001 ? "Unauthorized" : td_err_code(r), what);
        td_ws_close(worker, conn, td_err_close(r), reason);
        return;
    }
    log_accepted(request, &answer);
    td_expiry_begin(conn, td_clock_unix_ms());
    td_conn_log_connect(worker, conn, "websocket", request->head->path);
    conn->subscriber.wire = wire_for(&answer, query->format);
    r = td_subscribe_query(worker, conn, query);
    if (r < 0) {
        char reason[128];
        snprintf(reason, sizeof(reason), "%s: %s", td_err_code(r), td_err_hint(r));
        td_ws_close(worker, conn, td_err_close(r), reason);
        return;
    }
    bool other_epoch;
    uint64_t position = td_since_seq(worker, query->since, query->position, &other_epoch);
    td_control_connection(worker, conn, position);
    td_presence_sync(worker, conn);
    if (conn->state != TD_CONN_WS)
        return;
    if (query->n_topics > 0) {
        td_begin(worker, conn, query);
    } else if ((query->since != TD_SINCE_NONE && query->since != TD_SINCE_NOW) ||
               query->state == TD_STATE_FIRST) {
        /* It counts for the first SUBSCRIBE. */
        conn->start = malloc(sizeof(*conn->start));
        if (conn->start)
            *conn->start = (struct td_start){(int)query->since, query->position,
                                             query->state == TD_STATE_FIRST};
        else
            td_conn_drop(worker, conn, "no memory");
    }
}

void td_ws_send(struct td_worker *worker, struct td_conn *conn, enum td_ws_opcode opcode,
                struct td_slice payload)
{
    struct td_outbox *out = td_conn_out(worker, conn);

    if (out && td_ws_put_frame(&out->ready, opcode, payload) < 0)
        td_conn_drop(worker, conn, "no memory");
    td_conn_dirty(worker, conn);
}

void td_ws_close(struct td_worker *worker, struct td_conn *conn, int code, const char *reason)
{
    if (conn->state != TD_CONN_WS || conn->ws_close_sent)
        return;
    struct td_outbox *out = td_conn_out(worker, conn);
    if (!out)
        return;
    conn->ws_close_sent = true;
    conn->close_code = (uint16_t)code;
    td_conn_why(conn, reason[0] ? reason : "closed by the client");
    if (td_ws_put_close(&out->ready, code, td_slice_str(reason)) < 0) {
        td_conn_drop(worker, conn, "no memory");
        return;
    }
    td_conn_finish(worker, conn);
}

/* RFC 6455 §5.5.1: a close is answered with its own code, then the server ends TCP. */
static void answer_close(struct td_worker *worker, struct td_conn *conn, int code)
{
    td_ws_close(worker, conn, code == 1005 ? 1000 : code, "");
}

/* A command costs its sender a place in a bucket; pings and pongs do not, so they have a limit of their own.  Each sweep, a
 * second, begins anew. */
#define CONTROLS_MAX 100

static bool admit_control(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->controls < CONTROLS_MAX) {
        conn->controls++;
        return true;
    }
    TD_COUNT(worker, limited[TD_LIMITED_CONTROL_FRAMES]);
    td_ws_close(worker, conn, 4029, "rate_limited: too many control frames");
    return false;
}

static void act(struct td_worker *worker, struct td_conn *conn, const struct td_ws_event *event)
{
    switch (event->type) {
    case TD_WS_TEXT:
        if (td_command_admit(worker, conn))
            td_command_take(worker, conn, event->payload);
        break;
    case TD_WS_BINARY:
        if (td_command_admit(worker, conn))
            td_control_error(worker, conn, (struct td_slice){NULL, 0}, TD_EINVAL,
                             TD_S("Commands are text messages."));
        break;
    case TD_WS_PING:
        if (admit_control(worker, conn))
            td_ws_send(worker, conn, TD_WS_PONG, event->payload);
        break;
    case TD_WS_PONG:
        if (admit_control(worker, conn))
            conn->pinged = 0;
        break;
    case TD_WS_CLOSE: answer_close(worker, conn, event->close_code); break;
    case TD_WS_CONT: break;
    }
}

static void fail(struct td_worker *worker, struct td_conn *conn, int code, int err)
{
    if (err == TD_ETOOLARGE)
        TD_COUNT(worker, limited[TD_LIMITED_MESSAGE]);
    td_ws_close(worker, conn, code,
                err == TD_ETOOLARGE ? "too_large: the message is larger than this server takes"
                : err == TD_EUTF8   ? "invalid: text must be UTF-8"
                                    : "protocol error");
}

void td_ws_take(struct td_worker *worker, struct td_conn *conn, char *bytes, size_t len)
{
    struct td_ws_decoder fresh, *decoder;
    struct td_ws_event event;
    int r;

    if (conn->in) {
        decoder = &conn->in->ws;
    } else {
        decoder = &fresh;
        td_ws_decoder_init(&fresh, worker->options->message_bytes_max);
        if (conn->inflate_bits > 0)
            td_ws_decoder_inflate(&fresh, conn->inflate_bits, conn->inflate_takeover);
    }
    while ((r = td_ws_decode(decoder, &bytes, &len, &event)) > 0) {
        act(worker, conn, &event);
        if (conn->state != TD_CONN_WS)
            break; /* its inbox is gone; a fresh decoder is ended below */
    }
    if (r < 0 && conn->state == TD_CONN_WS)
        fail(worker, conn, decoder->failed, r);
    bool open = conn->state == TD_CONN_WS;
    if (decoder == &fresh && (!open || td_ws_decoder_idle(&fresh))) {
        td_ws_decoder_done(&fresh);
    } else if (decoder == &fresh) {
        struct td_inbox *in = td_conn_in(worker, conn);
        if (in) {
            in->ws = fresh;
        } else {
            td_ws_decoder_done(&fresh);
            td_conn_drop(worker, conn, "no memory for input");
        }
    } else if (open && td_ws_decoder_idle(decoder)) {
        td_conn_drop_inbox(conn);
    }
}
