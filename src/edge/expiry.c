/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/expiry.h"
#include "edge/control.h"
#include "edge/poll.h"
#include "edge/ws.h"
#include "os/clock.h"

/* A minute, and the second in which the sweep may come late. */
#define NOTICE_MS UINT64_C(61000)
#define NOT_TOLD  UINT32_MAX

void td_expiry_begin(struct td_conn *conn, td_unix_ms now)
{
    td_unix_ms exp = conn->principal->exp;

    conn->expiring_at = NOT_TOLD;
    if (exp == TD_EXP_NEVER || exp <= now)
        return; /* never, or the next look ends it */
    td_unix_ms left = exp - now;
    td_unix_ms at = left >= 2 * NOTICE_MS ? exp - NOTICE_MS : now + left / 2;
    conn->expiring_at = (uint32_t)TD_MIN(at / 1000, (td_unix_ms)NOT_TOLD);
}

static void tell(struct td_worker *worker, struct td_conn *conn, td_unix_ms left)
{
    struct td_control control;

    conn->expiring_at = NOT_TOLD;
    td_control_begin(&control, "token_expiring", (struct td_slice){NULL, 0});
    td_control_u64(&control, "expires_in", left / 1000);
    td_control_send(&control, worker, conn);
}

bool td_expiry_check(struct td_worker *worker, struct td_conn *conn)
{
    td_unix_ms now = td_clock_unix_ms(),
               exp = conn->principal ? conn->principal->exp : TD_EXP_NEVER;

    if (now < exp) {
        if (conn->state == TD_CONN_WS && now / 1000 >= conn->expiring_at)
            tell(worker, conn, exp - now);
        return false;
    }
    if (exp == TD_EXP_NEVER)
        return false;
    if (conn->state == TD_CONN_WS) {
        td_ws_close(worker, conn, 4001, "Unauthorized: the token has expired");
    } else if (conn->state == TD_CONN_POLL) {
        td_poll_end(worker, conn);
    } else {
        td_conn_why(conn, "the token has expired");
        td_conn_finish(worker, conn);
    }
    return true;
}
