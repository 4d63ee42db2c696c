/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/entities: keyed documents (docs/protocol.md).  The desk reads and changes them (desk/entities.h). */
#include "api/api.h"
#include "base/err.h"
#include "base/json.h"
#include "codec/format.h"
#include "edge/admission.h"
#include "edge/ask.h"
#include "edge/publish.h"

#define PREFIX       "/api/v1/"
#define PAGE         100
#define PAGE_MAX     1000
#define IF_MATCH_MAX 1024

/* ---- the question ---- */

/* Room for the texts of an ask besides those that are counted. */
#define TEXTS 16

struct change {
    enum td_entity_change how;
    const char *verb;         /* how the method says it */
    struct td_slice document; /* checked; the body's bytes */
    struct td_buf if_match;
    bool if_none_match;
};

/* The conditions of a change (RFC 9110 §13.1).  0 or an error with a sentence. */
static int read_conditions(const struct td_request *request, struct change *change,
                           const char **what)
{
    struct td_slice none = td_http_header(request->head, "if-none-match");
    int r = 0;

    for (size_t i = 0; i < request->head->n_headers; i++) {
        if (!td_slice_eq_nocase(request->head->headers[i].name, TD_S("if-match")))
            continue;
        if (change->if_match.len > 0)
            td_buf_putc(&change->if_match, ',');
        td_buf_put(&change->if_match, request->head->headers[i].value);
        if (change->if_match.len == 0)
            r = TD_EINVAL;
    }
    *what = "If-Match must hold ETags or versions, 1 KiB of them at most.";
    if (r < 0 || change->if_match.err < 0)
        return TD_EINVAL;
    *what = "If-None-Match with a change must be *: that there is no such entity.";
    change->if_none_match = td_slice_eq(none, TD_S("*"));
    return none.ptr && !change->if_none_match ? TD_EINVAL : 0;
}

static int check_media_type(const struct td_request *request, const char **what)
{
    struct td_slice rest = td_http_header(request->head, "content-type"), type = {NULL, 0};
    bool patch = request->head->method == TD_HTTP_PATCH;

    *what = patch ? "A patch is application/merge-patch+json (RFC 7396)."
                  : "A document is application/json.";
    if (!rest.ptr)
        return 0;
    (void)td_slice_split(&rest, ';', &type);
    type = td_slice_trim(type);
    /* curl -d says it is a form; what is not JSON is refused by the scanner. */
    if (td_slice_eq_nocase(type, TD_S("application/json")) ||
        td_slice_eq_nocase(type, TD_S("application/x-www-form-urlencoded")) ||
        td_slice_eq_nocase(type, TD_S("text/plain")) ||
        (patch && td_slice_eq_nocase(type, TD_S("application/merge-patch+json"))))
        return 0;
    return TD_EMEDIATYPE;
}

/* It is kept one level deeper, beside its version, and has to be JSON there too. */
static int check_document(const struct td_request *request, struct change *change,
                          const char **what)
{
    struct td_buf deeper = TD_BUF_INIT(request->body.len + 2);
    struct td_slice value;
    int r = check_media_type(request, what);

    if (r < 0)
        return r;
    *what = "The document is larger than limits.message_bytes.";
    if (request->body.len > request->worker->options->message_bytes_max)
        return TD_ETOOLARGE;
    td_buf_putc(&deeper, '[');
    td_buf_put(&deeper, request->body);
    r = td_buf_putc(&deeper, ']');
    if (r == 0)
        r = td_json_check(request->body, &change->document, NULL);
    if (r == 0)
        r = td_json_check(td_buf_slice(&deeper), &value, NULL);
    td_buf_done(&deeper);
    *what = "The body must be one JSON value, nested at most 63 deep.";
    return r;
}

static int read_change(const struct td_request *request, struct change *change, const char **what)
{
    static const char *const verbs[] = {
        [TD_ENTITY_PUT] = "PUT ",
        [TD_ENTITY_PATCH] = "PATCH ",
        [TD_ENTITY_DELETE] = "DELETE ",
    };
    enum td_http_method method = request->head->method;
    int r = read_conditions(request, change, what);

    change->how = method == TD_HTTP_PUT     ? TD_ENTITY_PUT
                  : method == TD_HTTP_PATCH ? TD_ENTITY_PATCH
                                            : TD_ENTITY_DELETE;
    change->verb = verbs[change->how];
    return r < 0 || change->how == TD_ENTITY_DELETE ? r : check_document(request, change, what);
}

