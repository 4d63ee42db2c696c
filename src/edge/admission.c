/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/admission.h"
#include "base/err.h"
#include "edge/quota.h"

static int enter(struct td_worker *worker, uint64_t whom, unsigned max, uint64_t *counted)
{
    int r = td_quota_enter(worker->quota, whom, max);

    if (r == 0)
        *counted = whom;
    return r;
}

void td_admission_accepted(struct td_worker *worker, struct td_conn *conn)
{
    const struct td_edge_options *options = worker->options;

    if (td_cidrs_have(&options->trusted_proxies, &conn->peer)) {
        conn->proxy = malloc(sizeof(*conn->proxy));
        if (conn->proxy)
            *conn->proxy = conn->peer;
        else
            conn->over_limit = true;
        return;
    }
    if (worker->quota && options->connections_per_address > 0 && !conn->over_limit)
        conn->over_limit = enter(worker, td_quota_of_addr(worker->quota, &conn->peer),
                                 options->connections_per_address, &conn->counted_address) < 0;
}

void td_admission_request(struct td_worker *worker, struct td_conn *conn,
                          const struct td_http_request *head)
{
    bool on = true;

    if (!conn->proxy)
        return;
    conn->peer = *conn->proxy;
    for (size_t i = head->n_headers; i-- > 0 && on;)
        if (td_slice_eq_nocase(head->headers[i].name, TD_S("x-forwarded-for")))
            on = td_forwarded_for(&worker->options->trusted_proxies, head->headers[i].value,
                                  &conn->peer);
}

int td_admission_stream(struct td_worker *worker, struct td_conn *conn, const char **what)
{
    const struct td_edge_options *options = worker->options;
    int r = 0;

    if (!worker->quota)
        return 0;
    *what = "There are too many connections from this address.";
    if (conn->proxy && options->connections_per_address > 0)
        r = enter(worker, td_quota_of_addr(worker->quota, &conn->peer),
                  options->connections_per_address, &conn->counted_address);
    if (r == 0 && options->connections_per_user > 0 && !conn->principal->is_public) {
        *what = "This user has too many connections.";
        r = enter(worker, td_quota_of_user(worker->quota, conn->principal->subject),
                  options->connections_per_user, &conn->counted_user);
    }
    if (r == TD_EMANY)
        TD_COUNT(worker, limited[TD_LIMITED_CONNECTIONS]);
    return r;
}

void td_admission_gone(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->counted_address)
        td_quota_leave(worker->quota, conn->counted_address);
    if (conn->counted_user)
        td_quota_leave(worker->quota, conn->counted_user);
    conn->counted_address = conn->counted_user = 0;
    free(conn->proxy);
    conn->proxy = NULL;
}

bool td_admission_may_try(struct td_worker *worker, const struct td_conn *conn)
{
    unsigned rate = worker->options->bad_tokens_per_s;

    if (!worker->quota || rate == 0 ||
        td_quota_may_try(worker->quota, td_quota_of_addr(worker->quota, &conn->peer), rate,
                         worker->now))
        return true;
    TD_COUNT(worker, limited[TD_LIMITED_TOKENS]);
    return false;
}

void td_admission_failed(struct td_worker *worker, const struct td_conn *conn)
{
    unsigned rate = worker->options->bad_tokens_per_s;

    if (worker->quota && rate > 0)
        td_quota_failed(worker->quota, td_quota_of_addr(worker->quota, &conn->peer), rate,
                        worker->now);
}

/* A token bucket on the monotonic clock: as many a second as the limit says, twice as many at once. */
bool td_admission_publish(struct td_worker *worker, struct td_conn *conn)
{
    unsigned rate = worker->options->publishes_per_s;
    uint64_t gained = (uint64_t)(worker->tick - conn->published_at) * rate / TD_TICKS_PER_S;

    if (rate == 0)
        return true;
    if (gained > 0) {
        conn->publishes_left = (uint32_t)TD_MIN(conn->publishes_left + gained, (uint64_t)rate * 2);
        conn->published_at = worker->tick;
    }
    if (conn->publishes_left == 0) {
        TD_COUNT(worker, limited[TD_LIMITED_PUBLISHES]);
        return false;
    }
    conn->publishes_left--;
    return true;
}
