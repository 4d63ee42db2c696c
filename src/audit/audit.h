/* SPDX-License-Identifier: Apache-2.0 */
/* The audit: what security and operations want to know of, told in one place.  One note makes the line of the log, the counter of
 * /metrics, and the event on audit/{topic}:
 *
 *     struct td_audit_note note;
 *     td_audit_begin(&note, audit, TD_AUDIT_CONNECTED, TD_AUDIT_DONE);
 *     td_audit_actor(&note, subject);
 *     td_audit_str(&note, "transport", TD_S("websocket"));
 *     td_audit_end(&note);
 *
 * Events have `data` {actor, action, topic, address, outcome, detail: {…}}.  They are appended like any other, and nobody waits for them: a
 * disk that is full loses them, which is counted, and the line of the log is there all the same.  Nothing here is ever a token.  Any thread. */
#pragma once

#include "base/addr.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/slice.h"
#include "journal/journal.h"
#include "os/thread.h"
#include <stdatomic.h>

enum td_audit_action {
#define TD_AUDIT(name, action, topic, event, level) TD_AUDIT_##name,
#include "audit/audit.def"
#undef TD_AUDIT
    TD_AUDIT_ACTIONS,
};

enum td_audit_outcome {
    TD_AUDIT_DONE,
    TD_AUDIT_DENIED,
    TD_AUDIT_FAILED,
    TD_AUDIT_OUTCOMES,
};

/* Refusals are what strangers can cause as often as they like: so many of them become events in a second, and how many did not is told
 * with the next one, or by td_audit_tick. */
#define TD_AUDIT_REFUSALS_PER_S 10

struct td_audit {
    struct td_journal *_journal;
    bool _stores; /* events are made */
    _Atomic uint64_t counts[TD_AUDIT_ACTIONS][TD_AUDIT_OUTCOMES], lost;
    struct td_mutex _mutex; /* over: */
    td_ns _second;          /* when this second of refusals began */
    unsigned _refusals;     /* events in it */
    uint64_t _left_out;     /* that became none */
};

/* `stores`: whether events are appended to the journal, which outlives it; otherwise only lines and counters are made. */
void td_audit_init(struct td_audit *audit, struct td_journal *journal, bool stores);
void td_audit_done(struct td_audit *audit);
/* Tells how many refusals were left out, once their second is over. */
void td_audit_tick(struct td_audit *audit);
const char *td_audit_action_text(enum td_audit_action action);
const char *td_audit_outcome_text(enum td_audit_outcome outcome);

#define TD_AUDIT_DATA_MAX 4096

struct td_audit_note {
    struct td_audit *_audit;
    enum td_audit_action _action;
    enum td_audit_outcome _outcome;
    struct td_log_line _line;
    bool _logs;
    struct td_slice _actor, _topic, _address; /* borrowed until the end */
    struct td_buf _detail;                    /* members, each with a comma before it */
};

/* `audit` may be NULL: only the line is made. */
void td_audit_begin(struct td_audit_note *note, struct td_audit *audit, enum td_audit_action action,
                    enum td_audit_outcome outcome);
/* Who did it: a subject; and what it was done to; and from where.  Borrowed until the end.  Any may be left out. */
void td_audit_actor(struct td_audit_note *note, struct td_slice subject);
void td_audit_topic(struct td_audit_note *note, struct td_slice topic);
void td_audit_address(struct td_audit_note *note, struct td_slice address);
/* Members of the detail, which are fields of the line too. */
void td_audit_str(struct td_audit_note *note, const char *name, struct td_slice value);
void td_audit_u64(struct td_audit_note *note, const char *name, uint64_t value);
void td_audit_end(struct td_audit_note *note);
/* The same without the line: there have been too many of its kind. */
void td_audit_end_unlogged(struct td_audit_note *note);
