/* SPDX-License-Identifier: Apache-2.0 */
/* The command `auth`: another token of the same subject on an open connection. */
#pragma once

#include "edge/worker.h"

/* Takes `token` of the command.  Subscriptions are kept as far as the new token grants them; `authenticated` says until when it is valid and
 * what is lost.  A token that is not valid, or another subject's, is answered with an error, and the old one stays. */
void td_command_auth(struct td_worker *worker, struct td_conn *conn, struct td_slice command,
                     struct td_slice ref);
