/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/visit.h"
#include "base/assert.h"
#include "base/err.h"
#include "edge/authorize.h"
#include "edge/job_rule.h"
#include "edge/opened.h"
#include "edge/seat.h"
#include "edge/subscribe.h"
#include "edge/ws.h"
#include "os/random.h"
#include <errno.h>

static int refuse(struct td_buf *why, const char *what)
{
    td_buf_puts(why, what);
    return TD_EINVAL;
}

/* Who sends no session begins one, which nobody else can guess. */
static void make_session(struct td_visit *visit)
{
    uint64_t random[2];

    td_random_bytes(random, sizeof(random));
    int len = snprintf(visit->_session, sizeof(visit->_session), "%016llx%016llx",
                       (unsigned long long)random[0], (unsigned long long)random[1]);
    visit->values.session = td_slice(visit->_session, (size_t)len);
}

static bool has_name(const struct td_slice *names, size_t n, struct td_slice name)
{
    for (size_t i = 0; i < n; i++)
        if (td_slice_eq(names[i], name))
            return true;
    return false;
}

static int add_condition(struct td_visit *visit, const struct td_condition *condition)
{
    if (visit->n_conditions == TD_VISIT_CONDITIONS_MAX - TD_ENDPOINT_TOPICS_MAX)
        return TD_EINVAL;
    visit->conditions[visit->n_conditions++] = *condition;
    return 0;
}

static int read_parameter(struct td_visit *visit, struct td_slice name, struct td_slice value,
                          struct td_buf *why)
{
    const struct td_endpoint *endpoint = visit->endpoint;
    bool equals = has_name(endpoint->filters, endpoint->n_filters, name);
    bool as_pattern = has_name(endpoint->topic_filters, endpoint->n_topic_filters, name);

    if (td_slice_eq(name, TD_S("session")) && endpoint->uses_session) {
        if (!td_segment_valid(value))
            return refuse(why, "`session` must be 1 to 64 bytes A-Z a-z 0-9 . _ ~ @ : -.");
        memcpy(visit->_session, value.ptr, value.len);
        visit->values.session = td_slice(visit->_session, value.len);
        return 0;
    }
    if (!equals && !as_pattern)
        return 0; /* not ours: of the query, or nobody's */
    if (as_pattern && !td_pattern_valid(value))
        return refuse(why, "A filter by topic must be a pattern.");
    const struct td_condition condition = {
        .member = name, .value = value, .as_pattern = as_pattern};
    return add_condition(visit, &condition) < 0 ? refuse(why, "Too many filters in one request.")
                                                : 0;
}

int td_visit_read(struct td_visit *visit, const struct td_request *request, struct td_buf *why)
{
    struct td_slice rest = request->head->query, name, value;

    visit->n_conditions = 0;
    visit->opened = false;
    visit->endpoint =
        td_endpoints_find(request->worker->options->endpoints, request->head->path, &visit->values);
    td_buf_init(&visit->_text, rest.len + (size_t)2 * TD_ENDPOINT_TOPICS_MAX * TD_TOPIC_LEN_MAX);
    if (!visit->endpoint)
        return TD_ENOTFOUND;
    int r = td_buf_reserve(&visit->_text, visit->_text.max);
    while (r == 0 && td_http_query_next(&rest, &name, &value)) {
        size_t at = visit->_text.len;
        if (td_http_unescape(value, true, &visit->_text) < 0)
            return refuse(why, "The query holds a broken percent-escape.");
        r = read_parameter(visit, name, td_slice(visit->_text.ptr + at, visit->_text.len - at),
                           why);
    }
    if (r == 0 && visit->endpoint->uses_session && !visit->values.session.ptr)
        make_session(visit);
    return r;
}

void td_visit_done(struct td_visit *visit)
{
    td_buf_done(&visit->_text);
}

/* A template with the values of this visit, in the visit's text.  A value that makes more of it than a topic may be leads nowhere. */
static int expand(struct td_visit *visit, struct td_slice template, struct td_slice *ret_text)
{
    size_t at = visit->_text.len;

    if (td_endpoint_expand(visit->endpoint, &visit->values, template, &visit->_text) < 0)
        return TD_ENOTFOUND;
    *ret_text = td_slice(visit->_text.ptr + at, visit->_text.len - at);
    return 0;
}

