/* SPDX-License-Identifier: Apache-2.0 */
/* Entities: keyed JSON documents with a version, at `entities/{type}/{id}` (docs/protocol.md).
 *
 * An entity is the state of its topic and the key `entity`.  Each change is an event there of type ENTITY_CREATED, ENTITY_UPDATED or
 * ENTITY_DELETED, whose data is `{"payload":<the whole document>,"version":n}`; ENTITY_DELETED has the last document, and removes the state.  The
 * desk alone writes to these topics, so the version, which it counts from 1, has no holes.  An entity that was deleted and made again begins
 * at 1 again: what tells such a one from the first is the position of the event, which is its ETag. */
#pragma once

#include "base/compiler.h"
#include "desk/ask.h"

struct td_desk;

/* They carry out an ask each: 0, an error which is its answer, or -EAGAIN to be called again. */
TD_MUST_USE int td_entity_get(struct td_desk *desk, struct td_ask *ask);
TD_MUST_USE int td_entity_list(struct td_desk *desk, struct td_ask *ask);
TD_MUST_USE int td_entity_change(struct td_desk *desk, struct td_ask *ask);
TD_MUST_USE int td_entity_publish(struct td_desk *desk, struct td_ask *ask);

/* The documents in a page of them take no more than this together, but one is given always. */
#define TD_ENTITY_PAGE_BYTES ((size_t)1024 * 1024)
