/* SPDX-License-Identifier: Apache-2.0 */
/* The desk: the one thread that carries out what reads before it writes (docs/decisions/0015).
 *
 * Workers send it asks; it answers them in the order in which they came, but for those that wait for a segment of the log to be read in. */
#pragma once

#include "base/compiler.h"
#include "base/heap.h"
#include "desk/ask.h"
#include "journal/journal.h"

struct td_desk;

/* A desk for a journal, which outlives it.  0 or an error. */
TD_MUST_USE int td_desk_new(struct td_journal *journal, struct td_desk **ret_desk);
/* Before it is started: who is told of what changes (audit/audit.h); without, only the log is. */
struct td_audit;
void td_desk_audit(struct td_desk *desk, struct td_audit *audit);
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

/* How long it may wait from `now` on, in milliseconds; -1: without end. */
int td_desk_wait_ms(const struct td_desk *desk, td_ns now);

/* What happens by itself at its time; part of what it is about. */
struct td_due {
    struct td_heap_node _node;
    /* Called by the desk's thread, once, a moment after its time: it may be set again from there.  0, or -EAGAIN: a segment is
     * being read in, and it is called again later. */
    int (*run)(struct td_desk *desk, struct td_due *due);
    bool _held; /* it has said -EAGAIN */
};

/* Sets the time (of the monotonic clock) at which it is run, in place of an earlier one.  The desk's thread; or any, before that is
 * started. */
void td_desk_due(struct td_desk *desk, struct td_due *due, td_ns at);
/* It is not run any more. */
void td_desk_undue(struct td_desk *desk, struct td_due *due);
static inline bool td_due_is_set(const struct td_due *due)
{
    return td_heap_has(&due->_node);
}

/* For what carries out asks: the newest record of `topic` and `key` that is state, durable or not: whoever is told of it waits for its sequence
 * (td_ask.wait_for).  1 with `*ret_record`, good until the end of the turn; 0 when there is none; -EAGAIN: a segment is being read in, carry the ask
 * out again later (td_desk does it). */
TD_MUST_USE int td_desk_state(struct td_desk *desk, struct td_slice topic, struct td_slice key,
                              struct td_record *ret_record);
/* Appends, and remembers what it appended until that is readable, so that td_desk_state finds it.  As td_journal_append. */
TD_MUST_USE int td_desk_append(struct td_desk *desk, const struct td_batch *batch,
                               uint64_t *ret_seqs);