static int expand_topics(struct td_visit *visit)
{
    const struct td_endpoint *endpoint = visit->endpoint;
    int r = 0;

    for (size_t i = 0; r == 0 && i < endpoint->n_topics; i++) {
        const struct td_endpoint_topic *topic = &endpoint->topics[i];
        struct td_condition condition = {.member = topic->member};
        r = expand(visit, topic->pattern, &visit->topics[i]);
        if (r == 0 && !td_pattern_valid(visit->topics[i]))
            r = TD_ENOTFOUND;
        if (r < 0 || !topic->member.ptr)
            continue;
        condition.pattern = visit->topics[i];
        r = expand(visit, topic->value, &condition.value);
        if (r == 0) /* room for these is always left */
            visit->conditions[visit->n_conditions++] = condition;
    }
    return r;
}

/* Whether something of a topic that is not the subject's own anyway is granted. */
static bool may_subscribe(const struct td_visit *visit, const struct td_principal *principal)
{
    struct td_buf text = TD_BUF_INIT(TD_INTERSECT_TEXT_MAX);
    struct td_slice patterns[TD_GRANTS_MAX];
    bool may = false, check;

    for (size_t i = 0; i < visit->endpoint->n_topics && !may; i++) {
        td_buf_reset(&text);
        may = !visit->endpoint->topics[i].own &&
              td_principal_intersect(principal, visit->topics[i], &text, patterns, &check) > 0;
    }
    td_buf_done(&text);
    return may;
}

static int check_rule(struct td_request *request, struct td_visit *visit, const char **what)
{
    const struct td_principal *principal = request->principal;

    switch (visit->endpoint->rule) {
    case TD_RULE_ANY:
    case TD_RULE_PUBLIC: break;
    case TD_RULE_SUBSCRIBE:
        *what = "nothing of its topics is granted to you";
        return may_subscribe(visit, principal) || td_authorized_any(request) ? 0 : TD_EFORBIDDEN;
    case TD_RULE_ROLE:
        *what = "this endpoint is for a role that you do not have";
        return principal->is_admin || td_principal_has_role(principal, visit->endpoint->role)
                   ? 0
                   : TD_EFORBIDDEN;
    case TD_RULE_JOB: return td_job_rule(request, visit, what);
    }
    return 0;
}

/* Who it is does not matter: the endpoint's topics are all that is granted. */
static int be_public(struct td_request *request, struct td_visit *visit)
{
    struct td_principal *principal;
    int r = td_principal_new_public((struct td_slices){visit->topics, visit->endpoint->n_topics},
                                    &principal);

    if (r < 0)
        return r;
    td_principal_unref(request->conn->principal); /* of an earlier request */
    request->conn->principal = request->principal = principal;
    return 0;
}

/* Whether the rule lets it in, and what of its topics is not granted but permitted.  A rule that asks for what is granted comes behind that, any other before. */
static int check_access(struct td_request *request, struct td_visit *visit, const char **what)
{
    struct td_slice foreign[TD_ENDPOINT_TOPICS_MAX];
    size_t n = 0;
    bool first = visit->endpoint->rule != TD_RULE_SUBSCRIBE;
    int r = first ? check_rule(request, visit, what) : 0;

    for (size_t i = 0; i < visit->endpoint->n_topics; i++)
        if (!visit->endpoint->topics[i].own)
            foreign[n++] = visit->topics[i];
    if (r == 0 && visit->endpoint->rule != TD_RULE_JOB)
        r = td_authorize_request(request, (struct td_slices){foreign, n}, visit->endpoint->name,
                                 what);
    return r == 0 && !first ? check_rule(request, visit, what) : r;
}

int td_visit_admit(struct td_request *request, struct td_visit *visit, const char **what)
{
    bool public = visit->endpoint->rule == TD_RULE_PUBLIC;
    int r = public ? 0 : td_request_authenticate(request, what);

    if (r < 0)
        return r;
    if (!public)
        visit->values.sub = request->principal->segment;
    r = expand_topics(visit);
    *what = r == TD_ENOTFOUND ? "there is nothing at this path" : "no memory";
    if (r == 0 && public)
        r = be_public(request, visit);
    return r < 0 ? r : check_access(request, visit, what);
}

