/* SPDX-License-Identifier: Apache-2.0 */
/* The desk, for its own files. */
#pragma once

#include "audit/audit.h"
#include "base/heap.h"
#include "base/map.h"
#include "desk/desk.h"
#include "os/file.h"
#include "os/mailbox.h"
#include "os/process.h"
#include "os/thread.h"

struct td_desk {
    struct td_journal *journal;
    struct td_journal_reader *reader;
    struct td_mailbox mailbox; /* of td_ask.list */
    struct td_list waiting;    /* asks that are carried out again after the next wake */
    struct td_locks *locks;
    struct td_heap dues, held; /* td_due; those that wait for a segment */
    struct td_map
        unreadable; /* key of a topic → uint64_t, the last sequence that was written to it; see td_desk_append */
    uint64_t unreadable_all;    /* the same for all topics */
    struct td_revoked *revoked; /* what the state of audit/subjects/* says */
    struct td_desk_jobs *jobs;  /* NULL: it has none */
    struct td_authorizer *authorizer;
    struct td_upstream *upstream; /* NULL: nobody has needed it yet */
    struct td_audit *audit;       /* NULL: there is only the log */
    int bell;                     /* rung when there is something to do */
    _Atomic bool moved;           /* something may have become readable, or have been read in */
    _Atomic bool waits;           /* somebody waits for that: ring the bell */
    _Atomic bool stopping;
    bool is_running;
    struct td_thread thread;
};

/* Begins a note of the audit on what was done to a topic by an ask, or (NULL) happened by itself. */
void td_desk_note(struct td_audit_note *note, const struct td_desk *desk, const struct td_ask *ask,
                  enum td_audit_action action, struct td_slice topic);

/* What to answer where the log says that somebody else wrote to the topic meanwhile: -EAGAIN, so that the ask is carried out again on what is there
 * then; TD_EUNAVAILABLE when that has happened to it often. */
TD_MUST_USE int td_desk_conflict(struct td_ask *ask);

/* Its requests to others, made when somebody first needs them, because libcurl's handles are not free; NULL when memory is out.  The desk's thread, or before that is started. */
struct td_upstream *td_desk_upstream(struct td_desk *desk);
