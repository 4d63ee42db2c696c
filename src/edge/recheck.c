/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/recheck.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/control.h"
#include "edge/poll.h"
#include "edge/presence.h"
#include "edge/subscribe.h"
#include "edge/ws.h"
#include <errno.h>

/* The subscriptions as they were, and what becomes of them. */
struct recheck {
    struct td_worker *worker;
    struct td_conn *conn;
    bool was_admin;
    struct td_buf text; /* of … */
    struct td_named old[TD_SUBSCRIPTIONS_MAX];
    size_t n_old;
    struct td_buf *lost;
    int n_lost;
};

static void lose(struct recheck *recheck, struct td_slice pattern)
{
    if (recheck->n_lost++ > 0)
        td_buf_putc(recheck->lost, ',');
    td_json_put_string(recheck->lost, pattern);
}

/* Subscribing frees the texts of the hub, so they are copied. */
static int copy_old(struct recheck *recheck)
{
    size_t len = 0;

    recheck->n_old = td_hub_named(&recheck->conn->subscriber, recheck->old);
    for (size_t i = 0; i < recheck->n_old; i++)
        len += recheck->old[i].named.len + recheck->old[i].pattern.len;
    int r = td_buf_reserve(&recheck->text, len); /* so that it does not move */
    for (size_t i = 0; r == 0 && i < recheck->n_old; i++) {
        struct td_slice *parts[] = {&recheck->old[i].named, &recheck->old[i].pattern};
        for (size_t j = 0; r == 0 && j < TD_ARRAY_LEN(parts); j++) {
            char *at = recheck->text.ptr + recheck->text.len;
            r = td_buf_put(&recheck->text, *parts[j]);
            parts[j]->ptr = at;
        }
    }
    return r;
}

static bool is_first_of_name(const struct recheck *recheck, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (td_slice_eq(recheck->old[i].named, recheck->old[at].named))
            return false;
    return true;
}

static bool is_covered(struct td_slice pattern, const struct td_named *now, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (td_pattern_covers(now[i].pattern, pattern))
            return true;
    return false;
}

/* An admin who is none any more does not see what is private under any pattern, but what is granted by name. */
static void lose_private(struct recheck *recheck, struct td_slice pattern)
{
    static const struct td_slice roots[] = {
        {"audit/**",   8 },
        {"jobs/**",    7 },
        {"enhance/**", 10}
    };
    char both[TD_TOPIC_LEN_MAX + 1];

    if (!recheck->was_admin || recheck->conn->principal->is_admin)
        return;
    for (size_t i = 0; i < TD_ARRAY_LEN(roots); i++)
        if (td_pattern_intersect(pattern, roots[i], both) > 0)
            lose(recheck, roots[i]);
}

/* What has been taken from it since. */
static void lose_taken(struct recheck *recheck, struct td_slice pattern)
{
    struct td_slices taken = recheck->conn->principal->taken;
    char both[TD_TOPIC_LEN_MAX + 1];

    for (size_t i = 0; i < taken.n; i++) {
        int len = td_pattern_intersect(pattern, taken.items[i], both);
        if (len > 0)
            lose(recheck, td_slice(both, (size_t)len));
    }
}

/* The parts of `named` that were delivered and are not covered by what it comes to now. */
static void lose_parts(struct recheck *recheck, struct td_slice named)
{
    struct td_named now[TD_SUBSCRIPTIONS_MAX];
    size_t n = td_hub_named(&recheck->conn->subscriber, now), kept = 0;

    for (size_t i = 0; i < n; i++)
        if (td_slice_eq(now[i].named, named))
            now[kept++] = now[i];
    for (size_t i = 0; i < recheck->n_old; i++) {
        const struct td_named *old = &recheck->old[i];
        if (!td_slice_eq(old->named, named))
            continue;
        if (!is_covered(old->pattern, now, kept))
            lose(recheck, old->pattern);
        else {
            lose_private(recheck, old->pattern);
            lose_taken(recheck, old->pattern);
        }
    }
}

static int recheck_name(struct recheck *recheck, struct td_slice named)
{
    int r = td_subscribe(recheck->worker, recheck->conn, named); /* replaces what it came to */

    if (r == TD_EFORBIDDEN) {
        td_hub_unsubscribe(recheck->worker->hub, &recheck->conn->subscriber, named);
        lose(recheck, named);
        return 0;
    }
    if (r == 0)
        lose_parts(recheck, named);
    return r;
}

static int recheck_all(struct recheck *recheck)
{
    int r = copy_old(recheck);

    for (size_t i = 0; r == 0 && i < recheck->n_old; i++)
        if (is_first_of_name(recheck, i))
            r = recheck_name(recheck, recheck->old[i].named);
    return r;
}

