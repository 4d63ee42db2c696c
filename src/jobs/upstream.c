/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/upstream.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/units.h"
#include "os/clock.h"
#include <curl/curl.h>
#include <errno.h>

#define TRANSFERS_DEFAULT 256u
/* What one transfer may hold that was not called back yet; it is paused beyond.  At least CURL_MAX_WRITE_SIZE. */
#define PENDING_MAX      (256 * TD_KIB)
#define RELEASED_NS      TD_NS_PER_S
#define RELEASED_BYTES   (1 * TD_MIB)
#define CONNECTIONS_KEPT 16L
#define NEVER            UINT64_MAX
/* A wait without end is one that is repeated. */
#define WAIT_MAX_MS 60000

_Static_assert(PENDING_MAX >= CURL_MAX_WRITE_SIZE, "whatever libcurl gives at once has room");

struct td_upstream {
    CURLM *multi;
    struct td_list transfers;
    unsigned n_transfers, transfers_max;
    char *ca_file;
    struct curl_waitfd *waits;
    size_t waits_cap;
    struct td_buf spare;         /* the bytes that are being called back */
    struct td_transfer *current; /* whose callback runs; NULL when it was cancelled there */
};

struct td_transfer {
    struct td_list node; /* in upstream->transfers, or on its way through td_upstream_serve */
    struct td_upstream *upstream;
    CURL *easy;
    struct curl_slist *headers;
    struct td_buf body;    /* of the request */
    struct td_buf pending; /* of the answer */
    struct td_transfer_options options;
    td_ns started, last_byte; /* last_byte: 0 before the first */
    td_ns released_until;     /* nobody listens any more; 0: somebody does */
    size_t received;
    bool paused, finished, too_large;
    CURLcode code;
    char curl_error[CURL_ERROR_SIZE];
    char error[CURL_ERROR_SIZE + 128];
};

int td_upstream_new(const struct td_upstream_options *options, struct td_upstream **ret_upstream)
{
    struct td_upstream *upstream;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return TD_EUNAVAILABLE;
    upstream = calloc(1, sizeof(*upstream));
    if (!upstream) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    td_list_init(&upstream->transfers);
    td_buf_init(&upstream->spare, PENDING_MAX);
    upstream->transfers_max = options->transfers_max ? options->transfers_max : TRANSFERS_DEFAULT;
    upstream->multi = curl_multi_init();
    upstream->ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
    if (!upstream->multi || (options->ca_file && !upstream->ca_file) ||
        curl_multi_setopt(upstream->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) != CURLM_OK) {
        td_upstream_free(upstream);
        return -ENOMEM;
    }
    *ret_upstream = upstream;
    return 0;
}

static void transfer_free(struct td_transfer *transfer)
{
    struct td_upstream *upstream = transfer->upstream;

    TD_ASSERT(upstream->n_transfers > 0);
    td_list_remove(&transfer->node);
    upstream->n_transfers--;
    if (upstream->current == transfer)
        upstream->current = NULL;
    /* One that is not finished: its connection is closed here. */
    curl_multi_remove_handle(upstream->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    td_buf_done(&transfer->body);
    td_buf_done(&transfer->pending);
    free(transfer);
}

void td_upstream_free(struct td_upstream *upstream)
{
    if (!upstream)
        return;
    while (!td_list_empty(&upstream->transfers))
        transfer_free(TD_CONTAINER_OF(upstream->transfers.next, struct td_transfer, node));
    curl_multi_cleanup(upstream->multi);
    td_buf_done(&upstream->spare);
    free(upstream->waits);
    free(upstream->ca_file);
    free(upstream);
    curl_global_cleanup();
}

unsigned td_upstream_transfers(const struct td_upstream *upstream)
{
    return upstream->n_transfers;
}

/* --- starting --- */

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK && text && text[0];

    curl_free(text);
    return has;
}

static bool is_http(CURLU *url)
{
    char *scheme = NULL;
    bool http = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && scheme &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    return http;
}

