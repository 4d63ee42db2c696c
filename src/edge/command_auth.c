/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/command_auth.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/authorize.h"
#include "edge/control.h"
#include "edge/expiry.h"
#include "edge/http.h"
#include "edge/recheck.h"
#include "os/clock.h"

static void answer(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                   struct td_slice lost, td_unix_ms now)
{
    const struct td_principal *principal = conn->principal;
    struct td_control control;

    td_control_begin(&control, "authenticated", ref);
    td_control_raw(&control, "user", principal->subject_json);
    if (principal->exp != TD_EXP_NEVER)
        td_control_u64(&control, "expires_in",
                       principal->exp > now ? (principal->exp - now) / 1000 : 0);
    td_control_raw(&control, "lost", lost);
    td_control_send(&control, worker, conn);
}

/* What the new token does not grant is gone before the answer is made, so nothing of it stands behind the answer. */
static void renew(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                  struct td_principal *principal)
{
    struct td_buf lost = TD_BUF_INIT(TD_RECHECK_LOST_MAX);
    td_unix_ms now = td_clock_unix_ms();

    if (td_recheck(worker, conn, principal, &lost) >= 0) {
        td_expiry_begin(conn, now);
        td_authorize_anew(conn);
        answer(worker, conn, ref, td_buf_slice(&lost), now);
    }
    td_buf_done(&lost);
}

static void take(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                 struct td_slice token)
{
    struct td_principal *principal;
    const char *reason;
    int r = td_conn_verify(worker, conn, token, &principal, &reason);

    if (r < 0) {
        td_control_error(worker, conn, ref, r, td_slice_str(reason));
        return;
    }
    if (td_slice_eq(principal->subject, conn->principal->subject))
        renew(worker, conn, ref, principal);
    else
        td_control_error(worker, conn, ref, TD_EFORBIDDEN,
                         TD_S("The token is another subject's: open another connection with it."));
    td_principal_unref(principal);
}

void td_command_auth(struct td_worker *worker, struct td_conn *conn, struct td_slice command,
                     struct td_slice ref)
{
    struct td_buf token = TD_BUF_INIT(TD_TOKEN_LEN_MAX);
    struct td_slice raw;

    int r = td_json_get(command, "token", &raw) && td_json_type(raw) == TD_JSON_STRING
                ? td_json_unescape(raw, &token)
                : TD_EINVAL;
    if (r == 0)
        take(worker, conn, ref, td_buf_slice(&token));
    else if (r == TD_ETOOLARGE)
        td_control_error(worker, conn, ref, TD_EUNAUTHORIZED,
                         TD_S("the token is longer than 8192 bytes"));
    else
        td_control_error(worker, conn, ref, TD_EINVAL, TD_S("auth needs `token`."));
    td_buf_done(&token);
}
