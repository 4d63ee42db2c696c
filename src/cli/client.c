/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/units.h"
#include "os/random.h"
#include <curl/curl.h>
#include <errno.h>

#define BODY_MAX           (64 * TD_KIB)
#define ANSWER_MAX         (32 * TD_MIB)
#define URL_MAX            (64 * TD_KIB)
#define HEADER_MAX         (16 * TD_KIB)
#define CONNECT_TIMEOUT_MS 10000L
#define POST_TIMEOUT_MS    60000L
#define RETRY_AFTER_MAX_MS ((uint64_t)60000)

struct td_client {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char *server_url, *token, *ca;
    struct td_buf request; /* the body of a post, as libcurl reads it */
    struct td_buf body;    /* of the answer */
    char curl_error[CURL_ERROR_SIZE];
    CURLcode result;
    bool busy, ended, streams, accepted;
    int watched; /* td_client_watch; -1: none */
    td_client_bytes_fn *on_bytes;
    void *arg;
};

/* Whether a header may carry it: visible ASCII (RFC 9110 §5.5, without spaces). */
static bool header_safe(struct td_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    return true;
}

int td_client_new(const char *server_url, const char *token, const char *ca,
                  struct td_client **ret_client)
{
    if (token && !header_safe(td_slice_str(token)))
        return TD_EINVAL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return TD_EUNAVAILABLE;
    struct td_client *client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    td_buf_init(&client->body, BODY_MAX);
    td_buf_init(&client->request, 16 * TD_MIB);
    client->watched = -1;
    client->multi = curl_multi_init();
    client->easy = curl_easy_init();
    client->server_url = strdup(server_url);
    client->token = token ? strdup(token) : NULL;
    client->ca = ca ? strdup(ca) : NULL;
    if (!client->multi || !client->easy || !client->server_url || (token && !client->token) ||
        (ca && !client->ca)) {
        td_client_free(client);
        return -ENOMEM;
    }
    for (size_t n = strlen(client->server_url); n > 0 && client->server_url[n - 1] == '/'; n--)
        client->server_url[n - 1] = '\0';
    *ret_client = client;
    return 0;
}

void td_client_free(struct td_client *client)
{
    if (!client)
        return;
    td_client_cancel(client);
    if (client->easy)
        curl_easy_cleanup(client->easy);
    if (client->multi)
        curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->headers);
    td_buf_done(&client->body);
    td_buf_done(&client->request);
    free(client->server_url);
    free(client->token);
    free(client->ca);
    free(client);
    curl_global_cleanup();
}

/* --- what goes out --- */

static int put_header(struct td_client *client, const char *name, struct td_slice value)
{
    struct td_buf line = TD_BUF_INIT(HEADER_MAX);

    td_buf_puts(&line, name);
    td_buf_put(&line, value);
    td_buf_putc(&line, '\0');
    struct curl_slist *more =
        line.err == 0 ? curl_slist_append(client->headers, line.ptr) : client->headers;
    int r = line.err < 0 ? line.err : more ? 0 : -ENOMEM;
    td_buf_done(&line);
    if (r == 0)
        client->headers = more;
    return r;
}

static bool is_stream(struct td_client *client)
{
    long status = 0;
    char *type = NULL;

    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(client->easy, CURLINFO_CONTENT_TYPE, &type);
    return status == 200 && td_slice_starts(td_slice_str(type), TD_S("text/event-stream"));
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct td_client *client = arg;

    TD_ASSERT(size == 1);
    if (client->streams && (client->accepted || is_stream(client))) {
        client->accepted = true;
        return client->on_bytes(td_slice(bytes, n), client->arg) < 0 ? 0 : n;
    }
    /* Beyond its maximum the rest of an answer says nothing that is needed. */
    size_t room = client->body.max - client->body.len;
    int r = td_buf_put(&client->body, td_slice(bytes, TD_MIN(n, room)));
    return r < 0 ? 0 : n;
}

/* A stream is accepted with its head, before its first byte: a quiet topic sends none for a while. */
static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
    struct td_client *client = arg;
    struct td_slice line = td_slice(bytes, size * n);

    if (client->streams && td_slice_eq(line, TD_S("\r\n")) && is_stream(client))
        client->accepted = true;
    return line.len;
}

/* The options that every request has.  Redirects are not followed: they would take the token elsewhere. */
static int prepare(struct td_client *client, const char *url)
{
    CURL *easy = client->easy;

    TD_ASSERT(!client->busy);
    curl_easy_reset(easy);
    curl_slist_free_all(client->headers);
    client->headers = NULL;
    td_buf_reset(&client->body);
    client->curl_error[0] = '\0';
    client->ended = client->accepted = client->streams = false;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "tidings");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->curl_error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, client);
    if (client->ca)
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca);
    if (!client->token)
        return 0;
    return put_header(client, "Authorization: Bearer ", td_slice_str(client->token));
}

static int begin(struct td_client *client)
{
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, client->headers);
    if (curl_multi_add_handle(client->multi, client->easy) != CURLM_OK)
        return TD_EUNAVAILABLE;
    client->busy = true;
    return 0;
}

