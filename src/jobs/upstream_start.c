/* SPDX-License-Identifier: Apache-2.0 */
/* A transfer is checked, begun, asked about, and let go. */
#include "base/assert.h"
#include "base/err.h"
#include "jobs/upstream_impl.h"
#include "os/clock.h"
#include <errno.h>

/* Of what nobody listens to any more so much is still read, so that its connection can end by itself. */
#define RELEASED_NS    TD_NS_PER_S
#define RELEASED_BYTES (1 * TD_MIB)

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
    if (transfer->pending.len + n > TD_TRANSFER_PENDING_MAX) {
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
    td_buf_init(&transfer->pending, TD_TRANSFER_PENDING_MAX);
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
        td_transfer_free(transfer);
        return r;
    }
    *ret_transfer = transfer;
    return 0;
}

void td_transfer_cancel(struct td_transfer *transfer)
{
    TD_ASSERT(!transfer->released_until);
    td_transfer_free(transfer);
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
