/* SPDX-License-Identifier: Apache-2.0 */
/* What the authorizer has said, remembered by what it was asked, for the time that it holds.
 *
 * Bounded: the one that was looked at longest ago makes room, but not while a question for it is under way.  One thread. */
#pragma once

#include "base/compiler.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/units.h"

struct td_rulings;
struct td_question;

struct td_ruling {
    int err;                      /* 0, TD_EFORBIDDEN or TD_EUNAVAILABLE, … */
    td_ns expires_at;             /* … until then; 0: nothing is known */
    td_ns renew_at;               /* when whoever relies on it asks again */
    struct td_question *question; /* that is under way; NULL: none.  Set by td_ruling_hold */

    struct td_list _use; /* the longest unused first; in no list while a question is under way */
    uint64_t _hash;
    size_t _key_len;
    char _key[];
};

/* NULL when memory is out.  `max` > 0. */
struct td_rulings *td_rulings_new(size_t max);
void td_rulings_free(struct td_rulings *rulings);
/* Forgets all that no question is under way for; of the others, what they say. */
void td_rulings_clear(struct td_rulings *rulings);
/* From now on there are at most so many, but for those that questions are under way for. */
void td_rulings_limit(struct td_rulings *rulings, size_t max);
size_t td_rulings_len(const struct td_rulings *rulings);

/* The ruling of a key, made when there is none: good until the next call, unless it is held.  NULL when there is no room, because questions are under way for all, or
 * no memory. */
struct td_ruling *td_rulings_get(struct td_rulings *rulings, struct td_slice key);
/* A question for it is under way, so it stays; … */
void td_ruling_hold(struct td_ruling *ruling, struct td_question *question);
/* … and is over. */
void td_ruling_release(struct td_rulings *rulings, struct td_ruling *ruling);
