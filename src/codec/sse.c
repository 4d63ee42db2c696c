/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sse.h"
#include "base/err.h"

/* Where the first CR or LF of `text` is, or its length.  The only bytes that end a line of a stream: U+0085 and
 * U+2028 do not. */
static size_t line_end(struct td_slice text)
{
    const char *lf = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    size_t len = lf ? (size_t)(lf - text.ptr) : text.len;
    const char *cr = len ? memchr(text.ptr, '\r', len) : NULL;

    return cr ? (size_t)(cr - text.ptr) : len;
}

/* Whether a field of one line can hold `text`.  NUL too is refused: browsers ignore an `id` with one. */
static bool one_line(struct td_slice text)
{
    return line_end(text) == text.len && (text.len == 0 || !memchr(text.ptr, '\0', text.len));
}

static void put_field(struct td_buf *out, const char *name, struct td_slice value)
{
    td_buf_puts(out, name);
    td_buf_put(out, value);
    td_buf_putc(out, '\n');
}

/* One `data:` line for each line of `data`, at least one: browsers drop an event without. */
static void put_data(struct td_buf *out, struct td_slice data)
{
    for (;;) {
        size_t len = line_end(data);
        put_field(out, "data: ", td_slice_to(data, len));
        if (len == data.len)
            return;
        bool crlf = data.ptr[len] == '\r' && len + 1 < data.len && data.ptr[len + 1] == '\n';
        data = td_slice_from(data, len + (crlf ? 2 : 1));
    }
}

/* Ends a row of puts that began at `start`: nothing of it stays when one failed. */
static int finish(struct td_buf *out, size_t start)
{
    if (out->err < 0)
        out->len = start;
    return out->err;
}

int td_sse_put(struct td_buf *out, const struct td_sse_event *event)
{
    size_t start = out->len;

    if (!one_line(event->id) || !one_line(event->event))
        return TD_EINVAL;
    if (event->id.ptr)
        put_field(out, "id: ", event->id);
    if (event->event.len > 0)
        put_field(out, "event: ", event->event);
    put_data(out, event->data);
    td_buf_putc(out, '\n');
    return finish(out, start);
}

int td_sse_put_id(struct td_buf *out, struct td_slice id)
{
    size_t start = out->len;

    if (!one_line(id))
        return TD_EINVAL;
    put_field(out, "id: ", id);
    td_buf_putc(out, '\n'); /* the id counts from the empty line on */
    return finish(out, start);
}

int td_sse_put_comment(struct td_buf *out, struct td_slice text)
{
    size_t start = out->len;

    td_buf_puts(out, ": ");
    while (text.len > 0) {
        size_t len = line_end(text);
        td_buf_put(out, td_slice_to(text, len));
        if (len == text.len)
            break;
        td_buf_putc(out, ' ');
        text = td_slice_from(text, len + 1);
    }
    td_buf_putc(out, '\n');
    return finish(out, start);
}

int td_sse_put_retry(struct td_buf *out, uint64_t retry_ms)
{
    size_t start = out->len;

    td_buf_puts(out, "retry: ");
    td_buf_putu(out, retry_ms);
    td_buf_putc(out, '\n');
    return finish(out, start);
}
