/* SPDX-License-Identifier: Apache-2.0 */
/* What operators ask and do about a subject: POST /api/v1/subjects/{sub}/revoke, GET /api/v1/admin/why. */
#include "api/api.h"
#include "audit/audit.h"
#include "base/err.h"
#include "base/json.h"
#include "desk/revoked.h"
#include "edge/gather.h"
#include "edge/opened.h"
#include "os/clock.h"

/* ---- revoke ---- */

/* The subject of the path as a topic below revocations. */
static int topic_of(const struct td_request *request, struct td_buf *subject, struct td_buf *topic)
{
    struct td_slice rest = td_slice_from(request->head->path, strlen("/api/v1/subjects/")), raw;
    char segment[TD_SEGMENT_LEN_MAX + 1];

    (void)td_slice_split(&rest, '/', &raw);
    if (td_http_unescape(raw, false, subject) < 0 ||
        td_segment_escape(td_buf_slice(subject), segment) < 0)
        return TD_EINVAL;
    td_buf_puts(topic, TD_REVOKED_ROOT "/");
    return td_buf_puts(topic, segment);
}

/* `before` comes in seconds, as `iat` has them, and is kept in milliseconds. */
static int read_body(struct td_slice body, struct td_buf *document, const char **what)
{
    struct td_slice patterns[TD_TAKEN_MAX], json, name, value;
    struct td_buf text = TD_BUF_INIT(body.len);
    struct td_taken taken;
    bool any = false;

    *what = "Send {\"before\":SECONDS} and, or, {\"subscribe\":[PATTERN,…]}, 64 patterns at most; "
            "null gives back.";
    int r = td_json_check(body, &json, NULL);
    if (r < 0)
        return r;
    r = td_buf_reserve(&text, body.len);
    if (r == 0)
        r = td_revoked_read(json, &text, patterns, &taken);
    td_buf_done(&text);
    if (r < 0)
        return r;
    struct td_json_iter it = td_json_iter(json);
    while (td_json_next(&it, &name, &value)) {
        bool before = td_json_string_is(name, "before");
        if (!before && !td_json_string_is(name, "subscribe"))
            return TD_EINVAL;
        td_buf_puts(document, any ? "," : "{");
        td_buf_put(document, name);
        td_buf_putc(document, ':');
        if (before && td_json_type(value) == TD_JSON_NUMBER && taken.before > UINT64_MAX / 1000)
            return TD_EINVAL;
        if (before && td_json_type(value) == TD_JSON_NUMBER)
            td_buf_putu(document, taken.before * 1000);
        else
            td_buf_put(document, value);
        any = true;
    }
    return any ? td_buf_puts(document, "}") : TD_EINVAL;
}

static void ask_to_revoke(struct td_request *request, struct td_slice topic)
{
    struct td_buf document = TD_BUF_INIT(request->body.len + 64);
    const char *what;

    int r = read_body(request->body, &document, &what);
    if (r < 0) {
        td_respond_error(request, r, td_slice_str(what));
    } else {
        struct td_edge_ask *ask = td_edge_ask_new(request->worker, request->conn, TD_ASK_REVOKE,
                                                  topic.len + document.len + 2);
        if (ask) {
            ask->ask.topic = td_ask_text(&ask->ask, topic);
            ask->ask.document = td_ask_text(&ask->ask, td_buf_slice(&document));
        }
        td_request_ask(request, ask);
    }
    td_buf_done(&document);
}

static void tell_revoked(const struct td_request *request, struct td_slice subject)
{
    struct td_audit_note note;

    td_audit_begin(&note, request->worker->audit, TD_AUDIT_REVOKED,
                   request->answer->err < 0 ? TD_AUDIT_FAILED : TD_AUDIT_DONE);
    td_audit_actor(&note, request->principal->subject);
    td_audit_str(&note, "user", subject);
    td_audit_str(&note, "taken", td_buf_slice(&request->answer->body));
    td_audit_end(&note);
}

