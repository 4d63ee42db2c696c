/* SPDX-License-Identifier: Apache-2.0 */
/* The pages: the workbench at / of `tidings dev`, the console at /console, and what they are made of below /assets. */
#include "api/page.h"
#include "api/api.h"
#include "api/dev.h"
#include "base/err.h"

/* Nothing but what is served here runs or is loaded in a page, and no other site has it in a frame. */
static const char headers_common[] =
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self' ws: wss:; img-src 'self' data:; font-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'\r\n";

static const struct td_page *find(struct td_slice path)
{
    for (size_t i = 0; i < td_pages_len; i++)
        if (td_slice_eq(path, td_slice_str(td_pages[i].path)))
            return &td_pages[i];
    return NULL;
}

/* RFC 9110 §12.5.3, as far as browsers use it: gzip is named, and not with a weight of zero. */
static bool takes_gzip(const struct td_http_request *head)
{
    struct td_slice rest = td_http_header(head, "accept-encoding"), item, name;

    while (td_slice_split(&rest, ',', &item)) {
        struct td_slice weight = item;
        (void)td_slice_split(&weight, ';', &name);
        if (!td_slice_eq_nocase(td_slice_trim(name), TD_S("gzip")))
            continue;
        weight = td_slice_trim(weight);
        return !td_slice_eq(weight, TD_S("q=0")) && !td_slice_starts(weight, TD_S("q=0.0"));
    }
    return false;
}

/* RFC 9110 §13.1.2. */
static bool is_known(const struct td_http_request *head, const struct td_page *page)
{
    struct td_slice rest = td_http_header(head, "if-none-match"), tag;

    while (td_slice_split(&rest, ',', &tag)) {
        tag = td_slice_trim(tag);
        if (td_slice_starts(tag, TD_S("W/")))
            tag = td_slice_from(tag, 2);
        if (tag.len > 2 && td_slice_eq(td_slice(tag.ptr + 1, tag.len - 2), td_slice_str(page->tag)))
            return true;
    }
    return false;
}

/* In development the page at / brings a token along: a cookie that scripts can't read, good for this site alone. */
static void put_cookie(const struct td_request *request, const struct td_api *api,
                       struct td_buf *headers)
{
    if (!api->dev || request->worker->options->cookie.len == 0 || !td_request_host_ok(request) ||
        !td_slice_eq(request->head->path, TD_S("/")))
        return;
    td_buf_puts(headers, "Set-Cookie: ");
    td_buf_put(headers, request->worker->options->cookie);
    td_buf_puts(headers, "=");
    td_buf_put(headers, api->dev->cookie);
    td_buf_puts(headers, "; HttpOnly; SameSite=Strict; Path=/\r\n");
}

static void serve(struct td_request *request, const struct td_api *api, const struct td_page *page)
{
    bool asset = td_slice_starts(td_slice_str(page->path), TD_S("/assets/"));
    bool packed = page->packed_len > 0 && takes_gzip(request->head);
    bool known = is_known(request->head, page);
    struct td_slice body = packed ? td_slice(td_pages_bytes + page->packed_at, page->packed_len)
                                  : td_slice(td_pages_bytes + page->at, page->len);
    struct td_buf headers = TD_BUF_INIT(16 * TD_KIB);

    td_buf_puts(&headers, headers_common);
    /* The name of an asset changes with its content; a page is asked for again each time, and mostly not sent. */
    td_buf_puts(&headers, asset ? "Cache-Control: public, max-age=31536000, immutable\r\n"
                                : "Cache-Control: no-cache\r\n");
    /* Weak, because the bytes are others where it is compressed (RFC 9110 §8.8.1). */
    td_buf_putf(&headers, "ETag: W/\"%s\"\r\nVary: Accept-Encoding\r\n", page->tag);
    if (packed && !known)
        td_buf_puts(&headers, "Content-Encoding: gzip\r\n");
    put_cookie(request, api, &headers);
    td_respond(request, &(struct td_response){
                            .status = known ? 304 : 200,
                            .content_type = known ? NULL : page->type,
                            .headers = td_buf_slice(&headers),
                            .body = known ? TD_S("") : body,
                            .lasting = !known,
                            .err = headers.err,
                        });
    td_buf_done(&headers);
}

void td_api_page(struct td_request *request, const struct td_api *api)
{
    struct td_slice path = request->head->path;

    if (td_slice_eq(path, TD_S("/")))
        path = api->dev ? TD_S("/index.html") : TD_S("/console.html");
    else if (td_slice_eq(path, TD_S("/console")))
        path = TD_S("/console.html");
    const struct td_page *page = find(path);
    if (page)
        serve(request, api, page);
    else
        td_respond_error(request, TD_ENOTFOUND, TD_S("There is no such page."));
}
