/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of an event stream (WHATWG HTML 9.2), line by line as EventSource reads it, and stricter: a field that this
 * server has no reason to send is a fault. */
#pragma once

#include "base/slice.h"

struct client_sse {
    struct td_slice id, event, data; /* ptr NULL: not given */
    bool retry;
    size_t len; /* bytes up to and with the empty line */
};

/* Reads up to the next empty line.  1 when there is one, 0 when there is more to come, -1 and a sentence for a fault. */
int client_sse_next(struct td_slice in, struct client_sse *ret_sse, const char **why);
