/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: what a client says on a WebSocket. */
#pragma once

#include "edge/worker.h"

/* Counts a message against the rate of commands.  False when it is not to be looked at: the client has been told, or its connection
 * closed. */
bool td_command_admit(struct td_worker *worker, struct td_conn *conn);
/* Acts on one text message that was admitted. */
void td_command_take(struct td_worker *worker, struct td_conn *conn, struct td_slice text);
