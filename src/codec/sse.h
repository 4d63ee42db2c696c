/* SPDX-License-Identifier: Apache-2.0 */
/* Server-Sent Events (WHATWG HTML, §9.2).  The one writer of such streams: no field can forge another. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

struct td_sse_event {
    struct td_slice id;    /* left out when ptr is NULL */
    struct td_slice event; /* left out when empty */
    struct td_slice data;
};

/* Appends one event.  `data` is split into a `data:` line at each CR, LF or CRLF; `id` and `event` that hold CR, LF or NUL are
 * refused with TD_EINVAL and nothing is written. */
TD_MUST_USE int td_sse_put(struct td_buf *out, const struct td_sse_event *event);
/* Appends `id:` alone: moves the position of a quiet reader (no event is dispatched by browsers). */
TD_MUST_USE int td_sse_put_id(struct td_buf *out, struct td_slice id);
/* Appends a comment line; CR and LF in it become spaces. */
int td_sse_put_comment(struct td_buf *out, struct td_slice text);
/* Appends `retry:`, the client's reconnection time. */
int td_sse_put_retry(struct td_buf *out, uint64_t retry_ms);
