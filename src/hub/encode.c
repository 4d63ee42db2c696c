/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/encode.h"
#include "base/assert.h"
#include "base/json.h"
#include "base/units.h"
#include "codec/deflate.h"
#include "codec/sse.h"
#include "codec/ws.h"
#include "hub/deflated.h"

struct td_slice td_encode_id(const struct td_record *record)
{
    const size_t at = sizeof("{\"id\":\"") - 1;

    if (record->seq == 0)
        return (struct td_slice){NULL, 0};
    const char *end = memchr(record->json.ptr + at, '"', record->json.len - at);

    TD_ASSERT(end);
    return td_slice(record->json.ptr + at, (size_t)(end - record->json.ptr) - at);
}

_Static_assert(TD_WIRES == 1 + (TD_TRANSPORT_JSON + 1) * TD_FORMATS, "one for each");

void td_encoder_done(struct td_encoder *encoder)
{
    td_deflater_free(encoder->_deflater);
    td_deflated_free(encoder->_kept);
    encoder->_deflater = NULL;
    encoder->_kept = NULL;
}

static enum td_transport transport_of(enum td_wire wire)
{
    return (wire - TD_WIRE_WS_EVENT) / TD_FORMATS;
}

static enum td_format format_of(enum td_wire wire)
{
    return (wire - TD_WIRE_WS_EVENT) % TD_FORMATS;
}

/* Appends the JSON of a record in the wire's format. */
static int put_json(const struct td_record *record, enum td_wire wire,
                    const struct td_format_marks *marks, struct td_buf *out)
{
    char time[TD_TIME_LEN + 1];
    enum td_format format = format_of(wire);

    if (format == TD_FORMAT_EVENT && !marks)
        return td_buf_put(out, record->json);
    td_time_format(record->time, time);
    struct td_slice actor = {NULL, 0}, origin = {NULL, 0};
    if (format == TD_FORMAT_ENTITY) { /* the one format that tells them apart from data */
        (void)td_json_get(record->json, "actor", &actor);
        (void)td_json_get(record->json, "origin", &origin);
    }
    const struct td_format_input in = {
        .event = record->json,
        .id = td_encode_id(record),
        .topic = record->topic,
        .type = record->type,
        .time = td_slice(time, TD_TIME_LEN),
        .key = record->key,
        .actor = actor,
        .origin = origin,
        .data = record->data,
        .marks = marks ? *marks : (struct td_format_marks){0},
    };
    return td_format_event(format, &in, out);
}

/* Where the payload of a frame begins until its head is known, which is no longer. */
#define HEAD_ROOM 10

/* Puts the payload that lies HEAD_ROOM behind `at`, up to the end, close behind its head. */
static void close_up(struct td_buf *out, size_t at, unsigned char first_byte)
{
    char head[HEAD_ROOM];
    size_t payload = out->len - at - HEAD_ROOM;
    size_t n = td_ws_frame_head(TD_WS_TEXT, payload, head);

    head[0] = (char)(head[0] | first_byte);
    memcpy(out->ptr + at, head, n);
    memmove(out->ptr + at + n, out->ptr + at + HEAD_ROOM, payload);
    out->len = at + n + payload;
}

static int put_ws(const struct td_record *record, enum td_wire wire,
                  const struct td_format_marks *marks, struct td_buf *out)
{
    size_t at = out->len;

    if (wire == TD_WIRE_WS_EVENT && record->frame.ptr && !marks)
        return td_buf_put(out, record->frame);
    int r = td_buf_put(out, td_slice("          ", HEAD_ROOM));
    if (r == 0)
        r = put_json(record, wire, marks, out);
    if (r < 0)
        return r;
    close_up(out, at, 0);
    return 0;
}

/* Compresses the payload of `payload_len` bytes at the end of `out`, in place when that makes it shorter.  1, 0 when it does not, or an
 * error. */
