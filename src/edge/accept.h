/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting: the listeners, and the slab in which connections lie.  Private to the worker. */
#pragma once

#include "edge/worker.h"

/* What an event of a listener carries as tag: this, and its number. */
#define TD_LISTENER_TAG (UINT64_C(1) << 63)

/* Adds the worker's listeners to its loop. */
TD_MUST_USE int td_accept_begin(struct td_worker *worker);
/* Closes them. */
void td_accept_end(struct td_worker *worker);
/* Takes the connections that wait at listener number `i`. */
void td_accept_from(struct td_worker *worker, size_t i);
/* Once a tick: listens again where descriptors had run out, and gets back the spare one. */
void td_accept_tick(struct td_worker *worker);
/* Gives back the places of connections that are gone. */
void td_accept_free_gone(struct td_worker *worker);
