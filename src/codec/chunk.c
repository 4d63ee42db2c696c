/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/chunk.h"
#include "base/err.h"
#include "base/json.h"

#define OFFSET_MAX (UINT64_C(1) << 53)

int td_chunk_parse(struct td_slice data, struct td_chunk *ret_chunk)
{
    struct td_chunk chunk = {0};
    struct td_slice name, value;

    if (td_json_type(data) != TD_JSON_OBJECT)
        return TD_EINVAL;
    struct td_json_iter it = td_json_iter(data);
    while (td_json_next(&it, &name, &value)) {
        bool content = td_json_string_is(name, "content");
        if (!content && !td_json_string_is(name, "offset"))
            continue;
        struct td_slice *into = content ? &chunk.content : &chunk.offset;
        if (into->ptr || td_json_type(value) != (content ? TD_JSON_STRING : TD_JSON_NUMBER))
            return TD_EINVAL;
        *into = value;
    }
    if (!chunk.content.ptr || !chunk.offset.ptr || td_json_u64(chunk.offset, &chunk.at) < 0)
        return TD_EINVAL;
    chunk.end = chunk.at + td_json_text_len(chunk.content);
    if (chunk.end > OFFSET_MAX)
        return TD_EINVAL;
    chunk.content = td_slice(chunk.content.ptr + 1, chunk.content.len - 2);
    *ret_chunk = chunk;
    return 0;
}

static struct td_slice between(const char *from, const char *to)
{
    return td_slice(from, (size_t)(to - from));
}

static void put_contents(struct td_buf *out, const struct td_chunk *chunks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        td_buf_put(out, chunks[i].content);
}

int td_chunk_put_joined(struct td_buf *out, const struct td_chunk *chunks, size_t n,
                        struct td_slice data)
{
    const struct td_chunk *last = &chunks[n - 1];
    const char *content_end = last->content.ptr + last->content.len;
    const char *offset_end = last->offset.ptr + last->offset.len;

    /* The two members stand in either order. */
    if (last->content.ptr < last->offset.ptr) {
        td_buf_put(out, between(data.ptr, last->content.ptr));
        put_contents(out, chunks, n);
        td_buf_put(out, between(content_end, last->offset.ptr));
        td_buf_put(out, chunks[0].offset);
        td_buf_put(out, between(offset_end, data.ptr + data.len));
    } else {
        td_buf_put(out, between(data.ptr, last->offset.ptr));
        td_buf_put(out, chunks[0].offset);
        td_buf_put(out, between(offset_end, last->content.ptr));
        put_contents(out, chunks, n);
        td_buf_put(out, between(content_end, data.ptr + data.len));
    }
    return out->err;
}