void td_api_revoke(struct td_request *request, const struct td_api *api)
{
    struct td_buf subject = TD_BUF_INIT(TD_TOKEN_SUB_MAX), topic = TD_BUF_INIT(TD_TOPIC_LEN_MAX);

    (void)api;
    if (!td_api_admin(request)) {
        /* answered */
    } else if (topic_of(request, &subject, &topic) < 0) {
        td_respond_error(request, TD_EINVAL, TD_S("No token can have such a subject."));
    } else if (!request->answer) {
        ask_to_revoke(request, td_buf_slice(&topic));
    } else {
        tell_revoked(request, td_buf_slice(&subject));
        td_respond_answer(request, 200, (struct td_slice){NULL, 0});
    }
    td_buf_done(&subject);
    td_buf_done(&topic);
}

/* ---- why ---- */

/* The question, as its query says it.  Texts lie in `text`. */
struct question {
    struct td_slice sub, topic;
    struct td_slice roles[TD_TOKEN_ROLES_MAX], subscribe[TD_TOKEN_PATTERNS_MAX],
        publish[TD_TOKEN_PATTERNS_MAX];
    size_t n_roles, n_subscribe, n_publish;
    struct td_buf text;
};

static bool add(struct td_slice *list, size_t *n, size_t max, struct td_slice value)
{
    if (*n == max)
        return false;
    list[(*n)++] = value;
    return true;
}

static bool take(struct question *q, struct td_slice name, struct td_slice value)
{
    if (td_slice_eq(name, TD_S("sub")))
        q->sub = value;
    else if (td_slice_eq(name, TD_S("topic")))
        q->topic = value;
    else if (td_slice_eq(name, TD_S("role")))
        return add(q->roles, &q->n_roles, TD_TOKEN_ROLES_MAX, value);
    else if (td_slice_eq(name, TD_S("subscribe")))
        return td_pattern_valid(value) &&
               add(q->subscribe, &q->n_subscribe, TD_TOKEN_PATTERNS_MAX, value);
    else if (td_slice_eq(name, TD_S("publish")))
        return td_pattern_valid(value) &&
               add(q->publish, &q->n_publish, TD_TOKEN_PATTERNS_MAX, value);
    return true;
}

static bool read_question(const struct td_request *request, struct question *q)
{
    struct td_slice rest = request->head->query, name, raw;

    memset(q, 0, sizeof(*q));
    td_buf_init(&q->text, rest.len);
    if (td_buf_reserve(&q->text, rest.len) < 0)
        return false;
    while (td_http_query_next(&rest, &name, &raw)) {
        size_t at = q->text.len;
        if (td_http_unescape(raw, true, &q->text) < 0 ||
            !take(q, name, td_slice(q->text.ptr + at, q->text.len - at)))
            return false;
    }
    return q->sub.len > 0 && td_topic_valid(q->topic);
}

static void put_patterns(struct td_buf *out, const char *name, struct td_slices patterns)
{
    td_buf_putf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < patterns.n; i++) {
        td_buf_puts(out, i > 0 ? "," : "");
        td_json_put_string(out, patterns.items[i]);
    }
    td_buf_putc(out, ']');
}

static void put_sight(struct td_buf *out, bool sees, const char *reason, struct td_slice pattern)
{
    td_buf_putf(out, "\"may_subscribe\":%s,\"reason\":", sees ? "true" : "false");
    td_json_put_string(out, td_slice_str(reason));
    if (pattern.len > 0) {
        td_buf_puts(out, ",\"pattern\":");
        td_json_put_string(out, pattern);
    }
}

/* What the connection sees besides what its token grants. */
static void put_opened(struct td_buf *out, const struct td_opened *opened)
{
    td_ns now = td_clock_ns();
    bool asked = opened->version > 0 && opened->version != TD_OPENED_BY_JOB;

    put_sight(out, true,
              asked                                 ? "the authorizer permits it"
              : opened->version == TD_OPENED_BY_JOB ? "the job is shown to it"
                                                    : "the rule of its endpoint lets it see",
              td_opened_pattern(opened));
    if (asked)
        td_buf_putf(out, ",\"expires_in\":%llu",
                    (unsigned long long)((opened->expires_at - TD_MIN(now, opened->expires_at)) /
                                         TD_NS_PER_S));
}

