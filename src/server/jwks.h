/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that issuers publish at a URL (JWKS, RFC 7517 §5), fetched on a thread of their own so that neither a worker nor the main
 * thread ever waits for them.
 *
 * Each URL is fetched at once and again when its answer is no longer fresh (Cache-Control: max-age, from a minute to a day; ten
 * minutes without).  Keys stay in use until others replace them: a fetch that fails, or answers with nothing that can be used,
 * changes nothing and is tried again, at first after seconds.  A token that names a key which is not there asks for a fetch out of
 * turn, at most once in JWKS_ASK_S for a URL.
 *
 * What is fetched is what the configuration names, nothing that a token says.  No redirect is followed, no other scheme than HTTP is spoken,
 * an answer has 64 KiB and ten seconds.
 *
 * The thread only gathers.  It wakes the main thread, which puts new keys into a setup (setup.h). */
#pragma once

#include "base/compiler.h"
#include "server/config.h"
#include "server/setup.h"

#define TD_JWKS_ASK_S 30

struct td_jwks;

/* `wake` is called from the thread when there are new keys to be put into a setup.  0 or -ENOMEM. */
TD_MUST_USE int td_jwks_new(void (*wake)(void *arg), void *arg, struct td_jwks **ret_jwks);
/* Ends the thread, breaking off what it fetches. */
void td_jwks_free(struct td_jwks *jwks);

/* Puts the keys of a setup's issuers into it before it is installed, and has those fetched from now on.  Keys that were fetched before for
 * the same issuer, URL and algorithms are used again.  Starts the thread with the first URL.  Main thread.  0 or an error. */
TD_MUST_USE int td_jwks_equip(struct td_jwks *jwks, struct td_setup *setup);
/* Whether keys have come since td_jwks_equip was called last. */
bool td_jwks_has_new(struct td_jwks *jwks);
