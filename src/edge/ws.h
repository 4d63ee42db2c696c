/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket on a connection (RFC 6455). */
#pragma once

#include "edge/http.h"
#include "edge/query.h"

struct td_visit;

/* Answers an upgrade: 101, or the error that the handshake deserves.  Who may not come in is accepted and closed with 4001 (no valid token),
 * 4003 or 4004, so that a browser can tell (docs/protocol.md).  `visit`: of an endpoint; NULL: of a resource. */
void td_ws_upgrade(struct td_request *request, struct td_query *query, struct td_visit *visit);
/* Takes frames as they come; unmasks in place. */
void td_ws_take(struct td_worker *worker, struct td_conn *conn, char *bytes, size_t len);
/* Sends a close frame with a code and a reason, then finishes the connection. */
void td_ws_close(struct td_worker *worker, struct td_conn *conn, int code, const char *reason);
/* Queues a frame; without memory for it the connection is dropped. */
void td_ws_send(struct td_worker *worker, struct td_conn *conn, enum td_ws_opcode opcode,
                struct td_slice payload);