/* One decision in words; by what is opened to a connection, or (NULL) by the token alone. */
static void put_decision(struct td_buf *out, const struct td_principal *principal,
                         const struct td_opened *opened, struct td_slice topic)
{
    static const char *const words[] = {
        [TD_SEES] = "granted",
        [TD_BLIND_UNGRANTED] = "no grant matches the topic",
        [TD_BLIND_PRIVATE] = "a wildcard at the start of a grant does not reach private topics",
        [TD_BLIND_AUDIT] = "audit is for the role admin only",
        [TD_BLIND_TAKEN] = "a revocation has taken it",
    };
    struct td_slice pattern;
    enum td_sight sight = td_principal_decide(principal, topic, &pattern);
    int publish = td_principal_check_publish(principal, topic);

    if (sight != TD_SEES && opened)
        put_opened(out, opened);
    else
        put_sight(out, sight == TD_SEES, words[sight], pattern);
    td_buf_putf(out, ",\"may_publish\":%s", publish == 0 ? "true" : "false");
    if (publish < 0) {
        td_buf_puts(out, ",\"publish_reason\":");
        td_json_put_string(out, td_slice_str(td_err_code(publish)));
    }
    td_buf_putf(out, ",\"admin\":%s", principal->is_admin ? "true" : "false");
}

/* What a connection of the subject has to do with the topic. */
static void put_connection(struct td_worker *worker, struct td_conn *conn, struct td_ask *ask)
{
    struct td_named named[TD_SUBSCRIPTIONS_MAX];
    size_t n = td_hub_named(&conn->subscriber, named), matching = 0;
    uint64_t readable = td_journal_readable(worker->journal),
             at = td_hub_position(worker->hub, &conn->subscriber);
    char id[17];

    td_conn_id(conn, id);
    td_buf_putf(&ask->body, "%s{\"id\":\"%s\",", ask->body.len > 0 ? "," : "", id);
    put_decision(&ask->body, conn->principal, td_opened_by(conn, ask->topic), ask->topic);
    td_buf_puts(&ask->body, ",\"subscribed_as\":[");
    for (size_t i = 0; i < n; i++) {
        if (!td_pattern_match(named[i].pattern, ask->topic))
            continue;
        td_buf_puts(&ask->body, matching++ > 0 ? "," : "");
        td_json_put_string(&ask->body, named[i].named);
    }
    td_buf_putf(&ask->body, "],\"filtered\":%s,\"behind\":%llu}", conn->filter ? "true" : "false",
                (unsigned long long)(readable > at ? readable - at : 0));
}

static void look_at_connections(struct td_worker *worker, struct td_ask *ask)
{
    for (uint32_t i = 0; i < worker->n_chunks * TD_SLAB_CHUNK && ask->limit > 0; i++) {
        struct td_conn *conn = td_worker_conn(worker, i);
        if (!conn || !conn->principal || !td_slice_eq(conn->principal->subject, ask->key) ||
            (conn->state != TD_CONN_WS && conn->state != TD_CONN_STREAM &&
             conn->state != TD_CONN_POLL))
            continue;
        ask->limit--;
        put_connection(worker, conn, ask);
    }
}

/* The newest event of the topic, and whether there are older ones that are gone. */
static void put_history(struct td_buf *out, struct td_worker *worker, struct td_slice topic)
{
    const struct td_wanted wanted = {td_topic_key(td_journal_seed(worker->journal), topic), topic,
                                     true};
    const char *record;
    struct td_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .until = td_journal_readable(worker->journal),
        .records = &record,
        .records_max = 1,
        .told = td_told_upto(UINT64_MAX),
    };

    td_journal_newest(worker->reader, &read);
    read.after = read.position;
    td_journal_read(worker->reader, &read);
    if (read.n > 0) {
        struct td_record newest;
        char time[TD_TIME_LEN + 1], id[TD_POSITION_LEN_MAX + 1];
        td_record_view(record, &newest);
        td_time_format(newest.time, time);
        td_position_format(td_here(worker, newest.seq), id);
        td_buf_putf(out, ",\"newest\":{\"id\":\"%s\",\"time\":\"%s\"}", id, time);
    }
    td_buf_putf(out, ",\"trimmed\":%s",
                td_journal_trimmed_after(worker->reader, &wanted, 0) ? "true" : "false");
}

