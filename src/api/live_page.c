/* SPDX-License-Identifier: Apache-2.0 */
/* The live page at /, embedded in the program: web/live.html as it is. */
#include "api/api.h"
#include "base/err.h"

/* Made by tools/embed.py. */
struct td_slice td_embedded_live_html(void);

static const char headers_common[] =
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self' 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'\r\n";

void td_api_live_page(struct td_request *request, const struct td_api *api)
{
    struct td_buf headers = TD_BUF_INIT(16 * TD_KIB);

    td_buf_puts(&headers, headers_common);
    /* In development the page is signed in by a cookie, which is not readable by scripts and good for this site alone. */
    if (api->dev && request->worker->options->cookie.len > 0 && td_request_host_ok(request)) {
        td_buf_puts(&headers, "Set-Cookie: ");
        td_buf_put(&headers, request->worker->options->cookie);
        td_buf_puts(&headers, "=");
        td_buf_put(&headers, api->dev_token);
        td_buf_puts(&headers, "; HttpOnly; SameSite=Strict; Path=/\r\n");
    }
    td_respond(request, &(struct td_response){
                            .status = 200,
                            .content_type = "text/html; charset=utf-8",
                            .headers = td_buf_slice(&headers),
                            .body = td_embedded_live_html(),
                            .err = headers.err,
                        });
    td_buf_done(&headers);
}
