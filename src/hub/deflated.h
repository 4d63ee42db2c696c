/* SPDX-License-Identifier: Apache-2.0 */
/* The compressed frames that were made last.  Private to the hub.
 *
 * Those who come back after an interruption are behind together, and read the same records one after the other: what was compressed for the
 * first of them, or for the live, serves the others.  Only a memory of what can be made again; when there is no room, it is not kept. */
#pragma once

#include "hub/encode.h"

/* A record's place is its sequence, so that the last thousand or so are kept, as far as their bytes have room. */
#define TD_DEFLATED_SLOTS 1024
#define TD_DEFLATED_BYTES ((size_t)2 * 1024 * 1024)

struct td_deflated;

/* NULL when there is no memory. */
struct td_deflated *td_deflated_new(void);
void td_deflated_free(struct td_deflated *kept);
/* The frame of the record on that wire, good until the next call; ptr NULL when it is not kept.  `kept` may be NULL. */
struct td_slice td_deflated_find(const struct td_deflated *kept, uint64_t seq, enum td_wire wire);
void td_deflated_keep(struct td_deflated *kept, uint64_t seq, enum td_wire wire,
                      struct td_slice frame);