int td_client_post(struct td_client *client, struct td_slice ndjson, bool once)
{
    struct td_buf url = TD_BUF_INIT(URL_MAX);

    td_buf_puts(&url, client->server_url);
    td_buf_puts(&url, "/api/v1/events");
    td_buf_putc(&url, '\0');
    td_buf_reset(&client->request);
    int r = td_buf_put(&client->request, ndjson);
    if (r == 0)
        r = url.err;
    if (r == 0)
        r = prepare(client, url.ptr);
    if (r == 0)
        r = put_header(client, "Content-Type: ", TD_S("application/x-ndjson"));
    if (r == 0) /* else libcurl asks "100-continue?" before a long body and waits a second */
        r = put_header(client, "Expect:", TD_S(""));
    td_buf_done(&url);
    if (r < 0)
        return r;
    curl_easy_setopt(client->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, client->request.ptr);
    curl_easy_setopt(client->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)client->request.len);
    curl_easy_setopt(client->easy, CURLOPT_FRESH_CONNECT, once ? 1L : 0L);
    curl_easy_setopt(client->easy, CURLOPT_TIMEOUT_MS, POST_TIMEOUT_MS);
    return begin(client);
}

int td_client_request(struct td_client *client, const char *method, struct td_slice path,
                      struct td_slice json)
{
    struct td_buf url = TD_BUF_INIT(URL_MAX);

    td_buf_puts(&url, client->server_url);
    td_buf_put(&url, path);
    td_buf_putc(&url, '\0');
    td_buf_reset(&client->request);
    td_buf_put(&client->request, json);
    int r = url.err < 0 ? url.err : client->request.err;
    if (r == 0)
        r = prepare(client, url.ptr);
    if (r == 0 && json.len > 0)
        r = put_header(client, "Content-Type: ", TD_S("application/json"));
    if (r == 0)
        r = put_header(client, "Accept: ", TD_S("application/json"));
    if (r == 0) /* as in td_client_post */
        r = put_header(client, "Expect:", TD_S(""));
    td_buf_done(&url);
    if (r < 0)
        return r;
    client->body.max = ANSWER_MAX;
    if (json.len > 0) {
        curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, client->request.ptr);
        curl_easy_setopt(client->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)client->request.len);
    }
    curl_easy_setopt(client->easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(client->easy, CURLOPT_TIMEOUT_MS, POST_TIMEOUT_MS);
    return begin(client);
}

int td_client_escape(struct td_client *client, struct td_slice text, struct td_buf *out)
{
    char *escaped = text.len > 0 ? curl_easy_escape(client->easy, text.ptr, (int)text.len) : NULL;

    if (text.len == 0)
        return 0;
    if (!escaped)
        return -ENOMEM;
    int r = td_buf_puts(out, escaped);
    curl_free(escaped);
    return r;
}

static int put_query(struct td_client *client, struct td_buf *url, const char *name,
                     struct td_slice value)
{
    td_buf_puts(url, name);
    return td_client_escape(client, value, url);
}

static int put_stream_url(struct td_client *client, const struct td_client_stream *stream,
                          struct td_buf *url)
{
    td_buf_puts(url, client->server_url);
    td_buf_puts(url, "/api/v1/events?format=event");
    td_buf_puts(url, "&state=0"); /* what happens, not what was */
    for (size_t i = 0; i < stream->n_patterns; i++) {
        int r = put_query(client, url, "&topic=", td_slice_str(stream->patterns[i]));
        if (r < 0)
            return r;
    }
    if (stream->last_id.len == 0 && stream->since.len > 0) {
        int r = put_query(client, url, "&since=", stream->since);
        if (r < 0)
            return r;
    }
    td_buf_putc(url, '\0');
    return url->err;
}

int td_client_subscribe(struct td_client *client, const struct td_client_stream *stream)
{
    struct td_buf url = TD_BUF_INIT(URL_MAX);

    if (!header_safe(stream->last_id))
        return TD_EPOSITION;
    int r = put_stream_url(client, stream, &url);
    if (r == 0)
        r = prepare(client, url.ptr);
    if (r == 0)
        r = put_header(client, "Accept: ", TD_S("text/event-stream"));
    if (r == 0 && stream->last_id.len > 0)
        r = put_header(client, "Last-Event-ID: ", stream->last_id);
    td_buf_done(&url);
    if (r < 0)
        return r;
    client->streams = true;
    client->on_bytes = stream->on_bytes;
    client->arg = stream->arg;
    return begin(client);
}

void td_client_cancel(struct td_client *client)
{
    if (client->busy)
        curl_multi_remove_handle(client->multi, client->easy);
    client->busy = client->ended = client->accepted = false;
}

bool td_client_busy(const struct td_client *client)
{
    return client->busy;
}

bool td_client_streaming(const struct td_client *client)
{
    return client->busy && client->accepted;
}

/* --- what comes back --- */

static bool status_is_passing(long status)
{
    if (status == 408 || status == 425 || status == 429)
        return true;
    return status >= 500 && status != 501 && status != 505;
}

