/* SPDX-License-Identifier: Apache-2.0 */
/* A request to an endpoint: who may come in, what it is subscribed to, and what binds its connection afterwards.
 *
 *     read ──► admit (token, rule) ──► open (limits; the connection is bound)      … td_bound_free when it is over
 */
#pragma once

#include "edge/endpoint.h"
#include "edge/filter.h"
#include "edge/http.h"
#include "edge/query.h"

#define TD_VISIT_CONDITIONS_MAX (TD_ENDPOINT_TOPICS_MAX + 64)

struct td_visit {
    struct td_endpoint *endpoint; /* borrowed: good for the turn */
    struct td_endpoint_values values;
    struct td_slice topics[TD_ENDPOINT_TOPICS_MAX]; /* expanded, valid patterns */
    struct td_condition conditions[TD_VISIT_CONDITIONS_MAX];
    size_t n_conditions;
    bool opened;         /* the rule lets it see jobs/{job_id}/** besides what is granted */
    struct td_buf _text; /* of all these; reserved whole, so it does not move */
    char _session[TD_SEGMENT_LEN_MAX + 1];
};

/* What a connection keeps of its visit. */
struct td_bound {
    struct td_seat *seat;     /* NULL: its number is not limited; see edge/seat.h */
    struct td_slice session;  /* ptr NULL: none */
    struct td_slice values[]; /* of the endpoint's variables; their texts stand behind them */
};

/* Finds the endpoint of a request's path and reads what its URL says for it: filters, `session`.  0; TD_ENOTFOUND, or TD_EINVAL with a
 * sentence in `why`, or -ENOMEM.  End with td_visit_done in any case. */
TD_MUST_USE int td_visit_read(struct td_visit *visit, const struct td_request *request,
                              struct td_buf *why);
void td_visit_done(struct td_visit *visit);
/* Who is it, and does the rule let it in?  0 and request->principal; 1: the desk was asked, and the request is served again; an error as of
 * td_request_authenticate; TD_EFORBIDDEN, TD_ENOTFOUND, -ENOMEM or one of the desk.  `*what` is a static sentence. */
TD_MUST_USE int td_visit_admit(struct td_request *request, struct td_visit *visit,
                               const char **what);
/* Binds the connection of who was admitted to the endpoint, and completes the query: topics, format, state.  `stays`: it counts among the
 * endpoint's connections.  0; TD_EMANY, TD_ERATE or -ENOMEM. */
TD_MUST_USE int td_visit_open(struct td_request *request, struct td_visit *visit,
                              struct td_query *query, bool stays, const char **what);
/* The connection is bound no more. */
void td_bound_free(struct td_conn *conn);
/* The endpoints have become others: the connection goes on with the numbers of the one that has its place now.  One that was let in by a public
 * rule is closed when that is gone. */
void td_bound_renew(struct td_worker *worker, struct td_conn *conn);
