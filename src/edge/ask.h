/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and commands that wait for the desk (desk/ask.h).
 *
 * An HTTP request that needs the desk is served twice: the first time it sends an ask, and its connection waits; the second time, from its
 * beginning, it has the answer in `request->answer`.  What a handler does before it asks it therefore does twice.
 *
 *     if (!request->answer) {
 *         struct td_edge_ask *ask = td_edge_ask_new(request->worker, request->conn, TD_ASK_READ, bytes);
 *         …fill in ask->ask…
 *         td_request_ask(request, ask);
 *         return;
 *     }
 *     td_respond…(request->answer)
 *
 * A command on a WebSocket does not wait: other commands may be answered before it. */
#pragma once

#include "desk/ask.h"
#include "edge/http.h"
#include "edge/worker.h"

/* Asks of one WebSocket that may be under way. */
#define TD_ASKS_MAX 64
/* How often one request may be served again. */
#define TD_PASSES_MAX  8
#define TD_ASK_REF_MAX 256

struct td_edge_ask {
    struct td_ask ask;

    struct td_mail _mail;
    struct td_worker *_worker;
    uint32_t _index, _generation; /* of the connection */
    struct td_principal *_principal;
    char _peer[TD_ADDR_LEN_MAX + 1];
    struct td_buf _bytes; /* of a request: head, then body */
    size_t _head_len;
    unsigned _passes;
    void (*_answered)(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask);
    void (*free_load)(void *load); /* frees what ask.load points to, with the ask; or NULL */
    struct td_slice ref;           /* of a command: raw, or empty; in … */
    char _ref[TD_ASK_REF_MAX];
};

/* An ask of a connection's principal, with room for `text_bytes` of texts; NULL when memory is out. */
struct td_edge_ask *td_edge_ask_new(struct td_worker *worker, struct td_conn *conn,
                                    enum td_ask_verb verb, size_t text_bytes);
/* For one that is not sent after all. */
void td_edge_ask_free(struct td_edge_ask *ask);
/* Sends the ask of a request, taking it over (NULL: answers that memory is out). */
void td_request_ask(struct td_request *request, struct td_edge_ask *ask);
/* Lets a request wait for an ask that the caller sends to somebody else than the desk, who calls ask->ask.answered.  False when it was answered that
 * it can't be; then the ask is freed. */
TD_MUST_USE bool td_request_park(struct td_request *request, struct td_edge_ask *ask);
/* Sends the ask of a command, taking it over.  `answered` is called when it is back, unless the connection has gone; the ask is freed
 * behind that.  0; or TD_ERATE when too many are under way, -ENOMEM when it is NULL. */
TD_MUST_USE int td_conn_ask(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask,
                            struct td_slice ref,
                            void (*answered)(struct td_worker *worker, struct td_conn *conn,
                                             struct td_edge_ask *ask));

/* Answers a request with what the desk said: an error, or the body with a status. */
void td_respond_answer(struct td_request *request, int status, struct td_slice headers);
/* The sentence that goes with an answer that is an error. */
struct td_slice td_ask_why(const struct td_ask *ask);
