/* SPDX-License-Identifier: Apache-2.0 */
/* An ask: what a worker wants the desk to do, and, once it comes back, what came of it.
 *
 * One block of memory that goes there and back; whoever has it owns it.  The worker fills it in, with texts copied by td_ask_text; the desk
 * carries it out, writes the answer into it, and calls `answered`.  What a grant can tell has been checked before it is sent. */
#pragma once

#include "auth/principal.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/slice.h"

struct td_batch;
struct td_permits;

enum td_ask_verb {
    TD_ASK_READ,     /* `body`: the document that is the state of `topic` and `key` */
    TD_ASK_REVOKE,   /* revoke.h */
    TD_ASK_PARTS,    /* answered by the workers (edge/gather.h), not by the desk */
    TD_ASK_JOB,      /* about jobs: what `job` says */
    TD_ASK_ENTITY,   /* the entity at `topic` */
    TD_ASK_ENTITIES, /* those of `topic`, a pattern, that the principal may see */
    TD_ASK_CHANGE,   /* changes the entity at `topic` */
    TD_ASK_PUBLISH,  /* appends events, some of which are of entities */
    TD_ASK_LOCK,     /* takes or renews the lock of `topic` */
    TD_ASK_UNLOCK,   /* gives it back */
    TD_ASK_LOCKED,   /* tells who holds it */
    TD_ASK_PERMITS,  /* whether the authorizer lets the principal subscribe `permits` (permit.h) */
};

/* About jobs (jobs/jobs.h): which of its functions, and with what.  Texts may be empty; JSON is checked. */
struct td_ask_job {
    enum td_ask_job_what {
        TD_ASK_JOB_START,   /* `body`: the job */
        TD_ASK_JOB_CANCEL,  /* `body`: an array of {"job_id","state"} */
        TD_ASK_JOB_GET,     /* `body`: the job */
        TD_ASK_JOB_LIST,    /* `body`: {"jobs":[…],"next":…} */
        TD_ASK_JOB_REPORT,  /* `body`: the job */
        TD_ASK_JOB_ACCESS,  /* whether the principal may see it; TD_ENOTFOUND otherwise */
        TD_ASK_JOB_PROJECT, /* `body`: the project `project_id` */
    } what;
    struct td_slice id, kind, params, given, viewers, key, session, scope, request_id, proposal_id,
        project_id, state, after, token, json;
    struct td_slice connection; /* of START: the id of the WebSocket that it comes from */
    size_t limit;
    bool external;
    uint64_t lease_s;
};

/* What is to become of an entity. */
struct td_ask_change {
    enum td_entity_change { TD_ENTITY_PUT, TD_ENTITY_PATCH, TD_ENTITY_DELETE } how;
    struct td_slice document;        /* of PUT; of PATCH the patch: checked JSON */
    struct td_slice said;            /* what a repeat with the same key has to say again */
    struct td_slice idempotency_key; /* or empty */
    struct td_slice if_match;        /* the header's value; ptr NULL: none */
    bool if_none_match;              /* only when there is no such entity */
    size_t bytes_max;                /* of the document that comes of it */
};

struct td_ask_page {
    struct td_slice after; /* the id behind which it begins, or empty */
    size_t limit;
};

struct td_ask_publish {
    const struct td_batch *batch; /* lent, with all that it points to */
    uint64_t *seqs;               /* likewise: written when it succeeds */
};

struct td_ask_lock {
    uint64_t ttl_s;                   /* of the lease */
    size_t per_holder_max, locks_max; /* locks that may be held, by one, and in all */
};

struct td_ask {
    struct td_list list;
    enum td_ask_verb verb;
    void (*answered)(
        struct td_ask *ask); /* called by the desk's thread, which gives it up hereby */

    /* ---- the question: the worker's ---- */
    const struct td_principal
        *principal; /* lent: whoever sends the ask holds the reference until it is back */
    struct td_slice topic, key;
    struct td_slice address;  /* of the peer, for the audit */
    struct td_slice document; /* of REVOKE: checked JSON */
    size_t limit;             /* of PARTS: of what is listed, by each worker */
    union {
        struct td_ask_job job;
        struct td_ask_change change;
        struct td_ask_page page;
        struct td_ask_publish publish;
        struct td_ask_lock lock;
    };
    void *load;                 /* the sender's own; the desk does not look at it */
    struct td_permits *permits; /* of PERMITS: with the answers; freed with the ask */

    /* ---- the answer: the desk's ---- */
    int err; /* 0, or an error, and then … */
    struct td_buf
        why; /* … a sentence, when there is something to add to what the error says by itself */
    struct td_buf body; /* JSON; with TD_ECONFLICT and TD_ELOCKED what is there instead, or empty */
    uint64_t record;    /* the sequence of the event that `body` is made of; 0: none */
    bool created;       /* there was no such thing before */
    uint64_t position;  /* of what `body` says; … */
    bool has_position;  /* … when there is one */
    uint64_t wait_for;  /* the answer holds once this sequence is readable; 0: now */
    unsigned retry_after_s; /* with TD_ERATE: when to ask again; 0: unknown */

    unsigned _conflicts; /* see td_desk_conflict */
    size_t _text_used, _text_size;
    char *_text;
};

#define TD_ASK_BODY_MAX ((size_t)16 * 1024 * 1024)

/* Initialises an ask in memory of the caller's, with room for `text_bytes` of texts.  0 or -ENOMEM. */
TD_MUST_USE int td_ask_init(struct td_ask *ask, enum td_ask_verb verb, size_t text_bytes);
/* Copies a text into the ask, with a NUL behind it, which is not counted by the slice but by the room. */
struct td_slice td_ask_text(struct td_ask *ask, struct td_slice text);
void td_ask_done(struct td_ask *ask);
/* Sets the error with a sentence. */
void td_ask_fail(struct td_ask *ask, int err, const char *why);
