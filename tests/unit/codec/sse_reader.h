/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of event streams as the WHATWG algorithm (HTML §9.2.6) has it, written from its words and not from our
 * writer: the judge of what a browser would see. */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

#define SSE_MAX (1 << 20)

struct sse_reader {
    struct td_slice rest;
    struct td_buf data, type, id_buffer;
    struct td_slice last_id; /* as of the last empty line */
    bool has_retry;
    struct td_slice retry;
    unsigned fields; /* lines other than comments so far */
};

static inline struct sse_reader sse_reader(struct td_slice stream)
{
    return (struct sse_reader){.rest = stream,
                               .data = TD_BUF_INIT(SSE_MAX),
                               .type = TD_BUF_INIT(SSE_MAX),
                               .id_buffer = TD_BUF_INIT(SSE_MAX)};
}

static inline void sse_reader_done(struct sse_reader *reader)
{
    td_buf_done(&reader->data);
    td_buf_done(&reader->type);
    td_buf_done(&reader->id_buffer);
}

/* "CRLF, a lone LF, or a lone CR"; an unfinished last line is dropped. */
static inline bool sse_line(struct td_slice *rest, struct td_slice *ret_line)
{
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->ptr[i] != '\r' && rest->ptr[i] != '\n')
            continue;
        size_t next = i + 1;
        if (rest->ptr[i] == '\r' && next < rest->len && rest->ptr[next] == '\n')
            next++;
        *ret_line = td_slice_to(*rest, i);
        *rest = td_slice_from(*rest, next);
        return true;
    }
    return false;
}

static inline void sse_field(struct sse_reader *reader, struct td_slice name, struct td_slice value)
{
    reader->fields++;
    if (td_slice_eq(name, TD_S("event"))) {
        td_buf_reset(&reader->type);
        td_buf_put(&reader->type, value);
    } else if (td_slice_eq(name, TD_S("data"))) {
        td_buf_put(&reader->data, value);
        td_buf_putc(&reader->data, '\n');
    } else if (td_slice_eq(name, TD_S("id"))) {
        if (value.len > 0 && memchr(value.ptr, '\0', value.len))
            return;
        td_buf_reset(&reader->id_buffer);
        td_buf_put(&reader->id_buffer, value);
    } else if (td_slice_eq(name, TD_S("retry"))) {
        for (size_t i = 0; i < value.len; i++)
            if (value.ptr[i] < '0' || value.ptr[i] > '9')
                return;
        reader->has_retry = true;
        reader->retry = value;
    }
}

/* Reads on to the next event that a browser dispatches: false at the end.  The event's type is `type`, its data
 * `*ret_data` (good until the next call), its id `last_id`. */
static inline bool sse_next(struct sse_reader *reader, struct td_slice *ret_data)
{
    struct td_slice line;

    td_buf_reset(&reader->data);
    td_buf_reset(&reader->type);
    while (sse_line(&reader->rest, &line)) {
        if (line.len == 0) {
            reader->last_id = td_buf_slice(&reader->id_buffer);
            if (reader->data.len == 0) {
                td_buf_reset(&reader->type);
                continue;
            }
            *ret_data = td_slice_to(td_buf_slice(&reader->data), reader->data.len - 1);
            return true;
        }
        if (line.ptr[0] == ':')
            continue;
        const char *colon = memchr(line.ptr, ':', line.len);
        size_t name_len = colon ? (size_t)(colon - line.ptr) : line.len;
        struct td_slice value = td_slice_from(line, colon ? name_len + 1 : name_len);
        if (value.len > 0 && value.ptr[0] == ' ')
            value = td_slice_from(value, 1);
        sse_field(reader, td_slice_to(line, name_len), value);
    }
    return false;
}
