/* SPDX-License-Identifier: Apache-2.0 */
/* Server-Sent Events on a connection: the answer's body is the stream, until one side ends it. */
#pragma once

#include "edge/http.h"
#include "edge/query.h"

struct td_visit;

/* Begins the stream for an authenticated request; `visit`: one that was admitted to an endpoint, NULL: of a resource.  Answers errors
 * itself. */
void td_stream_start(struct td_request *request, struct td_query *query, struct td_visit *visit);
/* Something for a stream on which nothing has been said for a while: `id:` alone, the position of a quiet reader. */
void td_stream_keep_alive(struct td_worker *worker, struct td_conn *conn);
