/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of an event (docs/protocol.md): how one record reads as JSON.  Pure: the same input gives the same bytes. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

enum td_format {
    TD_FORMAT_EVENT,  /* as it lies in the log */
    TD_FORMAT_FLAT,   /* data's members beside the type */
    TD_FORMAT_ENTITY, /* EVENT_NOTIFICATION for changes of entities, else as TD_FORMAT_EVENT */
};
#define TD_FORMATS (TD_FORMAT_ENTITY + 1)

/* What is said of an event besides, at its end: `"state":true` (it is retained, not new), or `"history":true` and the `ref` of the
 * SUBSCRIBE that asked for it. */
struct td_format_marks {
    bool state, history;
    struct td_slice ref; /* raw, or empty */
};

/* An event in its parts, all borrowed.  Texts are plain; what is called raw is checked JSON. */
struct td_format_input {
    struct td_slice event; /* raw: the whole in the `event` format */
    struct td_slice id;    /* ptr NULL when it has none: it is in no log */
    struct td_slice topic, type, time;
    struct td_slice key;           /* ptr NULL when there is none */
    struct td_slice actor, origin; /* raw; ptr NULL when there is none */
    struct td_slice data;          /* raw */
    struct td_format_marks marks;
};

/* Appends the event in that format.  0, -ENOMEM or the error of the buffer; nothing is appended then.
 *
 * FLAT: `type`, the members of data, `event_id`, `topic`, `timestamp`.  No name stands twice: members of data that
 * have one of these names or that of a mark (however escaped) are left out, and of equal names the last one stays, as
 * JSON.parse has it.  Data that is no object is the member `data`.
 * ENTITY: `payload` is data's member of that name and `version` the number beside it; data without `payload` is the
 * payload itself, without a version. */
TD_MUST_USE int td_format_event(enum td_format format, const struct td_format_input *in,
                                struct td_buf *out);
/* Whether TD_FORMAT_ENTITY has a form of its own for it: `entities/{type}/{id}`, ENTITY_CREATED, _UPDATED or _DELETED. */
bool td_format_is_entity(struct td_slice topic, struct td_slice type);
/* Cuts the two variable segments out of the topic of an entity, `entities/{type}/{id}`; false for any other topic. */
bool td_entity_topic(struct td_slice topic, struct td_slice *ret_type, struct td_slice *ret_id);
/* The `event:` of an event stream for a type: EventSource itself fires `error` and `open`, so these go as
 * `job_error` and `job_open`. */
struct td_slice td_format_sse_event_name(struct td_slice type);
