/* SPDX-License-Identifier: Apache-2.0 */
/* What an event does to the state. */
#include "base/assert.h"
#include "journal/hash.h"
#include "journal/state.h"

void td_state_hash(uint64_t seed, struct td_slice topic, struct td_slice key, uint64_t ret_key[2])
{
    struct td_hash hash;

    td_hash_init(&hash, seed, seed ^ UINT64_C(0x7461747365746174));
    td_hash_field(&hash, topic);
    td_hash_field(&hash, key);
    td_hash_end(&hash, ret_key);
}

unsigned td_state_flags(const struct td_draft *draft)
{
    unsigned flags = 0;

    TD_ASSERT(draft->class != TD_CLASS_EPHEMERAL);
    TD_ASSERT(draft->class != TD_CLASS_APPEND || draft->key.len > 0);
    if (draft->class == TD_CLASS_LATEST)
        flags = TD_RECORD_LATEST;
    else if (draft->class == TD_CLASS_APPEND)
        flags = TD_RECORD_APPEND | (draft->begins_text ? TD_RECORD_BEGINS : 0);
    if (draft->key.len > 0 && (draft->clears || td_slice_eq(draft->data, TD_S("null"))))
        flags |= TD_RECORD_REMOVES;
    return flags;
}

void td_state_event_of(uint64_t seed, const struct td_record *record,
                       struct td_state_event *ret_event)
{
    *ret_event = (struct td_state_event){
        .topic = record->topic,
        .seq = record->seq,
        .time = record->time,
        .append = record->flags & TD_RECORD_APPEND,
        .begins = record->flags & (TD_RECORD_BEGINS | TD_RECORD_STARTS),
        .removes = record->flags & TD_RECORD_REMOVES,
    };
    td_state_hash(seed, record->topic, record->key, ret_event->key);
}
