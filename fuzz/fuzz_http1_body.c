/* SPDX-License-Identifier: Apache-2.0 */
/* A body: content, end and fault are the same however the bytes arrive.  The first byte of the input is the first cut, the second
 * chooses between chunks (0) and a length. */
#include "base/assert.h"
#include "codec/http1.h"
#include "fuzz.h"

struct run {
    struct td_http_body body;
    struct td_buf content;
    size_t taken;
    int err;
};

static void feed(struct run *run, struct td_slice in)
{
    struct td_slice piece;
    size_t len = in.len;
    int r = 0;

    while ((r = td_http_body_next(&run->body, &in, &piece)) > 0) {
        TD_ASSERT(piece.len > 0);
        td_buf_put(&run->content, piece);
    }
    TD_ASSERT(r < 0 || run->body.done || in.len == 0);
    TD_ASSERT(run->body.total == run->content.len);
    run->taken += len - in.len;
    run->err = r;
}

/* Feeds the input in pieces of `step` bytes. */
static struct run decode(struct td_slice in, uint8_t length, size_t step)
{
    struct td_http_request request = {.chunked = length == 0, .content_length = length};
    struct run run = {.content = TD_BUF_INIT(1 << 21)};

    td_http_body_init(&run.body, &request);
    while (run.err == 0 && !run.body.done && in.len > 0) {
        struct td_slice part = td_slice_to(in, TD_MIN(in.len, step));
        feed(&run, part);
        in = td_slice_from(in, part.len);
    }
    return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct td_slice in = td_slice((const char *)data + 2, size - 2);
    struct run whole = decode(in, data[1], SIZE_MAX);
    size_t steps[] = {1, 2, (size_t)data[0] + 1};
    for (size_t i = 0; i < TD_ARRAY_LEN(steps); i++) {
        struct run split = decode(in, data[1], steps[i]);
        TD_ASSERT(split.err == whole.err && split.taken == whole.taken);
        TD_ASSERT(split.body.done == whole.body.done);
        TD_ASSERT(td_slice_eq(td_buf_slice(&split.content), td_buf_slice(&whole.content)));
        td_buf_done(&split.content);
    }
    td_buf_done(&whole.content);
    return 0;
}
