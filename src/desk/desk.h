/* SPDX-License-Identifier: Apache-2.0 */
/* The desk: the one thread that carries out what reads before it writes (docs/decisions/0015).
 *
 * Workers send it asks; it answers them in the order in which they came, but for those that wait for a segment of the log to be read in. */
#pragma once

#include "base/compiler.h"
#include "desk/ask.h"
#include "journal/journal.h"

struct td_desk;

/* A desk for a journal, which outlives it.  0 or an error. */
TD_MUST_USE int td_desk_new(struct td_journal *journal, struct td_desk **ret_desk);
/* Answers what is left with TD_EDRAINING; the thread has ended. */
void td_desk_free(struct td_desk *desk);
/* Sends an ask.  Any thread.  A desk that is NULL answers at once that there is none (TD_EUNAVAILABLE). */
void td_desk_ask(struct td_desk *desk, struct td_ask *ask);

/* What has been taken from subjects, for a policy to look into; lives as long as the desk. */
struct td_revocations *td_desk_revocations(struct td_desk *desk);
/* Takes up what the log says, waiting for segments to be read in: once, before the thread is started and anybody is served; the journal's threads
 * run.  0 or an error. */
TD_MUST_USE int td_desk_load(struct td_desk *desk);
/* Starts the thread, and ends it. */
TD_MUST_USE int td_desk_start(struct td_desk *desk);
void td_desk_stop(struct td_desk *desk);

/* Carries out what there is, without waiting: the thread's turn. */
void td_desk_turn(struct td_desk *desk);
/* Whether it may wait: nothing has come since the last turn.  From here to the next turn it reads nothing of the log. */
bool td_desk_rests(struct td_desk *desk);

/* For what carries out asks: the data of the newest record of `topic` and `key` that is state, durable or not.  1 with `*ret_record`, good until the end
 * of the turn; 0 when there is none; -EAGAIN: a segment is being read in, carry the ask out again later (td_desk does it). */
TD_MUST_USE int td_desk_state(struct td_desk *desk, struct td_slice topic, struct td_slice key,
                              struct td_record *ret_record);
/* Appends, and remembers that what it appended is not readable yet: until it is, td_desk_state of these topics says -EAGAIN.  As
 * td_journal_append. */
TD_MUST_USE int td_desk_append(struct td_desk *desk, const struct td_batch *batch,
                               uint64_t *ret_seqs);
