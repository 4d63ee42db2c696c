/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribing a connection: pattern ∩ grants, on every transport the same way. */
#pragma once

#include "edge/query.h"
#include "edge/worker.h"

/* Subscribes the connection's subscriber to `pattern` as far as its principal is granted it.  0, TD_EFORBIDDEN when nothing of it
 * is, TD_ETOOLARGE beyond the limit, or -ENOMEM; then nothing has changed. */
TD_MUST_USE int td_subscribe(struct td_worker *worker, struct td_conn *conn,
                             struct td_slice pattern);
/* Subscribes to all topics of a query, wanting only its types when it names some.  Likewise; then it is subscribed to nothing. */
TD_MUST_USE int td_subscribe_query(struct td_worker *worker, struct td_conn *conn,
                                   const struct td_query *query);
/* The same, answering the error itself; whether it is subscribed. */
bool td_request_subscribe(struct td_request *request, const struct td_query *query);
/* Whether a record passes the connection's filter. */
bool td_conn_wants(const struct td_conn *conn, const struct td_record *record);
/* Forgets what a request had subscribed to and filtered by. */
void td_unsubscribe_all(struct td_worker *worker, struct td_conn *conn);
/* Queues a `gap` message for what `conn` is subscribed to. */
void td_tell_gap(struct td_worker *worker, struct td_conn *conn, struct td_position from,
                 uint64_t to, enum td_gap_reason reason);
const char *td_gap_reason_text(enum td_gap_reason reason);
/* Notes that a caught_up with that `ref` (raw, or empty) is owed.  0 or -ENOMEM. */
TD_MUST_USE int td_owe_caught_up(struct td_conn *conn, struct td_slice ref);
/* Queues a caught_up for each that is owed; one without `ref` when none is. */
void td_tell_caught_up(struct td_worker *worker, struct td_conn *conn);
void td_owed_free(struct td_conn *conn);
/* Moves the connection to where `since` says, telling a gap when that is of another log. */
void td_seek(struct td_worker *worker, struct td_conn *conn, enum td_since since,
             struct td_position position);
