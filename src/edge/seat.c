/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/seat.h"
#include "base/assert.h"
#include "base/err.h"
#include "edge/ws.h"
#include <errno.h>

/* Texts that a quota is kept for: an endpoint's path, and a subject or values. */
#define KEY_MAX 2048

static void leave_address(struct td_seat *seat)
{
    if (seat->address > 0)
        td_quota_leave(seat->worker->quota, seat->address);
    seat->address = 0;
}

static void close_replaced(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->state == TD_CONN_WS) {
        td_ws_close(worker, conn, 4009, "replaced: by a newer connection of the same user");
    } else {
        td_conn_why(conn, "replaced by a newer connection");
        td_conn_finish(worker, conn);
    }
}

/* The letter brings the seat itself, which is nobody else's any more; its connection may have gone meanwhile. */
static void deliver(struct td_worker *worker, struct td_mail *mail)
{
    struct td_seat *seat = TD_CONTAINER_OF(mail, struct td_seat, mail);
    struct td_conn *conn = td_worker_conn(worker, seat->index);

    if (conn && conn->generation == seat->generation && conn->bound && conn->bound->seat == seat) {
        conn->bound->seat = NULL;
        leave_address(seat);
        close_replaced(worker, conn);
    }
    free(seat);
}

static int key_of(const struct td_worker *worker, char kind, const struct td_endpoint *endpoint,
                  const struct td_slice *parts, size_t n, uint64_t *ret_key)
{
    struct td_buf text = TD_BUF_INIT(KEY_MAX);

    td_buf_put(&text, endpoint->path);
    for (size_t i = 0; i < n; i++) {
        td_buf_putc(&text, '\0');
        td_buf_put(&text, parts[i]);
    }
    TD_ASSERT(text.err != TD_ETOOLARGE);
    *ret_key = td_quota_of_text(worker->quota, kind, td_buf_slice(&text));
    int r = text.err;
    td_buf_done(&text);
    return r;
}

/* What is counted: by the endpoint's path, so that a reload does not begin anew. */
static int fill(const struct td_worker *worker, const struct td_conn *conn,
                const struct td_visit *visit, struct td_join *join)
{
    const struct td_endpoint *endpoint = visit->endpoint;
    int r = 0;

    *join = (struct td_join){
        .user_max = endpoint->connections_per_user,
        .replaced_max = endpoint->replacements_per_min,
        .path_max = endpoint->connections_per_path,
        .now = worker->now,
    };
    if (join->user_max > 0)
        r = key_of(worker, 'e', endpoint, &conn->principal->subject, 1, &join->user);
    if (r == 0 && join->path_max > 0)
        r = key_of(worker, 'p', endpoint, visit->values.items, endpoint->n_variables, &join->path);
    return r;
}

static int enter_address(struct td_seat *seat, const struct td_conn *conn,
                         const struct td_endpoint *endpoint)
{
    uint64_t whom = td_quota_of_addr(seat->worker->quota, &conn->peer), key = 0;
    const struct td_slice part = td_slice((const char *)&whom, sizeof(whom));

    if (endpoint->connections_per_address == 0)
        return 0;
    int r = key_of(seat->worker, 'a', endpoint, &part, 1, &key);
    if (r == 0)
        r = td_quota_enter(seat->worker->quota, key, endpoint->connections_per_address);
    if (r == 0)
        seat->address = key;
    return r;
}

int td_seat_take(struct td_worker *worker, struct td_conn *conn, const struct td_visit *visit,
                 const char **what)
{
    struct td_ticket *replaced = NULL;
    struct td_join join;
    int r = worker->quota ? fill(worker, conn, visit, &join) : 0;

    *what = "no memory";
    if (r < 0 || !worker->quota ||
        (!join.user && !join.path && visit->endpoint->connections_per_address == 0))
        return r;
    struct td_seat *seat = calloc(1, sizeof(*seat));
    if (!seat)
        return -ENOMEM;
    td_list_init(&seat->mail.list);
    seat->mail.deliver = deliver;
    seat->worker = worker;
    seat->index = conn->index;
    seat->generation = conn->generation;
    r = enter_address(seat, conn, visit->endpoint);
    if (r == 0)
        r = td_quota_join(worker->quota, &join, &seat->ticket, &replaced);
    if (r < 0) {
        leave_address(seat);
        free(seat);
        if (r == TD_EMANY || r == TD_ERATE)
            TD_COUNT(worker, limited[TD_LIMITED_CONNECTIONS]);
        *what = r == TD_EMANY   ? "There are too many connections here."
                : r == TD_ERATE ? "too many connections of yours have replaced each other"
                                : "no memory";
        return r;
    }
    conn->bound->seat = seat;
    if (replaced) {
        struct td_seat *old = TD_CONTAINER_OF(replaced, struct td_seat, ticket);
        td_worker_post(old->worker, &old->mail);
    }
    return 0;
}

void td_seat_leave(struct td_seat *seat)
{
    if (seat)
        leave_address(seat);
    if (seat && td_quota_quit(seat->worker->quota, &seat->ticket))
        free(seat);
}
