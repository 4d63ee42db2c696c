/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sse_reader.h"
#include "base/assert.h"
#include "base/err.h"

#define BOM_DONE 3u
static const char bom[] = "\xEF\xBB\xBF";
_Static_assert(sizeof(bom) - 1 == BOM_DONE, "the count of bytes seen ends where the mark does");

#define EVENT_MAX ((size_t)256)

void td_sse_reader_init(struct td_sse_reader *reader)
{
    *reader = (struct td_sse_reader){
        ._line = TD_BUF_INIT(TD_SSE_LINE_MAX),
        ._data = TD_BUF_INIT(TD_SSE_LINE_MAX),
        ._event = TD_BUF_INIT(EVENT_MAX),
        ._id = TD_BUF_INIT(TD_SSE_ID_MAX),
        ._last_id = TD_BUF_INIT(TD_SSE_ID_MAX),
    };
}

void td_sse_reader_done(struct td_sse_reader *reader)
{
    td_buf_done(&reader->_line);
    td_buf_done(&reader->_data);
    td_buf_done(&reader->_event);
    td_buf_done(&reader->_id);
    td_buf_done(&reader->_last_id);
}

void td_sse_reader_restart(struct td_sse_reader *reader)
{
    td_buf_reset(&reader->_line);
    td_buf_reset(&reader->_data);
    td_buf_reset(&reader->_event);
    td_buf_reset(&reader->_id);
    /* An id whose block was cut off did not count; the buffer begins at the one that did. */
    int r = td_buf_put(&reader->_id, td_buf_slice(&reader->_last_id));
    TD_ASSERT(r == 0);
    reader->_bom = 0;
    reader->_after_cr = false;
    reader->_dispatched = false;
    reader->_failed = 0;
}

static int replace(struct td_buf *buf, struct td_slice value)
{
    td_buf_reset(buf);
    return td_buf_put(buf, value);
}

static void set_retry(struct td_sse_reader *reader, struct td_slice value)
{
    uint64_t retry_ms;

    if (td_slice_u64(value, &retry_ms) == 0)
        reader->retry_ms = retry_ms;
}

/* One line that is not empty (§9.2.6, "process the field"). */
static int take_field(struct td_sse_reader *reader, struct td_slice line)
{
    struct td_slice value = line, name = {NULL, 0};

    td_slice_split(&value, ':', &name);
    if (value.len > 0 && value.ptr[0] == ' ')
        value = td_slice_from(value, 1);

    if (td_slice_eq(name, TD_S("data"))) {
        int r = td_buf_put(&reader->_data, value);
        return r < 0 ? r : td_buf_putc(&reader->_data, '\n');
    }
    if (td_slice_eq(name, TD_S("event")))
        return replace(&reader->_event, value);
    if (td_slice_eq(name, TD_S("id")) && (value.len == 0 || !memchr(value.ptr, '\0', value.len)))
        return replace(&reader->_id, value);
    if (td_slice_eq(name, TD_S("retry")))
        set_retry(reader, value);
    return 0; /* a comment, or a field that the standard tells to ignore */
}

/* The empty line that ends a block.  Returns 1 when it makes a message. */
static int end_block(struct td_sse_reader *reader, struct td_sse_message *ret_message)
{
    int r = replace(&reader->_last_id, td_buf_slice(&reader->_id));

    TD_ASSERT(r == 0); /* both buffers have the same maximum */
    reader->_dispatched = true;
    if (reader->_data.len == 0)
        return 0;
    *ret_message = (struct td_sse_message){
        .event = reader->_event.len ? td_buf_slice(&reader->_event) : TD_S("message"),
        .data = td_slice(reader->_data.ptr, reader->_data.len - 1),
        .id = td_buf_slice(&reader->_last_id),
    };
    return 1;
}

static int end_line(struct td_sse_reader *reader, struct td_slice line,
                    struct td_sse_message *ret_message)
{
    if (reader->_dispatched) {
        td_buf_reset(&reader->_data);
        td_buf_reset(&reader->_event);
        reader->_dispatched = false;
    }
    return line.len == 0 ? end_block(reader, ret_message) : take_field(reader, line);
}

/* Drops a byte order mark at the very start of the stream.  What looked like one and was not belongs
 * to the first line. */
static void skip_bom(struct td_sse_reader *reader, struct td_slice *in)
{
    while (reader->_bom < BOM_DONE && in->len > 0) {
        if (in->ptr[0] != bom[reader->_bom]) {
            int r = td_buf_put(&reader->_line, td_slice(bom, reader->_bom));
            TD_EXPECT(r == 0);
            reader->_bom = BOM_DONE;
            return;
        }
        reader->_bom++;
        *in = td_slice_from(*in, 1);
    }
}

/* The number of bytes before the first CR or LF; all of them when there is none. */
static size_t line_length(struct td_slice in)
{
    const char *lf = memchr(in.ptr, '\n', in.len);
    size_t len = lf ? (size_t)(lf - in.ptr) : in.len;
    const char *cr = len ? memchr(in.ptr, '\r', len) : NULL;

    return cr ? (size_t)(cr - in.ptr) : len;
}

static int read_some(struct td_sse_reader *reader, struct td_slice *in,
                     struct td_sse_message *ret_message)
{
    if (reader->_after_cr && in->ptr[0] == '\n')
        *in = td_slice_from(*in, 1);
    reader->_after_cr = false;
    if (in->len == 0)
        return 0;

    size_t len = line_length(*in);
    struct td_slice line = td_slice_to(*in, len);
    bool whole = len < in->len;

    if (!whole || reader->_line.len > 0) {
        int r = td_buf_put(&reader->_line, line);
        if (r < 0)
            return r;
        line = td_buf_slice(&reader->_line);
    }
    if (!whole) {
        *in = td_slice_from(*in, len);
        return 0;
    }
    reader->_after_cr = in->ptr[len] == '\r';
    *in = td_slice_from(*in, len + 1);
    int r = end_line(reader, line, ret_message);
    td_buf_reset(&reader->_line);
    return r;
}

int td_sse_reader_next(struct td_sse_reader *reader, struct td_slice *in,
                       struct td_sse_message *ret_message)
{
    if (reader->_failed)
        return reader->_failed;
    skip_bom(reader, in);
    while (in->len > 0) {
        int r = read_some(reader, in, ret_message);
        if (r < 0)
            return reader->_failed = r;
        if (r > 0)
            return 1;
    }
    return 0;
}

struct td_slice td_sse_reader_last_id(const struct td_sse_reader *reader)
{
    return td_buf_slice(&reader->_last_id);
}
