/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket on a connection (RFC 6455). */
#pragma once

#include "edge/http.h"
#include "edge/query.h"

/* Answers an upgrade: 101, or the error that the handshake deserves.  Without a valid token it is accepted and closed with 4001,
 * so that a browser can tell (docs/protocol.md). */
void td_ws_upgrade(struct td_request *request, const struct td_query *query);
/* Takes frames as they come; unmasks in place. */
void td_ws_take(struct td_worker *worker, struct td_conn *conn, char *bytes, size_t len);
/* Queues a ping. */
void td_ws_ping(struct td_worker *worker, struct td_conn *conn);
/* Acts on one text message. */
void td_command_take(struct td_worker *worker, struct td_conn *conn, struct td_slice text);