static int deflate_end(struct td_encoder *encoder, struct td_buf *out, size_t payload_len)
{
    size_t at = out->len - payload_len;

    /* The payload moves with the buffer, so there is room first. */
    int r = td_buf_reserve(out, payload_len + TD_DEFLATE_ROOM);
    if (r == 0 && !encoder->_deflater)
        r = td_deflater_new(&encoder->_deflater);
    if (r < 0)
        return r;
    encoder->n_deflated += payload_len;
    r = td_deflate(encoder->_deflater, td_slice(out->ptr + at, payload_len), out);
    if (r <= 0)
        return r;
    size_t len = out->len - at - payload_len;
    memmove(out->ptr + at, out->ptr + at + payload_len, len);
    out->len = at + len;
    return 1;
}

/* Appends the frame.  1 when compressing was tried, 0 when the message is too short for that, or an error. */
static int deflate_frame(struct td_encoder *encoder, const struct td_record *record,
                         enum td_wire wire, const struct td_format_marks *marks, struct td_buf *out)
{
    size_t at = out->len;

    int r = td_buf_put(out, td_slice("          ", HEAD_ROOM));
    if (r == 0)
        r = put_json(record, wire, marks, out);
    if (r < 0)
        return r;
    size_t payload_len = out->len - at - HEAD_ROOM;
    bool tried = payload_len >= encoder->deflate_min;
    if (tried)
        r = deflate_end(encoder, out, payload_len);
    if (r < 0)
        return r;
    close_up(out, at, r > 0 ? TD_WS_RSV1 : 0);
    return tried;
}

static int put_ws_deflated(struct td_encoder *encoder, const struct td_record *record,
                           enum td_wire wire, const struct td_format_marks *marks,
                           struct td_buf *out)
{
    /* Only a record as it lies in the log is all that its sequence says: one made of several has no frame, and one that is in no log no
     * sequence. */
    bool of_log = record->frame.ptr && record->seq > 0 && !marks;
    struct td_slice known = {NULL, 0};
    size_t at = out->len;

    if (of_log)
        known = td_deflated_find(encoder->_kept, record->seq, wire);
    if (known.ptr)
        return td_buf_put(out, known);
    int r = deflate_frame(encoder, record, wire, marks, out);
    if (r <= 0)
        return r;
    if (!encoder->_kept)
        encoder->_kept = td_deflated_new();
    if (of_log && encoder->_kept)
        td_deflated_keep(encoder->_kept, record->seq, wire, td_slice_from(td_buf_slice(out), at));
    return 0;
}

/* The data of an event has no CR or LF (the journal made them spaces), so it is one line. */
static int put_sse(const struct td_record *record, enum td_wire wire,
                   const struct td_format_marks *marks, struct td_buf *out)
{
    struct td_slice id = td_encode_id(record);
    bool moves = id.ptr && !(marks && marks->state);
    int r = 0;

    if (moves)
        r = td_buf_puts(out, "id: ");
    if (r == 0 && moves)
        r = td_buf_put(out, id);
    if (r == 0)
        r = td_buf_puts(out, moves ? "\nevent: " : "event: ");
    if (r == 0)
        r = td_buf_put(out, td_format_sse_event_name(record->type));
    if (r == 0)
        r = td_buf_puts(out, "\ndata: ");
    if (r == 0)
        r = put_json(record, wire, marks, out);
    return r == 0 ? td_buf_puts(out, "\n\n") : r;
}

int td_encode(struct td_encoder *encoder, const struct td_record *record, enum td_wire wire,
              const struct td_format_marks *marks, struct td_buf *out)
{
    TD_ASSERT(wire != TD_WIRE_NONE); /* a wire without bytes: nothing asks for it */
    switch (transport_of(wire)) {
    case TD_TRANSPORT_WS: return put_ws(record, wire, marks, out);
    case TD_TRANSPORT_WS_DEFLATED: return put_ws_deflated(encoder, record, wire, marks, out);
    case TD_TRANSPORT_SSE: return put_sse(record, wire, marks, out);
    case TD_TRANSPORT_JSON: break;
    }
    return put_json(record, wire, marks, out);
}
