/* SPDX-License-Identifier: Apache-2.0 */
/* Server-Sent Events on a connection: the answer's body is the stream, until one side ends it. */
#pragma once

#include "edge/http.h"
#include "edge/query.h"

/* Begins the stream for an authenticated request.  Answers errors itself. */
void td_stream_start(struct td_request *request, const struct td_query *query);
/* Something for a stream on which nothing has been said for a while: `id:` alone, the position of a quiet reader. */
void td_stream_keep_alive(struct td_worker *worker, struct td_conn *conn);
