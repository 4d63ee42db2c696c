/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/ask.h"
#include "base/err.h"
#include "desk/desk.h"
#include <errno.h>
#include <stdlib.h>

struct td_edge_ask *td_edge_ask_new(struct td_worker *worker, struct td_conn *conn,
                                    enum td_ask_verb verb, size_t text_bytes)
{
    struct td_edge_ask *ask = calloc(1, sizeof(*ask));

    if (!ask)
        return NULL;
    if (td_ask_init(&ask->ask, verb, text_bytes) < 0) {
        free(ask);
        return NULL;
    }
    ask->_worker = worker;
    ask->_index = conn->index;
    ask->_generation = conn->generation;
    ask->_principal = conn->principal ? td_principal_ref(conn->principal) : NULL;
    ask->ask.principal = ask->_principal;
    td_addr_format(&conn->peer, ask->_peer);
    ask->ask.address = td_slice_str(ask->_peer);
    td_list_init(&ask->_mail.list);
    return ask;
}

void td_edge_ask_free(struct td_edge_ask *ask)
{
    if (!ask)
        return;
    if (ask->free_load)
        ask->free_load(ask->ask.load);
    td_principal_unref(ask->_principal);
    td_buf_done(&ask->_bytes);
    td_ask_done(&ask->ask);
    free(ask);
}

static void deliver(struct td_worker *worker, struct td_mail *mail)
{
    struct td_edge_ask *ask = TD_CONTAINER_OF(mail, struct td_edge_ask, _mail);
    struct td_conn *conn = td_worker_conn(worker, ask->_index);

    if (conn && conn->generation == ask->_generation && conn->state != TD_CONN_GONE) {
        conn->asks--;
        ask->_answered(worker, conn, ask);
    }
    td_edge_ask_free(ask);
}

/* The desk's thread. */
static void answered(struct td_ask *ask)
{
    struct td_edge_ask *of = TD_CONTAINER_OF(ask, struct td_edge_ask, ask);

    of->_mail.deliver = deliver;
    td_worker_post(of->_worker, &of->_mail);
}

static void serve_again(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask)
{
    struct td_slice bytes = td_buf_slice(&ask->_bytes);

    if (conn->state == TD_CONN_ASKING)
        td_http_serve_again(worker, conn, td_slice_to(bytes, ask->_head_len),
                            td_slice_from(bytes, ask->_head_len), &ask->ask, ask->_passes);
}

static void begin(struct td_conn *conn, struct td_edge_ask *ask)
{
    ask->ask.answered = answered;
    conn->asks++;
}

bool td_request_park(struct td_request *request, struct td_edge_ask *ask)
{
    int r = !ask ? -ENOMEM : request->passes >= TD_PASSES_MAX ? TD_EUNAVAILABLE : 0;

    if (r == 0) {
        ask->_bytes = TD_BUF_INIT(request->raw.len + request->body.len);
        ask->_head_len = request->raw.len;
        ask->_passes = request->passes + 1;
        ask->_answered = serve_again;
        td_buf_put(&ask->_bytes, request->raw);
        td_buf_put(&ask->_bytes, request->body);
        r = ask->_bytes.err;
    }
    if (r < 0) {
        td_edge_ask_free(ask);
        td_respond_error(request, TD_EUNAVAILABLE, td_slice_str(td_err_hint(TD_EUNAVAILABLE)));
        return false;
    }
    request->conn->state = TD_CONN_ASKING;
    request->conn->active = request->worker->tick;
    begin(request->conn, ask);
    return true;
}

void td_request_ask(struct td_request *request, struct td_edge_ask *ask)
{
    if (td_request_park(request, ask))
        td_desk_ask(request->worker->desk, &ask->ask);
}

int td_conn_ask(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask,
                struct td_slice ref,
                void (*on_answer)(struct td_worker *worker, struct td_conn *conn,
                                  struct td_edge_ask *ask))
{
    int r = !ask ? -ENOMEM : conn->asks >= TD_ASKS_MAX ? TD_ERATE : 0;

    if (r < 0) {
        td_edge_ask_free(ask);
        return r;
    }
    if (ref.len > 0 && ref.len <= TD_ASK_REF_MAX)
        memcpy(ask->_ref, ref.ptr, ref.len);
    ask->ref = td_slice(ask->_ref, ref.len <= TD_ASK_REF_MAX ? ref.len : 0);
    ask->_answered = on_answer;
    begin(conn, ask);
    td_desk_ask(worker->desk, &ask->ask);
    return 0;
}

struct td_slice td_ask_why(const struct td_ask *ask)
{
    return ask->why.len > 0 ? td_buf_slice(&ask->why) : td_slice_str(td_err_hint(ask->err));
}

void td_respond_answer(struct td_request *request, int status, struct td_slice headers)
{
    const struct td_ask *answer = request->answer;

    if (answer->err < 0) {
        td_respond_error_with(request, answer->err, td_ask_why(answer), headers);
        return;
    }
    td_respond(request, &(struct td_response){
                            .status = status,
                            .content_type = answer->body.len > 0 ? "application/json" : NULL,
                            .headers = headers,
                            .body = td_buf_slice(&answer->body),
                            .err = answer->body.err,
                            .position = answer->position,
                            .has_position = answer->has_position,
                            .wait_for = answer->wait_for,
                        });
}
