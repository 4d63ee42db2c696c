/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of events: JSON history, and long-poll, which is a page that waits until it holds something. */
#pragma once

#include "edge/http.h"
#include "edge/query.h"

/* Answers an authenticated GET with a page, now or when something arrives. */
void td_page_start(struct td_request *request, const struct td_query *query);
/* The hub has something for a poll. */
void td_poll_touched(struct td_worker *worker, struct td_conn *conn);
/* Looks again at the polls that were touched, or wait for a segment. */
void td_polls_run(struct td_worker *worker);
/* Answers a poll with what there is, if only its position. */
void td_poll_end(struct td_worker *worker, struct td_conn *conn);
/* Only in the state poll, which ends. */
void td_poll_free(struct td_conn *conn);
