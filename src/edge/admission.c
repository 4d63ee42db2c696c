/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/admission.h"
#include "base/err.h"
#include "edge/quota.h"
#include <errno.h>

/* Most connections are neither counted nor from a proxy, and have none. */
struct td_guest {
    uint64_t address, user; /* whom it is counted for in the quota; 0: nobody */
    struct td_addr proxy;   /* the other end, when that is a trusted one */
    bool has_proxy;
};

static struct td_guest *guest_of(struct td_conn *conn)
{
    if (!conn->guest)
        conn->guest = calloc(1, sizeof(*conn->guest));
    return conn->guest;
}

static int enter(struct td_worker *worker, uint64_t whom, unsigned max, uint64_t *counted)
{
    int r = td_quota_enter(worker->quota, whom, max);

    if (r == 0)
        *counted = whom;
    return r;
}

static int enter_address(struct td_worker *worker, struct td_conn *conn)
{
    struct td_guest *guest = guest_of(conn);

    return !guest ? -ENOMEM
                  : enter(worker, td_quota_of_addr(worker->quota, &conn->peer),
                          worker->options->connections_per_address, &guest->address);
}

static int enter_user(struct td_worker *worker, struct td_conn *conn)
{
    struct td_guest *guest = guest_of(conn);

    return !guest ? -ENOMEM
                  : enter(worker, td_quota_of_user(worker->quota, conn->principal->subject),
                          worker->options->connections_per_user, &guest->user);
}

void td_admission_accepted(struct td_worker *worker, struct td_conn *conn)
{
    const struct td_edge_options *options = worker->options;

    if (td_cidrs_have(&options->trusted_proxies, &conn->peer)) {
        struct td_guest *guest = guest_of(conn);
        if (guest) {
            guest->proxy = conn->peer;
            guest->has_proxy = true;
        } else {
            conn->over_limit = true;
        }
        return;
    }
    if (worker->quota && options->connections_per_address > 0 && !conn->over_limit)
        conn->over_limit = enter_address(worker, conn) < 0;
}

void td_admission_request(struct td_worker *worker, struct td_conn *conn,
                          const struct td_http_request *head)
{
    bool on = true;

    if (!conn->guest || !conn->guest->has_proxy)
        return;
    conn->peer = conn->guest->proxy;
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
    if (conn->guest && conn->guest->has_proxy && options->connections_per_address > 0)
        r = enter_address(worker, conn);
    if (r == 0 && options->connections_per_user > 0 && !conn->principal->is_public) {
        *what = "This user has too many connections.";
        r = enter_user(worker, conn);
    }
    if (r == TD_EMANY)
        TD_COUNT(worker, limited[TD_LIMITED_CONNECTIONS]);
    return r;
}

void td_admission_gone(struct td_worker *worker, struct td_conn *conn)
{
    struct td_guest *guest = conn->guest;

    if (guest && guest->address)
        td_quota_leave(worker->quota, guest->address);
    if (guest && guest->user)
        td_quota_leave(worker->quota, guest->user);
    free(guest);
    conn->guest = NULL;
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

bool td_bucket_take(struct td_bucket *bucket, unsigned per_s, td_ticks now)
{
    uint64_t gained = (uint64_t)(now - bucket->at) * per_s / TD_TICKS_PER_S;

    if (per_s == 0)
        return true;
    if (gained > 0) {
        bucket->left = (uint32_t)TD_MIN(bucket->left + gained, (uint64_t)per_s * 2);
        bucket->at = now;
    }
    if (bucket->left == 0)
        return false;
    bucket->left--;
    return true;
}

bool td_admission_publish(struct td_worker *worker, struct td_conn *conn)
{
    if (td_bucket_take(&conn->publishes, worker->options->publishes_per_s, worker->tick))
        return true;
    TD_COUNT(worker, limited[TD_LIMITED_PUBLISHES]);
    return false;
}
