/* SPDX-License-Identifier: Apache-2.0 */
/* The authorizer: another server that is asked over HTTP who may subscribe what the tokens do not grant (docs/decisions/0023).
 *
 * Each question is asked once, whoever waits for its answer, and the answer is remembered for as long as it says.  It fails closed: what is no answer
 * is TD_EUNAVAILABLE.  Everything but configuring it is the desk's thread's. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include "base/units.h"
#include <stdatomic.h>

struct td_ask;
struct td_authorizer;
struct td_desk;
struct td_upstream;

struct td_authorizer_options {
    struct td_slice url;    /* empty: there is none, and nobody is granted anything */
    struct td_slice header; /* a whole line to send with each question, without its end; or empty */
    uint64_t timeout_ms;    /* of a question, from its being asked for */
    uint64_t cache_ms,
        denied_ms;        /* how long a permission, a refusal holds when the answer does not say */
    size_t entries;       /* answers that are remembered, and questions that may wait */
    unsigned concurrency; /* questions under way */
};

/* How a question ended, in the order of the labels. */
enum td_authorizer_result {
    TD_AUTHORIZER_ALLOWED,
    TD_AUTHORIZER_DENIED,
    TD_AUTHORIZER_TIMEOUT,
    TD_AUTHORIZER_UNREACHABLE, /* no connection, or one that broke off */
    TD_AUTHORIZER_INVALID,     /* an answer that is none */
    TD_AUTHORIZER_RESULTS,
};

/* Read by any thread. */
struct td_authorizer_stat {
    _Atomic uint64_t results[TD_AUTHORIZER_RESULTS];
    _Atomic uint64_t hits;      /* patterns that a remembered answer was there for */
    _Atomic uint64_t entries;   /* answers that are remembered */
    _Atomic uint64_t under_way; /* questions, with those that wait */
};

/* ---- any thread ---- */

/* Says whom the desk asks from now on; copies.  0, and in `*ret_version` a number that is another one when something has changed, or 0 when there is no
 * authorizer (any more); -ENOMEM: nothing has changed. */
TD_MUST_USE int td_desk_authorize_by(struct td_desk *desk,
                                     const struct td_authorizer_options *options,
                                     uint64_t *ret_version);
/* For figures; NULL: there is no desk. */
const struct td_authorizer_stat *td_desk_authorizer_stat(const struct td_desk *desk);

/* ---- for desk.c ---- */
struct td_authorizer *td_authorizer_new(void);
/* Answers what is left with TD_EDRAINING. */
void td_authorizer_free(struct td_authorizer *authorizer);
/* Takes up what it was told, at the beginning of a turn. */
void td_authorizer_turn(struct td_desk *desk);
/* Answers ask->permits, but for those of jobs.  0: now; 1: the ask is kept, and its `answered` called later. */
TD_MUST_USE int td_authorizer_ask(struct td_desk *desk, struct td_ask *ask);