int td_upstream_url_check(const char *text, const char **ret_why)
{
    CURLU *url = curl_url();
    const char *why = NULL;

    if (!url || curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        why = "is no URL; one begins with http:// or https:// and a host";
    else if (!is_http(url))
        why = "is neither http: nor https:";
    else if (!has_part(url, CURLUPART_HOST))
        why = "names no host";
    else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        why = "must not hold a user or a password; a key has a setting of its own";
    else if (has_part(url, CURLUPART_FRAGMENT))
        why = "must not hold a fragment (#)";
    curl_url_cleanup(url);
    if (why)
        *ret_why = why;
    return why ? TD_EINVAL : 0;
}

static bool add_header(struct td_transfer *transfer, const char *line)
{
    struct curl_slist *more = curl_slist_append(transfer->headers, line);

    if (more)
        transfer->headers = more;
    return more;
}

static int copy_headers(struct td_transfer *transfer, const char *const *headers)
{
    for (; headers && *headers; headers++) {
        if (strpbrk(*headers, "\r\n"))
            return TD_EINVAL;
        if (!add_header(transfer, *headers))
            return -ENOMEM;
    }
    /* libcurl would wait a second for a 100 in front of longer bodies. */
    return add_header(transfer, "Expect:") ? 0 : -ENOMEM;
}

static size_t take_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct td_transfer *transfer = arg;

    TD_ASSERT(size == 1);
    if (transfer->pending.len + n > PENDING_MAX) {
        transfer->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (n > transfer->options.bytes_max - transfer->received) {
        transfer->too_large = true;
        return 0; /* any other number than was given ends the transfer */
    }
    transfer->received += n;
    if (n > 0)
        transfer->last_byte = td_clock_ns();
    if (!transfer->options.bytes)
        return n;
    return td_buf_put(&transfer->pending, td_slice(bytes, n)) < 0 ? 0 : n;
}

#define SET(option, value) code = code ? code : curl_easy_setopt(easy, CURLOPT_##option, value)

/* How the other side is reached.  CURLE_OK, or the first option that could not be set. */
static CURLcode set_connection(struct td_transfer *transfer,
                               const struct td_transfer_options *options)
{
    const char *ca_file = transfer->upstream->ca_file;
    CURL *easy = transfer->easy;
    CURLcode code = CURLE_OK;

    SET(PROTOCOLS_STR, "http,https");
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(FOLLOWLOCATION, 0L);
    SET(PROXY, ""); /* not from the environment either */
    SET(NOSIGNAL, 1L);
    SET(QUICK_EXIT, 1L); /* removing it does not wait for a thread that still resolves the name */
    SET(TCP_KEEPALIVE, 1L);
    SET(FORBID_REUSE, options->keep ? 0L : 1L);
    SET(FRESH_CONNECT, options->keep ? 0L : 1L);
    /* 0 would be libcurl's own default of five minutes. */
    SET(CONNECTTIMEOUT_MS, options->connect_ms ? (long)options->connect_ms : 86400000L);
    if (ca_file) {
        SET(CAINFO, ca_file);
        SET(CAPATH, NULL);
    }
    return code;
}

/* What is sent, and who takes the answer. */
static CURLcode set_request(struct td_transfer *transfer, const struct td_transfer_options *options)
{
    CURL *easy = transfer->easy;
    CURLcode code = CURLE_OK;

    SET(PRIVATE, transfer);
    SET(URL, options->url);
    SET(USERAGENT, "tidings");
    SET(HTTPHEADER, transfer->headers);
    SET(ERRORBUFFER, transfer->curl_error);
    SET(WRITEFUNCTION, take_bytes);
    SET(WRITEDATA, transfer);
    if (options->post) {
        SET(POST, 1L);
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body.len);
        SET(POSTFIELDS, transfer->body.len ? transfer->body.ptr : "");
    }
    return code;
}

#undef SET

static int prepare(struct td_transfer *transfer, const struct td_transfer_options *options)
{
    int r = copy_headers(transfer, options->headers);

    if (r < 0)
        return r;
    td_buf_init(&transfer->pending, PENDING_MAX);
    td_buf_init(&transfer->body, options->body.len);
    transfer->easy = curl_easy_init();
    if (!transfer->easy || td_buf_put(&transfer->body, options->body) < 0 ||
        set_connection(transfer, options) != CURLE_OK ||
        set_request(transfer, options) != CURLE_OK ||
        curl_multi_add_handle(transfer->upstream->multi, transfer->easy) != CURLM_OK)
        return -ENOMEM;
    return 0;
}

int td_upstream_start(struct td_upstream *upstream, const struct td_transfer_options *options,
                      struct td_transfer **ret_transfer)
{
    const char *why;
    int r = td_upstream_url_check(options->url, &why);

