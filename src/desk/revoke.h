/* SPDX-License-Identifier: Apache-2.0 */
/* Taking from a subject what its tokens grant: the ask, and what the log says of it when the server starts. */
#pragma once

#include "desk/desk.h"

/* ask->topic: audit/subjects/{segment}; ask->document: `{"before":MS or null,"subscribe":[…] or null}`, of which each member replaces what was said
 * before.  `body`: what holds now. */
TD_MUST_USE int td_revoke(struct td_desk *desk, struct td_ask *ask);
/* Fills the table from the log.  0; -EAGAIN: a segment is being read in, call it again; or -ENOMEM, and then it is not whole: nobody may be served. */
TD_MUST_USE int td_revoke_load(struct td_desk *desk);