/* With the principal that the connection has now. */
static int recheck_conn(struct td_worker *worker, struct td_conn *conn, bool was_admin, bool same,
                        struct td_buf *lost)
{
    struct recheck recheck = {
        .worker = worker,
        .conn = conn,
        .was_admin = was_admin,
        .text = TD_BUF_INIT((size_t)2 * TD_SUBSCRIPTIONS_MAX * TD_TOPIC_LEN_MAX),
        .lost = lost,
    };
    int r = 0;

    td_buf_putc(lost, '[');
    if (!same)
        r = recheck_all(&recheck);
    td_buf_putc(lost, ']');
    td_buf_done(&recheck.text);
    if (r == 0)
        r = lost->err;
    if (r < 0) /* rather no connection than one that sees what it may not */
        td_conn_drop(worker, conn, "its grants could not be checked again");
    else if (!same)
        td_presence_sync(worker, conn);
    return r < 0 ? r : recheck.n_lost;
}

int td_recheck(struct td_worker *worker, struct td_conn *conn, struct td_principal *principal,
               struct td_buf *lost)
{
    struct td_principal *old = conn->principal;
    bool same = td_principal_grants_eq(old, principal), was_admin = old->is_admin;

    conn->principal = td_principal_ref(principal);
    td_principal_unref(old);
    return recheck_conn(worker, conn, was_admin, same, lost);
}

static void tell_lost(struct td_worker *worker, struct td_conn *conn, struct td_slice lost,
                      const char *reason)
{
    struct td_control control;

    td_control_begin(&control, "access_lost", (struct td_slice){NULL, 0});
    td_control_raw(&control, "topics", lost);
    td_control_str(&control, "reason", td_slice_str(reason));
    td_control_send(&control, worker, conn);
}

/* No new connection would be let in with its token. */
static void refuse(struct td_worker *worker, struct td_conn *conn, const char *reason)
{
    char text[124];

    snprintf(text, sizeof(text), "Unauthorized: %s", reason);
    if (conn->state == TD_CONN_WS)
        td_ws_close(worker, conn, td_err_close(TD_EUNAUTHORIZED), text);
    else
        td_conn_drop(worker, conn, reason);
}

/* Tells the `n` that are lost, and ends what has nothing left to wait for. */
static void settle(struct td_worker *worker, struct td_conn *conn, int n, struct td_slice lost,
                   const char *reason)
{
    bool nothing_left = n > 0 && td_hub_count_named(&conn->subscriber) == 0;

    if (n > 0 && conn->state != TD_CONN_POLL)
        tell_lost(worker, conn, lost, reason);
    if (nothing_left && conn->state == TD_CONN_STREAM) {
        td_conn_why(conn, "nothing that it follows is granted any more");
        td_conn_finish(worker, conn);
    } else if (nothing_left && conn->state == TD_CONN_POLL) {
        td_poll_end(worker, conn);
    }
}

static void check_again(struct td_worker *worker, struct td_conn *conn,
                        struct td_principal *principal)
{
    struct td_buf lost = TD_BUF_INIT(TD_RECHECK_LOST_MAX);
    int n = td_recheck(worker, conn, principal, &lost);

    settle(worker, conn, n, td_buf_slice(&lost),
           principal->taken.n > 0 ? "it was taken away" : "the configuration grants it no more");
    td_buf_done(&lost);
}

void td_recheck_opened(struct td_worker *worker, struct td_conn *conn, const char *reason)
{
    struct td_buf lost = TD_BUF_INIT(TD_RECHECK_LOST_MAX);
    int n = recheck_conn(worker, conn, conn->principal->is_admin, false, &lost);

    settle(worker, conn, n, td_buf_slice(&lost), reason);
    td_buf_done(&lost);
}

void td_recheck_policy(struct td_worker *worker, struct td_conn *conn)
{
    const struct td_policy *policy = &worker->options->auth->policy;
    struct td_principal *principal;
    const char *reason;

    if (!conn->principal || td_principal_is_current(conn->principal, policy) ||
        (conn->state != TD_CONN_WS && conn->state != TD_CONN_STREAM && conn->state != TD_CONN_POLL))
        return;
    int r = td_principal_renew(conn->principal, policy, &principal, &reason);
    if (r == 0) {
        check_again(worker, conn, principal);
        td_principal_unref(principal);
    } else if (r == -ENOMEM) {
        td_conn_drop(worker, conn, "no memory");
    } else {
        refuse(worker, conn, reason);
    }
}