static struct td_slice keep(char **at, struct td_slice text)
{
    struct td_slice copy = {text.ptr ? *at : NULL, text.len};

    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

/* What the rule lets it see besides what is granted. */
static int open_job(struct td_conn *conn, const struct td_visit *visit)
{
    struct td_slice job = td_endpoint_value(visit->endpoint, &visit->values, TD_S("job_id"));
    char pattern[5 + TD_SEGMENT_LEN_MAX + 3 + 1];

    if (!visit->opened)
        return 0;
    int len = snprintf(pattern, sizeof(pattern), "jobs/%.*s/**", (int)job.len, job.ptr);
    return td_open(conn, &(struct td_opened){.version = 0}, td_slice(pattern, (size_t)len));
}

/* What the connection keeps: texts of the values and of the session, in one block. */
static int bind(struct td_conn *conn, const struct td_visit *visit)
{
    const struct td_endpoint *endpoint = visit->endpoint;
    struct td_slice session = visit->values.session;
    size_t n = endpoint->n_variables, bytes = session.len;

    conn->endpoint = td_endpoint_ref(visit->endpoint);
    if (n + bytes + endpoint->connections_per_user + endpoint->connections_per_path +
            endpoint->connections_per_address ==
        0)
        return 0;
    for (size_t i = 0; i < n; i++)
        bytes += visit->values.items[i].len;
    conn->bound = malloc(sizeof(*conn->bound) + n * sizeof(struct td_slice) + bytes);
    if (!conn->bound)
        return -ENOMEM;
    char *at = (char *)&conn->bound->values[n];
    for (size_t i = 0; i < n; i++)
        conn->bound->values[i] = keep(&at, visit->values.items[i]);
    conn->bound->session = keep(&at, session);
    conn->bound->seat = NULL;
    return 0;
}

int td_visit_open(struct td_request *request, struct td_visit *visit, struct td_query *query,
                  bool stays, const char **what)
{
    const struct td_endpoint *endpoint = visit->endpoint;
    struct td_conn *conn = request->conn;

    *what = "no memory";
    TD_ASSERT(!conn->endpoint);
    int r = bind(conn, visit);
    if (r == 0)
        r = open_job(conn, visit);
    if (r == 0)
        r = td_filter_conditions(conn, visit->conditions, visit->n_conditions);
    if (r == 0 && stays)
        r = td_seat_take(request->worker, conn, visit, what);
    if (r < 0) {
        td_unsubscribe_all(request->worker,
                           conn); /* it stays a connection that is bound to nothing */
        return r;
    }
    if (!query->has_format)
        query->format = endpoint->format;
    if (endpoint->n_topics > 0) {
        query->topics = visit->topics;
        query->n_topics = endpoint->n_topics;
        query->any_topic = true;
    } else if (query->state == TD_STATE_DEFAULT) {
        query->state = TD_STATE_AFTER_GAP; /* a SUBSCRIBE asks for it */
    }
    return 0;
}

void td_bound_free(struct td_conn *conn)
{
    td_endpoint_unref(conn->endpoint);
    if (conn->bound)
        td_seat_leave(conn->bound->seat);
    free(conn->bound);
    conn->endpoint = NULL;
    conn->bound = NULL;
}

static bool same_topics(const struct td_endpoint *a, const struct td_endpoint *b)
{
    bool same = a->n_topics == b->n_topics;

    for (size_t i = 0; same && i < a->n_topics; i++)
        same = td_slice_eq(a->topics[i].pattern, b->topics[i].pattern) &&
               td_slice_eq(a->topics[i].member, b->topics[i].member) &&
               td_slice_eq(a->topics[i].value, b->topics[i].value);
    return same;
}

void td_bound_renew(struct td_worker *worker, struct td_conn *conn)
{
    struct td_endpoint *old = conn->endpoint;

    if (!old || conn->state == TD_CONN_CLOSING || conn->state == TD_CONN_GONE)
        return;
    struct td_endpoint *now = td_endpoints_of_path(worker->options->endpoints, old->path);
    if (conn->principal && conn->principal->is_public &&
        (!now || now->rule != TD_RULE_PUBLIC || !same_topics(old, now))) {
        if (conn->state == TD_CONN_WS)
            td_ws_close(worker, conn, 4001, "Unauthorized: this is not public any more");
        else
            td_conn_drop(worker, conn, "it is not public any more");
        return;
    }
    if (!now)
        return; /* who is in goes on as it came */
    if (now->limits.sends_per_s != old->limits.sends_per_s)
        conn->subscriber.pace_ms =
            (uint16_t)(now->limits.sends_per_s > 0 ? 1000 / now->limits.sends_per_s : 0);
    conn->endpoint = td_endpoint_ref(now);
    td_endpoint_unref(old);
}
