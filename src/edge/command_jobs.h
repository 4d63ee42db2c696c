/* SPDX-License-Identifier: Apache-2.0 */
/* The commands `start` and `cancel` of a WebSocket. */
#pragma once

#include "edge/worker.h"

/* {"type":"start","kind","request_id","params","viewers"}: answered `started` {job_id, request_id, topic} once it is readable.  What the
 * endpoint's path says counts as parameters. */
void td_command_start(struct td_worker *worker, struct td_conn *conn, struct td_slice command,
                      struct td_slice ref);
/* {"type":"cancel"} with job_id, request_id or proposal_id: answered `cancelling` {job_id, state} for each job that is meant. */
void td_command_cancel_job(struct td_worker *worker, struct td_conn *conn, struct td_slice command,
                           struct td_slice ref);
