/* SPDX-License-Identifier: Apache-2.0 */
/* What an ask wants to know (TD_ASK_PERMITS): patterns that a subject may subscribe or not, and what came of each.  A job's topic is decided by the job, any
 * other by the authorizer. */
#pragma once

#include "base/addr.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/units.h"

struct td_ask;
struct td_desk;

struct td_permit {
    struct td_slice
        pattern; /* valid, and not private unless it is a job's topic; a text of the ask's */

    /* ---- the answer ---- */
    int err; /* 0: it may subscribe it; TD_EFORBIDDEN: it may not; TD_EUNAVAILABLE: nobody knows */
    td_ns renew_at; /* when to ask again, … */
    td_ns
        expires_at; /* … and until when a permission holds; both 0 of a job's topic, which is shown for good */

    struct td_list _list; /* among those that wait for the same question; see authorizer.c */
    struct td_ask *_ask;
};

struct td_permits {
    bool renews; /* for what holds already: an answer whose `renew_at` has come is asked for anew */
    struct td_slice
        endpoint; /* the name of the endpoint that it is for, or empty; a text of the ask's */
    char address[TD_ADDR_LEN_MAX + 1]; /* of the client */
    size_t n;
    size_t _left; /* questions that it waits for */
    struct td_permit items[];
};

/* For `n` patterns, which the caller fills in, nothing being known; NULL when memory is out.  The ask that it is given to frees it. */
struct td_permits *td_permits_new(size_t n);
/* The one of a pattern, or NULL; `permits` may be NULL. */
struct td_permit *td_permits_find(struct td_permits *permits, struct td_slice pattern);
/* Whether a valid pattern is the topic of one job, jobs/{job_id}; `ret_id` is that. */
bool td_permit_of_job(struct td_slice pattern, struct td_slice *ret_id);
/* For desk.c: answers ask->permits.  0: now; 1: the ask is kept, and its `answered` called later; -EAGAIN: the jobs are not known yet. */
TD_MUST_USE int td_permits_ask(struct td_desk *desk, struct td_ask *ask);
