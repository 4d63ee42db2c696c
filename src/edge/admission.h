/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come in, and how often: limits by address and by user (quota.h), and whose address counts behind a proxy. */
#pragma once

#include "codec/http1.h"
#include "edge/worker.h"

/* A connection was accepted: counts it for its address; one too many is told so at its first request.  Of a trusted proxy the connections are
 * counted when it is known whom they are for. */
void td_admission_accepted(struct td_worker *worker, struct td_conn *conn);
/* A request has come: from a trusted proxy, for the address that its X-Forwarded-For names. */
void td_admission_request(struct td_worker *worker, struct td_conn *conn,
                          const struct td_http_request *head);
/* The connection is to become a WebSocket or a stream of its principal: counts it for the user.  0; or TD_EMANY with `*what` a static
 * sentence, or -ENOMEM. */
TD_MUST_USE int td_admission_stream(struct td_worker *worker, struct td_conn *conn,
                                    const char **what);
/* It has gone. */
void td_admission_gone(struct td_worker *worker, struct td_conn *conn);

/* Whether the connection's address may have another token looked at; and that one was not valid. */
bool td_admission_may_try(struct td_worker *worker, const struct td_conn *conn);
void td_admission_failed(struct td_worker *worker, const struct td_conn *conn);
/* Takes one out of a bucket that is filled with `per_s` a second, up to twice as many; false when there is none left.  0: no limit. */
bool td_bucket_take(struct td_bucket *bucket, unsigned per_s, td_ticks now);
/* Takes one publish out of what the connection may send a second; false when there is none left. */
bool td_admission_publish(struct td_worker *worker, struct td_conn *conn);