static void send_change(struct td_request *request, struct td_slice topic,
                        const struct change *change)
{
    struct td_slice key = td_http_header(request->head, "idempotency-key");
    size_t verb = strlen(change->verb);
    struct td_edge_ask *edge = td_edge_ask_new(request->worker, request->conn, TD_ASK_CHANGE,
                                               topic.len + verb + change->document.len + key.len +
                                                   change->if_match.len + TEXTS);

    if (edge) {
        struct td_ask *ask = &edge->ask;
        struct td_buf said = TD_BUF_INIT(verb + change->document.len);
        ask->topic = td_ask_text(ask, topic);
        td_buf_puts(&said, change->verb);
        td_buf_put(&said, change->document);
        ask->change = (struct td_ask_change){
            .how = change->how,
            .said = td_ask_text(ask, td_buf_slice(&said)),
            .idempotency_key = td_ask_text(ask, key),
            .if_none_match = change->if_none_match,
            .bytes_max = request->worker->options->message_bytes_max,
        };
        ask->change.document = td_slice_from(ask->change.said, TD_MIN(verb, said.len));
        if (change->if_match.len > 0)
            ask->change.if_match = td_ask_text(ask, td_buf_slice(&change->if_match));
        if (said.err < 0) {
            td_edge_ask_free(edge);
            edge = NULL;
        }
        td_buf_done(&said);
    }
    request->body = td_slice(request->body.ptr, 0); /* the ask has it */
    td_request_ask(request, edge);
}

static void ask_change(struct td_request *request, struct td_slice topic)
{
    struct change change = {.if_match = TD_BUF_INIT(IF_MATCH_MAX)};
    const char *what = NULL;
    int r = td_principal_check_publish(request->principal, topic);

    if (r < 0)
        what = "The token does not grant publishing to this entity's topic.";
    else if (request->worker->draining) {
        r = TD_EDRAINING;
        what = "The server is stopping.";
    } else if (!td_admission_publish(request->worker, request->conn)) {
        r = TD_ERATE;
        what = "Too many publishes on this connection; this one was not carried out.";
    } else if (td_http_header(request->head, "idempotency-key").len > TD_PUBLISH_DEDUP_MAX) {
        r = TD_EINVAL;
        what = "Idempotency-Key must be 1 to 255 bytes.";
    } else {
        r = read_change(request, &change, &what);
    }
    if (r < 0)
        td_respond_error(request, r, td_slice_str(what));
    else
        send_change(request, topic, &change);
    td_buf_done(&change.if_match);
}

static void ask_entity(struct td_request *request, struct td_slice topic)
{
    struct td_edge_ask *edge;

    if (!td_principal_may_see(request->principal, topic)) {
        td_respond_error(request, TD_EFORBIDDEN, TD_S("You may not see this entity."));
        return;
    }
    edge = td_edge_ask_new(request->worker, request->conn, TD_ASK_ENTITY, topic.len + TEXTS);
    if (edge)
        edge->ask.topic = td_ask_text(&edge->ask, topic);
    td_request_ask(request, edge);
}

static void ask(struct td_request *request)
{
    struct td_buf topic = TD_BUF_INIT(TD_TOPIC_LEN_MAX);
    struct td_slice type, id;

    if (td_api_topic(request, PREFIX, &topic) < 0 ||
        !td_entity_topic(td_buf_slice(&topic), &type, &id))
        td_respond_error(
            request, TD_ETOPIC,
            TD_S("The type and the id of an entity must each be a segment of a topic."));
    else if (request->head->method == TD_HTTP_GET || request->head->method == TD_HTTP_HEAD)
        ask_entity(request, td_buf_slice(&topic));
    else
        ask_change(request, td_buf_slice(&topic));
    td_buf_done(&topic);
}

/* ---- the answer ---- */

static void respond_conflict(struct td_request *request)
{
    const struct td_ask *answer = request->answer;
    struct td_buf members = TD_BUF_INIT(answer->body.len + 64);
    struct td_slice current = td_buf_slice(&answer->body);

    td_buf_puts(&members, "\"current\":");
    if (current.len > 0)
        td_buf_put(&members, td_slice_to(current, current.len - 1)); /* without its line end */
    else
        td_buf_puts(&members, "null");
    td_respond_problem(request,
                       &(struct td_problem){
                           .err = TD_ECONFLICT,
                           .detail = current.len > 0 ? TD_S("The entity is another one by now.")
                                                     : TD_S("There is no such entity."),
                           .members = td_buf_slice(&members),
                           .wait_for = answer->wait_for,
                       });
    td_buf_done(&members);
}

