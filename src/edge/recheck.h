/* SPDX-License-Identifier: Apache-2.0 */
/* What an open connection may see is checked again when its grants become others: a reload brought another policy, or the subject showed another
 * token. */
#pragma once

#include "edge/worker.h"

/* Makes `principal` (the same subject's; a reference is taken) the connection's, and each of its subscriptions again what was named
 * intersected with the grants: wider, narrower, or gone.  From here on nothing that is not granted is sent, also of what was owed.
 *
 * Appends to `lost` a JSON array of what is not delivered any more: a name of which nothing is left, or the parts of it that are.
 * Returns how many; or an error (-ENOMEM, TD_ETOOLARGE): then the connection was dropped. */
TD_MUST_USE int td_recheck(struct td_worker *worker, struct td_conn *conn,
                           struct td_principal *principal, struct td_buf *lost);
#define TD_RECHECK_LOST_MAX ((size_t)256 * 1024)

/* What is opened besides what is granted (opened.h) has become less: subscriptions that rested on it end, which is told with the reason, and a stream or a poll of which
 * nothing is left ends. */
void td_recheck_opened(struct td_worker *worker, struct td_conn *conn, const char *reason);

/* Looks whether a connection that events go to was granted them by the policy in use, and if not checks it again: what is lost is told
 * (`access_lost`), and a stream or a poll of which nothing is left ends.  Cheap when nothing has changed. */
void td_recheck_policy(struct td_worker *worker, struct td_conn *conn);
