/* SPDX-License-Identifier: Apache-2.0 */
/* An answer to which each worker has to give its part: what connections there are, and the like.  The request waits as for the desk (ask.h), and
 * is served again with what the workers appended to `body`. */
#pragma once

#include "edge/ask.h"

/* Asks all workers.  `part` is called by each in its own turn, one after the other; it appends to ask->body, of which more than TD_ASK_BODY_MAX
 * is an error.  Takes the ask over (NULL: answers that memory is out). */
void td_request_gather(struct td_request *request, struct td_worker *const *workers,
                       size_t n_workers, struct td_edge_ask *ask,
                       void (*part)(struct td_worker *worker, struct td_ask *ask));
