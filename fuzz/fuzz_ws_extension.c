/* SPDX-License-Identifier: Apache-2.0 */
/* Sec-WebSocket-Extensions, a header on each line: what is agreed to is within what was offered, a list is read as its parts are, and
 * the answer can be read as an offer. */
#include "base/assert.h"
#include "base/err.h"
#include "codec/deflate.h"
#include "codec/ws_extension.h"
#include "fuzz.h"
#include <stdlib.h>

static int choose_from(const struct td_slice *lines, size_t n, bool takeover,
                       struct td_ws_deflate *ret_agreed)
{
    struct td_http_request request = {0};

    for (size_t i = 0; i < n; i++)
        request.headers[request.n_headers++] =
            (struct td_http_header){TD_S("Sec-WebSocket-Extensions"), lines[i]};
    return td_ws_deflate_choose(&request, takeover, ret_agreed);
}

static void check_agreed(const struct td_ws_deflate *agreed, bool takeover)
{
    struct td_buf answer = TD_BUF_INIT(256);
    struct td_ws_deflate again;

    TD_ASSERT(agreed->server_bits >= TD_DEFLATE_BITS_MIN);
    TD_ASSERT(agreed->server_bits <= TD_DEFLATE_BITS || !agreed->tells_server_bits);
    TD_ASSERT(agreed->client_bits >= TD_DEFLATE_BITS_MIN);
    TD_ASSERT(agreed->client_bits <= TD_WS_TAKEOVER_BITS || !agreed->tells_client_bits);
    TD_ASSERT(takeover || !agreed->client_takeover);
    TD_ASSERT(td_ws_deflate_put(agreed, &answer) == 0);
    struct td_slice line = td_buf_slice(&answer);
    TD_ASSERT(choose_from(&line, 1, takeover, &again) == 1);
    TD_ASSERT(memcmp(&again, agreed, sizeof(again)) == 0);
    td_buf_done(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1); /* of its exact size, so that a step too far is seen */
    struct td_slice lines[TD_HTTP_HEADERS_MAX], rest = td_slice(copy, size);
    struct td_ws_deflate agreed, of_line;
    size_t n = 0;

    TD_ASSERT(copy);
    if (size > 0)
        memcpy(copy, data, size);
    copy = realloc(copy, size > 0 ? size : 1);
    TD_ASSERT(copy);
    rest.ptr = copy;
    while (n < TD_ARRAY_LEN(lines) && td_slice_split(&rest, '\n', &lines[n]))
        n++;
    for (int takeover = 0; takeover < 2; takeover++) {
        int r = choose_from(lines, n, takeover, &agreed), expected = 0;
        for (size_t i = 0; i < n && expected >= 0; i++) {
            int one = choose_from(&lines[i], 1, takeover, &of_line);
            if (one > 0 && expected == 0 && r > 0)
                TD_ASSERT(memcmp(&of_line, &agreed, sizeof(agreed)) == 0);
            expected = one < 0 || expected == 0 ? one : expected;
        }
        TD_ASSERT(r == expected);
        TD_ASSERT(r == 0 || r == 1 || r == TD_EINVAL);
        if (r > 0)
            check_agreed(&agreed, takeover);
    }
    free(copy);
    return 0;
}
