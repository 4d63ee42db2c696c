/* SPDX-License-Identifier: Apache-2.0 */
/* Records as bytes on the wire.  Pure and repeatable: the same record gives the same bytes each time, so the rest of one
 * that was sent in part is made again instead of being kept. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "codec/format.h"
#include "journal/record.h"

/* Transport and format together.  TD_WIRE_WS_EVENT is special: it is a slice of the log.  On the deflated ones each message goes compressed
 * where that makes it shorter (RFC 7692); without context takeover, so that its bytes are the same for everyone. */
enum td_wire {
    TD_WIRE_NONE, /* nothing is sent; long-poll */
    TD_WIRE_WS_EVENT,
    TD_WIRE_WS_FLAT,
    TD_WIRE_WS_ENTITY, /* `entity` for entities, else `event` */
    TD_WIRE_WS_EVENT_DEFLATED,
    TD_WIRE_WS_FLAT_DEFLATED,
    TD_WIRE_WS_ENTITY_DEFLATED,
    TD_WIRE_SSE_EVENT,
    TD_WIRE_SSE_FLAT,
    TD_WIRE_SSE_ENTITY,
    TD_WIRE_JSON_EVENT, /* an element of a page */
    TD_WIRE_JSON_FLAT,
    TD_WIRE_JSON_ENTITY,
};
#define TD_WIRES (TD_WIRE_JSON_ENTITY + 1)

/* The wires but TD_WIRE_NONE stand by transport, and in each by format. */
enum td_transport {
    TD_TRANSPORT_WS,
    TD_TRANSPORT_WS_DEFLATED,
    TD_TRANSPORT_SSE,
    TD_TRANSPORT_JSON,
};

/* What an event in `format` goes as on `transport`. */
static inline enum td_wire td_wire_of(enum td_transport transport, enum td_format format)
{
    return TD_WIRE_WS_EVENT + transport * TD_FORMATS + format;
}

/* What encoding needs beside the record: one for each hub. */
struct td_encoder {
    size_t
        deflate_min; /* messages with fewer bytes go as they are; immutable, or a record would not give the same bytes again */
    uint64_t
        n_deflated; /* bytes that have been put through the compressor: what they cost shows nowhere else */
    struct td_deflater *_deflater; /* made when the first message is to be compressed */
    struct td_deflated *_kept;     /* likewise; what it made last */
};

void td_encoder_done(struct td_encoder *encoder);

/* Appends the record as it goes on `wire`, with `marks` when they are not NULL.  Its frame may be empty (ptr NULL): then one is made of
 * its JSON.  Retained state has no `id:` on an event stream, as it moves nobody's position.  `encoder` may be NULL for a wire that is not
 * deflated.  0 or the error of the buffer. */
TD_MUST_USE int td_encode(struct td_encoder *encoder, const struct td_record *record,
                          enum td_wire wire, const struct td_format_marks *marks,
                          struct td_buf *out);
/* The text of the record's position, a slice of its JSON; ptr NULL when it is in no log (its sequence is 0). */
struct td_slice td_encode_id(const struct td_record *record);
