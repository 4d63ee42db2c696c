/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribing a connection: pattern ∩ grants, on every transport the same way. */
#pragma once

#include "edge/query.h"
#include "edge/worker.h"

/* Subscribes the connection's subscriber to `pattern` as far as its principal is granted it.  0, TD_EFORBIDDEN when nothing of it
 * is, TD_ETOOLARGE beyond the limit, TD_ESHAPES or -ENOMEM; then nothing has changed. */
TD_MUST_USE int td_subscribe(struct td_worker *worker, struct td_conn *conn,
                             struct td_slice pattern);
/* Subscribes to all topics of a query, wanting only its types when it names some.  Likewise; then it is subscribed to nothing. */
TD_MUST_USE int td_subscribe_query(struct td_worker *worker, struct td_conn *conn,
                                   const struct td_query *query);
/* The same, answering the error itself; whether it is subscribed. */
bool td_request_subscribe(struct td_request *request, const struct td_query *query);
/* Forgets what a request had subscribed to and filtered by. */
void td_unsubscribe_all(struct td_worker *worker, struct td_conn *conn);
/* Notes, after the first SUBSCRIBE was answered, that a caught_up with that `ref` (raw, or empty) is owed.  0 or -ENOMEM. */
TD_MUST_USE int td_owe_caught_up(struct td_conn *conn, struct td_slice ref);
/* Queues a caught_up for each that is owed; one without `ref` when none is. */
void td_tell_caught_up(struct td_worker *worker, struct td_conn *conn);
/* Only in the state ws, which ends: what its URL says for the first SUBSCRIBE goes, or what is owed. */
void td_start_free(struct td_conn *conn);
/* Queues the caught_up that ends the history which a SUBSCRIBE with that `ref` asked for. */
void td_tell_history_ended(struct td_worker *worker, struct td_conn *conn, struct td_slice ref);
/* Queues a gap from a position of another log to gap->to. */
void td_tell_other_epoch(struct td_worker *worker, struct td_conn *conn, struct td_position from,
                         const struct td_gap *gap);
/* Where a reader begins: the sequence after which it reads.  `ret_other_epoch`: the position is of another log, and
 * the reader begins at the oldest event of this one. */
uint64_t td_since_seq(const struct td_worker *worker, enum td_since since,
                      struct td_position position, bool *ret_other_epoch);
/* Of which gaps of retention such a reader of the connection's topics need not be told: it may begin at the oldest that there is. */
struct td_told td_since_told(const struct td_worker *worker, const struct td_conn *conn,
                             enum td_since since, bool other_epoch);
/* Begins to send what a query asks for, which is subscribed: from where `since` says, the state first where it is wanted. */
void td_begin(struct td_worker *worker, struct td_conn *conn, const struct td_query *query);
/* Moves the connection to where `since` says, telling a gap when that is of another log. */
void td_seek(struct td_worker *worker, struct td_conn *conn, enum td_since since,
             struct td_position position);
