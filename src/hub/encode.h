/* SPDX-License-Identifier: Apache-2.0 */
/* Records as bytes on the wire.  Pure and repeatable: the same record gives the same bytes each time, so the rest of one
 * that was sent in part is made again instead of being kept. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "codec/format.h"
#include "journal/record.h"

/* Transport and format together.  TD_WIRE_WS_EVENT is special: it is a slice of the log. */
enum td_wire {
    TD_WIRE_NONE, /* nothing is sent; long-poll */
    TD_WIRE_WS_EVENT,
    TD_WIRE_WS_FLAT,
    TD_WIRE_WS_ENTITY, /* `entity` for entities, else `event` */
    TD_WIRE_SSE_EVENT,
    TD_WIRE_SSE_FLAT,
    TD_WIRE_SSE_ENTITY,
    TD_WIRE_JSON_EVENT, /* an element of a page */
    TD_WIRE_JSON_FLAT,
    TD_WIRE_JSON_ENTITY,
};
#define TD_WIRES (TD_WIRE_JSON_ENTITY + 1)

enum td_transport { TD_TRANSPORT_WS, TD_TRANSPORT_SSE, TD_TRANSPORT_JSON };

/* What an event in `format` goes as on `transport`. */
enum td_wire td_wire_of(enum td_transport transport, enum td_format format);

/* Appends the record as it goes on `wire`.  0 or the error of the buffer. */
TD_MUST_USE int td_encode(const struct td_record *record, enum td_wire wire, struct td_buf *out);
/* The text of the record's position, a slice of its JSON. */
struct td_slice td_encode_id(const struct td_record *record);
