/* SPDX-License-Identifier: Apache-2.0 */
/* The reading side of event streams: the first byte says where the rest is cut.  Cut or whole, the messages, the
 * last id and the error are the same. */
#include "base/assert.h"
#include "base/units.h"
#include "codec/sse_reader.h"
#include "fuzz.h"

struct outcome {
    struct td_buf messages; /* each as its three fields, lengths in front */
    struct td_buf last_id;
    uint64_t retry_ms;
    int error;
};

static void put_field(struct td_buf *out, struct td_slice field)
{
    td_buf_putu(out, field.len);
    td_buf_putc(out, ':');
    td_buf_put(out, field);
}

/* Reads `in` in chunks of `chunk` bytes. */
static void read_in_chunks(struct td_slice in, size_t chunk, struct outcome *outcome)
{
    struct td_sse_reader reader;
    struct td_sse_message message;
    int r = 0;

    td_sse_reader_init(&reader);
    while (in.len > 0 && r == 0) {
        struct td_slice part = td_slice_to(in, TD_MIN(chunk, in.len));
        in = td_slice_from(in, part.len);
        while ((r = td_sse_reader_next(&reader, &part, &message)) > 0) {
            put_field(&outcome->messages, message.event);
            put_field(&outcome->messages, message.data);
            put_field(&outcome->messages, message.id);
            TD_ASSERT(td_slice_eq(message.id, td_sse_reader_last_id(&reader)));
            TD_ASSERT(message.event.len > 0);
        }
        TD_ASSERT(r < 0 || part.len == 0);
    }
    td_buf_put(&outcome->last_id, td_sse_reader_last_id(&reader));
    outcome->retry_ms = reader.retry_ms;
    outcome->error = r;
    td_sse_reader_done(&reader);
}

static void outcome_init(struct outcome *outcome)
{
    *outcome = (struct outcome){.messages = TD_BUF_INIT(64 * TD_MIB),
                                .last_id = TD_BUF_INIT(TD_SSE_ID_MAX)};
}

static void outcome_done(struct outcome *outcome)
{
    td_buf_done(&outcome->messages);
    td_buf_done(&outcome->last_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;

    if (size < 2)
        return 0;
    struct td_slice stream = td_slice((const char *)data + 1, size - 1);

    outcome_init(&whole);
    outcome_init(&cut);
    read_in_chunks(stream, stream.len, &whole);
    read_in_chunks(stream, 1 + data[0] % 32, &cut);
    TD_ASSERT(whole.error == cut.error);
    TD_ASSERT(whole.retry_ms == cut.retry_ms);
    TD_ASSERT(td_slice_eq(td_buf_slice(&whole.messages), td_buf_slice(&cut.messages)));
    TD_ASSERT(td_slice_eq(td_buf_slice(&whole.last_id), td_buf_slice(&cut.last_id)));
    outcome_done(&whole);
    outcome_done(&cut);
    return 0;
}
