/* SPDX-License-Identifier: Apache-2.0 */
/* One entity, for the files that are about them. */
#pragma once

#include "base/buf.h"
#include "journal/journal.h"

struct td_desk;

/* The key of its state. */
#define TD_ENTITY_KEY TD_S("entity")

/* What is known of one.  Slices point into the log, and are good for the turn. */
struct td_entity {
    bool exists;
    struct td_record record; /* when it does, its last event, … */
    struct td_slice payload; /* … the document, raw, … */
    uint64_t
        version; /* … and its version; 0: one that an older version of the program left without */
    uint64_t last; /* the sequence of the last event of its topic, 0: there is none */
};

/* 0 or -EAGAIN. */
TD_MUST_USE int td_entity_find(struct td_desk *desk, struct td_slice topic,
                               struct td_entity *ret_entity);
/* What the data of an event says: the document, and whether it stands in an object beside nothing but a version. */
bool td_entity_unwrap(struct td_slice data, struct td_slice *ret_payload, uint64_t *ret_version);
/* Appends the data of an event.  Its length is at most TD_ENTITY_WRAP_BYTES more than that of the document. */
void td_entity_wrap(struct td_buf *out, struct td_slice payload, uint64_t version);
#define TD_ENTITY_WRAP_BYTES 64
/* Notes for the audit that an ask has changed one. */
struct td_ask;
void td_entity_note(const struct td_desk *desk, const struct td_ask *ask, struct td_slice topic,
                    struct td_slice type, uint64_t version);
/* Appends an entity, as an event of it has it, as JSON; for who may not see it without the document and its author. */
void td_entity_put(struct td_buf *out, const struct td_record *record, bool may_see);
