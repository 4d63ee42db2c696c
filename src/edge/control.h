/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: what the server says about the connection itself.  The same JSON on every transport, with
 * `"control":true`; a text frame on WebSocket, `event: tidings` on SSE. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "edge/worker.h"

/* A message being built: begin, members, send. */
struct td_control {
    struct td_buf json;
    char id[TD_POSITION_LEN_MAX + 1]; /* for SSE; empty: none */
};

/* Begins `{"type":"<type>","control":true`; `ref` (raw JSON or empty) names the command that it answers. */
void td_control_begin(struct td_control *control, const char *type, struct td_slice ref);
void td_control_str(struct td_control *control, const char *name, struct td_slice text);
void td_control_raw(struct td_control *control, const char *name, struct td_slice json);
void td_control_u64(struct td_control *control, const char *name, uint64_t number);
void td_control_position(struct td_control *control, const char *name, struct td_position position);
/* `time`: now. */
void td_control_now(struct td_control *control);
/* Likewise `position`, which on SSE is the message's `id:` too, so that a reader who saw no event yet resumes from there. */
void td_control_resume(struct td_control *control, const struct td_worker *worker, uint64_t seq);
/* Ends the message and queues it on the connection; it goes before any further event. */
void td_control_send(struct td_control *control, struct td_worker *worker, struct td_conn *conn);
/* Ends the message and holds it until `seq` is readable. */
void td_control_send_when(struct td_control *control, struct td_worker *worker,
                          struct td_conn *conn, uint64_t seq);

/* The ones that several places send. */
void td_control_connection(struct td_worker *worker, struct td_conn *conn, uint64_t position);
void td_control_error(struct td_worker *worker, struct td_conn *conn, struct td_slice ref, int err,
                      struct td_slice message);
/* The same, which says when to try again: in so many seconds; 0: what that error says by itself. */
void td_control_error_after(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                            int err, struct td_slice message, unsigned retry_after_s);
/* A `gap` for all that the connection is subscribed to; `from` may be of another log. */
void td_control_gap(struct td_worker *worker, struct td_conn *conn, struct td_position from,
                    const struct td_gap *gap);
const char *td_gap_reason_text(enum td_gap_reason reason);
