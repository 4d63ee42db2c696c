/* SPDX-License-Identifier: Apache-2.0 */
/* A request's head: the answer to the whole is the answer to every prefix that has one, and its facts lie in
 * the input. */
#include "base/assert.h"
#include "base/err.h"
#include "codec/http1.h"
#include "fuzz.h"

static bool inside(struct td_slice part, struct td_slice whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_facts(const struct td_http_request *request, struct td_slice head)
{
    TD_ASSERT(request->n_headers <= TD_HTTP_HEADERS_MAX);
    TD_ASSERT(!request->chunked || request->content_length == 0);
    TD_ASSERT(!request->http10 || !(request->chunked || request->upgrade));
    TD_ASSERT(request->http10 || request->host.len > 0);
    TD_ASSERT(request->path.len > 0);
    TD_ASSERT(request->path.ptr[0] == '/' || request->method == TD_HTTP_OPTIONS);
    TD_ASSERT(inside(request->host, head) && inside(request->query, head));
    for (size_t i = 0; i < request->n_headers; i++) {
        struct td_slice value = request->headers[i].value;
        TD_ASSERT(inside(request->headers[i].name, head) && inside(value, head));
        TD_ASSERT(value.len == 0 ||
                  !(memchr(value.ptr, '\r', value.len) || memchr(value.ptr, '\n', value.len) ||
                    memchr(value.ptr, '\0', value.len)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_slice in = td_slice((const char *)data, size);
    struct td_http_request request;
    int whole = td_http_parse_request(in, &request);

    TD_ASSERT(whole <= (int)TD_HTTP_HEAD_MAX && (whole < 0 || (size_t)whole <= size));
    if (whole > 0)
        check_facts(&request, td_slice_to(in, (size_t)whole));
    bool decided = false;
    size_t step = size / 128 + 1; /* every prefix of what is small; the unit test tries all */
    for (size_t cut = 0; cut < size; cut += step) {
        int r = td_http_parse_request(td_slice_to(in, cut), &request);
        TD_ASSERT(r == whole || (r == 0 && !decided));
        TD_ASSERT(whole <= 0 || (r > 0) == (cut >= (size_t)whole));
        decided = r != 0;
    }
    return 0;
}
