/* SPDX-License-Identifier: Apache-2.0 */
/* An event stream: what is written is read back as it was.  The first two bytes of the input are the lengths of the id and the
 * type; the data is the rest. */
#include "../tests/unit/codec/sse_reader.h"
#include "base/assert.h"
#include "codec/sse.h"
#include "fuzz.h"

static struct td_slice cut(struct td_slice *rest, size_t len)
{
    struct td_slice part = td_slice_to(*rest, TD_MIN(rest->len, len));

    *rest = td_slice_from(*rest, part.len);
    return part;
}

static bool one_line(struct td_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\r' || text.ptr[i] == '\n' || text.ptr[i] == '\0')
            return false;
    return true;
}

/* Compares after each line end has become LF, which is all that a reader can know. */
static bool same_lines(struct td_slice read, struct td_slice data)
{
    size_t at = 0;

    for (size_t i = 0; i < data.len; i++) {
        char c = data.ptr[i];
        if (c == '\n' && i > 0 && data.ptr[i - 1] == '\r')
            continue;
        if (at == read.len || read.ptr[at++] != (c == '\r' ? '\n' : c))
            return false;
    }
    return at == read.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct td_slice rest = td_slice((const char *)data + 2, size - 2), read;
    struct td_sse_event event = {.id = cut(&rest, data[0]), .event = cut(&rest, data[1])};
    struct td_buf out = TD_BUF_INIT(1 << 24);

    event.data = rest;
    TD_ASSERT(td_sse_put_comment(&out, rest) == 0);
    size_t start = out.len;
    int r = td_sse_put(&out, &event);
    TD_ASSERT((r == 0) == (one_line(event.id) && one_line(event.event)));
    TD_ASSERT(r == 0 || out.len == start);
    struct sse_reader reader = sse_reader(td_buf_slice(&out));
    TD_ASSERT(sse_next(&reader, &read) == (r == 0));
    if (r == 0) {
        TD_ASSERT(same_lines(read, event.data));
        TD_ASSERT(td_slice_eq(reader.last_id, event.id));
        TD_ASSERT(td_slice_eq(td_buf_slice(&reader.type), event.event));
        TD_ASSERT(!sse_next(&reader, &read));
    }
    TD_ASSERT(reader.rest.len == 0 && !reader.has_retry);
    sse_reader_done(&reader);
    td_buf_done(&out);
    return 0;
}