/* RFC 9110 §13.1.2: weak and strong are the same here. */
static bool is_known(const struct td_request *request, struct td_slice etag)
{
    struct td_slice rest = td_http_header(request->head, "if-none-match"), tag;

    while (rest.ptr && td_slice_split(&rest, ',', &tag)) {
        tag = td_slice_trim(tag);
        if (td_slice_starts(tag, TD_S("W/")))
            tag = td_slice_from(tag, 2);
        if (td_slice_eq(tag, TD_S("*")) || td_slice_eq(tag, etag))
            return true;
    }
    return false;
}

static void respond(struct td_request *request)
{
    const struct td_ask *answer = request->answer;
    bool reads = request->head->method == TD_HTTP_GET || request->head->method == TD_HTTP_HEAD;
    struct td_buf headers = TD_BUF_INIT(256), etag = TD_BUF_INIT(TD_POSITION_LEN_MAX + 2);

    td_position_put(&etag, td_here(request->worker, answer->record));
    td_buf_puts(&headers, "Cache-Control: private, no-cache\r\n");
    if (request->head->method != TD_HTTP_DELETE) {
        td_buf_puts(&headers, "ETag: ");
        td_buf_put(&headers, td_buf_slice(&etag));
        td_buf_puts(&headers, "\r\n");
    }
    if (reads && is_known(request, td_buf_slice(&etag)))
        td_respond(request, &(struct td_response){
                                .status = 304,
                                .headers = td_buf_slice(&headers),
                                .position = answer->position,
                                .has_position = true,
                                .wait_for = answer->wait_for,
                                .err = headers.err,
                            });
    else
        td_respond_answer(request, answer->created && !reads ? 201 : 200, td_buf_slice(&headers));
    td_buf_done(&headers);
    td_buf_done(&etag);
}

void td_api_entity(struct td_request *request, const struct td_api *api)
{
    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (!request->answer)
        ask(request);
    else if (request->answer->err == TD_ENOTFOUND)
        td_respond_error(request, TD_ENOTFOUND, TD_S("There is no such entity."));
    else if (request->answer->err == TD_ECONFLICT)
        respond_conflict(request);
    else if (request->answer->err < 0)
        td_respond_answer(request, 0, (struct td_slice){NULL, 0});
    else
        respond(request);
}

/* ---- a page of them ---- */

/* The value of `after`, which must be an id.  0 or TD_EINVAL. */
static int read_after(const struct td_request *request, struct td_buf *after)
{
    struct td_slice query = request->head->query, name, value;

    while (td_http_query_next(&query, &name, &value)) {
        if (!td_slice_eq(name, TD_S("after")))
            continue;
        td_buf_reset(after);
        if (td_http_unescape(value, true, after) < 0 || !td_segment_valid(td_buf_slice(after)))
            return TD_EINVAL;
    }
    return 0;
}

static void ask_page(struct td_request *request, struct td_slice pattern)
{
    struct td_buf after = TD_BUF_INIT(TD_SEGMENT_LEN_MAX);
    uint64_t limit = td_api_number(request, "limit", PAGE, PAGE_MAX);
    struct td_edge_ask *edge;

    if (limit == 0) {
        td_respond_error(request, TD_EINVAL, TD_S("`limit` must be a number from 1 to 1000."));
    } else if (read_after(request, &after) < 0) {
        td_respond_error(request, TD_EINVAL, TD_S("`after` must be the id of an entity."));
    } else {
        edge = td_edge_ask_new(request->worker, request->conn, TD_ASK_ENTITIES,
                               pattern.len + after.len + TEXTS);
        if (edge) {
            edge->ask.topic = td_ask_text(&edge->ask, pattern);
            edge->ask.page.after = td_ask_text(&edge->ask, td_buf_slice(&after));
            edge->ask.page.limit = (size_t)limit;
        }
        td_request_ask(request, edge);
    }
    td_buf_done(&after);
}

void td_api_entities(struct td_request *request, const struct td_api *api)
{
    struct td_buf pattern = TD_BUF_INIT(TD_TOPIC_LEN_MAX);

    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (request->answer && request->answer->err == TD_EFORBIDDEN)
        td_respond_error(request, TD_EFORBIDDEN,
                         TD_S("Nothing of these entities is granted to you."));
    else if (request->answer)
        td_respond_answer(request, 200, TD_S("Cache-Control: private, no-cache\r\n"));
    else if (td_api_topic(request, PREFIX, &pattern) < 0 || td_buf_puts(&pattern, "/*") < 0 ||
             !td_segment_valid(
                 td_slice(pattern.ptr + strlen("entities/"), pattern.len - strlen("entities//*"))))
        td_respond_error(request, TD_ETOPIC,
                         TD_S("The type of entities must be a segment of a topic."));
    else
        ask_page(request, td_buf_slice(&pattern));
    td_buf_done(&pattern);
}
