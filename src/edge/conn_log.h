/* SPDX-License-Identifier: Apache-2.0 */
/* What the log says of connections: each stream of events that begins and ends, who was let in how (debug), who was refused, and errors.
 * Nothing here writes a token: of a request's target only the path is shown, of its subprotocols only short ones. */
#pragma once

#include "edge/http.h"

/* Adds the connection's id and its peer's address to a line of the log. */
void td_conn_log(struct td_log_line *line, const struct td_conn *conn);
/* A stream of events has begun. */
void td_conn_log_connect(const struct td_worker *worker, const struct td_conn *conn,
                         const char *transport, struct td_slice path);
/* A connection is over: streams at info, others at debug. */
void td_conn_log_disconnect(const struct td_worker *worker, const struct td_conn *conn,
                            const char *reason);
/* How a stream was asked for, and what was decided; at debug. */
void td_conn_log_handshake(const struct td_request *request, const char *decision);
/* Someone was not let in.  Of what strangers can cause as often as they like, 10 lines a second are written by a worker, and then how many
 * were left out. */
void td_conn_log_refused(struct td_worker *worker, const struct td_conn *conn, const char *reason);
/* A request was answered with an error: the server's own at warn, bounded likewise, others at debug. */
void td_request_log_error(const struct td_request *request, int err, struct td_slice detail);
/* A command was answered with one; at debug. */
void td_conn_log_command_error(const struct td_conn *conn, int err, struct td_slice message);
/* Tells how many lines were left out in a second that is over; each tick. */
void td_conn_log_tick(struct td_worker *worker);
