/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of WebSocket framing (RFC 6455 §5), strict, and written apart from src/codec. */
#pragma once

#include "base/buf.h"
#include "base/rng.h"
#include "base/slice.h"

struct client_frame {
    unsigned opcode; /* 1 text, 8 close, 9 ping, 10 pong */
    struct td_slice payload;
    size_t len; /* of the whole frame */
};

/* Reads the frame at the front of `in`.  1 when it is whole, 0 when there is more to come, -1 and a sentence when no server may
 * send this. */
int client_ws_frame(struct td_slice in, struct client_frame *ret_frame, const char **why);
/* Appends a masked frame, in random fragments when it is text. */
void client_ws_put(struct td_buf *out, struct td_rng *rng, unsigned opcode,
                   struct td_slice payload);
