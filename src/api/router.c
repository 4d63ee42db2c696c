/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "base/err.h"

enum {
    GET = 1 << TD_HTTP_GET,
    HEAD = 1 << TD_HTTP_HEAD,
    POST = 1 << TD_HTTP_POST,
    PUT = 1 << TD_HTTP_PUT,
    PATCH = 1 << TD_HTTP_PATCH,
    DELETE = 1 << TD_HTTP_DELETE,
};

struct route {
    const char
        *path; /* a segment that is {} may be any, but for the empty one; {**} is all the rest */
    unsigned methods;
    const char *allow; /* the Allow header */
    void (*serve)(struct td_request *request, const struct td_api *api);
    unsigned body_methods; /* those that take a body; they need a token, … */
    bool open;             /* … or to be in `tidings dev` */
};

/* clang-format off */
static const struct route routes[] = {
    {"/api/v1/events", GET | HEAD | POST, "GET, HEAD, POST, OPTIONS", td_api_events, POST},
    {"/api/v1/entities/{}", GET | HEAD, "GET, HEAD, OPTIONS", td_api_entities},
    {"/api/v1/entities/{}/{}", GET | HEAD | PUT | PATCH | DELETE, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS", td_api_entity, PUT | PATCH},
    {"/api/v1/admin/connections", GET, "GET, OPTIONS", td_api_connections},
    {"/api/v1/admin/connections/{}", DELETE, "DELETE, OPTIONS", td_api_connection},
    {"/api/v1/admin/topics", GET, "GET, OPTIONS", td_api_topics},
    {"/api/v1/admin/journal", GET, "GET, OPTIONS", td_api_journal},
    {"/api/v1/admin/why", GET, "GET, OPTIONS", td_api_why},
    {"/api/v1/subjects/{}/revoke", POST, "POST, OPTIONS", td_api_revoke, POST},
    {"/api/v1/jobs", GET | HEAD | POST, "GET, HEAD, POST, OPTIONS", td_api_jobs, POST},
    {"/api/v1/jobs/{}", GET | HEAD, "GET, HEAD, OPTIONS", td_api_job},
    {"/api/v1/jobs/{}/cancel", POST, "POST, OPTIONS", td_api_job_cancel, POST},
    {"/api/v1/jobs/{}/events", POST, "POST, OPTIONS", td_api_job_events, POST},
    {"/api/projects/{}", GET | HEAD, "GET, HEAD, OPTIONS", td_api_project},
    {"/api/projects/{}/generate", POST, "POST, OPTIONS", td_api_generate, POST},
    {"/api/v1/locks/{**}", GET | HEAD | PUT | DELETE, "GET, HEAD, PUT, DELETE, OPTIONS", td_api_lock, PUT},
    {"/api/v1/presence", GET | HEAD, "GET, HEAD, OPTIONS", td_api_presence},
    {"/healthz", GET | HEAD, "GET, HEAD", td_api_healthz},
    {"/readyz", GET | HEAD, "GET, HEAD", td_api_readyz},
    {"/metrics", GET | HEAD, "GET, HEAD", td_api_metrics},
    {"/", GET | HEAD, "GET, HEAD", td_api_page},
    {"/console", GET | HEAD, "GET, HEAD", td_api_page},
    {"/assets/{}", GET | HEAD, "GET, HEAD", td_api_page},
    {"/dev/people", GET, "GET, OPTIONS", td_api_dev_people},
    {"/dev/token", POST, "POST, OPTIONS", td_api_dev_token, POST, true},
};
/* clang-format on */

/* What is none of these may be an endpoint. */
static const struct route endpoint = {NULL, GET | HEAD, "GET, HEAD, OPTIONS", td_api_endpoint, 0};

static bool path_matches(struct td_slice path, struct td_slice wanted)
{
    struct td_slice segment, want;
    bool more;

    do {
        more = td_slice_split(&wanted, '/', &want);
        if (td_slice_split(&path, '/', &segment) != more)
            return false;
        if (more && td_slice_eq(want, TD_S("{**}")))
            return segment.len > 0;
        if (more && !td_slice_eq(segment, want) &&
            (!td_slice_eq(want, TD_S("{}")) || segment.len == 0))
            return false;
    } while (more);
    return true;
}

bool td_api_has_path(struct td_slice path)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(routes); i++)
        if (path_matches(path, td_slice_str(routes[i].path)) ||
            td_endpoint_path_eq(path, td_slice_str(routes[i].path)))
            return true;
    return false;
}

/* The answer to a browser that asks before it sends (CORS preflight), and to any other OPTIONS. */
static void answer_options(struct td_request *request, const char *allow)
{
    struct td_buf headers = TD_BUF_INIT(512);

    td_buf_putf(&headers, "Allow: %s\r\n", allow);
    if (td_request_origin_ok(request, false))
        td_buf_putf(&headers,
                    "Access-Control-Allow-Methods: %s\r\n"
                    "Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, "
                    "If-Match, If-None-Match, Last-Event-ID\r\n"
                    "Access-Control-Max-Age: 600\r\n",
                    allow);
    td_respond(request, &(struct td_response){
                            .status = 204, .headers = td_buf_slice(&headers), .err = headers.err});
    td_buf_done(&headers);
}

bool td_api_authenticate(struct td_request *request)
{
    const char *reason;
    int r = td_request_authenticate(request, &reason);

    if (r < 0)
        td_respond_error(request, r, td_slice_str(reason));
    return r == 0;
}

/* Finds the resource, or answers that there is none, or none with this method. */
static const struct route *find(struct td_request *request)
{
    const struct route *route = NULL;
    struct td_endpoint_values values;
    char allow[128];

    for (size_t i = 0; i < TD_ARRAY_LEN(routes) && !route; i++)
        if (path_matches(request->head->path, td_slice_str(routes[i].path)))
            route = &routes[i];
    if (!route &&
        td_endpoints_find(request->worker->options->endpoints, request->head->path, &values))
        route = &endpoint;
    if (!route) {
        td_respond_error(request, TD_ENOTFOUND, TD_S("There is nothing at this path."));
        return NULL;
    }
    if (request->head->method == TD_HTTP_OPTIONS || route->methods & 1u << request->head->method)
        return route;
    snprintf(allow, sizeof(allow), "Allow: %s\r\n", route->allow);
    td_respond_error_with(request, TD_EMETHOD, TD_S("This resource has no such method."),
                          td_slice_str(allow));
    return NULL;
}

bool td_api_admit(struct td_request *request, void *arg)
{
    struct td_request closing = *request;

    const struct td_api *api = arg;
    /* The body of what is refused here has not come, so nothing behind it can be read. */
    closing.reply.keep_alive = false;
    const struct route *route = find(&closing);
    if (!route)
        return false;
    if (route->body_methods & 1u << request->head->method)
        return route->open ? td_api_dev_admit(&closing, api) : td_api_authenticate(&closing);
    td_respond_error(&closing, TD_ETOOLARGE, TD_S("This request takes no body."));
    return false;
}

void td_api_handle(struct td_request *request, void *arg)
{
    const struct td_api *api = arg;
    const struct route *route = find(request);

    if (!route)
        return;
    if (request->head->method == TD_HTTP_OPTIONS)
        answer_options(request, route->allow);
    else
        route->serve(request, api);
}