/* Whether the authorizer is asked when such a subject subscribes the topic. */
static bool asks_authorizer(const struct td_worker *worker, const struct td_principal *principal,
                            struct td_slice topic)
{
    struct td_slice pattern;

    return worker->options->authorizer > 0 && !td_topic_private(topic) &&
           td_principal_decide(principal, topic, &pattern) == TD_BLIND_UNGRANTED;
}

static void answer_why(struct td_request *request, const struct question *q,
                       const struct td_principal *principal)
{
    struct td_buf body = TD_BUF_INIT(TD_ASK_BODY_MAX + 1024 * 1024);

    td_buf_puts(&body, "{\"sub\":");
    td_json_put_string(&body, q->sub);
    td_buf_puts(&body, ",\"topic\":");
    td_json_put_string(&body, q->topic);
    td_buf_putc(&body, ',');
    put_decision(&body, principal, NULL, q->topic);
    td_buf_putf(&body, ",\"asks_authorizer\":%s",
                asks_authorizer(request->worker, principal, q->topic) ? "true" : "false");
    put_patterns(&body, "subscribe", principal->grants.subscribe);
    put_patterns(&body, "publish", principal->grants.publish);
    put_patterns(&body, "taken", principal->taken);
    put_history(&body, request->worker, q->topic);
    td_buf_puts(&body, ",\"connections\":[");
    td_buf_put(&body, td_buf_slice(&request->answer->body));
    td_buf_puts(&body, "]}\n");
    td_respond(request, &(struct td_response){
                            .status = 200,
                            .content_type = "application/json",
                            .body = td_buf_slice(&body),
                            .err = body.err,
                        });
    td_buf_done(&body);
}

static void explain(struct td_request *request, const struct td_api *api, struct question *q)
{
    const struct td_claims claims = {
        .sub = q->sub,
        .roles = {q->roles,                       q->n_roles                },
        .has_grants = q->n_subscribe + q->n_publish > 0,
        .grants = {{q->subscribe, q->n_subscribe}, {q->publish, q->n_publish}},
        .exp = TD_EXP_NEVER,
        .iat = TD_EXP_NEVER, /* a token that is issued now */
    };
    struct td_principal *principal;
    const char *reason;

    if (!request->answer) {
        struct td_edge_ask *ask = td_edge_ask_new(request->worker, request->conn, TD_ASK_PARTS,
                                                  q->sub.len + q->topic.len + 2);
        if (ask) {
            ask->ask.key = td_ask_text(&ask->ask, q->sub);
            ask->ask.topic = td_ask_text(&ask->ask, q->topic);
            ask->ask.limit = 100;
        }
        td_request_gather(request, api->workers, api->n_workers, ask, look_at_connections);
        return;
    }
    int r = td_principal_new(&claims, &request->worker->options->auth->policy, &principal, &reason);
    if (r < 0) {
        td_respond_error(request, TD_EINVAL, td_slice_str(reason));
        return;
    }
    answer_why(request, q, principal);
    td_principal_unref(principal);
}

void td_api_why(struct td_request *request, const struct td_api *api)
{
    struct question *q = malloc(sizeof(*q));

    if (!q) {
        td_respond_error(request, TD_EUNAVAILABLE, td_slice_str(td_err_hint(TD_EUNAVAILABLE)));
        return;
    }
    q->text = TD_BUF_INIT(0);
    if (td_api_admin(request)) {
        if (read_question(request, q))
            explain(request, api, q);
        else
            td_respond_error(request, TD_EINVAL,
                             TD_S("Ask with `sub` and `topic`, and as a token would say them "
                                  "`role`, `subscribe` and `publish` (patterns)."));
    }
    td_buf_done(&q->text);
    free(q);
}
