/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: what a client says on a WebSocket. */
#pragma once

#include "edge/worker.h"

/* Acts on one text message. */
void td_command_take(struct td_worker *worker, struct td_conn *conn, struct td_slice text);
