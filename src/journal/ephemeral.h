/* SPDX-License-Identifier: Apache-2.0 */
/* Ephemeral events: they are in no log and have no id.  Who reads at the time gets them, at most once; a small ring that all readers
 * share holds them until then, and forgets the oldest when it is full. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "journal/journal.h"

#define TD_EPHEMERAL_EVENTS 1024
#define TD_EPHEMERAL_BYTES  (4 * TD_MIB)

struct td_ephemeral;

struct td_ephemeral *td_ephemeral_new(void);
/* How many events there ever were: where a new reader begins. */
uint64_t td_ephemeral_count(const struct td_ephemeral *ring);
void td_ephemeral_free(struct td_ephemeral *ring);

/* Any thread.  Gives all of the drafts to the readers, or none: TD_ETOOLARGE when the ring can't hold them, -ENOMEM. */
TD_MUST_USE int td_ephemeral_publish(struct td_journal *journal, const struct td_draft *drafts,
                                     size_t n);
/* The reader's thread.  Copies to `out` those records (record.h, with sequence 0) that came since the last call, as many as go and at
 * most `max`, and writes where in `out` each begins.  An event waits for what was appended to the log before it: only those are
 * given for which that lies at or before `position`.  How many; when the reader was too slow for the ring it misses the oldest, which are
 * added to `*missed`. */
size_t td_ephemeral_take(struct td_journal_reader *reader, uint64_t position, struct td_buf *out,
                         uint32_t *ret_offsets, size_t max, uint64_t *missed);
/* Whether there is one that td_ephemeral_take would give. */
bool td_ephemeral_waits(const struct td_journal_reader *reader, uint64_t position);
