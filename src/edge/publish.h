/* SPDX-License-Identifier: Apache-2.0 */
/* What a client wants to publish: JSON into drafts for the journal, checked against the rules of topics and the
 * subject's grants, and into the log.  All or nothing. */
#pragma once

#include "auth/principal.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "journal/ephemeral.h"
#include "journal/journal.h"

struct td_reserved;
struct td_worker;

struct td_publish_options {
    size_t events_max;                    /* drafts in one request */
    size_t event_bytes_max;               /* bytes of one event's `data` */
    const struct td_principal *principal; /* who publishes */
    struct td_slice origin;               /* raw JSON string: the connection, or empty */
    struct td_reserved *reserved;         /* topics of jobs that run, or NULL */
    struct td_slice idempotency_key;      /* of the whole request, or empty */
};

/* A parsed publish.  Its drafts point into the body that was parsed and into `_text`. */
struct td_publish {
    size_t n;              /* events in all */
    struct td_batch batch; /* those for the log, … */
    size_t n_ephemeral;    /* … and those for nobody but who is there */
    size_t n_entities;     /* of the log's, those that change an entity */
    bool is_list;          /* an array, NDJSON or `topics` was sent: the answer holds `ids` */
    uint64_t
        *seqs; /* once it has been appended: of each event, in order; 0 of an ephemeral one … */
    uint64_t last;            /* … and the highest of them; 0 when there is none */
    struct td_draft *_drafts; /* first those of the log, then the ephemeral ones, … */
    bool *
        _is_ephemeral; /* … which are these in the order of the request; NULL when there are none */
    size_t _cap;
    struct td_buf _text;
};

#define TD_PUBLISH_KEY_MAX   128 /* bytes of `key` */
#define TD_PUBLISH_DEDUP_MAX 255 /* bytes of `dedup` and Idempotency-Key */

/* Parses one event, an array of events, or (`ndjson`) an event a line.  0, or an error with a sentence appended to
 * `why` that says which event and what is wrong.  End with td_publish_done in either case. */
TD_MUST_USE int td_publish_parse(struct td_publish *publish, struct td_slice body, bool ndjson,
                                 const struct td_publish_options *options, struct td_buf *why);
/* Parses and appends.  `options` need no limits: they are the worker's.  0; TD_PUBLISH_ASK: what it is about entities the desk has to
 * do, see edge/publish_ask.h, and nothing is appended yet; or an error, and then there always is a sentence in `why`.  End
 * with td_publish_done in any case. */
#define TD_PUBLISH_ASK 1
TD_MUST_USE int td_publish_run(struct td_publish *publish, struct td_worker *worker,
                               struct td_slice body, bool ndjson,
                               const struct td_publish_options *options, struct td_buf *why);
/* What is left to do once the events of the log have been appended, with their sequences in `seqs`, the first of the batch first. */
void td_publish_appended(struct td_publish *publish, struct td_worker *worker);
/* Appends the members of the answer: `"id":…` or `"ids":[…]`, then position and durable.  An ephemeral event has the id null. */
void td_publish_put_answer(const struct td_publish *publish, const struct td_worker *worker,
                           struct td_buf *out);
void td_publish_done(struct td_publish *publish);