/* Failures that the next attempt would meet again. */
static bool result_is_final(CURLcode result)
{
    switch ((int)result) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return true;
    default: return false;
    }
}

/* Puts a member of the problem (RFC 9457) into `out`; whether it is there. */
static bool put_member(struct td_buf *out, struct td_slice problem, const char *before,
                       const char *name)
{
    struct td_slice raw;

    if (!td_json_get(problem, name, &raw) || td_json_type(raw) != TD_JSON_STRING)
        return false;
    td_buf_puts(out, before);
    td_json_unescape(raw, out);
    return true;
}

static void describe_status(struct td_client *client, long status, struct td_buf *out)
{
    struct td_slice problem;

    td_buf_putf(out, "the server answered %ld", status);
    if (td_json_check(td_buf_slice(&client->body), &problem, NULL) == 0 &&
        td_json_type(problem) == TD_JSON_OBJECT) {
        put_member(out, problem, " ", "code");
        if (!put_member(out, problem, ": ", "detail"))
            put_member(out, problem, ": ", "title");
        return;
    }
    if (status >= 300 && status < 400)
        td_buf_puts(out, ": a redirect; give --server the URL that it leads to");
    else if (status < 300)
        td_buf_puts(out, ", but not as a Tidings server does; check --server");
}

static void describe(struct td_client *client, long status, struct td_client_answer *answer)
{
    struct td_buf text = TD_BUF_INIT(sizeof(answer->message) - 1);

    if (status != 0 && !client->accepted)
        describe_status(client, status, &text);
    else if (client->result == CURLE_OK)
        td_buf_puts(&text, "the server ended the stream");
    else
        td_buf_puts(&text, client->curl_error[0] ? client->curl_error
                                                 : curl_easy_strerror(client->result));
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        answer->message[i] = byte < ' ' || byte == 0x7F ? ' ' : (char)byte;
    }
    answer->message[text.len] = '\0';
    td_buf_done(&text);
}

static enum td_client_verdict judge(const struct td_client *client, long status)
{
    if (client->accepted)
        return TD_CLIENT_RETRY;
    if (status == 0 || client->result != CURLE_OK)
        return result_is_final(client->result) ? TD_CLIENT_REFUSED : TD_CLIENT_RETRY;
    if (!client->streams && status >= 200 && status <= 204)
        return TD_CLIENT_DONE;
    return status_is_passing(status) ? TD_CLIENT_RETRY : TD_CLIENT_REFUSED;
}

bool td_client_answered(struct td_client *client, struct td_client_answer *ret_answer)
{
    long status = 0;
    curl_off_t retry_after_s = 0;

    if (!client->busy || !client->ended)
        return false;
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(client->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    *ret_answer = (struct td_client_answer){
        .verdict = judge(client, status),
        .status = (int)status,
        .retry_after_ms = (uint64_t)TD_MAX(retry_after_s, 0) * 1000,
        .body = td_buf_slice(&client->body),
    };
    if (ret_answer->verdict != TD_CLIENT_DONE)
        describe(client, status, ret_answer);
    td_client_cancel(client);
    return true;
}

static void run(struct td_client *client)
{
    int running, left;
    CURLMsg *message;

    curl_multi_perform(client->multi, &running);
    while ((message = curl_multi_info_read(client->multi, &left))) {
        TD_ASSERT(message->msg == CURLMSG_DONE && message->easy_handle == client->easy);
        client->result = message->data.result;
        client->ended = true;
    }
}

void td_client_watch(struct td_client *client, int fd)
{
    client->watched = fd;
}

void td_client_wait(struct td_client *client, const int *fds, size_t n, uint64_t timeout_ms)
{
    struct curl_waitfd waits[TD_CLIENT_FDS_MAX + 1];

    TD_ASSERT(n <= TD_CLIENT_FDS_MAX);
    run(client);
    if (client->busy && client->ended)
        return;
    for (size_t i = 0; i < n; i++)
        waits[i] = (struct curl_waitfd){.fd = fds[i], .events = CURL_WAIT_POLLIN};
    if (client->watched >= 0) /* nothing is asked of it: its end is told in any case */
        waits[n++] = (struct curl_waitfd){.fd = client->watched};
    curl_multi_poll(client->multi, waits, (unsigned)n, (int)TD_MIN(timeout_ms, 60000), NULL);
    run(client);
}

uint64_t td_backoff_next_ms(struct td_backoff *backoff, uint64_t retry_after_ms)
{
    uint64_t base_ms = backoff->_next_ms ? backoff->_next_ms : backoff->first_ms;
    uint64_t random;

    backoff->_next_ms = TD_MIN(base_ms * 2, backoff->max_ms);
    td_random_bytes(&random, sizeof(random));
    uint64_t wait_ms = base_ms - base_ms / 4 + random % (base_ms / 2 + 1);
    return TD_MAX(wait_ms, TD_MIN(retry_after_ms, RETRY_AFTER_MAX_MS));
}

void td_backoff_reset(struct td_backoff *backoff)
{
    backoff->_next_ms = 0;
}