    if (r < 0)
        return r;
    if (upstream->n_transfers >= upstream->transfers_max)
        return TD_EMANY;
    struct td_transfer *transfer = calloc(1, sizeof(*transfer));
    if (!transfer)
        return -ENOMEM;
    transfer->upstream = upstream;
    transfer->options = *options;
    transfer->started = td_clock_ns();
    r = prepare(transfer, options);
    /* What belongs to the caller is not looked at again. */
    transfer->options.url = NULL;
    transfer->options.headers = NULL;
    transfer->options.body = td_slice(NULL, 0);
    td_list_init(&transfer->node);
    td_list_append(&upstream->transfers, &transfer->node);
    upstream->n_transfers++;
    if (r < 0) {
        transfer_free(transfer);
        return r;
    }
    *ret_transfer = transfer;
    return 0;
}

void td_transfer_cancel(struct td_transfer *transfer)
{
    TD_ASSERT(!transfer->released_until);
    transfer_free(transfer);
}

void td_transfer_release(struct td_transfer *transfer)
{
    TD_ASSERT(!transfer->released_until);
    transfer->released_until = td_clock_ns() + RELEASED_NS;
    transfer->options.bytes = NULL;
    transfer->options.ended = NULL;
    transfer->options.bytes_max = transfer->received + RELEASED_BYTES;
}

