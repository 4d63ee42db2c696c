/* SPDX-License-Identifier: Apache-2.0 */
/* What has been taken from subjects: a table that the desk keeps, of the state of audit/subjects/*, and that workers look into when they
 * verify a token (auth/principal.h).  Bounded by TD_REVOKED_MAX subjects. */
#pragma once

#include "auth/principal.h"
#include "base/compiler.h"

#define TD_REVOKED_MAX 100000
/* Where the revocation of a subject lies in the log: below this, its segment, under this key. */
#define TD_REVOKED_ROOT "audit/subjects"
#define TD_REVOKED_KEY  "revocation"

struct td_revoked;

/* NULL when memory is out. */
struct td_revoked *td_revoked_new(void);
void td_revoked_free(struct td_revoked *revoked);
/* What a policy is given to look into. */
struct td_revocations *td_revoked_table(struct td_revoked *revoked);
/* Sets what has been taken from a subject; an empty one forgets it.  Copies.  0, -ENOMEM, or TD_ETOOLARGE when there are too many.  Any thread. */
TD_MUST_USE int td_revoked_set(struct td_revoked *revoked, struct td_slice segment,
                               const struct td_taken *taken);
/* Reads what is stored of one: `{"before":…,"subscribe":[…]}`, JSON that was checked.  The patterns point into `text`, which has to have
 * room for the whole document, and `patterns`, which has room for TD_TAKEN_MAX.  0, or TD_EINVAL. */
TD_MUST_USE int td_revoked_read(struct td_slice json, struct td_buf *text,
                                struct td_slice *patterns, struct td_taken *ret);
