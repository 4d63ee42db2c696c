/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a token while its connection is open. */
#pragma once

#include "edge/worker.h"

/* Notes when the client is to be told that the token of a WebSocket ends: a minute before, or after half of what is left of it when that
 * is less than two minutes. */
void td_expiry_begin(struct td_conn *conn, td_unix_ms now);
/* Asked once a second of a WebSocket, stream or poll: tells `token_expiring` once (WebSocket), and ends the connection, or answers the
 * poll, when the time has come.  Whether it has. */
bool td_expiry_check(struct td_worker *worker, struct td_conn *conn);
