/* SPDX-License-Identifier: Apache-2.0 */
/* A publish some of whose events change entities: the desk appends it (desk/entities.h), all or nothing like any other. */
#pragma once

#include "edge/ask.h"
#include "edge/publish.h"

/* An ask for what td_publish_run has said TD_PUBLISH_ASK to; it keeps copies of all that it needs.  NULL when memory is out. */
struct td_edge_ask *td_publish_ask(struct td_worker *worker, struct td_conn *conn,
                                   struct td_slice body, bool ndjson,
                                   const struct td_publish_options *options);
/* The publish of an ask that is back without an error, appended; td_publish_done is not called for it. */
struct td_publish *td_publish_answered(struct td_worker *worker, const struct td_ask *answer);
