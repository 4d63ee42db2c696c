/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/encode.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "base/units.h"
#include "codec/sse.h"
#include "codec/ws.h"

struct td_slice td_encode_id(const struct td_record *record)
{
    const size_t at = sizeof("{\"id\":\"") - 1;
    const char *end = memchr(record->json.ptr + at, '"', record->json.len - at);

    TD_ASSERT(end);
    return td_slice(record->json.ptr + at, (size_t)(end - record->json.ptr) - at);
}

enum td_wire td_wire_of(enum td_transport transport, enum td_format format)
{
    /* clang-format off */
    static const enum td_wire wires[][3] = {
        [TD_TRANSPORT_WS] = {
            [TD_FORMAT_EVENT] = TD_WIRE_WS_EVENT,
            [TD_FORMAT_FLAT] = TD_WIRE_WS_FLAT,
            [TD_FORMAT_ENTITY] = TD_WIRE_WS_ENTITY,
        },
        [TD_TRANSPORT_SSE] = {
            [TD_FORMAT_EVENT] = TD_WIRE_SSE_EVENT,
            [TD_FORMAT_FLAT] = TD_WIRE_SSE_FLAT,
            [TD_FORMAT_ENTITY] = TD_WIRE_SSE_ENTITY,
        },
        [TD_TRANSPORT_JSON] = {
            [TD_FORMAT_EVENT] = TD_WIRE_JSON_EVENT,
            [TD_FORMAT_FLAT] = TD_WIRE_JSON_FLAT,
            [TD_FORMAT_ENTITY] = TD_WIRE_JSON_ENTITY,
        },
    };
    /* clang-format on */

    return wires[transport][format];
}

static enum td_format format_of(enum td_wire wire)
{
    switch (wire) {
    case TD_WIRE_WS_FLAT:
    case TD_WIRE_SSE_FLAT:
    case TD_WIRE_JSON_FLAT: return TD_FORMAT_FLAT;
    case TD_WIRE_WS_ENTITY:
    case TD_WIRE_SSE_ENTITY:
    case TD_WIRE_JSON_ENTITY: return TD_FORMAT_ENTITY;
    case TD_WIRE_NONE:
    case TD_WIRE_WS_EVENT:
    case TD_WIRE_SSE_EVENT:
    case TD_WIRE_JSON_EVENT: break;
    }
    return TD_FORMAT_EVENT;
}

/* Appends the JSON of a record in the wire's format. */
static int put_json(const struct td_record *record, enum td_wire wire, struct td_buf *out)
{
    char time[TD_TIME_LEN + 1];
    enum td_format format = format_of(wire);

    if (format == TD_FORMAT_EVENT)
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
    };
    return td_format_event(format, &in, out);
}

static int put_ws(const struct td_record *record, enum td_wire wire, struct td_buf *out)
{
    size_t at = out->len;
    char head[10];

    if (wire == TD_WIRE_WS_EVENT)
        return td_buf_put(out, record->frame);
    /* The head's length follows from the payload's: leave room for the longest, then close up. */
    int r = td_buf_put(out, td_slice("          ", sizeof(head)));
    if (r == 0)
        r = put_json(record, wire, out);
    if (r < 0)
        return r;
    size_t payload = out->len - at - sizeof(head);
    size_t n = td_ws_frame_head(TD_WS_TEXT, payload, head);
    memcpy(out->ptr + at, head, n);
    memmove(out->ptr + at + n, out->ptr + at + sizeof(head), payload);
    out->len = at + n + payload;
    return 0;
}

/* The data of an event has no CR or LF (the journal made them spaces), so it is one line. */
static int put_sse(const struct td_record *record, enum td_wire wire, struct td_buf *out)
{
    int r = td_buf_puts(out, "id: ");

    if (r == 0)
        r = td_buf_put(out, td_encode_id(record));
    if (r == 0)
        r = td_buf_puts(out, "\nevent: ");
    if (r == 0)
        r = td_buf_put(out, td_format_sse_event_name(record->type));
    if (r == 0)
        r = td_buf_puts(out, "\ndata: ");
    if (r == 0)
        r = put_json(record, wire, out);
    return r == 0 ? td_buf_puts(out, "\n\n") : r;
}

int td_encode(const struct td_record *record, enum td_wire wire, struct td_buf *out)
{
    switch (wire) {
    case TD_WIRE_WS_EVENT:
    case TD_WIRE_WS_FLAT:
    case TD_WIRE_WS_ENTITY: return put_ws(record, wire, out);
    case TD_WIRE_SSE_EVENT:
    case TD_WIRE_SSE_FLAT:
    case TD_WIRE_SSE_ENTITY: return put_sse(record, wire, out);
    case TD_WIRE_JSON_EVENT:
    case TD_WIRE_JSON_FLAT:
    case TD_WIRE_JSON_ENTITY: return put_json(record, wire, out);
    case TD_WIRE_NONE: break;
    }
    return TD_EINVAL; /* a wire without bytes: nothing asks for it */
}
