/* SPDX-License-Identifier: Apache-2.0 */
/* The topics that have state, in order, and their chains.  All under the state's mutex. */
#pragma once

#include "journal/state.h"

struct td_slice td_state_topic_text(const struct td_state_topic *topic);
/* The topic; NULL when it has no state. */
struct td_state_topic *td_state_topic_find(const struct td_state *state, struct td_slice text);
/* The first topic at or behind a text. */
struct td_state_topic *td_state_topic_from(const struct td_state *state, struct td_slice text);
/* Makes it when absent. */
struct td_state_topic *td_state_topic_get(struct td_state *state, struct td_slice text);
void td_state_topic_drop(struct td_state *state, struct td_state_topic *topic);
void td_state_topics_free(struct td_state *state);

/* Whether the last event of an entry is older than what is kept. */
bool td_state_expired(const struct td_state *state, const struct td_state_entry *entry,
                      td_unix_ms now);

/* The index of the first link of an entry at or behind a sequence. */
uint32_t td_state_link_from(const struct td_state_entry *entry, uint64_t seq);

/* Adds a chain that begins behind all others. */
void td_state_slot_add(struct td_state *state, struct td_state_topic *topic, uint64_t seq,
                       struct td_state_entry *entry);
/* Takes one out, if it is there. */
void td_state_slot_kill(struct td_state *state, struct td_state_topic *topic, uint64_t seq);
/* The index of the first place at or behind a sequence. */
size_t td_state_slot_from(const struct td_state_topic *topic, uint64_t seq);