int td_transfer_status(const struct td_transfer *transfer)
{
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

bool td_transfer_header(const struct td_transfer *transfer, const char *name,
                        struct td_slice *ret_value)
{
    struct curl_header *header;

    if (curl_easy_header(transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return false;
    *ret_value = td_slice_str(header->value);
    return true;
}

/* --- time --- */

static td_ns after(td_ns from, uint64_t ms)
{
    return ms ? from + ms * TD_NS_PER_MS : NEVER;
}

/* When the transfer is to be ended by us.  The connection's own limit is libcurl's. */
static td_ns deadline_of(const struct td_transfer *transfer)
{
    const struct td_transfer_options *options = &transfer->options;
    td_ns total = after(transfer->started, options->total_ms);
    td_ns next = transfer->last_byte ? after(transfer->last_byte, options->idle_ms)
                                     : after(transfer->started, options->first_byte_ms);

    if (transfer->released_until)
        return transfer->released_until;
    return TD_MIN(total, next);
}

int td_upstream_wait(struct td_upstream *upstream, struct td_poll_item *items, size_t n,
                     int timeout_ms)
{
    td_ns now = td_clock_ns(), deadline = NEVER;
    int ready = 0;

    for (size_t i = 0; i < n; i++)
        items[i].ready = false;
    if (n > upstream->waits_cap) {
        struct curl_waitfd *more = realloc(upstream->waits, n * sizeof(*more));
        if (!more)
            return 0;
        upstream->waits = more;
        upstream->waits_cap = n;
    }
    for (size_t i = 0; i < n; i++)
        upstream->waits[i] = (struct curl_waitfd){
            .fd = items[i].fd < 0 ? CURL_SOCKET_BAD : items[i].fd, .events = CURL_WAIT_POLLIN};
    for (struct td_list *at = upstream->transfers.next; at != &upstream->transfers; at = at->next)
        deadline = TD_MIN(deadline, deadline_of(TD_CONTAINER_OF(at, struct td_transfer, node)));

    uint64_t wait_ms = timeout_ms < 0 ? WAIT_MAX_MS : TD_MIN(timeout_ms, WAIT_MAX_MS);
    if (deadline != NEVER)
        wait_ms = deadline <= now
                      ? 0
                      : TD_MIN(wait_ms, (deadline - now + TD_NS_PER_MS - 1) / TD_NS_PER_MS);
    if (curl_multi_poll(upstream->multi, upstream->waits, (unsigned)n, (int)wait_ms, NULL) !=
        CURLM_OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        items[i].ready = items[i].fd >= 0 && upstream->waits[i].revents != 0;
        ready += items[i].ready;
    }
    return ready;
}

/* --- ending --- */

static const char *say_timeout(struct td_transfer *transfer)
{
    const struct td_transfer_options *options = &transfer->options;
    td_ns now = td_clock_ns();

    if (now >= after(transfer->started, options->total_ms))
        snprintf(transfer->error, sizeof(transfer->error),
                 "the whole answer was not there after %g s", (double)options->total_ms / 1000);
    else if (!transfer->last_byte)
        snprintf(transfer->error, sizeof(transfer->error), "no answer came within %g s",
                 (double)options->first_byte_ms / 1000);
    else
        snprintf(transfer->error, sizeof(transfer->error), "nothing more came for %g s",
                 (double)options->idle_ms / 1000);
    return transfer->error;
}

static const char *say(struct td_transfer *transfer, const char *what)
{
    snprintf(transfer->error, sizeof(transfer->error), "%s: %s", what,
             transfer->curl_error[0] ? transfer->curl_error : curl_easy_strerror(transfer->code));
    return transfer->error;
}

static bool is_connected(const struct td_transfer *transfer)
{
    curl_off_t ready_us = 0; /* when the request could be sent: behind TLS */

    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    return ready_us > 0;
}

static struct td_transfer_end end_of(struct td_transfer *transfer)
{
    struct td_transfer_end end = {
        .status = td_transfer_status(transfer), .connected = is_connected(transfer), .error = ""};

    if (!transfer->finished) {
        end.outcome = TD_TRANSFER_TIMEOUT;
        end.error = say_timeout(transfer);
    } else if (transfer->code == CURLE_OK) {
        end.outcome = TD_TRANSFER_DONE;
    } else if (transfer->too_large) {
        end.outcome = TD_TRANSFER_TOO_LARGE;
        snprintf(transfer->error, sizeof(transfer->error), "the answer is longer than %zu bytes",
                 transfer->options.bytes_max);
        end.error = transfer->error;
    } else if (transfer->code == CURLE_OPERATION_TIMEDOUT) {
        end.outcome = TD_TRANSFER_TIMEOUT;
        snprintf(transfer->error, sizeof(transfer->error), "no connection was made within %g s",
                 (double)transfer->options.connect_ms / 1000);
        end.error = transfer->error;
    } else if (!end.connected) {
        end.outcome = TD_TRANSFER_UNREACHABLE;
        end.error = say(transfer, "no connection could be made");
    } else {
        end.outcome = TD_TRANSFER_BROKEN;
        end.error = say(transfer, "the connection ended before the answer did");
    }
    return end;
}

static void end_transfer(struct td_transfer *transfer)
{
    struct td_transfer_end end = end_of(transfer);

    if (transfer->options.ended)
        transfer->options.ended(transfer, &end, transfer->options.arg);
    transfer_free(transfer);
}

/* --- serving --- */

/* Calls back with what has come.  False when the transfer is gone. */
static bool deliver(struct td_transfer *transfer)
{
    struct td_upstream *upstream = transfer->upstream;
    struct td_buf bytes = transfer->pending;

    if (bytes.len > 0 && transfer->options.bytes) {
        /* The bytes stay where they are if the callback ends the transfer, and its memory serves the next. */
        transfer->pending = upstream->spare;
        upstream->spare = bytes;
        upstream->current = transfer;
        transfer->options.bytes(transfer, td_buf_slice(&bytes), transfer->options.arg);
        td_buf_reset(&upstream->spare);
        if (!upstream->current)
            return false;
        upstream->current = NULL;
    }
    td_buf_reset(&transfer->pending);
    return true;
}

static void turn(struct td_transfer *transfer)
{
    if (!deliver(transfer))
        return;
    if (transfer->paused) {
        transfer->paused = false;
        transfer->code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
        transfer->finished = transfer->code != CURLE_OK;
    }
    if (transfer->finished || td_clock_ns() >= deadline_of(transfer))
        end_transfer(transfer);
}

static void take_results(struct td_upstream *upstream)
{
    struct CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(upstream->multi, &left))) {
        char *transfer = NULL;

        TD_ASSERT(message->msg == CURLMSG_DONE);
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        ((struct td_transfer *)(void *)transfer)->finished = true;
        ((struct td_transfer *)(void *)transfer)->code = message->data.result;
    }
}

void td_upstream_serve(struct td_upstream *upstream)
{
    struct td_list todo;
    struct td_list *node;
    int running;

    TD_ASSERT(!upstream->current);
    TD_EXPECT(curl_multi_perform(upstream->multi, &running) == CURLM_OK);
    take_results(upstream);
    /* Callbacks may start and cancel transfers, any of them: each is taken off the list before its turn. */
    td_list_init(&todo);
    td_list_splice(&todo, &upstream->transfers);
    while ((node = td_list_pop(&todo))) {
        td_list_append(&upstream->transfers, node);
        turn(TD_CONTAINER_OF(node, struct td_transfer, node));
    }
}
