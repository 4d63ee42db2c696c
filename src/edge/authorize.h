/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for what the token of a connection does not grant: the authorizer (desk/authorizer.h), when somebody comes, when he subscribes, and again as long as he stays;
 * of the topic of a job (jobs/{job_id}) the desk, once, because whom a job is shown to does not change.
 *
 * The authorizer is asked for a named pattern of which nothing is granted, unless that is private or taken from the subject.  What it permits is opened for that subscription
 * (opened.h), and asked for again before its time is over; a refusal ends it (`access_lost`), and so does no answer for longer than a grace. */
#pragma once

#include "desk/permit.h"
#include "edge/http.h"
#include "edge/query.h"

struct td_edge_ask;

/* Asks for those of a request's topics that have to be asked for.  0: there are none, or the request was served again with the answer; 1: it was asked, and the
 * request is served again; TD_EUNAVAILABLE, with `*what` a static sentence: there was no answer for one of them. */
TD_MUST_USE int td_authorize_request(struct td_request *request, struct td_slices topics,
                                     struct td_slice endpoint, const char **what);
/* The same for what a query names, once the request is authenticated. */
TD_MUST_USE int td_authorize_query(struct td_request *request, const struct td_query *query,
                                   const char **what);
/* What the authorizer said of a request that is served again; NULL: it was not asked. */
struct td_permits *td_authorized(const struct td_request *request);
/* Whether it permitted any of it. */
bool td_authorized_any(const struct td_request *request);

/* Asks for what a SUBSCRIBE names, sending `command` along: `answered` gets it back as ask->ask.document, with ask->ask.permits.  0: there is nothing to ask
 * for; 1: it was asked; or an error as of td_conn_ask. */
TD_MUST_USE int td_authorize_command(struct td_worker *worker, struct td_conn *conn,
                                     struct td_slices topics, struct td_slice command,
                                     void (*answered)(struct td_worker *worker,
                                                      struct td_conn *conn,
                                                      struct td_edge_ask *ask));

/* Opens what is permitted; `permits` may be NULL.  0 or -ENOMEM. */
TD_MUST_USE int td_authorized_take(struct td_worker *worker, struct td_conn *conn,
                                   const struct td_permits *permits);
/* Asks again for what is due, and ends what is over; once a second, and cheap when there is nothing. */
void td_authorize_sweep(struct td_worker *worker, struct td_conn *conn);
/* The subject has shown another token: what was permitted is asked for again. */
void td_authorize_anew(struct td_conn *conn);
