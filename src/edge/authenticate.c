/* SPDX-License-Identifier: Apache-2.0 */
/* Who is it?  The four ways of presenting a token, in the order of docs/protocol.md. */
#include "base/err.h"
#include "base/json.h"
#include "edge/admission.h"
#include "edge/http.h"
#include "os/clock.h"

/* Whether `origin` is `allowed`, which may end in `:*` for any port. */
static bool origin_matches(struct td_slice allowed, struct td_slice origin)
{
    if (allowed.len < 2 || memcmp(allowed.ptr + allowed.len - 2, ":*", 2) != 0)
        return td_slice_eq(allowed,
                           origin); /* as a whole: a substring or suffix is another origin */
    struct td_slice base = td_slice_to(allowed, allowed.len - 2);
    if (!td_slice_starts(origin, base))
        return false;
    struct td_slice port = td_slice_from(origin, base.len);
    uint64_t number;
    return port.len == 0 || (port.ptr[0] == ':' && port.len <= 6 &&
                             td_slice_u64(td_slice_from(port, 1), &number) == 0);
}

bool td_request_origin_ok(const struct td_request *request, bool absent_ok)
{
    const struct td_edge_options *options = request->worker->options;
    struct td_slice origin = request->reply.origin;

    if (!origin.ptr)
        return absent_ok;
    for (size_t i = 0; i < options->n_origins; i++)
        if (origin_matches(options->origins[i], origin))
            return true;
    return false;
}

bool td_request_host_ok(const struct td_request *request)
{
    const struct td_edge_options *options = request->worker->options;

    for (size_t i = 0; i < options->n_origins; i++) {
        struct td_slice scheme, host = options->origins[i];
        if (td_slice_split(&host, '/', &scheme) && host.len > 1 &&
            origin_matches(td_slice_from(host, 1), request->head->host))
            return true;
    }
    return false;
}

static struct td_slice from_authorization(const struct td_http_request *head)
{
    struct td_slice value = td_http_header(head, "authorization");

    if (value.len <= 7 || !td_slice_eq_nocase(td_slice_to(value, 7), TD_S("bearer ")))
        return (struct td_slice){NULL, 0};
    return td_slice_trim(td_slice_from(value, 7));
}

/* `tidings, bearer.<token>`; the list may be spread over several headers. */
static struct td_slice from_subprotocol(const struct td_http_request *head)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        if (!td_slice_eq_nocase(head->headers[i].name, TD_S("sec-websocket-protocol")))
            continue;
        struct td_slice rest = head->headers[i].value, item;
        while (td_slice_split(&rest, ',', &item)) {
            item = td_slice_trim(item);
            if (td_slice_starts(item, TD_S("bearer.")))
                return td_slice_from(item, 7);
        }
    }
    return (struct td_slice){NULL, 0};
}

static struct td_slice from_cookie(const struct td_request *request)
{
    struct td_slice name = request->worker->options->cookie;
    struct td_slice rest = td_http_header(request->head, "cookie"), item, key;

    /* A cookie is sent by the browser whoever wrote the page: only pages of allowed origins may use it.  A page's reads from where it
     * came from carry no Origin; then the Host says where that is, and a name that was bound to this address to
     * get at it (DNS rebinding) is none of ours. */
    if (name.len == 0)
        return (struct td_slice){NULL, 0};
    bool same_origin_read = request->head->method == TD_HTTP_GET && !request->head->upgrade &&
                            td_request_host_ok(request);
    if (!td_request_origin_ok(request, same_origin_read))
        return (struct td_slice){NULL, 0};
    while (td_slice_split(&rest, ';', &item)) {
        item = td_slice_trim(item);
        if (td_slice_split(&item, '=', &key) && td_slice_eq(key, name) && item.ptr)
            return item;
    }
    return (struct td_slice){NULL, 0};
}

/* Tokens are base64url and dots, so they need no decoding. */
static struct td_slice from_query(const struct td_request *request)
{
    struct td_slice rest = request->head->query, name, value;

    if (!request->worker->options->query_token)
        return (struct td_slice){NULL, 0};
    while (td_http_query_next(&rest, &name, &value))
        if (td_slice_eq(name, TD_S("token")) || td_slice_eq(name, TD_S("access_token")))
            return value;
    return (struct td_slice){NULL, 0};
}

int td_conn_verify(struct td_worker *worker, const struct td_conn *conn, struct td_slice token,
                   struct td_principal **ret_principal, const char **reason)
{
    td_unix_ms now = td_clock_unix_ms();

    /* A token that is known costs nothing, and who has one should not suffer from others at his address. */
    if (td_token_cache_find(worker->tokens, token, now, ret_principal)) {
        if (td_principal_is_current(*ret_principal, &worker->options->auth->policy))
            return 0;
        /* Something was revoked: all are verified anew. */
        td_principal_unref(*ret_principal);
        td_token_cache_clear(worker->tokens);
    }
    if (!td_admission_may_try(worker, conn)) {
        *reason = "too many tokens from this address were not valid";
        return TD_ERATE;
    }
    int r = td_token_cache_verify(worker->tokens, worker->options->auth, token, now, ret_principal,
                                  reason);
    if (r == TD_EUNAUTHORIZED || r == TD_EEXPIRED)
        td_admission_failed(worker, conn);
    if (r < 0)
        TD_COUNT(worker, auth_failures[r == TD_EEXPIRED ? TD_AUTH_EXPIRED : TD_AUTH_INVALID]);
    return r;
}

int td_request_authenticate(struct td_request *request, const char **reason)
{
    struct td_conn *conn = request->conn;
    struct td_slice token = from_authorization(request->head);
    struct td_principal *principal;

    if (!token.ptr)
        token = from_subprotocol(request->head);
    if (!token.ptr)
        token = from_cookie(request);
    if (!token.ptr)
        token = from_query(request);
    if (!token.ptr) {
        *reason = "no token was sent";
        TD_COUNT(request->worker, auth_failures[TD_AUTH_MISSING]);
        return TD_EUNAUTHORIZED;
    }
    int r = td_conn_verify(request->worker, conn, token, &principal, reason);
    if (r < 0)
        return r;
    td_principal_unref(conn->principal); /* of an earlier request */
    conn->principal = principal;
    request->principal = principal;
    return 0;
}
